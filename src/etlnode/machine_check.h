// SPDX-License-Identifier: MIT
// etlnode/machine_check.h: the checks of --check-config on this machine, beyond the options themselves.
#pragma once

#include "etlnode/settings.h"

namespace etlnode {

// Adds to the problems and warnings of `s`: missing programs, addresses that cannot be bound, folders that cannot be written.
void machine_check(settings &s);

} // namespace etlnode
