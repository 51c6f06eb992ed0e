// SPDX-License-Identifier: MIT
// Epochs of placement at the proxy: targets join, are drained, lost, replaced, and come back; lists while objects move.
#include "role_world.h"

#include "aistore/list_page.h"
#include "base/limits.h"
#include "codec/error_envelope.h"

using namespace etlnode;

static constexpr const char *path = "POST /v1/node/register";

static int set_up(void **state)
{
    role_world *w = role_world_make(false);
    *state = w;
    role_start(*w);
    return 0;
}

static uint64_t epoch(role_world &w) { return proxy_document(*w.p).placement.epoch; }
static bool is_moving(role_world &w) { return placement_is_moving(proxy_document(*w.p).placement); }

// What a target reports: that it has adopted the epoch of the document that it holds, or settled in it.
static std::string report(role_world &w, const scripted_node &node, bool has_settled, uint64_t objects = 0, bool etls_serve = true)
{
    role_take_push(w, node);
    cluster_document held;
    if (!w.held[node.id].empty())
        test_ok(document_parse(w.held[node.id], held));
    placement_report placement = {
        .adopted = held.placement.epoch, .settled = has_settled ? held.placement.epoch : 0, .etls_serve = etls_serve};
    return "\"disk\":\"" + role_disk(node.id) + "\",\"object_count\":" + std::to_string(objects) +
           ",\"placement\":" + json_print(placement_report_print(placement).get()) + ",";
}

static void beat(role_world &w, scripted_node &node, bool has_settled = false, uint64_t objects = 0)
{
    const scripted_call &call = role_register(w, node, report(w, node, has_settled, objects));
    if (call.status() != 200 && call.status() != 204)
        test_fail("%s: %d %s", node.id.c_str(), call.status(), role_text(call).c_str());
}

static scripted_node &add(role_world &w, const std::string &id)
{
    scripted_node &node = role_make_peer(w, id, text_format("10.0.0.%zu", w.peers.size() + 11));
    node.rows.push_back({.match = "PUT /v1/node/document", .status = 204});
    node.rows.push_back({.match = "DELETE /v1/node/bucket/", .status = 204});
    beat(w, node);
    return node;
}

static std::string nodes(role_world &w) { return role_ask(w, "GET /v1/cluster?what=nodes").answer.body; }

static void change(
    role_world &w, const std::string &action, const std::string &id, int status, std::string_view says, const char *more = "")
{
    role_expect(w, "PUT /v1/cluster", "{\"action\":\"" + action + "\",\"value\":{\"sid\":\"" + id + "\"" + more + "}}", status, says);
}

static const cluster_node &node_at(role_world &w, std::string_view id)
{
    const cluster_node *node = document_find_node(proxy_document(*w.p), id);
    test_true(node != nullptr);
    return *node;
}

static placement_state state_of(role_world &w, std::string_view id)
{
    return document_placement_state(proxy_document(*w.p), node_at(w, id));
}

static void settle(role_world &w, std::initializer_list<scripted_node *> all)
{
    uint64_t before = epoch(w);
    for (scripted_node *node : all) {
        test_true(scripted_until(*w.sim, [&] { return role_take_push(w, *node), w.held[node->id] == w.p->documents.text; }));
        test_eq(epoch(w), before);
        beat(w, *node, true);
    }
    test_true(scripted_until(*w.sim, [&] { return epoch(w) == before + 1; }));
    test_eq(proxy_document(*w.p).placement.settled, before);
    test_false(is_moving(w));
}

// Two targets that hold a bucket; nothing moves.
static void begin_two(role_world &w)
{
    add(w, "target-01");
    add(w, "target-02");
    role_make_bucket(w, "b");
    test_false(is_moving(w));
}

static void targets_join_an_empty_cluster_at_once(void **state)
{
    role_world &w = role_of(state);
    test_eq(epoch(w), 1);
    add(w, "target-01");
    test_eq(epoch(w), 2);
    test_eq(node_at(w, "target-01").flags, 0);
    test_eq_text(node_at(w, "target-01").disk, "target0100000000");
    add(w, "target-02");
    test_eq(epoch(w), 3);
    test_false(is_moving(w));
    role_make_bucket(w, "b");
    test_eq(document_find_bucket(proxy_document(*w.p), "b")->created_epoch, 3);
}

static void a_target_joins_when_its_etls_serve(void **state)
{
    role_world &w = role_of(state);
    begin_two(w);
    scripted_node &third = add(w, "target-03");
    test_eq(node_at(w, "target-03").flags, node_flag_maintenance);
    test_has_text(nodes(w), "\"state\":\"new\"");
    test_has_text(nodes(w), "it cannot join yet: it has not taken the cluster document yet");
    role_check(role_register(w, third, report(w, third, false, 0, false)), path, 204, "");
    scripted_pass(*w.sim, 2 * join_pause_ms);
    test_has_text(nodes(w), "it cannot join yet: its ETLs do not serve yet");
    test_eq(epoch(w), 3);
    beat(w, third);
    test_true(scripted_until(
        *w.sim, [&] { return epoch(w) == 4; }, 2 * join_pause_ms));
    test_true(is_moving(w));
    test_eq_enum(state_of(w, "target-03"), placement_state::joining);
    test_has_text(nodes(w), "\"state\":\"joining\"");
    test_has_text(nodes(w), "\"moving\":true");
    beat(w, third, true);
    beat(w, *w.peers["target-01"], false);
    settle(w, {w.peers["target-02"], w.peers["target-01"]});
    test_eq_enum(state_of(w, "target-03"), placement_state::active);
}

static void targets_that_start_together_join_together(void **state)
{
    role_world &w = role_of(state);
    begin_two(w);
    scripted_node &third = add(w, "target-03");
    scripted_node &fourth = add(w, "target-04");
    beat(w, third);
    scripted_pass(*w.sim, 2 * join_pause_ms);
    test_eq(epoch(w), 3); // it waits for the fourth, which is about to be ready
    beat(w, fourth);
    test_true(scripted_until(
        *w.sim, [&] { return epoch(w) == 4; }, 2 * join_pause_ms));
    test_true(cluster_node_is_placed(node_at(w, "target-03")));
    test_true(cluster_node_is_placed(node_at(w, "target-04")));
}

static void objects_of_an_earlier_time_do_not_join(void **state)
{
    role_world &w = role_of(state);
    begin_two(w);
    scripted_node &third = role_make_peer(w, "target-03", "10.0.0.23");
    w.held["target-03"] = w.held["target-01"];
    role_check(role_register(w, third, report(w, third, false, 7)), path, 409,
        "target target-03 has objects of this cluster from an earlier time (7), which may have been overwritten or deleted since: start it "
        "with an empty data directory");
    test_eq(epoch(w), 3);
}

static void a_target_is_drained_and_activated(void **state)
{
    role_world &w = role_of(state);
    begin_two(w);
    scripted_node &first = *w.peers["target-01"], &second = *w.peers["target-02"];
    change(w, "start-maintenance", "target-02", 200, "g4");
    test_eq(node_at(w, "target-02").flags, node_flag_maintenance);
    test_has_text(nodes(w), "\"state\":\"draining\"");
    test_has_text(nodes(w), "its objects are moving to other targets");
    change(w, "start-maintenance", "target-01", 409, "target target-01 is the last one that holds objects");
    settle(w, {&first, &second});
    test_has_text(nodes(w), "it is empty and gets no objects; to let it take some: etlctl target activate target-02");
    beat(w, second);
    scripted_pass(*w.sim, 2 * join_wait_max_ms);
    test_eq(epoch(w), 5); // it does not join by itself
    change(w, "stop-maintenance", "target-02", 409, "cannot be activated: it is not heard");
    beat(w, first);
    beat(w, second);
    change(w, "stop-maintenance", "target-02", 200, "g6");
    test_eq(node_at(w, "target-02").flags, 0);
    change(w, "stop-maintenance", "target-09", 404, "there is no target \"target-09\"");
}

static void shows_job(role_world &w, const char *id, std::string_view says)
{
    role_expect(w, "GET /v1/jobs/" + std::string(id), "", 200, says);
}

static void a_rebalance_is_a_job(void **state)
{
    role_world &w = role_of(state);
    begin_two(w);
    scripted_node &first = *w.peers["target-01"], &second = *w.peers["target-02"];
    for (scripted_node *node : {&first, &second})
        node->rows.push_back({.match = "GET /v1/node/jobs", .body = "[]"});
    scripted_node &third = add(w, "target-03");
    third.rows.push_back({.match = "GET /v1/node/jobs", .body = "[]"});
    beat(w, third);
    test_true(scripted_until(*w.sim, [&] { return epoch(w) == 4; }));
    shows_job(w, "g4", R"("kind":"rebalance","state":"running")");
    role_expect(w, "PUT /v1/cluster", R"({"action":"stop","value":{"ID":"g4"}})", 200, "");
    shows_job(w, "g4", R"("state":"paused")");
    role_expect(w, "PUT /v1/cluster", R"({"action":"start","value":{"Kind":"rebalance"}})", 200, "g4");
    shows_job(w, "g4", R"("state":"running")");
    change(w, "start-maintenance", "target-02", 200, "g5");
    shows_job(w, "g4", R"("state":"cancelled")");
    shows_job(w, "g4", R"("error":"g5 goes on with it)");
    settle(w, {&first, &second, &third});
    shows_job(w, "g5", R"("state":"done")");
    test_eq(proxy_document(*w.p).jobs.size(), 2);
}

static void a_drained_target_starts_its_etls_before_it_is_back(void **state)
{
    role_world &w = role_of(state);
    begin_two(w);
    scripted_node &first = *w.peers["target-01"], &second = *w.peers["target-02"];
    change(w, "start-maintenance", "target-02", 200, "g4");
    settle(w, {&first, &second});
    role_check(role_register(w, second, report(w, second, false, 0, false)), path, 200, "");
    role_check(role_register(w, second, report(w, second, false, 0, false)), path, 204, "");
    change(w, "stop-maintenance", "target-02", 200, "");
    test_eq_enum(state_of(w, "target-02"), placement_state::fresh);
    test_eq(epoch(w), 5);
    beat(w, second);
    test_true(scripted_until(*w.sim, [&] { return epoch(w) == 6; }));
    test_eq(node_at(w, "target-02").flags, 0);
    change(w, "start-maintenance", "target-02", 200, "g7");
    settle(w, {&first, &second});
    role_check(role_register(w, second, report(w, second, false, 3)), path, 200, "");
    role_check(role_register(w, second, report(w, second, false, 3)), path, 204, "");
    change(w, "stop-maintenance", "target-02", 409, "cannot be activated: it holds 3 objects from an earlier time");
}

static void new_targets_wait_if_the_operator_wants_so(void **state)
{
    role_world &w = role_of(state);
    w.p->options.auto_activate = false;
    begin_two(w); // without buckets there is nothing to wait for
    scripted_node &third = add(w, "target-03");
    beat(w, third);
    scripted_pass(*w.sim, 2 * join_wait_max_ms);
    test_eq(epoch(w), 3);
    test_has_text(nodes(w), "to let it take some: etlctl target activate target-03");
    beat(w, third);
    change(w, "stop-maintenance", "target-03", 200, "g4");
    test_eq_enum(state_of(w, "target-03"), placement_state::joining);
}

static void a_target_leaves_for_good(void **state)
{
    role_world &w = role_of(state);
    begin_two(w);
    scripted_node &first = *w.peers["target-01"], &second = *w.peers["target-02"];
    change(w, "decommission-node", "target-02", 200, "g4");
    test_eq(node_at(w, "target-02").flags, node_flag_maintenance | node_flag_decommission);
    settle(w, {&first, &second});
    test_has_text(nodes(w), "it is empty and can be stopped");
    role_wait_silent(w, second);
    beat(w, first);
    test_true(scripted_until(*w.sim, [&] { return document_find_node(proxy_document(*w.p), "target-02") == nullptr; }));
    test_eq(epoch(w), 5);
}

static void a_lost_target_returns(void **state)
{
    role_world &w = role_of(state);
    begin_two(w);
    scripted_node &first = *w.peers["target-01"], &second = *w.peers["target-02"];
    beat(w, second, false, 5);
    role_wait_silent(w, second);
    beat(w, first);
    change(w, "start-maintenance", "target-02", 409, "target target-02 is silent, so what it holds cannot be moved");
    change(w, "decommission-node", "target-02", 409,
        "it can be taken out with its objects when it has been silent for 1m10s, now it is 10s", ",\"objects\":5");
    scripted_pass(*w.sim, target_lost_ms);
    beat(w, first);
    change(w, "decommission-node", "target-02", 409, "target target-02 holds 5 objects, not 4", ",\"objects\":4");
    change(w, "decommission-node", "target-02", 200, "", ",\"objects\":5");
    test_eq(proxy_document(*w.p).losses, 1);
    test_has_text(nodes(w), R"("lost":[{"id":"target-02","disk":"target0200000000"}])");
    settle(w, {&first});
    test_eq(proxy_document(*w.p).placement.former.size(), 1);

    scripted_listen(second);
    beat(w, second, false, 5);
    test_true(is_moving(w));
    test_eq_enum(state_of(w, "target-02"), placement_state::joining);
    test_has_text(nodes(w), "\"lost\":[]");
    settle(w, {&first, &second});
    test_true(proxy_document(*w.p).placement.former.empty());
}

static void what_targets_held_outlives_the_process(void **state)
{
    role_world &w = role_of(state);
    begin_two(w);
    scripted_node &first = *w.peers["target-01"], &second = *w.peers["target-02"];
    beat(w, second, false, 5);
    scripted_pass(*w.sim, last_counts_pause_ms);
    beat(w, second, false, 6); // a restart forgets what is not a minute old
    role_wait_silent(w, second);
    role_stop(w);
    role_start(w);
    beat(w, first, false, 2);
    test_true(scripted_until(*w.sim, [&] { return nodes(w).find("\"objects\":5") != std::string::npos; }));
    test_has_text(nodes(w), "\"state\":\"silent\"");
    test_has_text(nodes(w), "\"silent_seconds\":");
    test_has_text(nodes(w), "\"objects\":2");
    change(w, "decommission-node", "target-02", 409, "target target-02 holds 5 objects, not 4", ",\"objects\":4");
    change(w, "decommission-node", "target-02", 409, "may still take writes", ",\"objects\":5");
}

static void what_was_stored_of_counts_may_be_damaged(void **state)
{
    role_world &w = role_of(state);
    role_stop(w);
    w.image.documents["counts"] = {3, "not JSON"};
    role_start(w);
    test_ok(w.start_err);
    begin_two(w);
    scripted_pass(*w.sim, last_counts_pause_ms);
    test_has_text(nodes(w), "\"objects\":0");
}

// The word stays with the rebalance that goes on, and ends with the drain.
static void a_drain_may_leave_what_is_damaged(void **state)
{
    role_world &w = role_of(state);
    begin_two(w);
    beat(w, add(w, "target-03"));
    test_true(scripted_until(*w.sim, [&] { return epoch(w) == 4; }));
    settle(w, {w.peers["target-01"], w.peers["target-02"], w.peers["target-03"]});
    auto options = [&] { return document_find_job(proxy_document(*w.p), rebalance_job_id(epoch(w)))->options; };
    change(w, "start-maintenance", "target-02", 200, "g6");
    test_eq_text(options(), "{}");
    change(w, "start-maintenance", "target-02", 200, "g6", ",\"leave_damaged\":true");
    test_eq_text(options(), R"({"leave_damaged":["target-02"]})");
    change(w, "decommission-node", "target-03", 200, "g7", ",\"leave_damaged\":true");
    test_eq_text(options(), R"({"leave_damaged":["target-02","target-03"]})");
    change(w, "stop-maintenance", "target-02", 200, "g8");
    test_eq_text(options(), R"({"leave_damaged":["target-03"]})");
}

static void a_lost_disk_is_replaced_or_given_up(void **state)
{
    role_world &w = role_of(state);
    begin_two(w);
    scripted_node &first = *w.peers["target-01"], &second = *w.peers["target-02"];
    std::string former = R"("disk":")" + node_at(w, "target-02").disk + R"(",)";
    change(w, "replace-disk", "target-02", 409, "no target with another data directory has registered as target-02");
    role_wait_silent(w, second);
    scripted_listen(second);
    w.held["target-02"].clear();
    const char *empty = R"("disk":"zzzzzzzzzzzzzzzz","object_count":0,)";
    role_check(
        role_register(w, second, empty), path, 409, "If it is lost, give it up with what only it held: etlctl target replace target-02");
    test_has_text(nodes(w), "it came back with another data directory, and is refused");
    role_check(role_register(w, second, former), path, 204, "");
    test_true(nodes(w).find("is refused") == std::string::npos);
    // It does not take ten seconds until people see it.
    role_check(role_register(w, second, empty), path, 409, "give it up");
    test_has_text(nodes(w), R"("state":"silent")");
    test_has_text(nodes(w), "it came back with another data directory, and is refused");
    change(w, "replace-disk", "target-02", 409, "may still take writes");
    scripted_pass(*w.sim, target_lost_ms);
    beat(w, first);
    role_check(role_register(w, second, empty), path, 409, "give it up");
    change(w, "replace-disk", "target-02", 200, "g4");
    test_eq_text(node_at(w, "target-02").disk, "zzzzzzzzzzzzzzzz");
    test_eq_enum(state_of(w, "target-02"), placement_state::joining);
    // The former one turns up: it must not take the place of the new one.
    role_check(role_register(w, second, former), path, 409, "let the other one leave first: etlctl target drain target-02");
    change(w, "forget-disk", "target-02", 409, "objects still move");
    change(w, "forget-disk", "target-01", 404, "no lost target is called \"target-01\"");
    role_check(role_register(w, second, empty), path, 200, "");
    role_check(
        role_register(w, second, std::string(empty) + R"("placement":{"adopted":"4","settled":"4","etls_serve":true},)"), path, 204, "");
    beat(w, first, true);
    test_true(scripted_until(*w.sim, [&] { return epoch(w) == 5; }));
    change(w, "forget-disk", "target-02", 200, "");
    test_true(proxy_document(*w.p).placement.former.empty());
}

static void a_directory_that_was_set_back_is_refused(void **state)
{
    role_world &w = role_of(state);
    begin_two(w);
    scripted_node &first = *w.peers["target-01"], &second = *w.peers["target-02"];
    std::string old = w.held["target-02"];
    scripted_node &third = add(w, "target-03");
    beat(w, third);
    test_true(scripted_until(*w.sim, [&] { return epoch(w) == 4; }));
    settle(w, {&first, &second, &third});
    second.asked.clear();
    w.seen["target-02"] = 0;
    w.held["target-02"] = old;
    const scripted_call &call = role_register(w, second, report(w, second, false));
    role_check(call, path, 409, "target target-02 has an older state of its data directory");
    test_eq_enum(error_envelope_read(409, call.answer.body).code, error_code::other_epoch); // then the target serves nothing
}

// Within one epoch: its index has had more changes than it knows of.
static void an_older_copy_of_a_directory_is_refused(void **state)
{
    role_world &w = role_of(state);
    begin_two(w);
    scripted_node &first = *w.peers["target-01"], &second = *w.peers["target-02"];
    auto with = [&](const char *changes) { return text_format("\"change_count\":%s,", changes) + report(w, second, false); };
    role_check(role_register(w, second, with("\"12\"")), path, 204, "");
    const scripted_call &call = role_register(w, second, with("\"11\""));
    role_check(call, path, 409, "target target-02 has an older state of its data directory (target0200000000): it was restored or copied");
    test_eq_enum(error_envelope_read(409, call.answer.body).code, error_code::other_epoch);
    role_check(role_register(w, second, with("\"soon\"")), path, 400, "change_count: expected a whole number");
    role_check(role_register(w, second, with("\"12\"")), path, 204, "");
    role_check(role_register(w, second, report(w, second, false)), path, 204, ""); // a former version of the program reports none

    // What former processes of the proxy heard counts as well.
    role_check(role_register(w, second, with("\"20\"")), path, 204, "");
    scripted_pass(*w.sim, last_counts_pause_ms);
    role_stop(w);
    role_start(w);
    beat(w, first);
    role_check(role_register(w, second, with("\"19\"")), path, 409, "has an older state of its data directory");
    role_wait_silent(w, second);
    test_has_text(nodes(w), "target target-02 has an older state of its data directory");
    scripted_listen(second);
    role_check(role_register(w, second, with("\"21\"")), path, 204, "");
    test_true(nodes(w).find("older state") == std::string::npos);
}

// It may have lost what it had deleted.
static void an_older_copy_of_a_lost_directory_does_not_return(void **state)
{
    role_world &w = role_of(state);
    begin_two(w);
    scripted_node &first = *w.peers["target-01"], &second = *w.peers["target-02"];
    auto with = [&](const char *changes) { return text_format("\"change_count\":%s,", changes) + report(w, second, false, 5); };
    role_check(role_register(w, second, with("\"7\"")), path, 204, "");
    role_wait_silent(w, second);
    scripted_pass(*w.sim, target_lost_ms);
    beat(w, first);
    change(w, "decommission-node", "target-02", 200, "", ",\"objects\":5");
    settle(w, {&first});
    scripted_pass(*w.sim, last_counts_pause_ms);
    role_stop(w);
    role_start(w);
    beat(w, first);
    scripted_listen(second);
    role_check(role_register(w, second, with("\"6\"")), path, 409, "has an older state of its data directory");
    test_false(is_moving(w));
    role_check(role_register(w, second, with("\"7\"")), path, 200, "");
    test_true(is_moving(w));
}

// The proxy begins with epochs; as long as a target runs the former program, the placed targets stay as they are.
static void a_cluster_is_upgraded_node_by_node(void **state)
{
    role_world &w = role_of(state);
    begin_two(w);
    scripted_node &first = *w.peers["target-01"], &second = *w.peers["target-02"];
    cluster_document former = proxy_document(*w.p);
    role_stop(w);
    former.placement = {};
    for (cluster_node &node : former.nodes)
        node.disk.clear();
    std::string text = document_print(former);
    w.image.documents["cluster"] = {former.version, text};
    w.held["target-01"] = w.held["target-02"] = text;
    role_start(w);
    test_true(scripted_until(*w.sim, [&] { return epoch(w) == 1; }));
    auto as_former = [&](scripted_node &node) {
        role_take_push(w, node);
        std::string registration = role_registration(w, node, "\"object_count\":3,");
        size_t at = registration.find("\"disk\"");
        registration.erase(at, registration.find(',', at) + 1 - at);
        const scripted_call &call = role_ask_as_node(w, path, registration);
        test_true(call.status() == 204 || call.status() == 200);
    };
    as_former(first);
    as_former(second);
    change(w, "start-maintenance", "target-02", 409, "target target-01 has not told the id of its data directory yet");
    scripted_node &third = add(w, "target-03");
    beat(w, third);
    scripted_pass(*w.sim, 2 * join_wait_max_ms);
    test_eq(epoch(w), 1);
    test_has_text(nodes(w), "\"state\":\"new\"");
    beat(w, first, false, 3);
    as_former(second);
    beat(w, third);
    scripted_pass(*w.sim, 2 * join_pause_ms);
    test_eq(epoch(w), 1);
    beat(w, second, false, 3);
    beat(w, third);
    test_true(scripted_until(*w.sim, [&] { return epoch(w) == 2; }));
    test_eq_enum(state_of(w, "target-03"), placement_state::joining);
}

static void what_is_damaged_is_refused(void **state)
{
    role_world &w = role_of(state);
    begin_two(w);
    scripted_node &first = *w.peers["target-01"];
    role_check(role_register(w, first, R"("disk":"target0100000000","object_count":0,"placement":{"adopted":"x"},)"), path, 400,
        "placement: expected");
    change(w, "shutdown-node", "target-01", 501,
        "there are: start-maintenance, stop-maintenance, decommission-node, replace-disk, forget-disk, start, stop");
}

// --- lists

static list_entry entry_of(const char *name, const char *version, uint16_t flags = list_flag_cached)
{
    list_entry entry;
    entry.name = name;
    entry.version = version;
    entry.size = 3;
    entry.flags = flags;
    return entry;
}

static std::string page_of(std::initializer_list<list_entry> entries, const char *token = "")
{
    list_page page;
    page.entries = entries;
    page.token = token;
    return list_page_msgpack(page);
}

static void a_list_while_objects_move_asks_twice(void **state)
{
    role_world &w = role_of(state);
    begin_two(w);
    scripted_node &first = *w.peers["target-01"], &second = *w.peers["target-02"];
    change(w, "start-maintenance", "target-02", 200, "g4");
    const char *query = "GET /v1/node/bucket/b?count=10000&prefix=&after=&versions=true&epoch=4";
    // "moved" was missed at both by the first round. "dead" was deleted at the owner, and the giver still has it.
    role_script(second, {.match = query, .body = page_of({entry_of("dead", "4"), entry_of("old", "1"), entry_of("stays", "2")})});
    role_script(first,
        {.match = query, .body = page_of({entry_of("dead", "5", list_flag_tombstone), entry_of("moved", "1"), entry_of("old", "2")})});
    role_script(first, {.match = query, .body = page_of({entry_of("dead", "5", list_flag_tombstone)}), .times = 1});
    const scripted_call &call = role_ask(w, "GET /v1/buckets/b", R"({"action":"list","value":{"props":"name,version"}})");
    test_eq(call.status(), 200);
    json_ptr tree;
    std::string where, names;
    test_ok(json_parse(call.answer.body, tree, where));
    const cJSON *one = nullptr;
    cJSON_ArrayForEach(one, json_get(tree.get(), "entries"))
        names += std::string(json_text(one, "name")) + "@" + std::string(json_text(one, "version")) + " ";
    test_eq_text(names, "moved@1 old@2 stays@2 ");
    test_eq(scripted_count(first, "GET /v1/node/bucket/b"), 2);
    test_eq(scripted_count(second, "GET /v1/node/bucket/b"), 2);
}

static void a_list_begins_again_in_another_epoch(void **state)
{
    role_world &w = role_of(state);
    begin_two(w);
    scripted_node &first = *w.peers["target-01"], &second = *w.peers["target-02"];
    role_script(second, {.match = "GET /v1/node/bucket/b", .body = page_of({entry_of("x", "1")})});
    role_script(first, {.match = "GET /v1/node/bucket/b", .body = page_of({})});
    role_script(first,
        {.match = "GET /v1/node/bucket/b", .status = 409, .body = R"({"status":409,"code":"other_epoch","message":"m"})", .times = 1});
    const scripted_call &call = role_ask(w, "GET /v1/buckets/b", R"({"action":"list"})");
    role_check(call, "list", 200, "\"name\":\"x\"");
    role_script(first, {.match = "GET /v1/node/bucket/b", .status = 409, .body = R"({"status":409,"code":"other_epoch","message":"m"})"});
    role_expect(w, "GET /v1/buckets/b", R"({"action":"list"})", 503, "the placement of objects changed too often while the list was made");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(targets_join_an_empty_cluster_at_once, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_target_joins_when_its_etls_serve, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(targets_that_start_together_join_together, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(objects_of_an_earlier_time_do_not_join, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_target_is_drained_and_activated, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_rebalance_is_a_job, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_drained_target_starts_its_etls_before_it_is_back, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(new_targets_wait_if_the_operator_wants_so, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_target_leaves_for_good, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_lost_target_returns, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(what_targets_held_outlives_the_process, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(what_was_stored_of_counts_may_be_damaged, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_drain_may_leave_what_is_damaged, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_lost_disk_is_replaced_or_given_up, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_directory_that_was_set_back_is_refused, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(an_older_copy_of_a_directory_is_refused, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(an_older_copy_of_a_lost_directory_does_not_return, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_cluster_is_upgraded_node_by_node, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(what_is_damaged_is_refused, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_list_while_objects_move_asks_twice, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_list_begins_again_in_another_epoch, set_up, role_tear_down),
    };
    return role_main(tests);
}
