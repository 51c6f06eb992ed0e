// SPDX-License-Identifier: MIT
// etlnode/machine_check.h: what --check-config looks for on this machine, besides the options themselves.
#pragma once

#include "etlnode/settings.h"

namespace etlnode {

// Adds to the problems and warnings of `s`: programs that are missing, addresses that cannot be listened on, folders that cannot be written.
void machine_check(settings &s);

} // namespace etlnode
