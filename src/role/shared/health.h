// SPDX-License-Identifier: MIT
// role/shared/health.h: /v1/health, the same on both roles.
#pragma once

#include <cstdint>
#include <string>

#include "codec/json.h"
#include "http/server/exchange.h"

namespace etlnode {

struct health_state {
    bool is_primary = false; // the proxy
    bool ready = false;
    bool draining = false;
    std::string not_ready_text = "starting";
    const cJSON *details = nullptr; // the answer of a ready node to ?readiness=true; null: nothing
    uint64_t node_uptime_ms = 0;
    uint64_t cluster_uptime_ms = 0;
};
void health_serve(exchange &x, const health_state &state);

} // namespace etlnode
