// SPDX-License-Identifier: MIT
// role/shared/role_machines.h: the list of every state machine of the node, for /metrics and for docs/machines/.
#pragma once

#include <vector>

#include "sm/sm_render.h"

namespace etlnode {

std::vector<sm_view> machines_all();

} // namespace etlnode
