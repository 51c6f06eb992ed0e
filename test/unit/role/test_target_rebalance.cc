// SPDX-License-Identifier: MIT
// The pass of a target that gives what belongs to others: batches, large objects, removals, the proof, its end, pauses, tombstones.
#include "giving_world.h"

using namespace etlnode;

// --- what is given

static void small_objects_go_in_one_batch(void **state)
{
    role_world &w = role_of(state);
    put_here(w, going());
    put_here(w, going(), "again");
    put_here(w, going(1), "");
    put_here(w, staying());
    put_here(w, "gone");
    role_check(role_ask(w, moving_object("DELETE", "gone")), "DELETE", 200, "");
    answer_moves(w, "target-02", "stored");
    moving_join(w, {"target-02"});
    test_true(await_end(w));
    test_eq(count(w, "target-02", move), 1);
    const sim_message &asked = scripted_last(peer_of(w, "target-02"), move);
    test_eq_text(asked.second, "/v1/node/move?epoch=2&disk=" + w.t->disk);
    std::vector<moved_item> items = items_of(asked);
    test_eq(items.size(), 2);
    const moved_item &full = items[items[0].row.name == going() ? 0 : 1];
    test_eq_text(full.row.name, going());
    test_eq(full.row.version, 2);
    test_eq(full.row.tag, 1);
    test_eq(full.created_ns, 5);
    test_eq(full.row.checksum, moving_checksum("again"));
    test_eq_text(full.row.content, "again");
    test_false(is_here(w, going()) || is_here(w, going(1)));
    test_true(is_here(w, staying()));
    // The end comes after a pass that found nothing, and says what was removed for good: not what was moved.
    test_eq(w.t->giving->row.pass, 2);
    test_eq_text(scripted_last(peer_of(w, "target-02"), move_end).second, "/v1/node/move-end?epoch=2&disk=" + w.t->disk);
    test_eq_text(
        scripted_last(peer_of(w, "target-02"), move_end).body, R"({"buckets":[{"bucket":"Yg==","created_ns":"5","removed_max":"1"}]})");
    test_true(until(w, [&] { return target_has_settled(*w.t); }));
    test_has_text(shares(w), R"("state":"running","pass":2,"done":"2","skipped":"0","failed":"0","bytes":"5")");
    // It is said again, for a target that restarted meanwhile, until the epoch settles.
    size_t ends = count(w, "target-02", move_end);
    scripted_pass(*w.sim, 3 * heartbeat_interval_ms);
    test_true(count(w, "target-02", move_end) >= ends + 2);
    moving_settle(w);
    ends = count(w, "target-02", move_end);
    scripted_pass(*w.sim, 3 * heartbeat_interval_ms);
    test_eq(count(w, "target-02", move_end), ends);
}

static void tombstones_go_too(void **state)
{
    role_world &w = role_of(state);
    std::string name = moving_name(further, {"target-01", "target-01", "target-03"});
    answer_moves(w, "target-02", "stored");
    moving_join(w, {"target-02"});
    put_here(w, name);
    role_check(role_ask(w, moving_object("DELETE", name)), "DELETE", 200, "");
    test_eq(w.node->now.tombstones.size(), 1);
    answer_moves(w, "target-03", "have");
    moving_join(w, {"target-03"});
    test_true(await_end(w, "target-03"));
    std::vector<moved_item> items = items_of(scripted_last(peer_of(w, "target-03"), move));
    test_eq(items.size(), 1);
    test_true(items[0].row.is_tombstone);
    test_eq(items[0].row.version, 2);
    test_true(w.node->now.tombstones.empty());
    test_true(w.node->now.removed.empty());
}

static void a_large_object_goes_by_itself(void **state)
{
    role_world &w = role_of(state);
    std::string content(700'000, 'l');
    struct row {
        int status;
        const char *body;
    };
    const row rows[] = {
        {200, ""},
        {409, R"({"code":"conflict","message":"this copy or a newer one is here"})"},
        {409, R"({"code":"other_epoch","message":"epoch 1"})"},
        {507, R"({"code":"no_space","message":"full"})"},
        {500, R"({"code":"io","message":"broken"})"},
    };
    for (size_t i = 0; i < std::size(rows); i++)
        put_here(w, going(i), content);
    peer_of(w, "target-02").rows.push_back({.match = move});
    for (const row &one : rows)
        role_script(peer_of(w, "target-02"), {.match = move, .status = one.status, .body = one.body, .times = 1});
    moving_join(w, {"target-02"});
    test_true(until(w, [&] { return count(w, "target-02", move) >= std::size(rows); }));
    test_true(await_end(w));
    for (size_t i = 0; i < std::size(rows); i++)
        test_false(is_here(w, going(i)));
    test_has_text(shares(w), R"("done":"5","skipped":"0","failed":"0","bytes":"3500000")");
    const sim_message &asked = scripted_last(peer_of(w, "target-02"), move);
    test_eq_text(asked.second, "/v1/node/move?epoch=2&disk=" + w.t->disk);
    test_true(asked.body == content);
    json_ptr tree;
    std::string where;
    index_row moved;
    uint64_t created_ns = 0;
    test_ok(json_parse(sim_header(asked, "etlnode-row"), tree, where));
    test_ok(moved_row_parse(tree.get(), moved));
    test_true(json_read_u64(tree.get(), "created_ns", created_ns));
    test_eq(created_ns, 5);
    test_eq(moved.version, 1);
    test_eq(moved.tag, 1);
    test_eq(moved.size, content.size());
    test_eq(moved.checksum, moving_checksum(content));
}

// --- what stays

static void what_is_refused_stays_and_is_given_again(void **state)
{
    role_world &w = role_of(state);
    put_here(w, going());
    put_here(w, going(1));
    role_script(
        peer_of(w, "target-02"), {.match = move, .body = R"({"outcomes":["stored"],"serves_clients":false})", .times = 1}); // of two
    for (const char *outcome : {"busy", "bucket", "size"})
        answer_moves(w, "target-02", outcome, 1);
    moving_join(w, {"target-02"});
    test_true(until(w, [&] { return count(w, "target-02", move) == 3; }));
    test_true(is_here(w, going()) && is_here(w, going(1)));
    test_has_text(shares(w), "did not take ais://b/");
    test_eq(count(w, "target-02", move_end), 0);
    test_true(until(w, [&] { return count(w, "target-02", move) == 4; }));
    test_true(until(w, [&] { return is_here(w, going()) != is_here(w, going(1)); }));
    answer_moves(w, "target-02", "have");
    test_true(await_end(w));
    test_false(is_here(w, going()) || is_here(w, going(1)));
    test_eq_text(w.t->giving->waiting, "");
}

static void a_target_that_cannot_be_reached_is_tried_again(void **state)
{
    role_world &w = role_of(state);
    put_here(w, going());
    scripted_silence(peer_of(w, "target-02"));
    moving_join(w, {"target-02"});
    test_true(until(w, [&] { return shares(w).find("\"waiting\":\"target target-02: connection refused\"") != std::string::npos; }));
    test_true(is_here(w, going()));
    answer_moves(w, "target-02", "stored");
    scripted_listen(peer_of(w, "target-02"));
    test_true(await_end(w));
    test_false(is_here(w, going()));
}

static void a_full_target_rests_while_others_are_given_to(void **state)
{
    role_world &w = role_of(state);
    std::string to_full = moving_name(both, {"target-01", "target-02"}), to_other = moving_name(both, {"target-01", "target-03"});
    put_here(w, to_full);
    put_here(w, to_other);
    answer_moves(w, "target-02", "no_space");
    answer_moves(w, "target-03", "stored");
    moving_join(w, {"target-02", "target-03"});
    test_true(until(w, [&] { return !is_here(w, to_other); }));
    test_true(until(w, [&] { return count(w, "target-02", move) > 0; }));
    scripted_pass(*w.sim, 300);
    test_has_text(shares(w), R"("waiting":"target target-02 is full")");
    test_true(is_here(w, to_full));
    size_t tries = count(w, "target-02", move);
    scripted_pass(*w.sim, 5'000);
    test_true(count(w, "target-02", move) <= tries + 5); // once a pass, with rests between them
    test_true(count(w, "target-02", move) > tries);
    test_eq(count(w, "target-02", move_end) + count(w, "target-03", move_end), 0);
    answer_moves(w, "target-02", "stored");
    test_true(await_end(w, "target-02") && await_end(w, "target-03"));
    test_false(is_here(w, to_full));
}

// --- removals

static void count_change(void *arg, error err, const index_change &)
{
    test_ok(err);
    ++*static_cast<size_t *>(arg);
}

static void what_changed_meanwhile_is_not_removed(void **state)
{
    role_world &w = role_of(state);
    put_here(w, going());
    role_script(peer_of(w, "target-02"), {.match = move, .is_held = true, .times = 1});
    moving_join(w, {"target-02"});
    scripted_node &owner = peer_of(w, "target-02");
    test_true(until(w, [&] { return scripted_held(owner) == 1; }));
    index_change newer;
    newer.what = index_change::kind::put_moved;
    newer.row = moving_item(going(), 8, 1, "newer").row;
    newer.row.in_index = true;
    newer.origin_tag = 1;
    size_t changes = 0;
    store_change(*w.t->objects, std::move(newer), count_change, &changes);
    test_true(until(w, [&] { return changes == 1; }));
    scripted_answer_held(owner, 200, R"({"outcomes":["stored"]})");
    test_true(until(w, [&] { return count(w, "target-02", move) == 2; }));
    test_true(is_here(w, going()));
    test_eq(items_of(scripted_last(owner, move)).front().row.version, 8);
    answer_moves(w, "target-02", "stored");
    test_true(await_end(w));
    test_false(is_here(w, going()));
    test_has_text(shares(w), R"("done":"1","skipped":"0","failed":"0","bytes":"5")"); // given twice, and removed once
}

// The answer comes in the next epoch, in which the object belongs here again.
static void what_was_given_in_a_former_epoch_is_not_removed(void **state)
{
    role_world &w = role_of(state);
    put_here(w, going());
    put_here(w, going(1), std::string(700'000, 'l'));
    role_script(peer_of(w, "target-02"), {.match = move, .is_held = true, .times = 2});
    moving_join(w, {"target-02"});
    scripted_node &owner = peer_of(w, "target-02");
    test_true(until(w, [&] { return scripted_held(owner) == 2; }));
    test_ok(placement_drain(w.document, "target-02", node_want::maintenance).err);
    moving_push(w);
    scripted_answer_held(owner, 200, R"({"outcomes":["stored"]})");
    scripted_answer_held(owner, 200, R"({"outcomes":["stored"]})");
    test_true(until(w, [&] { return w.t->placement.clean == 3; }));
    test_true(is_here(w, going()) && is_here(w, going(1)));
    test_eq(count(w, "target-02", move), 2);
}

static void a_removal_that_fails_is_tried_again(void **state)
{
    role_world &w = role_of(state);
    put_here(w, going());
    role_script(peer_of(w, "target-02"), {.match = move, .is_held = true, .times = 1});
    moving_join(w, {"target-02"});
    test_true(until(w, [&] { return scripted_held(peer_of(w, "target-02")) == 1; }));
    role_fail_disk(w, memory_op::index_change, error_code::io, "", 1);
    answer_moves(w, "target-02", "have");
    scripted_answer_held(peer_of(w, "target-02"), 200, R"({"outcomes":["stored"]})");
    test_true(await_end(w));
    test_eq(count(w, "target-02", move), 2);
    test_false(is_here(w, going()));
    test_has_text(shares(w), R"("done":"1","skipped":"0","failed":"0","bytes":"7")");
}

// --- pause, restart, pace

static void set_paused(role_world &w, bool is_paused)
{
    w.document.jobs.back().is_cancelled = is_paused;
    moving_push(w);
}

static void it_can_be_paused(void **state)
{
    role_world &w = role_of(state);
    put_here(w, going());
    put_here(w, going(1));
    answer_moves(w, "target-02", "busy");
    moving_join(w, {"target-02"});
    test_true(until(w, [&] { return count(w, "target-02", move) > 0; }));
    set_paused(w, true);
    scripted_pass(*w.sim, 100);
    size_t tries = count(w, "target-02", move);
    answer_moves(w, "target-02", "stored");
    scripted_pass(*w.sim, 10'000);
    test_eq(count(w, "target-02", move), tries);
    test_true(is_here(w, going()) && is_here(w, going(1)));
    test_has_text(shares(w), R"("waiting":"paused")");
    test_eq(count(w, "target-02", move_end), 0);
    set_paused(w, false);
    test_true(await_end(w));
    test_false(is_here(w, going()) || is_here(w, going(1)));
}

// Its answer comes while the pass is paused: the owner has it, but this target removes it only when it goes on.
static void what_is_on_its_way_is_not_removed_in_a_pause(void **state)
{
    role_world &w = role_of(state);
    put_here(w, going());
    role_script(peer_of(w, "target-02"), {.match = move, .is_held = true, .times = 1});
    moving_join(w, {"target-02"});
    test_true(until(w, [&] { return scripted_held(peer_of(w, "target-02")) == 1; }));
    set_paused(w, true);
    scripted_answer_held(peer_of(w, "target-02"), 200, R"({"outcomes":["stored"]})");
    scripted_pass(*w.sim, 5'000);
    test_true(is_here(w, going()));
    answer_moves(w, "target-02", "have");
    set_paused(w, false);
    test_true(await_end(w));
    test_false(is_here(w, going()));
}

static void a_restart_begins_anew(void **state)
{
    role_world &w = role_of(state);
    put_here(w, going());
    put_here(w, going(1));
    role_script(peer_of(w, "target-02"), {.match = move, .body = R"({"outcomes":["stored"]})", .times = 1});
    moving_join(w, {"target-02"});
    test_true(until(w, [&] { return is_here(w, going()) != is_here(w, going(1)); }));
    role_stop(w);
    test_eq(count(w, "target-02", move_end), 0);
    answer_moves(w, "target-02", "stored");
    role_start(w);
    test_true(await_end(w));
    test_false(is_here(w, going()) || is_here(w, going(1)));
    test_true(until(w, [&] { return shares(w).find(R"("done":"2")") != std::string::npos; }));
    size_t ends = count(w, "target-02", move_end);
    role_stop(w);
    role_start(w); // nothing is left, but that has to be proved again
    test_false(target_has_settled(*w.t));
    test_true(until(w, [&] { return target_has_settled(*w.t); }));
    test_true(count(w, "target-02", move_end) > ends);
}

// Nothing that is on its way keeps it from ending, and nothing of it is lost.
static void a_shutdown_leaves_what_is_on_its_way(void **state)
{
    role_world &w = role_of(state);
    put_here(w, going());
    put_here(w, going(1), std::string(700'000, 'l'));
    role_script(peer_of(w, "target-02"), {.match = move, .is_held = true, .times = 2});
    moving_join(w, {"target-02"});
    test_true(until(w, [&] { return scripted_held(peer_of(w, "target-02")) == 2; }));
    role_stop(w);
    test_eq(peer_of(w, "target-02").hung_up, 2);
    answer_moves(w, "target-02", "have");
    role_start(w);
    test_true(is_here(w, going()) && is_here(w, going(1)));
    test_true(await_end(w));
    test_false(is_here(w, going()) || is_here(w, going(1)));
}

static uint64_t ms_until_end(role_world &w)
{
    answer_moves(w, "target-02", "stored");
    uint64_t began_us = w.sim->now_us;
    moving_join(w, {"target-02"});
    test_true(await_end(w));
    return (w.sim->now_us - began_us) / 1'000;
}

static void it_keeps_the_rate(void **state)
{
    role_world &w = role_of(state);
    w.t->options.rebalance_rate = 64 * 1024;
    for (size_t i = 0; i < 10; i++)
        put_here(w, going(i), std::string(16'000, 'x'));
    scripted_pass(*w.sim, 1'000); // no client is left
    uint64_t ms = ms_until_end(w);
    test_true(ms >= 160'000 * 1'000 / (64 * 1024));
    test_true(ms < 30'000);
}

// A pass begins with a small page. While an owner serves clients, the next one is as small, and waits for eight times as long as the last
// one took.
static void it_yields_to_the_clients_of_an_owner(void **state)
{
    role_world &w = role_of(state);
    scripted_node &owner = peer_of(w, "target-02");
    for (size_t i = 0; i < 80; i++)
        put_here(w, going(i));
    scripted_pass(*w.sim, 1'000); // no client is left here
    answer_moves(w, "target-02", "stored");
    role_script(owner, {.match = move, .is_held = true, .times = 2});
    moving_join(w, {"target-02"});
    test_true(until(w, [&] { return scripted_held(owner) == 1; }));
    test_eq(items_of(scripted_last(owner, move)).size(), 32);
    scripted_pass(*w.sim, 100);
    std::string outcomes = R"("stored")";
    for (size_t i = 1; i < 32; i++)
        outcomes += R"(,"stored")";
    scripted_answer_held(owner, 200, "{\"outcomes\":[" + outcomes + "],\"serves_clients\":true}");
    scripted_pass(*w.sim, 750);
    test_eq(count(w, "target-02", move), 1);
    test_true(until(w, [&] { return scripted_held(owner) == 1; }));
    test_eq(items_of(scripted_last(owner, move)).size(), 32);
    // Nobody is served any more.
    scripted_answer_held(owner, 200, "{\"outcomes\":[" + outcomes + "],\"serves_clients\":false}");
    test_true(await_end(w));
    test_eq(count(w, "target-02", move), 3);
    for (size_t i = 0; i < 80; i++)
        test_false(is_here(w, going(i)));
}

static void without_a_rate_it_goes_at_once(void **state)
{
    role_world &w = role_of(state);
    for (size_t i = 0; i < 10; i++)
        put_here(w, going(i), std::string(16'000, 'x'));
    scripted_pass(*w.sim, 1'000);
    test_true(ms_until_end(w) < 2'000);
}

// --- the end

static void every_placed_target_must_hear_the_end(void **state)
{
    role_world &w = role_of(state);
    role_script(peer_of(w, "target-03"), {.match = move_end, .status = 503, .body = R"({"message":"not now"})"});
    role_script(
        peer_of(w, "target-03"), {.match = move_end, .status = 409, .body = R"({"code":"other_epoch","message":"epoch 1"})", .times = 1});
    size_t pushed = count(w, "target-03", "PUT /v1/node/document");
    moving_join(w, {"target-02", "target-03"});
    test_true(until(w, [&] { return count(w, "target-03", move_end) >= 3; }));
    test_true(count(w, "target-02", move_end) >= 2);
    test_eq(count(w, "target-03", "PUT /v1/node/document"), pushed + 1); // it was in another epoch
    test_eq(w.t->placement.clean, 0);
    test_has_text(shares(w), R"("waiting":"target target-03 has not heard that everything was given: not now")");
    role_script(peer_of(w, "target-03"), {.match = move_end, .status = 204});
    test_true(until(w, [&] { return w.t->placement.clean == 2; }));
    test_true(until(w, [&] { return shares(w).find(R"("waiting":"")") != std::string::npos; }));
    size_t moves = count(w, "target-02", move) + count(w, "target-03", move);
    test_eq(moves, 0);
}

static void tombstones_are_dropped_when_nothing_moves(void **state)
{
    role_world &w = role_of(state);
    moving_join(w, {"target-02"});
    put_here(w, staying());
    put_here(w, staying(1));
    role_check(role_ask(w, moving_object("DELETE", staying())), "DELETE", 200, "");
    test_eq(w.node->now.tombstones.size(), 1);
    test_true(until(w, [&] { return target_has_settled(*w.t); }));
    scripted_pass(*w.sim, 5'000);
    test_eq(w.node->now.tombstones.size(), 1);
    moving_settle(w);
    test_true(until(w, [&] { return w.node->now.tombstones.empty(); }));
    uint64_t removed_max = 0;
    test_eq(moving_row_here(w, staying(), &removed_max).version, 0);
    test_eq(removed_max, 2); // no version comes twice
    test_true(is_here(w, staying(1)));
}

static void tombstones_stay_while_a_disk_is_lost(void **state)
{
    role_world &w = role_of(state);
    std::string name = moving_name({{"target-01", "target-02"}, {"target-01"}}, {"target-02", "target-01"});
    std::string other = moving_name({{"target-01", "target-02"}, {"target-01"}}, {"target-01", "target-01"});
    moving_join(w, {"target-02"});
    moving_settle(w);
    test_ok(placement_lose(w.document, "target-02", target_lost_ms).err);
    moving_push(w);
    moving_settle(w);
    test_false(placement_is_moving(w.document.placement));
    role_check(role_ask(w, moving_object("DELETE", name)), "it may come back", 404, "");
    put_here(w, other);
    role_check(role_ask(w, moving_object("DELETE", other)), "nobody else had it", 200, "");
    scripted_pass(*w.sim, 5'000);
    test_true(w.node->now.tombstones.contains({"b", name}));
    test_false(w.node->now.tombstones.contains({"b", other}));
    test_true(w.node->now.tombstones.at({"b", name}).version > uint64_t{1} << 32);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(small_objects_go_in_one_batch, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(tombstones_go_too, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_large_object_goes_by_itself, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(what_is_refused_stays_and_is_given_again, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_target_that_cannot_be_reached_is_tried_again, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_full_target_rests_while_others_are_given_to, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(what_changed_meanwhile_is_not_removed, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(what_was_given_in_a_former_epoch_is_not_removed, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_removal_that_fails_is_tried_again, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(it_can_be_paused, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(what_is_on_its_way_is_not_removed_in_a_pause, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_restart_begins_anew, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_shutdown_leaves_what_is_on_its_way, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(it_keeps_the_rate, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(it_yields_to_the_clients_of_an_owner, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(without_a_rate_it_goes_at_once, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(every_placed_target_must_hear_the_end, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(tombstones_are_dropped_when_nothing_moves, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(tombstones_stay_while_a_disk_is_lost, set_up, role_tear_down),
    };
    return role_main(tests);
}
