// SPDX-License-Identifier: MIT
// The lifecycle machine in a fake world: a role that does what the test says, and writes down what it was asked for.
#include "fake_world.h"
#include "node_test.h"
#include "rows_taken.h"

#include "base/limits.h"
#include "base/log.h"
#include "role/shared/lifecycle_machine.h"
#include "sm/sm_trace.h"

using namespace etlnode;

enum class answers : uint8_t { later, at_once, with_failure };

struct scenario {
    fake_world *w = nullptr;
    lifecycle m;
    std::string said;
    answers open = answers::later, listen = answers::later, close = answers::at_once;
    bool drained = true, idle = true, storing = false, has_last_word = false;
    std::string failure;
    size_t ready_reports = 0;
    bool has_ended = false;
};

static scenario &of(void *arg) { return *static_cast<scenario *>(arg); }
static const scenario &of(const void *arg) { return *static_cast<const scenario *>(arg); }

static void fail(scenario &c, const char *text) { lifecycle_failed(c.m, make_error(error_code::io), text); }

static void do_open(void *arg)
{
    scenario &c = of(arg);
    c.said += "open ";
    if (c.open == answers::at_once)
        lifecycle_opened(c.m);
    if (c.open == answers::with_failure)
        fail(c, "no store");
}

static void do_listen(void *arg)
{
    scenario &c = of(arg);
    c.said += "listen ";
    if (c.listen == answers::at_once)
        lifecycle_listens(c.m);
    if (c.listen == answers::with_failure)
        fail(c, "no port");
}

static void do_close(void *arg)
{
    scenario &c = of(arg);
    c.said += "close ";
    if (c.close == answers::at_once)
        lifecycle_closed(c.m);
}

static scenario begin(answers open = answers::at_once, answers listen = answers::at_once)
{
    scenario c;
    c.w = fake_make();
    c.open = open;
    c.listen = listen;
    return c;
}

static void on_ready(void *arg, error err, const std::string &detail)
{
    scenario &c = of(arg);
    c.ready_reports += err ? 0 : 1;
    c.failure = detail;
}

// The scenario lies where it stays now, so the machine may know it.
static void start(scenario &c)
{
    c.m.sm.id = 1;
    c.m.e = &c.w->e;
    c.m.role = {.name = "node",
        .open = do_open,
        .listen = do_listen,
        .join = [](void *arg) { of(arg).said += "join "; },
        .drain = [](void *arg) { of(arg).said += "drain "; },
        .is_drained = [](const void *arg) { return of(arg).drained; },
        .close = do_close,
        .finish = [](void *arg) { of(arg).said += "finish "; },
        .is_idle = [](const void *arg) { return of(arg).idle; },
        .is_storing = [](const void *arg) { return of(arg).storing; },
        .has_last_word = [](const void *arg) { return of(arg).has_last_word; },
        .send_last_word =
            [](void *arg) {
                of(arg).said += "word ";
                of(arg).has_last_word = false;
            },
        .end = [](void *arg) { of(arg).said += of(arg).idle ? "end " : "give-up "; },
        .arg = &c};
    lifecycle_begin(c.m, on_ready, &c);
    fake_run(*c.w);
}

static void end(scenario &c)
{
    lifecycle_free(c.m);
    fake_free(c.w);
}

static void drain(scenario &c)
{
    lifecycle_drain(
        c.m, [](void *arg) { of(arg).has_ended = true; }, &c);
    fake_run(*c.w);
}

static void work_ends(scenario &c)
{
    lifecycle_work_ended(c.m);
    fake_run(*c.w);
}

static void starts_joins_and_ends(void **)
{
    scenario c = begin();
    start(c);
    test_eq_text(c.said, "open listen join ");
    test_false(lifecycle_is_ready(c.m));
    test_false(lifecycle_has_joined(c.m));
    lifecycle_joined(c.m);
    lifecycle_report_ready(c.m);
    test_eq(c.ready_reports, 1);
    test_true(lifecycle_is_ready(c.m));
    test_true(lifecycle_has_joined(c.m));
    c.drained = false;
    c.has_last_word = true;
    c.close = answers::later;
    drain(c);
    test_false(lifecycle_is_ready(c.m));
    test_true(lifecycle_has_joined(c.m)); // for requests that are here already
    test_true(lifecycle_is_draining(c.m));
    test_false(lifecycle_is_closing(c.m));
    lifecycle_report_ready(c.m);
    test_eq(c.ready_reports, 1); // not during a drain
    work_ends(c);                // not the last
    test_eq_text(c.said, "open listen join drain ");
    c.drained = true;
    work_ends(c);
    test_eq_text(c.said, "open listen join drain close ");
    test_true(lifecycle_is_closing(c.m));
    lifecycle_closed(c.m);
    fake_run(*c.w);
    test_eq_text(c.said, "open listen join drain close finish word ");
    test_false(c.has_ended);
    lifecycle_last_word_sent(c.m);
    test_false(c.has_ended); // never inside a call of the role's
    fake_run(*c.w);
    test_true(c.has_ended);
    test_eq_text(c.said, "open listen join drain close finish word end ");
    test_eq(c.w->clock.now_ms, 1'000u); // nothing was waited for by the clock
    end(c);
}

static void a_failed_start_is_reported_once(void **)
{
    scenario opening = begin(answers::with_failure);
    start(opening);
    test_eq_text(opening.failure, "no store");
    drain(opening);
    test_true(opening.has_ended);
    end(opening);
    scenario listening = begin(answers::at_once, answers::with_failure);
    start(listening);
    test_eq_text(listening.failure, "no port");
    end(listening);
    scenario joining = begin();
    start(joining);
    fail(joining, "no document");
    fake_run(*joining.w);
    test_eq_text(joining.failure, "no document");
    test_false(lifecycle_has_joined(joining.m));
    end(joining);
}

// Storage still owes an answer, and knows the node until then.
static void a_drain_waits_for_the_step_of_a_start(void **)
{
    void (*const ends[])(scenario & c) = {
        [](scenario &c) { lifecycle_opened(c.m); },
        [](scenario &c) { fail(c, "too late"); },
        [](scenario &c) { lifecycle_listens(c.m); },
    };
    for (size_t i = 0; i < 3; i++) {
        scenario c = begin(i < 2 ? answers::later : answers::at_once, answers::later);
        start(c);
        drain(c);
        lifecycle_work_ended(c.m); // says nothing here
        fake_run(*c.w);
        test_true(lifecycle_is_draining(c.m));
        test_false(c.has_ended);
        ends[i](c);
        fake_run(*c.w);
        test_true(c.has_ended);
        test_true(c.failure.empty());
        test_true(c.said.ends_with("drain close finish end "));
        end(c);
    }
}

static void a_drain_may_come_before_the_cluster(void **)
{
    scenario c = begin();
    start(c);
    c.idle = false;
    drain(c);
    test_eq_text(c.said, "open listen join drain close finish ");
    lifecycle_joined(c.m);
    fail(c, "too late");
    test_false(lifecycle_has_joined(c.m));
    test_true(c.failure.empty());
    c.idle = true;
    work_ends(c);
    test_true(c.has_ended);
    end(c);
}

static void the_time_to_drain_ends(void **)
{
    scenario c = begin();
    start(c);
    lifecycle_joined(c.m);
    c.drained = false;
    c.idle = false;
    drain(c);
    fake_advance(*c.w, drain_timeout_ms - 1);
    test_false(lifecycle_is_closing(c.m));
    fake_advance(*c.w, 1);
    fake_run(*c.w);
    test_eq_text(c.said, "open listen join drain close finish ");
    fake_advance(*c.w, 2'000);
    fake_run(*c.w);
    test_true(c.has_ended);
    test_true(c.said.ends_with("give-up "));
    end(c);
}

static void storage_is_waited_for_without_a_limit(void **)
{
    for (bool has_last_word : {false, true}) {
        scenario c = begin();
        start(c);
        lifecycle_joined(c.m);
        c.storing = true;
        c.idle = false;
        c.has_last_word = has_last_word;
        drain(c);
        work_ends(c);
        fake_advance(*c.w, 600'000);
        fake_run(*c.w);
        work_ends(c);
        test_false(c.has_ended);
        c.storing = false;
        c.idle = true;
        work_ends(c);
        test_true(has_last_word != c.has_ended);
        fake_advance(*c.w, 1'000); // the proxy does not take it
        fake_run(*c.w);
        test_true(c.has_ended);
        end(c);
    }
}

// As many as there are: looked at once in each round of the loop.
static void ends_of_work_are_looked_at_together(void **)
{
    scenario c = begin();
    start(c);
    lifecycle_joined(c.m);
    c.drained = false;
    drain(c);
    uint64_t before = lifecycle_machine_view().counters->steps;
    for (int i = 0; i < 100; i++)
        lifecycle_work_ended(c.m);
    fake_run(*c.w);
    test_eq(lifecycle_machine_view().counters->steps, before + 1);
    c.drained = true;
    work_ends(c);
    test_true(c.has_ended);
    end(c);
}

static void every_row_is_taken(void **)
{
    scenario c = begin(); // one that never began
    c.m.e = &c.w->e;
    c.m.role.name = "node";
    c.m.deadline_timer = timer_make(
        c.w->e, [](void *) {}, nullptr);
    lifecycle_drain(
        c.m, [](void *) {}, nullptr);
    fake_run(*c.w);
    fake_free(c.w);
    check_rows_taken(lifecycle_machine_view());
}

int main()
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {
        cmocka_unit_test(starts_joins_and_ends),
        cmocka_unit_test(a_failed_start_is_reported_once),
        cmocka_unit_test(a_drain_waits_for_the_step_of_a_start),
        cmocka_unit_test(a_drain_may_come_before_the_cluster),
        cmocka_unit_test(the_time_to_drain_ends),
        cmocka_unit_test(storage_is_waited_for_without_a_limit),
        cmocka_unit_test(ends_of_work_are_looked_at_together),
        cmocka_unit_test(every_row_is_taken),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
