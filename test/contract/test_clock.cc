// SPDX-License-Identifier: MIT
// test/contract/test_clock.cc: what port/clock.h promises.
#include "contract_world.h"

#include <csignal>
#include <vector>

using namespace etlnode;

static std::vector<int> order;

struct step {
    int id;
    int more; // how many further steps it posts when it runs
};
static step steps[8];

static void run_step(void *arg)
{
    auto *s = static_cast<step *>(arg);
    order.push_back(s->id);
    for (int i = 0; i < s->more; i++) {
        step *next = &steps[s->id + 1 + i];
        *next = {s->id + 1 + i, 0};
        clock_post(*world->e, run_step, next);
    }
}

static void posts_run_later_and_in_order(void **)
{
    order.clear();
    steps[0] = {0, 2}; // posts 1 and 2
    steps[5] = {5, 0};
    clock_post(*world->e, run_step, &steps[0]);
    clock_post(*world->e, run_step, &steps[5]);
    test_true(order.empty()); // never before it returns
    test_true(world_until([] { return order.size() == 4; }));
    int expected[] = {0, 5, 1, 2};
    for (size_t i = 0; i < 4; i++)
        test_eq(order[i], expected[i]);
}

static void post_runs_between_two_completions(void **)
{
    // Two timers are due at the same time: what the first one posts runs before the second one fires.
    order.clear();
    static timer *second;
    timer *first = timer_make(
        *world->e,
        [](void *) {
            order.push_back(1);
            steps[2] = {2, 0};
            clock_post(*world->e, run_step, &steps[2]);
        },
        nullptr);
    second = timer_make(
        *world->e, [](void *) { order.push_back(3); }, nullptr);
    timer_arm(*world->e, first, 5);
    timer_arm(*world->e, second, 5);
    test_true(world_until([] { return order.size() == 3; }));
    for (size_t i = 0; i < 3; i++)
        test_eq(order[i], static_cast<int>(i) + 1);
    timer_free(*world->e, first);
    timer_free(*world->e, second);
}

static int fired;
static void count_fire(void *) { fired++; }

static void timer_fires_once_and_not_early(void **)
{
    fired = 0;
    timer *t = timer_make(*world->e, count_fire, nullptr);
    test_false(timer_is_armed(*world->e, t));
    uv_env_poll(*world->e, 0);
    uint64_t start = clock_now_ms(*world->e);
    timer_arm(*world->e, t, 30);
    test_true(timer_is_armed(*world->e, t));
    test_true(world_until([] { return fired > 0; }));
    test_true(clock_now_ms(*world->e) >= start + 30);
    test_false(timer_is_armed(*world->e, t));
    world_pass(60);
    test_eq(fired, 1);
    timer_free(*world->e, t);
}

static void timer_of_zero_fires_in_the_next_turn(void **)
{
    fired = 0;
    timer *t = timer_make(*world->e, count_fire, nullptr);
    timer_arm(*world->e, t, 0);
    test_eq(fired, 0);
    test_true(world_until([] { return fired == 1; }, 1000));
    timer_free(*world->e, t);
}

static void arming_again_moves_a_timer(void **)
{
    fired = 0;
    timer *t = timer_make(*world->e, count_fire, nullptr);
    timer_arm(*world->e, t, 10);
    timer_arm(*world->e, t, 10'000);
    world_pass(40);
    test_eq(fired, 0);
    timer_arm(*world->e, t, 1);
    test_true(world_until([] { return fired == 1; }));
    timer_free(*world->e, t);
}

static void stopped_and_freed_timers_stay_silent(void **)
{
    fired = 0;
    timer *stopped = timer_make(*world->e, count_fire, nullptr);
    timer *freed = timer_make(*world->e, count_fire, nullptr);
    timer_arm(*world->e, stopped, 5);
    timer_arm(*world->e, freed, 5);
    timer_stop(*world->e, stopped);
    timer_free(*world->e, freed);
    test_false(timer_is_armed(*world->e, stopped));
    world_pass(30);
    test_eq(fired, 0);
    timer_free(*world->e, stopped);
}

static timer *victim;

static void timer_can_free_itself_and_another_that_is_due(void **)
{
    fired = 0;
    static timer *killer;
    killer = timer_make(
        *world->e,
        [](void *) {
            timer_free(*world->e, victim);
            timer_free(*world->e, killer);
        },
        nullptr);
    victim = timer_make(*world->e, count_fire, nullptr);
    timer_arm(*world->e, killer, 5);
    timer_arm(*world->e, victim, 5);
    world_pass(30);
    test_eq(fired, 0);
}

static void time_stands_still_within_a_turn(void **)
{
    static uint64_t first, second;
    first = second = 0;
    clock_post(
        *world->e,
        [](void *) {
            first = clock_now_ms(*world->e);
            usleep(5000);
            second = clock_now_ms(*world->e);
        },
        nullptr);
    test_true(world_until([] { return second != 0; }));
    test_eq(first, second);
    test_true(clock_wall_ns(*world->e) > 1'500'000'000ull * 1'000'000'000ull);
}

static void secrets_are_alphanumeric_and_differ(void **)
{
    std::string a = clock_secret(*world->e, 32);
    std::string b = clock_secret(*world->e, 32);
    test_eq(a.size(), 32u);
    test_false(a == b);
    test_eq(a.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"), std::string::npos);
    test_eq(clock_secret(*world->e, 1000).size(), 1000u);
}

static void many_posts_do_not_starve_the_loop(void **)
{
    // A callback that posts itself for ever would block the loop; a long but finite chain only delays it.
    static int left;
    left = 100'000;
    static void (*again)(void *) = [](void *) {
        if (--left > 0)
            clock_post(*world->e, again, nullptr);
    };
    clock_post(*world->e, again, nullptr);
    test_true(world_until([] { return left == 0; }));
}

static void signals_come_as_completions(void **)
{
    static int signals;
    signals = 0;
    test_ok(uv_env_on_signal(
        *world->e, SIGUSR1,
        [](env &e, int signum, void *) {
            test_eq(signum, SIGUSR1);
            signals++;
            clock_post(
                e, [](void *) { signals++; }, nullptr);
            uv_env_stop(e);
        },
        nullptr));
    test_eq(raise(SIGUSR1), 0);
    uv_env_run(*world->e);
    test_eq(signals, 2);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(posts_run_later_and_in_order, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(post_runs_between_two_completions, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(timer_fires_once_and_not_early, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(timer_of_zero_fires_in_the_next_turn, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(arming_again_moves_a_timer, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(stopped_and_freed_timers_stay_silent, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(timer_can_free_itself_and_another_that_is_due, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(time_stands_still_within_a_turn, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(secrets_are_alphanumeric_and_differ, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(many_posts_do_not_starve_the_loop, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(signals_come_as_completions, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
