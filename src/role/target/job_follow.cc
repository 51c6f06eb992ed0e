// SPDX-License-Identifier: MIT
// role/target/job_follow.cc: removes what a job made once the object that it was made from is gone.
//
// Owns     one follow_run for each such object that is being looked at.
// Knows    control, store, http, job.        Known by  jobs.cc, routes.cc.
// Normal   the owner of the source is asked whether it is there. If not, the version that was planned is removed, and no later one.
// Fails    an owner that cannot be asked is `unavailable`, for which the job waits. Without the source's bucket nothing is removed.
#include <memory>

#include "base/limits.h"
#include "base/text.h"
#include "codec/error_envelope.h"
#include "codec/url.h"
#include "control/peer.h"
#include "port/clock.h"
#include "role/target/copies.h"
#include "role/target/moves.h"
#include "role/target/object_actions.h"

namespace etlnode {

static constexpr std::string_view is_present = "present", is_absent = "absent";

struct follow_run {
    target *t;
    job_follow wanted;
};

static void end(follow_run *run, error err, const std::string &text, job_outcome outcome = job_outcome::passed)
{
    std::unique_ptr<follow_run> r(run);
    r->wanted.on_done(*r->wanted.item, err, text.empty() && err ? std::string(error_text(err)) : text, outcome);
}

static void on_removed(void *arg, error err, const std::string &text)
{
    bool was_changed = err.code == error_code::object_not_found || (err.code == error_code::conflict && text.empty());
    end(static_cast<follow_run *>(arg), was_changed ? no_error : err, text, was_changed || err ? job_outcome::passed : job_outcome::done);
}

static void on_presence(void *arg, call &, error err, int status, std::string body)
{
    auto *run = static_cast<follow_run *>(arg);
    target &t = *run->t;
    const job_follow &wanted = run->wanted;
    if (err || status != 200) {
        error_envelope refusal = error_envelope_read(status, body);
        end(run, make_error(err ? error_code::unavailable : refusal.code),
            "whether ais://" + wanted.from_bucket + "/" + wanted.from_name +
                " is there is unknown: " + (err ? error_text(err) : refusal.message));
    } else if (body != is_absent) {
        end(run, no_error, {});
    } else if (wanted.is_dry) {
        end(run, no_error, {}, job_outcome::done);
    } else {
        target_remove_version(t, wanted.bucket, wanted.name, wanted.version, on_removed, run);
    }
}

static void begin(void *arg)
{
    auto *run = static_cast<follow_run *>(arg);
    target &t = *run->t;
    const job_follow &wanted = run->wanted;
    const cluster_bucket *bucket = document_find_bucket(t.document, wanted.from_bucket);
    const cluster_node *owner = document_place(t.document, wanted.from_bucket, wanted.from_name);
    if (bucket == nullptr) {
        end(run, make_error(error_code::bucket_not_found), "the bucket ais://" + wanted.from_bucket + " that it was made from is gone");
        return;
    }
    if (owner == nullptr || !t.was_accepted) {
        end(run, make_error(error_code::not_ready), "the target has not joined its cluster yet");
        return;
    }
    call_options options = target_peer_call(t, *owner, "GET",
        std::string(path_node_presence) + "/" + url_encode(wanted.from_bucket) + "?object=" + url_encode(wanted.from_name) +
            "&created=" + std::to_string(bucket->created_ns));
    options.answer_size_max = 64 * kib;
    options.on_done = on_presence;
    options.arg = run;
    target_start_peer_call(t, std::move(options));
}

void target_job_follow(void *arg, job_follow wanted)
{
    target &t = *static_cast<target *>(arg);
    clock_post(*t.e, begin, new follow_run{&t, std::move(wanted)});
}

// --- GET /v1/node/presence/{bucket}?object=&created=

struct presence_request {
    target *t;
    exchange *x;
};

static void answer_presence(presence_request *request, error err, const std::string &text, const index_row &row)
{
    std::unique_ptr<presence_request> r(request);
    if (err && err.code != error_code::object_not_found)
        exchange_answer_error(*r->x, err.code, text.empty() ? error_text(err) : text);
    else
        exchange_answer_text(
            *r->x, std::string(err || row.version == 0 || row.is_tombstone ? is_absent : is_present), "text/plain; charset=utf-8");
    open_count_end(r->t->requests);
}

static void on_row(void *arg, error err, std::vector<index_row> rows)
{
    answer_presence(static_cast<presence_request *>(arg), err, {}, rows.empty() ? index_row{} : rows.front());
}

static void on_learnt(void *arg, const lesson &learnt)
{
    answer_presence(static_cast<presence_request *>(arg), learnt.err, learnt.text, learnt.best);
}

static void serve_presence(target &t, exchange &x, const route_match &match)
{
    std::string bucket, name, text;
    uint64_t created_ns = 0;
    if (!target_admit_peer(t, x, match, bucket))
        return;
    std::string_view query = exchange_head(x).query;
    if (!url_query_get(query, "object", name) || !url_query_get(query, "created", text) || !text_parse_u64(text, created_ns)) {
        exchange_answer_error(x, error_code::bad_request, "object and created: which one of which bucket?");
        return;
    }
    if (t.objects == nullptr || !target_has_bucket(&t, bucket, created_ns) || !target_has_lease(t)) {
        exchange_answer_error(
            x, error_code::unavailable, "this target cannot tell what is in bucket ais://" + text_escape(bucket) + " now");
        return;
    }
    if (const cluster_node *owner = target_owner_elsewhere(t, bucket, name)) {
        exchange_answer_error(x, error_code::unavailable, "the object belongs to target " + owner->id + " now");
        return;
    }
    open_count_begin(t.requests);
    auto *request = new presence_request{&t, &x};
    if (target_must_learn(t, bucket, name))
        target_learn(t, {bucket, name, false, {}}, on_learnt, request);
    else
        store_lookup(*t.objects, bucket, name, on_row, request);
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/node/presence/{bucket}", serve_presence, "whether the object `?object=` is there: `present` or `absent`"),
};
extern constinit const std::span<const route> target_job_follow_routes = rows;

} // namespace etlnode
