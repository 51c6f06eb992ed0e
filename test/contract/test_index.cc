// SPDX-License-Identifier: MIT
// test/contract/test_index.cc: what port/index.h promises. Compiled with CONTRACT_SIMULATED, the cases run on the index of the memory
// world, which the simulator and the store's tests use.
#include "index_world.h"

using namespace etlnode;

// One object.

static void every_field_comes_back(void **)
{
    index_change change = put_of("b", std::string("n\0\xff'\"%", 6), 5);
    change.row.size = UINT64_MAX;
    change.row.checksum = UINT64_MAX - 1;
    change.row.changed_ns = 1'700'000'000'123'456'789u;
    change.row.content_type = "text/plain";
    change.row.etag = "\"e\"";
    change.row.custom = "{\"k\":\"v\"}";
    change.row.parts = std::string("\0\1", 2);
    change.row.version = 99; // the index chooses it
    test_ok(commit(change));
    test_eq(seen->changes[0].row.version, 1u);
    test_eq(seen->changes[0].before.version, 0u);
    test_ok(get("b", change.row.name));
    test_eq(seen->rows.size(), 1u);
    const index_row &row = seen->rows[0];
    test_eq_text(row.bucket, "b");
    test_eq_text(row.name, change.row.name);
    test_eq(row.content_id, 5u);
    test_eq(row.size, UINT64_MAX);
    test_eq(row.version, 1u);
    test_eq(row.checksum, UINT64_MAX - 1);
    test_eq(row.changed_ns, change.row.changed_ns);
    test_eq_text(row.content_type, "text/plain");
    test_eq_text(row.etag, "\"e\"");
    test_eq_text(row.custom, change.row.custom);
    test_eq_text(row.parts, change.row.parts);
}

static void missing_rows_are_said_to_be_missing(void **)
{
    test_eq_enum(get("b", "n").code, error_code::object_not_found);
    test_eq(seen->rows.size(), 0u);
    test_eq_enum(commit(remove_of("b", "n")).code, error_code::object_not_found);
    test_ok(commit(remove_of("none", "")));
    test_ok(commit(put_of("b", "n", 1)));
    test_eq_enum(get("c", "n").code, error_code::object_not_found);
    test_eq_enum(get("b", "N").code, error_code::object_not_found);
}

static void overwrite_counts_versions_and_makes_garbage(void **)
{
    test_ok(commit(put_of("b", "n", 1)));
    test_ok(commit(put_of("b", "n", 2)));
    test_eq(seen->changes[0].row.version, 2u);
    test_eq(seen->changes[0].before.version, 1u);
    test_eq(seen->changes[0].before.content_id, 1u);
    test_eq(seen->changes[0].before.size, 10u);
    test_ok(commit(put_of("b", "empty", 0)));
    test_ok(commit(put_of("b", "empty", 3)));
    test_eq(index_object_count(*world->e), 2u);
    test_eq(index_content_id_max(*world->e), 3u);
    expect_content_ids(index_garbage, {1});
    expect_content_ids(index_pending_moves, {2, 3});
    test_ok(commit(remove_of("b", "n")));
    test_eq(seen->changes[0].before.content_id, 2u);
    test_eq_enum(get("b", "n").code, error_code::object_not_found);
    test_eq(index_object_count(*world->e), 1u);
    expect_content_ids(index_garbage, {1, 2});
    expect_content_ids(index_pending_moves, {3});
    // No version is given twice, also after a removal, and whichever name of the bucket was removed.
    test_ok(commit(put_of("b", "n", 4)));
    test_eq(seen->changes[0].row.version, 3u);
    test_ok(commit(put_of("b", "other", 5)));
    test_eq(seen->changes[0].row.version, 3u);
    test_ok(commit(put_of("c", "n", 6)));
    test_eq(seen->changes[0].row.version, 1u);
}

static void garbage_and_placed_are_cleared(void **)
{
    for (uint64_t id = 1; id <= 3; id++)
        test_ok(commit(put_of("b", "n", id)));
    test_ok(commit(put_of("b", "m", 4)));
    expect_content_ids(index_garbage, {1, 2});
    expect_content_ids(index_pending_moves, {3, 4});
    index_garbage_clear(*world->e, {1, 77}, on_done, nullptr);
    test_ok(awaited());
    expect_content_ids(index_garbage, {2});
    index_placed(*world->e, {4, 77}, on_done, nullptr);
    test_ok(awaited());
    expect_content_ids(index_pending_moves, {3});
    // Only the metadata changes; the content stays where it is.
    test_ok(commit(put_of("b", "m", 4)));
    test_eq(seen->changes[0].row.version, 2u);
    expect_content_ids(index_pending_moves, {3});
    expect_content_ids(index_garbage, {2});
}

static void bucket_is_removed_at_once(void **)
{
    for (uint64_t id = 1; id <= 50; id++)
        start(put_of(id % 2 == 0 ? "even" : "odd", "n" + std::to_string(id), id));
    test_ok(awaited(50));
    test_ok(commit(put_of("odd", "empty", 0)));
    test_ok(commit(remove_of("odd", "")));
    test_eq(index_object_count(*world->e), 25u);
    test_eq_enum(get("odd", "n1").code, error_code::object_not_found);
    test_ok(get("even", "n2"));
    index_garbage(*world->e, on_content_ids, nullptr);
    test_ok(awaited());
    test_eq(seen->content_ids.size(), 25u);
    index_pending_moves(*world->e, on_content_ids, nullptr);
    test_ok(awaited());
    test_eq(seen->content_ids.size(), 25u);
}

// Sums of buckets.

static void usage_follows_rows(void **)
{
    expect_usage({});
    test_ok(commit(put_of("b", "n", 1)));
    test_ok(commit(put_of("b", "m", 2)));
    test_ok(commit(put_content("c", "n", 3, "abc")));
    test_ok(commit(put_of("c", "empty", 0)));
    expect_usage({{"b", {2, 30}}, {"c", {2, 3}}});
    test_ok(commit(put_of("b", "n", 4))); // larger
    expect_usage({{"b", {2, 60}}, {"c", {2, 3}}});
    test_ok(commit(put_content("b", "n", 5, "a"))); // smaller, and in the index
    test_ok(commit(put_content("b", "n", 6, "b"))); // of the same size
    expect_usage({{"b", {2, 21}}, {"c", {2, 3}}});
    test_eq_enum(commit(remove_of("b", "none")).code, error_code::object_not_found);
    test_ok(commit(remove_of("b", "m")));
    expect_usage({{"b", {1, 1}}, {"c", {2, 3}}});
    test_ok(commit(remove_of("b", "n"))); // a bucket without objects is not mentioned
    expect_usage({{"c", {2, 3}}});
    test_ok(commit(remove_of("none", "")));
    // Several changes of one bucket in one transaction, in order.
    start(put_of("c", "late", 7));
    start(remove_of("c", ""));
    start(put_of("c", "n", 8));
    test_ok(awaited(3));
    expect_usage({{"c", {1, 80}}});
    test_ok(commit(remove_of("c", "")));
    expect_usage({});
}

// Many random changes, some of which share a transaction; the sums are those of the rows, at each pause.
static void usage_is_the_sum_of_the_rows(void **)
{
    rng random{.state = 5};
    std::map<std::pair<std::string, std::string>, uint64_t> rows;
    uint64_t next_id = 1;
    for (int round = 0; round < 60; round++) {
        int changes = static_cast<int>(rng_below(random, 12)) + 1;
        for (int i = 0; i < changes; i++) {
            std::string bucket(1, static_cast<char>('a' + rng_below(random, 3)));
            std::string name(1, static_cast<char>('k' + rng_below(random, 6)));
            uint64_t kind = rng_below(random, 12);
            if (kind == 0) {
                start(remove_of(bucket, ""));
                std::erase_if(rows, [&](const auto &row) { return row.first.first == bucket; });
            } else if (kind < 4) {
                start(remove_of(bucket, name));
                rows.erase({bucket, name});
            } else {
                index_change change = put_of(bucket, name, next_id++);
                change.row.size = rng_below(random, 3) * 1'000;
                rows[{bucket, name}] = change.row.size;
                start(std::move(change));
            }
        }
        (void)awaited(changes);
        std::map<std::string, index_usage, std::less<>> expected;
        for (const auto &[key, size] : rows) {
            expected[key.first].objects++;
            expected[key.first].bytes += size;
        }
        expect_usage(expected);
    }
}

// Contents in the index.

static void contents_come_back(void **)
{
    std::string all_bytes;
    for (int i = 0; i < 256; i++)
        all_bytes.push_back(static_cast<char>(i));
    const std::string contents[] = {"x", std::string(1, '\0'), all_bytes, std::string(4'096, 'p'), std::string(300'000, 'l')};
    for (size_t i = 0; i < std::size(contents); i++)
        test_ok(commit(put_content("b", "n" + std::to_string(i), i + 1, contents[i])));
    for (size_t i = 0; i < std::size(contents); i++)
        expect_content("n" + std::to_string(i), contents[i]);
    test_eq(index_content_id_max(*world->e), std::size(contents));
    // Nothing for housekeeping, and nothing in listings.
    expect_content_ids(index_pending_moves, {});
    index_page(*world->e, "b", "", "", 100, on_rows, nullptr);
    test_ok(awaited());
    test_eq(seen->rows.size(), std::size(contents));
    for (size_t i = 0; i < std::size(contents); i++) {
        test_true(seen->rows[i].in_index);
        test_eq(seen->rows[i].size, contents[i].size());
        test_true(seen->rows[i].content.empty());
    }
}

static void replaced_contents_make_no_garbage(void **)
{
    test_ok(commit(put_content("b", "n", 1, "one")));
    test_ok(commit(put_content("b", "n", 2, "second")));
    test_eq(seen->changes[0].row.version, 2u);
    test_eq(seen->changes[0].before.content_id, 1u);
    test_true(seen->changes[0].before.in_index);
    test_true(seen->changes[0].before.content.empty());
    expect_content("n", "second");
    // A file replaces it, and then a content replaces the file.
    test_ok(commit(put_of("b", "n", 3)));
    test_true(seen->changes[0].before.in_index);
    test_ok(get("b", "n"));
    test_true(!seen->rows[0].in_index);
    test_true(seen->rows[0].content.empty());
    expect_content_ids(index_garbage, {});
    expect_content_ids(index_pending_moves, {3});
    test_ok(commit(put_content("b", "n", 4, "fourth")));
    test_true(!seen->changes[0].before.in_index);
    expect_content("n", "fourth");
    expect_content_ids(index_garbage, {3});
    expect_content_ids(index_pending_moves, {});
    // Only the metadata changes; the content stays.
    index_change change = put_content("b", "n", 4, "");
    change.row.size = 6;
    change.row.custom = "{}";
    test_ok(commit(change));
    expect_content("n", "fourth");
    test_eq_text(seen->rows[0].custom, "{}");
    test_ok(commit(remove_of("b", "n")));
    test_true(seen->changes[0].before.in_index);
    test_true(seen->changes[0].before.content.empty());
    test_eq_enum(get("b", "n").code, error_code::object_not_found);
    expect_content_ids(index_garbage, {3});
    test_eq(index_content_id_max(*world->e), 4u);
}

static void contents_go_with_their_bucket(void **)
{
    for (uint64_t id = 1; id <= 30; id++) {
        std::string bucket = id % 2 == 0 ? "b" : "odd";
        std::string name = "n" + std::to_string(id);
        start(id % 3 == 0 ? put_of(bucket, name, id) : put_content(bucket, name, id, "content " + name));
    }
    test_ok(awaited(30));
    test_ok(commit(remove_of("odd", "")));
    expect_content_ids(index_garbage, {3, 9, 15, 21, 27});
    expect_content_ids(index_pending_moves, {6, 12, 18, 24, 30});
    expect_content("n2", "content n2");
    test_eq_enum(get("odd", "n1").code, error_code::object_not_found);
}

// Pages.

static void pages_are_ordered_bytewise(void **)
{
    const char *names[] = {"a", "B", "ab", "a/b", "\xc3\xa4", "zz", "a/c", "\xff\xff", "\xff"};
    uint64_t id = 1;
    for (const char *name : names)
        start(put_of("b", name, id++));
    start(put_of("a", "other", id++));
    start(put_of("c", "other", id++));
    test_ok(awaited(11));
    expect_names("", "", 100, {"B", "a", "a/b", "a/c", "ab", "zz", "\xc3\xa4", "\xff", "\xff\xff"});
    expect_names("", "", 2, {"B", "a"});
    expect_names("", "a", 2, {"a/b", "a/c"});
    expect_names("a", "", 100, {"a", "a/b", "a/c", "ab"});
    expect_names("a/", "", 100, {"a/b", "a/c"});
    expect_names("a", "a/b", 100, {"a/c", "ab"});
    expect_names("a/", "B", 100, {"a/b", "a/c"}); // `after` is before the prefix
    expect_names("a/", "b", 100, {});             // `after` is behind it
    expect_names("\xff", "", 100, {"\xff", "\xff\xff"});
    expect_names("\xff", "\xff", 100, {"\xff\xff"});
    expect_names("none", "", 100, {});
    expect_names("", "", 0, {});
}

static void pages_cover_everything_once(void **)
{
    for (int i = 0; i < 700; i++)
        start(put_of("b", "name-" + std::to_string(i), static_cast<uint64_t>(i) + 1));
    test_ok(awaited(700));
    std::string after;
    size_t total = 0;
    for (;;) {
        index_page(*world->e, "b", "name-", after, 64, on_rows, nullptr);
        test_ok(awaited());
        for (const index_row &row : seen->rows) {
            test_true(row.name > after);
            after = row.name;
        }
        total += seen->rows.size();
        if (seen->rows.size() < 64)
            break;
    }
    test_eq(total, 700u);
}

// Groups.

static void changes_complete_in_order_and_see_each_other(void **)
{
    start(put_of("b", "n", 1));
    start(put_of("b", "n", 2));
    start(remove_of("b", "n"));
    start(remove_of("b", "n"));
    start(put_of("b", "n", 3));
    (void)awaited(5);
    test_eq(seen->changes[0].row.version, 1u);
    test_eq(seen->changes[1].row.version, 2u);
    test_eq(seen->changes[1].before.content_id, 1u);
    test_ok(seen->errs[2]);
    test_eq(seen->changes[2].before.content_id, 2u);
    test_eq_enum(seen->errs[3].code, error_code::object_not_found);
    test_ok(seen->errs[4]);
    test_eq(seen->changes[4].row.version, 3u);
    test_eq(index_object_count(*world->e), 1u);
    expect_content_ids(index_garbage, {1, 2});
}

static void a_thousand_changes_are_grouped(void **)
{
    seen->changes.reserve(1000);
    for (uint64_t i = 1; i <= 1000; i++)
        start(put_of("b", "n" + std::to_string(i), i));
    test_ok(awaited(1000));
    for (uint64_t i = 1; i <= 1000; i++)
        test_eq(seen->changes[i - 1].row.content_id, i);
    test_eq(index_object_count(*world->e), 1000u);
    test_eq(index_content_id_max(*world->e), 1000u);
}

static void committed_changes_are_read_at_once(void **)
{
    static int reads;
    reads = 0;
    index_commit(
        *world->e, put_of("b", "n", 1),
        [](void *, error err, index_change &) {
            test_ok(err);
            index_get(
                *world->e, "b", "n",
                [](void *, error read_err, std::vector<index_row> rows) {
                    test_ok(read_err);
                    test_eq(rows.size(), 1u);
                    reads++;
                },
                nullptr);
        },
        nullptr);
    test_true(world_until([] { return reads == 1; }));
}

static void sums_come_back(void **)
{
    const std::vector<uint64_t> sums = {0, 1, UINT64_MAX, 0x0123456789abcdef};
    test_ok(commit(put_summed("b", "o", 7, sums)));
    test_ok(get("b", "o"));
    test_true(seen->rows[0].sums == sums);
    index_page(*world->e, "b", "", "", 10, on_rows, nullptr);
    test_ok(awaited());
    test_true(seen->rows[0].sums.empty());
    // The rest of the row changes; the content stays, and its sums with it.
    index_change rest = put_of("b", "o", 7);
    rest.row.custom = "{}";
    test_ok(commit(rest));
    test_ok(get("b", "o"));
    test_true(seen->rows[0].sums == sums);
    test_ok(commit(put_summed("b", "o", 8, {5})));
    test_ok(get("b", "o"));
    test_true(seen->rows[0].sums == std::vector<uint64_t>{5});
    test_ok(commit(put_of("b", "o", 9)));
    test_ok(get("b", "o"));
    test_true(seen->rows[0].sums.empty());
}

static void sums_are_added_to_the_content_they_are_of(void **)
{
    test_ok(list_unsummed());
    test_eq(seen->rows.size(), 0u);
    test_ok(commit(put_of("b", "o", 7)));
    test_ok(add_sums("o", 6, {1})); // its previous content
    test_ok(get("b", "o"));
    test_true(seen->rows[0].sums.empty());
    test_ok(add_sums("o", 7, {2, 3}));
    test_ok(get("b", "o"));
    test_true((seen->rows[0].sums == std::vector<uint64_t>{2, 3}));
    test_ok(add_sums("o", 7, {})); // no sums were computed: nothing is stored, and nothing is lost
    test_ok(get("b", "o"));
    test_true((seen->rows[0].sums == std::vector<uint64_t>{2, 3}));
    test_ok(add_sums("none", 8, {4}));
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_field_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(missing_rows_are_said_to_be_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(overwrite_counts_versions_and_makes_garbage, setup, teardown),
        cmocka_unit_test_setup_teardown(garbage_and_placed_are_cleared, setup, teardown),
        cmocka_unit_test_setup_teardown(bucket_is_removed_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(usage_follows_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(usage_is_the_sum_of_the_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(contents_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(replaced_contents_make_no_garbage, setup, teardown),
        cmocka_unit_test_setup_teardown(contents_go_with_their_bucket, setup, teardown),
        cmocka_unit_test_setup_teardown(sums_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(sums_are_added_to_the_content_they_are_of, setup, teardown),
        cmocka_unit_test_setup_teardown(pages_are_ordered_bytewise, setup, teardown),
        cmocka_unit_test_setup_teardown(pages_cover_everything_once, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_complete_in_order_and_see_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(a_thousand_changes_are_grouped, setup, teardown),
        cmocka_unit_test_setup_teardown(committed_changes_are_read_at_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
