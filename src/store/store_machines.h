// SPDX-License-Identifier: MIT
// store/store_machines.h: the tables of this folder, for documents and metrics.
#pragma once

#include "sm/sm_render.h"

namespace etlnode {

sm_view put_machine_view();
sm_view load_machine_view();
sm_view housekeeping_machine_view();
sm_view summer_machine_view();
sm_view open_machine_view();
sm_view interim_machine_view();

} // namespace etlnode
