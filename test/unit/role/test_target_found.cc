// SPDX-License-Identifier: MIT
// Objects of other targets that a target has though nothing moves: counted at its start, reported, listed, not served, and given on demand.
#include "moving_world.h"

using namespace etlnode;

// Since the target was away, objects belong to target-02 that once were its own. Nobody says that they moved.
static const std::vector<moving_ids> tables = {{"target-01"}, {"target-01", "target-02"}};

static constexpr const char *move = "PUT /v1/node/move?";
static constexpr const char *found = "GET /v1/node/found";
static constexpr const char *take = "POST /v1/node/found";

static std::string strange(size_t nth = 0) { return moving_name(tables, {"target-01", "target-02"}, nth); }
static std::string own(size_t nth = 0) { return moving_name(tables, {"target-01", "target-01"}, nth); }

template <class Condition> static bool until(role_world &w, Condition is_true) { return scripted_until(*w.sim, is_true); }
static size_t count(role_world &w, const char *match) { return scripted_count(peer_of(w, "target-02"), match); }

static int set_up(void **state)
{
    role_set_up_member(state);
    moving_begin(role_of(state), tables.back());
    return 0;
}

// As after a start with an older state of the data directory: rows that a former run gave away are back.
static void put_back(role_world &w, const std::vector<std::string> &names)
{
    std::string model = own(50);
    role_check(role_ask(w, moving_object("PUT", model), "content"), "PUT", 200, "");
    role_stop(w);
    index_row row = w.image.rows.at({"b", model});
    for (const std::string &name : names) {
        row.name = name;
        row.content_id = ++w.image.content_id_max;
        w.image.rows[{"b", name}] = row;
    }
    role_start(w);
    test_true(until(w, [&] { return target_has_lease(*w.t) && lifecycle_has_joined(w.t->life); }));
}

static bool await_count(role_world &w, size_t objects)
{
    return until(w, [&] { return found_is_known(*w.t) && w.t->giving->found.objects == objects && !w.t->giving->found.is_recounting; });
}

static std::string health(role_world &w) { return role_ask(w, "GET /v1/health?readiness=true").answer.body; }

static void take_all(role_world &w)
{
    std::string line = std::string(take) + "?objects=" + std::to_string(w.t->giving->found.objects);
    role_check(role_ask_as_node(w, line), line, 204, "");
}

static void usually_there_are_none(void **state)
{
    role_world &w = role_of(state);
    role_check(role_ask(w, moving_object("PUT", own()), "content"), "PUT", 200, "");
    test_true(await_count(w, 0));
    test_true(health(w).find("\"found\"") == std::string::npos);
    role_check(role_ask_as_node(w, found), found, 200, R"({"objects":[],"more":false,"found":0,"bytes":"0","taking":false,"why":""})");
    role_check(role_ask(w, found), "a client", 401, "");
    role_check(role_ask(w, take), "a client", 401, "");
    role_expect(w, "GET /metrics", {}, 200, "\netlnode_found_objects 0\n");
}

static void what_is_found_is_reported_and_not_served(void **state)
{
    role_world &w = role_of(state);
    std::string first = std::min(strange(), strange(1)), second = std::max(strange(), strange(1));
    put_back(w, {first, second, own(1)});
    test_true(await_count(w, 2));
    test_true(
        until(w, [&] { return health(w).find(R"("found":{"objects":2,"bytes":"14","taking":false,"why":""})") != std::string::npos; }));
    role_expect(w, "GET /metrics", {}, 200, "\netlnode_found_objects 2\n");
    const scripted_call &all = role_ask_as_node(w, found);
    role_check(all, found, 200, R"("more":false)");
    test_true(all.answer.body.find(first) < all.answer.body.find(second));
    test_true(all.answer.body.find("\"" + own(1) + "\"") == std::string::npos);
    const scripted_call &one = role_ask_as_node(w, std::string(found) + "?count=1");
    role_check(one, "a page", 200, R"("more":true)");
    test_true(one.answer.body.find(second) == std::string::npos);
    const scripted_call &rest = role_ask_as_node(w, std::string(found) + "?after_bucket=b&after_name=" + first);
    role_check(rest, "the rest", 200, second);
    test_true(rest.answer.body.find("\"" + first + "\"") == std::string::npos);
    role_check(role_ask_as_node(w, std::string(found) + "?count=0"), "count", 400, "count: expected a number up to");
    role_check(role_ask(w, moving_object("GET", first)), "a client", 301, "");
    scripted_pass(*w.sim, 120'000);
    test_eq(count(w, move), 0); // nobody has asked for it
}

static void it_is_given_when_a_person_says_so(void **state)
{
    role_world &w = role_of(state);
    put_back(w, {strange(), strange(1), own(1)});
    test_true(await_count(w, 2));
    role_script(peer_of(w, "target-02"), {.match = move, .body = R"({"outcomes":["stored","have"],"serves_clients":false})"});
    take_all(w);
    test_true(await_count(w, 0));
    test_eq(count(w, move), 1);
    test_false(w.node->now.rows.contains({"b", strange()}) || w.node->now.rows.contains({"b", strange(1)}));
    test_true(w.node->now.rows.contains({"b", own(1)}));
    test_true(health(w).find("\"found\"") == std::string::npos);
}

static void what_its_owner_does_not_take_stays(void **state)
{
    role_world &w = role_of(state);
    put_back(w, {strange()});
    test_true(await_count(w, 1));
    role_script(peer_of(w, "target-02"), {.match = move, .body = R"({"outcomes":["no_space"],"serves_clients":false})"});
    take_all(w);
    test_true(until(w, [&] { return count(w, move) == 1; }));
    test_true(await_count(w, 1));
    test_has_text(health(w), R"("why":"target target-02 is full")");
    scripted_pass(*w.sim, 60'000);
    test_eq(count(w, move), 1); // once for each word
    test_true(w.node->now.rows.contains({"b", strange()}));
}

static void while_objects_move_there_is_nothing_to_find(void **state)
{
    role_world &w = role_of(state);
    put_back(w, {strange()});
    test_true(await_count(w, 1));
    role_script(peer_of(w, "target-02"), {.match = move, .is_held = true});
    moving_join(w, {"target-03"});
    test_false(found_is_known(*w.t));
    role_check(role_ask_as_node(w, take), take, 409, "objects move between targets now");
    role_check(role_ask_as_node(w, found), found, 409, "objects move between targets now");
    role_expect(w, "GET /metrics", {}, 200, "etlnode_store_objects");
    test_true(role_ask(w, "GET /metrics").answer.body.find("etlnode_found_objects") == std::string::npos);
}

// The rebalance gives it like everything else; its proof is the count.
static void a_rebalance_takes_it_along(void **state)
{
    role_world &w = role_of(state);
    put_back(w, {strange()});
    test_true(await_count(w, 1));
    role_script(peer_of(w, "target-02"), {.match = move, .body = R"({"outcomes":["stored"],"serves_clients":false})"});
    role_script(peer_of(w, "target-03"), {.match = move, .body = R"({"outcomes":["stored"],"serves_clients":false})"});
    moving_join(w, {"target-03"});
    test_true(until(w, [&] { return w.t->placement.clean == document_epoch(w.document); }));
    moving_settle(w);
    test_true(await_count(w, 0));
}

static void an_index_that_cannot_be_read_is_read_again(void **state)
{
    role_world &w = role_of(state);
    put_back(w, {strange()});
    role_fail_disk(w, memory_op::index_page, error_code::io, "", 1);
    scripted_pass(*w.sim, 10'000);
    test_false(found_is_known(*w.t));
    scripted_pass(*w.sim, 120'000);
    test_true(await_count(w, 1));
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(usually_there_are_none, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(what_is_found_is_reported_and_not_served, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(it_is_given_when_a_person_says_so, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(what_its_owner_does_not_take_stays, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(while_objects_move_there_is_nothing_to_find, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_rebalance_takes_it_along, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(an_index_that_cannot_be_read_is_read_again, set_up, role_tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
