// SPDX-License-Identifier: MIT
// app/grants.h: what pods of kubectl-local may have of this machine, handed on to it.
#pragma once

#include <string>

#include "app/options.h"

// Puts --allow-host-path and --allow-host-network where kubectl-local, a child of this process, finds them: a pod's own spec cannot. False with
// `out_reason`: a value that is none.
bool grants_hand_on(const option_values &values, std::string &out_reason);
