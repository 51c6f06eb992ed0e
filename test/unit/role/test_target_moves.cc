// SPDX-License-Identifier: MIT
// What a target answers other targets while objects move: questions for its row, objects that a former owner gives, and its end.
#include "joining_world.h"

#include "store/set_aside.h"

using namespace etlnode;

// --- questions

static void a_question_is_answered_from_the_index(void **state)
{
    role_world &w = role_of(state);
    const std::vector<moving_ids> tables = {{"target-01"}, {"target-01", "target-02"}};
    std::string kept = moving_name(tables, {"target-01", "target-01"});
    std::string deleted = moving_name(tables, {"target-01", "target-01"}, 1);
    std::string gone = moving_name(tables, {"target-01", "target-01"}, 2);
    moving_begin(w, tables.front());
    role_check(role_ask(w, moving_object("PUT", kept), "one"), "PUT", 200, "");
    role_check(role_ask(w, moving_object("PUT", kept), "three"), "PUT", 200, "");
    role_check(role_ask(w, moving_object("PUT", deleted), "x"), "PUT", 200, "");
    role_check(role_ask(w, moving_object("PUT", gone), "x"), "PUT", 200, "");
    role_check(role_ask(w, moving_object("DELETE", gone)), "DELETE", 200, "");
    moving_join(w, {"target-02"});
    role_check(role_ask(w, moving_object("DELETE", deleted)), "DELETE", 200, "");

    uint64_t removed_max = 0;
    index_row row = moving_row_here(w, kept, &removed_max);
    test_eq(row.version, 2);
    test_eq(row.tag, 1);
    test_eq(row.size, 5);
    test_eq(row.checksum, moving_checksum("three"));
    test_false(row.is_tombstone);
    test_eq(removed_max, 1);
    row = moving_row_here(w, deleted);
    test_true(row.is_tombstone);
    test_eq(row.version, 2);
    test_eq(row.tag, 2);
    test_eq(moving_row_here(w, gone, &removed_max).version, 0);
    test_eq(removed_max, 1); // the next version of it is above

    test_eq_text(role_ask_as_node(w, moving_question(kept, 2, "&version=2")).answer.body, "three");
    role_check(role_ask_as_node(w, moving_question(kept, 2, "&version=1")), "a former version", 404, "this version of ais://b/" + kept);
    role_check(role_ask_as_node(w, moving_question(deleted, 2, "&version=2")), "a tombstone has no content", 404, "");
    role_check(role_ask(w, moving_question(kept, 2)), "a client", 401, "");
}

static void a_question_of_another_epoch_or_bucket_is_refused(void **state)
{
    role_world &w = role_of(state);
    std::string name = coming();
    for (uint64_t epoch : {0u, 1u, 3u})
        moving_check_code(role_ask_as_node(w, moving_question(name, epoch)), "epoch", 409, error_code::other_epoch);
    const std::string rows[] = {
        "GET /v1/node/object/b/o?created=5", "GET /v1/node/object/b/o?epoch=two&created=5",
        "GET /v1/node/object/b/o?epoch=2&created=6",       // made again
        "GET /v1/node/object/unknown/o?epoch=2&created=5", // one of the two has not heard of it yet
    };
    for (const std::string &row : rows)
        moving_check_code(role_ask_as_node(w, row), row, 409, error_code::other_epoch);
}

// --- a batch

static std::string move_line(const role_world &w, uint64_t epoch)
{
    return "PUT /v1/node/move?epoch=" + std::to_string(epoch) + "&disk=" + disk_of(w, "target-02");
}

static std::string give(role_world &w, const std::vector<moved_item> &items)
{
    std::string batch;
    for (const moved_item &item : items)
        moved_item_append(batch, item);
    const scripted_call &call = role_ask_as_node(w, move_line(w, document_epoch(w.document)), batch);
    role_check(call, "PUT /v1/node/move", 200, "");
    json_ptr tree;
    std::string where;
    test_ok(json_parse(call.answer.body, tree, where));
    std::string outcomes;
    const cJSON *one = nullptr;
    cJSON_ArrayForEach(one, json_get(tree.get(), "outcomes")) outcomes += (outcomes.empty() ? "" : " ") + std::string(one->valuestring);
    return outcomes;
}

static void a_batch_is_stored_as_it_comes(void **state)
{
    role_world &w = role_of(state);
    std::string name = coming(), empty = coming(1), deleted = coming(2);
    test_eq_text(give(w, {}), "");
    test_eq_text(
        give(w, {moving_item(name, 7, 1, "seven"), moving_item(empty, 3, 1, ""), moving_tombstone(deleted, 9, 1)}), "stored stored stored");
    index_row row = moving_row_here(w, name);
    test_eq(row.version, 7);
    test_eq(row.tag, 2); // committed here in this epoch
    test_eq(row.changed_ns, 1'000'000'000);
    test_eq_text(row.content_type, "text/x-unit");
    test_eq(moving_row_here(w, empty).version, 3);
    test_true(moving_row_here(w, deleted).is_tombstone);
    test_eq(moving_row_here(w, deleted).version, 9);
    size_t asked = scripted_count(peer_of(w, "target-02"), "GET /v1/node/object/");
    test_eq_text(role_ask(w, moving_object("GET", name)).answer.body, "seven");
    role_check(role_ask(w, moving_object("GET", deleted)), "deleted", 404, "does not exist");
    test_eq(scripted_count(peer_of(w, "target-02"), "GET /v1/node/object/"), asked); // what is of this epoch is the newest
}

static moved_item moving_damaged(const std::string &name, uint64_t version, uint64_t tag, uint64_t size)
{
    moved_item item = moving_item(name, version, tag, "");
    item.row.size = size;
    item.row.content_id = 0;
    return item;
}

static void a_damaged_object_comes_without_its_content(void **state)
{
    role_world &w = role_of(state);
    std::string name = coming(), large = coming(1), newer = coming(2);
    test_eq_text(give(w, {moving_item(newer, 8, 1, "eight")}), "stored");
    test_eq_text(give(w, {moving_damaged(name, 7, 1, 5), moving_item(coming(3), 1, 1, "one"), moving_damaged(large, 3, 1, 5'000'000),
                             moving_damaged(newer, 7, 1, 5)}),
        "stored stored stored have");
    for (const std::string &one : {name, large}) {
        role_check(role_ask(w, moving_object("GET", one)), "GET", 500,
            "data is corrupt: the content was damaged when the object moved to this target, and was left behind");
        test_true(store_row_is_damaged(moving_row_here(w, one)));
    }
    test_eq_text(role_ask(w, moving_object("GET", newer)).answer.body, "eight");
    test_eq_text(give(w, {moving_damaged(name, 7, 1, 5)}), "have");
    role_check(role_ask(w, moving_object("PUT", name), "again"), "PUT", 200, "");
    test_eq_text(role_ask(w, moving_object("GET", name)).answer.body, "again");
    test_true(moving_row_here(w, name).version > 7);
    role_check(role_ask(w, moving_object("DELETE", large)), "DELETE", 200, "");
    role_check(role_ask(w, moving_object("GET", large)), "deleted", 404, "");
}

static void the_same_or_newer_is_not_stored_again(void **state)
{
    role_world &w = role_of(state);
    std::string name = coming(), deleted = coming(1);
    test_eq_text(give(w, {moving_item(name, 7, 1, "seven"), moving_tombstone(deleted, 9, 1)}), "stored stored");
    test_eq_text(
        give(w, {moving_item(name, 7, 1, "seven"), moving_item(name, 6, 1, "six"), moving_tombstone(name, 6, 1)}), "have have have");
    test_eq_text(
        give(w, {moving_tombstone(deleted, 9, 1), moving_item(deleted, 8, 1, "eight")}), "have have"); // a late one revives nothing
    test_true(moving_row_here(w, deleted).is_tombstone);
    test_eq_text(role_ask(w, moving_object("GET", name)).answer.body, "seven");
    test_eq_text(give(w, {moving_item(name, 8, 1, "eight"), moving_item(deleted, 10, 1, "ten")}), "stored stored");
    test_eq_text(role_ask(w, moving_object("GET", name)).answer.body, "eight");
    test_eq_text(role_ask(w, moving_object("GET", deleted)).answer.body, "ten");
    test_eq_text(give(w, {moving_tombstone(name, 11, 1)}), "stored");
    role_check(role_ask(w, moving_object("GET", name)), "a newer tombstone", 404, "does not exist");
}

static void each_item_has_its_own_outcome(void **state)
{
    role_world &w = role_of(state);
    std::string good = coming();
    moved_item remade = moving_item(coming(1), 1, 1, "x");
    remade.created_ns = 6;
    moved_item unknown = moving_item(coming(2), 1, 1, "x");
    unknown.row.bucket = "unknown";
    moved_item damaged = moving_item(coming(3), 1, 1, "x");
    damaged.row.checksum++;
    moved_item large = moving_item(coming(4), 1, 1, std::string(300'000, 'x'));
    test_eq_text(give(w, {remade, unknown, damaged, large, moving_item(staying(), 1, 1, "x"), moving_item(good, 1, 1, "x")}),
        "bucket bucket checksum size bucket stored");
    test_eq(moving_row_here(w, damaged.row.name).version, 0);
    role_fail_disk(w, memory_op::index_change, error_code::io, "", 1);
    test_eq_text(give(w, {moving_item(good, 2, 1, "y")}), "busy");
    role_fail_disk(w, memory_op::index_change, error_code::no_space, "", 1);
    test_eq_text(give(w, {moving_item(good, 2, 1, "y")}), "no_space");
    moving_set_full(w, true);
    test_eq_text(give(w, {moving_item(good, 2, 1, "y"), moving_tombstone(coming(5), 2, 1)}), "no_space stored"); // a tombstone needs none
    moving_set_full(w, false);
    test_eq_text(give(w, {moving_item(good, 2, 1, "y")}), "stored");
}

static void a_damaged_batch_changes_nothing(void **state)
{
    role_world &w = role_of(state);
    std::string good;
    moved_item_append(good, moving_item(coming(), 1, 1, "content"));
    std::string late = good;
    moved_item_append(late, moving_item(coming(1), 1, 1, "content"));
    const std::string damaged[] = {"x", "{}\n", good.substr(0, good.size() - 1), late.substr(0, late.size() - 1), good + "behind"};
    for (const std::string &batch : damaged)
        role_check(role_ask_as_node(w, move_line(w, 2), batch), batch, 400, "");
    test_eq(moving_row_here(w, coming()).version, 0);
    for (uint64_t epoch : {1u, 3u})
        moving_check_code(role_ask_as_node(w, move_line(w, epoch), good), "another epoch", 409, error_code::other_epoch);
    test_eq(moving_row_here(w, coming()).version, 0);
    role_check(role_ask(w, move_line(w, 2), good), "a client", 401, "");
}

// The epoch changes after the request was admitted, and before its body is whole.
static void a_batch_that_comes_slowly_into_the_next_epoch_is_refused(void **state)
{
    role_world &w = role_of(state);
    std::string batch;
    moved_item_append(batch, moving_item(coming(), 1, 1, "content"));
    scripted_call &slow = role_begin_slow_put(w, move_line(w, 2), batch, 3'000, role_secret_header);
    scripted_pass(*w.sim, 500);
    moving_join(w, {"target-03"});
    moving_check_code(role_await(w, slow), "the batch", 409, error_code::other_epoch);
    test_eq(moving_row_here(w, coming()).version, 0);
}

// --- more than one former owner

static void a_newer_copy_elsewhere_wins_over_the_given_one(void **state)
{
    role_world &w = role_of(state);
    std::string name = moving_name(twice, {"target-02", "target-03", "target-01"});
    std::string deleted = moving_name(twice, {"target-02", "target-03", "target-01"}, 1);
    std::string older = moving_name(twice, {"target-02", "target-03", "target-01"}, 2);
    std::string unknown = moving_name(twice, {"target-02", "target-03", "target-01"}, 3);
    moving_script_copy(w, "target-03", moving_item(name, 5, 2, "five"));
    moving_script_row(w, "target-03", moving_tombstone(deleted, 5, 2));
    moving_script_row(w, "target-03", moving_item(older, 2, 2, "two"));
    test_eq_text(give(w, {moving_item(name, 3, 1, "three"), moving_item(deleted, 3, 1, "three"), moving_item(older, 3, 1, "three"),
                             moving_item(unknown, 3, 1, "three")}),
        "have have stored stored");
    test_eq(scripted_count(peer_of(w, "target-02"), "GET /v1/node/object/"), 0); // the giver has just said it
    test_eq(moving_row_here(w, name).version, 5);
    test_true(moving_row_here(w, deleted).is_tombstone);
    test_eq(moving_row_here(w, older).version, 3);
    test_eq_text(role_ask(w, moving_object("GET", name)).answer.body, "five");
    // While the other one is away nothing is known, and the giver keeps what it has.
    std::string late = moving_name(twice, {"target-02", "target-03", "target-01"}, 4);
    scripted_silence(peer_of(w, "target-03"));
    test_eq_text(give(w, {moving_item(late, 3, 1, "three")}), "busy");
    test_eq(moving_row_here(w, late).version, 0);
}

// --- one large object

static std::string large_content(char first = 'a')
{
    std::string content(400'000, first);
    content.back() = '.';
    return content;
}

static std::string row_headers(const moved_item &item)
{
    json_ptr tree = moved_row_print(item.row);
    json_add_u64_text(tree.get(), "created_ns", item.created_ns);
    std::string headers = role_secret_header;
    http_write_header(headers, header_moved_row, json_print(tree.get()));
    return headers;
}

static const scripted_call &give_large(role_world &w, const moved_item &item, std::string_view content, uint64_t epoch = 2)
{
    return role_ask(w, move_line(w, epoch), content, row_headers(item));
}

static void a_large_object_comes_by_itself(void **state)
{
    role_world &w = role_of(state);
    std::string name = coming();
    std::string content = large_content();
    role_check(give_large(w, moving_item(name, 7, 1, content), content), "a large one", 200, "");
    index_row row = moving_row_here(w, name);
    test_eq(row.version, 7);
    test_eq(row.tag, 2);
    test_eq(row.changed_ns, 1'000'000'000);
    test_eq_text(row.content_type, "text/x-unit");
    test_true(role_ask(w, moving_object("GET", name)).answer.body == content);
    std::string other = large_content('b');
    moving_check_code(give_large(w, moving_item(name, 7, 1, other), other), "the same version", 409, error_code::conflict);
    moving_check_code(give_large(w, moving_item(name, 6, 1, other), other), "an older one", 409, error_code::conflict);
    test_true(role_ask(w, moving_object("GET", name)).answer.body == content);
    role_check(give_large(w, moving_item(name, 8, 1, other), other), "a newer one", 200, "");
    test_true(role_ask(w, moving_object("GET", name)).answer.body == other);
}

static void a_large_object_that_may_not_be_stored_is_refused(void **state)
{
    role_world &w = role_of(state);
    std::string name = coming();
    std::string content = large_content();
    moved_item good = moving_item(name, 7, 1, content);
    moved_item wrong = good;
    wrong.row.checksum++;
    moving_check_code(give_large(w, wrong, content), "a wrong checksum", 400, error_code::checksum_mismatch);
    moved_item remade = good;
    remade.created_ns = 6;
    moving_check_code(give_large(w, remade, content), "a bucket that was made again", 409, error_code::other_epoch);
    moving_check_code(give_large(w, moving_item(staying(), 7, 1, content), content), "not its own", 409, error_code::other_epoch);
    moving_check_code(give_large(w, good, content, 1), "an older epoch", 409, error_code::other_epoch);
    moving_check_code(give_large(w, good, content, 3), "a newer epoch", 409, error_code::other_epoch);
    role_check(give_large(w, moving_tombstone(name, 7, 1), content), "a tombstone", 400, "the moved row lacks something");
    role_check(role_ask(w, move_line(w, 2), content, std::string(role_secret_header) + std::string(header_moved_row) + ": {\r\n"), "no row",
        400, "");
    moving_set_full(w, true);
    moving_check_code(give_large(w, good, content), "a full disk", 507, error_code::no_space);
    moving_set_full(w, false);
    test_eq(moving_row_here(w, name).version, 0);
    role_check(give_large(w, good, content), "after all that", 200, "");
}

static void a_large_object_that_comes_into_the_next_epoch_is_refused(void **state)
{
    role_world &w = role_of(state);
    std::string name = moving_name({{"target-02"}, {"target-01", "target-02"}, {"target-01", "target-02", "target-03"}},
        {"target-02", "target-01", "target-01"}); // it stays this target's
    std::string content = "content";
    scripted_call &slow = role_begin_slow_put(w, move_line(w, 2), content, 3'000, row_headers(moving_item(name, 7, 1, content)));
    scripted_pass(*w.sim, 500);
    moving_join(w, {"target-03"});
    moving_check_code(role_await(w, slow), "the large one", 409, error_code::other_epoch);
    test_has_text(role_text(slow), "the placement has changed while the object was moved");
    test_eq(moving_row_here(w, name).version, 0);
}

static void a_large_object_asks_the_other_former_owners(void **state)
{
    role_world &w = role_of(state);
    std::string name = moving_name(twice, {"target-02", "target-03", "target-01"});
    std::string content = large_content();
    moving_script_copy(w, "target-03", moving_item(name, 5, 2, large_content('b')));
    moving_check_code(give_large(w, moving_item(name, 3, 1, content), content, 3), "older than another", 409, error_code::conflict);
    test_eq(moving_row_here(w, name).version, 5);
    std::string late = moving_name(twice, {"target-02", "target-03", "target-01"}, 1);
    scripted_silence(peer_of(w, "target-03"));
    role_check(give_large(w, moving_item(late, 3, 1, content), content, 3), "another one is away", 503,
        "objects are moving, and target target-03, which may have it, gives no answer");
    test_eq(moving_row_here(w, late).version, 0);
}

// --- the end

static std::string end_line(const role_world &w, uint64_t epoch)
{
    return "POST /v1/node/move-end?epoch=" + std::to_string(epoch) + "&disk=" + disk_of(w, "target-02");
}

static std::string end_body(const char *bucket, uint64_t created_ns, uint64_t removed_max)
{
    return text_format(R"({"buckets":[{"bucket":"%s","created_ns":"%llu","removed_max":"%llu"}]})", base64_encode(bucket).c_str(),
        static_cast<unsigned long long>(created_ns), static_cast<unsigned long long>(removed_max));
}

static void an_end_raises_what_was_removed(void **state)
{
    role_world &w = role_of(state);
    std::string name = coming();
    uint64_t removed_max = 0;
    role_check(role_ask_as_node(w, end_line(w, 2), end_body("b", 5, 40)), "an end", 204, "");
    (void)moving_row_here(w, name, &removed_max);
    test_eq(removed_max, 40);
    test_eq(w.t->placement.ended.size(), 1);
    test_eq_text(w.t->placement.ended.front(), disk_of(w, "target-02"));
    role_check(role_ask_as_node(w, end_line(w, 2), end_body("b", 5, 30)), "again", 204, "");
    (void)moving_row_here(w, name, &removed_max);
    test_eq(removed_max, 40);
    test_eq(w.t->placement.ended.size(), 1);
    // What has ended is asked no more, and a new version is above all that it removed.
    role_check(role_ask(w, moving_object("PUT", name), "x"), "PUT", 200, "");
    test_eq(scripted_count(peer_of(w, "target-02"), "GET /v1/node/object/"), 0);
    test_eq(moving_row_here(w, name).version, 41);
}

static void an_end_that_does_not_fit_counts_nothing(void **state)
{
    role_world &w = role_of(state);
    for (uint64_t epoch : {1u, 3u})
        moving_check_code(role_ask_as_node(w, end_line(w, epoch), end_body("b", 5, 40)), "epoch", 409, error_code::other_epoch);
    moving_check_code(role_ask_as_node(w, end_line(w, 2), end_body("b", 6, 40)), "made again", 409, error_code::other_epoch);
    moving_check_code(role_ask_as_node(w, end_line(w, 2), end_body("unknown", 5, 40)), "unknown", 409, error_code::other_epoch);
    for (const char *body : {"", "{", "[]", "{}", R"({"buckets":7})", R"({"buckets":[{"bucket":"!","created_ns":"5","removed_max":"1"}]})",
             R"({"buckets":[{"bucket":"Yg==","created_ns":"5"}]})",
             R"({"buckets":[{"bucket":"Yg==","created_ns":"5","removed_max":"18446744073709551615"}]})"})
        role_check(role_ask_as_node(w, end_line(w, 2), body), body, 400, "");
    role_check(role_ask(w, end_line(w, 2), end_body("b", 5, 40)), "a client", 401, "");
    role_fail_disk(w, memory_op::index_change, error_code::io, "", 1);
    role_check(role_ask_as_node(w, end_line(w, 2), end_body("b", 5, 40)), "not durable", 500, "");
    uint64_t removed_max = 0;
    (void)moving_row_here(w, coming(), &removed_max);
    test_eq(removed_max, 0);
    test_true(w.t->placement.ended.empty());
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_question_is_answered_from_the_index, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_question_of_another_epoch_or_bucket_is_refused, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_batch_is_stored_as_it_comes, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_object_comes_without_its_content, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(the_same_or_newer_is_not_stored_again, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(each_item_has_its_own_outcome, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_batch_changes_nothing, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_batch_that_comes_slowly_into_the_next_epoch_is_refused, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_newer_copy_elsewhere_wins_over_the_given_one, set_up_twice, role_tear_down),
        cmocka_unit_test_setup_teardown(a_large_object_comes_by_itself, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_large_object_that_may_not_be_stored_is_refused, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_large_object_that_comes_into_the_next_epoch_is_refused, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_large_object_asks_the_other_former_owners, set_up_twice, role_tear_down),
        cmocka_unit_test_setup_teardown(an_end_raises_what_was_removed, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(an_end_that_does_not_fit_counts_nothing, set_up_joined, role_tear_down),
    };
    return role_main(tests);
}
