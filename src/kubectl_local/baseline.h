// SPDX-License-Identifier: MIT
// kubectl_local/baseline.h: the Pod Security standard "baseline", as the API server enforces it in a namespace that has its label.
#pragma once

#include <string>

#include "codec/json.h"
#include "kubectl_local/allow.h"

namespace etlnode::kubectl_local {

// Returns "" if the pod meets the standard, or if the owner allows what exceeds it. Otherwise returns the text after `pods "NAME" is
// forbidden: ` in the API server's words. `out_hint` then says how the owner can allow it, if that is possible. Requires: an admitted pod.
std::string baseline_violations(const cJSON *pod, const allow_list &allowed, std::string &out_hint);

} // namespace etlnode::kubectl_local
