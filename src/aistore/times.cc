// SPDX-License-Identifier: MIT
// aistore/times.cc: prints times as AIStore does.
//
// Knows    codec.            Known by  health, the proxy's handlers.
#include "aistore/times.h"

#include <ctime>

#include "codec/http_write.h"
#include "node/api.h"

namespace etlnode {

std::string times_utc_text(uint64_t wall_ns, bool rfc3339)
{
    time_t seconds = static_cast<time_t>(wall_ns / 1'000'000'000);
    tm parts{};
    gmtime_r(&seconds, &parts);
    char text[32];
    size_t size = strftime(text, sizeof text, rfc3339 ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%d %H:%M:%S", &parts);
    return std::string(text, size);
}

std::string times_uptime_headers(uint64_t node_ms, uint64_t cluster_ms)
{
    std::string headers;
    http_write_header_u64(headers, header_cluster_uptime, cluster_ms * 1'000'000);
    http_write_header_u64(headers, header_node_uptime, node_ms * 1'000'000);
    return headers;
}

} // namespace etlnode
