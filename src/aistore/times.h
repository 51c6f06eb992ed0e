// SPDX-License-Identifier: MIT
// aistore/times.h: times in the formats that AIStore's clients read.
#pragma once

#include <cstdint>
#include <string>

namespace etlnode {

// "2026-01-02 03:04:05" for nanoseconds since 1970; with `rfc3339` "2026-01-02T03:04:05Z".
std::string times_utc_text(uint64_t wall_ns, bool rfc3339);
// The header lines that show uptime in nanoseconds.
std::string times_uptime_headers(uint64_t node_ms, uint64_t cluster_ms);

} // namespace etlnode
