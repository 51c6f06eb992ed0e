// SPDX-License-Identifier: MIT
// test/unit/store/test_store_lookup.cc: what lookups promise: no stale version, no content that is not whole, and caches with bounds.
#include "store_fixture.h"

#include "store/content_path.h"

using namespace etlnode;

static const std::string big(600'000, 'x'); // three buffers, not inline
static constexpr uint64_t a_while = 60'000;

static void a_warm_lookup_asks_nobody(void **state)
{
    fixture &f = of(state);
    std::string bytes;
    test_ok(put_at_once(f, "small", "hello"));
    test_ok(put_object(f, "big", big));
    test_ok(get_object(f, "small", bytes));
    test_ok(get_object(f, "big", bytes));
    uint64_t steps = f.world->steps;
    for (int i = 0; i < 3; i++) {
        for (const char *name : {"small", "big"}) {
            const store_object *object = store_peek(*f.s, "b", name);
            test_true(object != nullptr);
            test_eq(object->has_content ? 1 : 0, std::string_view(name) == "small" ? 1 : 0);
            store_release(*f.s, object);
        }
    }
    test_eq(f.world->steps, steps);
    test_true(store_peek(*f.s, "b", "smal") == nullptr);
    test_eq(store_count(*f.s).hits, 6u);
    test_eq(store_count(*f.s).misses, 2u);
    // A hit through store_get completes later, without using the disk.
    answer a;
    store_get(*f.s, "b", "small", on_object_answer, &a);
    test_eq(a.count, 0);
    memory_run(*f.world);
    test_eq(a.count, 1);
    store_release(*f.s, a.object);
    test_eq(f.world->steps, steps + 1);
}

static void lookups_of_one_object_are_one(void **state)
{
    fixture &f = of(state);
    test_ok(put_at_once(f, "o", "hello"));
    answer answers[10];
    for (answer &a : answers)
        store_get(*f.s, "b", "o", on_object_answer, &a);
    memory_run(*f.world);
    test_eq(f.world->executed[memory_op::index_get], 1u);
    for (answer &a : answers) {
        test_eq(a.count, 1);
        test_eq_text(a.object->content, "hello");
        store_release(*f.s, a.object);
    }
    answer missing[3];
    for (answer &a : missing)
        store_get(*f.s, "b", "none", on_object_answer, &a);
    memory_run(*f.world);
    test_eq(f.world->executed[memory_op::index_get], 2u);
    for (answer &a : missing)
        test_eq_enum(a.err.code, error_code::object_not_found);
}

// A lookup starts, the object is overwritten, the lookup ends. In any order of steps, a caller that asks after the overwrite was answered
// never gets the old version, from the cache or otherwise; and no order of steps looks like damage.
static void a_lookup_that_races_an_overwrite_is_never_stale(void **)
{
    for (uint64_t seed = 1; seed <= 400; seed++) {
        fixture f;
        start_world(f, memory_empty(), seed);
        test_ok(open_store(f));
        bool small = seed % 2 == 0;
        std::string old_bytes = small ? "old" : big;
        std::string new_bytes = small ? "new!" : big + "new";
        test_ok(seed % 5 == 0 ? put_at_once(f, "o", old_bytes = "old in the index") : put_object(f, "o", old_bytes));
        if (seed % 3 == 0)
            memory_advance(*f.world, a_while);
        f.world->shuffle = true;
        put *p = put_start(*f.s, "b", "o", "");
        size_t last = seed % 4 < 2 ? 0 : std::min<size_t>(new_bytes.size(), 100);
        test_ok(put_bytes(f, *p, std::string_view(new_bytes).substr(0, new_bytes.size() - last)));
        std::memcpy(put_buffer(*p).data(), new_bytes.data() + new_bytes.size() - last, last);
        answer early, committed, late;
        uint64_t lookup_at = seed % 7;
        put_commit(*p, last, false, 0, on_row_answer, &committed);
        bool asked_early = false, asked_late = false, more = true;
        for (uint64_t i = 0; more || !asked_late || !asked_early; i++) {
            if (i == lookup_at) {
                store_get(*f.s, "b", "o", on_object_answer, &early);
                asked_early = true;
            }
            if (committed.count == 1 && !asked_late) {
                store_get(*f.s, "b", "o", on_object_answer, &late);
                asked_late = true;
            }
            more = memory_step(*f.world);
        }
        memory_run(*f.world);
        test_ok(committed.err);
        test_eq(committed.row.version, 2u);
        test_true(asked_early);
        test_ok(early.err);
        test_ok(late.err);
        test_eq(late.object->row.version, 2u);
        std::string bytes = content_of(f, early.object);
        test_true(bytes == (early.object->row.version == 1 ? old_bytes : new_bytes));
        bytes = content_of(f, late.object);
        test_true(bytes == new_bytes);
        store_release(*f.s, early.object);
        store_release(*f.s, late.object);
        const store_object *cached = store_peek(*f.s, "b", "o");
        test_true(cached != nullptr);
        test_eq(cached->row.version, 2u);
        store_release(*f.s, cached);
        memory_advance(*f.world, a_while);
        test_eq(memory_files(f.world->now, "/data").size(), committed.row.in_index ? 0u : 1u);
        close_world(f);
    }
}

// Puts, overwrites, removals and lookups of few names in any order: what is read is a version that was current, and in the end the disk
// holds exactly what the index names.
static void nothing_resurrects_and_nothing_leaks(void **)
{
    for (uint64_t seed = 1; seed <= 150; seed++) {
        fixture f;
        start_world(f, memory_empty(), seed);
        test_ok(open_store(f));
        f.world->shuffle = true;
        rng random{seed * 7919};
        answer answers[60];
        for (answer &a : answers) {
            std::string name(1, static_cast<char>('a' + rng_below(random, 3)));
            switch (rng_below(random, 4)) {
            case 0:
            case 1: {
                put *p = put_start(*f.s, "b", name, "");
                put_buffer(*p)[0] = 'x';
                answer written;
                if (rng_below(random, 2) != 0) {
                    put_write(*p, 1, on_answer, &written);
                    while (written.count == 0)
                        memory_step(*f.world);
                }
                const size_t last[] = {0, 0, 1, index_content_size_max, index_content_size_max + 1};
                put_commit(*p, last[rng_below(random, std::size(last))], false, 0, on_row_answer, &a);
                break;
            }
            case 2: store_remove(*f.s, "b", name, on_answer, &a); break;
            case 3: store_get(*f.s, "b", name, on_object_answer, &a); break;
            }
            for (uint64_t steps = rng_below(random, 12); steps > 0; steps--)
                memory_step(*f.world);
        }
        memory_advance(*f.world, a_while);
        size_t contents = 0;
        for (const auto &[key, row] : f.world->now.rows)
            contents += row.content_id != 0 && !row.in_index ? 1 : 0;
        test_eq(memory_files(f.world->now, "/data/objects").size(), contents);
        test_eq(memory_files(f.world->now, "/data/tmp").size(), 0u);
        test_eq(f.world->now.garbage.size(), 0u);
        test_eq(f.world->now.pending_moves.size(), 0u);
        for (answer &a : answers) {
            test_eq(a.count, 1);
            test_true(!a.err || a.err.code == error_code::object_not_found);
            if (a.object != nullptr)
                store_release(*f.s, a.object);
        }
        for (const auto &[key, row] : f.world->now.rows) {
            std::string bytes;
            test_ok(get_object(f, key.second, bytes));
            test_eq(bytes.size(), row.size);
            const store_object *cached = store_peek(*f.s, "b", key.second);
            test_eq(cached->row.version, row.version);
            store_release(*f.s, cached);
        }
        close_world(f);
    }
}

static void a_missing_or_damaged_content_is_corrupt(void **state)
{
    fixture &f = of(state);
    std::string bytes;
    index_row large;
    test_ok(put_object(f, "large", big, &large));
    uint64_t large_node = memory_find(f.world->now, content_final_path("/data", large.content_id));
    f.world->now.nodes[large_node].data += "x";
    test_eq_enum(get_object(f, "large", bytes).code, error_code::corrupt);
    f.world->now.nodes[2].names.erase("objects");
    test_eq_enum(get_object(f, "large", bytes).code, error_code::corrupt);
    test_eq(f.world->open_files, 0u);
    f.world->faults = {{.op = memory_op::index_get, .err = make_error(error_code::io)}};
    test_eq_enum(get_object(f, "large", bytes).code, error_code::io);
    test_ok(put_at_once(f, "small", "hello"));
    for (const char *damage : {"hellx", "hell", ""}) {
        f.world->now.rows.at({"b", "small"}).content = damage;
        test_eq_enum(get_object(f, "small", bytes).code, error_code::corrupt);
    }
    test_ok(put_at_once(f, "small", "hello")); // it can be stored again
    test_ok(get_object(f, "small", bytes));
    test_eq_text(bytes, "hello");
}

static void read_errors_are_reported_and_not_kept(void **state)
{
    fixture &f = of(state);
    std::string bytes;
    test_ok(put_object(f, "o", "hello"));
    f.world->faults = {{.op = memory_op::open, .err = make_error(error_code::io)}};
    test_eq_enum(get_object(f, "o", bytes).code, error_code::io);
    test_eq(f.world->open_files, 0u);
    test_ok(get_object(f, "o", bytes));
    test_eq_text(bytes, "hello");
}

static void descriptors_are_given_back_when_the_system_has_none(void **state)
{
    fixture &f = of(state);
    std::string bytes;
    for (int i = 0; i < 5; i++) {
        test_ok(put_object(f, std::to_string(i), big));
        test_ok(get_object(f, std::to_string(i), bytes));
    }
    test_eq(f.world->open_files, 5u);
    answer held;
    store_get(*f.s, "b", "4", on_object_answer, &held);
    memory_run(*f.world);
    test_ok(put_object(f, "o", big));
    f.world->faults = {{.op = memory_op::open, .err = make_error(error_code::too_many_files)}};
    test_ok(get_object(f, "o", bytes));
    test_eq(f.world->open_files, 2u); // the one in use, and the new one
    f.world->faults = {{.op = memory_op::open, .err = make_error(error_code::too_many_files)}};
    test_ok(put_object(f, "p", big));
    test_eq(f.world->open_files, 1u);
    f.world->faults = {{.op = memory_op::open, .err = make_error(error_code::too_many_files), .path_part = "", .skip = 0, .count = 2}};
    test_eq_enum(get_object(f, "o", bytes).code, error_code::too_many_files);
    f.world->faults = {{.op = memory_op::open, .err = make_error(error_code::too_many_files), .path_part = "", .skip = 0, .count = 2}};
    test_eq_enum(put_object(f, "o", big).code, error_code::too_many_files);
    store_release(*f.s, held.object);
}

static void the_cache_is_bounded(void **)
{
    fixture f;
    f.options.cached_objects_max = 3;
    f.options.cached_inline_max = 2;
    start_world(f, memory_empty());
    test_ok(open_store(f));
    std::string bytes;
    for (int i = 0; i < 6; i++) {
        test_ok(put_object(f, "big" + std::to_string(i), big));
        test_ok(get_object(f, "big" + std::to_string(i), bytes));
        test_ok(put_object(f, "small" + std::to_string(i), "x"));
        test_ok(get_object(f, "small" + std::to_string(i), bytes));
        const store_object *first = store_peek(*f.s, "b", "big0"); // used all the time, so it stays
        test_true(first != nullptr);
        store_release(*f.s, first);
    }
    test_eq(f.world->open_files, 3u);
    test_true(store_peek(*f.s, "b", "big1") == nullptr);
    test_true(store_peek(*f.s, "b", "small3") == nullptr);
    const store_object *last = store_peek(*f.s, "b", "small5");
    test_true(last != nullptr);
    store_release(*f.s, last);
    close_world(f);
}

static void contents_in_memory_are_bounded_by_their_bytes(void **)
{
    fixture f;
    f.options.cached_bytes_max = 1'000;
    start_world(f, memory_empty());
    test_ok(open_store(f));
    std::string bytes;
    for (int i = 0; i < 10; i++) {
        test_ok(put_at_once(f, std::to_string(i), std::string(300, 'x')));
        test_ok(get_object(f, std::to_string(i), bytes));
    }
    for (int i = 0; i < 10; i++) {
        const store_object *object = store_peek(*f.s, "b", std::to_string(i));
        test_eq(object != nullptr ? 1 : 0, i >= 7 ? 1 : 0);
        if (object != nullptr)
            store_release(*f.s, object);
    }
    // An object larger than the whole cache is read each time.
    test_ok(put_at_once(f, "large", std::string(1'001, 'x')));
    test_ok(get_object(f, "large", bytes));
    test_eq(bytes.size(), 1'001u);
    test_true(store_peek(*f.s, "b", "large") == nullptr);
    close_world(f);
}

// The state of large files' blocks also counts as memory.
static void open_files_are_bounded_by_their_blocks(void **)
{
    fixture f;
    f.options.cached_bytes_max = 10 * 16; // ten blocks
    start_world(f, memory_empty());
    test_ok(open_store(f));
    const std::string bytes(3 * content_block_size, 'b');
    for (int i = 0; i < 8; i++) {
        std::string name = "o" + std::to_string(i);
        std::string out;
        test_ok(put_object(f, name, bytes));
        test_ok(get_object(f, name, out));
        test_true(out == bytes);
        test_true(f.world->open_files <= 3);
    }
    test_eq(f.world->open_files, 3u);
    // An object that is too large for the cache can still be read.
    std::string out;
    test_ok(put_object(f, "large", std::string(11 * content_block_size, 'l')));
    test_ok(get_object(f, "large", out));
    test_eq(out.size(), 11 * content_block_size);
    test_true(store_peek(*f.s, "b", "large") == nullptr);
    close_world(f);
}

// What goes over whole buckets leaves the cache to others, unless somebody else asked for the same object meanwhile.
static void reads_for_once_leave_the_cache_alone(void **)
{
    fixture f;
    f.options.cached_inline_max = 2;
    start_world(f, memory_empty());
    test_ok(open_store(f));
    std::string bytes;
    test_ok(put_at_once(f, "hot", "x"));
    test_ok(get_object(f, "hot", bytes));
    for (int i = 0; i < 6; i++) {
        for (const std::string &name : {"small" + std::to_string(i), "big" + std::to_string(i)}) {
            test_ok(name.starts_with("big") ? put_object(f, name, big) : put_at_once(f, name, "x"));
            answer a;
            store_get(*f.s, "b", name, on_object_answer, &a, store_use::once);
            memory_run(*f.world);
            test_ok(a.err);
            test_true(content_of(f, a.object) == (name.starts_with("big") ? big : "x"));
            store_release(*f.s, a.object);
            test_true(store_peek(*f.s, "b", name) == nullptr);
        }
    }
    test_eq(f.world->open_files, 0u);
    const store_object *hot = store_peek(*f.s, "b", "hot");
    test_true(hot != nullptr);
    store_release(*f.s, hot);
    answer once, again;
    store_get(*f.s, "b", "small0", on_object_answer, &once, store_use::once);
    store_get(*f.s, "b", "small0", on_object_answer, &again);
    memory_run(*f.world);
    test_ok(once.err);
    test_ok(again.err);
    store_release(*f.s, once.object);
    store_release(*f.s, again.object);
    hot = store_peek(*f.s, "b", "small0");
    test_true(hot != nullptr);
    store_release(*f.s, hot);
    close_world(f);
}

int main()
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {
        on_store(a_warm_lookup_asks_nobody),
        on_store(lookups_of_one_object_are_one),
        cmocka_unit_test(a_lookup_that_races_an_overwrite_is_never_stale),
        cmocka_unit_test(nothing_resurrects_and_nothing_leaks),
        on_store(a_missing_or_damaged_content_is_corrupt),
        on_store(read_errors_are_reported_and_not_kept),
        on_store(descriptors_are_given_back_when_the_system_has_none),
        cmocka_unit_test(the_cache_is_bounded),
        cmocka_unit_test(reads_for_once_leave_the_cache_alone),
        cmocka_unit_test(contents_in_memory_are_bounded_by_their_bytes),
        cmocka_unit_test(open_files_are_bounded_by_their_blocks),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
