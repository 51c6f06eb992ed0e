// SPDX-License-Identifier: MIT
// test/contract/test_index_usage.cc: the sums of buckets in an index's file: kept over restarts, made by an upgrade, repaired.
#include "index_file.h"

using namespace etlnode;

static void usage_survives_reopening(void **)
{
    for (uint64_t id = 1; id <= 30; id++)
        start(put_of(id % 3 == 0 ? "c" : "b", "n" + std::to_string(id % 10), id));
    start(put_content("d", "n", 31, "abc"));
    test_ok(awaited(31));
    test_ok(commit(remove_of("b", "n1")));
    test_ok(commit(remove_of("d", "")));
    index_usage_map before = index_bucket_usage(*world->e);
    test_eq(before.size(), 2u);
    reopen();
    expect_usage(before);
    test_ok(commit(put_of("d", "n", 40)));
    before["d"] = {1, 400};
    reopen();
    expect_usage(before);
}

static void buckets_of_version_3_are_counted_once(void **)
{
    for (uint64_t id = 1; id <= 30; id++)
        start(put_of(id % 3 == 0 ? "c" : "b", "n" + std::to_string(id), id));
    test_ok(awaited(30));
    world_end();
    run_sql(database(), back_to_version_3);
    world_begin(true);
    test_eq(ask_sql(database(), "PRAGMA user_version"), 6);
    expect_usage({{"b", {20, 3000}}, {"c", {10, 1650}}});
    // From now on they are kept, not counted: a start reads what is there.
    world_end();
    run_sql(database(), "UPDATE buckets SET bytes = 7 WHERE bucket = x'62'");
    world_begin(true);
    expect_usage({{"b", {20, 7}}, {"c", {10, 1650}}});
}

// An upgrade that fails leaves version 3, which the former program can use.
static void an_upgrade_of_version_3_that_fails_changes_nothing(void **)
{
    test_ok(commit(put_of("b", "n", 1)));
    world_end();
    run_sql(database(), back_to_version_3);
    run_sql(database(), "CREATE TABLE buckets(x)");
    std::string detail;
    env *e = nullptr;
    test_true(static_cast<bool>(uv_env_make(world_options(true), &e, detail)));
    test_eq(ask_sql(database(), "PRAGMA user_version"), 3);
    run_sql(database(), "DROP TABLE buckets");
    world_begin(true);
    expect_usage({{"b", {1, 10}}});
}

static void sums_that_do_not_match_are_counted_again(void **)
{
    static constexpr const char *damages[] = {"UPDATE buckets SET objects = 5 WHERE bucket <> x''",
        "DELETE FROM buckets WHERE bucket <> x''", "UPDATE buckets SET bytes = 'much'",
        "UPDATE buckets SET objects = -1 WHERE bucket <> x''", "UPDATE buckets SET bytes = -1",
        "UPDATE buckets SET objects = 9 WHERE bucket = x''", "INSERT INTO buckets VALUES(x'63', 1, 1, 0, 0)"};
    test_ok(commit(put_of("b", "n", 1)));
    test_ok(commit(put_of("b", "m", 2)));
    for (const char *damage : damages) {
        world_end();
        run_sql(database(), damage);
        world_begin(true);
        expect_usage({{"b", {2, 30}}});
        test_eq(ask_sql(database(), "SELECT objects FROM buckets WHERE bucket = x''"), 2);
        test_eq(ask_sql(database(), "SELECT sum(bytes) FROM buckets WHERE bucket <> x''"), 30);
    }
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(usage_survives_reopening, setup, teardown),
        cmocka_unit_test_setup_teardown(buckets_of_version_3_are_counted_once, setup, teardown),
        cmocka_unit_test_setup_teardown(an_upgrade_of_version_3_that_fails_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(sums_that_do_not_match_are_counted_again, setup, teardown),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
