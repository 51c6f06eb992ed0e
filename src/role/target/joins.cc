// SPDX-License-Identifier: MIT
// role/target/joins.cc: stores what a source gives as an object: parts that are joined, a copy under another name, an archive.
//
// Owns     one join for each object being made; one hold_question for each lookup.
// Knows    object, copies.cc, lesson.cc.        Known by  uploads.cc, rename.cc, archives.
// Normal   a pump from the source to a sink in the store of this target or at the owner; then the commit, which makes it visible at once.
// Fails    with the words of the sink or of the source; then nothing was stored. The time to drain ends it.
#include "role/target/joins.h"

#include <algorithm>
#include <memory>

#include "base/limits.h"
#include "http/pump.h"
#include "port/clock.h"
#include "role/target/copies.h"
#include "role/target/moves.h"

namespace etlnode {

struct target_join_run {
    target *t = nullptr;
    join_request request;
    sink to;
    pump *moving = nullptr;
    uint64_t bytes = 0;
    bool is_ending = false;
    error err;
    std::string text;
};

static void report(void *arg)
{
    std::unique_ptr<target_join_run> run(static_cast<target_join_run *>(arg));
    target &t = *run->t;
    run->request.on_done(run->request.arg, run->err, run->text, run->bytes);
    open_count_end(t.requests);
}

static void end(target_join_run &run, error err, std::string text)
{
    if (run.is_ending)
        return;
    run.is_ending = true;
    run.err = err;
    run.text = std::move(text);
    if (run.moving != nullptr)
        pump_cancel(*run.moving);
    run.moving = nullptr;
    source_close(run.request.from);
    sink_abandon(run.to);
    std::erase(run.t->joins, &run);
    clock_post(*run.t->e, report, &run);
}

static void on_committed(void *arg, const sink_outcome &outcome)
{
    auto &run = *static_cast<target_join_run *>(arg);
    run.to = sink{};
    end(run, outcome.err, outcome.text);
}

static void on_pumped(void *arg, error err, uint64_t bytes)
{
    auto &run = *static_cast<target_join_run *>(arg);
    run.moving = nullptr;
    run.bytes = bytes;
    if (!err) {
        source_close(run.request.from);
        sink_commit(run.to, on_committed, &run);
        return;
    }
    const sink_outcome &failed = sink_failure(run.to);
    if (failed.err)
        end(run, failed.err, failed.text);
    else
        end(run, err,
            "t[" + run.t->id + "]: ais://" + run.request.bucket + "/" + run.request.name + " cannot be made: " + error_text(err) +
                (err.what != nullptr ? std::string(": ") + err.what : std::string()));
}

static void begin(void *arg)
{
    auto &run = *static_cast<target_join_run *>(arg);
    if (run.is_ending)
        return;
    join_request &request = run.request;
    if (request.bucket_created_ns != 0 && !target_has_bucket(run.t, request.bucket, request.bucket_created_ns)) {
        end(run, make_error(error_code::bucket_not_found),
            "bucket \"ais://" + request.bucket +
                "\" does not exist any more: it was destroyed meanwhile, even if there is a new one of that name");
        return;
    }
    copy_refusal refusal;
    if (!target_copy_sink(*run.t,
            {.bucket = request.bucket, .name = request.name, .request_id = request.request_id, .made_from = request.made_from}, run.to,
            refusal)) {
        end(run, make_error(refusal.code), std::move(refusal.text));
        return;
    }
    const source_facts &facts = request.from.facts;
    sink_head head;
    head.size = facts.size;
    head.has_checksum = facts.has_checksum;
    head.checksum = facts.checksum;
    head.custom = request.custom;
    sink_begin(run.to, std::move(head));
    pump_options options;
    options.source_timeout_ms = request.from.patience_ms;
    options.sink_timeout_ms = run.to.patience_ms;
    options.has_length = facts.size != stream_size_unknown;
    options.length = facts.size;
    options.on_done = on_pumped;
    options.arg = &run;
    run.moving = pump_start(*run.t->e, sink_stream(run.to), request.from.from, std::move(options));
}

void target_join(target &t, join_request request)
{
    auto *run = new target_join_run;
    run->t = &t;
    run->request = std::move(request);
    t.joins.push_back(run);
    open_count_begin(t.requests);
    clock_post(*t.e, begin, run);
}

void target_cut_joins(target &t)
{
    std::vector<target_join_run *> all = t.joins;
    for (target_join_run *run : all)
        end(*run, make_error(error_code::stopping), "the node is shutting down");
}

// --- an object for reading

struct hold_question {
    target *t;
    std::string bucket, name;
    object_on_held on_held;
    void *arg;
};

static void answer_held(hold_question *question, error err, const std::string &text, const store_object *object)
{
    target &t = *question->t;
    auto on_held = question->on_held;
    void *arg = question->arg;
    delete question;
    on_held(arg, err, text, object);
    open_count_end(t.store_calls);
}

static void on_object(void *arg, error err, const store_object *object)
{
    auto *question = static_cast<hold_question *>(arg);
    std::string text;
    if (err)
        text = "t[" + question->t->id + "]: ais://" + question->bucket + "/" + question->name +
               (err.code == error_code::object_not_found ? std::string(" does not exist") : std::string(": ") + error_text(err));
    answer_held(question, err, text, object);
}

static void on_brought(void *arg, const lesson &learnt)
{
    auto *question = static_cast<hold_question *>(arg);
    if (learnt.err)
        answer_held(
            question, learnt.err.code == error_code::other_epoch ? make_error(error_code::unavailable) : learnt.err, learnt.text, nullptr);
    else
        store_get(*question->t->objects, question->bucket, question->name, on_object, question);
}

void target_hold_object(target &t, const std::string &bucket, const std::string &name, object_on_held on_held, void *arg)
{
    open_count_begin(t.store_calls);
    auto *question = new hold_question{&t, bucket, name, on_held, arg};
    if (target_must_learn(t, bucket, name))
        target_bring_here(t, bucket, name, on_brought, question);
    else
        store_get(*t.objects, bucket, name, on_object, question);
}

} // namespace etlnode
