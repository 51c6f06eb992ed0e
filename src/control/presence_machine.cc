// SPDX-License-Identifier: MIT
// control/presence_machine.cc: whether the proxy hears from one target.
//
// Owns     one timer.
// Knows    sm, port.            Known by  role/proxy/targets.cc.
// Machine  presence, drawn in docs/machines/presence.md (generated, do not edit).
// Normal   unheard since this proxy started; then present as long as registrations and heartbeats arrive.
// Fails    nothing for target_silent_ms: silent, until the next sign of life.
#include "control/presence_machine.h"

#include "base/limits.h"
#include "base/log.h"
#include "sm/sm_verify.h"

namespace etlnode {

using S = presence::state;
using E = presence::event;

// --- actions

static void note_heard(presence &m)
{
    m.heard_ms = clock_now_ms(*m.e);
    timer_arm(*m.e, m.deadline_timer, target_silent_ms + 1);
}

static void note_arrival(presence &m)
{
    LOG(info, "cluster", "target=%s msg=\"target is present\"", m.target.c_str());
    note_heard(m);
}

static void note_silence(presence &m)
{
    LOG(warn, "cluster", "target=%s msg=\"target is silent: its objects are unavailable until it reports again\"", m.target.c_str());
}

static void leave(presence &m)
{
    timer_free(*m.e, m.deadline_timer);
    m.deadline_timer = nullptr;
}

// --- the table

static constexpr uint32_t TIMER = 1;

static uint32_t alive(const presence &m) { return m.deadline_timer != nullptr && timer_is_armed(*m.e, m.deadline_timer) ? TIMER : 0; }

static constexpr sm_resource resources[] = {{TIMER, "timer"}};

static constexpr sm_state<presence> states[] = {
    {S::unheard, sm_initial, 0, 0},
    {S::present, sm_busy, TIMER, TIMER},
    {S::silent, 0, 0, 0},
    {S::left, sm_final, 0, 0},
};

static constexpr sm_row<presence> rows[] = {
    {S::unheard, E::heard, always, SM_FN(note_arrival), S::present},
    {S::unheard, E::stop, always, SM_FN(leave), S::left},

    {S::present, E::heard, always, SM_FN(note_heard), S::present},
    {S::present, E::deadline, always, SM_FN(note_silence), S::silent},
    {S::present, E::stop, always, SM_FN(leave), S::left},

    {S::silent, E::heard, always, SM_FN(note_arrival), S::present},
    {S::silent, E::stop, always, SM_FN(leave), S::left},
};

static constexpr sm_table<presence> table = {"presence", states, resources, rows, {}, {}, E::stop, E::deadline, alive};
SM_VERIFY(table);

sm_view presence_machine_view() { return sm_view_of(table); }

// --- entry points

static void on_deadline(void *arg) { sm_step(table, *static_cast<presence *>(arg), E::deadline); }

void presence_begin(presence &m) { m.deadline_timer = timer_make(*m.e, on_deadline, &m); }

void presence_heard(presence &m)
{
    if (!sm_is_final(table, m))
        sm_step(table, m, E::heard);
}

void presence_stop(presence &m)
{
    if (!sm_is_final(table, m))
        sm_step(table, m, E::stop);
}

bool presence_is_here(const presence &m) { return sm_state_of(m) == S::present; }
bool presence_was_heard(const presence &m) { return sm_state_of(m) != S::unheard; }

} // namespace etlnode
