// SPDX-License-Identifier: MIT
// The etl_rollout machine's golden traces: test/golden/traces/etl_rollout.md shows events and effects. UPDATE=1 rewrites it.
#include "control_world.h"

#include "control/etl_rollout_machine.h"

using namespace etlnode;

struct scenario {
    fake_world *w = nullptr;
    etl_rollout m;
    std::string said; // the machine's requests to its world, and the caller's answer
    bool ended = false;
};

static void say(void *arg, const std::string &text) { static_cast<scenario *>(arg)->said += text + "\n"; }

static etl_rollout_world world_of(scenario &c)
{
    return {
        .store_initializing = [](void *arg, etl_rollout &) { say(arg, "asked: store as initializing"); },
        .await_start =
            [](void *arg, etl_rollout &m) {
                say(arg, "asked: how the targets' starts end, " + std::to_string(m.wait_timeout_ms) + " ms for the pods");
            },
        .store_running = [](void *arg, etl_rollout &) { say(arg, "asked: store as running"); },
        .store_ended = [](void *arg,
                           etl_rollout &m) { say(arg, m.is_restart ? "asked: store as aborted" : "asked: take out of the document"); },
        .await_removal = [](void *arg, etl_rollout &) { say(arg, "asked: when the pods are gone"); },
        .cancel_await = [](void *arg, etl_rollout &) { say(arg, "asked: cancel the calls"); },
        .answer_running = [](void *arg, etl_rollout &) { say(arg, "answered: running"); },
        .answer_failure = [](void *arg,
                              etl_rollout &m) { say(arg, std::string("answered: ") + error_code_name(m.failure) + ": " + m.failure_text); },
        .on_end =
            [](void *arg, etl_rollout &) {
                say(arg, "ended");
                static_cast<scenario *>(arg)->ended = true;
            },
        .arg = &c,
    };
}

static void do_call(scenario &c, const std::string &call)
{
    std::vector<std::string> words = golden_split(call, " ");
    if (words[0] == "begin")
        etl_rollout_begin(c.m);
    else if (call == "stored")
        etl_rollout_stored(c.m, no_error, {});
    else if (call == "refused")
        etl_rollout_stored(c.m, make_error(error_code::already_exists), "etl job e already exists");
    else if (call == "gone")
        etl_rollout_stored(c.m, make_error(error_code::etl_not_found), "it is gone already");
    else if (call == "not stored")
        etl_rollout_stored(c.m, make_error(error_code::no_space), {});
    else if (call == "all serve")
        etl_rollout_started(c.m, error_code::ok, {});
    else if (call == "t2 fails")
        etl_rollout_started(c.m, error_code::etl_init_failed, "target t2: step create: no such image");
    else if (call == "removed")
        etl_rollout_removed(c.m, {});
    else if (call == "t2 is late")
        etl_rollout_removed(c.m, "\nIts pod is not removed yet: target t2");
    else if (call == "caller hangs up")
        etl_rollout_caller_gone(c.m);
    else if (call == "stop")
        etl_rollout_stop(c.m);
    else if (call == "is a restart")
        c.m.is_restart = true;
    else if (call == "is to be answered in 60 s") // which leaves the pods 50 s
        c.m.wait_timeout_ms = 50'000, c.m.answer_at_ms = clock_now_ms(c.w->e) + 58'000;
    else if (words[0] == "wait")
        fake_advance(*c.w, static_cast<uint64_t>(std::atoi(words[1].c_str())) * 1'000);
    else
        test_fail("no call %s", call.c_str());
}

static void set_up(scenario &c)
{
    c.m.id = "e";
    c.m.wait_timeout_ms = 60'000;
    c.m.world = world_of(c);
}

static void check_end(scenario &c) { test_true(c.ended); } // a scenario must reach the end

static void traces_are_as_recorded(void **)
{
    golden_page_check("test/golden/traces/etl_rollout.md",
        [](const std::string &calls) { return control_play("etl_rollout", calls, set_up, do_call, check_end); });
}

// etl_rollout_begin steps at once, so no story has an end before it.
static void every_row_is_taken(void **)
{
    scenario c;
    c.w = control_world_make();
    c.m.e = &c.w->e;
    c.m.world = world_of(c);
    c.m.deadline_timer = timer_make(
        c.w->e, [](void *) {}, nullptr);
    etl_rollout_stop(c.m);
    fake_run(*c.w);
    test_eq_text(c.said, "answered: ok: \nended\n");
    fake_free(c.w);
    check_rows_taken(etl_rollout_machine_view());
}

int main()
{
    sm_set_strict(true);
    const CMUnitTest tests[] = {cmocka_unit_test(traces_are_as_recorded), cmocka_unit_test(every_row_is_taken)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
