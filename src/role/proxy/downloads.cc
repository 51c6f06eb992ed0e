// SPDX-License-Identifier: MIT
// role/proxy/downloads.cc: AIStore's calls for downloads: /v1/download.
//
// Knows    control, job, aistore.        Known by  routes.cc.
// Normal   a start stores a job in the document, and answers its id. Its status is what the targets say of it at that moment.
// Fails    400 for bodies; 404 for buckets and jobs; 409 for too many jobs, and for the removal of one that runs; 501 for backend, etl_name
//          and headers.
// Limits   job_running_max, job_options_size_max, job_names_size_max.
#include <algorithm>
#include <memory>

#include <regex.h>

#include "aistore/provider.h"
#include "aistore/times.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/json_fields.h"
#include "codec/url.h"
#include "control/bucket_moves.h"
#include "job/download_order.h"
#include "job/job_machine.h"
#include "port/clock.h"
#include "role/proxy/job_names.h"
#include "role/proxy/jobs.h"
#include "role/shared/hints.h"
#include "store/object_name.h"

namespace etlnode {

static constexpr const char *never = "0001-01-01T00:00:00Z"; // Go's zero time
static constexpr size_t pattern_size_max = 128;              // of a regular expression

struct download_request : proxy_request {
    cluster_job job;
    std::string names;   // a list that is too long for the document
    std::string refusal; // of the change of the document
    // of the other calls
    std::string id, pattern;
    bool only_active = false;
};

static void fail(download_request &r, error_code code, const std::string &text) { proxy_request_fail(r, code, text); }

static json_ptr options_of(const cluster_job &job)
{
    json_ptr options;
    std::string where;
    return json_parse(job.options, options, where) ? json_object() : std::move(options); // the document holds none but JSON
}

// --- POST /v1/download

static constexpr json_field bucket_fields[] = {
    {"name", json_field_kind::text},
    {"provider", json_field_kind::text},
    {"namespace", json_field_kind::object},
};

static bool read_bucket(download_request &r, const cJSON *body)
{
    const cJSON *bucket = json_get(body, "bucket"), *space = json_get(bucket, "namespace");
    std::string misfit = json_fields_misfit(bucket, "bucket", bucket_fields);
    r.job.bucket = json_text(bucket, "name");
    std::string_view provider = json_text(bucket, "provider");
    bool has_space = !json_text(space, "uuid").empty() || !json_text(space, "name").empty();
    if (!misfit.empty())
        fail(r, error_code::bad_request, misfit);
    else if (r.job.bucket.empty())
        fail(r, error_code::bad_request, "bucket.name: which bucket is to keep the objects?");
    else if (const char *wrong = object_name_check_bucket(r.job.bucket))
        fail(r, error_code::bad_name, "invalid bucket name \"" + text_escape(r.job.bucket) + "\": " + wrong);
    else if (has_space || (!provider.empty() && provider_of(provider) != "ais"))
        fail(r, error_code::not_implemented, "bucket: only provider ais, without a namespace, is implemented");
    else if (document_find_bucket(proxy_document(*r.p), r.job.bucket) == nullptr)
        fail(r, error_code::bucket_not_found, hint_bucket_missing(r.job.bucket, proxy_bucket_names(*r.p)));
    else
        return true;
    return false;
}

static bool read_options(download_request &r, const cJSON *body)
{
    json_ptr options;
    bool is_missing = false;
    download_order order;
    std::string wrong = download_options_of(body, options, is_missing);
    if (wrong.empty())
        wrong = download_order_read(options.get(), order);
    if (!wrong.empty()) {
        fail(r, is_missing ? error_code::not_implemented : error_code::bad_request, wrong);
        return false;
    }
    json_add_u64(options.get(), "objnames_count", order.names.size());
    r.job.options = json_print(options.get());
    cJSON *names = r.job.options.size() > job_options_size_max ? cJSON_DetachItemFromObject(options.get(), "objnames") : nullptr;
    if (names != nullptr) {
        r.names = json_print(names);
        cJSON_Delete(names);
        json_add_array(options.get(), "objnames");
        r.job.options = json_print(options.get());
    }
    if (r.job.options.size() > job_options_size_max)
        fail(r, error_code::body_too_large, text_format("the options of a job may have %zu bytes", job_options_size_max));
    return r.job.options.size() <= job_options_size_max;
}

static error apply_job(download_request &r, cluster_document &next)
{
    if (document_find_bucket(next, r.job.bucket) == nullptr)
        return make_error(error_code::bucket_not_found);
    r.refusal = bucket_move_conflict(next, r.job);
    if (!r.refusal.empty())
        return make_error(error_code::conflict);
    return proxy_job_admit(*r.p, next, r.job);
}

static void on_stored(download_request &r, error err)
{
    if (!r.job.names.empty())
        proxy_names_kept(*r.p, r.job.names, !err);
    if (err && !r.refusal.empty()) {
        fail(r, err.code, r.refusal);
        return;
    }
    if (err) {
        proxy_job_answer_start(r, r.job, err); // in its words
        return;
    }
    LOG(info, "job", "job=%s kind=%s bucket=%s creator=%s msg=\"a job was started\"", r.job.id.c_str(), download_kind,
        text_escape(r.job.bucket).c_str(), text_escape(r.job.creator).c_str());
    json_ptr tree = json_object();
    json_add_text(tree.get(), "id", r.job.id);
    proxy_request_answer_json(r, tree.get());
}

static void on_names_kept(void *arg, error err, const std::string &key)
{
    download_request &r = *static_cast<download_request *>(arg);
    if (err) {
        fail(r, err.code,
            err.code == error_code::conflict
                ? std::string("as many jobs with long lists of names run as may run; wait for one or cancel one")
                : std::string("the list of names could not be stored: ") + error_text(err));
        return;
    }
    r.job.names = key;
    proxy_request_change<apply_job, on_stored>(r, true);
}

static bool read_json(download_request &r, const std::string &body, json_ptr &out_tree)
{
    std::string where;
    if (!json_parse(body, out_tree, where))
        return true;
    fail(r, error_code::bad_json, where);
    return false;
}

static void on_start_body(download_request &r, std::string body)
{
    json_ptr tree;
    std::string odds = proxy_odds_text(*r.p);
    if (!read_json(r, body, tree))
        return;
    if (!odds.empty()) {
        fail(r, error_code::diverged, odds);
        return;
    }
    if (!cJSON_IsObject(tree.get())) {
        fail(r, error_code::bad_request, "expected an object with type, bucket, and link, objects or template");
        return;
    }
    if (!read_bucket(r, tree.get()) || !read_options(r, tree.get()))
        return;
    if (proxy_target_peers(*r.p).empty())
        fail(r, error_code::unavailable, "the cluster has no targets");
    else if (r.names.empty())
        proxy_request_change<apply_job, on_stored>(r, true);
    else
        proxy_names_keep(*r.p, std::move(r.names), on_names_kept, static_cast<download_request *>(&r));
}

static void serve_start(proxy &p, exchange &x, const route_match &)
{
    download_request &r = proxy_request_make<download_request>(p, x);
    r.job.kind = download_kind;
    r.job.creator = exchange_peer(x);
    r.job.created_ns = clock_wall_ns(*p.e);
    proxy_request_read<on_start_body>(r, job_names_size_max);
}

// --- what a job has come to, as AIStore tells it

static json_ptr job_json(const cluster_job &job, const proxy_job_sum &sum)
{
    json_ptr options = options_of(job), tree = json_object();
    uint64_t finished = sum.done + sum.skipped;
    uint64_t total = std::max(download_count(options.get()), finished + sum.failed);
    bool is_over = job.ended_ns != 0;
    bool is_aborted = is_over && job.state != job_done;
    json_add_text(tree.get(), "id", job.id);
    json_add_text(tree.get(), "xaction_id", job.id);
    json_add_text(tree.get(), "description", json_text(options.get(), "description"));
    json_add_text(tree.get(), "started_time", times_utc_text(job.created_ns, true));
    json_add_text(tree.get(), "finished_time", is_over ? times_utc_text(job.ended_ns, true) : never);
    json_add_u64(tree.get(), "finished_cnt", finished);
    json_add_u64(tree.get(), "scheduled_cnt", is_over ? finished + sum.failed : total);
    json_add_u64(tree.get(), "skipped_cnt", sum.skipped);
    json_add_u64(tree.get(), "error_cnt", sum.failed);
    json_add_u64(tree.get(), "total", total);
    json_add_bool(tree.get(), "all_dispatched", is_over);
    json_add_bool(tree.get(), "aborted", is_aborted);
    return tree;
}

static void add_tasks(cJSON *to, const cJSON *from)
{
    const cJSON *one = nullptr;
    cJSON_ArrayForEach(one, from)
    {
        json_ptr task = json_object();
        uint64_t started_ns = json_u64(one, "started_ns", 0), ended_ns = json_u64(one, "ended_ns", 0);
        json_add_text(task.get(), "name", json_text(one, "name"));
        json_add_u64_text(task.get(), "downloaded", json_u64(one, "bytes", 0));
        json_add_u64_text(task.get(), "total", json_u64(one, "total", 0));
        json_add_text(task.get(), "start_time", started_ns != 0 ? times_utc_text(started_ns, true) : never);
        json_add_text(task.get(), "end_time", ended_ns != 0 ? times_utc_text(ended_ns, true) : never);
        json_append(to, std::move(task));
    }
}

static void add_failures(cJSON *to, const cJSON *from)
{
    const cJSON *one = nullptr;
    cJSON_ArrayForEach(one, from)
    {
        json_ptr task = json_object();
        json_add_text(task.get(), "name", json_text(one, "name"));
        json_add_text(task.get(), "error", json_text(one, "text"));
        json_append(to, std::move(task));
    }
}

static const cluster_job *find_download(const proxy &p, const std::string &id)
{
    const cluster_job *job = document_find_job(proxy_document(p), id);
    return job != nullptr && job->kind == download_kind ? job : nullptr;
}

static void fail_unknown(download_request &r)
{
    fail(r, error_code::not_found, "download job \"" + text_escape(r.id, 100) + "\" does not exist");
}

// --- GET /v1/download

static void on_tasks(download_request &r, std::vector<broadcast_answer> answers)
{
    const cluster_job *job = find_download(*r.p, r.id);
    if (job == nullptr) {
        fail_unknown(r);
        return;
    }
    json_ptr tree = job_json(*job, proxy_job_sum_up(*r.p, *job));
    json_ptr current = json_array(), finished = json_array(), failed = json_array();
    for (const broadcast_answer &answer : answers) {
        json_ptr share;
        std::string where;
        if (!broadcast_succeeded(answer) || json_parse(answer.body, share, where))
            continue;
        add_tasks(current.get(), json_get(share.get(), "current"));
        add_tasks(finished.get(), json_get(share.get(), "finished"));
        add_failures(failed.get(), json_get(share.get(), "failures"));
    }
    json_add_tree(tree.get(), "current_tasks", std::move(current));
    if (!r.only_active) {
        json_add_tree(tree.get(), "finished_tasks", std::move(finished));
        json_add_tree(tree.get(), "download_errors", std::move(failed));
    }
    proxy_request_answer_json(r, tree.get());
}

// Counts as of now.
static void on_reports(download_request &r, std::vector<broadcast_answer> answers)
{
    for (const broadcast_answer &answer : answers) {
        json_ptr list;
        std::string where;
        std::vector<job_report> reports;
        auto target = r.p->targets.find(answer.id);
        bool is_good = broadcast_succeeded(answer) && !json_parse(answer.body, list, where) && job_reports_parse(list.get(), reports);
        if (is_good && target != r.p->targets.end())
            target->second.jobs = std::move(reports);
    }
    proxy_jobs_settle(*r.p);
    broadcast_request asked;
    asked.target = "/v1/node/shares/" + url_encode(r.id);
    asked.deadline_ms = etl_status_timeout_ms;
    proxy_request_broadcast<on_tasks>(r, proxy_speaking_peers(*r.p), asked);
}

static void answer_one(download_request &r)
{
    if (find_download(*r.p, r.id) == nullptr) {
        fail_unknown(r);
        return;
    }
    broadcast_request asked;
    asked.target = "/v1/node/jobs";
    asked.deadline_ms = etl_status_timeout_ms;
    proxy_request_broadcast<on_reports>(r, proxy_speaking_peers(*r.p), asked);
}

// Which descriptions match: an expression of POSIX, as in AIStore, but one that is compared without going back and forth.
static bool compile_pattern(const std::string &text, regex_t &out_compiled)
{
    bool is_simple = text.size() <= pattern_size_max && text.find_first_of("(){}\\") == std::string::npos;
    return is_simple && regcomp(&out_compiled, text.c_str(), REG_EXTENDED | REG_NOSUB) == 0;
}

static void answer_all(download_request &r)
{
    regex_t compiled = {};
    if (!r.pattern.empty() && !compile_pattern(r.pattern, compiled)) {
        fail(r, error_code::bad_request,
            text_format(
                "regex: expected a regular expression of at most %zu characters, without groups, counts and escapes", pattern_size_max));
        return;
    }
    json_ptr list = json_array();
    for (const cluster_job &job : proxy_document(*r.p).jobs) {
        std::string text(json_text(options_of(job).get(), "description"));
        bool is_wanted = job.kind == download_kind && (!r.only_active || job.ended_ns == 0);
        if (is_wanted && (r.pattern.empty() || regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0))
            json_append(list.get(), job_json(job, proxy_job_sum_up(*r.p, job)));
    }
    if (!r.pattern.empty())
        regfree(&compiled);
    proxy_request_answer_json(r, list.get());
}

static constexpr json_field question_fields[] = {
    {"id", json_field_kind::text},
    {"regex", json_field_kind::text},
    {"only_active_tasks", json_field_kind::flag},
};

// {"id","regex","only_active_tasks"}, all of them optional; or the same in the query.
static bool read_question(download_request &r, const std::string &body)
{
    json_ptr tree;
    if (!body.empty() && !read_json(r, body, tree))
        return false;
    std::string misfit = tree != nullptr && !cJSON_IsObject(tree.get()) ? "expected an object with id or regex"
                                                                        : json_fields_misfit(tree.get(), {}, question_fields);
    if (!misfit.empty()) {
        fail(r, error_code::bad_request, misfit);
        return false;
    }
    std::string_view query = exchange_head(*r.x).query;
    r.id = json_text(tree.get(), "id");
    if (r.id.empty() && !url_query_get(query, "id", r.id))
        (void)url_query_get(query, "uuid", r.id);
    r.pattern = json_text(tree.get(), "regex");
    r.only_active = json_bool(tree.get(), "only_active_tasks", false);
    if (r.id.empty() || r.pattern.empty())
        return true;
    fail(r, error_code::bad_request, "id and regex: expected one of them");
    return false;
}

static void on_question(download_request &r, std::string body)
{
    if (!read_question(r, body))
        return;
    if (r.id.empty())
        answer_all(r);
    else
        answer_one(r);
}

static void serve_status(proxy &p, exchange &x, const route_match &)
{
    proxy_request_read<on_question>(proxy_request_make<download_request>(p, x), json_body_size_max);
}

// --- DELETE /v1/download/abort, /remove

static error apply_abort(download_request &r, cluster_document &next)
{
    cluster_job *job = document_find_job(next, r.id);
    if (job == nullptr || job->kind != download_kind)
        return make_error(error_code::not_found);
    if (job->ended_ns != 0 || job->is_cancelled)
        return make_error(error_code::already_exists); // nothing to change
    job->is_cancelled = true;
    return no_error;
}

static error apply_remove(download_request &r, cluster_document &next)
{
    cluster_job *job = document_find_job(next, r.id);
    if (job == nullptr || job->kind != download_kind)
        return make_error(error_code::not_found);
    if (job->ended_ns == 0)
        return make_error(error_code::conflict);
    next.jobs.erase(next.jobs.begin() + (job - next.jobs.data()));
    return no_error;
}

static void on_changed(download_request &r, error err)
{
    if (!err || err.code == error_code::already_exists)
        proxy_request_answer(r, {});
    else if (err.code == error_code::not_found)
        fail_unknown(r);
    else if (err.code == error_code::conflict)
        fail(r, err.code, "download job \"" + text_escape(r.id, 100) + "\" is still running: abort it first");
    else
        fail(r, err.code, error_text(err));
}

template <auto apply> static void on_change_body(download_request &r, std::string body)
{
    if (!read_question(r, body))
        return;
    if (r.id.empty())
        fail(r, error_code::bad_request, "id: which download?");
    else if (find_download(*r.p, r.id) == nullptr)
        fail_unknown(r);
    else
        proxy_request_change<apply, on_changed>(r, true);
}

static void serve_abort(proxy &p, exchange &x, const route_match &)
{
    proxy_request_read<on_change_body<apply_abort>>(proxy_request_make<download_request>(p, x), json_body_size_max);
}

static void serve_remove(proxy &p, exchange &x, const route_match &)
{
    proxy_request_read<on_change_body<apply_remove>>(proxy_request_make<download_request>(p, x), json_body_size_max);
}

// --- routes

static constexpr route rows[] = {
    ROUTE("POST", "/v1/download", serve_start, "begins a job that downloads: `single`, `multi`, `range`"),
    ROUTE("GET", "/v1/download", serve_status, "downloads, or with `id` in the body one of them"),
    ROUTE("DELETE", "/v1/download/abort", serve_abort, "ends a download before it is done"),
    ROUTE("DELETE", "/v1/download/remove", serve_remove, "forgets a download that has ended"),
};
extern constinit const std::span<const route> proxy_download_routes = rows;

} // namespace etlnode
