// SPDX-License-Identifier: MIT
// http/pump_machine.cc: moves bytes from one end of a stream to another, one piece at a time.
//
// Owns     one relay if both ends are sockets, one timer, the two waits. The ends belong to the owner.
// Knows    sm, port, http/stream.h.   Known by  transfer.
// Machine  pump, drawn in docs/machines/pump.md (generated, do not edit).
// Normal   awaiting_source and awaiting_sink alternate, then ended.
// Fails    a source that breaks, stalls, or gives more than announced; a sink that breaks or takes nothing.
// Limits   one piece in flight: relay_pipe_size or stream_buffer_size.
#include "http/pump.h"

#include <algorithm>

#include "base/check.h"
#include "http/http_machines.h"
#include "port/clock.h"
#include "sm/sm.h"
#include "sm/sm_verify.h"

namespace etlnode {

struct pump {
    enum class state : uint8_t { awaiting_source, awaiting_sink, ended };
    enum class event : uint8_t { source_empty, sink_full, finished, failed, deadline, stop };
    sm_core sm;
    env *e = nullptr;
    stream_to to;
    stream_from from;
    pump_options options;
    net_relay *relay = nullptr;
    timer *deadline_timer = nullptr;
    uint64_t awaited_since_ms = 0; // since the source was asked for its next piece
    error err;
    uint64_t moved = 0;
    // The piece in flight: framing first (in the sink), then these bytes, the relay's contents, or a part of the file.
    std::string_view bytes;
    size_t relayed_left = 0;
    disk_file *file = nullptr;
    uint64_t file_offset = 0;
    size_t file_left = 0;
    bool in_piece = false;
    bool canceled = false;
};

using S = pump::state;
using E = pump::event;

static void on_source_ready(void *arg);
static void on_sink_ready(void *arg);

static void stop_waiting(pump &p)
{
    timer_stop(*p.e, p.deadline_timer);
    p.from.ops->wait_cancel(p.from.self);
    p.to.ops->wait_cancel(p.to.self);
}

// A pod that still reads its input makes progress, even if it does not answer yet. Bytes that are not part of the body (a chunk's size, a
// trailer) do not count: they could trickle for ever.
static uint64_t source_limit_ms(const pump &p)
{
    return std::max(p.awaited_since_ms, p.from.ops->last_progress_ms(p.from.self)) + p.options.source_timeout_ms;
}

static void wait_source(pump &p)
{
    p.from.ops->wait(p.from.self, on_source_ready, &p);
    uint64_t now = clock_now_ms(*p.e);
    uint64_t limit = source_limit_ms(p);
    timer_arm(*p.e, p.deadline_timer, limit > now ? limit - now : 0);
}

static void wait_sink(pump &p)
{
    p.to.ops->wait(p.to.self, on_sink_ready, &p);
    timer_arm(*p.e, p.deadline_timer, p.options.sink_timeout_ms);
}

static void delete_pump(void *arg) { delete static_cast<pump *>(arg); }

static void report(void *arg)
{
    pump &p = *static_cast<pump *>(arg);
    if (!p.canceled)
        p.options.on_done(p.options.arg, p.err, p.moved);
    clock_post(*p.e, delete_pump, &p);
}

static void end(pump &p)
{
    stop_waiting(p);
    if (p.relay != nullptr)
        net_relay_free(*p.e, p.relay);
    p.relay = nullptr;
    timer_free(*p.e, p.deadline_timer);
    p.deadline_timer = nullptr;
    clock_post(*p.e, report, &p);
}

static void end_source_stalled(pump &p)
{
    p.err = make_error(error_code::timed_out, p.from.ops->stall_text(p.from.self));
    end(p);
}

static void end_sink_stalled(pump &p)
{
    p.err = p.to.ops->stalled(p.to.self);
    end(p);
}

static constexpr uint32_t RELAY = 1;
static constexpr uint32_t DEADLINE = 2;

static uint32_t alive(const pump &p)
{
    return (p.relay != nullptr ? RELAY : 0u) | (p.deadline_timer != nullptr && timer_is_armed(*p.e, p.deadline_timer) ? DEADLINE : 0u);
}

static constexpr sm_resource resources[] = {{RELAY, "relay"}, {DEADLINE, "deadline"}};

static constexpr sm_state<pump> states[] = {
    {S::awaiting_source, sm_initial | sm_busy, DEADLINE, RELAY | DEADLINE},
    {S::awaiting_sink, sm_busy, DEADLINE, RELAY | DEADLINE},
    {S::ended, sm_final, 0, 0},
};

static constexpr sm_row<pump> rows[] = {
    {S::awaiting_source, E::source_empty, always, SM_FN(wait_source), S::awaiting_source},
    {S::awaiting_source, E::sink_full, always, SM_FN(wait_sink), S::awaiting_sink},
    {S::awaiting_source, E::finished, always, SM_FN(end), S::ended},
    {S::awaiting_source, E::failed, always, SM_FN(end), S::ended},
    {S::awaiting_source, E::deadline, always, SM_FN(end_source_stalled), S::ended},
    {S::awaiting_source, E::stop, always, SM_FN(end), S::ended},

    {S::awaiting_sink, E::source_empty, always, SM_FN(wait_source), S::awaiting_source},
    {S::awaiting_sink, E::sink_full, always, SM_FN(wait_sink), S::awaiting_sink},
    {S::awaiting_sink, E::finished, always, SM_FN(end), S::ended},
    {S::awaiting_sink, E::failed, always, SM_FN(end), S::ended},
    {S::awaiting_sink, E::deadline, always, SM_FN(end_sink_stalled), S::ended},
    {S::awaiting_sink, E::stop, always, SM_FN(end), S::ended},
};

// Only between two sockets can bytes stay in the kernel all the way.
static bool wants_relay(const pump &p) { return p.from.ops->gives_relayed && p.to.ops->takes_relayed; }
static bool has_relay_where_wanted(const pump &p) { return sm_state_of(p) == S::ended || (p.relay != nullptr) == wants_relay(p); }

static constexpr sm_invariant<pump> invariants[] = {{"has_relay_where_wanted", has_relay_where_wanted}};

static constexpr sm_table<pump> table = {"pump", states, resources, rows, {}, invariants, E::stop, E::deadline, alive};
SM_VERIFY(table);

sm_view pump_machine_view() { return sm_view_of(table); }

static void fail(pump &p, error err)
{
    p.err = err;
    sm_step(table, p, E::failed);
}

// Sends the piece in flight. done: the sink has taken everything.
static io_result send_piece(pump &p)
{
    const stream_to_ops &to = *p.to.ops;
    void *self = p.to.self;
    while ((to.has_framing != nullptr && to.has_framing(self)) || !p.bytes.empty()) {
        io_result sent = to.send(self, p.bytes, p.relayed_left + p.file_left > 0);
        if (sent.state != io_state::done)
            return sent;
        p.bytes.remove_prefix(sent.count);
        p.moved += sent.count;
    }
    while (p.relayed_left > 0) {
        io_result sent = to.send_relayed(self, p.relay);
        if (sent.state != io_state::done)
            return sent;
        p.relayed_left -= sent.count;
        p.moved += sent.count;
    }
    while (p.file_left > 0) {
        io_result sent = to.send_file(self, p.file, p.file_offset, p.file_left);
        if (sent.state == io_state::failed && sent.err.code == error_code::end_of_stream)
            sent.err = make_error(error_code::corrupt, "the content is shorter than it was");
        if (sent.state != io_state::done)
            return sent;
        p.file_offset += sent.count;
        p.file_left -= sent.count;
        p.moved += sent.count;
    }
    return {io_state::done, 0, no_error};
}

static void begin_piece(pump &p, const pull_result &got)
{
    if (p.to.ops->begin_piece != nullptr)
        p.to.ops->begin_piece(p.to.self, got.count);
    p.bytes = got.bytes;
    p.relayed_left = got.state == pull_state::relayed ? got.count : 0;
    p.file = got.file;
    p.file_offset = got.offset;
    p.file_left = got.state == pull_state::file ? got.count : 0;
    p.in_piece = true;
}

static void end_piece(pump &p)
{
    p.in_piece = false;
    p.awaited_since_ms = clock_now_ms(*p.e);
    if (p.to.ops->end_piece != nullptr)
        p.to.ops->end_piece(p.to.self);
}

static void run(pump &p)
{
    for (int round = 0; round < 32; round++) {
        if (p.in_piece) {
            io_result sent = send_piece(p);
            if (sent.state == io_state::again) {
                sm_step(table, p, E::sink_full);
                return;
            }
            if (sent.state != io_state::done) {
                fail(p, sent.err);
                return;
            }
            end_piece(p);
        }
        pull_result got = p.from.ops->pull(p.from.self, p.relay, p.to.ops->takes_file);
        switch (got.state) {
        case pull_state::bytes:
        case pull_state::relayed:
        case pull_state::file:
            if (p.options.has_length && p.moved + got.count > p.options.length) {
                fail(p, make_error(error_code::bad_pod_answer, "the answer is longer than announced"));
                return;
            }
            begin_piece(p, got);
            break;
        case pull_state::again: sm_step(table, p, E::source_empty); return;
        case pull_state::end: sm_step(table, p, E::finished); return;
        case pull_state::failed: fail(p, got.err); return;
        }
    }
    // A fast pair of peers must not monopolise the loop: continue in the next iteration.
    if (p.in_piece)
        sm_step(table, p, E::sink_full);
    else
        sm_step(table, p, E::source_empty);
}

static void on_source_ready(void *arg) { run(*static_cast<pump *>(arg)); }
static void on_sink_ready(void *arg) { run(*static_cast<pump *>(arg)); }

static void start(void *arg)
{
    pump &p = *static_cast<pump *>(arg);
    if (sm_state_of(p) == S::ended)
        return;
    if (!p.options.prefix.empty())
        begin_piece(p, {pull_state::bytes, p.options.prefix, p.options.prefix.size(), no_error});
    run(p);
}

static void on_timer(void *arg)
{
    pump &p = *static_cast<pump *>(arg);
    uint64_t limit = source_limit_ms(p);
    uint64_t now = clock_now_ms(*p.e);
    if (sm_state_of(p) == S::awaiting_source && limit > now) {
        timer_arm(*p.e, p.deadline_timer, limit - now);
        return;
    }
    sm_step(table, p, E::deadline);
}

pump *pump_start(env &e, stream_to to, stream_from from, pump_options options)
{
    pump *p = new pump;
    p->sm.id = e.next_machine_id++;
    p->e = &e;
    p->to = to;
    p->from = from;
    p->options = std::move(options);
    if (wants_relay(*p))
        p->relay = net_relay_make(e);
    p->deadline_timer = timer_make(*p->e, on_timer, p);
    p->awaited_since_ms = clock_now_ms(*p->e);
    clock_post(*p->e, start, p);
    return p;
}

void pump_cancel(pump &p)
{
    p.canceled = true;
    if (sm_state_of(p) != S::ended)
        sm_step(table, p, E::stop);
}

} // namespace etlnode
