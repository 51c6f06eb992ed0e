// SPDX-License-Identifier: MIT
// control/publisher_machine.cc: keeps one target's copy of the cluster document up to date.
//
// Owns     one timer, and whether a call is in progress.
// Knows    sm, port.            Known by  role/proxy/targets.cc.
// Machine  publisher, drawn in docs/machines/publisher.md (generated, do not edit).
// Normal   it rests until there is a newer document, and sends it. A document that appeared meanwhile follows.
// Fails    a failed call is repeated with growing pauses. A silent target gets nothing; it receives the document when it registers.
// Limits   push_retry_min_ms, push_retry_max_ms.
#include "control/publisher_machine.h"

#include "base/limits.h"
#include "sm/sm_verify.h"

namespace etlnode {

using S = publisher::state;
using E = publisher::event;

// --- actions

static void send(publisher &m)
{
    timer_stop(*m.e, m.deadline_timer);
    m.calling = true;
    m.sent_version = m.world.wanted_version(m.world.arg, m);
    m.world.send(m.world.arg, m);
}

static void back_off(publisher &m)
{
    m.failures++;
    uint64_t pause = push_retry_min_ms;
    for (uint64_t i = 1; i < m.failures && pause < push_retry_max_ms; i++)
        pause *= 2;
    timer_arm(*m.e, m.deadline_timer, pause < push_retry_max_ms ? pause : push_retry_max_ms);
}

static void settle(publisher &m) { timer_stop(*m.e, m.deadline_timer); }

static void leave(publisher &m)
{
    if (m.calling)
        m.world.cancel(m.world.arg, m);
    m.calling = false;
    timer_free(*m.e, m.deadline_timer);
    m.deadline_timer = nullptr;
}

// --- guards

static bool is_due(const publisher &m)
{
    return m.world.wanted_version(m.world.arg, m) > m.held_version && m.world.may_be_there(m.world.arg, m);
}

// --- the table

static constexpr uint32_t CALL = 1;
static constexpr uint32_t TIMER = 2;

static uint32_t alive(const publisher &m)
{
    return (m.calling ? CALL : 0) | (m.deadline_timer != nullptr && timer_is_armed(*m.e, m.deadline_timer) ? TIMER : 0);
}

static constexpr sm_resource resources[] = {{CALL, "call"}, {TIMER, "timer"}};

static constexpr sm_state<publisher> states[] = {
    {S::settled, sm_initial, 0, 0},
    {S::sending, sm_busy, CALL, CALL, 0, "the call's own, intra_call_timeout_ms without progress"},
    {S::awaiting_retry, sm_busy, TIMER, TIMER},
    {S::left, sm_final, 0, 0},
};

static constexpr sm_row<publisher> rows[] = {
    {S::settled, E::published, SM_FN(is_due), SM_FN(send), S::sending},
    {S::settled, E::published, always, nothing, S::settled},
    {S::settled, E::heard, always, nothing, S::settled},
    {S::settled, E::stop, always, SM_FN(leave), S::left},

    {S::sending, E::sent, SM_FN(is_due), SM_FN(send), S::sending},
    {S::sending, E::sent, always, nothing, S::settled},
    {S::sending, E::failed, always, SM_FN(back_off), S::awaiting_retry},
    {S::sending, E::published, always, nothing, S::sending},
    {S::sending, E::heard, always, nothing, S::sending},
    {S::sending, E::stop, always, SM_FN(leave), S::left},

    {S::awaiting_retry, E::deadline, SM_FN(is_due), SM_FN(send), S::sending},
    {S::awaiting_retry, E::deadline, always, nothing, S::settled},
    {S::awaiting_retry, E::published, always, nothing, S::awaiting_retry},
    {S::awaiting_retry, E::heard, always, SM_FN(settle), S::settled}, // the answer to a registration carries the document
    {S::awaiting_retry, E::stop, always, SM_FN(leave), S::left},
};

static bool retry_follows_a_failure(const publisher &m) { return sm_state_of(m) != S::awaiting_retry || m.failures > 0; }
static constexpr sm_invariant<publisher> invariants[] = {{"a retry follows a failure", retry_follows_a_failure}};

static constexpr sm_table<publisher> table = {"publisher", states, resources, rows, {}, invariants, E::stop, E::deadline, alive};
SM_VERIFY(table);

sm_view publisher_machine_view() { return sm_view_of(table); }

// --- entry points: note the facts, then step

static void on_deadline(void *arg) { sm_step(table, *static_cast<publisher *>(arg), E::deadline); }

void publisher_begin(publisher &m) { m.deadline_timer = timer_make(*m.e, on_deadline, &m); }

void publisher_published(publisher &m)
{
    if (!sm_is_final(table, m))
        sm_step(table, m, E::published);
}

void publisher_sent(publisher &m, bool ok)
{
    m.calling = false;
    if (ok)
        m.failures = 0;
    if (ok && m.held_version < m.sent_version)
        m.held_version = m.sent_version;
    sm_step(table, m, ok ? E::sent : E::failed);
}

void publisher_heard(publisher &m, uint64_t version)
{
    // The target's own report counts, even if it is lower than before: its data directory may have been replaced.
    m.held_version = version;
    m.failures = 0;
    if (!sm_is_final(table, m))
        sm_step(table, m, E::heard);
}

void publisher_stop(publisher &m)
{
    if (!sm_is_final(table, m))
        sm_step(table, m, E::stop);
}

bool publisher_is_sending(const publisher &m) { return sm_state_of(m) == S::sending; }

} // namespace etlnode
