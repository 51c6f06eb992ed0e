// SPDX-License-Identifier: MIT
// The presence machine's golden traces: test/golden/traces/presence.md. UPDATE=1 rewrites it.
#include "control_world.h"

#include "base/log.h"
#include "control/presence_machine.h"

using namespace etlnode;

static std::string run_scenario(const std::vector<std::string> &calls)
{
    fake_world *w = control_world_make();
    presence m;
    m.sm.id = 1;
    m.e = &w->e;
    m.target = "t1";
    std::string said;
    presence_begin(m);
    golden_trace_begin(*w);
    for (const std::string &call : calls) {
        if (call == "heard")
            presence_heard(m);
        else if (call == "stop")
            presence_stop(m);
        else if (call.starts_with("wait "))
            fake_advance(*w, static_cast<uint64_t>(std::atoi(call.c_str() + 5)));
        else
            test_fail("no call %s", call.c_str());
        fake_run(*w);
        said += call + ": " + (presence_is_here(m) ? "here" : "not here") + (presence_was_heard(m) ? "" : ", never heard") + "\n";
    }
    std::string out = golden_trace_end("presence") + said;
    presence_stop(m); // no effect after the end
    presence_heard(m);
    fake_free(w);
    return out;
}

static void traces_are_as_recorded(void **) { golden_check("test/golden/traces/presence.md", run_scenario); }
static void every_row_is_taken(void **) { check_rows_taken(presence_machine_view()); }

int main()
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {cmocka_unit_test(traces_are_as_recorded), cmocka_unit_test(every_row_is_taken)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
