// SPDX-License-Identifier: MIT
// sm/sm.h: explicit state machines. A machine is one table, and only sm_step changes its state.
//
// A machine type M declares `enum class state`, `enum class event` (both dense, from 0; their names are taken from the enumerators) and a
// field `sm_core sm`. Its table lists states, rows and ignores; docs/HACKING.md explains a table line by line. sm_verify.h checks every
// table at compile time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "sm/sm_names.h"
#include "sm/sm_trace.h"

namespace etlnode {

// Kinds of states, combined with |.
inline constexpr uint8_t sm_initial = 1;
inline constexpr uint8_t sm_busy = 2;  // waits for something outside: its timer is armed, and it has a row for the deadline event
inline constexpr uint8_t sm_final = 4; // nothing left to do, nothing alive

inline constexpr size_t sm_rows_max = 60;      // rows of one table: a machine that needs more should be split
inline constexpr size_t sm_follow_ups_max = 2; // pending at a time in one machine
inline constexpr size_t sm_chain_max = 16;     // events that follow one external event

// What every machine instance carries. `id` is for people: it appears in traces and logs.
struct sm_core {
    uint64_t id = 0;
    uint8_t state = 0;
    bool stepping = false;
    bool faulted = false; // the machine was stopped because an event arrived that its table does not know
    uint8_t follow_up_count = 0;
    uint8_t follow_ups[sm_follow_ups_max] = {}; // events emitted by actions, oldest first
    // The machine that this one works for, shown in traces; null if there is none.
    const char *owner = nullptr;
    uint64_t owner_id = 0;
};

template <class M> struct sm_action {
    void (*run)(M &) = nullptr;
    const char *name = "-";
};

template <class M> struct sm_guard {
    bool (*holds)(const M &) = nullptr;
    const char *name = "always";
};

// The guard of a group's last row, and the action of a row that does nothing.
struct sm_no_guard {
    template <class M> constexpr operator sm_guard<M>() const { return {}; }
};
struct sm_no_action {
    template <class M> constexpr operator sm_action<M>() const { return {}; }
};
inline constexpr sm_no_guard always;
inline constexpr sm_no_action nothing;

// An action or guard together with the name under which diagrams show it.
#define SM_FN(function)     \
    {                       \
        function, #function \
    }

template <class M> struct sm_state {
    typename M::state state;
    uint8_t kind;
    uint32_t must;                     // resources that must be alive whenever the machine rests here
    uint32_t may;                      // resources that may be alive
    int label = 0;                     // public label; the machine's module defines its meaning
    const char *other_clock = nullptr; // for a busy state without its own timer: what ends the wait instead
};

// Rows of the same (from, on) are tried in order; only the last one is unguarded.
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

// Counters of one machine type, shown by /metrics. The simulator's coverage report reads row_taken.
struct sm_counters {
    uint64_t steps = 0;
    uint64_t ignored = 0;
    uint64_t faults = 0;
    uint64_t row_taken[sm_rows_max] = {};
};

// A resource that a machine can hold: its bit in the masks, and its name.
struct sm_resource {
    uint32_t bit;
    const char *name;
};

template <class M> inline sm_counters sm_counters_of;

// For each state and event, the first row to try; their number if there is none. A step would otherwise search half of the table.
template <class M> using sm_row_index = std::array<uint8_t, sm_count<typename M::state> * sm_count<typename M::event>>;

template <class M> constexpr size_t sm_row_index_at(typename M::state state, typename M::event event)
{
    return static_cast<size_t>(state) * sm_count<typename M::event> + static_cast<size_t>(event);
}

template <class M> constexpr sm_row_index<M> sm_index_rows(std::span<const sm_row<M>> rows)
{
    sm_row_index<M> first{};
    for (uint8_t &row : first)
        row = static_cast<uint8_t>(rows.size());
    for (size_t i = rows.size(); i-- > 0;) {
        size_t at = sm_row_index_at<M>(rows[i].from, rows[i].on);
        if (at < first.size()) // otherwise sm_verify refuses the table
            first[at] = static_cast<uint8_t>(i);
    }
    return first;
}

template <class M> struct sm_table {
    const char *name;
    std::span<const sm_state<M>> states;
    std::span<const sm_resource> resources; // in the order of their bits
    std::span<const sm_row<M>> rows;
    std::span<const sm_ignore<M>> ignores;
    std::span<const sm_invariant<M>> invariants;
    typename M::event stop;       // every non-final state answers it
    typename M::event deadline;   // every busy state has a row for it
    uint32_t (*alive)(const M &); // the resources that are alive now, as bits
    // Called before the row is chosen: notes the facts that come with the event (such as the end of a call).
    void (*before)(M &m, typename M::event on) = nullptr;
    // Called after each accepted event: logs, or notes or posts the result for the machine's owner (sm_news.h). It may neither step nor
    // free the machine.
    void (*after)(M &m, typename M::state from, typename M::event on) = nullptr;
    sm_row_index<M> first_rows = sm_index_rows<M>(rows); // follows from the rows; the compiler makes it
};

// Strict (tests and simulator): an unexpected event aborts. Otherwise (release): it stops that one machine and is counted.
void sm_set_strict(bool strict);

// Reports a broken promise of the machine itself (resources, invariants, re-entry): aborts in every build.
[[noreturn]] void sm_broken(const char *machine, uint64_t id, const char *state, const char *what, const char *detail);
void sm_unexpected(const char *machine, uint64_t id, const char *state, const char *event);

template <class M> typename M::state sm_state_of(const M &m) { return static_cast<typename M::state>(m.sm.state); }

template <class M> const sm_state<M> &sm_state_row(const sm_table<M> &table, const M &m) { return table.states[m.sm.state]; }

template <class M> bool sm_is_final(const sm_table<M> &table, const M &m) { return (sm_state_row(table, m).kind & sm_final) != 0; }

// Only in an action: the event is taken after this step has ended.
template <class M> void sm_emit(M &m, typename M::event event)
{
    CHECK(m.sm.stepping);
    CHECK(m.sm.follow_up_count < sm_follow_ups_max);
    m.sm.follow_ups[m.sm.follow_up_count++] = static_cast<uint8_t>(event);
}

// Traces then show which machine this one works for.
template <class M, class O> void sm_set_owner(M &m, const sm_table<O> &table, const O &owner)
{
    m.sm.owner = table.name;
    m.sm.owner_id = owner.sm.id;
}

template <class M> void sm_check_resting(const sm_table<M> &table, const M &m)
{
    const sm_state<M> &row = sm_state_row(table, m);
    uint32_t alive = table.alive != nullptr ? table.alive(m) : 0;
    uint32_t missing = row.must & ~alive;
    uint32_t excess = alive & ~(row.may | row.must);
    if ((missing | excess) != 0) [[unlikely]] {
        for (const sm_resource &resource : table.resources) {
            if ((missing & resource.bit) != 0)
                sm_broken(table.name, m.sm.id, sm_name(row.state), "resource must be alive", resource.name);
            if ((excess & resource.bit) != 0)
                sm_broken(table.name, m.sm.id, sm_name(row.state), "resource must not be alive", resource.name);
        }
    }
    for (const sm_invariant<M> &invariant : table.invariants) {
        if (!invariant.holds(m))
            sm_broken(table.name, m.sm.id, sm_name(row.state), "invariant", invariant.name);
    }
}

// One event: finds the row, sets the state, runs the action, writes the trace record and checks resources and invariants.
template <class M> void sm_take(const sm_table<M> &table, M &m, typename M::event event)
{
    const sm_state<M> &from = sm_state_row(table, m);
    sm_counters &counters = sm_counters_of<M>;
    if (m.sm.stepping)
        sm_broken(table.name, m.sm.id, sm_name(from.state), "stepped inside a step", sm_name(event));
    if (table.before != nullptr)
        table.before(m, event);
    for (size_t i = table.first_rows[sm_row_index_at<M>(from.state, event)]; i < table.rows.size(); i++) {
        const sm_row<M> &row = table.rows[i];
        if (row.from != from.state || row.on != event)
            continue;
        if (row.guard.holds != nullptr && !row.guard.holds(m))
            continue;
        m.sm.stepping = true;
        m.sm.state = static_cast<uint8_t>(row.to);
        counters.steps++;
        counters.row_taken[i]++;
        sm_trace_record(
            {0, table.name, m.sm.id, sm_name(from.state), sm_name(event), sm_name(row.to), static_cast<int>(i), m.sm.owner, m.sm.owner_id});
        if (row.action.run != nullptr)
            row.action.run(m);
        m.sm.stepping = false;
        sm_check_resting(table, m);
        if (table.after != nullptr)
            table.after(m, row.from, event);
        return;
    }
    for (const sm_ignore<M> &ignore : table.ignores) {
        if (ignore.in == from.state && ignore.event == event) {
            counters.ignored++;
            return;
        }
    }
    counters.faults++;
    sm_unexpected(table.name, m.sm.id, sm_name(from.state), sm_name(event));
    if (!m.sm.faulted && event != table.stop) { // sm_verify guarantees that every state answers stop
        m.sm.faulted = true;
        sm_take(table, m, table.stop);
    }
}

// Takes the event, and then the follow-up events that actions emit (sm_emit).
// An action may call down, into ports and into lower modules, which step their own machines. Whatever comes back up is either posted
// (clock_post) or noted as news for the owner (sm_news.h). A machine is therefore never stepped inside its own step.
template <class M> void sm_step(const sm_table<M> &table, M &m, typename M::event event)
{
    sm_take(table, m, event);
    for (size_t count = 0; m.sm.follow_up_count > 0; count++) {
        if (count == sm_chain_max)
            sm_broken(table.name, m.sm.id, sm_name(sm_state_of(m)), "endless follow-up events", sm_name(event));
        event = static_cast<typename M::event>(m.sm.follow_ups[0]);
        for (size_t i = 1; i < m.sm.follow_up_count; i++)
            m.sm.follow_ups[i - 1] = m.sm.follow_ups[i];
        m.sm.follow_up_count--;
        sm_take(table, m, event);
    }
}

} // namespace etlnode
