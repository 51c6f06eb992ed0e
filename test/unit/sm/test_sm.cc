// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <string>

#include "sm/sm.h"
#include "sm/sm_news.h"
#include "sm/sm_render.h"
#include "sm/sm_verify.h"

using namespace etlnode;

// A door: closed -> opening -> open -> closed; finally broken.
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
static void start(door &d)
{
    d.motor = d.timer = true;
    d.pushes++;
}
static void halt(door &d)
{
    d.motor = d.leak_motor;
    d.timer = false;
}
static bool is_locked(const door &d) { return d.locked; }
static uint32_t alive(const door &d) { return (d.motor ? MOTOR : 0u) | (d.timer ? TIMER : 0u); }
static bool pushes_bounded(const door &d) { return d.pushes < 10; }

static constexpr sm_resource resources[] = {{MOTOR, "motor"}, {TIMER, "timer"}};
static constexpr sm_state<door> states[] = {
    {S::closed, sm_initial, 0, 0},
    {S::opening, sm_busy, MOTOR | TIMER, MOTOR | TIMER},
    {S::open, 0, 0, 0},
    {S::broken, sm_final, 0, 0},
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
static constexpr sm_table<door> table = {"door", states, resources, rows, ignores, invariants, E::stop, E::deadline, alive};
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
    uint64_t faults = sm_counters_of<door>.faults;
    sm_step(table, d, E::opened);
    test_true(d.sm.faulted);
    test_true(sm_is_final(table, d));
    test_eq(sm_counters_of<door>.faults, faults + 1);
}

// The rules, applied to tables that break them.
static constexpr sm_row<door> unguarded_first[] = {
    {S::closed, E::push, always, nothing, S::open},
    {S::closed, E::push, SM_FN(is_locked), nothing, S::opening},
    {S::opening, E::stop, always, nothing, S::broken},
};
static constexpr sm_table<door> bad = {"bad", states, resources, unguarded_first, {}, {}, E::stop, E::deadline, alive};
static_assert(!sm_rule::groups_end_unguarded(bad));
static_assert(!sm_rule::busy_states_have_deadlines(bad));
static_assert(!sm_rule::stop_is_answered(bad));
static_assert(!sm_rule::every_event_is_handled(bad));
static_assert(!sm_rule::all_connected(bad, false));

// A row alone is not a deadline: the timer must be armed, or another clock named.
static constexpr sm_state<door> untimed[] = {
    {S::closed, sm_initial, 0, 0},
    {S::opening, sm_busy, MOTOR, MOTOR | TIMER},
    {S::open, 0, 0, 0},
    {S::broken, sm_final, 0, 0},
};
static constexpr sm_table<door> without_timer = {"bad", untimed, resources, rows, ignores, {}, E::stop, E::deadline, alive};
static_assert(!sm_rule::busy_states_have_deadlines(without_timer));
static constexpr sm_state<door> elsewhere_timed[] = {
    {S::closed, sm_initial, 0, 0},
    {S::opening, sm_busy, MOTOR, MOTOR | TIMER, 0, "the motor stops by itself"},
    {S::open, 0, 0, 0},
    {S::broken, sm_final, 0, 0},
};
static constexpr sm_table<door> with_other_clock = {"good", elsewhere_timed, resources, rows, ignores, {}, E::stop, E::deadline, alive};
static_assert(sm_rule::busy_states_have_deadlines(with_other_clock));

// A list without one of the states, rows with unknown states and events, resources out of order or missing.
static constexpr std::span<const sm_state<door>> three_states = std::span(states).first(3);
static constexpr sm_table<door> state_missing = {"bad", three_states, resources, rows, ignores, {}, E::stop, E::deadline, alive};
static_assert(!sm_rule::states_are_in_order(state_missing));
static constexpr sm_row<door> to_nowhere[] = {{S::closed, E::push, always, nothing, static_cast<S>(4)}};
static constexpr sm_table<door> row_to_nowhere = {"bad", states, resources, to_nowhere, {}, {}, E::stop, E::deadline, alive};
static_assert(!sm_rule::values_are_enumerators(row_to_nowhere));
static constexpr sm_row<door> on_nothing[] = {{S::closed, static_cast<E>(4), always, nothing, S::open}};
static constexpr sm_table<door> row_on_nothing = {"bad", states, resources, on_nothing, {}, {}, E::stop, E::deadline, alive};
static_assert(!sm_rule::values_are_enumerators(row_on_nothing));
static constexpr sm_resource swapped[] = {{TIMER, "timer"}, {MOTOR, "motor"}};
static constexpr sm_table<door> resources_swapped = {"bad", states, swapped, rows, {}, {}, E::stop, E::deadline, alive};
static_assert(!sm_rule::resources_are_in_order(resources_swapped));
static constexpr std::span<const sm_resource> one_resource = std::span(resources).first(1);
static constexpr sm_table<door> resource_missing = {"bad", states, one_resource, rows, {}, {}, E::stop, E::deadline, alive};
static_assert(!sm_rule::resources_are_in_order(resource_missing));
static_assert(sm_rule::states_are_in_order(table) && sm_rule::values_are_enumerators(table) && sm_rule::resources_are_in_order(table));

// Names are the enumerators' own.
static_assert(sm_count<S> == 4 && sm_count<E> == 4);
static_assert(std::string_view(sm_name(S::opening)) == "opening" && std::string_view(sm_name(E::stop)) == "stop");

// A chain of follow-up events: ready -> counting -> counting -> done; and one that never ends.
struct chain {
    enum class state : uint8_t { ready, counting, done };
    enum class event : uint8_t { begin, next, last, stop };
    sm_core sm;
    int left = 0;
    int noted = 0;
    std::string steps;
};
static void count(chain &c)
{
    c.left--;
    sm_emit(c, c.left > 0 ? chain::event::next : chain::event::last);
}
static void count_twice(chain &c)
{
    sm_emit(c, chain::event::next);
    sm_emit(c, chain::event::last);
}
static bool is_double(const chain &c) { return c.left == 0; }
static void note(chain &c, chain::event) { c.noted++; }
static void record(chain &c, chain::state from, chain::event on) { c.steps += std::string(sm_name(from)) + "-" + sm_name(on) + " "; }
static constexpr sm_state<chain> chain_states[] = {
    {chain::state::ready, sm_initial, 0, 0}, {chain::state::counting, 0, 0, 0}, {chain::state::done, sm_final, 0, 0}};
static constexpr sm_row<chain> chain_rows[] = {
    {chain::state::ready, chain::event::begin, SM_FN(is_double), SM_FN(count_twice), chain::state::counting},
    {chain::state::ready, chain::event::begin, always, SM_FN(count), chain::state::counting},
    {chain::state::ready, chain::event::stop, always, nothing, chain::state::done},
    {chain::state::counting, chain::event::next, SM_FN(is_double), nothing, chain::state::counting},
    {chain::state::counting, chain::event::next, always, SM_FN(count), chain::state::counting},
    {chain::state::counting, chain::event::last, always, nothing, chain::state::done},
    {chain::state::counting, chain::event::stop, always, nothing, chain::state::done},
};
static constexpr sm_table<chain> chain_table = {
    "chain", chain_states, {}, chain_rows, {}, {}, chain::event::stop, chain::event::stop, nullptr, note, record};
SM_VERIFY(chain_table);

static void follow_up_events_are_taken_in_order(void **)
{
    chain c;
    c.left = 3;
    sm_step(chain_table, c, chain::event::begin);
    test_true(sm_is_final(chain_table, c));
    test_eq_text(c.steps, "ready-begin counting-next counting-next counting-last ");
    test_eq(c.noted, 4);
    chain twice;
    sm_step(chain_table, twice, chain::event::begin);
    test_eq_text(twice.steps, "ready-begin counting-next counting-last ");
}

static void traces_show_whom_a_machine_works_for(void **)
{
    door owner;
    owner.sm.id = 3;
    chain c;
    c.sm.id = 7;
    c.left = 1;
    sm_set_owner(c, table, owner);
    sm_trace_clear();
    sm_step(chain_table, c, chain::event::begin);
    std::string text;
    sm_trace_each([](void *arg, const sm_trace_entry &entry) { *static_cast<std::string *>(arg) += sm_trace_text(entry) + "\n"; }, &text);
    test_eq_text(text, "0ms chain/7 (door/3) ready --begin--> counting\n0ms chain/7 (door/3) counting --last--> done\n");
}

static void news_are_taken_in_order(void **)
{
    sm_news<int> news;
    int item = 0;
    test_false(sm_news_take(news, item));
    for (int i = 0; i < static_cast<int>(sm_news_max); i++)
        sm_news_put(news, i);
    for (int i = 0; i < static_cast<int>(sm_news_max); i++) {
        test_true(sm_news_take(news, item));
        test_eq(item, i);
        if (i == 0)
            sm_news_put(news, static_cast<int>(sm_news_max));
    }
    test_true(sm_news_take(news, item));
    test_eq(item, sm_news_max);
    test_false(sm_news_take(news, item));
}

static void page_shows_every_row(void **)
{
    std::string page = sm_render_page(sm_view_of(table));
    test_has_text(page, "opening --> broken: deadline");
    test_has_text(page, "| 0 | closed | push | is_locked | - | closed |");
    test_has_text(page, "| open | push | it is open already |");
}

static void trace_has_a_stable_form(void **)
{
    sm_trace_entry entry{1250, "etl", 7, "launching", "child_ok", "awaiting_ready", 3, nullptr, 0};
    test_eq_text(sm_trace_text(entry), "1250ms etl/7 launching --child_ok--> awaiting_ready");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(steps_follow_the_table),
        cmocka_unit_test(unexpected_event_stops_one_machine),
        cmocka_unit_test(follow_up_events_are_taken_in_order),
        cmocka_unit_test(traces_show_whom_a_machine_works_for),
        cmocka_unit_test(news_are_taken_in_order),
        cmocka_unit_test(page_shows_every_row),
        cmocka_unit_test(trace_has_a_stable_form),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
