// SPDX-License-Identifier: MIT
// Transfers that end because the node stops, or because their ETL is stopped: neither the client's doing nor the pod's.
#include "transfer_world.h"

using namespace etlnode;

// The node stops while reads are under way. That is not the client's doing, and who has seen nothing is told.
static void a_node_that_stops_says_so(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn &waiting = ask(w);
    pod_say(w, "");
    net_conn &reading = ask(w);
    pod_say(w, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    run(w);
    http_server_stop(*w.server);
    w.server = nullptr;
    run(w);
    check_refusal(waiting, 503, "the node is shutting down");
    test_true(reading.is_closed && reading.resets);
    test_eq(w.outcomes.size(), 2u);
    test_true(
        w.outcomes == (std::vector<std::string>{"unavailable", "cut"}) || w.outcomes == (std::vector<std::string>{"cut", "unavailable"}));
    for (const std::string &reason : w.reasons)
        test_eq_text(reason, "the node is shutting down");
}

// The pod's end is then not the pod's fault.
static void an_etl_that_is_stopped_is_named_as_the_cause(void **state)
{
    for (bool is_silent : {true, false}) {
        transfer_world &w = begin_case(state);
        net_conn &client = ask(w);
        net_conn *pod = nullptr;
        pod_say(w, is_silent ? "" : "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", &pod);
        run(w);
        etl_of(w).phase = etl_phase::stopping;
        wire_finish(*pod);
        run(w);
        if (is_silent)
            check_refusal(client, 502, "ETL error: etl job JGHEoo89gg is being stopped, and its pod ended before it had answered");
        else
            check_cut(client);
        check_ended(w, is_silent ? "pod_error" : "cut");
        test_has_text(w.reasons.back(), "etl job JGHEoo89gg is being stopped");
        etl_of(w).phase = etl_phase::serving;
    }
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_node_that_stops_says_so, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(an_etl_that_is_stopped_is_named_as_the_cause, world_set_up, world_tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
