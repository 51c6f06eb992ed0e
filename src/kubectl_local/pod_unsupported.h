// SPDX-License-Identifier: MIT
// kubectl_local/pod_unsupported.h: the features of Pods that a cluster runs but kubectl-local never can. They are refused at creation, so
// that nobody waits in vain.
#pragma once

#include <string>
#include <vector>

#include "codec/json.h"

namespace etlnode::kubectl_local {

// Requires: a Pod that Kubernetes accepts. Returns a text "PATH: what is not supported, what is" for each field; empty if everything is
// supported.
std::vector<std::string> pod_unsupported(const cJSON *pod);

// Kubernetes treats a missing Secret or ConfigMap as empty if the spec says `optional: true`. Here all of them are missing.
bool pod_is_optional(const cJSON *reference);

// The kubelet's message if a container must not run as root but would; empty otherwise. `pod_name` is the kubelet's name for the pod.
std::string pod_root_refusal(const cJSON *spec, const cJSON *container, const std::string &pod_name);

} // namespace etlnode::kubectl_local
