// SPDX-License-Identifier: MIT
// sm/sm.h: explicit state machines: a machine is one table, and sm_step is the only writer of its state.
//
// A machine type M declares `enum class state`, `enum class event` (both dense, from 0) and a field `sm_core sm`. Its table lists
// states, rows and ignores (docs/HACKING.md shows one line by line). sm_verify.h checks a table at compile time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "sm/sm_trace.h"

// Kinds of states, or-ed.
inline constexpr uint8_t sm_initial = 1;
inline constexpr uint8_t sm_busy = 2;  // waits for somebody else's promise: its timer is armed, and it has a row for the deadline event
inline constexpr uint8_t sm_final = 4; // nothing left to do, nothing alive

inline constexpr size_t sm_rows_max = 160; // of one table

// What every machine instance carries. `id` is for people: it appears in traces and logs.
struct sm_core {
    uint64_t id = 0;
    uint8_t state = 0;
    bool stepping = false;
    bool faulted = false; // an event arrived that the table does not know; the machine was stopped for it
};

template <class M> struct sm_action {
    void (*run)(M &) = nullptr;
    const char *name = "-";
};

template <class M> struct sm_guard {
    bool (*holds)(const M &) = nullptr;
    const char *name = "always";
};

// An action or guard together with the name under which diagrams show it.
#define SM_FN(function) {function, #function}

template <class M> struct sm_state {
    typename M::state state;
    const char *name;
    uint8_t kind;
    uint32_t must; // resources that are alive whenever the machine rests here
    uint32_t may;  // resources that may be alive
    int stage = 0; // public stage, meaning defined by the machine's module
    const char *other_clock = nullptr; // busy without a timer of its own: what ends the wait all the same
};

// Rows of one (from, on) are tried in order; the last one is unguarded.
template <class M> struct sm_row {
    typename M::state from;
    typename M::event on;
    sm_guard<M> guard;
    sm_action<M> action;
    typename M::state to;
};

template <class M> struct sm_ignore {
    typename M::state in;
    typename M::event event;
    const char *why;
};

template <class M> struct sm_invariant {
    const char *name;
    bool (*holds)(const M &);
};

// Counts of one machine type, shown by /metrics; row_taken is read by the simulator's coverage report.
struct sm_counters {
    uint64_t steps = 0;
    uint64_t ignored = 0;
    uint64_t faults = 0;
    uint64_t row_taken[sm_rows_max] = {};
};

template <class M> struct sm_table {
    const char *name;
    std::span<const sm_state<M>> states;
    std::span<const char *const> events;    // names, by event
    std::span<const char *const> resources; // names, by bit
    std::span<const sm_row<M>> rows;
    std::span<const sm_ignore<M>> ignores;
    std::span<const sm_invariant<M>> invariants;
    typename M::event stop;     // every non-final state answers it
    typename M::event deadline; // every busy state has a row for it
    uint32_t (*alive)(const M &); // what is alive now, by bit
    sm_counters *counters;
};

// In tests and in the simulator an unexpected event aborts; in a release it stops that one machine and is counted.
void sm_set_strict(bool strict);

// Reports a broken promise of the machine itself (resources, invariants, re-entry): aborts in every build.
[[noreturn]] void sm_broken(const char *machine, uint64_t id, const char *state, const char *what, const char *detail);
void sm_unexpected(const char *machine, uint64_t id, const char *state, const char *event);

template <class M> typename M::state sm_state_of(const M &m) { return static_cast<typename M::state>(m.sm.state); }

template <class M> const sm_state<M> &sm_state_row(const sm_table<M> &table, const M &m) { return table.states[m.sm.state]; }

template <class M> bool sm_is_final(const sm_table<M> &table, const M &m) { return (sm_state_row(table, m).kind & sm_final) != 0; }

template <class M> void sm_check_resting(const sm_table<M> &table, const M &m)
{
    const sm_state<M> &row = sm_state_row(table, m);
    uint32_t alive = table.alive != nullptr ? table.alive(m) : 0;
    for (size_t bit = 0; bit < table.resources.size(); bit++) {
        uint32_t mask = 1u << bit;
        if ((row.must & mask) != 0 && (alive & mask) == 0)
            sm_broken(table.name, m.sm.id, row.name, "resource must be alive", table.resources[bit]);
        if ((row.may & mask) == 0 && (row.must & mask) == 0 && (alive & mask) != 0)
            sm_broken(table.name, m.sm.id, row.name, "resource must not be alive", table.resources[bit]);
    }
    for (const sm_invariant<M> &invariant : table.invariants) {
        if (!invariant.holds(m))
            sm_broken(table.name, m.sm.id, row.name, "invariant", invariant.name);
    }
}

// Finds the row, sets the state, runs the action, writes the trace record, checks resources and invariants.
// An action may call down, into ports and into lower modules (which step machines of their own); what comes back up is posted
// (clock_post), so no machine is ever stepped inside its own step.
template <class M> void sm_step(const sm_table<M> &table, M &m, typename M::event event)
{
    const sm_state<M> &from = sm_state_row(table, m);
    size_t event_index = static_cast<size_t>(event);
    if (m.sm.stepping)
        sm_broken(table.name, m.sm.id, from.name, "stepped inside a step", table.events[event_index]);
    for (size_t i = 0; i < table.rows.size(); i++) {
        const sm_row<M> &row = table.rows[i];
        if (row.from != from.state || row.on != event)
            continue;
        if (row.guard.holds != nullptr && !row.guard.holds(m))
            continue;
        m.sm.stepping = true;
        m.sm.state = static_cast<uint8_t>(row.to);
        table.counters->steps++;
        table.counters->row_taken[i]++;
        sm_trace_record(table.name, m.sm.id, from.name, table.events[event_index], sm_state_row(table, m).name, static_cast<int>(i));
        if (row.action.run != nullptr)
            row.action.run(m);
        m.sm.stepping = false;
        sm_check_resting(table, m);
        return;
    }
    for (const sm_ignore<M> &ignore : table.ignores) {
        if (ignore.in == from.state && ignore.event == event) {
            table.counters->ignored++;
            return;
        }
    }
    table.counters->faults++;
    sm_unexpected(table.name, m.sm.id, from.name, table.events[event_index]);
    if (!m.sm.faulted && event != table.stop) { // stop is answered everywhere: sm_verify saw to it
        m.sm.faulted = true;
        sm_step(table, m, table.stop);
    }
}
