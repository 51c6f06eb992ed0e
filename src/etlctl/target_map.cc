// SPDX-License-Identifier: MIT
// etlctl/target_map.cc: reads the cluster map, and chooses targets as the proxy does (control/placement.h).
#include "etlctl/target_map.h"

#include <ctime>

#include "base/text.h"
#include "control/placement.h"
#include "etlctl/commands.h"
#include "etlctl/name.h"
#include "node/api.h"

namespace etlnode::etlctl {

static constexpr uint64_t age_max_ms = 10'000;            // as long as it takes until a target counts as silent
static constexpr uint64_t not_placed = 1u << 2 | 1u << 3; // flags of a target that holds no objects, or is to hold none

void target_map_fetch(session &s, target_map &out_map)
{
    out_map = target_map{};
    out_map.fetched_ms = session_clock_ms();
    json_ptr tree;
    http_request request = session_request(s, "GET", session_url(s, std::string(path_daemon) + "?what=smap"), control_timeout_ms);
    if (fetch_json(s, request, "cannot read the cluster map", {}, cJSON_Object, tree))
        return;
    out_map.proxy_id = json_text(json_get(tree.get(), "proxy_si"), "daemon_id");
    const cJSON *target = nullptr;
    cJSON_ArrayForEach(target, json_get(tree.get(), "tmap"))
    {
        std::string url;
        std::string why;
        if ((json_u64(target, "flags", 0) & not_placed) != 0)
            continue;
        if (!name_parse_endpoint(json_text(json_get(target, "public_net"), "direct_url"), url, why))
            url.clear(); // requests for its objects go through the proxy
        out_map.urls.push_back(url);
        out_map.digests.push_back(placement_digest(json_text(target, "daemon_id")));
    }
}

void target_map_refresh(session &s, target_map &map)
{
    if (session_clock_ms() - map.fetched_ms >= age_max_ms)
        target_map_fetch(s, map);
}

std::string target_map_url(const target_map &map, std::string_view bucket, std::string_view object)
{
    if (map.proxy_id.empty())
        return {};
    size_t at = placement_choose(placement_uname_digest(bucket, object), map.digests, {});
    return at < map.urls.size() ? map.urls[at] : std::string();
}

std::string target_map_query(const target_map &map)
{
    struct timespec now = {};
    clock_gettime(CLOCK_REALTIME, &now);
    return text_format("pid=%s&utm=%lld%09ld", map.proxy_id.c_str(), static_cast<long long>(now.tv_sec), now.tv_nsec);
}

} // namespace etlnode::etlctl
