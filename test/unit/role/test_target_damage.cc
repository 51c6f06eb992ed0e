// SPDX-License-Identifier: MIT
// Damaged objects at a target that gives what belongs to others: they stop nobody, wait for an operator, or are left behind.
#include "giving_world.h"

#include "store/set_aside.h"

using namespace etlnode;

// A row is damaged on the disk while the target is away, so that nothing of it is in memory.
static void damage(role_world &w, const std::string &name, uint64_t file_size)
{
    role_stop(w);
    index_row &row = w.image.rows.at({"b", name});
    if (file_size == 0)
        row.content[0]++;
    for (auto &[id, node] : w.image.nodes) {
        if (file_size > 0 && node.data.size() == file_size)
            node.data[1]++;
    }
    role_start(w);
    test_true(until(w, [&] { return target_has_lease(*w.t) && lifecycle_has_joined(w.t->life); }));
}

static void a_damaged_object_stops_no_others(void **state)
{
    role_world &w = role_of(state);
    put_here(w, going());
    put_here(w, going(1));
    put_here(w, going(2), std::string(700'000, 'l'));
    put_here(w, going(3), std::string(700'001, 'l'));
    damage(w, going(1), 0);
    damage(w, going(3), 700'001);
    // The owner of large objects compares their checksums. One that arrived damaged is checked here when it is sent once more.
    const char *mismatch = R"({"code":"checksum_mismatch","message":"checksum mismatch"})";
    role_script(peer_of(w, "target-02"), {.match = move, .status = 400, .body = mismatch});
    answer_moves(w, "target-02", "stored", 1);
    role_script(peer_of(w, "target-02"), {.match = move, .status = 400, .body = mismatch, .times = 2});
    answer_moves(w, "target-02", "stored", 1);
    moving_join(w, {"target-02"});
    test_true(until(w, [&] { return !is_here(w, going()) && !is_here(w, going(2)); }));
    test_true(until(w, [&] { return shares(w).find(R"("done":"2","skipped":"0","failed":"2")") != std::string::npos; }));
    scripted_pass(*w.sim, 5'000);
    test_true(is_here(w, going(1)) && is_here(w, going(3)));
    test_eq(count(w, "target-02", move_end), 0); // the drain waits
    test_false(target_has_settled(*w.t));
    std::string failures = role_ask_as_node(w, "GET /v1/node/jobs/g2/failures?count=9").answer.body;
    for (const std::string &name : {going(1), going(3)})
        test_has_text(failures, R"("bucket":"b","name":")" + name + R"(","status":500,"text":"it is damaged")");
    test_true(failures.find("\"" + going() + "\"") == std::string::npos);
    // One is stored again at its owner, the other is deleted there: nobody needs what is here.
    moving_script_row(w, "target-02", moving_item(going(1), 9, 2, "again"));
    moving_script_row(w, "target-02", moving_tombstone(going(3), 9, 2));
    test_true(await_end(w, "target-02"));
    test_false(is_here(w, going(1)) || is_here(w, going(3)));
}

// What is in the data directory's folder damaged/, by name.
static std::map<std::string, std::string> kept(const role_world &w)
{
    std::map<std::string, std::string> files;
    for (const auto &[id, dir] : w.node->now.nodes) {
        auto found = dir.names.find("damaged");
        if (found == dir.names.end())
            continue;
        for (const auto &[name, file] : w.node->now.nodes.at(found->second).names)
            files[name] = w.node->now.nodes.at(file).data;
    }
    return files;
}

static void what_is_damaged_is_left_when_the_operator_says_so(void **state)
{
    role_world &w = role_of(state);
    put_here(w, going());
    put_here(w, going(1));
    put_here(w, going(3), std::string(700'001, 'l'));
    damage(w, going(1), 0);
    damage(w, going(3), 700'001);
    // A large object arrives damaged, and again when it is checked here. Then both go without their contents.
    answer_moves(w, "target-02", "stored");
    role_script(peer_of(w, "target-02"),
        {.match = move, .status = 400, .body = R"({"code":"checksum_mismatch","message":"checksum mismatch"})", .times = 2});
    answer_moves(w, "target-02", "stored", 1);
    moving_join(w, {"target-02"});
    w.document.jobs[0].options = R"({"leave_damaged":["target-01"]})";
    moving_push(w);
    test_true(await_end(w, "target-02")); // it waits for nobody
    test_false(is_here(w, going()) || is_here(w, going(1)) || is_here(w, going(3)));
    test_true(until(w, [&] { return shares(w).find(R"("done":"1","skipped":"0","failed":"2")") != std::string::npos; }));
    std::string failures = role_ask_as_node(w, "GET /v1/node/jobs/g2/failures?count=9").answer.body;
    test_has_text(failures, "it was damaged, and moved without its content: store it again, or delete it. What is left of it is in /");
    std::map<std::string, std::string> files = kept(w);
    test_eq(files.size(), 2);
    for (const auto &[name, data] : files) {
        bool is_large = name.ends_with("-b-" + going(3));
        test_true(is_large || name.ends_with("-b-" + going(1)));
        test_eq(data.size(), is_large ? 700'001 : 7);
        test_has_text(failures, "/damaged/" + name);
    }
    scripted_pass(*w.sim, 60'000); // nobody removes them
    test_eq(kept(w).size(), 2);
    const sim_message &asked = scripted_last(peer_of(w, "target-02"), move);
    std::vector<moved_item> items = items_of(asked);
    test_eq(items.size(), 1);
    test_true(store_row_is_damaged(items[0].row));
    test_true(items[0].row.content.empty() && items[0].row.size > 0);
}

static void it_may_be_said_later(void **state)
{
    role_world &w = role_of(state);
    put_here(w, going());
    damage(w, going(), 0);
    answer_moves(w, "target-02", "stored");
    moving_join(w, {"target-02"});
    test_true(until(w, [&] { return shares(w).find(R"("failed":"1")") != std::string::npos; }));
    scripted_pass(*w.sim, 5'000);
    test_true(is_here(w, going()));
    role_fail_disk(w, memory_op::open, error_code::io, "damaged/", 1);
    w.document.jobs[0].options = R"({"leave_damaged":["target-09","target-01"]})";
    moving_push(w);
    scripted_pass(*w.sim, 5'000);
    test_true(is_here(w, going())); // what is left of it could not be kept
    test_has_text(role_ask_as_node(w, "GET /v1/node/jobs/g2/failures?count=9").answer.body, "could not be set aside");
    test_true(await_end(w, "target-02"));
    test_false(is_here(w, going()));
    test_eq(kept(w).size(), 1);
}

// Such an object moves on like any other, without anybody's word.
static void a_row_without_content_moves_on(void **state)
{
    role_world &w = role_of(state);
    put_here(w, going(), "content");
    damage(w, going(), 0);
    role_stop(w);
    index_row &row = w.image.rows.at({"b", going()});
    row.content.clear();
    row.content_id = 0;
    row.in_index = false;
    role_start(w);
    test_true(until(w, [&] { return target_has_lease(*w.t) && lifecycle_has_joined(w.t->life); }));
    role_check(role_ask(w, moving_object("GET", going())), "GET", 500, "data is corrupt: the content was damaged when the object moved");
    answer_moves(w, "target-02", "stored");
    moving_join(w, {"target-02"});
    test_true(await_end(w, "target-02"));
    test_false(is_here(w, going()));
    test_true(items_of(scripted_last(peer_of(w, "target-02"), move)).at(0).row.content_id == 0);
    test_true(until(w, [&] { return shares(w).find(R"("done":"1","skipped":"0","failed":"0")") != std::string::npos; }));
}

// The owner found it damaged on its way; what is here may be whole.
static void an_object_that_arrives_damaged_stays(void **state)
{
    role_world &w = role_of(state);
    put_here(w, going());
    answer_moves(w, "target-02", "checksum", 1);
    moving_join(w, {"target-02"});
    test_true(until(w, [&] { return shares(w).find(R"("failed":"1")") != std::string::npos; }));
    test_true(is_here(w, going()));
    answer_moves(w, "target-02", "stored");
    test_true(await_end(w));
    test_true(until(w, [&] { return shares(w).find(R"("done":"1","skipped":"0","failed":"0")") != std::string::npos; }));
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_damaged_object_stops_no_others, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(what_is_damaged_is_left_when_the_operator_says_so, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(it_may_be_said_later, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_row_without_content_moves_on, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(an_object_that_arrives_damaged_stays, set_up, role_tear_down),
    };
    return role_main(tests);
}
