// SPDX-License-Identifier: MIT
// test/contract/test_index.cc: what port/index.h promises, and what opening a data directory refuses. Compiled with CONTRACT_SIMULATED, the
// cases that are not about a file run on the index of the memory world, which the simulator and the store's tests use.
//
// With "--commit DIR" it is the child of the kill -9 case: it commits for ever and prints what has been acknowledged.
#include "contract_world.h"

#include <csignal>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <vector>

#include "port/index.h"

using namespace etlnode;

struct index_seen {
    int calls = 0;
    error err;
    std::vector<index_row> rows;
    std::vector<index_change> changes;
    std::vector<error> errs;
    std::vector<uint64_t> content_ids;
};
static index_seen *seen;

static int setup(void **state)
{
    seen = new index_seen;
    return world_setup_index(state);
}

static int teardown(void **state)
{
    delete seen;
    return world_teardown(state);
}

#ifndef CONTRACT_SIMULATED
static void reopen()
{
    world_end();
    world_begin(true);
}
#endif

static void on_rows(void *, error err, std::vector<index_row> rows)
{
    seen->calls++;
    seen->err = err;
    seen->rows = std::move(rows);
}

static void on_change(void *, error err, index_change &change)
{
    seen->calls++;
    seen->err = err;
    seen->errs.push_back(err);
    seen->changes.push_back(change);
}

static void on_content_ids(void *, error err, const std::vector<uint64_t> &content_ids)
{
    seen->calls++;
    seen->err = err;
    seen->content_ids = content_ids;
}

static void on_done(void *, error err)
{
    seen->calls++;
    seen->err = err;
}

static error awaited(int calls = 1)
{
    test_eq(seen->calls, 0); // never before the call has returned
    test_true(world_until([calls] { return seen->calls >= calls; }, 60'000));
    world_pass(1);
    test_eq(seen->calls, calls);
    seen->calls = 0;
    return seen->err;
}

static index_change put_of(const std::string &bucket, const std::string &name, uint64_t content_id)
{
    index_change change;
    change.what = index_change::kind::put;
    change.row.bucket = bucket;
    change.row.name = name;
    change.row.content_id = content_id;
    change.row.size = content_id * 10;
    return change;
}

static index_change put_content(const std::string &bucket, const std::string &name, uint64_t content_id, const std::string &content)
{
    index_change change = put_of(bucket, name, content_id);
    change.row.in_index = true;
    change.row.size = content.size();
    change.row.content = content;
    return change;
}

static index_change remove_of(const std::string &bucket, const std::string &name)
{
    index_change change;
    change.what = name.empty() ? index_change::kind::remove_bucket : index_change::kind::remove;
    change.row.bucket = bucket;
    change.row.name = name;
    return change;
}

static void start(index_change change) { index_commit(*world->e, std::move(change), on_change, nullptr); }

static error commit(index_change change)
{
    seen->changes.clear();
    seen->errs.clear();
    start(std::move(change));
    return awaited();
}

static error get(const std::string &bucket, const std::string &name)
{
    index_get(*world->e, bucket, name, on_rows, nullptr);
    return awaited();
}

static void expect_names(const std::string &prefix, const std::string &after, size_t count, const std::vector<std::string> &names)
{
    index_page(*world->e, "b", prefix, after, count, on_rows, nullptr);
    test_ok(awaited());
    test_eq(seen->rows.size(), names.size());
    for (size_t i = 0; i < names.size(); i++)
        test_eq_text(seen->rows[i].name, names[i]);
}

static void expect_content_ids(void (*ask)(env &, index_on_garbage, void *), const std::vector<uint64_t> &content_ids)
{
    ask(*world->e, on_content_ids, nullptr);
    test_ok(awaited());
    test_eq(seen->content_ids.size(), content_ids.size());
    for (size_t i = 0; i < content_ids.size(); i++)
        test_eq(seen->content_ids[i], content_ids[i]);
}

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
    // A new object starts at version 1.
    test_ok(commit(put_of("b", "n", 4)));
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

// Contents in the index.

static void expect_content(const std::string &name, const std::string &content)
{
    test_ok(get("b", name));
    test_eq(seen->rows.size(), 1u);
    test_true(seen->rows[0].in_index);
    test_eq(seen->rows[0].size, content.size());
    test_true(seen->rows[0].content == content);
}

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
    test_eq(seen->changes[4].row.version, 1u);
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

static index_change put_summed(const std::string &bucket, const std::string &name, uint64_t content_id, std::vector<uint64_t> sums)
{
    index_change change = put_of(bucket, name, content_id);
    change.row.sums = static_cast<std::vector<uint64_t> &&>(sums);
    return change;
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

static error add_sums(const std::string &name, uint64_t content_id, std::vector<uint64_t> sums)
{
    index_row row;
    row.bucket = "b";
    row.name = name;
    row.content_id = content_id;
    row.sums = static_cast<std::vector<uint64_t> &&>(sums);
    index_sums_add(*world->e, row, on_done, nullptr);
    return awaited();
}

static error list_unsummed(uint64_t after_id = 0, size_t count = 10)
{
    index_unsummed(*world->e, after_id, count, on_rows, nullptr);
    return awaited();
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

#ifndef CONTRACT_SIMULATED // the rest is about the file

static std::string database() { return world->dir + "/data/node.db"; }

static void run_sql(const std::string &path, const char *sql)
{
    sqlite3 *db = nullptr;
    test_eq(sqlite3_open(path.c_str(), &db), SQLITE_OK);
    test_eq(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), SQLITE_OK);
    test_eq(sqlite3_close(db), SQLITE_OK);
}

static int64_t ask_sql(const std::string &path, const char *sql)
{
    sqlite3 *db = nullptr;
    sqlite3_stmt *statement = nullptr;
    test_eq(sqlite3_open(path.c_str(), &db), SQLITE_OK);
    test_eq(sqlite3_prepare_v2(db, sql, -1, &statement, nullptr), SQLITE_OK);
    test_eq(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    test_eq(sqlite3_close(db), SQLITE_OK);
    return number;
}

static void the_file_holds_what_rows_name(void **)
{
    for (uint64_t id = 1; id <= 40; id++) {
        std::string bucket = id % 4 == 0 ? "gone" : "b";
        std::string name = "n" + std::to_string(id % 16);
        start(id % 5 == 0 ? put_of(bucket, name, id) : put_content(bucket, name, id, std::string(id * 300, 'c')));
    }
    start(remove_of("b", "n1"));
    start(remove_of("gone", ""));
    (void)awaited(42);
    reopen();
    test_true(ask_sql(database(), "SELECT count(*) FROM contents") > 5);
    test_eq(
        ask_sql(database(), "SELECT count(*) FROM contents WHERE content_id NOT IN (SELECT content_id FROM objects WHERE in_index)"), 0);
    test_eq(ask_sql(database(), "SELECT count(*) FROM objects WHERE in_index AND content_id NOT IN (SELECT content_id FROM contents)"), 0);
    test_eq(ask_sql(database(), "SELECT count(*) FROM garbage WHERE content_id % 5 <> 0"), 0);
}

static void sums_go_with_their_content(void **)
{
    for (uint64_t id = 1; id <= 40; id++)
        start(put_summed(id % 4 == 0 ? "gone" : "b", "n" + std::to_string(id % 16), id, {id, id}));
    start(remove_of("b", "n1"));
    start(remove_of("gone", ""));
    (void)awaited(42);
    reopen();
    test_true(ask_sql(database(), "SELECT count(*) FROM sums") > 5);
    test_eq(ask_sql(database(), "SELECT count(*) FROM sums WHERE content_id NOT IN (SELECT content_id FROM objects)"), 0);
    test_eq(ask_sql(database(), "SELECT count(*) FROM objects WHERE content_id NOT IN (SELECT content_id FROM sums)"), 0);
}

// A damaged list has a different number of sums, or different sums. Either way the content does not pass as good.
static void damaged_sums_are_reported_as_they_are(void **)
{
    test_ok(commit(put_summed("b", "o", 7, {1, 2})));
    world_end();
    run_sql(database(), "UPDATE sums SET bytes = x'010000000000000002'");
    world_begin(true);
    test_ok(get("b", "o"));
    test_true((seen->rows[0].sums == std::vector<uint64_t>{1, 2}));
    world_end();
    run_sql(database(), "UPDATE sums SET bytes = x'0100000000000000020000000000000001'");
    world_begin(true);
    test_ok(get("b", "o"));
    test_eq(seen->rows[0].sums.size(), 3u);
}

static void damaged_contents_are_corrupt(void **)
{
    for (uint64_t id = 1; id <= 3; id++)
        test_ok(commit(put_content("b", "n" + std::to_string(id), id, "content")));
    world_end();
    run_sql(database(), "DELETE FROM contents WHERE content_id = 1; UPDATE contents SET bytes = x'00' WHERE content_id = 2");
    world_begin(true);
    for (const char *name : {"n1", "n2"}) {
        test_eq_enum(get("b", name).code, error_code::corrupt);
        test_eq(seen->rows.size(), 0u);
    }
    expect_content("n3", "content");
    test_ok(commit(remove_of("b", "n1")));
    test_ok(commit(put_content("b", "n2", 4, "again")));
    expect_content("n2", "again");
}

// As version 1 wrote it.
static constexpr const char *version_1 =
    "PRAGMA journal_mode = WAL;"
    "CREATE TABLE objects(bucket BLOB NOT NULL, name BLOB NOT NULL, content_id INTEGER NOT NULL, size INTEGER NOT NULL,"
    " version INTEGER NOT NULL, checksum INTEGER NOT NULL, changed_ns INTEGER NOT NULL, content_type BLOB NOT NULL, etag BLOB NOT NULL,"
    " custom BLOB NOT NULL, parts BLOB NOT NULL, PRIMARY KEY(bucket, name)) WITHOUT ROWID;"
    "CREATE TABLE garbage(content_id INTEGER PRIMARY KEY);"
    "CREATE TABLE unplaced(content_id INTEGER PRIMARY KEY);"
    "CREATE TABLE meta(name BLOB PRIMARY KEY, version INTEGER NOT NULL, text BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE totals(id INTEGER PRIMARY KEY CHECK(id = 1), objects INTEGER NOT NULL, content_id_max INTEGER NOT NULL);"
    "INSERT INTO objects VALUES(x'62', x'6f', 5, 50, 3, 77, 123, x'74', x'65', x'63', x'');"
    "INSERT INTO objects VALUES(x'62', x'70', 6, 60, 1, 78, 124, x'', x'', x'', x'');"
    "INSERT INTO objects VALUES(x'62', x'71', 0, 0, 1, 79, 125, x'', x'', x'', x'');"
    "INSERT INTO garbage VALUES(4);"
    "INSERT INTO unplaced VALUES(6);"
    "INSERT INTO meta VALUES(x'6e6f6465', 2, x'7b7d');"
    "INSERT INTO totals VALUES(1, 3, 9);"
    "PRAGMA user_version = 1;";

static void expect_version_1_content()
{
    test_eq(index_object_count(*world->e), 3u);
    test_eq(index_content_id_max(*world->e), 9u);
    expect_content_ids(index_garbage, {4});
    expect_content_ids(index_pending_moves, {6});
    test_ok(get("b", "o"));
    const index_row &row = seen->rows[0];
    test_eq(row.content_id, 5u);
    test_eq(row.size, 50u);
    test_eq(row.version, 3u);
    test_eq(row.checksum, 77u);
    test_eq(row.changed_ns, 123u);
    test_eq_text(row.content_type, "t");
    test_eq_text(row.etag, "e");
    test_eq_text(row.custom, "c");
    test_true(!row.in_index);
    expect_names("", "", 10, {"o", "p", "q"});
}

static void version_1_is_upgraded(void **)
{
    world_end();
    test_eq(unlink(database().c_str()), 0);
    run_sql(database(), version_1);
    world_begin(true);
    expect_version_1_content();
    reopen(); // once
    expect_version_1_content();
    test_eq(ask_sql(database(), "PRAGMA user_version"), 3);
    test_ok(commit(put_content("b", "o", 10, "new")));
    test_eq(seen->changes[0].row.version, 4u);
    expect_content("o", "new");
    expect_content_ids(index_garbage, {4, 5});
    test_ok(commit(remove_of("b", "")));
    test_eq(index_object_count(*world->e), 0u);
    expect_content_ids(index_garbage, {4, 5, 6});
    test_eq(ask_sql(database(), "SELECT count(*) FROM contents"), 0);
}

// As version 2 wrote it, after an upgrade from version 1.
static constexpr const char *version_2 = "ALTER TABLE objects ADD COLUMN in_index INTEGER NOT NULL DEFAULT 0;"
                                         "CREATE TABLE contents(content_id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
                                         "INSERT INTO objects VALUES(x'62', x'72', 8, 3, 1, 80, 126, x'', x'', x'', x'', 1);"
                                         "INSERT INTO contents VALUES(8, x'616263');"
                                         "UPDATE totals SET objects = 4;"
                                         "PRAGMA user_version = 2;";

static void expect_unsummed(const std::vector<uint64_t> &ids)
{
    test_ok(list_unsummed());
    test_eq(seen->rows.size(), ids.size());
    for (size_t i = 0; i < ids.size(); i++)
        test_eq(seen->rows[i].content_id, ids[i]);
}

static void files_of_version_2_get_their_sums(void **)
{
    world_end();
    test_eq(unlink(database().c_str()), 0);
    run_sql(database(), version_1);
    run_sql(database(), version_2);
    world_begin(true);
    test_eq(ask_sql(database(), "PRAGMA user_version"), 3);
    expect_content("r", "abc");
    expect_unsummed({5, 6}); // neither the empty object nor the content in the index
    test_eq_text(seen->rows[0].bucket, "b");
    test_eq_text(seen->rows[0].name, "o");
    test_eq(seen->rows[0].size, 50u);
    test_eq(seen->rows[0].checksum, 77u);
    test_eq(seen->rows[0].version, 3u);
    test_ok(list_unsummed(0, 1));
    test_eq(seen->rows.size(), 1u);
    test_ok(list_unsummed(5));
    test_eq(seen->rows.size(), 1u);
    test_eq(seen->rows[0].content_id, 6u);
    test_ok(add_sums("o", 5, {55}));
    expect_unsummed({6});
    reopen();
    expect_unsummed({6});
    test_ok(get("b", "o"));
    test_true(seen->rows[0].sums == std::vector<uint64_t>{55});
    // Overwritten meanwhile: reported as gone, and removed from the list afterwards.
    test_ok(commit(put_summed("b", "p", 20, {66})));
    expect_unsummed({6});
    test_eq(seen->rows[0].version, 0u);
    test_eq_text(seen->rows[0].name, "p");
    test_ok(add_sums("p", 6, {}));
    expect_unsummed({});
    test_ok(get("b", "p"));
    test_true(seen->rows[0].sums == std::vector<uint64_t>{66});
}

// An upgrade happens as a whole or not at all. Here its second statement is refused.
static void an_upgrade_that_fails_changes_nothing(void **)
{
    world_end();
    test_eq(unlink(database().c_str()), 0);
    run_sql(database(), version_1);
    run_sql(database(), "CREATE TABLE contents(x)");
    std::string detail;
    env *e = nullptr;
    test_true(static_cast<bool>(uv_env_make(world_options(true), &e, detail)));
    test_has_text(detail, database());
    test_eq(ask_sql(database(), "PRAGMA user_version"), 1);
    test_eq(ask_sql(database(), "SELECT count(*) FROM pragma_table_info('objects')"), 11);
    run_sql(database(), "DROP TABLE contents");
    world_begin(true);
    expect_version_1_content();
}

static void an_upgrade_of_version_2_that_fails_changes_nothing(void **)
{
    world_end();
    test_eq(unlink(database().c_str()), 0);
    run_sql(database(), version_1);
    run_sql(database(), version_2);
    run_sql(database(), "CREATE TABLE unsummed(x)");
    std::string detail;
    env *e = nullptr;
    test_true(static_cast<bool>(uv_env_make(world_options(true), &e, detail)));
    test_eq(ask_sql(database(), "PRAGMA user_version"), 2);
    test_eq(ask_sql(database(), "SELECT count(*) FROM sqlite_schema WHERE name = 'sums'"), 0);
    run_sql(database(), "DROP TABLE unsummed");
    world_begin(true);
    expect_unsummed({5, 6});
}

// Durability.

static void everything_survives_reopening(void **)
{
    for (uint64_t id = 1; id <= 20; id++)
        start(put_of("b", "n" + std::to_string(id % 10), id));
    test_ok(awaited(20));
    reopen();
    test_eq(index_object_count(*world->e), 10u);
    test_eq(index_content_id_max(*world->e), 20u);
    test_ok(get("b", "n3"));
    test_eq(seen->rows[0].version, 2u);
    test_eq(seen->rows[0].content_id, 13u);
    expect_content_ids(index_garbage, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
    // The highest id stays known after its row and its garbage are gone.
    test_ok(commit(put_of("b", "last", 1000)));
    test_ok(commit(remove_of("b", "last")));
    index_garbage_clear(*world->e, {1000}, on_done, nullptr);
    test_ok(awaited());
    reopen();
    test_eq(index_content_id_max(*world->e), 1000u);
    // The same holds for a content in the index.
    test_ok(commit(put_content("b", "kept", 1001, "kept content")));
    test_ok(commit(put_content("b", "last", 1002, "x")));
    test_ok(commit(remove_of("b", "last")));
    reopen();
    test_eq(index_content_id_max(*world->e), 1002u);
    expect_content("kept", "kept content");
}

static int commit_for_ever(const char *dir)
{
    uv_env_options options;
    options.data_dir = dir;
    std::string detail;
    static env *e;
    if (uv_env_make(options, &e, detail))
        return 1;
    static uint64_t next;
    next = 1;
    static void (*more)() = [] {
        std::string name = "n" + std::to_string(next);
        index_commit(
            *e, next % 2 == 0 ? put_of("b", name, next) : put_content("b", name, next, std::string(next, 'c')),
            [](void *, error err, index_change &change) {
                if (err)
                    _exit(2);
                uint64_t id = change.row.content_id;
                if (write(STDOUT_FILENO, &id, sizeof id) != static_cast<ssize_t>(sizeof id))
                    _exit(3);
                more();
            },
            nullptr);
        next++;
    };
    for (int i = 0; i < 10; i++)
        more();
    uv_env_run(*e);
    return 0;
}

static void acknowledged_changes_survive_kill_9(void **)
{
    world_end();
    uint64_t acknowledged = 0;
    for (int round = 0; round < 3; round++) {
        std::string dir = world->dir + "/killed" + std::to_string(round);
        int fds[2];
        test_eq(pipe2(fds, O_CLOEXEC), 0);
        pid_t child = fork();
        if (child == 0) {
            dup2(fds[1], STDOUT_FILENO);
            execl("/proc/self/exe", "test-index", "--commit", dir.c_str(), nullptr);
            _exit(127);
        }
        close(fds[1]);
        acknowledged = 0;
        uint64_t id = 0;
        for (int i = 0; i < 100 + 57 * round && read(fds[0], &id, sizeof id) == static_cast<ssize_t>(sizeof id); i++)
            acknowledged = id;
        kill(child, SIGKILL);
        while (read(fds[0], &id, sizeof id) == static_cast<ssize_t>(sizeof id))
            acknowledged = id; // reported before the process died
        close(fds[0]);
        int status = 0;
        test_eq(waitpid(child, &status, 0), child);
        test_true(acknowledged >= 100);

        std::string detail;
        uv_env_options options;
        options.data_dir = dir;
        test_ok(uv_env_make(options, &world->e, detail));
        test_true(index_object_count(*world->e) >= acknowledged);
        test_true(index_content_id_max(*world->e) >= acknowledged);
        for (uint64_t i = 1; i <= acknowledged; i++)
            index_get(*world->e, "b", "n" + std::to_string(i), on_rows, nullptr);
        test_true(world_until([=] { return seen->calls == static_cast<int>(acknowledged) || seen->err; }));
        test_ok(seen->err);
        seen->calls = 0;
        world_end();
    }
}

// Failures.

static void failed_commit_changes_nothing(void **)
{
    test_ok(commit(put_of("b", "kept", 1)));
    void (*old)(int) = std::signal(SIGXFSZ, SIG_IGN);
    rlimit normal{};
    test_eq(getrlimit(RLIMIT_FSIZE, &normal), 0);
    rlimit low = normal;
    low.rlim_cur = 16 * 1024; // the log is already longer, so every write fails
    test_eq(setrlimit(RLIMIT_FSIZE, &low), 0);
    seen->errs.clear();
    for (uint64_t i = 0; i < 20; i++) {
        index_change change = put_of("b", "lost" + std::to_string(i), 100 + i);
        change.row.custom = std::string(10'000, 'c');
        start(i % 2 == 0 ? change : put_content("b", "lost" + std::to_string(i), 100 + i, change.row.custom));
    }
    bool is_reported = world_until([] { return seen->calls == 20; });
    test_eq(setrlimit(RLIMIT_FSIZE, &normal), 0);
    std::signal(SIGXFSZ, old);
    test_true(is_reported);
    seen->calls = 0;
    for (error err : seen->errs)
        test_eq_enum(err.code, error_code::io);
    test_eq(index_object_count(*world->e), 1u);
    test_eq(index_content_id_max(*world->e), 1u);
    test_eq_enum(get("b", "lost0").code, error_code::object_not_found);
    test_ok(get("b", "kept"));
    // It works again when there is room.
    test_ok(commit(put_of("b", "lost0", 200)));
    test_ok(get("b", "lost0"));
    expect_content_ids(index_pending_moves, {1, 200});
}

static error open_again(const std::string &dir, std::string &out_detail)
{
    uv_env_options options;
    options.data_dir = dir;
    env *e = nullptr;
    error err = uv_env_make(options, &e, out_detail);
    test_true((e == nullptr) == static_cast<bool>(err));
    if (e != nullptr)
        test_ok(uv_env_free(e));
    return err;
}

static void second_user_of_a_directory_is_refused(void **)
{
    std::string dir = world->dir + "/data";
    std::string detail;
    test_eq_enum(open_again(dir, detail).code, error_code::in_use);
    test_has_text(detail, dir);
    test_has_text(detail, "process " + std::to_string(getpid()));
    world_end();
    test_ok(open_again(dir, detail));
}

static void newer_format_is_refused(void **)
{
    world_end();
    std::string dir = world->dir + "/data";
    run_sql(dir + "/node.db", "PRAGMA user_version = 7");
    std::string detail;
    test_eq_enum(open_again(dir, detail).code, error_code::newer_version);
    test_has_text(detail, dir + "/node.db");
    test_has_text(detail, "version 7");
    test_has_text(detail, "version 3");
}

static void foreign_database_is_refused(void **)
{
    std::string dir = world->dir + "/foreign";
    test_eq(mkdir(dir.c_str(), 0700), 0);
    run_sql(dir + "/node.db", "CREATE TABLE theirs(x)");
    std::string detail;
    test_eq_enum(open_again(dir, detail).code, error_code::corrupt);
    test_has_text(detail, dir + "/node.db");
}

static void damage_is_an_error(void **)
{
    for (uint64_t i = 1; i <= 500; i++) {
        index_change change = put_of("b", "n" + std::to_string(i), i);
        change.row.custom = std::string(300, 'c');
        start(change);
    }
    test_ok(awaited(500));
    world_end();
    std::string path = world->dir + "/data/node.db";
    // Everything but the first page is garbage, which a read detects.
    struct stat info {};
    test_eq(stat(path.c_str(), &info), 0);
    int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    std::string garbage(static_cast<size_t>(info.st_size) - 4096, '\x5a');
    test_eq(pwrite(fd, garbage.data(), garbage.size(), 4096), static_cast<ssize_t>(garbage.size()));
    std::string detail;
    test_eq_enum(open_again(world->dir + "/data", detail).code, error_code::corrupt);
    test_has_text(detail, path);
    // The header.
    test_eq(pwrite(fd, garbage.data(), 100, 0), 100);
    close(fd);
    test_eq_enum(open_again(world->dir + "/data", detail).code, error_code::corrupt);
    test_has_text(detail, path);
}

static void damaged_rows_do_not_stop_the_node(void **)
{
    for (uint64_t i = 1; i <= 500; i++) {
        index_change change = put_of("b", "n" + std::to_string(i), i);
        change.row.custom = std::string(300, 'c');
        start(change);
    }
    test_ok(awaited(500));
    world_end();
    // The last pages are leaves of the objects table. Totals and schema are in the first ones.
    std::string path = world->dir + "/data/node.db";
    struct stat info {};
    test_eq(stat(path.c_str(), &info), 0);
    int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    std::string garbage(20 * 4096, '\x5a');
    test_eq(pwrite(fd, garbage.data(), garbage.size(), info.st_size - static_cast<off_t>(garbage.size())),
        static_cast<ssize_t>(garbage.size()));
    close(fd);
    world_begin(true);
    index_page(*world->e, "b", "", "", 1000, on_rows, nullptr);
    test_eq_enum(awaited().code, error_code::corrupt);
    test_eq(seen->rows.size(), 0u);
    (void)commit(remove_of("b", "")); // an error, not a crash
    test_eq_enum(seen->err.code, error_code::corrupt);
    (void)commit(put_of("other", "n", 1000)); // whatever happens, the caller gets an answer
}

static void unusable_directories_are_refused(void **)
{
    std::string file = world->dir + "/file";
    int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    test_true(fd >= 0);
    close(fd);
    std::string detail;
    test_eq_enum(open_again(file, detail).code, error_code::permission);
    test_has_text(detail, file);
    test_eq_enum(open_again(file + "/below", detail).code, error_code::permission);
    test_has_text(detail, file);
    test_true(static_cast<bool>(open_again("/proc/none/data", detail)));
    test_has_text(detail, "/proc/none");
    std::string closed = world->dir + "/closed";
    test_eq(mkdir(closed.c_str(), 0500), 0);
    test_eq(chmod(world->dir.c_str(), 0755), 0);
    bool as_root = geteuid() == 0;
    if (as_root) // root may write everywhere, so check with nobody's rights
        test_eq(seteuid(65534), 0);
    error refused = open_again(closed, detail);
    if (as_root)
        test_eq(seteuid(0), 0);
    test_eq_enum(refused.code, error_code::permission);
    test_has_text(detail, closed);
}

static void directories_are_made_private(void **)
{
    std::string dir = world->dir + "/x/y/z";
    std::string detail;
    test_ok(open_again(dir, detail));
    struct stat info {};
    test_eq(stat(dir.c_str(), &info), 0);
    test_eq(info.st_mode & 0777u, 0700u);
}

#endif

int main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
#ifndef CONTRACT_SIMULATED
    if (argc == 3 && std::string_view(argv[1]) == "--commit")
        return commit_for_ever(argv[2]);
#endif
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_field_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(missing_rows_are_said_to_be_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(overwrite_counts_versions_and_makes_garbage, setup, teardown),
        cmocka_unit_test_setup_teardown(garbage_and_placed_are_cleared, setup, teardown),
        cmocka_unit_test_setup_teardown(bucket_is_removed_at_once, setup, teardown),
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
#ifndef CONTRACT_SIMULATED
        cmocka_unit_test_setup_teardown(the_file_holds_what_rows_name, setup, teardown),
        cmocka_unit_test_setup_teardown(sums_go_with_their_content, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_sums_are_reported_as_they_are, setup, teardown),
        cmocka_unit_test_setup_teardown(files_of_version_2_get_their_sums, setup, teardown),
        cmocka_unit_test_setup_teardown(an_upgrade_of_version_2_that_fails_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_contents_are_corrupt, setup, teardown),
        cmocka_unit_test_setup_teardown(version_1_is_upgraded, setup, teardown),
        cmocka_unit_test_setup_teardown(an_upgrade_that_fails_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(everything_survives_reopening, setup, teardown),
        cmocka_unit_test_setup_teardown(acknowledged_changes_survive_kill_9, setup, teardown),
        cmocka_unit_test_setup_teardown(failed_commit_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(second_user_of_a_directory_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(newer_format_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(foreign_database_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_rows_do_not_stop_the_node, setup, teardown),
        cmocka_unit_test_setup_teardown(unusable_directories_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(directories_are_made_private, setup, teardown),
#endif
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
