// SPDX-License-Identifier: MIT
// transfer/transfer_machines.h: the tables of this folder, for documents and metrics.
#pragma once

#include "sm/sm_render.h"

namespace etlnode {

sm_view answer_check_machine_view();
sm_view transfer_machine_view();

} // namespace etlnode
