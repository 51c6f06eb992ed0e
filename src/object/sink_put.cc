// SPDX-License-Identifier: MIT
// object/sink_put.cc: a put into this target's store as a sink. A content that fits into one buffer is not written before the commit.
//
// Owns     one put from sink_begin to its end.
// Knows    store.          Known by  role, transfer.
// Fails    with a full or broken disk, a wrong checksum, or a bucket that is gone: nothing is stored.
// Limits   put_buffer_size in flight; disk_patience_ms.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "object/sink.h"
#include "port/clock.h"
#include "store/object_extras.h"

namespace etlnode {

struct put_sink {
    env *e = nullptr;
    store *objects = nullptr;
    sink_put_options options;
    bool has_checksum = false;
    uint64_t checksum = 0;
    put *target = nullptr;
    put *held = nullptr; // only its row is missing, and leave was asked for
    size_t filled = 0;   // bytes in the put's buffer
    uint64_t bytes = 0;
    bool writing = false;
    bool posted = false;     // on_posted is due
    bool committing = false; // the store will complete it, whether or not a caller waits
    bool is_refused = false; // the commit was refused
    bool done = false;       // committed, as far as the owner knows, or abandoned
    sink_outcome outcome;
    net_on_ready on_ready = nullptr;
    void *ready_arg = nullptr;
    sink_on_committed on_committed = nullptr;
    void *committed_arg = nullptr;
};

static put_sink &sink_of(void *self) { return *static_cast<put_sink *>(self); }

static const char *failure_reason(error err)
{
    if (err.code != error_code::no_space)
        return error_text(err);
    switch (err.sys) {
    case EDQUOT: return "the disk quota of the node's user is used up";
    case EFBIG: return "the file would be larger than the node's process may make one";
    default: return "the disk is full";
    }
}

std::string sink_put_describe_failure(std::string_view node_id, std::string_view bucket, std::string_view name, error err)
{
    std::string text = "t[";
    text.append(node_id).append("]: cannot store ais://").append(bucket).append("/").append(name).append(": ").append(failure_reason(err));
    return text;
}

static void set_failure(put_sink &s, error err)
{
    s.outcome = {err, sink_put_describe_failure(s.options.node_id, s.options.bucket, s.options.name, err)};
}

// The store has completed everything.
static void end(put_sink &s)
{
    if (s.options.on_end != nullptr)
        s.options.on_end(s.options.arg, s.outcome.err, s.bytes);
    s.options.on_end = nullptr;
}

static void free_when_idle(put_sink &s)
{
    if (s.done && !s.posted && !s.committing)
        delete &s;
}

static void report_ready(put_sink &s)
{
    net_on_ready on_ready = s.on_ready;
    s.on_ready = nullptr;
    if (on_ready != nullptr)
        on_ready(s.ready_arg);
}

static void report_committed(put_sink &s)
{
    end(s);
    if (!s.done)
        s.on_committed(s.committed_arg, s.outcome);
    s.done = true;
    free_when_idle(s);
}

// Either there was room already, or the commit was refused.
static void on_posted(void *arg)
{
    put_sink &s = sink_of(arg);
    s.posted = false;
    if (s.done)
        free_when_idle(s);
    else if (s.is_refused)
        report_committed(s);
    else
        report_ready(s);
}

static void post(put_sink &s)
{
    if (!s.posted)
        clock_post(*s.e, on_posted, &s);
    s.posted = true;
}

static void begin(void *self, sink_head &head)
{
    put_sink &s = sink_of(self);
    CHECK(s.target == nullptr);
    s.has_checksum = head.has_checksum;
    s.checksum = head.checksum;
    s.target = put_start(*s.objects, s.options.bucket, s.options.name, std::move(head.content_type));
    if (s.options.made_from || !head.custom.empty())
        put_set_custom(*s.target, object_extras_of_copy(head.custom, s.options.made_from ? *s.options.made_from : std::string()));
    if (s.options.copy)
        put_set_copy(*s.target, s.options.copy->row, s.options.copy->origin_tag);
}

static void on_written(void *arg, error err)
{
    put_sink &s = sink_of(arg);
    s.writing = false;
    s.filled = 0;
    if (err)
        set_failure(s, err);
    report_ready(s);
}

static io_result send(void *self, std::string_view bytes, bool)
{
    put_sink &s = sink_of(self);
    if (s.outcome.err)
        return {io_state::failed, 0, s.outcome.err};
    if (s.writing)
        return {io_state::again, 0, no_error};
    std::span<char> buffer = put_buffer(*s.target);
    if (s.filled == buffer.size()) {
        s.writing = true;
        put_write(*s.target, s.filled, on_written, &s);
        return {io_state::again, 0, no_error};
    }
    size_t count = std::min(bytes.size(), buffer.size() - s.filled);
    std::memcpy(buffer.data() + s.filled, bytes.data(), count);
    s.filled += count;
    s.bytes += count;
    return {io_state::done, count, no_error};
}

static void wait(void *self, net_on_ready on_ready, void *arg)
{
    put_sink &s = sink_of(self);
    s.on_ready = on_ready;
    s.ready_arg = arg;
    if (!s.writing)
        post(s);
}

static void wait_cancel(void *self) { sink_of(self).on_ready = nullptr; }

static error stalled(void *self)
{
    put_sink &s = sink_of(self);
    set_failure(s, make_error(error_code::io, "the disk takes nothing"));
    return s.outcome.err;
}

static constexpr stream_to_ops stream_ops = {false, false, nullptr, nullptr, nullptr, send, nullptr, nullptr, wait, wait_cancel, stalled};

static stream_to stream(void *self) { return {&stream_ops, self}; }

static void on_committed(void *arg, error err, const index_row &)
{
    put_sink &s = sink_of(arg);
    s.committing = false;
    s.held = nullptr;
    if (!err && s.options.gate.confirm != nullptr)
        err = s.options.gate.confirm(s.options.arg);
    if (err)
        set_failure(s, err);
    report_committed(s);
}

static void on_leave(void *owner, const put_leave &leave)
{
    put_sink &s = sink_of(owner);
    put *held = std::exchange(s.held, nullptr);
    if (!leave.err) {
        put_set_terms(*held, leave.terms);
        put_release(*held);
        return;
    }
    put_abort(*held);
    s.committing = false;
    s.outcome = {leave.err, leave.text};
    report_committed(s);
}

static void on_held(void *arg)
{
    put_sink &s = sink_of(arg);
    const put_gate &gate = s.options.gate;
    gate.ask(s.options.arg, s.options.bucket, s.options.name, s.options.bucket_created_ns, on_leave, &s);
}

static bool must_hold(const put_sink &s, const put &target)
{
    const put_gate &gate = s.options.gate;
    return gate.must_ask != nullptr &&
           (!put_commits_at_once(target, s.filled) || gate.must_ask(s.options.arg, s.options.bucket, s.options.name));
}

static bool is_bucket_gone(const put_sink &s)
{
    return s.options.is_bucket_there != nullptr && !s.options.is_bucket_there(s.options.arg, s.options.bucket, s.options.bucket_created_ns);
}

static void commit(void *self, sink_on_committed on_done, void *arg)
{
    put_sink &s = sink_of(self);
    CHECK(!s.writing && s.on_committed == nullptr);
    s.on_committed = on_done;
    s.committed_arg = arg;
    put *target = s.target;
    s.target = nullptr;
    if (is_bucket_gone(s)) {
        put_abort(*target);
        s.outcome = {make_error(error_code::bucket_not_found),
            "bucket \"ais://" + s.options.bucket +
                "\" does not exist any more: it was destroyed meanwhile, even if there is a new one of that name"};
        s.is_refused = true;
        post(s);
        return;
    }
    s.committing = true;
    if (must_hold(s, *target)) {
        s.held = target;
        put_hold(*target, on_held, &s);
    }
    put_commit(*target, s.filled, s.has_checksum, s.checksum, on_committed, &s);
}

static void abandon(void *self, sink_refusal *)
{
    put_sink &s = sink_of(self);
    s.done = true;
    s.on_ready = nullptr;
    if (s.target != nullptr)
        put_abort(*s.target);
    s.target = nullptr;
    if (!s.committing) {
        if (!s.outcome.err)
            s.outcome.err = make_error(error_code::canceled);
        end(s);
    }
    free_when_idle(s);
}

static const sink_outcome &failure(const void *self) { return static_cast<const put_sink *>(self)->outcome; }

static constexpr sink_ops ops = {begin, stream, commit, abandon, failure};

sink sink_put(env &e, store &objects, sink_put_options options)
{
    auto *s = new put_sink;
    s->e = &e;
    s->objects = &objects;
    s->options = std::move(options);
    return {&ops, s, disk_patience_ms};
}

} // namespace etlnode
