// SPDX-License-Identifier: MIT
// kubectl_local/pod_clearance.h: what an API server's admission refuses besides the rules: accounts, priorities and overhead that nothing declares.
#pragma once

#include <string>

#include "codec/json.h"

namespace etlnode::kubectl_local {

// Behind `pods "x" is forbidden: `, empty: cleared. A server asks so before it looks at the rules. kubectl-local has what every namespace of a new cluster has: the service
// account `default`, and the two priority classes of the system.
std::string pod_clearance_refusal(const cJSON *pod, const std::string &ns);
// The same, after the rules.
std::string pod_overhead_refusal(const cJSON *pod);

} // namespace etlnode::kubectl_local
