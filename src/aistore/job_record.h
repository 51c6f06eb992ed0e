// SPDX-License-Identifier: MIT
// aistore/job_record.h: jobs as AIStore's clients read them ("xactions"): the status of a job, and a target's snapshot of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "codec/json.h"
#include "control/document.h"

namespace etlnode {

// {"kind","uuid","err","end_time","aborted"}
json_ptr job_record_status(const cluster_job &job);
// "kind[id]"
std::string job_record_name(const cluster_job &job);

// Whether clients still find it among the running ones: AIStore's jobs over lists idle for a while before they end, and its clients wait
// for that.
bool job_record_is_shown_running(const cluster_job &job, uint64_t now_ns);

// One target's share.
struct job_snapshot {
    uint64_t started_ns = 0, ended_ns = 0;
    uint64_t objects = 0, bytes = 0;
    std::string_view error;
};
json_ptr job_record_snapshot(const cluster_job &job, const job_snapshot &share);

// What a client asks for: {"id","kind","bck","show_active"}; the fields of start and stop are a superset of it.
struct job_query {
    std::string id, kind, bucket;
    bool is_active_asked = false; // only those that run, or only those that do not
    bool is_active = false;
};
// What is wrong with the fields of a query, or of the value of start and stop; empty: nothing. `path` leads to it in the body.
std::string job_query_misfit(const cJSON *tree, std::string_view path);
// An absent tree asks for everything.
job_query job_query_read(const cJSON *tree);
bool job_query_matches(const job_query &query, const cluster_job &job);
// The kind's own name for one of its aliases.
std::string_view job_kind_canonical(std::string_view kind);
// AIStore's housekeeping, which is done here all the time: such a job ends at once.
bool job_kind_ends_at_once(std::string_view kind);

} // namespace etlnode
