// SPDX-License-Identifier: MIT
// role/target/jobs.cc: the target's share of the cluster's jobs: which it does, what it reports, and GET /v1/node/jobs.
//
// Owns     the job host; one failures_request for each page of failures that is being read.
// Knows    job, store, http, control.        Known by  target.cc, document.cc, heartbeat.cc.
// Normal   the document says which jobs there are; the heartbeat says how far those are that are not over in the document.
// Limits   job_failures_page_max.
#include "role/target/copies.h"
#include "role/target/job_names.h"
#include "role/target/rebalance.h"
#include "role/target/shares.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "codec/json.h"
#include "codec/url.h"
#include "control/member_machine.h"
#include "job/job_machine.h"
#include "job/job_report.h"
#include "job/kinds/kinds.h"

namespace etlnode {

// --- what jobs need of the target

static bool next_bucket(void *arg, const std::string &after, std::string &out_bucket)
{
    const target &t = *static_cast<target *>(arg);
    auto at = std::upper_bound(t.document.buckets.begin(), t.document.buckets.end(), after,
        [](const std::string &name, const cluster_bucket &bucket) { return name < bucket.name; });
    if (at == t.document.buckets.end())
        return false;
    out_bucket = at->name;
    return true;
}

// While objects move, one may go past two cursors.
static uint64_t epoch(void *arg)
{
    const cluster_document &document = static_cast<const target *>(arg)->document;
    return placement_is_moving(document.placement) ? 0 : document_epoch(document);
}

static bool is_busy(void *arg)
{
    const target &t = *static_cast<target *>(arg);
    return t.public_server != nullptr && http_server_in_flight(*t.public_server) > 0;
}

// Also those whose transform takes long.
static bool serves_clients(void *arg)
{
    const target &t = *static_cast<target *>(arg);
    return target_serves_clients(t) || (t.transfers != nullptr && transfer_host_clients(*t.transfers) > 0);
}

static void on_change(void *arg)
{
    target &t = *static_cast<target *>(arg);
    if (t.membership != nullptr)
        member_beat_now(*t.membership);
}

void target_begin_jobs(target &t)
{
    job_host_options options;
    options.tools = {.e = t.e,
        .objects = t.objects,
        .next_bucket = next_bucket,
        .epoch = epoch,
        .begin_copy = target_begin_job_copy,
        .stop_copy = target_stop_job_copy,
        .follow = target_job_follow,
        .remove = target_job_remove,
        .is_busy = is_busy,
        .serves_clients = serves_clients,
        .arg = &t};
    options.on_change = on_change;
    options.on_none = target_note_work_ended;
    options.arg = &t;
    t.jobs = job_host_make(*t.e, options);
}

static bool is_external(const std::string &name)
{
    const job_kind *kind = job_kind_find(name);
    return name == rebalance_kind || (kind != nullptr && kind->is_external);
}

void target_sync_jobs(target &t)
{
    t.bucket_moves = document_bucket_moves(t.document);
    if (t.jobs == nullptr || lifecycle_is_draining(t.life))
        return;
    std::vector<job_order> orders;
    for (const cluster_job &job : t.document.jobs) {
        orders.push_back({.id = job.id,
            .kind = job.kind,
            .bucket = job.bucket,
            .prefix = job.prefix,
            .options = job.options,
            .is_cancelled = job.is_cancelled,
            .is_over = job.ended_ns != 0,
            .is_external = is_external(job.kind)});
        if (!orders.back().is_external)
            target_fill_order(t, job, orders.back());
    }
    job_host_sync(*t.jobs, std::move(orders));
    target_sync_archives(t);
    target_sync_shares(t);
    target_rebalance_look(t); // it may have been paused, or may go on
}

// --- the job of the rebalance, which rebalance.cc does

bool target_knows_jobs(const target &t) { return t.jobs != nullptr && job_host_is_loaded(*t.jobs); }

bool target_rebalance_is_paused(const target &t)
{
    const cluster_job *job = document_find_job(t.document, rebalance_job_id(document_epoch(t.document)));
    return job != nullptr && job->is_cancelled;
}

ledger_job target_rebalance_row(const target &t, uint64_t epoch)
{
    std::string id = rebalance_job_id(epoch);
    if (document_find_job(t.document, id) == nullptr)
        return {};
    const ledger_job *known = job_host_find_row(*t.jobs, id);
    ledger_job row = known != nullptr ? *known : ledger_job{};
    row.id = id;
    row.kind = rebalance_kind;
    row.state = job_running;
    row.epoch = epoch;
    if (row.started_ns == 0)
        row.started_ns = clock_wall_ns(*t.e);
    return row;
}

// What the pass, or a share of another job, has in hand is newer than the ledger.
static job_report newest_report(const target &t, job_report report)
{
    if (target_share_report(t, report))
        return report;
    if (t.giving == nullptr || t.giving->row.id != report.row.id)
        return report;
    return {t.giving->row, target_rebalance_is_paused(t) ? "paused" : t.giving->waiting};
}

json_ptr target_job_reports(const target &t, bool with_ended)
{
    json_ptr list = json_array();
    if (t.jobs == nullptr)
        return list;
    for (const job_report &report : job_host_reports(*t.jobs)) {
        const cluster_job *job = document_find_job(t.document, report.row.id);
        if (job != nullptr && (with_ended || job->ended_ns == 0))
            json_append(list.get(), job_report_print(newest_report(t, report)));
    }
    return list;
}

// --- GET /v1/node/jobs

static void serve_jobs(target &t, exchange &x, const route_match &match)
{
    std::string none;
    if (!target_admit_peer(t, x, match, none))
        return;
    json_ptr list = target_job_reports(t, true);
    exchange_answer_json(x, list.get());
}

// --- GET /v1/node/jobs/{id}/failures

struct failures_request {
    target *t;
    exchange *x;
};

static void on_failures(void *arg, error err, std::vector<ledger_failure> failures)
{
    failures_request request = *static_cast<failures_request *>(arg);
    delete static_cast<failures_request *>(arg);
    if (err) {
        exchange_answer_error(*request.x, err.code, std::string("the ledger could not be read: ") + error_text(err));
    } else {
        json_ptr list = json_array();
        for (const ledger_failure &failure : failures)
            json_append(list.get(), job_failure_print(failure));
        exchange_answer_json(*request.x, list.get());
    }
    open_count_end(request.t->requests);
}

static void serve_failures(target &t, exchange &x, const route_match &match)
{
    std::string id;
    if (!target_admit_peer(t, x, match, id))
        return;
    std::string bucket, name, text;
    uint64_t count = job_failures_page_max;
    std::string_view query = exchange_head(x).query;
    (void)url_query_get(query, "after_bucket", bucket);
    (void)url_query_get(query, "after_name", name);
    if (url_query_get(query, "count", text) && (!text_parse_u64(text, count) || count == 0 || count > job_failures_page_max)) {
        exchange_answer_error(x, error_code::bad_request, "count: expected a number up to " + std::to_string(job_failures_page_max));
        return;
    }
    open_count_begin(t.requests);
    ledger_failures(*t.e, id, bucket, name, static_cast<size_t>(count), on_failures, new failures_request{&t, &x});
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/node/jobs", serve_jobs, "its share of each job: state and counts"),
    ROUTE("GET", "/v1/node/jobs/{id}/failures", serve_failures,
        "what failed of a job, in order of names; `?after_bucket=`, `?after_name=`, `?count=`"),
};
extern constinit const std::span<const route> target_job_routes = rows;

} // namespace etlnode
