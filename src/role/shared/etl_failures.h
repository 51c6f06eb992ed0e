// SPDX-License-Identifier: MIT
// role/shared/etl_failures.h: the most recent failed reads through an ETL on this target, with the object and the reason.
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
    int status = 0;     // of the failure; the client saw it unless its answer had begun
    std::string text;   // at most failure_text_max bytes
    std::string request_id;
    bool was_cut = false; // part of the answer had been sent to the client
};

struct etl_failure_list {
    uint64_t count = 0;           // all failures since this node started
    std::deque<etl_failure> last; // at most failures_kept_max, oldest first
};
using etl_failures = std::map<std::string, etl_failure_list, std::less<>>; // by ETL id

void etl_failures_add(etl_failures &failures, const std::string &etl_id, etl_failure failure);
// {"count":N,"errors":[{"time","object","status","text","request_id","cut"}]}, oldest first. Times are nanoseconds, as text.
json_ptr etl_failures_json(const etl_failures &failures, const std::string &etl_id);

} // namespace etlnode
