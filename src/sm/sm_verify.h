// SPDX-License-Identifier: MIT
// sm/sm_verify.h: compile-time rules for a machine's table. Each function returns true if its rule holds; SM_VERIFY asserts all of them.
#pragma once

#include <cstddef>
#include <string_view>

#include "sm/sm.h"

namespace etlnode {

namespace sm_rule {

template <class M> constexpr size_t index(typename M::state s) { return static_cast<size_t>(s); }

// Entry i of the list is enumerator i, so that a state number can index the list; none is missing.
template <class M> constexpr bool states_are_in_order(const sm_table<M> &t)
{
    if (t.states.size() != sm_count<typename M::state>)
        return false;
    for (size_t i = 0; i < t.states.size(); i++) {
        if (index<M>(t.states[i].state) != i)
            return false;
    }
    return true;
}

// No row, ignore or field of the table names a value beyond the enumerators.
template <class M> constexpr bool values_are_enumerators(const sm_table<M> &t)
{
    constexpr size_t states = sm_count<typename M::state>, events = sm_count<typename M::event>;
    for (const auto &row : t.rows) {
        if (index<M>(row.from) >= states || index<M>(row.to) >= states || static_cast<size_t>(row.on) >= events)
            return false;
    }
    for (const auto &ignore : t.ignores) {
        if (index<M>(ignore.in) >= states || static_cast<size_t>(ignore.event) >= events)
            return false;
    }
    return static_cast<size_t>(t.stop) < events && static_cast<size_t>(t.deadline) < events;
}

template <class M> constexpr bool resources_are_in_order(const sm_table<M> &t)
{
    for (size_t i = 0; i < t.resources.size(); i++) {
        if (t.resources[i].bit != 1u << i)
            return false;
    }
    uint32_t all = t.resources.size() < 32 ? (1u << t.resources.size()) - 1u : ~0u;
    for (const auto &s : t.states) {
        if (((s.must | s.may) & ~all) != 0)
            return false;
    }
    return true;
}

template <class M> constexpr bool one_initial_state(const sm_table<M> &t)
{
    size_t count = 0;
    for (const auto &s : t.states)
        count += (s.kind & sm_initial) != 0 ? 1 : 0;
    return count == 1;
}

template <class M> constexpr bool finals_have_no_rows(const sm_table<M> &t)
{
    for (const auto &row : t.rows) {
        if ((t.states[index<M>(row.from)].kind & sm_final) != 0)
            return false;
    }
    return true;
}

// Forward: every state is reachable from the initial one. Backward: every state can reach a final one.
template <class M> constexpr bool all_connected(const sm_table<M> &t, bool forward)
{
    bool reached[64] = {};
    for (size_t i = 0; i < t.states.size(); i++)
        reached[i] = (t.states[i].kind & (forward ? sm_initial : sm_final)) != 0;
    for (size_t round = 0; round < t.states.size(); round++) {
        for (const auto &row : t.rows) {
            size_t a = index<M>(forward ? row.from : row.to);
            size_t b = index<M>(forward ? row.to : row.from);
            if (reached[a])
                reached[b] = true;
        }
    }
    for (size_t i = 0; i < t.states.size(); i++) {
        if (!reached[i])
            return false;
    }
    return true;
}

template <class M> constexpr bool groups_end_unguarded(const sm_table<M> &t)
{
    for (size_t i = 0; i < t.rows.size(); i++) {
        bool later = false;
        for (size_t j = i + 1; j < t.rows.size(); j++)
            later = later || (t.rows[j].from == t.rows[i].from && t.rows[j].on == t.rows[i].on);
        bool guarded = t.rows[i].guard.holds != nullptr;
        if (guarded != later)
            return false;
    }
    return true;
}

template <class M> constexpr bool has_row(const sm_table<M> &t, typename M::state s, typename M::event e)
{
    for (const auto &row : t.rows) {
        if (row.from == s && row.on == e)
            return true;
    }
    return false;
}

template <class M> constexpr bool has_ignore(const sm_table<M> &t, typename M::state s, typename M::event e)
{
    for (const auto &ignore : t.ignores) {
        if (ignore.in == s && ignore.event == e)
            return true;
    }
    return false;
}

template <class M> constexpr bool ignores_do_not_overlap(const sm_table<M> &t)
{
    for (const auto &ignore : t.ignores) {
        if (has_row(t, ignore.in, ignore.event))
            return false;
    }
    return true;
}

// The resource that is the machine's timer, found by its name.
template <class M> constexpr uint32_t timer_mask(const sm_table<M> &t)
{
    for (const sm_resource &resource : t.resources) {
        if (std::string_view(resource.name) == "deadline" || std::string_view(resource.name) == "timer")
            return resource.bit;
    }
    return 0;
}

// A busy state has a row for the deadline, and its timer is armed whenever the machine rests there. Otherwise it names the clock that
// ends its wait.
template <class M> constexpr bool busy_states_have_deadlines(const sm_table<M> &t)
{
    for (const auto &s : t.states) {
        if ((s.kind & sm_busy) == 0 || s.other_clock != nullptr)
            continue;
        if (!has_row(t, s.state, t.deadline) || (s.must & timer_mask(t)) == 0)
            return false;
    }
    return true;
}

template <class M> constexpr bool stop_is_answered(const sm_table<M> &t)
{
    for (const auto &s : t.states) {
        if ((s.kind & sm_final) == 0 && !has_row(t, s.state, t.stop) && !has_ignore(t, s.state, t.stop))
            return false;
    }
    return true;
}

template <class M> constexpr bool every_event_is_handled(const sm_table<M> &t)
{
    for (size_t e = 0; e < sm_count<typename M::event>; e++) {
        bool handled = false;
        for (const auto &row : t.rows)
            handled = handled || static_cast<size_t>(row.on) == e;
        if (!handled)
            return false;
    }
    return true;
}

template <class M> constexpr bool sizes_fit(const sm_table<M> &t)
{
    return t.states.size() <= 64 && sm_count<typename M::event> <= 255 && t.resources.size() <= 32 && t.rows.size() <= sm_rows_max;
}

} // namespace sm_rule

#define SM_VERIFY(table)                                                                                                        \
    static_assert(sm_rule::sizes_fit(table), "too many states, resources or rows");                                             \
    static_assert(sm_rule::states_are_in_order(table), "states are listed in the order of their enumerators, and all of them"); \
    static_assert(sm_rule::values_are_enumerators(table), "a row or an ignore names an unknown state or event");                \
    static_assert(sm_rule::resources_are_in_order(table), "resources are listed in the order of their bits, and all of them");  \
    static_assert(sm_rule::one_initial_state(table), "exactly one initial state");                                              \
    static_assert(sm_rule::finals_have_no_rows(table), "a final state has no rows");                                            \
    static_assert(sm_rule::all_connected(table, true), "every state is reachable");                                             \
    static_assert(sm_rule::all_connected(table, false), "every state can reach a final one");                                   \
    static_assert(sm_rule::groups_end_unguarded(table), "the last row of a group, and only it, is unguarded");                  \
    static_assert(sm_rule::ignores_do_not_overlap(table), "an ignore overlaps a row");                                          \
    static_assert(sm_rule::busy_states_have_deadlines(table), "every busy state has a deadline row and an armed timer");        \
    static_assert(sm_rule::stop_is_answered(table), "every non-final state answers stop");                                      \
    static_assert(sm_rule::every_event_is_handled(table), "every event is handled somewhere")

} // namespace etlnode
