// SPDX-License-Identifier: MIT
// role/proxy/job_calls.cc: jobs as AIStore's clients start, stop and query them, below /v1/cluster.
//
// Knows    control, aistore, job.        Known by  cluster.cc.
// Normal   a start stores the job in the document, and answers its id when the targets hold it; a stop stores that it is to end.
// Fails    400 for options; 404 for a bucket or a job; 409 for too many jobs; 501 for kinds that only AIStore has.
// Limits   job_running_max, job_options_size_max.
#include "role/proxy/bucket_jobs.h"
#include "role/proxy/jobs.h"

#include "aistore/job_record.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/json_fields.h"
#include "job/job_machine.h"
#include "job/kinds/kinds.h"
#include "port/clock.h"
#include "role/shared/hints.h"

namespace etlnode {

struct job_change : proxy_request {
    cluster_job job;  // to start
    job_query wanted; // to stop
    size_t stopped = 0;
};

// --- start

// Those that a start may name.
static std::string kinds_text()
{
    std::string text;
    for (const job_kind *kind : job_kinds())
        text += proxy_is_bucket_job(kind->name) || kind->is_external ? std::string() : std::string(kind->name) + ", ";
    return text + std::string(rebalance_kind);
}

// The rebalance of this epoch, if objects move; then a start makes it go on.
static cluster_job *find_rebalance(cluster_document &document)
{
    cluster_job *job = document_find_job(document, rebalance_job_id(document.placement.epoch));
    return job != nullptr && job->ended_ns == 0 ? job : nullptr;
}

error proxy_job_admit(proxy &p, cluster_document &next, cluster_job &job)
{
    document_prune_jobs(next, clock_wall_ns(*p.e));
    size_t running = 0;
    for (const cluster_job &one : next.jobs)
        running += one.ended_ns == 0 ? 1 : 0;
    if (running >= job_running_max)
        return make_error(error_code::conflict, "as many jobs run as may run at a time; wait for one or cancel one");
    while (job.id.empty() || document_find_job(next, job.id) != nullptr) {
        static constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        job.id = rng_text(p.e->random, alphabet, sizeof alphabet - 1 - 10, 1); // it begins with a letter
        job.id += rng_text(p.e->random, alphabet, sizeof alphabet - 1, 8);
    }
    next.jobs.push_back(job);
    return no_error;
}

static error apply_start(job_change &r, cluster_document &next)
{
    cluster_job *rebalance = r.job.kind == rebalance_kind ? find_rebalance(next) : nullptr;
    if (rebalance != nullptr) {
        rebalance->is_cancelled = false;
        r.job = *rebalance;
        return no_error;
    }
    if (!r.job.bucket.empty() && document_find_bucket(next, r.job.bucket) == nullptr)
        return make_error(error_code::bucket_not_found);
    return proxy_job_admit(*r.p, next, r.job);
}

void proxy_job_answer_start(proxy_request &r, const cluster_job &job, error err)
{
    if (err) {
        std::string text = err.code == error_code::bucket_not_found ? hint_bucket_missing(job.bucket, proxy_bucket_names(*r.p))
                                                                    : error_text(err);
        proxy_request_fail(r, err.code, text);
        return;
    }
    LOG(info, "job", "job=%s kind=%s bucket=%s creator=%s msg=\"a job was started\"", job.id.c_str(), text_escape(job.kind).c_str(),
        text_escape(job.bucket).c_str(), text_escape(job.creator).c_str());
    answer a;
    a.content_type = "text/plain; charset=utf-8";
    a.body = job.id;
    proxy_request_answer(r, std::move(a));
}

static void on_started(job_change &r, error err) { proxy_job_answer_start(r, r.job, err); }

// AIStore's clients say nothing of what only this node knows.
static constexpr json_field start_fields[] = {
    {"prefix", json_field_kind::text},
    {"options", json_field_kind::object},
};

// Options that the kind does not know are refused by the kind or have no effect; those of AIStore's clients are not ours.
static bool read_options(job_change &r, const cJSON *value)
{
    const cJSON *given = json_get(value, "options");
    r.job.options = cJSON_IsObject(given) ? json_print(given) : std::string("{}");
    const job_kind *kind = job_kind_find(r.job.kind);
    std::string wrong = r.job.options.size() > job_options_size_max ? std::string("options: too long")
                        : kind != nullptr                           ? kind->check_options(given)
                        : r.job.options != "{}"                     ? "value.options: a job of kind " + r.job.kind + " takes none"
                                                                    : std::string();
    if (!wrong.empty())
        proxy_request_fail(r, error_code::bad_request, wrong);
    return wrong.empty();
}

static bool read_scope(job_change &r, const cJSON *value)
{
    r.job.bucket = json_text(json_get(value, "Bck"), "name");
    const cJSON *several = json_get(value, "Buckets");
    if (r.job.bucket.empty() && cJSON_GetArraySize(several) == 1)
        r.job.bucket = json_text(cJSON_GetArrayItem(several, 0), "name");
    if (cJSON_GetArraySize(several) > 1) {
        proxy_request_fail(r, error_code::not_implemented, "a job over several buckets is not implemented; name one, or none for all");
        return false;
    }
    if (r.job.kind == rebalance_kind && (!r.job.bucket.empty() || !json_text(value, "prefix").empty())) {
        proxy_request_fail(
            r, error_code::not_implemented, "a rebalance moves the objects of all buckets; one of a part is not implemented");
        return false;
    }
    r.job.prefix = json_text(value, "prefix");
    bool is_good = r.job.prefix.size() <= object_name_size_max && (r.job.prefix.empty() || !r.job.bucket.empty());
    if (!is_good)
        proxy_request_fail(r, error_code::bad_request, "value.prefix: a prefix needs a bucket, and has at most 1,024 bytes");
    return is_good;
}

static void start(job_change &r, const cJSON *value)
{
    proxy &p = *r.p;
    std::string_view kind = job_kind_canonical(json_text(value, "Kind"));
    bool at_once = job_kind_ends_at_once(kind);
    if (job_kind_find(kind) == nullptr && !at_once) {
        proxy_request_fail(r, kind.empty() ? error_code::bad_request : error_code::not_implemented,
            kind.empty() ? "which kind of job? there are: " + kinds_text()
                         : "there is no job of kind \"" + text_escape(kind) + "\"; there are: " + kinds_text());
        return;
    }
    const job_kind *known = job_kind_find(kind);
    if (known != nullptr && known->is_external) {
        proxy_request_fail(
            r, error_code::bad_request, "a job of kind " + std::string(kind) + " is started by a call of its own (docs/PROTOCOL.md)");
        return;
    }
    if (proxy_is_bucket_job(kind)) {
        proxy_request_fail(r, error_code::bad_request,
            "a job of kind " + std::string(kind) +
                " is started by an action on its bucket, for example with etlctl etl bucket or etlctl bucket cp");
        return;
    }
    r.job.kind = kind;
    if (!read_scope(r, value) || !read_options(r, value))
        return;
    r.job.creator = exchange_peer(*r.x);
    r.job.created_ns = clock_wall_ns(*p.e);
    if (at_once) {
        r.job.ended_ns = r.job.created_ns;
        r.job.state = job_done;
    } else if (proxy_target_peers(p).empty()) {
        proxy_request_fail(r, error_code::unavailable, "the cluster has no targets");
        return;
    }
    proxy_request_change<apply_start, on_started>(r, true);
}

// --- stop

static error apply_stop(job_change &r, cluster_document &next)
{
    r.stopped = 0;
    for (cluster_job &job : next.jobs) {
        if (job.ended_ns != 0 || job.is_cancelled || !job_query_matches(r.wanted, job))
            continue;
        job.is_cancelled = true;
        r.stopped++;
    }
    return r.stopped > 0 ? no_error : make_error(error_code::not_found);
}

// AIStore's clients stop what may have ended already.
static void on_stopped(job_change &r, error err)
{
    if (err && err.code != error_code::not_found)
        proxy_request_fail(r, err.code, error_text(err));
    else
        proxy_request_answer(r, {});
}

static void stop(job_change &r, const cJSON *value)
{
    r.wanted = job_query_read(value);
    if (r.wanted.id.empty() && r.wanted.kind.empty()) {
        proxy_request_fail(r, error_code::bad_request, "which job? write value.ID or value.Kind");
        return;
    }
    proxy_request_change<apply_stop, on_stopped>(r, true);
}

bool proxy_job_action(proxy &p, exchange &x, std::string_view action, const cJSON *value)
{
    if (action != "start" && action != "stop")
        return false;
    job_change &r = proxy_request_make<job_change>(p, x);
    std::string odds = proxy_odds_text(p);
    std::string misfit = job_query_misfit(value, "value");
    if (misfit.empty())
        misfit = json_fields_misfit(value, "value", start_fields);
    if (!odds.empty())
        proxy_request_fail(r, error_code::diverged, odds);
    else if (!misfit.empty())
        proxy_request_fail(r, error_code::bad_request, misfit);
    else if (action == "start")
        start(r, value);
    else
        stop(r, value);
    return true;
}

// --- queries

struct job_question : proxy_request {
    std::string what;
    job_query query;
};

// The newest one that matches; null if there is none.
static const cluster_job *find_newest(const proxy &p, const job_query &query)
{
    const std::vector<cluster_job> &jobs = proxy_document(p).jobs;
    for (size_t i = jobs.size(); i-- > 0;) {
        if (job_query_matches(query, jobs[i]))
            return &jobs[i];
    }
    return nullptr;
}

static void answer_status(job_question &r)
{
    const cluster_job *job = find_newest(*r.p, r.query);
    if (job == nullptr) {
        std::string sought = r.query.id.empty() ? r.query.kind : r.query.id;
        proxy_request_fail(r, error_code::not_found,
            r.query.id.empty() ? "x-" + text_escape(sought) + " not found" : "x-[" + text_escape(sought) + "] does not exist");
        return;
    }
    json_ptr tree = job_record_status(*job);
    proxy_request_answer_json(r, tree.get());
}

static void answer_status_all(job_question &r)
{
    json_ptr list = json_array();
    const std::vector<cluster_job> &jobs = proxy_document(*r.p).jobs;
    for (size_t i = jobs.size(); i-- > 0;) {
        if (job_query_matches(r.query, jobs[i]))
            json_append(list.get(), job_record_status(jobs[i]));
    }
    proxy_request_answer_json(r, list.get());
}

static void answer_running(job_question &r)
{
    json_ptr list = json_array();
    for (const cluster_job &job : proxy_document(*r.p).jobs) {
        if (job_record_is_shown_running(job, clock_wall_ns(*r.p->e)) && job_query_matches(r.query, job))
            json_append_text(list.get(), job_record_name(job));
    }
    proxy_request_answer_json(r, list.get());
}

static json_ptr snapshot(const cluster_job &job, const job_report &report)
{
    const ledger_job &row = report.row;
    return job_record_snapshot(job, {.started_ns = row.started_ns,
                                        .ended_ns = row.ended_ns,
                                        .objects = row.done + row.skipped + row.failed,
                                        .bytes = row.bytes,
                                        .error = row.error});
}

static void on_snapshots(job_question &r, std::vector<broadcast_answer> answers)
{
    json_ptr tree = json_object();
    for (const broadcast_answer &answer : answers) {
        json_ptr list;
        std::string where;
        std::vector<job_report> reports;
        if (!broadcast_succeeded(answer) || json_parse(answer.body, list, where) || !job_reports_parse(list.get(), reports))
            continue;
        cJSON *shares = json_add_array(tree.get(), answer.id.c_str());
        for (const job_report &report : reports) {
            const cluster_job *job = document_find_job(proxy_document(*r.p), report.row.id);
            if (job != nullptr && job_query_matches(r.query, *job))
                json_append(shares, snapshot(*job, report));
        }
    }
    proxy_request_answer_json(r, tree.get());
}

static void answer_snapshots(job_question &r)
{
    if (!r.query.id.empty() && find_newest(*r.p, r.query) == nullptr) {
        proxy_request_fail(r, error_code::not_found, "\"x-[" + text_escape(r.query.id) + "]\" not found");
        return;
    }
    broadcast_request asked;
    asked.target = "/v1/node/jobs";
    asked.deadline_ms = etl_status_timeout_ms;
    proxy_request_broadcast<on_snapshots>(r, proxy_speaking_peers(*r.p), asked);
}

static constexpr struct {
    std::string_view what;
    void (*answer)(job_question &r);
} questions[] = {
    {"status", answer_status},
    {"status_all", answer_status_all},
    {"running_all", answer_running},
    {"qryxstats", answer_snapshots},
};

static void on_question(job_question &r, std::string body)
{
    json_ptr tree;
    std::string where;
    if (!body.empty() && json_parse(body, tree, where)) {
        proxy_request_fail(r, error_code::bad_json, "the query of a job is {\"id\",\"kind\",\"bck\",\"show_active\"}: " + where);
        return;
    }
    if (std::string misfit = job_query_misfit(tree.get(), {}); !misfit.empty()) {
        proxy_request_fail(r, error_code::bad_request, misfit);
        return;
    }
    r.query = job_query_read(tree.get());
    for (const auto &question : questions) {
        if (question.what == r.what) {
            question.answer(r);
            return;
        }
    }
}

bool proxy_job_query(proxy &p, exchange &x, std::string_view what)
{
    bool is_ours = false;
    for (const auto &question : questions)
        is_ours = is_ours || question.what == what;
    if (!is_ours)
        return false;
    job_question &r = proxy_request_make<job_question>(p, x);
    r.what = what;
    proxy_request_read<on_question>(r, json_body_size_max);
    return true;
}

} // namespace etlnode
