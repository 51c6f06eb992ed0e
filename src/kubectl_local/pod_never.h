// SPDX-License-Identifier: MIT
// kubectl_local/pod_never.h: what a cluster runs and kubectl-local never can: refused when the pod is made, so that nobody waits for it.
#pragma once

#include <string>
#include <vector>

#include "codec/json.h"

namespace etlnode::kubectl_local {

// Requires: a Pod that Kubernetes accepts. "PATH: what cannot be here, what can", one text for each field; empty when all of it can run.
std::vector<std::string> pod_never(const cJSON *pod);

// Kubernetes counts a Secret or ConfigMap that is absent as empty where the spec says `optional: true`; here all of them are absent.
bool pod_is_optional(const cJSON *reference);

// The kubelet's words where a container must not run as root and would; empty otherwise. `who` is the pod as the kubelet names it.
std::string pod_root_refusal(const cJSON *spec, const cJSON *container, const std::string &who);

} // namespace etlnode::kubectl_local
