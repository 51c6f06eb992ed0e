// SPDX-License-Identifier: MIT
// control/member_machine.cc: registers a target with the proxy, and repeats that every heartbeat_interval_ms.
//
// Owns     one timer, and whether a call is in progress.
// Knows    sm, port.            Known by  target.cc.
// Machine  member, drawn in docs/machines/member.md (generated, do not edit).
// Normal   register, rest, register ...
// Fails    an unreachable proxy is tried again at every heartbeat. A refusal doubles the pause, up to register_back_off_max_ms.
#include "control/member_machine.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "port/clock.h"
#include "sm/sm_verify.h"

namespace etlnode {

using S = member::state;
using E = member::event;

// --- actions

static void send(member &m)
{
    m.again = false;
    m.calling = true;
    timer_arm(*m.e, m.deadline_timer, intra_call_timeout_ms);
    m.world.send(m.world.arg, m);
}

static void note_accepted(member &m)
{
    if (m.accepted_ms == 0 || m.failures > 0 || m.refusals > 0)
        LOG(info, "member", "msg=\"registered with the proxy\"");
    m.accepted_ms = clock_now_ms(*m.e);
    m.refusals = 0;
    m.failures = 0;
    m.last_text.clear();
    timer_arm(*m.e, m.deadline_timer, m.again ? 0 : heartbeat_interval_ms);
}

static void note_unreachable(member &m)
{
    m.failures++;
    timer_arm(*m.e, m.deadline_timer, heartbeat_interval_ms);
}

static void back_off(member &m)
{
    m.refusals++;
    uint64_t delay = heartbeat_interval_ms;
    for (uint64_t i = 1; i < m.refusals && delay < register_back_off_max_ms; i++)
        delay *= 2;
    timer_arm(*m.e, m.deadline_timer, delay < register_back_off_max_ms ? delay : register_back_off_max_ms);
}

static void give_up_call(member &m)
{
    m.calling = false;
    m.world.cancel(m.world.arg, m);
    note_unreachable(m);
}

static void note_again(member &m) { m.again = true; }

static void send_now(member &m)
{
    timer_stop(*m.e, m.deadline_timer);
    send(m);
}

static void leave(member &m)
{
    if (m.calling)
        m.world.cancel(m.world.arg, m);
    m.calling = false;
    if (m.deadline_timer != nullptr)
        timer_free(*m.e, m.deadline_timer);
    m.deadline_timer = nullptr;
}

// --- the table

static constexpr uint32_t CALL = 1;
static constexpr uint32_t TIMER = 2;

static uint32_t alive(const member &m)
{
    return (m.calling ? CALL : 0) | (m.deadline_timer != nullptr && timer_is_armed(*m.e, m.deadline_timer) ? TIMER : 0);
}

static constexpr sm_resource resources[] = {{CALL, "call"}, {TIMER, "timer"}};

static constexpr sm_state<member> states[] = {
    {S::idle, sm_initial, 0, 0},
    {S::awaiting_answer, sm_busy, CALL | TIMER, CALL | TIMER},
    {S::resting, 0, TIMER, TIMER},
    {S::backing_off, 0, TIMER, TIMER},
    {S::left, sm_final, 0, 0},
};

static constexpr sm_row<member> rows[] = {
    {S::idle, E::begin, always, SM_FN(send), S::awaiting_answer},
    {S::idle, E::stop, always, SM_FN(leave), S::left},

    {S::awaiting_answer, E::accepted, always, SM_FN(note_accepted), S::resting},
    {S::awaiting_answer, E::refused, always, SM_FN(back_off), S::backing_off},
    {S::awaiting_answer, E::unreachable, always, SM_FN(note_unreachable), S::resting},
    {S::awaiting_answer, E::beat_asked, always, SM_FN(note_again), S::awaiting_answer},
    {S::awaiting_answer, E::deadline, always, SM_FN(give_up_call), S::resting},
    {S::awaiting_answer, E::stop, always, SM_FN(leave), S::left},

    {S::resting, E::due, always, SM_FN(send), S::awaiting_answer},
    {S::resting, E::beat_asked, always, SM_FN(send_now), S::awaiting_answer},
    {S::resting, E::stop, always, SM_FN(leave), S::left},

    {S::backing_off, E::due, always, SM_FN(send), S::awaiting_answer},
    {S::backing_off, E::stop, always, SM_FN(leave), S::left},
};

static constexpr sm_ignore<member> ignores[] = {
    {S::backing_off, E::beat_asked, "the proxy has refused us; the next registration carries everything"},
};

static bool counts_are_exclusive(const member &m) { return m.sm.state != static_cast<uint8_t>(S::backing_off) || m.refusals > 0; }
static constexpr sm_invariant<member> invariants[] = {{"backing off has a refusal", counts_are_exclusive}};

static constexpr sm_table<member> table = {"member", states, resources, rows, ignores, invariants, E::stop, E::deadline, alive};
SM_VERIFY(table);

sm_view member_machine_view() { return sm_view_of(table); }

// --- entry points

static void on_timer(void *arg)
{
    member &m = *static_cast<member *>(arg);
    sm_step(table, m, sm_state_of(m) == S::awaiting_answer ? E::deadline : E::due);
}

void member_begin(member &m)
{
    m.deadline_timer = timer_make(*m.e, on_timer, &m);
    sm_step(table, m, E::begin);
}

void member_answered(member &m, member_answer answer, std::string_view text)
{
    m.calling = false;
    if (answer != member_answer::accepted && text != m.last_text) {
        m.last_text = text;
        if (answer == member_answer::refused)
            LOG(error, "member", "reason=\"%s\" msg=\"the proxy does not accept this target\"", text_escape(text).c_str());
        else
            LOG(warn, "member", "reason=\"%s\" msg=\"the proxy cannot be reached, trying again\"", text_escape(text).c_str());
    }
    sm_step(table, m, answer == member_answer::accepted ? E::accepted : answer == member_answer::refused ? E::refused : E::unreachable);
}

void member_beat_now(member &m)
{
    if (sm_state_of(m) == S::idle || sm_is_final(table, m))
        return;
    sm_step(table, m, E::beat_asked);
}

void member_stop(member &m)
{
    if (!sm_is_final(table, m))
        sm_step(table, m, E::stop);
}

} // namespace etlnode
