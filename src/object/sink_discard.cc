// SPDX-License-Identifier: MIT
// object/sink_discard.cc: a sink that stores nothing: it only shows whether a source can be read, and how large it is.
//
// Owns     nothing.
#include "object/sink.h"
#include "port/clock.h"

namespace etlnode {

struct discard_sink {
    env *e = nullptr;
    bool posted = false;
    bool done = false;
    sink_outcome outcome;
    net_on_ready on_ready = nullptr;
    void *ready_arg = nullptr;
    sink_on_committed on_committed = nullptr;
    void *committed_arg = nullptr;
};

static discard_sink &sink_of(void *self) { return *static_cast<discard_sink *>(self); }

static void end(discard_sink &s)
{
    s.done = true;
    if (!s.posted)
        delete &s;
}

static void on_posted(void *arg)
{
    discard_sink &s = sink_of(arg);
    s.posted = false;
    net_on_ready on_ready = s.on_ready;
    s.on_ready = nullptr;
    if (s.done) {
        delete &s;
    } else if (s.on_committed != nullptr) {
        s.on_committed(s.committed_arg, s.outcome);
        end(s);
    } else if (on_ready != nullptr) {
        on_ready(s.ready_arg);
    }
}

static void post(discard_sink &s)
{
    if (!s.posted)
        clock_post(*s.e, on_posted, &s);
    s.posted = true;
}

static io_result send(void *, std::string_view bytes, bool) { return {io_state::done, bytes.size(), no_error}; }

static void wait(void *self, net_on_ready on_ready, void *arg)
{
    discard_sink &s = sink_of(self);
    s.on_ready = on_ready;
    s.ready_arg = arg;
    post(s);
}

static void wait_cancel(void *self) { sink_of(self).on_ready = nullptr; }
static error stalled(void *) { return make_error(error_code::internal); } // it takes everything

static constexpr stream_to_ops stream_ops = {false, false, nullptr, nullptr, nullptr, send, nullptr, nullptr, wait, wait_cancel, stalled};

static void begin(void *, sink_head &) {}
static stream_to stream(void *self) { return {&stream_ops, self}; }

static void commit(void *self, sink_on_committed on_committed, void *arg)
{
    discard_sink &s = sink_of(self);
    s.on_committed = on_committed;
    s.committed_arg = arg;
    post(s);
}

static void abandon(void *self, sink_refusal *)
{
    discard_sink &s = sink_of(self);
    s.on_ready = nullptr;
    end(s);
}

static const sink_outcome &failure(const void *self) { return static_cast<const discard_sink *>(self)->outcome; }

static constexpr uint64_t patience_ms = 1'000;
static constexpr sink_ops ops = {begin, stream, commit, abandon, failure};

sink sink_discard(env &e)
{
    auto *s = new discard_sink;
    s->e = &e;
    return {&ops, s, patience_ms};
}

} // namespace etlnode
