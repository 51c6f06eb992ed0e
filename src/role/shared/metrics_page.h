// SPDX-License-Identifier: MIT
// role/shared/metrics_page.h: the families of /metrics that both roles show.
#pragma once

#include <string_view>

#include "http/server/exchange.h"
#include "role/shared/metrics.h"
#include "role/shared/node.h"

namespace etlnode {

// The samples of a family must be adjacent in a page, so all servers are passed at once.
struct metrics_server {
    const char *name;
    const http_server *server; // may be null
};
void metrics_add_node(
    metrics_text &text, const node_options &options, std::string_view id, const char *role, bool ready, uint64_t uptime_ms);
void metrics_add_servers(metrics_text &text, const metrics_server *servers, size_t count);
void metrics_add_machines(metrics_text &text);

} // namespace etlnode
