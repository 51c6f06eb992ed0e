// SPDX-License-Identifier: MIT
// kubectl_local/admission_plugins.h: refusals of an API server's admission plugins: undeclared service accounts, priorities and overhead.
#pragma once

#include <string>

#include "codec/json.h"

namespace etlnode::kubectl_local {

// Returns the text after `pods "x" is forbidden: `, or "" if there is no objection. A server checks this before the rules. kubectl-local
// has what every namespace of a new cluster has: the service account `default`, and the system's two priority classes.
std::string admission_plugins_refusal(const cJSON *pod, const std::string &ns);
// The same for the check that follows the rules.
std::string admission_overhead_refusal(const cJSON *pod);

} // namespace etlnode::kubectl_local
