// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "sm/sm.h"
#include "sm/sm_render.h"
#include "sm/sm_verify.h"

// A door: closed -> opening -> open -> closed, broken at the end.
struct door {
    enum class state : uint8_t { closed, opening, open, broken };
    enum class event : uint8_t { push, opened, deadline, stop };
    sm_core sm;
    bool motor = false;
    bool timer = false;
    bool locked = false;
    int pushes = 0;
    bool leak_motor = false;
};
using S = door::state;
using E = door::event;

static constexpr uint32_t MOTOR = 1;
static constexpr uint32_t TIMER = 2;
static void start(door &d) { d.motor = d.timer = true; d.pushes++; }
static void halt(door &d) { d.motor = d.leak_motor; d.timer = false; }
static bool is_locked(const door &d) { return d.locked; }
static uint32_t alive(const door &d) { return (d.motor ? MOTOR : 0u) | (d.timer ? TIMER : 0u); }
static bool pushes_bounded(const door &d) { return d.pushes < 10; }

static constexpr sm_action<door> nothing{};
static constexpr sm_guard<door> always{};
static constexpr const char *event_names[] = {"push", "opened", "deadline", "stop"};
static constexpr const char *resource_names[] = {"motor", "timer"};
static constexpr sm_state<door> states[] = {
    {S::closed, "closed", sm_initial, 0, 0},
    {S::opening, "opening", sm_busy, MOTOR | TIMER, MOTOR | TIMER},
    {S::open, "open", 0, 0, 0},
    {S::broken, "broken", sm_final, 0, 0},
};
static constexpr sm_row<door> rows[] = {
    {S::closed, E::push, SM_FN(is_locked), nothing, S::closed},
    {S::closed, E::push, always, SM_FN(start), S::opening},
    {S::closed, E::stop, always, nothing, S::broken},
    {S::opening, E::opened, always, SM_FN(halt), S::open},
    {S::opening, E::deadline, always, SM_FN(halt), S::broken},
    {S::opening, E::stop, always, SM_FN(halt), S::broken},
    {S::open, E::stop, always, nothing, S::broken},
};
static constexpr sm_ignore<door> ignores[] = {{S::open, E::push, "it is open already"}};
static constexpr sm_invariant<door> invariants[] = {{"pushes_bounded", pushes_bounded}};
static sm_counters counters;
static constexpr sm_table<door> table = {"door", states, event_names, resource_names, rows, ignores, invariants, E::stop, E::deadline, alive, &counters};
SM_VERIFY(table);

static void steps_follow_the_table(void **)
{
    door d;
    d.locked = true;
    sm_step(table, d, E::push);
    test_eq_enum(sm_state_of(d), S::closed);
    d.locked = false;
    sm_step(table, d, E::push);
    test_eq_enum(sm_state_of(d), S::opening);
    sm_step(table, d, E::opened);
    sm_step(table, d, E::push); // ignored
    test_eq_enum(sm_state_of(d), S::open);
    sm_step(table, d, E::stop);
    test_true(sm_is_final(table, d));
}

static void unexpected_event_stops_one_machine(void **)
{
    sm_set_strict(false);
    door d;
    uint64_t faults = counters.faults;
    sm_step(table, d, E::opened);
    test_true(d.sm.faulted);
    test_true(sm_is_final(table, d));
    test_eq(counters.faults, faults + 1);
}

// The rules themselves, on tables that break them.
static constexpr sm_row<door> unguarded_first[] = {
    {S::closed, E::push, always, nothing, S::open},
    {S::closed, E::push, SM_FN(is_locked), nothing, S::opening},
    {S::opening, E::stop, always, nothing, S::broken},
};
static constexpr sm_table<door> bad = {"bad", states, event_names, resource_names, unguarded_first, {}, {}, E::stop, E::deadline, alive, &counters};
static_assert(!sm_rule::groups_end_unguarded(bad));
static_assert(!sm_rule::busy_states_have_deadlines(bad));
static_assert(!sm_rule::stop_is_answered(bad));
static_assert(!sm_rule::every_event_is_handled(bad));
static_assert(!sm_rule::all_connected(bad, false));

// A row alone is no deadline: the timer must be armed, or another clock named.
static constexpr sm_state<door> untimed[] = {
    {S::closed, "closed", sm_initial, 0, 0},
    {S::opening, "opening", sm_busy, MOTOR, MOTOR | TIMER},
    {S::open, "open", 0, 0, 0},
    {S::broken, "broken", sm_final, 0, 0},
};
static constexpr sm_table<door> without_timer = {"bad", untimed, event_names, resource_names, rows, ignores, {}, E::stop, E::deadline, alive, &counters};
static_assert(!sm_rule::busy_states_have_deadlines(without_timer));
static constexpr sm_state<door> elsewhere_timed[] = {
    {S::closed, "closed", sm_initial, 0, 0},
    {S::opening, "opening", sm_busy, MOTOR, MOTOR | TIMER, 0, "the motor stops by itself"},
    {S::open, "open", 0, 0, 0},
    {S::broken, "broken", sm_final, 0, 0},
};
static constexpr sm_table<door> with_other_clock = {"good", elsewhere_timed, event_names, resource_names, rows, ignores, {}, E::stop, E::deadline, alive, &counters};
static_assert(sm_rule::busy_states_have_deadlines(with_other_clock));

// Rows to a state that is not listed, and on an event that has no name.
static constexpr std::span<const sm_state<door>> three_states = std::span(states).first(3);
static constexpr sm_table<door> state_missing = {"bad", three_states, event_names, resource_names, rows, ignores, {}, E::stop, E::deadline, alive, &counters};
static_assert(!sm_rule::rows_name_listed_states(state_missing));
static constexpr std::span<const char *const> three_events = std::span(event_names).first(3);
static constexpr sm_table<door> event_missing = {"bad", states, three_events, resource_names, rows, ignores, {}, E::stop, E::deadline, alive, &counters};
static_assert(!sm_rule::rows_name_listed_events(event_missing));
static_assert(sm_rule::rows_name_listed_states(table) && sm_rule::rows_name_listed_events(table));

static void page_shows_every_row(void **)
{
    std::string page = sm_render_page(sm_view_of(table));
    test_has_text(page, "opening --> broken: deadline");
    test_has_text(page, "| 0 | closed | push | is_locked | - | closed |");
    test_has_text(page, "| open | push | it is open already |");
}

static void trace_has_a_stable_form(void **)
{
    sm_trace_entry entry{1250, "etl", 7, "launching", "child_ok", "awaiting_ready", 3};
    test_eq_text(sm_trace_text(entry), "1250ms etl/7 launching --child_ok--> awaiting_ready");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(steps_follow_the_table), cmocka_unit_test(unexpected_event_stops_one_machine),
        cmocka_unit_test(page_shows_every_row), cmocka_unit_test(trace_has_a_stable_form),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
