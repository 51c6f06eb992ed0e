// SPDX-License-Identifier: MIT
// Housekeeping, with every operation failing in every way, and ended at every step: the next run always finishes the work.
#include "store_fixture.h"

#include "store/content_path.h"
#include "store/housekeeping_machine.h"
#include "store/store_machines.h"

using namespace etlnode;

static constexpr uint64_t a_while = 60'000;

// A disk after a crash: an abandoned file, a content not yet in its place, and a piece of garbage.
static memory_image left_by_a_crash()
{
    fixture f;
    start_world(f, memory_empty());
    CHECK(!open_store(f));
    CHECK(!put_object(f, "placed", "placed"));
    memory_advance(*f.world, a_while);
    f.world->faults = {{.op = memory_op::rename, .err = make_error(error_code::io), .path_part = "", .skip = 0, .count = 100},
        {.op = memory_op::unlink, .err = make_error(error_code::io), .path_part = "", .skip = 0, .count = 100}};
    CHECK(!put_object(f, "a", "one"));
    CHECK(!put_object(f, "a", "two"));
    CHECK(!put_object(f, "b", "content"));
    put *p = put_start(*f.s, "b", "c", "");
    CHECK(!put_bytes(f, *p, "abandoned"));
    memory_image image = memory_take(*f.world, memory_crash::killed);
    put_abort(*p);
    close_world(f);
    CHECK(memory_files(image, "/data/tmp").size() == 4);
    return image;
}

static void disk_is_clean(const memory_image &image)
{
    size_t contents = 0;
    for (const auto &[key, row] : image.rows) {
        contents++;
        test_true(memory_find(image, content_final_path("/data", row.content_id)) != 0);
    }
    test_eq(memory_files(image, "/data").size(), contents);
    test_eq(image.garbage.size(), 0u);
    test_eq(image.pending_moves.size(), 0u);
}

// The failing directory may be the put's.
static void put_somehow(fixture &f, const std::string &name, std::string_view bytes)
{
    int tries = 1;
    while (put_object(f, name, bytes)) {
        memory_advance(*f.world, a_while);
        test_true(++tries < 8);
    }
}

struct failing {
    memory_op op;
    const char *path_part;
};

static void ended_at_any_step_on_a_failing_disk(void **)
{
    const failing all[] = {{memory_op::unlink, "/tmp/"}, {memory_op::unlink, "/objects/"}, {memory_op::rename, ""},
        {memory_op::make_dir, "objects/"}, {memory_op::sync_dir, "/objects"}, {memory_op::sync_dir, "/objects/"},
        {memory_op::sync_dir, "/tmp"}, {memory_op::index_garbage_clear, ""}, {memory_op::index_placed, ""}};
    memory_image image = left_by_a_crash();
    for (const failing &f : all) {
        for (error_code code : {error_code::io, error_code::no_such_file}) {
            for (uint64_t steps = 10; steps < 90; steps += 1) {
                fixture first;
                start_world(first, image);
                // A false error about a file is not survivable and not the subject here: only directories may be missing.
                bool lies = code == error_code::no_such_file && (f.op == memory_op::unlink || f.op == memory_op::rename);
                size_t count = lies ? 0 : steps % 4;
                first.world->faults = {{.op = f.op, .err = make_error(code), .path_part = f.path_part, .skip = steps % 3, .count = count}};
                first.options.dir = "/data";
                store_open(first.world->e, first.options, on_store_open, &first);
                for (uint64_t i = 0; i < steps; i++) {
                    if (!memory_step(*first.world))
                        memory_advance(*first.world, steps % 2 == 0 ? housekeeping_retry_ms : housekeeping_batch_delay_ms);
                    // The remaining steps may not suffice for the store to open.
                    if (i + 1 == steps && first.s == nullptr)
                        memory_run(*first.world);
                }
                close_world(first); // whatever it is doing

                fixture next;
                start_world(next, image);
                next.world->faults = {{.op = f.op, .err = make_error(code), .path_part = f.path_part, .skip = steps % 3, .count = count}};
                test_ok(open_store(next));
                memory_advance(*next.world, a_while);
                put_somehow(next, "d", "new");
                put_somehow(next, "a", "three");
                test_ok(remove_object(next, "placed"));
                memory_advance(*next.world, a_while);
                disk_is_clean(next.world->now);
                close_world(next);
            }
        }
    }
}

// Housekeeping alone, stopped after each of its steps; each operation succeeds, fails, or finds nothing.
static void stopped_at_any_step(void **)
{
    const failing all[] = {{memory_op::list, ""}, /* none */ {memory_op::unlink, ""}, {memory_op::rename, ""}, {memory_op::make_dir, ""},
        {memory_op::sync_dir, ""}, {memory_op::index_garbage_clear, ""}, {memory_op::index_placed, ""}};
    memory_image image = left_by_a_crash();
    for (const failing &f : all) {
        for (error_code code : {error_code::io, error_code::no_such_file}) {
            for (int steps = 0; steps < 60; steps++) {
                memory_world *w = memory_make(image);
                housekeeping k;
                housekeeping_start(k, w->e, "/data");
                for (uint64_t id : image.pending_moves)
                    housekeeping_add_move(k, id);
                for (uint64_t id : {1000u, 1001u}) // moved by an earlier run that could not report it
                    housekeeping_add_move(k, id);
                for (uint64_t id : image.garbage)
                    housekeeping_add_garbage(k, id);
                housekeeping_add_garbage(k, 1000);
                housekeeping_add_orphan(k, image.content_id_max + 1);
                w->faults = {{.op = f.op, .err = make_error(code), .path_part = "", .skip = static_cast<size_t>(steps % 2), .count = 1000}};
                for (int i = 0; i < steps; i++) {
                    if (!memory_step(*w))
                        virtual_fire_next(w->clock, UINT64_MAX);
                }
                int ended = 0;
                housekeeping_stop(
                    k, [](void *arg) { ++*static_cast<int *>(arg); }, &ended);
                memory_run(*w);
                test_eq(ended, 1);
                memory_free(w);
            }
        }
    }
}

static void garbage_that_never_left_temp(void **)
{
    fixture f;
    start_world(f, memory_empty());
    test_ok(open_store(f));
    f.world->faults = {{.op = memory_op::make_dir, .err = make_error(error_code::no_space), .path_part = "objects/"}};
    test_ok(put_object(f, "o", "hello"));
    test_ok(remove_object(f, "o"));
    memory_advance(*f.world, a_while);
    disk_is_clean(f.world->now);
    test_true(memory_find(f.world->now, "/data/objects/00") == 0); // never created
    close_world(f);
}

static void an_orphan_that_is_gone_is_fine(void **)
{
    memory_image image = left_by_a_crash();
    fixture f;
    start_world(f, image);
    f.options.dir = "/data";
    store_open(f.world->e, f.options, on_store_open, &f);
    while (f.world->executed[memory_op::list] == 0)
        memory_step(*f.world);
    memory_node &temp = f.world->now.nodes[memory_find(f.world->now, "/data/tmp")];
    temp.names.erase(std::prev(temp.names.end()));
    memory_run(*f.world);
    test_ok(f.open_error);
    memory_advance(*f.world, a_while);
    disk_is_clean(f.world->now);
    close_world(f);
}

// A client that overwrites without end causes moves without end. The old contents must be removed meanwhile, or the disk fills up.
static void garbage_goes_while_moves_keep_coming(void **)
{
    fixture f;
    start_world(f, memory_empty());
    test_ok(open_store(f));
    memory_world *w = memory_make(memory_take(*f.world, memory_crash::killed));
    close_world(f);
    housekeeping k;
    housekeeping_start(k, w->e, "/data");
    uint64_t id = 1;
    for (; id <= 3 * housekeeping_remove_count; id++)
        housekeeping_add_garbage(k, id);
    housekeeping_add_move(k, id++);
    for (int steps = 0; !k.garbage.empty(); steps++) {
        test_true(steps < 200);
        if (k.moves.empty())
            housekeeping_add_move(k, id++);
        memory_step(*w);
    }
    test_true(w->executed[memory_op::rename] >= 2);
    int ended = 0;
    housekeeping_stop(
        k, [](void *arg) { ++*static_cast<int *>(arg); }, &ended);
    memory_run(*w);
    test_eq(ended, 1);
    memory_free(w);
}

static void opening_fails_at_every_step(void **)
{
    const failing all[] = {{memory_op::make_dir, "/tmp"}, {memory_op::make_dir, "/objects"}, {memory_op::sync_dir, "/data"},
        {memory_op::list, ""}, {memory_op::list, "/tmp"}, {memory_op::index_pending_moves, ""}, {memory_op::index_garbage, ""}};
    for (const failing &step : all) {
        fixture f;
        start_world(f, memory_empty());
        f.world->faults = {{.op = step.op, .err = make_error(error_code::io), .path_part = step.path_part}};
        test_eq_enum(open_store(f).code, error_code::io);
        test_true(f.s == nullptr);
        close_world(f);
    }
}

// node.db was deleted or restored from before the objects: the files are not taken for ours, not overwritten, and not forgotten.
static void contents_of_a_lost_index_are_set_aside(void **)
{
    fixture f;
    start_world(f, memory_empty());
    test_ok(open_store(f));
    test_ok(put_object(f, "old", std::string(20'000, 'o')));
    memory_advance(*f.world, a_while);
    memory_image image = memory_take(*f.world, memory_crash::killed);
    close_world(f);
    test_eq(memory_files(image, "/data/objects").size(), 1u);
    image.rows.clear();
    image.content_id_max = 0;
    for (int failed = 0; failed < 4; failed++) {
        start_world(f, image);
        if (failed == 1)
            f.world->faults = {{.op = memory_op::list, .err = make_error(error_code::io), .path_part = "/objects"}};
        if (failed == 2)
            f.world->faults = {{.op = memory_op::rename, .err = make_error(error_code::io)}};
        if (failed == 3)
            f.world->faults = {
                {.op = memory_op::list, .err = make_error(error_code::io), .path_part = "", .skip = 3}}; // of the directory itself
        error err = open_store(f);
        test_eq_enum(err.code, failed == 0 ? error_code::ok : error_code::io);
        if (failed == 0) {
            test_ok(put_object(f, "new", std::string(30'000, 'n')));
            memory_advance(*f.world, a_while);
            test_eq(memory_files(f.world->now, "/data/objects").size(), 1u);
            std::vector<std::string> all = memory_files(f.world->now, "/data");
            test_eq(all.size(), 2u);
            test_true(all[0].starts_with("/data/objects.lost-") || all[1].starts_with("/data/objects.lost-"));
            std::string out;
            test_ok(get_object(f, "new", out));
            test_true(out == std::string(30'000, 'n'));
            // A later start has an index that is not new: it leaves both alone and logs that.
            memory_image later = memory_take(*f.world, memory_crash::killed);
            close_world(f);
            start_world(f, later);
            test_ok(open_store(f));
            test_eq(memory_files(f.world->now, "/data").size(), 2u);
        }
        close_world(f);
    }
}

static void every_row_is_taken(void **)
{
    check_rows_taken(housekeeping_machine_view());
    check_rows_taken(open_machine_view());
}

int main()
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {
        cmocka_unit_test(ended_at_any_step_on_a_failing_disk),
        cmocka_unit_test(garbage_that_never_left_temp),
        cmocka_unit_test(stopped_at_any_step),
        cmocka_unit_test(garbage_goes_while_moves_keep_coming),
        cmocka_unit_test(an_orphan_that_is_gone_is_fine),
        cmocka_unit_test(opening_fails_at_every_step),
        cmocka_unit_test(contents_of_a_lost_index_are_set_aside),
        cmocka_unit_test(every_row_is_taken),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
