// SPDX-License-Identifier: MIT
// role/shared/daemon.h: GET /v1/daemon?what=..., the same on both roles.
#pragma once

#include "aistore/node_status.h"
#include "http/server/exchange.h"

namespace etlnode {

// A document of version 0 is "not ready".
void daemon_serve(exchange &x, const node_facts &facts);

} // namespace etlnode
