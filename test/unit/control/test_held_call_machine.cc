// SPDX-License-Identifier: MIT
// The held_call machine's golden traces: test/golden/traces/held_call.md shows events and effects. UPDATE=1 rewrites it.
#include "control_world.h"

#include "control/held_call_machine.h"

using namespace etlnode;

struct scenario {
    fake_world *w = nullptr;
    held_call m;
    held_sight sight = held_sight::holds;
    std::string said; // the machine's requests to its world, and the answers
    bool ended = false;
};

static void say(void *arg, const std::string &text) { static_cast<scenario *>(arg)->said += text + "\n"; }

static held_call_world world_of(scenario &c)
{
    return {
        .look = [](void *arg, const held_call &) { return static_cast<scenario *>(arg)->sight; },
        .ask =
            [](void *arg, held_call &m) {
                say(arg, m.question == held_question::start ? "asked: how the start ends" : "asked: when the pods are gone");
            },
        .abandon = [](void *arg, held_call &) { say(arg, "asked: abandon the start"); },
        .answer =
            [](void *arg, held_call &m) {
                say(arg, std::string("answered: ") + error_code_name(m.err.code) + (m.text.empty() ? "" : ": " + m.text));
            },
        .on_end =
            [](void *arg, held_call &) {
                say(arg, "ended");
                static_cast<scenario *>(arg)->ended = true;
            },
        .arg = &c,
    };
}

static void do_call(scenario &c, const std::string &call)
{
    if (call == "begin")
        held_call_begin(c.m);
    else if (call == "is early")
        c.sight = held_sight::older;
    else if (call == "is replaced")
        c.sight = held_sight::replaced;
    else if (call == "is about a removal")
        c.m.question = held_question::gone;
    else if (call == "document 4")
        held_call_document_taken(c.m);
    else if (call == "document 5" || call == "document 6")
        c.sight = held_sight::holds, held_call_document_taken(c.m);
    else if (call == "document 6 replaces it")
        c.sight = held_sight::replaced, held_call_document_taken(c.m);
    else if (call == "serves")
        held_call_decided(c.m, no_error, {});
    else if (call == "fails")
        held_call_decided(c.m, make_error(error_code::etl_init_failed), "target t2: step create: no such image");
    else if (call == "answered and told at once")
        held_call_decided(c.m, no_error, {}), held_call_document_taken(c.m), held_call_stop(c.m);
    else if (call == "caller hangs up")
        held_call_caller_gone(c.m);
    else if (call == "stop")
        held_call_stop(c.m);
    else if (call.starts_with("wait "))
        fake_advance(*c.w, static_cast<uint64_t>(std::atoi(call.c_str() + 5)) * 1'000);
    else
        test_fail("no call %s", call.c_str());
}

static void set_up(scenario &c)
{
    c.m.id = "e";
    c.m.generation_id = "g-1";
    c.m.version = 5;
    c.m.wait_timeout_ms = 60'000;
    c.m.world = world_of(c);
}

static void check_end(scenario &c) { test_true(c.ended); } // a scenario must reach the end

static void traces_are_as_recorded(void **)
{
    golden_page_check("test/golden/traces/held_call.md",
        [](const std::string &calls) { return control_play("held_call", calls, set_up, do_call, check_end); });
}

// held_call_begin steps at once, so no story has an end before it.
static void every_row_is_taken(void **)
{
    scenario c;
    c.w = control_world_make();
    c.m.e = &c.w->e;
    c.m.wait_timeout_ms = 1;
    c.m.world = world_of(c);
    c.m.deadline_timer = timer_make(
        c.w->e, [](void *) {}, nullptr);
    held_call_stop(c.m);
    fake_run(*c.w);
    test_eq_text(c.said, "answered: stopping: the target is shutting down\nended\n");
    fake_free(c.w);
    check_rows_taken(held_call_machine_view());
}

int main()
{
    sm_set_strict(true);
    const CMUnitTest tests[] = {cmocka_unit_test(traces_are_as_recorded), cmocka_unit_test(every_row_is_taken)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
