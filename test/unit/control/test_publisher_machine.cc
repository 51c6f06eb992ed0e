// SPDX-License-Identifier: MIT
// The publisher machine's golden traces: test/golden/traces/publisher.md. UPDATE=1 rewrites it.
#include "control_world.h"

#include "control/publisher_machine.h"

using namespace etlnode;

struct scenario {
    fake_world *w = nullptr;
    publisher m;
    uint64_t version = 1;
    bool is_here = true;
    std::string said;
};

static publisher_world world_of(scenario &c)
{
    return {
        .wanted_version = [](void *arg, const publisher &) { return static_cast<scenario *>(arg)->version; },
        .may_be_there = [](void *arg, const publisher &) { return static_cast<scenario *>(arg)->is_here; },
        .send =
            [](void *arg, publisher &m) {
                scenario &s = *static_cast<scenario *>(arg);
                s.said += "sends version " + std::to_string(s.version) + " at " + std::to_string(clock_now_ms(*m.e) - 1'000) + "ms\n";
            },
        .cancel = [](void *arg, publisher &) { static_cast<scenario *>(arg)->said += "cancels the call\n"; },
        .arg = &c,
    };
}

static void do_call(scenario &c, const std::string &call)
{
    if (call.starts_with("version "))
        c.version = static_cast<uint64_t>(std::atoi(call.c_str() + 8)), publisher_published(c.m);
    else if (call == "is out")
        c.version = 0, publisher_published(c.m);
    else if (call.starts_with("says "))
        publisher_heard(c.m, static_cast<uint64_t>(std::atoi(call.c_str() + 5)));
    else if (call == "sent" || call == "failed")
        publisher_sent(c.m, call == "sent");
    else if (call == "is silent" || call == "is here")
        c.is_here = call == "is here";
    else if (call == "stop")
        publisher_stop(c.m);
    else if (call.starts_with("wait "))
        fake_advance(*c.w, static_cast<uint64_t>(std::atoi(call.c_str() + 5)));
    else
        test_fail("no call %s", call.c_str());
}

static void set_up(scenario &c)
{
    c.m.world = world_of(c);
    publisher_begin(c.m);
}

static void check_end(scenario &c)
{
    publisher_published(c.m); // no effect after the end
    publisher_heard(c.m, 9);
    publisher_stop(c.m);
}

static void traces_are_as_recorded(void **)
{
    golden_page_check("test/golden/traces/publisher.md",
        [](const std::string &calls) { return control_play("publisher", calls, set_up, do_call, check_end); });
}

static void every_row_is_taken(void **) { check_rows_taken(publisher_machine_view()); }

int main()
{
    sm_set_strict(true);
    const CMUnitTest tests[] = {cmocka_unit_test(traces_are_as_recorded), cmocka_unit_test(every_row_is_taken)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
