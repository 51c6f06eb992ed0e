// SPDX-License-Identifier: MIT
// job/download_order.h: what a job of the kind "download" fetches, and under which names. Pure.
//
// Options: "objnames", a list of [NAME, LINK], or "template" with "subdir"; "timeout_ms" for one object, "connections" of each target,
// "bytes_per_hour" of the cluster, "description". As with all jobs, a long list stands beside the document (role/proxy/job_names.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"

namespace etlnode {

inline constexpr const char *download_kind = "download";

struct download_name {
    std::string name; // of the object
    std::string link;
};

struct download_order {
    std::vector<download_name> names; // by name; each once
    uint64_t timeout_ms = 0;          // 0: none
    uint64_t connections = 0;         // 0: as many as the target likes
    uint64_t bytes_per_hour = 0;      // 0: no limit
    std::string description;
};

// What is wrong with a job's options; empty: nothing.
std::string download_order_read(const cJSON *options, download_order &out_order);
// The options of a job for AIStore's body of POST /v1/download. Returns what is wrong with it; empty: nothing. `out_is_missing`: it asks
// for something that is not done here.
std::string download_options_of(const cJSON *body, json_ptr &out_options, bool &out_is_missing);
// How many objects there are, as the proxy has noted it ("objnames_count").
uint64_t download_count(const cJSON *options);

} // namespace etlnode
