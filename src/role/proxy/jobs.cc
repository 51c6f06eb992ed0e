// SPDX-License-Identifier: MIT
// role/proxy/jobs.cc: what has become of the cluster's jobs, and /v1/jobs.
//
// Knows    control, job, broadcast.        Known by  register.cc, document.cc, job_calls.cc, routes.cc.
// Normal   targets report in their heartbeats; when all of them say that a job is over, the document says so, with the sums.
// Fails    a target that is silent is waited for; it resumes when it returns. One that was taken out does not count.
// Limits   job_kept_max, job_keep_ms, job_failures_page_max.
#include "role/proxy/jobs.h"

#include <algorithm>
#include <tuple>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/json.h"
#include "codec/url.h"
#include "control/bucket_moves.h"
#include "job/archive_order.h"
#include "job/download_order.h"
#include "job/job_machine.h"
#include "job/promote_order.h"
#include "port/clock.h"
#include "role/proxy/job_names.h"

namespace etlnode {

static constexpr size_t error_size_max = 1000; // the document takes a little more

// --- sums

const job_report *proxy_job_report(const proxy_target &target, std::string_view id)
{
    for (const job_report &report : target.jobs) {
        if (report.row.id == id)
            return &report;
    }
    return nullptr;
}

static void add_report(proxy_job_sum &sum, const std::string &target, const job_report &report)
{
    const ledger_job &row = report.row;
    sum.done += row.done;
    sum.skipped += row.skipped;
    sum.failed += row.failed;
    sum.bytes += row.bytes;
    if (!report.waiting.empty())
        sum.waiting = "target " + target + ": " + report.waiting;
    if (sum.error.empty() && !row.error.empty())
        sum.error = text_cut("target " + target + ": " + row.error, error_size_max);
    if (row.state == job_failed || (row.state == job_cancelled && sum.state != job_failed))
        sum.state = row.state;
}

static void sum_up_ended(proxy_job_sum &sum, const cluster_job &job)
{
    sum.is_over = true;
    sum.state = job.state;
    sum.done = job.done;
    sum.skipped = job.skipped;
    sum.failed = job.failed;
    sum.bytes = job.bytes;
    sum.error = job.error;
}

// An archive is made by one target, and the others end at once. That one is needed even while it is being emptied. False: it is gone, so
// that nothing is made.
static bool add_maker(const proxy &p, const cluster_job &job, std::vector<broadcast_peer> &peers, std::string &out_maker)
{
    json_ptr options;
    std::string where;
    (void)json_parse(job.options, options, where); // the document holds none but JSON
    out_maker = json_text(options.get(), "at");
    for (const broadcast_peer &peer : peers) {
        if (peer.id == out_maker)
            return true;
    }
    const cluster_node *node = document_find_node(proxy_document(p), out_maker);
    if (node == nullptr || proxy_target_is_silent(p, out_maker))
        return false;
    peers.push_back({node->id, node->url});
    return true;
}

static void fail_without_maker(proxy_job_sum &sum, const std::string &maker)
{
    sum.state = job_failed;
    if (sum.error.empty())
        sum.error = "target " + maker + ", which made the archive, has left the cluster: begin the job again";
}

// Of a job that brings objects in, a target's share is what it owns (role/target/shares.cc): it counts as done only in the placement in
// force.
static bool is_outdated(const proxy &p, const cluster_job &job, const ledger_job &row)
{
    bool is_shared_out = job.kind == download_kind || job.kind == promote_kind;
    return is_shared_out && row.state == job_done && row.pass != document_epoch(proxy_document(p)) + 1;
}

proxy_job_sum proxy_job_sum_up(const proxy &p, const cluster_job &job)
{
    proxy_job_sum sum;
    if (job.ended_ns != 0) {
        sum_up_ended(sum, job);
        return sum;
    }
    sum.state = job_done;
    std::vector<broadcast_peer> peers = proxy_needed_peers(p);
    sum.is_over = !peers.empty() && job.kind != rebalance_kind;
    std::string maker;
    bool is_lost = job.kind == archive_kind && !job.is_cancelled && !add_maker(p, job, peers, maker);
    for (const broadcast_peer &peer : peers) {
        auto target = p.targets.find(peer.id);
        const job_report *report = target != p.targets.end() ? proxy_job_report(target->second, job.id) : nullptr;
        if (report != nullptr)
            add_report(sum, peer.id, *report);
        bool has_ended = report != nullptr && report->row.ended_ns != 0 && !is_outdated(p, job, report->row);
        if (!has_ended && proxy_target_is_silent(p, peer.id))
            sum.waiting = "target " + peer.id + " is silent";
        sum.is_over = sum.is_over && has_ended;
    }
    if (sum.is_over && is_lost)
        fail_without_maker(sum, maker);
    if (!sum.is_over)
        sum.state = !job.is_cancelled ? job_running : job.kind == rebalance_kind ? "paused" : "cancelling";
    return sum;
}

// --- the end of a job

// A long list of names is not kept beyond the end.
static void shed_list(cluster_job &job)
{
    if (job.options.size() <= job_kept_options_size_max)
        return;
    json_ptr options;
    std::string where;
    (void)json_parse(job.options, options, where); // the document holds none but JSON
    int count = cJSON_GetArraySize(json_get(options.get(), "objnames"));
    cJSON_DeleteItemFromObject(options.get(), "objnames");
    json_add_u64(options.get(), "objnames_count", static_cast<uint64_t>(count));
    job.options = json_print(options.get());
}

static void end_job(proxy &p, cluster_job &job, const proxy_job_sum &sum, uint64_t now_ns)
{
    job.ended_ns = std::max<uint64_t>(now_ns, 1);
    job.state = sum.state;
    job.done = sum.done;
    job.skipped = sum.skipped;
    job.failed = sum.failed;
    job.bytes = sum.bytes;
    if (job.state != job_cancelled || !sum.error.empty()) // otherwise it says already why
        job.error = sum.error;
    shed_list(job);
    if (!job.names.empty())
        p.names.over.push_back(std::move(job.names));
    job.names.clear();
    LOG(info, "job", "job=%s kind=%s state=%s done=%llu skipped=%llu failed=%llu msg=\"the job is over on all targets\"", job.id.c_str(),
        text_escape(job.kind).c_str(), job.state.c_str(), static_cast<unsigned long long>(job.done),
        static_cast<unsigned long long>(job.skipped), static_cast<unsigned long long>(job.failed));
}

// --- the option "leave_damaged" of a rebalance: targets whose damaged objects it does not wait for

static std::vector<std::string> leaving_of(const cluster_document &document, const cluster_job &job)
{
    std::vector<std::string> ids;
    json_ptr options;
    std::string where;
    if (json_parse(job.options, options, where))
        return ids;
    const cJSON *one = nullptr;
    const cJSON *list = json_get(options.get(), "leave_damaged");
    cJSON_ArrayForEach(one, list)
    {
        const cluster_node *node = cJSON_IsString(one) ? document_find_node(document, one->valuestring) : nullptr;
        if (node != nullptr && !cluster_node_is_placed(*node))
            ids.push_back(node->id);
    }
    return ids;
}

static std::string leaving_options(const std::vector<std::string> &ids)
{
    json_ptr options = json_object();
    cJSON *list = ids.empty() ? nullptr : json_add_array(options.get(), "leave_damaged");
    for (const std::string &id : ids)
        json_append_text(list, id);
    return json_print(options.get());
}

void proxy_job_leave_damaged(proxy &p, cluster_document &next, const std::string &target)
{
    proxy_jobs_follow_placement(&p, next); // the job of a new epoch
    cluster_job *job = document_find_job(next, rebalance_job_id(next.placement.epoch));
    if (job == nullptr || job->ended_ns != 0)
        return;
    std::vector<std::string> ids = leaving_of(next, *job);
    if (std::find(ids.begin(), ids.end(), target) == ids.end())
        ids.push_back(target);
    job->options = leaving_options(ids);
}

void proxy_jobs_follow_placement(void *arg, cluster_document &next)
{
    proxy &p = *static_cast<proxy *>(arg);
    uint64_t now_ns = clock_wall_ns(*p.e);
    bool is_moving = placement_is_moving(next.placement);
    std::string id = rebalance_job_id(next.placement.epoch);
    std::string options = "{}";
    for (cluster_job &job : next.jobs) {
        if (job.kind != rebalance_kind || job.ended_ns != 0 || job.id == id)
            continue;
        proxy_job_sum sum = proxy_job_sum_up(p, job);
        sum.state = is_moving ? job_cancelled : job_done;
        sum.error = is_moving ? id + " goes on with it: the placement has changed again" : std::string();
        end_job(p, job, sum, now_ns);
        options = leaving_options(leaving_of(next, job));
    }
    if (!is_moving || document_find_job(next, id) != nullptr)
        return;
    document_prune_jobs(next, now_ns);
    cluster_job job;
    job.id = std::move(id);
    job.kind = rebalance_kind;
    job.options = std::move(options);
    job.creator = "placement";
    job.created_ns = now_ns;
    next.jobs.push_back(std::move(job));
}

static void cancel(cluster_job &job, std::string why)
{
    if (job.is_cancelled)
        return;
    job.is_cancelled = true;
    job.error = std::move(why);
}

static json_ptr options_of(const cluster_job &job)
{
    json_ptr options;
    std::string where;
    if (json_parse(job.options, options, where))
        options = json_object(); // document_jobs_parse accepts none but JSON
    return options;
}

static bool uses_etl(const cJSON *options, std::string_view etl)
{
    bool is_used = json_text(options, "etl") == etl;
    const cJSON *stage = nullptr;
    cJSON_ArrayForEach(stage, json_get(options, "pipeline")) { is_used = is_used || (cJSON_IsString(stage) && etl == stage->valuestring); }
    return is_used;
}

void proxy_jobs_end_with_etl(cluster_document &next, std::string_view etl)
{
    for (cluster_job &job : next.jobs) {
        if (job.ended_ns == 0 && uses_etl(options_of(job).get(), etl))
            cancel(job, "etl job " + std::string(etl) + " was stopped meanwhile");
    }
}

// Otherwise what is gone would count as skipped or failed, and a new bucket of that name would be filled from the middle of the job.
void proxy_jobs_end_with_bucket(cluster_document &next, std::string_view bucket)
{
    for (cluster_job &job : next.jobs) {
        if (job.ended_ns == 0 && (job.bucket == bucket || json_text(options_of(job).get(), "to") == bucket))
            cancel(job, "bucket ais://" + std::string(bucket) + " was removed meanwhile");
    }
}

// Every object is durable under the new name, and nothing was written since: the former bucket goes in the same change.
static void finish_move(proxy &p, cluster_document &next, cluster_job &job)
{
    if (job.state != job_done)
        return;
    if (std::string why = bucket_move_obstacle(next, job); !why.empty()) {
        job.error = "ais://" + job.bucket + " stays: " + why;
        return;
    }
    document_forget_destroyed(next, proxy_held_by_all(p));
    document_destroy_bucket(next, job.bucket, next.version + 1);
    p.bucket_versions.erase(job.bucket);
}

static error apply_ended(void *arg, cluster_document &next)
{
    proxy &p = *static_cast<proxy *>(arg);
    uint64_t now_ns = clock_wall_ns(*p.e);
    p.names.over.clear();
    bool is_changed = document_prune_jobs(next, now_ns);
    for (cluster_job &job : next.jobs) {
        proxy_job_sum sum = job.ended_ns == 0 ? proxy_job_sum_up(p, job) : proxy_job_sum{};
        if (!sum.is_over)
            continue;
        is_changed = true;
        end_job(p, job, sum, now_ns);
        if (job.kind == bucket_move_kind)
            finish_move(p, next, job);
    }
    return is_changed ? no_error : make_error(error_code::not_found);
}

static void on_ended(void *arg, error err)
{
    proxy &p = *static_cast<proxy *>(arg);
    p.is_settling_jobs = false;
    std::vector<std::string> over = std::move(p.names.over);
    p.names.over.clear();
    for (const std::string &key : over) {
        if (!err)
            proxy_names_drop(p, key);
    }
    if (!err)
        proxy_jobs_settle(p); // others may have ended meanwhile
}

void proxy_jobs_settle(proxy &p)
{
    if (p.is_settling_jobs || lifecycle_is_closing(p.life))
        return;
    bool is_needed = false;
    for (const cluster_job &job : proxy_document(p).jobs)
        is_needed = is_needed || (job.ended_ns == 0 && proxy_job_sum_up(p, job).is_over);
    if (!is_needed)
        return;
    p.is_settling_jobs = true;
    document_queue_add(p.documents, {.apply = apply_ended, .on_done = on_ended, .arg = &p});
}

// --- GET /v1/jobs, GET /v1/jobs/{id}

static json_ptr share_json(const std::string &target, const job_report &report)
{
    json_ptr tree = job_report_print(report);
    cJSON_DeleteItemFromObject(tree.get(), "id");
    cJSON_DeleteItemFromObject(tree.get(), "kind");
    json_add_text(tree.get(), "target", target);
    return tree;
}

// How many names a job of the whole cluster has, as far as is known. A job of a part does not know.
static bool count_objects(const proxy &p, const cluster_job &job, uint64_t &out_total)
{
    out_total = 0;
    if (!job.bucket.empty())
        return false;
    for (const broadcast_peer &peer : proxy_needed_peers(p)) {
        auto target = p.targets.find(peer.id);
        if (target == p.targets.end() || !target->second.is_count_known)
            return false;
        out_total += target->second.object_count;
    }
    return true;
}

static json_ptr job_json(const proxy &p, const cluster_job &job)
{
    proxy_job_sum sum = proxy_job_sum_up(p, job);
    json_ptr tree = json_object();
    json_add_text(tree.get(), "id", job.id);
    json_add_text(tree.get(), "kind", job.kind);
    json_add_text(tree.get(), "state", sum.is_over && job.ended_ns == 0 ? job_running : sum.state);
    json_add_text(tree.get(), "bucket", job.bucket);
    json_add_text(tree.get(), "prefix", job.prefix);
    json_add_tree(tree.get(), "options", options_of(job));
    json_add_text(tree.get(), "creator", job.creator);
    json_add_u64_text(tree.get(), "created_ns", job.created_ns);
    json_add_u64_text(tree.get(), "ended_ns", job.ended_ns);
    uint64_t until_ns = job.ended_ns != 0 ? job.ended_ns : clock_wall_ns(*p.e);
    json_add_u64(tree.get(), "age_ms", until_ns > job.created_ns ? (until_ns - job.created_ns) / 1'000'000 : 0);
    json_add_u64(tree.get(), "done", sum.done);
    json_add_u64(tree.get(), "skipped", sum.skipped);
    json_add_u64(tree.get(), "failed", sum.failed);
    json_add_u64(tree.get(), "bytes", sum.bytes);
    uint64_t total = 0;
    if (job.ended_ns == 0 && count_objects(p, job, total))
        json_add_u64(tree.get(), "total", total);
    json_add_text(tree.get(), "error", sum.error);
    json_add_text(tree.get(), "waiting", sum.waiting);
    return tree;
}

static void serve_list(proxy &p, exchange &x, const route_match &)
{
    json_ptr tree = json_object();
    cJSON *list = json_add_array(tree.get(), "jobs");
    for (const cluster_job &job : proxy_document(p).jobs)
        json_append(list, job_json(p, job));
    exchange_answer_json(x, tree.get());
}

struct job_request : proxy_request {
    std::string id;
    std::string after_bucket, after_name;
    uint64_t count = 0;
};

static void fail_unknown(job_request &r) { proxy_request_fail(r, error_code::not_found, "there is no job \"" + text_escape(r.id) + "\""); }

// The answers are newer than the last heartbeats.
static void on_shares(job_request &r, std::vector<broadcast_answer> answers)
{
    proxy &p = *r.p;
    json_ptr shares = json_array();
    json_ptr missing = json_array();
    for (const broadcast_answer &answer : answers) {
        json_ptr tree;
        std::string where;
        std::vector<job_report> reports;
        if (!broadcast_succeeded(answer) || json_parse(answer.body, tree, where) || !job_reports_parse(tree.get(), reports)) {
            json_append_text(missing.get(), answer.id);
            continue;
        }
        auto target = p.targets.find(answer.id);
        for (const job_report &report : reports) {
            if (report.row.id == r.id)
                json_append(shares.get(), share_json(answer.id, report));
        }
        if (target != p.targets.end())
            target->second.jobs = std::move(reports);
    }
    proxy_jobs_settle(p);
    const cluster_job *job = document_find_job(proxy_document(p), r.id);
    if (job == nullptr) {
        fail_unknown(r);
        return;
    }
    json_ptr tree = job_json(p, *job);
    json_add_tree(tree.get(), "targets", std::move(shares));
    json_add_tree(tree.get(), "missing", std::move(missing));
    proxy_request_answer_json(r, tree.get());
}

static bool read_id(proxy &p, exchange &x, const route_match &match, job_request *&out_request)
{
    std::string id;
    if (!route_decode_arg(x, match.args[0], "job id", id))
        return false;
    job_request &r = proxy_request_make<job_request>(p, x);
    r.id = std::move(id);
    out_request = &r;
    if (document_find_job(proxy_document(p), r.id) != nullptr)
        return true;
    fail_unknown(r);
    return false;
}

static void serve_show(proxy &p, exchange &x, const route_match &match)
{
    job_request *r = nullptr;
    if (!read_id(p, x, match, r))
        return;
    broadcast_request asked;
    asked.target = "/v1/node/jobs";
    asked.deadline_ms = etl_status_timeout_ms;
    proxy_request_broadcast<on_shares>(*r, proxy_speaking_peers(p), asked);
}

// --- GET /v1/jobs/{id}/failures

struct named_failure {
    std::string target;
    ledger_failure failure;
};

static json_ptr failure_json(const named_failure &one)
{
    json_ptr tree = job_failure_print(one.failure);
    json_add_text(tree.get(), "target", one.target);
    return tree;
}

static void on_failures(job_request &r, std::vector<broadcast_answer> answers)
{
    std::vector<named_failure> all;
    json_ptr missing = json_array();
    bool has_more = false;
    for (const broadcast_answer &answer : answers) {
        json_ptr tree;
        std::string where;
        if (!broadcast_succeeded(answer) || json_parse(answer.body, tree, where) || !cJSON_IsArray(tree.get())) {
            json_append_text(missing.get(), answer.id);
            continue;
        }
        const cJSON *item = nullptr;
        cJSON_ArrayForEach(item, tree.get())
        {
            named_failure one = {answer.id, {}};
            if (job_failure_parse(item, one.failure))
                all.push_back(std::move(one));
        }
        has_more = has_more || static_cast<uint64_t>(cJSON_GetArraySize(tree.get())) >= r.count;
    }
    for (const cluster_node &node : proxy_document(*r.p).nodes) {
        if (node.is_target && proxy_target_is_silent(*r.p, node.id))
            json_append_text(missing.get(), node.id);
    }
    std::stable_sort(all.begin(), all.end(), [](const named_failure &a, const named_failure &b) {
        return std::tie(a.failure.bucket, a.failure.name) < std::tie(b.failure.bucket, b.failure.name);
    });
    has_more = has_more || all.size() > r.count;
    if (all.size() > r.count)
        all.resize(static_cast<size_t>(r.count));
    json_ptr tree = json_object();
    cJSON *list = json_add_array(tree.get(), "failures");
    for (const named_failure &one : all)
        json_append(list, failure_json(one));
    json_add_tree(tree.get(), "missing", std::move(missing));
    json_add_bool(tree.get(), "more", has_more && !all.empty());
    proxy_request_answer_json(r, tree.get());
}

static void serve_failures(proxy &p, exchange &x, const route_match &match)
{
    job_request *r = nullptr;
    if (!read_id(p, x, match, r))
        return;
    std::string_view query = exchange_head(x).query;
    std::string text;
    (void)url_query_get(query, "after_bucket", r->after_bucket);
    (void)url_query_get(query, "after_name", r->after_name);
    r->count = job_failures_page_max;
    if (url_query_get(query, "count", text) && (!text_parse_u64(text, r->count) || r->count == 0 || r->count > job_failures_page_max)) {
        proxy_request_fail(*r, error_code::bad_request, "count: expected a number up to " + std::to_string(job_failures_page_max));
        return;
    }
    broadcast_request asked;
    asked.target = "/v1/node/jobs/" + url_encode(r->id) + "/failures?count=" + std::to_string(r->count);
    if (!r->after_bucket.empty())
        asked.target += "&after_bucket=" + url_encode(r->after_bucket) + "&after_name=" + url_encode(r->after_name);
    asked.deadline_ms = list_timeout_ms;
    proxy_request_broadcast<on_failures>(*r, proxy_speaking_peers(p), asked);
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/jobs", serve_list, "all jobs, with their sums as of the last heartbeats"),
    ROUTE("GET", "/v1/jobs/{id}", serve_show, "one job, with each target's share"),
    ROUTE("GET", "/v1/jobs/{id}/failures", serve_failures,
        "the objects that failed, in order of names; `?after_bucket=`, `?after_name=`, `?count=`"),
};
extern constinit const std::span<const route> proxy_job_routes = rows;

} // namespace etlnode
