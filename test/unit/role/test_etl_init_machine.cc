// SPDX-License-Identifier: MIT
// The etl_init machine's golden traces: test/golden/traces/etl_init.md says what happens to a start and what follows. UPDATE=1 rewrites it.
#include "role_world.h"

#include "role/etl_init_machine.h"

struct scenario {
    fake_world *w = nullptr;
    etl_init m;
    std::string said; // what the machine asked of its world, and what the caller was told
    bool ended = false;
};

static void say(void *arg, const std::string &text) { static_cast<scenario *>(arg)->said += text + "\n"; }

static etl_init_world world_of(scenario &c)
{
    return {
        .store_initializing = [](void *arg, etl_init &) { say(arg, "asked: store as initializing"); },
        .start_on_targets = [](void *arg, etl_init &) { say(arg, "asked: start on all targets"); },
        .cancel_start = [](void *arg, etl_init &) { say(arg, "asked: cancel the start"); },
        .store_running = [](void *arg, etl_init &) { say(arg, "asked: store as running"); },
        .remove_from_targets = [](void *arg, etl_init &) { say(arg, "asked: remove from all targets"); },
        .cancel_remove = [](void *arg, etl_init &) { say(arg, "asked: cancel the removal"); },
        .store_ended = [](void *arg, etl_init &m) { say(arg, m.is_restart ? "asked: store as aborted" : "asked: take out of the document"); },
        .answer_running = [](void *arg, etl_init &) { say(arg, "answered: running"); },
        .answer_failure = [](void *arg, etl_init &m) { say(arg, std::string("answered: ") + error_code_name(m.failure) + ": " + m.failure_text); },
        .on_end = [](void *arg, etl_init &) { say(arg, "ended"); static_cast<scenario *>(arg)->ended = true; },
        .arg = &c,
    };
}

static void do_call(scenario &c, const std::string &call)
{
    std::vector<std::string> words = golden_split(call, " ");
    if (words[0] == "begin")
        etl_init_begin(c.m);
    else if (call == "stored")
        etl_init_stored(c.m, no_error, {});
    else if (call == "refused")
        etl_init_stored(c.m, make_error(error_code::already_exists), "etl job e already exists");
    else if (call == "gone")
        etl_init_stored(c.m, make_error(error_code::etl_not_found), "it is gone already");
    else if (call == "not stored")
        etl_init_stored(c.m, make_error(error_code::no_space), {});
    else if (call == "all serve")
        etl_init_started(c.m, error_code::ok, {});
    else if (call == "t2 fails")
        etl_init_started(c.m, error_code::etl_init_failed, "target t2: step create: no such image");
    else if (call == "removed")
        etl_init_removed(c.m);
    else if (call == "caller hangs up")
        etl_init_caller_gone(c.m);
    else if (call == "stop")
        etl_init_stop(c.m);
    else if (call == "is a restart")
        c.m.is_restart = true;
    else if (call == "is to be answered in 60 s") // pods get 50 s
        c.m.wait_timeout_ms = 50'000, c.m.answer_at_ms = clock_now_ms(c.w->e) + 58'000;
    else if (words[0] == "wait")
        fake_advance(*c.w, static_cast<uint64_t>(std::atoi(words[1].c_str())) * 1'000);
    else
        test_fail("no call %s", call.c_str());
    fake_run(*c.w);
}

static std::string run_scenario(const std::vector<std::string> &calls)
{
    scenario c;
    c.w = role_world_make();
    c.m.sm.id = 1;
    c.m.e = &c.w->e;
    c.m.id = "e";
    c.m.generation_id = "g-1";
    c.m.wait_timeout_ms = 60'000;
    c.m.world = world_of(c);
    golden_trace_begin(*c.w);
    for (const std::string &call : calls)
        do_call(c, call);
    std::string out = golden_trace_end("etl_init") + c.said;
    test_true(c.ended); // a scenario goes on to the end
    fake_free(c.w);
    return out;
}

static void traces_are_as_recorded(void **) { golden_check("test/golden/traces/etl_init.md", run_scenario); }

static void every_row_is_taken(void **)
{
    sm_view view = etl_init_machine_view();
    for (size_t i = 0; i < view.rows.size(); i++) {
        bool is_unused = std::string_view(view.states[view.rows[i].from].name) == "idle" && std::string_view(view.events[view.rows[i].on]) == "stop";
        if (view.counters->row_taken[i] == 0 && !is_unused) // etl_init_begin steps at once; the row is there because every state answers stop
            test_fail("row %zu was never taken: %s --%s-->", i, view.states[view.rows[i].from].name, view.events[view.rows[i].on]);
    }
}

int main()
{
    sm_set_strict(true);
    const CMUnitTest tests[] = {cmocka_unit_test(traces_are_as_recorded), cmocka_unit_test(every_row_is_taken)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
