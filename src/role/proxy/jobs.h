// SPDX-License-Identifier: MIT
// role/proxy/jobs.h: the cluster's jobs at the proxy, for the files of this folder.
#pragma once

#include <string>
#include <vector>

#include "job/job_report.h"
#include "role/proxy/request.h"

namespace etlnode {

// One job, summed up over its targets.
struct proxy_job_sum {
    bool is_over = false; // every target that counts says so
    std::string state;    // "running", "cancelling"; of one that is over: "done", "cancelled", "failed"
    uint64_t done = 0, skipped = 0, failed = 0, bytes = 0;
    std::string error;
    std::string waiting; // what it waits for; empty: nothing
};
proxy_job_sum proxy_job_sum_up(const proxy &p, const cluster_job &job);
// What the target said last about the job; null if nothing.
const job_report *proxy_job_report(const proxy_target &target, std::string_view id);
// A target has reported, or the document has changed: jobs that are over are stored as that.
void proxy_jobs_settle(proxy &p);

// Its jobs end with an ETL that is stopped.
void proxy_jobs_end_with_etl(cluster_document &next, std::string_view etl);
// Likewise with a bucket that is destroyed, whether they read it or fill it.
void proxy_jobs_end_with_bucket(cluster_document &next, std::string_view bucket);

// For document_queue.amend: a rebalance begins and ends with the epoch in which objects move.
void proxy_jobs_follow_placement(void *arg, cluster_document &next);
// The rebalance of the epoch in force, if there is one, does not wait for damaged objects of this target. Nor do those that go on with it,
// until the target is placed again.
void proxy_job_leave_damaged(proxy &p, cluster_document &next, const std::string &target);

// job_calls.cc: gives the job an id and adds it to the document; or says that as many run as may run.
error proxy_job_admit(proxy &p, cluster_document &next, cluster_job &job);
// The answer to its start: its id, or why the document could not be changed.
void proxy_job_answer_start(proxy_request &r, const cluster_job &job, error err);

// job_calls.cc: AIStore's calls. True: the request was theirs, and has been taken over.
bool proxy_job_query(proxy &p, exchange &x, std::string_view what);
bool proxy_job_action(proxy &p, exchange &x, std::string_view action, const cJSON *value);

} // namespace etlnode
