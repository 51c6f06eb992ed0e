// SPDX-License-Identifier: MIT
// The presence machine's golden traces: test/golden/traces/presence.md. UPDATE=1 rewrites it.
#include "control_world.h"

#include "base/log.h"
#include "control/presence_machine.h"

using namespace etlnode;

struct scenario {
    fake_world *w = nullptr;
    presence m;
    std::string said;
};

static void do_call(scenario &c, const std::string &call)
{
    if (call == "heard")
        presence_heard(c.m);
    else if (call == "stop")
        presence_stop(c.m);
    else if (call.starts_with("wait "))
        fake_advance(*c.w, static_cast<uint64_t>(std::atoi(call.c_str() + 5)));
    else
        test_fail("no call %s", call.c_str());
    fake_run(*c.w);
    c.said += call + ": " + (presence_is_here(c.m) ? "here" : "not here") + (presence_was_heard(c.m) ? "" : ", never heard") + "\n";
}

static void set_up(scenario &c)
{
    c.m.target = "t1";
    presence_begin(c.m);
}

static void check_end(scenario &c)
{
    presence_stop(c.m); // no effect after the end
    presence_heard(c.m);
}

static void traces_are_as_recorded(void **)
{
    golden_page_check("test/golden/traces/presence.md",
        [](const std::string &calls) { return control_play("presence", calls, set_up, do_call, check_end); });
}

static void every_row_is_taken(void **) { check_rows_taken(presence_machine_view()); }

int main()
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {cmocka_unit_test(traces_are_as_recorded), cmocka_unit_test(every_row_is_taken)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
