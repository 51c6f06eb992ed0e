// SPDX-License-Identifier: MIT
// One request to many nodes on the simulated network: all answers in the order of the nodes, each with its own failure.
#include "../../sim/scripted_node.h"

#include "control/broadcast.h"

using namespace etlnode;

struct fixture {
    sim_world *sim = nullptr;
    sim_host *caller = nullptr;
    http_client *client = nullptr;
    std::vector<scripted_node *> nodes;
    std::vector<broadcast_peer> peers;
    int done = 0;
    std::vector<broadcast_answer> answers;
    uint64_t began_us = 0;
};

static void add_node(fixture &f, std::vector<scripted_row> rows)
{
    std::string id = "t" + std::to_string(f.nodes.size() + 1);
    scripted_node *node = scripted_node_make(*f.sim, id, "10.0.0." + std::to_string(f.nodes.size() + 1));
    node->rows = std::move(rows);
    f.nodes.push_back(node);
    f.peers.push_back({id, "http://" + node->address + ":8080"});
}

static int set_up(void **state)
{
    auto *f = new fixture;
    f->sim = sim_make(7);
    f->caller = sim_host_make(*f->sim, sim_host_kind::client, "caller", "10.0.1.1", memory_empty());
    f->client = http_client_make(f->caller->e, {});
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    auto *f = static_cast<fixture *>(*state);
    http_client_free(f->client);
    scripted_pass(*f->sim, 1'000);
    for (scripted_node *node : f->nodes)
        scripted_node_free(node);
    sim_host_free(f->caller);
    scripted_world_free(f->sim);
    delete f;
    return 0;
}

static void on_done(void *arg, std::vector<broadcast_answer> answers)
{
    fixture &f = *static_cast<fixture *>(arg);
    f.done++;
    f.answers = std::move(answers);
}

static broadcast *begin(fixture &f, const broadcast_request &request)
{
    f.done = 0;
    f.began_us = f.sim->now_us;
    return broadcast_start(f.caller->e, *f.client, f.peers, request, on_done, &f);
}

static broadcast_request request_of(uint64_t deadline_ms = 5'000)
{
    broadcast_request request;
    request.target = "/v1/question?x=1";
    request.headers = "X-Of: us\r\n";
    request.deadline_ms = deadline_ms;
    return request;
}

static uint64_t took_ms(const fixture &f) { return (f.sim->now_us - f.began_us) / 1'000; }

static void run(fixture &f, const broadcast_request &request)
{
    begin(f, request);
    test_eq(f.done, 0); // never before the call has returned
    test_true(scripted_until(*f.sim, [&] { return f.done > 0; }));
    test_eq(f.done, 1);
}

static void all_answers_come_in_the_order_of_the_nodes(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    add_node(f, {{.match = "PUT /v1/question?x=1", .body = "one"}});
    add_node(f, {{.match = "PUT /v1/question?x=1", .status = 404, .body = R"({"message":"it has none","code":"etl_not_found"})"}});
    add_node(f, {{.match = "PUT /v1/question?x=1", .status = 204}});
    broadcast_request request = request_of();
    request.method = "PUT";
    request.body = "the body";
    request.has_body = true;
    run(f, request);
    test_eq(f.answers.size(), 3);
    struct expected {
        const char *id, *body;
        int status;
        bool succeeded;
    };
    const expected rows[] = {
        {"t1", "one", 200, true}, {"t2", R"({"message":"it has none","code":"etl_not_found"})", 404, false}, {"t3", "", 204, true}};
    for (size_t i = 0; i < 3; i++) {
        test_eq_text(f.answers[i].id, rows[i].id);
        test_ok(f.answers[i].err);
        test_eq(f.answers[i].status, rows[i].status);
        test_eq_text(f.answers[i].body, rows[i].body);
        test_true(broadcast_succeeded(f.answers[i]) == rows[i].succeeded);
        test_eq_text(f.nodes[i]->asked.at(0).body, "the body");
        test_eq_text(sim_header(f.nodes[i]->asked.at(0), "x-of"), "us");
    }
    test_eq_text(broadcast_first_failure(f.answers)->id, "t2");
    error_code code = error_code::ok;
    test_eq_text(broadcast_failure_text(f.answers[1], &code), "target t2: it has none");
    test_eq_enum(code, error_code::etl_not_found);
}

static void who_is_late_has_timed_out(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    add_node(f, {{.match = "GET", .is_held = true}});
    add_node(f, {{.match = "GET", .body = "two"}});
    run(f, request_of(2'000));
    test_true(took_ms(f) >= 2'000 && took_ms(f) < 2'100);
    test_eq_enum(f.answers[0].err.code, error_code::timed_out);
    test_eq_text(broadcast_failure_text(f.answers[0], nullptr), "target t1 does not answer: timeout");
    test_eq_text(f.answers[1].body, "two");
    scripted_pass(*f.sim, 100);
    test_eq(f.nodes[0]->hung_up, 1); // it notices that the caller is gone
}

static void who_is_not_there_is_reported_by_its_error(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    add_node(f, {});
    scripted_silence(*f.nodes[0]);
    f.peers.push_back({"t2", "no URL"});
    add_node(f, {{.match = "GET", .body = "three"}});
    run(f, request_of());
    test_eq_enum(f.answers[0].err.code, error_code::refused);
    test_eq_enum(f.answers[1].err.code, error_code::unreachable);
    test_eq_text(broadcast_failure_text(f.answers[1], nullptr), "target t2 does not answer: its URL is not http://host:port");
    test_eq_text(f.answers[2].body, "three");
    test_true(took_ms(f) < 1'000);
}

static void the_first_failure_ends_the_rest_where_that_is_asked(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    add_node(f, {{.match = "GET", .is_held = true}});
    add_node(f, {{.match = "GET", .status = 500, .body = R"({"message":"target t2 names itself"})"}});
    broadcast_request request = request_of(60'000);
    request.stop_at_failure = true;
    run(f, request);
    test_true(took_ms(f) < 1'000);
    test_eq_enum(f.answers[0].err.code, error_code::canceled);
    const broadcast_answer *failed = broadcast_first_failure(f.answers);
    test_eq_text(failed->id, "t2"); // not the one that was ended because of it
    test_eq_text(broadcast_failure_text(*failed, nullptr), "target t2 names itself");
    test_eq_text(broadcast_first_failure({f.answers[0]})->id, "t1");
}

static void nobody_to_ask_is_done_at_once(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    run(f, request_of());
    test_true(f.answers.empty());
    test_true(broadcast_first_failure(f.answers) == nullptr);
    f.peers.push_back({"t1", ""});
    run(f, request_of());
    test_eq_enum(f.answers[0].err.code, error_code::unreachable);
}

static void one_that_is_cancelled_says_nothing(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    broadcast_cancel(*begin(f, request_of())); // while its completion is posted
    scripted_pass(*f.sim, 10'000);
    test_eq(f.done, 0);
    add_node(f, {{.match = "GET", .is_held = true}});
    broadcast *running = begin(f, request_of());
    test_true(scripted_until(*f.sim, [&] { return scripted_held(*f.nodes[0]) == 1; }));
    broadcast_cancel(*running);
    scripted_pass(*f.sim, 10'000);
    test_eq(f.done, 0);
    test_eq(f.nodes[0]->hung_up, 1);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_answers_come_in_the_order_of_the_nodes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_late_has_timed_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_not_there_is_reported_by_its_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_failure_ends_the_rest_where_that_is_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_to_ask_is_done_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_cancelled_says_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
