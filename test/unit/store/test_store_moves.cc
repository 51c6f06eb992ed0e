// SPDX-License-Identifier: MIT
// test/unit/store/test_store_moves.cc: the terms of a commit, copies of other targets' rows, and changes of one name (store.h).
#include "store_fixture.h"

#include <algorithm>
#include <utility>

using namespace etlnode;

static const std::string big(300'000, 'x'); // a file

struct changed {
    int count = 0;
    error err;
    index_change change;
};

static void on_changed_answer(void *arg, error err, const index_change &change)
{
    auto &c = *static_cast<changed *>(arg);
    c.count++;
    c.err = err;
    c.change = change;
}

static error change_object(fixture &f, index_change change, changed &out)
{
    store_change(*f.s, std::move(change), on_changed_answer, &out);
    test_eq(out.count, 0);
    memory_run(*f.world);
    test_eq(out.count, 1);
    return out.err;
}

static index_change change_of(index_change::kind what, const std::string &name)
{
    index_change change;
    change.what = what;
    change.row.bucket = "b";
    change.row.name = name;
    return change;
}

static index_change bury(const std::string &name, uint64_t tag)
{
    index_change change = change_of(index_change::kind::remove, name);
    change.leaves_tombstone = true;
    change.row.tag = tag;
    return change;
}

static index_row row_of(fixture &f, const std::string &name)
{
    answer a;
    store_lookup(*f.s, "b", name, on_rows_answer, &a);
    memory_run(*f.world);
    test_eq(a.count, 1);
    test_ok(a.err);
    test_eq(a.rows.size(), 1u);
    return a.rows[0];
}

static error commit_put(fixture &f, put &p, std::string_view bytes, index_row &out_row)
{
    test_ok(put_bytes(f, p, bytes));
    answer a;
    put_commit(p, 0, false, 0, on_row_answer, &a);
    memory_run(*f.world);
    test_eq(a.count, 1);
    out_row = a.row;
    return a.err;
}

static void puts_take_the_terms_of_the_moment(void **state)
{
    fixture &f = of(state);
    index_row row;
    test_ok(put_at_once(f, "n", "a", &row));
    test_eq(row.tag, 0u);
    store_set_terms(*f.s, {.tag = 7, .version_above = 100, .has_expected = false, .expected_version = 0});
    test_ok(put_at_once(f, "n", "b", &row));
    test_eq(row.tag, 7u);
    test_eq(row.version, 101u);
    // A put that began before the terms changed is committed under the new ones.
    put *p = put_start(*f.s, "b", "n", "");
    store_set_terms(*f.s, {.tag = 8, .version_above = 100, .has_expected = false, .expected_version = 0});
    test_ok(commit_put(f, *p, big, row));
    test_eq(row.tag, 8u);
    test_eq(row.version, 102u);
    // Its own terms come first.
    p = put_start(*f.s, "b", "n", "");
    put_set_terms(*p, {.tag = 9, .version_above = 200, .has_expected = true, .expected_version = 102});
    test_ok(commit_put(f, *p, big, row));
    test_eq(row.tag, 9u);
    test_eq(row.version, 201u);
}

static void a_refused_put_leaves_nothing(void **state)
{
    fixture &f = of(state);
    test_ok(put_at_once(f, "n", "a"));
    for (const std::string &bytes : {std::string("b"), big}) {
        put *p = put_start(*f.s, "b", "n", "");
        put_set_terms(*p, {.tag = 1, .version_above = 0, .has_expected = true, .expected_version = 0});
        index_row row;
        test_eq_enum(commit_put(f, *p, bytes, row).code, error_code::conflict);
        test_eq(memory_files(f.world->now, "/data/tmp").size(), 0u);
    }
    std::string bytes;
    test_ok(get_object(f, "n", bytes));
    test_eq_text(bytes, "a");
}

static void held_puts_wait_and_are_invisible(void **state)
{
    fixture &f = of(state);
    std::string bytes;
    for (const std::string &content : {std::string("small"), big}) {
        int ready = 0;
        put *p = put_start(*f.s, "b", "n", "");
        size_t last = std::min<size_t>(content.size(), 100);
        test_ok(put_bytes(f, *p, std::string_view(content).substr(0, content.size() - last)));
        std::copy_n(content.end() - static_cast<ptrdiff_t>(last), last, put_buffer(*p).begin());
        put_hold(
            *p, [](void *arg) { ++*static_cast<int *>(arg); }, &ready);
        answer a;
        put_commit(*p, last, false, 0, on_row_answer, &a);
        test_eq(ready, 0);
        memory_run(*f.world);
        test_eq(ready, 1);
        test_eq(a.count, 0);
        test_eq_enum(get_object(f, "n", bytes).code, error_code::object_not_found);
        put_set_terms(*p, {.tag = 3, .version_above = 0, .has_expected = false, .expected_version = 0});
        put_release(*p);
        memory_run(*f.world);
        test_eq(a.count, 1);
        test_ok(a.err);
        test_eq(a.row.tag, 3u);
        test_ok(get_object(f, "n", bytes));
        test_true(bytes == content);
        test_ok(remove_object(f, "n"));
    }
}

static void copies_keep_what_they_were(void **state)
{
    fixture &f = of(state);
    index_row origin;
    origin.version = 40;
    origin.tag = 9; // here
    origin.changed_ns = 12345;
    origin.etag = "\"e\"";
    origin.custom = "{}";
    for (const std::string &content : {std::string("small"), big}) {
        put *p = put_start(*f.s, "b", "n", "text/x");
        put_set_copy(*p, origin, 3);
        index_row row;
        test_ok(commit_put(f, *p, content, row));
        test_eq(row.version, origin.version);
        index_row stored = row_of(f, "n");
        test_eq(stored.version, origin.version);
        test_eq(stored.tag, 9u);
        test_eq(stored.changed_ns, 12345u);
        test_eq_text(stored.etag, "\"e\"");
        test_eq_text(stored.custom, "{}");
        test_eq_text(stored.content_type, "text/x");
        test_eq(stored.checksum, checksum_of(content));
        std::string bytes;
        test_ok(get_object(f, "n", bytes));
        test_true(bytes == content);
        // Doubled: it is here.
        p = put_start(*f.s, "b", "n", "text/x");
        put_set_copy(*p, origin, 3);
        test_eq_enum(commit_put(f, *p, content, row).code, error_code::conflict);
        test_eq(memory_files(f.world->now, "/data/tmp").size(), 0u);
        origin.version++;
    }
}

static void changes_reach_the_cache_and_the_files(void **state)
{
    fixture &f = of(state);
    std::string bytes;
    index_row row;
    test_ok(put_object(f, "n", big, &row));
    test_ok(get_object(f, "n", bytes)); // cached
    changed c;
    test_ok(change_object(f, bury("n", 4), c));
    test_eq(c.change.before.version, row.version);
    test_true(store_peek(*f.s, "b", "n") == nullptr);
    test_eq_enum(get_object(f, "n", bytes).code, error_code::object_not_found);
    test_true(row_of(f, "n").is_tombstone);
    memory_advance(*f.world, 60'000);
    test_eq(memory_files(f.world->now, "/data/objects").size(), 0u);

    index_change copy = change_of(index_change::kind::put_moved, "n");
    copy.row.version = row.version + 5;
    copy.row.tag = 9;
    copy.row.content = "moved";
    copy.row.size = copy.row.content.size();
    copy.row.checksum = checksum_of(copy.row.content);
    copy.origin_tag = 3;
    changed d;
    test_ok(change_object(f, copy, d));
    test_ok(get_object(f, "n", bytes));
    test_eq_text(bytes, "moved");
    changed doubled;
    test_eq_enum(change_object(f, copy, doubled).code, error_code::conflict);
    test_eq(doubled.change.before.version, row.version + 5);

    index_change gone = change_of(index_change::kind::remove, "n");
    gone.has_expected = true;
    gone.expected_version = row.version;
    gone.is_moved = true;
    changed late;
    test_eq_enum(change_object(f, gone, late).code, error_code::conflict);
    test_ok(get_object(f, "n", bytes));
    gone.expected_version = row.version + 5;
    changed given;
    test_ok(change_object(f, gone, given));
    test_eq_enum(get_object(f, "n", bytes).code, error_code::object_not_found);
}

static void pages_can_show_tombstones(void **state)
{
    fixture &f = of(state);
    test_ok(put_at_once(f, "a", "1"));
    test_ok(put_at_once(f, "c", "1"));
    changed c;
    test_ok(change_object(f, bury("b", 4), c));
    answer a;
    store_page_all(*f.s, "b", "", "", 10, on_rows_answer, &a);
    memory_run(*f.world);
    test_eq(a.rows.size(), 3u);
    test_true(a.rows[1].is_tombstone);
    answer rows;
    store_page(*f.s, "b", "", "", 10, on_rows_answer, &rows);
    memory_run(*f.world);
    test_eq(rows.rows.size(), 2u);
}

int main()
{
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {
        on_store(puts_take_the_terms_of_the_moment),
        on_store(a_refused_put_leaves_nothing),
        on_store(held_puts_wait_and_are_invisible),
        on_store(copies_keep_what_they_were),
        on_store(changes_reach_the_cache_and_the_files),
        on_store(pages_can_show_tombstones),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
