// SPDX-License-Identifier: MIT
// The member machine's golden traces: test/golden/traces/member.md. UPDATE=1 rewrites it.
#include "control_world.h"

#include "base/log.h"
#include "control/member_machine.h"

using namespace etlnode;

struct scenario {
    fake_world *w = nullptr;
    member m;
    std::string said;
};

static void do_call(scenario &c, const std::string &call)
{
    std::vector<std::string> words = golden_split(call, " ");
    if (call == "begin")
        member_begin(c.m);
    else if (call == "accepted")
        member_answered(c.m, member_answer::accepted, {});
    else if (call == "refused")
        member_answered(c.m, member_answer::refused, "another cluster");
    else if (call == "unreachable")
        member_answered(c.m, member_answer::unreachable, "connection refused");
    else if (call == "beat now")
        member_beat_now(c.m);
    else if (call == "stop")
        member_stop(c.m);
    else if (words[0] == "wait")
        fake_advance(*c.w, static_cast<uint64_t>(std::atoi(words[1].c_str())));
    else
        test_fail("no call %s", call.c_str());
}

static void set_up(scenario &c)
{
    c.m.world = {.send =
                     [](void *arg, member &m) {
                         scenario &s = *static_cast<scenario *>(arg);
                         s.said += "sent at " + std::to_string(clock_now_ms(*m.e) - 1'000) + "ms\n";
                     },
        .cancel = [](void *arg, member &) { static_cast<scenario *>(arg)->said += "cancelled\n"; },
        .arg = &c};
}

static void check_end(scenario &c) { member_stop(c.m); }

static void traces_are_as_recorded(void **)
{
    golden_page_check(
        "test/golden/traces/member.md", [](const std::string &calls) { return control_play("member", calls, set_up, do_call, check_end); });
}

static void every_row_is_taken(void **)
{
    scenario c; // a member that never began
    c.w = control_world_make();
    c.m.e = &c.w->e;
    member_stop(c.m);
    member_beat_now(c.m);
    fake_free(c.w);
    check_rows_taken(member_machine_view());
}

int main()
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {cmocka_unit_test(traces_are_as_recorded), cmocka_unit_test(every_row_is_taken)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
