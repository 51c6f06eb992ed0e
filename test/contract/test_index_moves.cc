// SPDX-License-Identifier: MIT
// test/contract/test_index_moves.cc: versions, tombstones, and rows that come from other targets or go to them (port/index.h).
#include "index_world.h"

using namespace etlnode;

static index_change tombstone_of(const std::string &bucket, const std::string &name, uint64_t tag)
{
    index_change change = remove_of(bucket, name);
    change.leaves_tombstone = true;
    change.row.tag = tag;
    return change;
}

static index_change moved_of(const std::string &name, uint64_t content_id, uint64_t version, uint64_t origin_tag, uint64_t tag)
{
    index_change change = put_of("b", name, content_id);
    change.what = index_change::kind::put_moved;
    change.row.version = version;
    change.row.tag = tag;
    change.origin_tag = origin_tag;
    return change;
}

static index_change moved_tombstone_of(const std::string &name, uint64_t version, uint64_t origin_tag, uint64_t tag)
{
    index_change change = moved_of(name, 0, version, origin_tag, tag);
    change.row.is_tombstone = true;
    return change;
}

static index_change drop_of(const std::string &name)
{
    index_change change = remove_of("b", name);
    change.what = index_change::kind::drop_tombstone;
    return change;
}

static index_change raise_of(const std::string &bucket, uint64_t version)
{
    index_change change = put_of(bucket, "", 0);
    change.what = index_change::kind::raise_removed;
    change.row.version = version;
    return change;
}

static index_change expecting(index_change change, uint64_t version)
{
    change.has_expected = true;
    change.expected_version = version;
    return change;
}

static error lookup(const std::string &name)
{
    index_lookup(*world->e, "b", name, on_rows, nullptr);
    return awaited();
}

static void expect_row(const std::string &name, uint64_t content_id, uint64_t version, uint64_t tag)
{
    test_ok(lookup(name));
    test_eq(seen->rows.size(), 1u);
    test_true(!seen->rows[0].is_tombstone);
    test_eq(seen->rows[0].content_id, content_id);
    test_eq(seen->rows[0].version, version);
    test_eq(seen->rows[0].tag, tag);
    test_ok(get("b", name));
    test_eq(seen->rows[0].version, version);
    test_eq(seen->rows[0].tag, tag);
}

static void expect_tombstone(const std::string &name, uint64_t version, uint64_t tag)
{
    test_eq_enum(get("b", name).code, error_code::object_not_found);
    test_ok(lookup(name));
    test_eq(seen->rows.size(), 1u);
    test_true(seen->rows[0].is_tombstone);
    test_eq_text(seen->rows[0].bucket, "b");
    test_eq_text(seen->rows[0].name, name);
    test_eq(seen->rows[0].version, version);
    test_eq(seen->rows[0].tag, tag);
}

static void expect_nothing(const std::string &name)
{
    test_eq_enum(get("b", name).code, error_code::object_not_found);
    test_eq_enum(lookup(name).code, error_code::object_not_found);
}

static void rows_keep_the_tag_of_their_commit(void **)
{
    index_change change = put_of("b", "n", 1);
    change.row.tag = 7;
    test_ok(commit(change));
    expect_row("n", 1, 1, 7);
    change = put_of("b", "n", 2);
    change.row.tag = 9;
    test_ok(commit(change));
    test_eq(seen->changes[0].before.tag, 7u);
    expect_row("n", 2, 2, 9);
    index_page(*world->e, "b", "", "", 10, on_rows, nullptr);
    test_ok(awaited());
    test_eq(seen->rows[0].tag, 9u);
    test_true(!seen->rows[0].is_tombstone);
}

static void versions_are_above_what_the_caller_has_learnt(void **)
{
    index_change change = put_of("b", "n", 1);
    change.version_above = uint64_t{1} << 32;
    test_ok(commit(change));
    test_eq(seen->changes[0].row.version, (uint64_t{1} << 32) + 1);
    change = put_of("b", "n", 2);
    change.version_above = 5; // below what is here
    test_ok(commit(change));
    test_eq(seen->changes[0].row.version, (uint64_t{1} << 32) + 2);
    change = tombstone_of("b", "n", 1);
    change.version_above = uint64_t{1} << 33;
    test_ok(commit(change));
    test_eq(seen->changes[0].row.version, (uint64_t{1} << 33) + 1);
}

static void removals_for_good_raise_the_floor_of_their_bucket(void **)
{
    test_eq(index_removed_max(*world->e, "b"), 0u);
    test_eq(index_removed(*world->e).size(), 0u);
    for (uint64_t id = 1; id <= 5; id++)
        test_ok(commit(put_of("b", "five", id)));
    test_ok(commit(put_of("b", "one", 6)));
    test_ok(commit(remove_of("b", "one")));
    test_eq(index_removed_max(*world->e, "b"), 1u);
    test_ok(commit(remove_of("b", "five")));
    test_eq(index_removed_max(*world->e, "b"), 5u);
    test_eq_enum(commit(remove_of("b", "five")).code, error_code::object_not_found);
    test_ok(commit(put_of("b", "one", 7)));
    test_eq(seen->changes[0].row.version, 6u);
    // Another target's removals.
    test_ok(commit(raise_of("b", 20)));
    test_ok(commit(raise_of("b", 10)));
    test_ok(commit(raise_of("c", 3)));
    test_eq(index_removed_max(*world->e, "b"), 20u);
    test_eq(index_removed_max(*world->e, "c"), 3u);
    test_eq(index_removed(*world->e).size(), 2u);
    test_ok(commit(put_of("b", "new", 8)));
    test_eq(seen->changes[0].row.version, 21u);
    // They go with the bucket, whose versions begin anew.
    test_ok(commit(remove_of("b", "")));
    test_eq(index_removed_max(*world->e, "b"), 0u);
    test_eq(index_removed(*world->e).size(), 1u);
    test_ok(commit(put_of("b", "new", 9)));
    test_eq(seen->changes[0].row.version, 1u);
}

static void the_floor_changes_within_a_transaction(void **)
{
    start(put_of("b", "n", 1));
    start(put_of("b", "n", 2));
    start(remove_of("b", "n"));
    start(put_of("b", "m", 3));
    start(remove_of("b", ""));
    start(put_of("b", "m", 4));
    (void)awaited(6);
    test_eq(seen->changes[3].row.version, 3u);
    test_eq(seen->changes[5].row.version, 1u);
    test_eq(index_removed_max(*world->e, "b"), 0u);
}

static void a_tombstone_takes_the_place_of_its_row(void **)
{
    test_ok(commit(put_of("b", "n", 1)));
    test_ok(commit(tombstone_of("b", "n", 4)));
    test_eq(seen->changes[0].before.content_id, 1u);
    test_eq(seen->changes[0].row.version, 2u);
    expect_tombstone("n", 2, 4);
    expect_content_ids(index_garbage, {1});
    test_eq(index_object_count(*world->e), 0u);
    test_eq(index_tombstone_count(*world->e), 1u);
    test_eq(index_removed_max(*world->e, "b"), 0u); // its version is not gone
    // Neither a plain removal nor a second tombstone finds an object.
    test_eq_enum(commit(remove_of("b", "n")).code, error_code::object_not_found);
    test_ok(commit(tombstone_of("b", "n", 5)));
    test_true(seen->changes[0].before.is_tombstone);
    expect_tombstone("n", 3, 5);
    test_eq(index_tombstone_count(*world->e), 1u);
    // A put is newer.
    test_ok(commit(put_of("b", "n", 2)));
    test_true(seen->changes[0].before.is_tombstone);
    test_eq(seen->changes[0].before.version, 3u);
    expect_row("n", 2, 4, 0);
    test_eq(index_tombstone_count(*world->e), 0u);
    test_eq(index_object_count(*world->e), 1u);
    // Also where there was no object.
    test_ok(commit(tombstone_of("b", "never", 6)));
    test_eq(seen->changes[0].before.version, 0u);
    expect_tombstone("never", 1, 6);
}

static void dropped_tombstones_raise_the_floor(void **)
{
    test_ok(commit(put_of("b", "n", 1)));
    test_eq_enum(commit(drop_of("n")).code, error_code::object_not_found);
    test_ok(commit(tombstone_of("b", "n", 4)));
    test_eq_enum(commit(expecting(drop_of("n"), 1)).code, error_code::conflict);
    expect_tombstone("n", 2, 4);
    test_ok(commit(expecting(drop_of("n"), 2)));
    expect_nothing("n");
    test_eq(index_tombstone_count(*world->e), 0u);
    test_eq(index_removed_max(*world->e, "b"), 2u);
    test_eq_enum(commit(drop_of("n")).code, error_code::object_not_found);
    test_ok(commit(put_of("b", "n", 2)));
    test_eq(seen->changes[0].row.version, 3u);
    // What went to another target is not gone.
    test_ok(commit(tombstone_of("b", "n", 4)));
    index_change change = expecting(drop_of("n"), 4);
    change.is_moved = true;
    test_ok(commit(change));
    test_eq(index_removed_max(*world->e, "b"), 2u);
}

static void tombstones_go_with_their_bucket(void **)
{
    test_ok(commit(tombstone_of("b", "n", 1)));
    test_ok(commit(tombstone_of("c", "n", 1)));
    test_ok(commit(remove_of("b", "")));
    expect_nothing("n");
    test_eq(index_tombstone_count(*world->e), 1u);
}

static void conditions_are_judged_on_what_is_there(void **)
{
    test_eq_enum(commit(expecting(put_of("b", "n", 1), 1)).code, error_code::conflict);
    test_eq(seen->changes[0].before.version, 0u);
    test_ok(commit(expecting(put_of("b", "n", 1), 0))); // create only
    test_eq_enum(commit(expecting(put_of("b", "n", 2), 0)).code, error_code::conflict);
    test_eq(seen->changes[0].before.version, 1u);
    expect_row("n", 1, 1, 0);
    expect_content_ids(index_garbage, {});
    test_eq(index_content_id_max(*world->e), 1u);
    test_ok(commit(expecting(put_of("b", "n", 3), 1)));
    test_eq_enum(commit(expecting(remove_of("b", "n"), 1)).code, error_code::conflict);
    test_ok(commit(expecting(tombstone_of("b", "n", 1), 2)));
    test_eq_enum(commit(expecting(put_of("b", "n", 4), 0)).code, error_code::conflict); // a tombstone has a version, too
    test_ok(commit(expecting(put_of("b", "n", 5), 3)));
    expect_row("n", 5, 4, 0);
    // Two of one transaction: the second sees the first.
    start(expecting(put_of("b", "m", 6), 0));
    start(expecting(put_of("b", "m", 7), 0));
    seen->errs.clear();
    (void)awaited(2);
    test_ok(seen->errs[0]);
    test_eq_enum(seen->errs[1].code, error_code::conflict);
}

static void a_moved_row_keeps_its_version(void **)
{
    test_ok(commit(moved_of("n", 1, 40, 3, 9)));
    expect_row("n", 1, 40, 9);
    expect_content_ids(index_pending_moves, {1});
    test_eq(index_object_count(*world->e), 1u);
    test_eq_enum(commit(moved_of("n", 2, 40, 3, 9)).code, error_code::conflict); // doubled, or late
    test_eq(seen->changes[0].before.version, 40u);
    test_eq_enum(commit(moved_of("n", 3, 39, 9, 9)).code, error_code::conflict);
    expect_row("n", 1, 40, 9);
    expect_content_ids(index_pending_moves, {1});
    test_ok(commit(moved_of("n", 4, 41, 3, 9)));
    expect_row("n", 4, 41, 9);
    expect_content_ids(index_garbage, {1});
    test_ok(commit(put_of("b", "n", 5)));
    expect_row("n", 5, 42, 0);
    test_eq_enum(commit(moved_of("n", 6, 41, 9, 9)).code, error_code::conflict); // the client's write is newer
}

// A commit that failed may come back with a restart, under a version that another target has given meanwhile, in a later epoch.
static void of_equal_versions_the_higher_tag_wins(void **)
{
    test_ok(commit(moved_of("n", 1, 5, 2, 2)));
    test_ok(commit(moved_of("n", 2, 5, 3, 4)));
    expect_row("n", 2, 5, 4);
    test_eq_enum(commit(moved_of("n", 3, 5, 4, 4)).code, error_code::conflict);
    test_eq_enum(commit(moved_of("n", 3, 5, 2, 4)).code, error_code::conflict);
}

static void moved_tombstones_beat_older_rows(void **)
{
    test_ok(commit(put_of("b", "n", 1)));
    test_ok(commit(moved_tombstone_of("n", 7, 2, 9)));
    expect_tombstone("n", 7, 9);
    expect_content_ids(index_garbage, {1});
    test_eq_enum(commit(moved_of("n", 2, 6, 9, 9)).code, error_code::conflict); // a late copy does not come back
    test_eq_enum(commit(moved_tombstone_of("n", 7, 2, 9)).code, error_code::conflict);
    test_ok(commit(moved_of("n", 3, 8, 2, 9)));
    expect_row("n", 3, 8, 9);
    test_eq(index_tombstone_count(*world->e), 0u);
    test_eq_enum(commit(moved_tombstone_of("n", 7, 9, 9)).code, error_code::conflict);
    expect_row("n", 3, 8, 9);
}

// It has a size, and nothing else is left of its content (store/set_aside.h).
static void a_row_may_lack_its_content(void **)
{
    index_change damaged = moved_of("o", 0, 5, 1, 2);
    damaged.row.size = 700;
    test_ok(commit(damaged));
    expect_row("o", 0, 5, 2);
    test_eq(seen->rows[0].size, 700);
    test_ok(commit(put_of("b", "o", 9)));
    expect_row("o", 9, 6, 0);
    damaged.row.version = 7;
    test_ok(commit(damaged)); // what it replaces becomes garbage
    expect_row("o", 0, 7, 2);
    test_ok(commit(remove_of("b", "o")));
    expect_nothing("o");
}

static void a_row_that_was_given_away_leaves_no_trace(void **)
{
    test_ok(commit(put_of("b", "n", 1)));
    index_change change = expecting(remove_of("b", "n"), 1);
    change.is_moved = true;
    test_ok(commit(change));
    expect_nothing("n");
    expect_content_ids(index_garbage, {1});
    test_eq(index_removed_max(*world->e, "b"), 0u);
    // Overwritten meanwhile: it stays.
    test_ok(commit(put_of("b", "n", 2)));
    test_ok(commit(put_of("b", "n", 3)));
    test_eq_enum(commit(change).code, error_code::conflict);
    expect_row("n", 3, 2, 0);
}

static void expect_all(const std::string &prefix, const std::string &after, size_t count, const std::vector<std::string> &names)
{
    index_page_all(*world->e, "b", prefix, after, count, on_rows, nullptr);
    test_ok(awaited());
    test_eq(seen->rows.size(), names.size());
    for (size_t i = 0; i < names.size(); i++) {
        bool is_tombstone = names[i].starts_with("-");
        test_true(seen->rows[i].is_tombstone == is_tombstone);
        test_eq_text(seen->rows[i].name, names[i].substr(is_tombstone ? 1 : 0));
        test_true(seen->rows[i].version > 0);
    }
}

static void pages_show_tombstones_where_they_are_asked_for(void **)
{
    for (const char *name : {"a/1", "a/2", "a/3", "b", "c\xff"})
        test_ok(commit(put_of("b", name, 1)));
    for (const char *name : {"a/2", "a/4", "b", "\xff"})
        test_ok(commit(tombstone_of("b", name, 2)));
    test_ok(commit(tombstone_of("other", "a/5", 2)));
    expect_names("", "", 100, {"a/1", "a/3", "c\xff"});
    expect_all("", "", 100, {"a/1", "-a/2", "a/3", "-a/4", "-b", "c\xff", "-\xff"});
    expect_all("", "", 2, {"a/1", "-a/2"});
    expect_all("", "a/2", 3, {"a/3", "-a/4", "-b"});
    expect_all("a/", "", 100, {"a/1", "-a/2", "a/3", "-a/4"});
    expect_all("a/", "a/1", 2, {"-a/2", "a/3"});
    expect_all("\xff", "", 100, {"-\xff"});
    expect_all("none", "", 100, {});
    expect_all("", "", 0, {});
}

static void lookups_return_contents(void **)
{
    test_ok(commit(put_content("b", "n", 1, "abc")));
    test_ok(lookup("n"));
    test_true(seen->rows[0].content == "abc");
    test_ok(commit(put_summed("b", "m", 2, {5, 6})));
    test_ok(lookup("m"));
    test_true((seen->rows[0].sums == std::vector<uint64_t>{5, 6}));
}

// An index that was restored from a copy is known by what it has not seen.
static void every_change_is_counted(void **)
{
    index_change refused = put_of("b", "n", 9);
    refused.has_expected = true;
    refused.expected_version = 8;
    struct counted {
        index_change change;
        uint64_t adds;
    };
    counted rows[] = {
        {put_of("b", "n", 1), 1},
        {put_of("b", "n", 1), 1}, // the same content: only what is known about it changes
        {put_content("b", "m", 2, "abc"), 1},
        {refused, 0},
        {remove_of("b", "n"), 1},
        {remove_of("b", "n"), 0},
        {tombstone_of("b", "t", 3), 1},
        {moved_of("in", 3, 7, 2, 4), 1},
        {moved_of("in", 3, 7, 2, 4), 0},
        {moved_tombstone_of("in", 8, 2, 4), 1},
        {drop_of("t"), 1},
        {drop_of("t"), 0},
        {raise_of("b", 20), 1},
        {raise_of("b", 20), 0},
        {remove_of("b", ""), 1},
    };
    uint64_t expected = 0;
    test_eq(index_change_count(*world->e), 0u);
    for (counted &row : rows) {
        error err = commit(row.change);
        test_true(row.adds == 0 || !err);
        expected += row.adds;
        test_eq(index_change_count(*world->e), expected);
    }
    // Those of one transaction are counted one by one.
    for (uint64_t id = 11; id <= 20; id++)
        start(put_of("b", "n" + std::to_string(id), id));
    test_ok(awaited(10));
    test_eq(index_change_count(*world->e), expected + 10);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_keep_the_tag_of_their_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(versions_are_above_what_the_caller_has_learnt, setup, teardown),
        cmocka_unit_test_setup_teardown(removals_for_good_raise_the_floor_of_their_bucket, setup, teardown),
        cmocka_unit_test_setup_teardown(the_floor_changes_within_a_transaction, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tombstone_takes_the_place_of_its_row, setup, teardown),
        cmocka_unit_test_setup_teardown(dropped_tombstones_raise_the_floor, setup, teardown),
        cmocka_unit_test_setup_teardown(tombstones_go_with_their_bucket, setup, teardown),
        cmocka_unit_test_setup_teardown(conditions_are_judged_on_what_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(a_moved_row_keeps_its_version, setup, teardown),
        cmocka_unit_test_setup_teardown(of_equal_versions_the_higher_tag_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(moved_tombstones_beat_older_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(a_row_may_lack_its_content, setup, teardown),
        cmocka_unit_test_setup_teardown(a_row_that_was_given_away_leaves_no_trace, setup, teardown),
        cmocka_unit_test_setup_teardown(pages_show_tombstones_where_they_are_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(lookups_return_contents, setup, teardown),
        cmocka_unit_test_setup_teardown(every_change_is_counted, setup, teardown),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
