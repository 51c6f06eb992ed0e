// SPDX-License-Identifier: MIT
// http/pump_machine.cc: from a call's answer into a streamed answer, one piece at a time.
//
// Owns     one relay, one timer, the two waits. Call and exchange stay the owner's.
// Knows    sm, port.                  Known by  transfer.
// Machine  pump, drawn in docs/machines/pump.md (generated, do not edit).
// Normal   awaiting_source and awaiting_sink in turn, then ended.
// Fails    a source that breaks, or stalls, or gives more or less than it said; a client that is gone or takes nothing.
// Limits   one piece in flight: relay_pipe_size or stream_buffer_size.
#include "http/pump.h"

#include <algorithm>

#include "http/conn_machine.h"
#include "http/machines.h"
#include "sm/sm_verify.h"

struct pump {
    enum class state : uint8_t { awaiting_source, awaiting_sink, ended };
    enum class event : uint8_t { source_empty, sink_full, finished, failed, deadline, stop };
    sm_core sm;
    env *e = nullptr;
    exchange *to = nullptr;
    call *from = nullptr;
    pump_options options;
    net_relay *relay = nullptr;
    timer *clock = nullptr;
    uint64_t awaited_since_ms = 0; // the source: since it was asked for its next piece
    error err;
    uint64_t moved = 0;
    // The piece in flight: framing first (in the exchange), then these bytes or what the relay holds.
    std::string_view bytes;
    size_t relayed_left = 0;
    bool in_piece = false;
    bool canceled = false;
};

using S = pump::state;
using E = pump::event;

static void on_source_ready(void *arg);
static void on_sink_ready(void *arg);

static void stop_waiting(pump &p)
{
    timer_stop(*p.e, p.clock);
    call_pull_wait_cancel(*p.from);
    if (exchange_net(*p.to) != nullptr)
        net_wait_cancel(*p.e, exchange_net(*p.to), net_side::writable);
}

// A pod that still reads its input makes progress, even while it answers nothing. What comes and is no piece of the body (the size of a chunk,
// a trailer) moves nothing: it might drip for ever.
static uint64_t source_limit_ms(const pump &p) { return std::max(p.awaited_since_ms, call_last_progress_ms(*p.from)) + p.options.source_timeout_ms; }

static void wait_source(pump &p)
{
    call_pull_wait(*p.from, on_source_ready, &p);
    uint64_t now = clock_now_ms(*p.e);
    uint64_t limit = source_limit_ms(p);
    timer_arm(*p.e, p.clock, limit > now ? limit - now : 0);
}

static void wait_sink(pump &p)
{
    net_wait(*p.e, exchange_net(*p.to), net_side::writable, on_sink_ready, &p);
    timer_arm(*p.e, p.clock, p.options.sink_timeout_ms);
}

static void delete_pump(void *arg) { delete static_cast<pump *>(arg); }

static void tell(void *arg)
{
    pump &p = *static_cast<pump *>(arg);
    if (!p.canceled)
        p.options.on_done(p.options.arg, p.err, p.moved);
    clock_post(*p.e, delete_pump, &p);
}

static void end(pump &p)
{
    stop_waiting(p);
    net_relay_free(*p.e, p.relay);
    p.relay = nullptr;
    timer_free(*p.e, p.clock);
    p.clock = nullptr;
    clock_post(*p.e, tell, &p);
}

static void end_source_stalled(pump &p)
{
    p.err = make_error(error_code::timed_out, call_stall_text(*p.from));
    end(p);
}

static void end_sink_stalled(pump &p)
{
    p.err = make_error(error_code::canceled, "the client takes nothing");
    end(p);
}

static constexpr uint32_t RELAY = 1;
static constexpr uint32_t DEADLINE = 2;

static uint32_t alive(const pump &p) { return (p.relay != nullptr ? RELAY : 0u) | (p.clock != nullptr && timer_is_armed(*p.e, p.clock) ? DEADLINE : 0u); }

static constexpr sm_resource resources[] = {{RELAY, "relay"}, {DEADLINE, "deadline"}};

static constexpr sm_state<pump> states[] = {
    {S::awaiting_source, sm_initial | sm_busy, RELAY | DEADLINE, RELAY | DEADLINE},
    {S::awaiting_sink, sm_busy, RELAY | DEADLINE, RELAY | DEADLINE},
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

static constexpr sm_table<pump> table = {"pump", states, resources, rows, {}, {}, E::stop, E::deadline, alive};
SM_VERIFY(table);

sm_view pump_machine_view() { return sm_view_of(table); }

static void fail(pump &p, error err)
{
    p.err = err;
    sm_step(table, p, E::failed);
}

// Sends the piece in flight. done: all of it is with the kernel.
static io_result send_piece(pump &p)
{
    net_conn *sink = exchange_net(*p.to);
    if (sink == nullptr)
        return {io_state::failed, 0, make_error(error_code::canceled, "the client has gone")};
    while (exchange_has_framing(*p.to) || !p.bytes.empty()) {
        io_result sent = exchange_send_piece(*p.to, p.bytes, p.relayed_left > 0);
        if (sent.state != io_state::done)
            return sent;
        p.bytes.remove_prefix(sent.count);
        p.moved += sent.count;
    }
    while (p.relayed_left > 0) {
        io_result sent = net_relay_drain(*p.e, p.relay, sink, false);
        if (sent.state != io_state::done)
            return sent;
        exchange_count_out(*p.to, sent.count);
        p.relayed_left -= sent.count;
        p.moved += sent.count;
    }
    return {io_state::done, 0, no_error};
}

static void begin_piece(pump &p, const pull_result &got)
{
    exchange_frame_piece(*p.to, got.count);
    p.bytes = got.bytes;
    p.relayed_left = got.state == pull_state::relayed ? got.count : 0;
    p.in_piece = true;
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
                fail(p, make_error(error_code::canceled, "the client has gone"));
                return;
            }
            p.in_piece = false;
            p.awaited_since_ms = clock_now_ms(*p.e);
            exchange_frame_piece_end(*p.to);
        }
        pull_result got = call_pull(*p.from, p.relay);
        switch (got.state) {
        case pull_state::bytes:
        case pull_state::relayed:
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
    // A fast pair of peers must not keep the loop: go on in its next turn.
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
        timer_arm(*p.e, p.clock, limit - now);
        return;
    }
    sm_step(table, p, E::deadline);
}

pump *pump_start(exchange &to, call &from, pump_options options)
{
    pump *p = new pump;
    p->sm.id = exchange_env(to).next_machine_id++;
    p->e = &exchange_env(to);
    p->to = &to;
    p->from = &from;
    p->options = static_cast<pump_options &&>(options);
    p->relay = net_relay_make(*p->e);
    p->clock = timer_make(*p->e, on_timer, p);
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
