// SPDX-License-Identifier: MIT
// role/target/job_copies.cc: what jobs do to objects: keep them under another name, and delete them.
//
// Owns     one job_copy_run for each copy in progress.
// Knows    job, transfer, store, control, http.        Known by  jobs.cc.
// Normal   look at the destination: what was made from this very object in this very way stays. Otherwise a transfer makes it anew, and
//          what it was made from is kept beside its content.
// Fails    with the text that a client would have got. A destination on another target that cannot be reached is `unavailable`.
#include <memory>
#include <utility>

#include <xxhash.h>

#include "base/limits.h"
#include "base/text.h"
#include "codec/error_envelope.h"
#include "codec/http_write.h"
#include "codec/url.h"
#include "control/peer.h"
#include "job/job_origin.h"
#include "node/api.h"
#include "port/clock.h"
#include "role/target/copies.h"
#include "role/target/moves.h"
#include "store/object_extras.h"
#include "store/object_name.h"
#include "transfer/pipeline.h"

namespace etlnode {

struct job_copy_run {
    target *t = nullptr;
    job_copy wanted;
    std::string made_from;         // the whole text that is kept beside the content
    transfer *moving = nullptr;    // either this
    pipeline *in_stages = nullptr; // or this
    bool is_stopped = false;
    error err;
    std::string text;
    job_outcome outcome = job_outcome::done;
    uint64_t bytes = 0;
};

// --- what an object was made from

static std::string describe_origin(const target &t, const job_copy &wanted, std::string_view etl_spec)
{
    const cluster_bucket *bucket = document_find_bucket(t.document, wanted.bucket);
    std::string text = wanted.bucket + '\0' + wanted.name + '\0' + std::to_string(bucket != nullptr ? bucket->created_ns : 0) + '\0' +
                       std::to_string(wanted.version) + '\0' + text_hex(wanted.checksum) + '\0' + std::string(etl_spec) + '\0' +
                       wanted.etl_args;
    return job_origin_print(XXH64(text.data(), text.size(), 0), wanted.job_id, wanted.bucket, wanted.name);
}

// Whether it was made from the same, in the same way; if so, by which job.
static bool has_same_origin(const job_copy_run &run, std::string_view origin, job_outcome &out_outcome)
{
    if (!job_origin_is_same(origin, run.made_from))
        return false;
    out_outcome = job_origin_job(origin) == run.wanted.job_id ? job_outcome::done : job_outcome::skipped;
    return true;
}

// --- the end

static void finish(void *arg)
{
    std::unique_ptr<job_copy_run> run(static_cast<job_copy_run *>(arg));
    if (run->is_stopped)
        run->err = make_error(error_code::stopping);
    run->wanted.on_done(*run->wanted.item, run->err, run->text, run->outcome, run->bytes);
}

static void fail(job_copy_run &run, error err, std::string text)
{
    run.err = err;
    run.text = std::move(text);
    finish(&run);
}

// What the pod itself answers concerns this object. Its 503 may pass, but it counts as a try, and is not waited for without end.
static error_code code_for_job(const transfer_report &report)
{
    bool is_of_pod = report.outcome == transfer_outcome::pod_error;
    return is_of_pod && error_is_retryable(report.code) ? error_code::pod_gone : report.code;
}

static void on_transferred(void *arg, const transfer_report &report)
{
    job_copy_run &run = *static_cast<job_copy_run *>(arg);
    run.moving = nullptr;
    run.in_stages = nullptr;
    run.bytes = report.out_bytes;
    if (report.outcome == transfer_outcome::client_error && report.code == error_code::object_not_found) {
        run.outcome = job_outcome::skipped; // deleted since the plan
    } else if (report.outcome != transfer_outcome::ok) {
        run.err = make_error(code_for_job(report));
        run.text = report.text;
    }
    clock_post(*run.t->e, finish, &run);
}

// --- the copy

static bool find_sink(job_copy_run &run, sink &out_sink)
{
    target &t = *run.t;
    const job_copy &wanted = run.wanted;
    if (wanted.is_dry) {
        out_sink = sink_discard(*t.e);
        return true;
    }
    copy_destination to = {.bucket = wanted.to_bucket, .name = wanted.to_name, .request_id = wanted.job_id, .made_from = run.made_from};
    copy_refusal refusal;
    if (target_copy_sink(t, to, out_sink, refusal))
        return true;
    fail(run, make_error(refusal.code), std::move(refusal.text));
    return false;
}

static void begin_transfer(job_copy_run &run)
{
    target &t = *run.t;
    sink to;
    if (!find_sink(run, to))
        return;
    std::string query = run.wanted.etl_args.empty() ? std::string() : std::string(query_etl_args) + "=" + url_encode(run.wanted.etl_args);
    const std::string direct_to = run.wanted.is_dry ? std::string() : run.wanted.to_bucket + "/" + run.wanted.to_name;
    transfer_request request = {.request_id = run.wanted.job_id,
        .query = query,
        .bucket = run.wanted.bucket,
        .name = run.wanted.name,
        .etl = run.wanted.etl,
        .by_name = false,
        .to = to,
        .on_done = on_transferred,
        .arg = &run,
        .direct_to = direct_to};
    // What ends at once has posted `finish`, so the run is still there.
    if (!run.wanted.pipeline.empty())
        run.in_stages = pipeline_begin(*t.transfers, std::move(request), run.wanted.pipeline);
    else
        run.moving = transfer_begin(*t.transfers, std::move(request));
}

static void go_on(job_copy_run &run, std::string_view origin)
{
    if (run.is_stopped || has_same_origin(run, origin, run.outcome)) {
        finish(&run);
        return;
    }
    if (run.wanted.is_dry && run.wanted.etl.empty()) { // there is nothing to try out
        run.outcome = job_outcome::done;
        finish(&run);
        return;
    }
    begin_transfer(run);
}

// --- the look at the destination

static void on_row(void *arg, error err, std::vector<index_row> rows)
{
    job_copy_run &run = *static_cast<job_copy_run *>(arg);
    open_count_end(run.t->store_calls);
    go_on(run, !err && !rows.empty() && !rows[0].is_tombstone ? object_extras_parse(rows[0].custom).made_from : std::string());
}

static void on_origin(void *arg, call &, error err, int status, std::string body)
{
    job_copy_run &run = *static_cast<job_copy_run *>(arg);
    if (run.is_stopped || (!err && status == 200)) {
        go_on(run, body);
        return;
    }
    error_envelope refusal = error_envelope_read(status, body);
    fail(run, make_error(err ? error_code::unavailable : refusal.code),
        "what ais://" + run.wanted.to_bucket + "/" + run.wanted.to_name +
            " was made from is unknown: " + (err ? error_text(err) : refusal.message));
}

static void look_there(job_copy_run &run, const cluster_node &node)
{
    call_options options = target_peer_call(*run.t, node, "GET",
        std::string(path_node_origin) + "/" + url_encode(run.wanted.to_bucket) + "?object=" + url_encode(run.wanted.to_name));
    options.answer_size_max = 64 * kib;
    options.on_done = on_origin;
    options.arg = &run;
    target_start_peer_call(*run.t, std::move(options));
}

static void look_here(job_copy_run &run)
{
    open_count_begin(run.t->store_calls);
    store_lookup(*run.t->objects, run.wanted.to_bucket, run.wanted.to_name, on_row, &run);
}

// Adds what the ETL is made of; false: it is not here now, and the run has ended.
static bool find_etl(job_copy_run &run, const std::string &etl, std::string &out_spec)
{
    target &t = *run.t;
    etl_view view;
    if (etl_registry_find(*t.etls, etl, view)) {
        out_spec += out_spec.empty() ? "" : ",";
        out_spec += view.definition->generation_id.substr(0, view.definition->generation_id.find('-'));
        return true;
    }
    bool is_coming = document_find_etl(t.document, etl) != nullptr;
    fail(run, make_error(is_coming ? error_code::not_ready : error_code::etl_not_found),
        "etl job " + etl + (is_coming ? " is not running here" : " does not exist"));
    return false;
}

// Of all stages, in order.
static bool find_etls(job_copy_run &run, std::string &out_spec)
{
    if (run.wanted.etl.empty()) {
        out_spec = "none";
        return true;
    }
    if (!find_etl(run, run.wanted.etl, out_spec))
        return false;
    for (const std::string &etl : run.wanted.pipeline) {
        if (!find_etl(run, etl, out_spec))
            return false;
    }
    return true;
}

static void begin(void *arg)
{
    job_copy_run &run = *static_cast<job_copy_run *>(arg);
    target &t = *run.t;
    const job_copy &wanted = run.wanted;
    if (run.is_stopped) {
        finish(&run);
        return;
    }
    if (t.transfers == nullptr || !t.was_accepted) {
        fail(run, make_error(error_code::not_ready), "the target has not joined its cluster yet");
        return;
    }
    if (const char *wrong = object_name_check(wanted.to_name)) {
        fail(run, make_error(error_code::bad_name), "invalid object name \"" + text_escape(wanted.to_name, 100) + "\": " + wrong);
        return;
    }
    std::string spec;
    if (!find_etls(run, spec))
        return;
    run.made_from = describe_origin(t, wanted, spec);
    const cluster_node *node = document_place(t.document, wanted.to_bucket, wanted.to_name);
    if (wanted.is_forced || node == nullptr)
        begin_transfer(run);
    else if (node->id == t.id)
        look_here(run);
    else
        look_there(run, *node);
}

void *target_begin_job_copy(void *arg, job_copy wanted)
{
    auto *run = new job_copy_run;
    run->t = static_cast<target *>(arg);
    run->wanted = std::move(wanted);
    clock_post(*run->t->e, begin, run);
    return run;
}

// Not inside target_stop_job_copy: its caller goes through the items.
static void stop(void *arg)
{
    job_copy_run &run = *static_cast<job_copy_run *>(arg);
    if (run.moving != nullptr)
        transfer_stop(*run.moving);
    else if (run.in_stages != nullptr)
        pipeline_stop(*run.in_stages);
}

void target_stop_job_copy(void *copy)
{
    job_copy_run &run = *static_cast<job_copy_run *>(copy);
    bool is_moving = (run.moving != nullptr || run.in_stages != nullptr) && !run.is_stopped;
    run.is_stopped = true;
    if (is_moving)
        clock_post(*run.t->e, stop, &run);
}

// --- GET /v1/node/origin/{bucket}?object=

struct origin_request {
    target *t;
    exchange *x;
    std::string bucket, name;
};

static void answer_origin(origin_request *request, error err, const std::string &text, const index_row &row)
{
    std::unique_ptr<origin_request> r(request);
    if (err && err.code != error_code::object_not_found)
        exchange_answer_error(*r->x, err.code, text.empty() ? error_text(err) : text);
    else
        exchange_answer_text(
            *r->x, err || row.is_tombstone ? std::string() : object_extras_parse(row.custom).made_from, "text/plain; charset=utf-8");
    open_count_end(r->t->requests);
}

static void on_origin_row(void *arg, error err, std::vector<index_row> rows)
{
    answer_origin(static_cast<origin_request *>(arg), err, {}, rows.empty() ? index_row{} : rows.front());
}

static void on_origin_learnt(void *arg, const lesson &learnt)
{
    answer_origin(static_cast<origin_request *>(arg), learnt.err, learnt.text, learnt.best);
}

static void serve_origin(target &t, exchange &x, const route_match &match)
{
    auto request = std::make_unique<origin_request>(origin_request{&t, &x, {}, {}});
    if (!target_admit_peer(t, x, match, request->bucket))
        return;
    if (!url_query_get(exchange_head(x).query, "object", request->name) || t.objects == nullptr) {
        exchange_answer_error(x, error_code::bad_request, "object: which one?");
        return;
    }
    if (const cluster_node *owner = target_owner_elsewhere(t, request->bucket, request->name)) {
        exchange_answer_error(x, error_code::unavailable, "the object belongs to target " + owner->id + " now");
        return;
    }
    open_count_begin(t.requests);
    origin_request &r = *request.release();
    if (target_must_learn(t, r.bucket, r.name))
        target_learn(t, {r.bucket, r.name, false, {}}, on_origin_learnt, &r);
    else
        store_lookup(*t.objects, r.bucket, r.name, on_origin_row, &r);
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/node/origin/{bucket}", serve_origin, "what a job made the object `?object=` from; empty: none did"),
};
extern constinit const std::span<const route> target_job_copy_routes = rows;

// --- deletes

struct job_delete {
    job_item *item;
    target *t;
    void (*on_done)(job_item &item, error err, const std::string &text);
};

static void on_deleted(void *arg, error err, const std::string &text)
{
    std::unique_ptr<job_delete> d(static_cast<job_delete *>(arg));
    d->on_done(*d->item, err, text.empty() && err ? std::string(error_text(err)) : text);
}

static void on_removed(void *arg, error err)
{
    target &t = *static_cast<job_delete *>(arg)->t;
    open_count_end(t.store_calls);
    if (!err && !target_has_lease(t))
        on_deleted(arg, make_error(error_code::unavailable), target_lease_text(t));
    else
        on_deleted(arg, err, {});
}

void target_job_remove(void *arg, const std::string &bucket, const std::string &name, job_item &item,
    void (*on_done)(job_item &item, error err, const std::string &text))
{
    target &t = *static_cast<target *>(arg);
    auto *d = new job_delete{&item, &t, on_done};
    if (target_must_learn(t, bucket, name)) {
        target_delete_moving(t, bucket, name, on_deleted, d);
        return;
    }
    open_count_begin(t.store_calls);
    store_remove(*t.objects, bucket, name, on_removed, d);
}

} // namespace etlnode
