// SPDX-License-Identifier: MIT
// test of kubectl_local/loop: after loop_stop nothing calls back, even if it was due in the same round.
#include "node_test.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "kubectl_local/loop.h"

using namespace etlnode;
using namespace etlnode::kubectl_local;

struct counted {
    loop *l = nullptr;
    int calls = 0;
};

static void stop_and_count(void *arg)
{
    counted &c = *static_cast<counted *>(arg);
    c.calls++;
    loop_stop(*c.l);
}

static void stop_and_count_event(void *arg, uint32_t) { stop_and_count(arg); }

static void one_timer_of_several_stops_it(void **)
{
    loop l;
    test_true(loop_open(l));
    counted c = {&l, 0};
    loop_timer timers[3];
    for (loop_timer &timer : timers) {
        timer.on_timer = stop_and_count;
        timer.arg = &c;
        loop_timer_arm(l, timer, 0);
    }
    loop_run(l);
    test_eq(c.calls, 1);
    loop_close(l);
}

static void one_event_of_several_stops_it(void **)
{
    loop l;
    test_true(loop_open(l));
    counted c = {&l, 0};
    loop_timer timer;
    timer.on_timer = stop_and_count;
    timer.arg = &c;
    loop_timer_arm(l, timer, 0);
    int pipes[2][2];
    loop_watch watches[2];
    for (int i = 0; i < 2; i++) {
        test_eq(pipe(pipes[i]), 0);
        test_eq(write(pipes[i][1], "x", 1), 1);
        watches[i].on_event = stop_and_count_event;
        watches[i].arg = &c;
        loop_watch_add(l, watches[i], pipes[i][0], EPOLLIN);
    }
    loop_run(l);
    test_eq(c.calls, 1);
    for (int i = 0; i < 2; i++) {
        loop_watch_remove(l, watches[i]);
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
    loop_close(l);
}

int main()
{
    const CMUnitTest tests[] = {cmocka_unit_test(one_timer_of_several_stops_it), cmocka_unit_test(one_event_of_several_stops_it)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
