// SPDX-License-Identifier: MIT
// etlnode/grants.h: what pods of kubectl-local may have of this machine, handed on to it.
#pragma once

#include <string>
#include <vector>

#include "etlnode/options.h"

namespace etlnode {

// Puts --allow-host-path and --allow-host-network where kubectl-local, a child of this process, finds them: a pod's own spec cannot. False,
// with one more of `out_problems` for each: values that are none; then nothing is put anywhere.
bool grants_hand_on(const option_values &values, std::vector<std::string> &out_problems);
// Directories that pods may mount and that are not there: a warning each.
std::vector<std::string> grants_missing(const option_values &values);

} // namespace etlnode
