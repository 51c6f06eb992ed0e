// SPDX-License-Identifier: MIT
// test/contract/test_index_file.cc: what port/index.h promises about the file of an index: what it holds, upgrades, durability, and what
// opening a data directory refuses.
//
// With "--commit DIR" it is the child of the kill -9 case: it commits for ever and prints what has been acknowledged.
#include "index_file.h"

#include <csignal>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

using namespace etlnode;

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
    expect_usage({{"b", {3, 110}}});
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
    test_eq(ask_sql(database(), "PRAGMA user_version"), 6);
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
    test_eq(ask_sql(database(), "PRAGMA user_version"), 6);
    expect_usage({{"b", {4, 113}}});
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
            execl("/proc/self/exe", "test-index-file", "--commit", dir.c_str(), nullptr);
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
        test_true(index_change_count(*world->e) >= acknowledged);
        test_eq(index_bucket_usage(*world->e).at("b").objects, index_object_count(*world->e));
        test_eq(index_byte_count(*world->e), static_cast<uint64_t>(ask_sql(dir + "/node.db", "SELECT sum(size) FROM objects")));
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
    expect_usage({{"b", {1, 10}}});
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
    test_has_text(detail, "version 6");
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

int main(int argc, char **argv)
{
    if (argc == 3 && std::string_view(argv[1]) == "--commit")
        return commit_for_ever(argv[2]);
    const CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
