// SPDX-License-Identifier: MIT
// The store's promises on a healthy and on a failing disk. Lookups are in test_store_lookup.cc, crashes in test_store_crash.cc.
#include "store_fixture.h"

#include "store/content_path.h"

using namespace etlnode;

static const std::string big(600'000, 'x'); // three buffers, not inline
static const std::string at_the_line(index_content_size_max, 'l');
static const std::string over_the_line(index_content_size_max + 1, 'm');
static constexpr uint64_t a_while = 60'000;

static void what_was_put_is_read(void **state)
{
    fixture &f = of(state);
    index_row row;
    test_ok(put_object(f, "o", "hello", &row));
    test_eq(row.version, 1u);
    test_eq(row.size, 5u);
    test_eq(row.checksum, checksum_of("hello"));
    test_eq_text(row.content_type, "text/plain");
    test_true(row.changed_ns > 0);
    std::string bytes;
    test_ok(get_object(f, "o", bytes));
    test_eq_text(bytes, "hello");
    test_ok(put_object(f, "big", big));
    test_ok(get_object(f, "big", bytes));
    test_true(bytes == big);
    test_eq(store_object_count(*f.s), 2u);
    test_eq(store_count(*f.s).puts, 2u);
    test_eq(store_count(*f.s).put_bytes, 5 + big.size());
    test_eq_enum(get_object(f, "nothing", bytes).code, error_code::object_not_found);
    test_eq_enum(get_object(f, "o", bytes, "other").code, error_code::object_not_found);
}

static void an_empty_object_has_no_file(void **state)
{
    fixture &f = of(state);
    index_row row;
    test_ok(put_object(f, "o", "", &row));
    test_eq(row.content_id, 0u);
    test_eq(row.checksum, 0xef46db3751d8e999ull);
    std::string bytes = "?";
    test_ok(get_object(f, "o", bytes));
    test_eq_text(bytes, "");
    test_eq(memory_files(f.world->now, "/data").size(), 0u);
}

static void a_small_content_lies_in_the_index(void **state)
{
    fixture &f = of(state);
    for (const std::string &bytes : {std::string("x"), at_the_line}) {
        index_row row;
        test_ok(put_at_once(f, "o", bytes, &row));
        test_true(row.in_index);
        test_true(row.content_id != 0);
        test_eq(row.size, bytes.size());
        test_eq(row.checksum, checksum_of(bytes));
        std::string out;
        test_ok(get_object(f, "o", out));
        test_true(out == bytes);
        test_ok(get_object(f, "o", out)); // from the cache
        test_true(out == bytes);
    }
    test_eq(f.world->executed[memory_op::open], 0u);
    test_eq(f.world->executed[memory_op::index_change], 2u);
    test_eq(f.world->now.garbage.size() + f.world->now.pending_moves.size(), 0u);
    index_row row;
    test_ok(put_at_once(f, "o", over_the_line, &row));
    test_true(!row.in_index);
    test_eq(memory_files(f.world->now, "/data").size(), 1u);
    std::string out;
    test_ok(get_object(f, "o", out));
    test_true(out == over_the_line);
    test_eq(store_count(*f.s).put_bytes, 1 + at_the_line.size() + over_the_line.size());
}

static void without_a_limit_nothing_lies_in_the_index(void **)
{
    fixture f;
    f.options.index_content_size_max = 0;
    start_world(f, memory_empty());
    test_ok(open_store(f));
    index_row row;
    test_ok(put_at_once(f, "o", "x", &row));
    test_true(!row.in_index);
    test_eq(memory_files(f.world->now, "/data").size(), 1u);
    test_ok(put_at_once(f, "o", "", &row));
    test_true(!row.in_index);
    close_world(f);
}

// Every kind of content replaces every other kind and is removed. At the end, the disk holds what the rows say.
static void contents_of_all_kinds_follow_each_other(void **state)
{
    fixture &f = of(state);
    const std::string contents[] = {"", "small", "small too", over_the_line, big};
    uint64_t version = 0;
    for (const std::string &first : contents) {
        for (const std::string &second : contents) {
            for (const std::string &bytes : {first, second}) {
                index_row row;
                test_ok(put_at_once(f, "o", bytes.substr(0, put_buffer_size), &row));
                test_eq(row.version, ++version);
                std::string out;
                test_ok(get_object(f, "o", out));
                test_true(out == bytes.substr(0, put_buffer_size));
            }
            memory_advance(*f.world, a_while);
            bool has_file = second.size() > index_content_size_max;
            test_eq(memory_files(f.world->now, "/data").size(), has_file ? 1u : 0u);
            test_eq(f.world->now.garbage.size() + f.world->now.pending_moves.size(), 0u);
            test_eq(store_count(*f.s).garbage_pending, 0u);
        }
        test_ok(remove_object(f, "o")); // the versions go on
        memory_advance(*f.world, a_while);
        test_eq(memory_files(f.world->now, "/data").size(), 0u);
    }
}

static void contents_move_to_their_place(void **state)
{
    fixture &f = of(state);
    index_row row;
    test_ok(put_object(f, "o", "hello", &row));
    test_true(memory_find(f.world->now, content_final_path("/data", row.content_id)) != 0);
    test_eq(memory_files(f.world->now, "/data/tmp").size(), 0u);
    test_eq(f.world->now.pending_moves.size(), 1u); // reported in a batch
    memory_advance(*f.world, housekeeping_batch_delay_ms);
    test_eq(f.world->now.pending_moves.size(), 0u);
    // It is durable before it is reported.
    test_true(memory_find(memory_take(*f.world, memory_crash::power_cut), content_final_path("/data", row.content_id)) != 0);
}

static void many_moves_are_one_batch(void **state)
{
    fixture &f = of(state);
    for (size_t i = 0; i < housekeeping_batch_count - 1; i++)
        test_ok(put_object(f, std::to_string(i), "x"));
    test_eq(f.world->executed[memory_op::index_placed], 0u);
    test_ok(put_object(f, "last", "x"));
    test_eq(f.world->executed[memory_op::index_placed], 1u);
    test_eq(f.world->now.pending_moves.size(), 0u);
    uint64_t syncs = f.world->executed[memory_op::sync_dir];
    memory_advance(*f.world, a_while);
    test_eq(f.world->executed[memory_op::sync_dir], syncs); // nothing left to do
}

static void an_overwrite_is_a_new_version(void **state)
{
    fixture &f = of(state);
    index_row first, second;
    test_ok(put_object(f, "o", "one", &first));
    test_ok(put_object(f, "o", "two!", &second));
    test_eq(second.version, 2u);
    std::string bytes;
    test_ok(get_object(f, "o", bytes));
    test_eq_text(bytes, "two!");
    memory_advance(*f.world, a_while);
    test_eq(memory_files(f.world->now, "/data").size(), 1u);
    test_eq(f.world->now.garbage.size(), 0u);
    test_eq(store_count(*f.s).garbage_pending, 0u);
}

static void a_reader_keeps_the_version_it_opened(void **state)
{
    fixture &f = of(state);
    std::string other(700'000, 'y');
    test_ok(put_object(f, "o", big));
    answer a;
    store_get(*f.s, "b", "o", on_object_answer, &a);
    memory_run(*f.world);
    test_ok(a.err);
    test_ok(put_object(f, "o", other));
    memory_advance(*f.world, a_while); // the file is unlinked
    test_true(content_of(f, a.object) == big);
    std::string bytes;
    test_ok(get_object(f, "o", bytes));
    test_true(bytes == other);
    test_ok(remove_object(f, "o"));
    memory_advance(*f.world, a_while);
    test_true(content_of(f, a.object) == big);
    test_eq(a.object->row.version, 1u);
    store_release(*f.s, a.object);
    test_eq(f.world->open_files, 0u);
    test_eq(memory_files(f.world->now, "/data").size(), 0u);
}

static void a_removed_object_is_gone(void **state)
{
    fixture &f = of(state);
    test_ok(put_object(f, "o", "hello"));
    std::string bytes;
    test_ok(get_object(f, "o", bytes));
    test_ok(remove_object(f, "o"));
    test_true(store_peek(*f.s, "b", "o") == nullptr);
    test_eq_enum(get_object(f, "o", bytes).code, error_code::object_not_found);
    test_eq_enum(remove_object(f, "o").code, error_code::object_not_found);
    test_eq(store_count(*f.s).removed, 1u);
    memory_advance(*f.world, a_while);
    test_eq(memory_files(f.world->now, "/data").size(), 0u);
    test_eq(f.world->now.garbage.size(), 0u);
}

static void a_removed_bucket_is_gone(void **state)
{
    fixture &f = of(state);
    std::string bytes;
    for (int i = 0; i < 20; i++) {
        test_ok(put_object(f, std::to_string(i), "content"));
        test_ok(get_object(f, std::to_string(i), bytes));
    }
    test_ok(put_object(f, "o", "stays", nullptr, "other"));
    test_ok(get_object(f, "o", bytes, "other"));
    answer a;
    store_remove_bucket(*f.s, "b", on_answer, &a);
    memory_run(*f.world);
    test_eq(a.count, 1);
    test_ok(a.err);
    for (int i = 0; i < 20; i++)
        test_true(store_peek(*f.s, "b", std::to_string(i)) == nullptr);
    const store_object *object = store_peek(*f.s, "other", "o");
    test_true(object != nullptr);
    store_release(*f.s, object);
    memory_advance(*f.world, a_while);
    test_eq(memory_files(f.world->now, "/data").size(), 1u);
    test_eq(store_count(*f.s).garbage_pending, 0u);
    test_eq(f.world->now.garbage.size(), 0u);
}

static void a_page_is_ordered(void **state)
{
    fixture &f = of(state);
    for (const char *name : {"b", "a/2", "a/1", "c", "a/3"})
        test_ok(put_object(f, name, "x"));
    answer a;
    store_page(*f.s, "b", "a/", "a/1", 10, on_rows_answer, &a);
    memory_run(*f.world);
    test_ok(a.err);
    test_eq(a.rows.size(), 2u);
    test_eq_text(a.rows[0].name, "a/2");
    test_eq_text(a.rows[1].name, "a/3");
}

// --- writing

// put_write gets `written` bytes of it, put_commit the rest.
static error put_checked(fixture &f, const std::string &bytes, size_t written, uint64_t checksum)
{
    put *p = put_start(*f.s, "b", "o", "");
    CHECK(!put_bytes(f, *p, std::string_view(bytes).substr(0, written)));
    std::memcpy(put_buffer(*p).data(), bytes.data() + written, bytes.size() - written);
    answer a;
    put_commit(*p, bytes.size() - written, true, checksum, on_row_answer, &a);
    test_eq(a.count, 0); // not before the call has returned
    memory_run(*f.world);
    test_eq(a.count, 1);
    return a.err;
}

static void a_wrong_checksum_stores_nothing(void **state)
{
    fixture &f = of(state);
    uint64_t tries = 0;
    for (const std::string &bytes : {std::string("hello"), std::string(), over_the_line}) {
        for (size_t written : {size_t{0}, bytes.size() / 2, bytes.size()}) {
            test_eq_enum(put_checked(f, bytes, written, checksum_of(bytes) + 1).code, error_code::checksum_mismatch);
            std::string out;
            test_eq_enum(get_object(f, "o", out).code, error_code::object_not_found);
            test_eq(memory_files(f.world->now, "/data").size(), 0u);
            test_eq(store_count(*f.s).put_failures, ++tries);
        }
    }
    for (const std::string &bytes : {std::string("hello"), std::string(), over_the_line}) {
        for (size_t written : {size_t{0}, bytes.size() / 2, bytes.size()}) {
            test_ok(put_checked(f, bytes, written, checksum_of(bytes)));
            std::string out;
            test_ok(get_object(f, "o", out));
            test_true(out == bytes);
        }
    }
}

// Aborts after every possible number of steps of the world, in every state of the put.
static void an_abort_leaves_nothing(void **state)
{
    fixture &f = of(state);
    for (int writes = 0; writes < 3; writes++) {
        for (int steps = 0; steps < 12; steps++) {
            put *p = put_start(*f.s, "b", "o", "");
            answer a;
            int asked = 0;
            for (int i = 0; i < steps; i++) {
                if (asked < writes && asked == a.count) {
                    asked++;
                    put_write(*p, 100, on_answer, &a);
                }
                memory_step(*f.world);
            }
            int answered = a.count;
            put_abort(*p);
            memory_run(*f.world);
            test_eq(a.count, answered); // never after the abort
            test_eq(memory_files(f.world->now, "/data").size(), 0u);
            test_eq(f.world->open_files, 0u);
        }
    }
    test_eq(f.world->now.rows.size(), 0u);
    test_eq(store_count(*f.s).put_failures, 0u);
}

static void an_abort_inside_the_answer_is_fine(void **state)
{
    fixture &f = of(state);
    put *p = put_start(*f.s, "b", "o", "");
    put_write(
        *p, 5, [](void *arg, error) { put_abort(*static_cast<put *>(arg)); }, p);
    memory_run(*f.world);
    f.world->faults.push_back({.op = memory_op::write, .err = make_error(error_code::no_space)});
    p = put_start(*f.s, "b", "o", "");
    put_write(
        *p, 5,
        [](void *arg, error err) {
            test_eq_enum(err.code, error_code::no_space);
            put_abort(*static_cast<put *>(arg));
        },
        p);
    memory_run(*f.world);
    test_eq(memory_files(f.world->now, "/data").size(), 0u);
}

struct failing_step {
    memory_op op;
    const char *path_part;
    size_t skip;
};

// no_space and io at each step of a put that overwrites: the put fails, the old version stays, and after the next start nothing is left.
static void a_failed_put_changes_nothing(void **state)
{
    fixture &f = of(state);
    test_ok(put_object(f, "o", "old"));
    memory_advance(*f.world, a_while);
    const failing_step steps[] = {{memory_op::open, "/tmp/", 0}, {memory_op::write, "", 0}, {memory_op::write, "", 1},
        {memory_op::sync, "", 0}, {memory_op::sync_dir, "/tmp", 0}, {memory_op::index_change, "b", 0}};
    for (const failing_step &step : steps) {
        for (error_code code : {error_code::no_space, error_code::io}) {
            f.world->faults = {{.op = step.op, .err = make_error(code), .path_part = step.path_part, .skip = step.skip}};
            test_eq_enum(put_object(f, "o", big).code, code);
            test_eq(f.world->faults[0].count, 0u);
            f.world->faults.clear();
            std::string bytes;
            test_ok(get_object(f, "o", bytes));
            test_eq_text(bytes, "old");
            test_eq(f.world->now.rows.begin()->second.version, 1u);
            fixture next;
            start_world(next, memory_take(*f.world, memory_crash::killed));
            test_ok(open_store(next));
            memory_advance(*next.world, a_while);
            test_eq(memory_files(next.world->now, "/data").size(), 1u);
            test_ok(get_object(next, "o", bytes));
            test_eq_text(bytes, "old");
            close_world(next);
        }
    }
}

// A content in the index has no file that would have to be kept; the row and its bytes are one commit.
static void a_failed_commit_into_the_index_leaves_nothing(void **state)
{
    fixture &f = of(state);
    for (const std::string &old : {std::string("old"), over_the_line}) {
        test_ok(put_at_once(f, "o", old));
        memory_advance(*f.world, a_while);
        size_t files = memory_files(f.world->now, "/data").size();
        for (error_code code : {error_code::no_space, error_code::io}) {
            f.world->faults = {{.op = memory_op::index_change, .err = make_error(code)}};
            test_eq_enum(put_at_once(f, "o", "new").code, code);
            std::string bytes;
            test_ok(get_object(f, "o", bytes));
            test_true(bytes == old);
            memory_advance(*f.world, a_while);
            test_eq(memory_files(f.world->now, "/data").size(), files);
            test_eq(f.world->now.garbage.size() + f.world->now.pending_moves.size(), 0u);
        }
    }
}

static void an_open_failure_is_reported(void **state)
{
    fixture &f = of(state);
    for (bool commits : {false, true}) {
        f.world->faults = {{.op = memory_op::open, .err = make_error(error_code::io)}};
        put *p = put_start(*f.s, "b", "o", "");
        answer a;
        if (commits)
            put_commit(*p, over_the_line.size(), false, 0, on_row_answer, &a);
        else
            put_write(*p, 5, on_answer, &a);
        test_eq(a.count, 0); // not before the call has returned
        memory_run(*f.world);
        test_eq(a.count, 1);
        test_eq_enum(a.err.code, error_code::io);
        if (!commits)
            put_abort(*p);
        memory_run(*f.world);
    }
    f.world->faults = {{.op = memory_op::open, .err = make_error(error_code::io)}};
    put *p = put_start(*f.s, "b", "o", "");
    answer a;
    put_write(*p, 5, on_answer, &a);
    put_abort(*p);
    memory_run(*f.world);
    test_eq(a.count, 0);
}

static void puts_share_directory_syncs(void **state)
{
    fixture &f = of(state);
    constexpr int count = 50;
    put *puts[count];
    answer answers[count];
    for (int i = 0; i < count; i++) {
        puts[i] = put_start(*f.s, "b", std::to_string(i), "");
        test_ok(put_bytes(f, *puts[i], "x"));
    }
    uint64_t before = f.world->executed[memory_op::sync_dir];
    for (int i = 0; i < count; i++)
        put_commit(*puts[i], 0, false, 0, on_row_answer, &answers[i]);
    memory_run(*f.world);
    for (const answer &a : answers) {
        test_eq(a.count, 1);
        test_ok(a.err);
    }
    test_true(f.world->executed[memory_op::sync_dir] - before <= 3);
}

// --- the end

static void a_store_can_be_closed_at_any_moment(void **)
{
    for (int steps = 0; steps < 40; steps++) {
        fixture f;
        start_world(f, memory_empty());
        test_ok(open_store(f));
        answer put_answer, get_answer, remove_answer;
        test_ok(put_object(f, "o", "hello"));
        put *p = put_start(*f.s, "b", "o", "");
        test_ok(put_bytes(f, *p, "again"));
        put_commit(*p, 0, false, 0, on_row_answer, &put_answer);
        while (put_answer.count == 0)
            memory_step(*f.world);
        store_get(*f.s, "b", "o", on_object_answer, &get_answer);
        for (int i = 0; i < steps; i++)
            memory_step(*f.world);
        if (get_answer.object != nullptr)
            store_release(*f.s, get_answer.object);
        bool answered = get_answer.count == 1;
        close_world(f); // checks that no file, timer or operation is left
        test_eq(get_answer.count, 1);
        if (!answered)
            test_eq_enum(get_answer.err.code, error_code::stopping);
    }
}

static void a_store_that_cannot_be_opened_says_why(void **)
{
    for (memory_op op :
        {memory_op::make_dir, memory_op::sync_dir, memory_op::list, memory_op::index_pending_moves, memory_op::index_garbage}) {
        fixture f;
        start_world(f, memory_empty());
        f.world->faults = {{.op = op, .err = make_error(error_code::io)}};
        test_eq_enum(open_store(f).code, error_code::io);
        test_true(f.s == nullptr);
        close_world(f);
    }
}

int main()
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {
        on_store(what_was_put_is_read),
        on_store(an_empty_object_has_no_file),
        on_store(a_small_content_lies_in_the_index),
        cmocka_unit_test(without_a_limit_nothing_lies_in_the_index),
        on_store(contents_of_all_kinds_follow_each_other),
        on_store(contents_move_to_their_place),
        on_store(many_moves_are_one_batch),
        on_store(an_overwrite_is_a_new_version),
        on_store(a_reader_keeps_the_version_it_opened),
        on_store(a_removed_object_is_gone),
        on_store(a_removed_bucket_is_gone),
        on_store(a_page_is_ordered),
        on_store(a_wrong_checksum_stores_nothing),
        on_store(an_abort_leaves_nothing),
        on_store(an_abort_inside_the_answer_is_fine),
        on_store(a_failed_put_changes_nothing),
        on_store(a_failed_commit_into_the_index_leaves_nothing),
        on_store(an_open_failure_is_reported),
        on_store(puts_share_directory_syncs),
        cmocka_unit_test(a_store_can_be_closed_at_any_moment),
        cmocka_unit_test(a_store_that_cannot_be_opened_says_why),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
