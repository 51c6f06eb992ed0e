// SPDX-License-Identifier: MIT
// What is left after kill -9 and after a power cut, at any step, even on a slow or failing disk; and housekeeping on such a disk.
//
// ROUNDS=n runs that many seeds, SEED=n one.
#include "store_fixture.h"

#include <cstdlib>
#include <optional>

#include "store/content_path.h"

using namespace etlnode;

static constexpr uint64_t a_while = 60'000;
static constexpr size_t slot_count = 6;

using content = std::optional<std::string>; // nothing: there is no such object

// One name and its known contents. Only one change is made at a time, so that after a crash it has either the old or the new content.
struct slot {
    fixture *f = nullptr;
    std::string name;
    content acknowledged;
    content wanted; // while a change is in progress
    content found;  // after the last crash
    bool busy = false;
    put *p = nullptr;
    bool aborts = false;
    bool at_once = false; // everything is in the last buffer: small contents go into the index
};

static bool disk_may_fail;

static void change_done(slot &s, error err)
{
    s.busy = false;
    if (!err)
        s.acknowledged = s.wanted;
    else
        CHECK(disk_may_fail || err.code == error_code::object_not_found); // removal of a missing object
}

static void on_committed(void *arg, error err, const index_row &row)
{
    slot &s = *static_cast<slot *>(arg);
    CHECK(err || row.size == s.wanted->size());
    change_done(s, err);
}

static void commit(slot &s)
{
    put *p = s.p;
    s.p = nullptr;
    put_commit(*p, s.at_once ? s.wanted->size() : 0, true, checksum_of(*s.wanted), on_committed, &s);
}

static void on_written(void *arg, error err)
{
    slot &s = *static_cast<slot *>(arg);
    CHECK(!err || disk_may_fail);
    if (!s.aborts && !err) {
        commit(s);
        return;
    }
    put_abort(*s.p);
    s.p = nullptr;
    s.busy = false;
}

static void begin_put(slot &s, std::string bytes)
{
    s.busy = true;
    s.wanted = std::move(bytes);
    s.p = put_start(*s.f->s, "b", s.name, "");
    std::memcpy(put_buffer(*s.p).data(), s.wanted->data(), s.wanted->size());
    if (s.wanted->empty() || s.at_once) {
        commit(s);
        return;
    }
    put_write(*s.p, s.wanted->size(), on_written, &s);
}

static void begin_remove(slot &s)
{
    s.busy = true;
    s.wanted = std::nullopt;
    store_remove(
        *s.f->s, "b", s.name, [](void *arg, error err) { change_done(*static_cast<slot *>(arg), err); }, &s);
}

static void begin_something(slot &s, rng &random, int number)
{
    s.aborts = rng_below(random, 8) == 0;
    s.at_once = rng_below(random, 2) == 0;
    uint64_t kind = rng_below(random, 5);
    if (kind == 0) {
        s.aborts = false;
        begin_remove(s);
        return;
    }
    std::string bytes;
    s.aborts = s.aborts && kind > 1 && !s.at_once; // the empty object is committed at once
    if (kind > 1) {
        bytes = s.name + "-" + std::to_string(number);
        const size_t sizes[] = {bytes.size(), 5'000, index_content_size_max, index_content_size_max + 1};
        bytes.resize(sizes[kind == 2 ? 0 : rng_below(random, std::size(sizes))], '.');
    }
    begin_put(s, std::move(bytes));
}

// A failed write has written something else (the memory world does that); a failed sync has synced nothing.
static void let_disk_fail(memory_world &w, rng &random)
{
    constexpr memory_op ops[] = {memory_op::open, memory_op::write, memory_op::sync, memory_op::sync_dir, memory_op::rename,
        memory_op::unlink, memory_op::make_dir, memory_op::index_change, memory_op::index_placed, memory_op::index_garbage_clear};
    w.faults.clear();
    for (uint64_t count = rng_below(random, 5); count > 0; count--) {
        error err = make_error(rng_below(random, 2) == 0 ? error_code::io : error_code::no_space);
        w.faults.push_back({.op = ops[rng_below(random, std::size(ops))],
            .err = err,
            .path_part = "",
            .skip = rng_below(random, 30),
            .count = 1 + rng_below(random, 4)});
    }
}

// Some kinds of operations run only when nothing else is left, so that operations that wait for them meet all others.
static void make_disk_slow(memory_world &w, rng &random)
{
    w.shuffle = false;
    for (memory_op op : {memory_op::write, memory_op::sync, memory_op::sync_dir, memory_op::rename, memory_op::unlink,
             memory_op::index_change, memory_op::index_placed}) {
        if (rng_below(random, 3) == 0)
            w.deferred.insert(op);
    }
}

static content read_now(fixture &f, const std::string &name)
{
    std::string bytes;
    error err = get_object(f, name, bytes);
    if (err.code == error_code::object_not_found)
        return std::nullopt;
    if (err)
        print_error("object %s: %s\n", name.c_str(), error_text(err));
    test_ok(err);
    return bytes;
}

static void disk_holds_what_the_index_names(const memory_image &image)
{
    size_t contents = 0;
    for (const auto &[key, row] : image.rows) {
        if (row.content_id == 0 || row.in_index)
            continue;
        contents++;
        test_true(memory_find(image, content_final_path("/data", row.content_id)) != 0);
    }
    test_eq(memory_files(image, "/data").size(), contents);
    test_eq(image.garbage.size(), 0u);
    test_eq(image.pending_moves.size(), 0u);
}

// The image holds what was acknowledged, or what was in progress; after a while nothing else is on the disk. The slots take over what was
// found.
static void audit(const memory_image &image, slot (&slots)[slot_count], uint64_t seed)
{
    fixture f;
    start_world(f, image, seed);
    f.world->shuffle = true;
    test_ok(open_store(f));
    for (slot &s : slots) {
        content found = read_now(f, s.name);
        bool fine = found == s.acknowledged || (s.busy && !s.aborts && found == s.wanted);
        if (!fine)
            print_error("seed %llu: object %s is not what was acknowledged\n", static_cast<unsigned long long>(seed), s.name.c_str());
        test_true(fine);
        s.found = found;
    }
    test_ok(put_object(f, "new", "works"));
    memory_advance(*f.world, a_while);
    disk_holds_what_the_index_names(f.world->now);
    close_world(f);
}

static memory_crash any_crash(rng &random)
{
    constexpr memory_crash kinds[] = {memory_crash::killed, memory_crash::power_cut, memory_crash::torn};
    return kinds[rng_below(random, 3)];
}

// One run of the node, from its start to a crash at any step, including the start. Returns its image.
static memory_image live(const memory_image &image, slot (&slots)[slot_count], rng &random, uint64_t steps_max)
{
    fixture f;
    start_world(f, image, rng_next(random));
    f.world->shuffle = true;
    bool is_slow = disk_may_fail && rng_below(random, 3) == 0;
    if (is_slow)
        make_disk_slow(*f.world, random);
    bool has_failed = !disk_may_fail;
    f.options.dir = "/data";
    store_open(f.world->e, f.options, on_store_open, &f);
    for (slot &s : slots)
        s.f = &f;
    int number = static_cast<int>(rng_below(random, 1'000'000));
    for (uint64_t steps = rng_below(random, steps_max); steps > 0; steps--) {
        slot &s = slots[rng_below(random, slot_count)];
        if (f.s != nullptr && !has_failed && rng_below(random, 20) == 0) {
            has_failed = true;
            let_disk_fail(*f.world, random);
        }
        if (f.s != nullptr && !s.busy && rng_below(random, 3) == 0)
            begin_something(s, random, ++number);
        if (!memory_step(*f.world) && rng_below(random, 4) == 0)
            virtual_fire_next(f.world->clock, UINT64_MAX);
    }
    memory_image left = memory_take(*f.world, any_crash(random));
    audit(left, slots, rng_next(random));
    f.world->faults.clear();
    memory_run(*f.world); // the crashed run continues to its end, unseen
    close_world(f);
    for (slot &s : slots) {
        CHECK(!s.busy);
        s.acknowledged = s.found;
    }
    return left;
}

static void crash_many_times(bool may_fail)
{
    disk_may_fail = may_fail;
    const char *rounds = getenv("ROUNDS");
    const char *only = getenv("SEED");
    uint64_t first = only != nullptr ? strtoull(only, nullptr, 10) : 1;
    uint64_t last = only != nullptr ? first : rounds != nullptr ? strtoull(rounds, nullptr, 10) : 300;
    for (uint64_t seed = first; seed <= last; seed++) {
        rng random{seed};
        slot slots[slot_count];
        for (size_t i = 0; i < slot_count; i++)
            slots[i].name = std::string(1, static_cast<char>('a' + i));
        memory_image image = memory_empty();
        for (int lives = 0; lives < 4; lives++)
            image = live(image, slots, random, rng_below(random, 2) == 0 ? 100 : 500);
    }
    disk_may_fail = false;
}

static void crashes_at_any_step(void **) { crash_many_times(false); }
static void crashes_at_any_step_of_a_failing_disk(void **) { crash_many_times(true); }

// The same by hand: one put, with a crash after each of its steps.
static void one_put_step_by_step(void **)
{
    bool seen_absent = false, seen_unacknowledged = false, seen_in_temp = false;
    for (int steps = 0; steps < 40; steps++) {
        fixture f;
        start_world(f, memory_empty());
        test_ok(open_store(f));
        answer written, committed;
        put *p = put_start(*f.s, "b", "o", "");
        std::memcpy(put_buffer(*p).data(), "hello", 5);
        put_write(*p, 5, on_answer, &written);
        bool asked = false;
        for (int i = 0; i < steps; i++) {
            memory_step(*f.world);
            if (written.count == 1 && !asked) {
                asked = true;
                put_commit(*p, 0, false, 0, on_row_answer, &committed);
            }
        }
        bool acknowledged = committed.count == 1;
        fixture next;
        start_world(next, memory_take(*f.world, memory_crash::power_cut));
        seen_in_temp = seen_in_temp || (acknowledged && !memory_files(next.world->now, "/data/tmp").empty());
        test_ok(open_store(next));
        std::string bytes;
        error err = get_object(next, "o", bytes);
        test_true(!err || err.code == error_code::object_not_found);
        test_true(!err || !acknowledged);
        if (!err)
            test_eq_text(bytes, "hello");
        seen_absent = seen_absent || err;
        seen_unacknowledged = seen_unacknowledged || (!err && !acknowledged);
        memory_advance(*next.world, a_while);
        disk_holds_what_the_index_names(next.world->now);
        close_world(next);
        if (!asked)
            put_abort(*p);
        memory_run(*f.world);
        close_world(f);
    }
    test_true(seen_absent);
    test_true(seen_unacknowledged);
    test_true(seen_in_temp);
}

static void one_put_into_the_index_step_by_step(void **)
{
    bool seen_absent = false, seen_unacknowledged = false, seen_acknowledged = false;
    for (int steps = 0; steps < 10; steps++) {
        fixture f;
        start_world(f, memory_empty());
        test_ok(open_store(f));
        answer committed;
        put *p = put_start(*f.s, "b", "o", "");
        std::memcpy(put_buffer(*p).data(), "hello", 5);
        put_commit(*p, 5, false, 0, on_row_answer, &committed);
        for (int i = 0; i < steps; i++)
            memory_step(*f.world);
        bool acknowledged = committed.count == 1;
        fixture next;
        start_world(next, memory_take(*f.world, memory_crash::power_cut));
        test_ok(open_store(next));
        std::string bytes;
        error err = get_object(next, "o", bytes);
        test_true(err.code == (acknowledged ? error_code::ok : err.code));
        test_true(!err || err.code == error_code::object_not_found);
        if (!err)
            test_eq_text(bytes, "hello");
        seen_absent = seen_absent || err;
        seen_unacknowledged = seen_unacknowledged || (!err && !acknowledged);
        seen_acknowledged = seen_acknowledged || acknowledged;
        test_eq(memory_files(next.world->now, "/data").size(), 0u);
        index_row row;
        test_ok(put_object(next, "other", "a file", &row)); // no id is assigned twice
        test_true(err || row.content_id > next.world->now.rows.at({"b", "o"}).content_id);
        memory_advance(*next.world, a_while);
        disk_holds_what_the_index_names(next.world->now);
        close_world(next);
        memory_run(*f.world);
        close_world(f);
    }
    test_true(seen_absent);
    test_true(seen_unacknowledged);
    test_true(seen_acknowledged);
}

// Until the move is done, and even if it cannot be done, an acknowledged object is read from tmp/.
static void an_object_is_readable_before_its_move(void **)
{
    fixture f;
    start_world(f, memory_empty());
    test_ok(open_store(f));
    f.world->faults = {{.op = memory_op::rename, .err = make_error(error_code::io), .path_part = "", .skip = 0, .count = 1000}};
    test_ok(put_object(f, "o", "hello"));
    test_eq(memory_files(f.world->now, "/data/tmp").size(), 1u);
    std::string bytes;
    test_ok(get_object(f, "o", bytes));
    test_eq_text(bytes, "hello");
    fixture next; // and after a restart, on the same bad disk
    start_world(next, memory_take(*f.world, memory_crash::power_cut));
    next.world->faults = f.world->faults;
    test_ok(open_store(next));
    test_ok(get_object(next, "o", bytes));
    test_eq_text(bytes, "hello");
    next.world->faults.clear();
    memory_advance(*next.world, a_while);
    disk_holds_what_the_index_names(next.world->now);
    close_world(next);
    // Overwritten and removed before it was moved.
    test_ok(put_object(f, "o", "again"));
    test_ok(remove_object(f, "o"));
    f.world->faults.clear();
    memory_advance(*f.world, a_while);
    disk_holds_what_the_index_names(f.world->now);
    test_eq(memory_files(f.world->now, "/data").size(), 0u);
    close_world(f);
}

static void housekeeping_survives_errors(void **)
{
    const memory_op ops[] = {memory_op::rename, memory_op::make_dir, memory_op::unlink, memory_op::sync_dir, memory_op::index_placed,
        memory_op::index_garbage_clear};
    for (memory_op op : ops) {
        for (size_t skip = 0; skip < 4; skip++) {
            fixture f;
            start_world(f, memory_empty());
            test_ok(open_store(f));
            const char *where = op == memory_op::sync_dir ? "/objects" : "";
            f.world->faults = {{.op = op, .err = make_error(error_code::no_space), .path_part = where, .skip = skip, .count = 2}};
            for (const char *name : {"a", "b", "a", "c", "b"})
                test_ok(put_object(f, name, "content of " + std::string(name)));
            test_ok(remove_object(f, "c"));
            memory_advance(*f.world, a_while);
            std::string bytes;
            test_ok(get_object(f, "a", bytes));
            test_eq_text(bytes, "content of a");
            disk_holds_what_the_index_names(f.world->now);
            close_world(f);
        }
    }
}

// An abandoned file that cannot be removed yet keeps its id.
static void ids_of_abandoned_files_are_not_used_again(void **)
{
    fixture f;
    start_world(f, memory_empty());
    test_ok(open_store(f));
    put *p = put_start(*f.s, "b", "o", "");
    test_ok(put_bytes(f, *p, "abandoned"));
    memory_image image = memory_take(*f.world, memory_crash::killed);
    put_abort(*p);
    close_world(f);
    start_world(f, image);
    f.world->faults = {{.op = memory_op::unlink, .err = make_error(error_code::io)}};
    test_ok(open_store(f));
    test_ok(put_object(f, "o", "new"));
    memory_advance(*f.world, a_while);
    std::string bytes;
    test_ok(get_object(f, "o", bytes));
    test_eq_text(bytes, "new");
    disk_holds_what_the_index_names(f.world->now);
    close_world(f);
}

static void foreign_files_in_temp_are_left_alone(void **)
{
    fixture f;
    start_world(f, memory_empty());
    test_ok(open_store(f));
    put *p = put_start(*f.s, "b", "o", "");
    test_ok(put_bytes(f, *p, "abandoned"));
    memory_image image = memory_take(*f.world, memory_crash::killed);
    put_abort(*p);
    close_world(f);
    test_eq(memory_files(image, "/data/tmp").size(), 1u);
    uint64_t temp = memory_find(image, "/data/tmp");
    image.nodes[temp].names["notes.txt"] = image.next_node;
    image.nodes[image.next_node++].data = "mine";
    start_world(f, image);
    test_ok(open_store(f));
    test_eq(memory_files(f.world->now, "/data/tmp").size(), 1u);
    test_true(memory_find(f.world->now, "/data/tmp/notes.txt") != 0);
    close_world(f);
}

int main()
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {
        cmocka_unit_test(one_put_step_by_step),
        cmocka_unit_test(one_put_into_the_index_step_by_step),
        cmocka_unit_test(crashes_at_any_step),
        cmocka_unit_test(crashes_at_any_step_of_a_failing_disk),
        cmocka_unit_test(an_object_is_readable_before_its_move),
        cmocka_unit_test(housekeeping_survives_errors),
        cmocka_unit_test(ids_of_abandoned_files_are_not_used_again),
        cmocka_unit_test(foreign_files_in_temp_are_left_alone),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
