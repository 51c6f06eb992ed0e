// SPDX-License-Identifier: MIT
// etlnode/grants.h: passes the grants for local pods on to kubectl-local: which parts of this machine they may use.
#pragma once

#include <string>
#include <vector>

#include "etlnode/options.h"

namespace etlnode {

// Puts --allow-host-path and --allow-host-network into the environment, where kubectl-local, a child of this process, finds them. A pod's
// own spec cannot reach it. If a value is invalid, adds a problem for each, sets nothing and returns false.
bool grants_export(const option_values &values, std::vector<std::string> &out_problems);
// Returns a warning for each directory that pods may mount but that does not exist.
std::vector<std::string> grants_missing(const option_values &values);

} // namespace etlnode
