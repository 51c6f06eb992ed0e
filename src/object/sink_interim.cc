// SPDX-License-Identifier: MIT
// object/sink_interim.cc: a content without a name as a sink: what one stage of a pipeline makes for the next one.
//
// Owns     one interim from sink_begin to its end.
// Knows    store.          Known by  transfer.
// Fails    with a full or broken disk.
// Limits   interim_memory_size; disk_patience_ms.
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "object/sink.h"
#include "port/clock.h"
#include "store/interim.h"

namespace etlnode {

struct interim_sink {
    env *e = nullptr;
    store *objects = nullptr;
    sink_interim_options options;
    interim *content = nullptr;
    bool was_admitted = false; // to the disk
    bool is_writing = false;
    bool is_posted = false; // on_posted is due
    bool is_abandoned = false;
    sink_outcome outcome;
    net_on_ready on_ready = nullptr;
    void *ready_arg = nullptr;
    sink_on_committed on_committed = nullptr;
    void *committed_arg = nullptr;
};

static interim_sink &of(void *self) { return *static_cast<interim_sink *>(self); }

static void set_failure(interim_sink &s, error err)
{
    s.outcome = {err, sink_put_describe_failure(s.options.node_id, s.options.bucket, s.options.name, err)};
}

static void report_ready(interim_sink &s)
{
    net_on_ready on_ready = std::exchange(s.on_ready, nullptr);
    if (on_ready != nullptr)
        on_ready(s.ready_arg);
}

static void on_posted(void *arg)
{
    interim_sink &s = of(arg);
    s.is_posted = false;
    if (s.is_abandoned)
        delete &s;
    else
        report_ready(s);
}

static void begin(void *self, sink_head &)
{
    interim_sink &s = of(self);
    CHECK(s.content == nullptr);
    s.content = interim_start(*s.objects, s.options.bucket, s.options.name);
}

static void on_written(void *arg, error err)
{
    interim_sink &s = of(arg);
    s.is_writing = false;
    if (err)
        set_failure(s, err);
    report_ready(s);
}

static bool is_admitted(interim_sink &s)
{
    std::string why;
    if (!s.was_admitted && s.options.admits != nullptr && !s.options.admits(s.options.admits_arg, s.options.bucket, s.options.name, why))
        s.outcome = {make_error(error_code::no_space), std::move(why)};
    s.was_admitted = true;
    return !s.outcome.err;
}

static io_result send(void *self, std::string_view bytes, bool)
{
    interim_sink &s = of(self);
    if (s.outcome.err)
        return {io_state::failed, 0, s.outcome.err};
    if (s.is_writing)
        return {io_state::again, 0, no_error};
    if (!interim_is_full(*s.content))
        return {io_state::done, interim_add(*s.content, bytes), no_error};
    if (!is_admitted(s))
        return {io_state::failed, 0, s.outcome.err};
    s.is_writing = true;
    interim_spill(*s.content, on_written, &s);
    return {io_state::again, 0, no_error};
}

static void wait(void *self, net_on_ready on_ready, void *arg)
{
    interim_sink &s = of(self);
    s.on_ready = on_ready;
    s.ready_arg = arg;
    if (!s.is_writing && !s.is_posted) {
        s.is_posted = true;
        clock_post(*s.e, on_posted, &s);
    }
}

static void wait_cancel(void *self) { of(self).on_ready = nullptr; }

static error stalled(void *self)
{
    interim_sink &s = of(self);
    set_failure(s, make_error(error_code::io, "the disk takes nothing"));
    return s.outcome.err;
}

static constexpr stream_to_ops stream_ops = {false, false, nullptr, nullptr, nullptr, send, nullptr, nullptr, wait, wait_cancel, stalled};

static stream_to stream(void *self) { return {&stream_ops, self}; }

static void on_ended(void *arg, error err, const store_object *object)
{
    interim_sink &s = of(arg);
    s.content = nullptr;
    if (err)
        set_failure(s, err);
    else
        s.options.on_made(s.options.arg, object);
    s.on_committed(s.committed_arg, s.outcome);
    s.is_abandoned = true;
    if (!s.is_posted)
        delete &s;
}

static void commit(void *self, sink_on_committed on_committed, void *arg)
{
    interim_sink &s = of(self);
    CHECK(!s.is_writing && s.on_committed == nullptr);
    s.on_committed = on_committed;
    s.committed_arg = arg;
    interim_end(*s.content, on_ended, &s);
}

static void abandon(void *self, sink_refusal *)
{
    interim_sink &s = of(self);
    s.is_abandoned = true;
    s.on_ready = nullptr;
    if (s.content != nullptr)
        interim_abort(*s.content);
    if (!s.is_posted)
        delete &s;
}

static const sink_outcome &failure(const void *self) { return static_cast<const interim_sink *>(self)->outcome; }

static constexpr sink_ops ops = {begin, stream, commit, abandon, failure};

sink sink_interim(env &e, store &objects, sink_interim_options options)
{
    auto *s = new interim_sink;
    s->e = &e;
    s->objects = &objects;
    s->options = std::move(options);
    return {&ops, s, disk_patience_ms};
}

} // namespace etlnode
