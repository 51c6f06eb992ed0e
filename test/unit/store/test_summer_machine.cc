// SPDX-License-Identifier: MIT
// Contents that an earlier version stored get their sums, whatever happens meanwhile, and a damaged one is no longer served.
#include "store_fixture.h"

#include "store/content_path.h"
#include "store/content_sums.h"
#include "store/store_machines.h"
#include "store/summer_machine.h"

using namespace etlnode;

static const std::string large(2 * content_block_size + 7, 'z');

// A disk of an earlier version: objects a, b, c without sums. `changed` may change it further.
static memory_image earlier(void (*changed)(memory_image &image) = nullptr, bool in_temp = false)
{
    fixture f;
    start_world(f, memory_empty());
    CHECK(!open_store(f));
    if (in_temp)
        f.world->faults = {{.op = memory_op::rename, .err = make_error(error_code::io), .path_part = "", .skip = 0, .count = 100}};
    for (const char *name : {"a", "b", "c"})
        CHECK(!put_object(f, name, large + name));
    memory_image image = memory_take(*f.world, memory_crash::killed);
    close_world(f);
    for (auto &[key, row] : image.rows) {
        row.sums.clear();
        image.unsummed[row.content_id] = key;
    }
    if (changed != nullptr)
        changed(image);
    return image;
}

static std::string &file_of(memory_image &image, const std::string &name)
{
    uint64_t id = image.rows.at({"b", name}).content_id;
    uint64_t node = memory_find(image, content_final_path("/data", id));
    return image.nodes[node != 0 ? node : memory_find(image, content_temp_path("/data", id))].data;
}

static void pass(fixture &f)
{
    for (int i = 0; i < 100; i++)
        memory_advance(*f.world, summer_pause_ms);
}

static void expect_all_summed(fixture &f, std::initializer_list<const char *> but = {})
{
    test_eq(f.world->now.unsummed.size(), 0u);
    for (const auto &[key, row] : f.world->now.rows) {
        bool is_excepted = std::find(but.begin(), but.end(), key.second) != but.end();
        if (row.size == 0 || is_excepted)
            continue;
        content_sums sums;
        std::string bytes = large + key.second;
        content_sums_add(sums, bytes.data(), bytes.size());
        content_sums_end(sums);
        test_true(row.sums == sums.done);
    }
}

static void run(const memory_image &image, std::initializer_list<const char *> but = {}, std::vector<memory_fault> faults = {})
{
    fixture f;
    start_world(f, image);
    f.world->faults = std::move(faults);
    test_ok(open_store(f));
    pass(f);
    f.world->faults.clear();
    memory_advance(*f.world, summer_retry_ms);
    pass(f);
    expect_all_summed(f, but);
    test_true(f.world->executed[memory_op::index_sums_add] >= 3);
    close_world(f);
}

static void contents_get_their_sums(void **)
{
    run(earlier());
    run(earlier(nullptr, true)); // not moved yet: housekeeping does that meanwhile
}

static void everything_can_fail_once(void **)
{
    for (memory_op op : {memory_op::index_unsummed, memory_op::open, memory_op::read, memory_op::index_sums_add, memory_op::rename}) {
        for (size_t skip = 0; skip < 8; skip++) {
            for (bool in_temp : {false, true})
                run(earlier(nullptr, in_temp), {},
                    {{.op = op, .err = make_error(error_code::io), .path_part = "", .skip = skip, .count = 2}});
        }
    }
}

// They cannot be opened while they are in tmp/, and they are moved between the attempts in both places.
static void every_place_can_fail(void **)
{
    for (error_code code : {error_code::io, error_code::no_such_file}) {
        for (size_t skip = 0; skip < 4; skip++) {
            fixture f;
            start_world(f, earlier(nullptr, true));
            f.world->faults = {{.op = memory_op::rename, .err = make_error(error_code::io), .path_part = "", .skip = 0, .count = 100},
                {.op = memory_op::open, .err = make_error(code), .path_part = "", .skip = skip, .count = 1},
                {.op = memory_op::open, .err = make_error(error_code::io), .path_part = "", .skip = skip + 1, .count = 1}};
            test_ok(open_store(f));
            pass(f);
            f.world->faults.clear();
            memory_advance(*f.world, housekeeping_retry_ms);
            memory_advance(*f.world, summer_retry_ms);
            pass(f);
            test_eq(f.world->now.unsummed.size(), 0u);
            close_world(f);
        }
    }
}

static void a_content_that_moves_meanwhile_is_found(void **)
{
    for (size_t grown : {0u, 3u}) {
        fixture f;
        start_world(f, earlier(nullptr, true));
        memory_world &w = *f.world;
        uint64_t id = w.now.rows.at({"b", "a"}).content_id;
        w.faults = {{.op = memory_op::rename, .err = make_error(error_code::io), .path_part = "", .skip = 0, .count = 100},
            // The file is in neither place when it is tried there.
            {.op = memory_op::open,
                .err = make_error(error_code::no_such_file),
                .path_part = content_final_path("/data", id),
                .skip = 0,
                .count = 1},
            {.op = memory_op::open,
                .err = make_error(error_code::no_such_file),
                .path_part = content_temp_path("/data", id),
                .skip = 0,
                .count = 1}};
        memory_task move;
        move.path = content_temp_path("/data", id);
        move.path_to = content_final_path("/data", id);
        CHECK(!memory_rename(w, move));
        file_of(w.now, "a").append(grown, '!');
        test_ok(open_store(f));
        pass(f);
        test_eq(w.now.unsummed.size(), 0u);
        std::string out;
        test_eq_enum(get_object(f, "a", out).code, grown == 0 ? error_code::ok : error_code::corrupt);
        close_world(f);
    }
}

static void a_damaged_content_is_not_served(void **)
{
    for (int how = 0; how < 3; how++) {
        for (bool in_temp : {false, true}) {
            memory_image image = earlier(nullptr, in_temp);
            std::string &file = file_of(image, "b");
            if (how == 0)
                file[content_block_size] ^= 1;
            else if (how == 1)
                file.pop_back();
            else
                file += "more";
            fixture f;
            start_world(f, image);
            if (in_temp)
                f.world->faults = {{.op = memory_op::rename, .err = make_error(error_code::io), .path_part = "", .skip = 0, .count = 100}};
            test_ok(open_store(f));
            pass(f);
            test_true(store_count(*f.s).damaged > 0);
            expect_all_summed(f, {"b"});
            answer a;
            store_get(*f.s, "b", "b", on_object_answer, &a);
            memory_run(*f.world);
            if (!a.err) { // with the right size: every block is refused
                for (uint64_t block = 0; block < content_sums_count(large.size() + 1); block++) {
                    answer look;
                    const store_object *again = nullptr;
                    answer got;
                    store_get(*f.s, "b", "b", on_object_answer, &got);
                    memory_run(*f.world);
                    again = got.object;
                    store_check(*f.s, again, block * content_block_size, on_object_answer, &look);
                    memory_run(*f.world);
                    test_eq_enum(look.err.code, error_code::corrupt);
                }
                store_release(*f.s, a.object);
            } else {
                test_eq_enum(a.err.code, error_code::corrupt);
            }
            std::string out;
            f.world->faults.clear();
            test_ok(put_object(f, "b", large));
            test_ok(get_object(f, "b", out));
            test_true(out == large);
            close_world(f);
        }
    }
}

// Shorter than when it was opened.
static void a_content_that_shrinks_is_damaged(void **)
{
    fixture f;
    start_world(f, earlier());
    test_ok(open_store(f));
    memory_advance(*f.world, summer_pause_ms);
    file_of(f.world->now, "a").resize(10);
    pass(f);
    test_eq(store_count(*f.s).damaged, 1u);
    expect_all_summed(f, {"a"});
    close_world(f);
}

static void objects_may_go_meanwhile(void **)
{
    run(earlier([](memory_image &image) { image.rows.erase({"b", "a"}); }));
    // Its file has shrunk: the object is damaged, and lookups say so.
    run(earlier([](memory_image &image) {
        uint64_t id = image.rows.at({"b", "a"}).content_id;
        image.nodes[memory_find(image, content_group_dir("/data", content_group(id)))].names.erase(content_name(id));
    }),
        {"a"});
    // Overwritten while its old content is being read.
    for (int steps = 0; steps < 40; steps++) {
        fixture f;
        start_world(f, earlier());
        test_ok(open_store(f));
        for (int i = 0; i < steps; i++)
            memory_step(*f.world);
        test_ok(put_object(f, "a", large + "a"));
        pass(f);
        expect_all_summed(f);
        close_world(f);
    }
}

// A lookup that opened the file without a guard does not leave it to later readers.
static void what_was_looked_up_before_is_forgotten(void **)
{
    fixture f;
    start_world(f, earlier());
    test_ok(open_store(f));
    std::string out;
    test_ok(get_object(f, "c", out));
    test_true(store_peek(*f.s, "b", "c") != nullptr);
    store_release(*f.s, store_peek(*f.s, "b", "c"));
    const store_object *held = store_peek(*f.s, "b", "c");
    store_release(*f.s, held);
    store_release(*f.s, held);
    pass(f);
    expect_all_summed(f);
    test_true(store_peek(*f.s, "b", "c") == nullptr);
    close_world(f);
}

// At each step; a step is one half of an operation.
static void it_ends_when_it_is_stopped(void **)
{
    for (bool in_temp : {false, true}) {
        const memory_image image = earlier(nullptr, in_temp);
        for (size_t missing : {0u, 1u, 2u, 3u}) {
            for (bool fails : {false, true}) {
                for (int steps = 0; steps < 40; steps++) {
                    fixture f;
                    start_world(f, image);
                    memory_world &w = *f.world;
                    if (missing > 0)
                        w.faults.push_back({.op = memory_op::open,
                            .err = make_error(error_code::no_such_file),
                            .path_part = "",
                            .skip = in_temp ? size_t{1} : 0,
                            .count = missing});
                    summer s;
                    bool ended = false;
                    summer_start(
                        s, w.e, "/data", [](void *, const index_row &, bool) {}, nullptr);
                    for (int i = 0; i < steps; i++) {
                        if (!memory_step(w))
                            memory_advance(w, 1);
                    }
                    if (fails)
                        for (memory_op op : {memory_op::open, memory_op::read, memory_op::index_unsummed, memory_op::index_sums_add})
                            w.faults.push_back({.op = op, .err = make_error(error_code::io)});
                    summer_stop(
                        s, [](void *arg) { *static_cast<bool *>(arg) = true; }, &ended);
                    memory_run(w);
                    test_true(ended);
                    memory_free(f.world);
                }
            }
        }
    }
}

static void sums_do_not_depend_on_the_pieces(void **)
{
    std::string bytes(3 * content_block_size + 12'345, '\0');
    for (size_t i = 0; i < bytes.size(); i++)
        bytes[i] = static_cast<char>(i * 7 + i / 251);
    content_sums whole;
    for (size_t at = 0; at < bytes.size(); at += content_block_size)
        whole.done.push_back(XXH3_64bits(bytes.data() + at, std::min(content_block_size, bytes.size() - at)));
    test_eq(whole.done.size(), content_sums_count(bytes.size()));
    for (size_t piece : {size_t{1'000}, content_block_size - 1, content_block_size, content_block_size + 1, bytes.size()}) {
        content_sums sums;
        for (size_t at = 0; at < bytes.size(); at += piece)
            content_sums_add(sums, bytes.data() + at, std::min(piece, bytes.size() - at));
        content_sums_end(sums);
        test_true(sums.done == whole.done);
    }
    test_eq(content_sums_count(0), 0u);
    test_eq(content_sums_count(1), 1u);
    test_eq(content_sums_count(content_block_size), 1u);
    test_eq(content_sums_count(UINT64_MAX), UINT64_MAX / content_block_size + 1);
}

static void every_row_is_taken(void **) { check_rows_taken(summer_machine_view()); }

int main()
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {
        cmocka_unit_test(contents_get_their_sums),
        cmocka_unit_test(everything_can_fail_once),
        cmocka_unit_test(every_place_can_fail),
        cmocka_unit_test(a_content_that_moves_meanwhile_is_found),
        cmocka_unit_test(a_damaged_content_is_not_served),
        cmocka_unit_test(a_content_that_shrinks_is_damaged),
        cmocka_unit_test(objects_may_go_meanwhile),
        cmocka_unit_test(what_was_looked_up_before_is_forgotten),
        cmocka_unit_test(it_ends_when_it_is_stopped),
        cmocka_unit_test(sums_do_not_depend_on_the_pieces),
        cmocka_unit_test(every_row_is_taken),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
