// SPDX-License-Identifier: MIT
// Where a lookup finds its file, what it reports if there is none, and its end at every step.
#include "store_fixture.h"

#include "store/content_path.h"
#include "store/store_machines.h"

using namespace etlnode;

static const std::string big(20'000, 'x');

// Where the content is, and what housekeeping knows about it, when the lookup starts.
enum class place : uint8_t {
    placed,       // moved, and housekeeping knows
    in_temp,      // not moved, and housekeeping knows
    committed,    // not moved; the commit is durable, but housekeeping has not been notified
    moved_unseen, // housekeeping believes it is in tmp/, but it is in its place
    nowhere,
};
static constexpr place places[] = {place::placed, place::in_temp, place::committed, place::moved_unseen, place::nowhere};

struct given_place {
    fixture f;
    answer committed;
    uint64_t id = 0;
};

static void make_place(given_place &g, place where, const std::string &bytes)
{
    start_world(g.f, memory_empty());
    CHECK(!open_store(g.f));
    memory_world &w = *g.f.world;
    if (where == place::in_temp || where == place::moved_unseen)
        w.faults = {{.op = memory_op::rename, .err = make_error(error_code::io), .path_part = "", .skip = 0, .count = 100}};
    if (where == place::committed) {
        put *p = put_start(*g.f.s, "b", "o", "");
        CHECK(!put_bytes(g.f, *p, bytes));
        put_commit(*p, 0, false, 0, on_row_answer, &g.committed);
        while (w.executed[memory_op::index_change] == 0)
            memory_step(w);
    } else {
        index_row row;
        CHECK(!put_object(g.f, "o", bytes, &row));
    }
    g.id = w.now.rows.begin()->second.content_id;
    if (where == place::moved_unseen) {
        memory_task move;
        move.path = content_temp_path("/data", g.id);
        move.path_to = content_final_path("/data", g.id);
        CHECK(!memory_rename(w, move));
    }
    if (where == place::nowhere)
        w.now.nodes[memory_find(w.now, content_group_dir("/data", content_group(g.id)))].names.clear();
}

static void a_file_is_found_wherever_it_is(void **)
{
    for (place where : places) {
        for (const std::string &bytes : {std::string("hello"), big}) {
            given_place g;
            make_place(g, where, bytes);
            std::string out;
            error err = get_object(g.f, "o", out);
            test_eq_enum(err.code, where == place::nowhere ? error_code::corrupt : error_code::ok);
            if (!err)
                test_true(out == bytes);
            close_world(g.f);
        }
    }
}

static void every_open_can_fail(void **)
{
    for (place where : places) {
        for (error_code code : {error_code::io, error_code::too_many_files, error_code::permission}) {
            for (size_t skip = 0; skip < 4; skip++) {
                for (size_t count = 1; count < 3; count++) {
                    given_place g;
                    make_place(g, where, big);
                    memory_fault fault{.op = memory_op::open, .err = make_error(code), .path_part = "", .skip = skip, .count = count};
                    g.f.world->faults.push_back(fault);
                    std::string out;
                    error err = get_object(g.f, "o", out);
                    test_true(!err || err.code == code || where == place::nowhere);
                    if (!err)
                        test_true(out == big);
                    g.f.world->faults.clear();
                    test_eq_enum(get_object(g.f, "o", out).code, where == place::nowhere ? error_code::corrupt : error_code::ok);
                    close_world(g.f);
                }
            }
        }
    }
}

static void a_wrong_size_is_seen_wherever_the_file_is(void **)
{
    for (place where : {place::placed, place::in_temp, place::committed, place::moved_unseen}) {
        given_place g;
        make_place(g, where, big);
        memory_world &w = *g.f.world;
        std::string path = content_temp_path("/data", g.id);
        if (memory_find(w.now, path) == 0)
            path = content_final_path("/data", g.id);
        uint64_t node = memory_find(w.now, path);
        w.now.nodes[node].data += "more";
        std::string out;
        test_eq_enum(get_object(g.f, "o", out).code, error_code::corrupt);
        close_world(g.f);
    }
}

static void a_lookup_ends_with_its_store(void **)
{
    for (place where : places) {
        for (const std::string &bytes : {std::string("hello"), big}) {
            for (error_code code : {error_code::ok, error_code::too_many_files, error_code::io}) {
                // Each lookup ends with the operation in progress; a step is one half of an operation.
                for (int steps = 0; steps < 10; steps++) {
                    given_place g;
                    make_place(g, where, bytes);
                    if (where == place::committed) // a store with a put in progress is not closed
                        while (g.committed.count == 0)
                            memory_step(*g.f.world);
                    if (code != error_code::ok)
                        g.f.world->faults.push_back({.op = memory_op::open, .err = make_error(code)});
                    answer a;
                    store_get(*g.f.s, "b", "o", on_object_answer, &a);
                    for (int i = 0; i < steps; i++)
                        memory_step(*g.f.world);
                    bool answered = a.count == 1;
                    if (a.object != nullptr)
                        store_release(*g.f.s, a.object);
                    close_world(g.f);
                    test_eq(a.count, 1);
                    if (!answered)
                        test_eq_enum(a.err.code, error_code::stopping);
                }
            }
        }
    }
}

static void an_empty_object_needs_no_file(void **)
{
    given_place g;
    make_place(g, place::placed, "hello");
    std::string out = "?";
    test_ok(put_object(g.f, "empty", ""));
    test_ok(get_object(g.f, "empty", out));
    test_eq_text(out, "");
    test_eq_enum(get_object(g.f, "none", out).code, error_code::object_not_found);
    close_world(g.f);
}

static void a_content_in_the_index_needs_no_file(void **)
{
    given_place g;
    make_place(g, place::placed, "hello");
    test_ok(put_at_once(g.f, "small", "in the index"));
    uint64_t opened = g.f.world->executed[memory_op::open];
    answer a;
    store_get(*g.f.s, "b", "small", on_object_answer, &a);
    memory_run(*g.f.world);
    test_ok(a.err);
    test_true(a.object->has_content);
    test_true(a.object->file == nullptr);
    test_eq_text(a.object->content, "in the index");
    test_true(a.object->row.content.empty()); // kept only once
    store_release(*g.f.s, a.object);
    test_eq(g.f.world->executed[memory_op::open], opened);
    test_ok(put_at_once(g.f, "small", "damaged"));
    g.f.world->now.rows.at({"b", "small"}).content[0] = 'D';
    std::string out;
    test_eq_enum(get_object(g.f, "small", out).code, error_code::corrupt);
    close_world(g.f);
}

// Each time the row is read, it names another missing content: the retries are bounded.
static void a_row_that_changes_for_ever_is_an_error(void **)
{
    given_place g;
    make_place(g, place::nowhere, "hello");
    answer a;
    store_get(*g.f.s, "b", "o", on_object_answer, &a);
    while (a.count == 0) {
        g.f.world->now.rows.begin()->second.content_id++;
        CHECK(memory_step(*g.f.world));
    }
    test_eq_enum(a.err.code, error_code::io);
    test_eq(g.f.world->executed[memory_op::index_get], load_restarts_max + 1);
    close_world(g.f);
}

// --- sums

static constexpr place found_places[] = {place::placed, place::in_temp, place::moved_unseen};

static index_row &row_of(given_place &g) { return g.f.world->now.rows.begin()->second; }

static std::string &file_of(given_place &g)
{
    memory_image &image = g.f.world->now;
    uint64_t node = memory_find(image, content_temp_path("/data", g.id));
    return image.nodes[node != 0 ? node : memory_find(image, content_final_path("/data", g.id))].data;
}

static void a_list_of_sums_of_the_wrong_size_is_damage(void **)
{
    for (place where : found_places) {
        given_place g;
        make_place(g, where, big);
        test_eq(row_of(g).sums.size(), 1u);
        row_of(g).sums.push_back(7);
        std::string out;
        test_eq_enum(get_object(g.f, "o", out).code, error_code::corrupt);
        test_eq(store_count(*g.f.s).damaged, 1u);
        close_world(g.f);
    }
}

// As an earlier version stored it.
static void a_content_without_sums_is_read_whole(void **)
{
    const std::string bytes(3 * content_block_size + 5, 'y');
    for (place where : found_places) {
        for (bool is_damaged : {false, true}) {
            given_place g;
            make_place(g, where, bytes);
            row_of(g).sums.clear();
            if (is_damaged)
                file_of(g)[2 * content_block_size] ^= 4;
            std::string out;
            test_eq_enum(get_object(g.f, "o", out).code, is_damaged ? error_code::corrupt : error_code::ok);
            test_true(is_damaged || out == bytes);
            if (!is_damaged) {
                // It has a guard now.
                file_of(g)[2 * content_block_size] ^= 4;
                answer a;
                const store_object *object = store_peek(*g.f.s, "b", "o");
                test_true(object != nullptr);
                store_check(*g.f.s, object, 2 * content_block_size, on_object_answer, &a);
                memory_run(*g.f.world);
                test_eq_enum(a.err.code, error_code::corrupt);
                test_true(a.object == nullptr);
            }
            close_world(g.f);
        }
    }
}

static void a_content_without_sums_may_fail_to_be_read(void **)
{
    const std::string bytes(3 * content_block_size + 5, 'y');
    for (size_t skip = 0; skip < 4; skip++) {
        given_place g;
        make_place(g, place::placed, bytes);
        row_of(g).sums.clear();
        g.f.world->faults.push_back({.op = memory_op::read, .err = make_error(error_code::io), .path_part = "", .skip = skip});
        std::string out;
        test_eq_enum(get_object(g.f, "o", out).code, error_code::io);
        test_ok(get_object(g.f, "o", out));
        test_true(out == bytes);
        file_of(g).pop_back(); // after it was opened
        close_world(g.f);
    }
    for (int steps = 0; steps < 14; steps++) {
        given_place g;
        make_place(g, place::placed, bytes);
        row_of(g).sums.clear();
        if (steps % 2 == 0)
            g.f.world->faults.push_back({.op = memory_op::read, .err = make_error(error_code::io), .path_part = "", .skip = 3});
        answer a;
        store_get(*g.f.s, "b", "o", on_object_answer, &a);
        for (int i = 0; i < steps; i++)
            memory_step(*g.f.world);
        if (a.object != nullptr)
            store_release(*g.f.s, a.object);
        close_world(g.f);
        test_eq(a.count, 1);
    }
}

// --- damage

static void damage_is_met_block_by_block(void **)
{
    const std::string bytes(3 * content_block_size + 5, 'y');
    given_place g;
    make_place(g, place::placed, bytes);
    file_of(g)[content_block_size + 17] ^= 1;
    answer a;
    store_get(*g.f.s, "b", "o", on_object_answer, &a);
    memory_run(*g.f.world);
    test_ok(a.err);
    const store_object *object = a.object;
    test_false(store_is_checked(*g.f.s, object, 0));
    for (uint64_t offset : {uint64_t{0}, uint64_t{2 * content_block_size}, uint64_t{3 * content_block_size + 4}}) {
        answer look;
        store_check(*g.f.s, object, offset, on_object_answer, &look);
        test_eq(look.count, 0);
        memory_run(*g.f.world);
        test_ok(look.err);
        test_true(look.object == object);
        test_true(store_is_checked(*g.f.s, object, offset));
    }
    test_false(object->is_damaged);
    const store_object *other = store_peek(*g.f.s, "b", "o");
    test_true(other == object);
    answer look;
    store_check(*g.f.s, other, content_block_size, on_object_answer, &look);
    memory_run(*g.f.world);
    test_eq_enum(look.err.code, error_code::corrupt);
    test_true(look.object == nullptr); // released
    test_true(object->is_damaged);
    test_eq(store_count(*g.f.s).damaged, 1u);
    test_true(store_peek(*g.f.s, "b", "o") == nullptr); // the next reader opens it again
    store_release(*g.f.s, object);
    file_of(g)[content_block_size + 17] ^= 1;
    std::string out;
    test_ok(get_object(g.f, "o", out));
    const store_object *mended = store_peek(*g.f.s, "b", "o");
    answer again;
    store_check(*g.f.s, mended, content_block_size, on_object_answer, &again);
    memory_run(*g.f.world);
    test_ok(again.err);
    store_release(*g.f.s, mended);
    close_world(g.f);
}

static void small_damage_is_counted(void **)
{
    given_place g;
    make_place(g, place::placed, "hello");
    test_ok(put_at_once(g.f, "small", "in the index"));
    g.f.world->now.rows.at({"b", "small"}).content[3] ^= 2;
    std::string out;
    test_eq_enum(get_object(g.f, "small", out).code, error_code::corrupt);
    test_eq(store_count(*g.f.s).damaged, 1u);
    close_world(g.f);
}

static void every_row_is_taken(void **) { check_rows_taken(load_machine_view()); }

int main()
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_found_wherever_it_is),
        cmocka_unit_test(every_open_can_fail),
        cmocka_unit_test(a_wrong_size_is_seen_wherever_the_file_is),
        cmocka_unit_test(a_lookup_ends_with_its_store),
        cmocka_unit_test(an_empty_object_needs_no_file),
        cmocka_unit_test(a_content_in_the_index_needs_no_file),
        cmocka_unit_test(a_row_that_changes_for_ever_is_an_error),
        cmocka_unit_test(a_list_of_sums_of_the_wrong_size_is_damage),
        cmocka_unit_test(a_content_without_sums_is_read_whole),
        cmocka_unit_test(a_content_without_sums_may_fail_to_be_read),
        cmocka_unit_test(damage_is_met_block_by_block),
        cmocka_unit_test(small_damage_is_counted),
        cmocka_unit_test(every_row_is_taken),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
