// SPDX-License-Identifier: MIT
// etlctl/target_map.h: which target holds an object, from the cluster map, so that requests for many objects need not pass the proxy.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "etlctl/session.h"

namespace etlnode::etlctl {

struct target_map {
    std::string proxy_id;
    std::vector<std::string> urls;
    std::vector<uint64_t> digests;
    uint64_t fetched_ms = 0;
};

// Leaves the map empty if the server has none.
void target_map_fetch(session &s, target_map &out_map);
// Fetches it again if it is old. Objects move only when an operator changes the cluster, and then a target sends requests on.
void target_map_refresh(session &s, target_map &map);
// The URL of the target that holds the object; empty if it is not known.
std::string target_map_url(const target_map &map, std::string_view bucket, std::string_view object);
// "pid=...&utm=...", which a target wants with a request that changes an object.
std::string target_map_query(const target_map &map);

} // namespace etlnode::etlctl
