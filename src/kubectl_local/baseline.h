// SPDX-License-Identifier: MIT
// kubectl_local/baseline.h: the Pod Security standard "baseline", as the API server enforces it where a namespace is labelled so.
#pragma once

#include <string>

#include "codec/json.h"
#include "kubectl_local/allow.h"

namespace etlnode::kubectl_local {

// Empty: the pod keeps the standard, or the owner allows what it asks for beyond. Otherwise what follows `pods "NAME" is forbidden: `, in the
// API server's words; `out_hint` then says how the owner can allow it, if he can. Requires: an admitted pod.
std::string baseline_violations(const cJSON *pod, const allow_list &allowed, std::string &out_hint);

} // namespace etlnode::kubectl_local
