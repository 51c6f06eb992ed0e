// SPDX-License-Identifier: MIT
// test/contract/test_index_gone.cc: what the database remembers of objects that are gone, over restarts, upgrades and damage.
#include "index_file.h"

using namespace etlnode;

static void rows_of_version_4_may_be_of_any_epoch(void **)
{
    index_change change = put_of("b", "n", 1);
    change.row.tag = 7;
    test_ok(commit(change));
    test_ok(commit(change));
    world_end();
    run_sql(database(), back_to_version_4);
    world_begin(true);
    test_eq(ask_sql(database(), "PRAGMA user_version"), 6);
    test_ok(get("b", "n"));
    test_eq(seen->rows[0].version, 2u);
    test_eq(seen->rows[0].tag, 0u);
    test_eq(index_removed(*world->e).size(), 0u);
    test_eq(index_tombstone_count(*world->e), 0u);
    test_ok(commit(remove_of("b", "n")));
    test_eq(index_removed_max(*world->e, "b"), 2u);
}

// They are a row of the table of buckets now, and go on from there.
static void totals_of_version_4_are_kept(void **)
{
    for (uint64_t id : {uint64_t{5}, uint64_t{9}})
        test_ok(commit(put_of("b", "n" + std::to_string(id), id)));
    test_ok(commit(remove_of("b", "n9")));
    world_end();
    run_sql(database(), back_to_version_4);
    test_eq(ask_sql(database(), "SELECT count(*) FROM buckets"), 1);
    for (int start = 0; start < 2; start++) {
        world_begin(true);
        test_eq(index_object_count(*world->e), 1u);
        test_eq(index_content_id_max(*world->e), 9u);
        expect_usage({{"b", {1, 50}}});
        world_end();
        test_eq(ask_sql(database(), "SELECT count(*) FROM sqlite_schema WHERE name = 'totals'"), 0);
    }
    world_begin(true);
    test_ok(commit(put_of("c", "n", 12)));
    reopen();
    test_eq(index_object_count(*world->e), 2u);
    test_eq(index_content_id_max(*world->e), 12u);
    expect_usage({{"b", {1, 50}}, {"c", {1, 120}}});
}

// Without the highest id, new contents would take the ids of others.
static void a_database_without_totals_is_refused(void **)
{
    test_ok(commit(put_of("b", "n", 1)));
    world_end();
    run_sql(database(), back_to_version_4);
    run_sql(database(), "DELETE FROM totals");
    std::string detail;
    env *e = nullptr;
    test_eq_enum(uv_env_make(world_options(true), &e, detail).code, error_code::corrupt);
    test_has_text(detail, "the database lacks its totals");
    run_sql(database(), "INSERT INTO buckets VALUES(x'', 1, 0, 1, 1)");
    world_begin(true);
    test_ok(get("b", "n"));
}

static void version_5_counted_no_changes(void **)
{
    test_ok(commit(put_of("b", "n", 5)));
    world_end();
    run_sql(database(), "ALTER TABLE buckets DROP COLUMN changes; PRAGMA user_version = 5");
    world_begin(true);
    test_eq(ask_sql(database(), "PRAGMA user_version"), 6);
    test_eq(index_change_count(*world->e), 0u);
    test_eq(index_content_id_max(*world->e), 5u);
    test_ok(commit(remove_of("b", "n")));
    test_eq(index_change_count(*world->e), 1u);
}

// An upgrade that fails leaves version 4, which the former program can use.
static void an_upgrade_of_version_4_that_fails_changes_nothing(void **)
{
    test_ok(commit(put_of("b", "n", 1)));
    world_end();
    run_sql(database(), back_to_version_4);
    run_sql(database(), "CREATE TABLE removed(x)");
    std::string detail;
    env *e = nullptr;
    test_true(static_cast<bool>(uv_env_make(world_options(true), &e, detail)));
    test_eq(ask_sql(database(), "PRAGMA user_version"), 4);
    test_eq(ask_sql(database(), "SELECT count(*) FROM pragma_table_info('objects') WHERE name = 'tag'"), 0);
    run_sql(database(), "DROP TABLE removed");
    world_begin(true);
    test_ok(get("b", "n"));
}

static void what_is_known_of_the_gone_survives_reopening(void **)
{
    test_ok(commit(put_of("b", "n", 1)));
    test_ok(commit(put_of("b", "n", 2)));
    test_ok(commit(remove_of("b", "n")));
    index_change change = remove_of("b", "m");
    change.leaves_tombstone = true;
    change.row.tag = 5;
    test_ok(commit(change));
    test_ok(commit(put_of("c", "n", 3)));
    test_ok(commit(remove_of("c", "n")));
    test_ok(commit(remove_of("c", "")));
    reopen();
    test_eq(index_change_count(*world->e), 7u);
    test_eq(index_removed_max(*world->e, "b"), 2u);
    test_eq(index_removed(*world->e).size(), 1u);
    test_eq(index_tombstone_count(*world->e), 1u);
    index_lookup(*world->e, "b", "m", on_rows, nullptr);
    test_ok(awaited());
    test_true(seen->rows[0].is_tombstone);
    test_eq(seen->rows[0].version, 3u);
    test_eq(seen->rows[0].tag, 5u);
    test_ok(commit(put_of("b", "new", 4)));
    test_eq(seen->changes[0].row.version, 3u);
}

// A wrong floor could give a version twice.
static void a_damaged_floor_is_an_error(void **)
{
    test_ok(commit(put_of("b", "n", 1)));
    test_ok(commit(remove_of("b", "n")));
    for (const char *damage :
        {"UPDATE removed SET version_max = 'much'", "UPDATE removed SET version_max = -1", "UPDATE removed SET version_max = 0"}) {
        world_end();
        run_sql(database(), damage);
        std::string detail;
        env *e = nullptr;
        test_eq_enum(uv_env_make(world_options(true), &e, detail).code, error_code::corrupt);
        run_sql(database(), "UPDATE removed SET version_max = 1");
        world_begin(true);
    }
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_of_version_4_may_be_of_any_epoch, setup, teardown),
        cmocka_unit_test_setup_teardown(totals_of_version_4_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(version_5_counted_no_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_database_without_totals_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(an_upgrade_of_version_4_that_fails_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_known_of_the_gone_survives_reopening, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_floor_is_an_error, setup, teardown),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
