// SPDX-License-Identifier: MIT
// role/shared/etl_failures.h: the last reads through an ETL that failed on this target, for whoever asks what went wrong with which object.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "codec/json.h"

namespace etlnode {

struct etl_failure {
    uint64_t wall_ns = 0;
    std::string object; // "ais://b/o"
    int status = 0;     // that the failure has; what the client saw, unless it had been answered in part
    std::string text;   // at most failure_text_max bytes
    std::string request_id;
    bool was_cut = false; // the client had been answered in part
};

struct etl_failure_list {
    uint64_t count = 0;           // all of them, since this node started
    std::deque<etl_failure> last; // failures_kept_max at most, oldest first
};
using etl_failures = std::map<std::string, etl_failure_list, std::less<>>; // by ETL id

void etl_failures_add(etl_failures &failures, const std::string &etl_id, etl_failure failure);
// {"count":N,"errors":[{"time","object","status","text","request_id","cut"}]}, oldest first; time in nanoseconds, as a text.
json_ptr etl_failures_json(const etl_failures &failures, const std::string &etl_id);

} // namespace etlnode
