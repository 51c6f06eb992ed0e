// SPDX-License-Identifier: MIT
// object/sink_tee.cc: passes the same bytes to two sinks, at the pace of the slower one.
//
// Owns     both sinks.
// Normal   every piece goes to both; the first is committed, then the second.
// Fails    with the first sink that fails, before anything is committed. If only the second commit fails, the first has taken effect, and
//          the outcome says why the second failed.
#include <algorithm>

#include "base/check.h"
#include "object/sink.h"

namespace etlnode {

struct tee_side {
    sink to;
    stream_to stream;
    size_t ahead = 0; // bytes that it has taken but the pump has not counted
    bool is_blocked = false;
};

struct tee_sink {
    tee_side sides[2];
    sink_outcome outcome;
    sink_on_committed on_committed = nullptr;
    void *committed_arg = nullptr;
};

static tee_sink &sink_of(void *self) { return *static_cast<tee_sink *>(self); }

static void begin(void *self, sink_head &head)
{
    for (tee_side &side : sink_of(self).sides) {
        sink_begin(side.to, head);
        side.stream = sink_stream(side.to);
    }
}

static void begin_piece(void *self, size_t size)
{
    for (tee_side &side : sink_of(self).sides) {
        if (side.stream.ops->begin_piece != nullptr)
            side.stream.ops->begin_piece(side.stream.self, size);
    }
}

static void end_piece(void *self)
{
    for (tee_side &side : sink_of(self).sides) {
        if (side.stream.ops->end_piece != nullptr)
            side.stream.ops->end_piece(side.stream.self);
    }
}

static bool side_has_framing(const tee_side &side)
{
    return side.stream.ops->has_framing != nullptr && side.stream.ops->has_framing(side.stream.self);
}

static bool has_framing(const void *self)
{
    const tee_sink &s = *static_cast<const tee_sink *>(self);
    return side_has_framing(s.sides[0]) || side_has_framing(s.sides[1]);
}

// Sends as much as this side takes now.
static io_result send_to(tee_side &side, std::string_view bytes, bool more)
{
    side.is_blocked = false;
    while (side_has_framing(side) || side.ahead < bytes.size()) {
        io_result sent = side.stream.ops->send(side.stream.self, bytes.substr(side.ahead), more);
        side.is_blocked = sent.state == io_state::again;
        if (sent.state != io_state::done)
            return sent;
        side.ahead += sent.count;
    }
    return {io_state::done, 0, no_error};
}

static io_result send(void *self, std::string_view bytes, bool more)
{
    tee_sink &s = sink_of(self);
    for (tee_side &side : s.sides) {
        io_result sent = send_to(side, bytes, more);
        if (sent.state == io_state::failed) {
            s.outcome = sink_failure(side.to);
            if (!s.outcome.err)
                s.outcome.err = sent.err;
            return sent;
        }
    }
    size_t taken = std::min(s.sides[0].ahead, s.sides[1].ahead);
    if (taken == 0 && (s.sides[0].is_blocked || s.sides[1].is_blocked))
        return {io_state::again, 0, no_error};
    s.sides[0].ahead -= taken;
    s.sides[1].ahead -= taken;
    return {io_state::done, taken, no_error};
}

static tee_side &slower_side(tee_sink &s) { return s.sides[s.sides[0].is_blocked ? 0 : 1]; }

static void wait(void *self, net_on_ready on_ready, void *arg)
{
    tee_side &side = slower_side(sink_of(self));
    side.stream.ops->wait(side.stream.self, on_ready, arg);
}

static void wait_cancel(void *self)
{
    for (tee_side &side : sink_of(self).sides)
        side.stream.ops->wait_cancel(side.stream.self);
}

static error stalled(void *self)
{
    tee_sink &s = sink_of(self);
    tee_side &side = slower_side(s);
    error err = side.stream.ops->stalled(side.stream.self);
    s.outcome = sink_failure(side.to);
    s.outcome.err = err;
    return err;
}

static constexpr stream_to_ops stream_ops = {
    false, false, begin_piece, end_piece, has_framing, send, nullptr, nullptr, wait, wait_cancel, stalled};

static stream_to stream(void *self) { return {&stream_ops, self}; }

static void end(tee_sink &s, const sink_outcome &outcome)
{
    for (tee_side &side : s.sides)
        sink_abandon(side.to);
    s.on_committed(s.committed_arg, outcome);
    delete &s;
}

static void on_second_committed(void *arg, const sink_outcome &outcome)
{
    tee_sink &s = sink_of(arg);
    s.sides[1].to = sink{}; // it is gone
    end(s, outcome);
}

static void on_first_committed(void *arg, const sink_outcome &outcome);

// The rest of the commit, as far as it goes at once. True: there is nothing more to wait for.
static bool commit_rest(tee_sink &s)
{
    for (size_t i : {0u, 1u}) {
        sink &to = s.sides[i].to;
        if (!sink_is_open(to))
            continue;
        if (!sink_commits_at_once(to)) {
            sink_commit(to, i == 0 ? on_first_committed : on_second_committed, &s);
            return false;
        }
        sink_commit_now(to);
    }
    return true;
}

static void on_first_committed(void *arg, const sink_outcome &outcome)
{
    tee_sink &s = sink_of(arg);
    s.sides[0].to = sink{};
    if (outcome.err || commit_rest(s))
        end(s, outcome);
}

static void commit(void *self, sink_on_committed on_done, void *arg)
{
    tee_sink &s = sink_of(self);
    s.on_committed = on_done;
    s.committed_arg = arg;
    bool is_done = commit_rest(s);
    CHECK(!is_done); // both at once: commit_now
}

static void commit_now(void *self)
{
    tee_sink &s = sink_of(self);
    bool is_done = commit_rest(s);
    CHECK(is_done);
    delete &s;
}

static void abandon(void *self, sink_refusal *why)
{
    tee_sink &s = sink_of(self);
    for (tee_side &side : s.sides) {
        if (why != nullptr && sink_is_open(side.to))
            sink_refuse(side.to, *why);
        else
            sink_abandon(side.to);
    }
    delete &s;
}

static bool is_seen(const void *self)
{
    const tee_sink &s = *static_cast<const tee_sink *>(self);
    return sink_is_seen(s.sides[0].to) || sink_is_seen(s.sides[1].to);
}

static const sink_outcome &failure(const void *self) { return static_cast<const tee_sink *>(self)->outcome; }

static constexpr sink_ops ops = {begin, stream, commit, abandon, failure, nullptr, nullptr, is_seen};
static constexpr sink_ops ops_at_once = {begin, stream, nullptr, abandon, failure, commit_now, nullptr, is_seen};

sink sink_tee(sink first, sink second)
{
    auto *s = new tee_sink;
    s->sides[0].to = first;
    s->sides[1].to = second;
    bool is_at_once = sink_commits_at_once(first) && sink_commits_at_once(second);
    return {is_at_once ? &ops_at_once : &ops, s, std::min(first.patience_ms, second.patience_ms)};
}

} // namespace etlnode
