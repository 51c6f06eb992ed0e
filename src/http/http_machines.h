// SPDX-License-Identifier: MIT
// http/http_machines.h: the tables of this folder, for documents and metrics.
#pragma once

#include "sm/sm_render.h"

namespace etlnode {

sm_view exchange_machine_view();
sm_view call_machine_view();
sm_view pump_machine_view();

} // namespace etlnode
