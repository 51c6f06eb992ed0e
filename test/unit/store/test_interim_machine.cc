// SPDX-License-Identifier: MIT
// test of store/interim_machine: contents without a name, in memory and on the disk, and what is left of them.
#include "store_fixture.h"

#include "base/limits.h"
#include "store/interim.h"
#include "store/store_machines.h"

using namespace etlnode;

static std::string pattern(size_t size)
{
    std::string out(size, '\0');
    for (size_t i = 0; i < size; i++)
        out[i] = static_cast<char>('a' + (i * 131 + i / 257) % 26);
    return out;
}

static std::vector<std::string> names_in_tmp(fixture &f) { return memory_files(f.world->now, "/data/tmp"); }

// Fills it; the answer of the last spill, which has no error if all went well.
static answer fill(fixture &f, interim &i, std::string_view bytes)
{
    answer spilt;
    while (!bytes.empty() && !spilt.err) {
        bytes.remove_prefix(interim_add(i, bytes));
        if (!interim_is_full(i) || bytes.empty())
            continue;
        spilt = {};
        interim_spill(i, on_answer, &spilt);
        memory_run(*f.world);
        test_eq(spilt.count, 1);
    }
    return spilt;
}

static std::string read_all(fixture &f, const store_object &object)
{
    if (object.has_content)
        return object.content;
    struct reading {
        int count = 0;
        error err;
        size_t size = 0;
    } got;
    std::string out(static_cast<size_t>(object.row.size), '\0');
    disk_read(
        f.world->e, object.file, out.data(), out.size(), 0,
        [](void *arg, error err, size_t size) {
            *static_cast<reading *>(arg) = {1, err, size};
        },
        &got);
    memory_run(*f.world);
    test_true(got.count == 1 && !got.err && got.size == out.size());
    return out;
}

static void what_goes_in_comes_out(void **state)
{
    fixture &f = of(state);
    for (size_t size :
        {size_t{0}, size_t{1}, interim_memory_size, interim_memory_size + 1, 2 * interim_memory_size, 3 * interim_memory_size + 7}) {
        const std::string content = pattern(size);
        interim *i = interim_start(*f.s, "b", "o");
        test_ok(fill(f, *i, content).err);
        test_eq(names_in_tmp(f).size(), 0u); // its file has no name
        answer ended;
        interim_end(*i, on_object_answer, &ended);
        test_eq(ended.count, 0);
        memory_run(*f.world);
        test_eq(ended.count, 1);
        test_ok(ended.err);
        test_eq(ended.object->row.size, size);
        test_eq(ended.object->row.checksum, checksum_of(content));
        test_true((ended.object->file == nullptr) == (size <= interim_memory_size));
        test_true(read_all(f, *ended.object) == content);
        store_release(*f.s, ended.object);
        memory_run(*f.world);
    }
}

// Also where everything has been spilt when the end comes.
static void a_full_one_may_end(void **state)
{
    fixture &f = of(state);
    interim *i = interim_start(*f.s, "b", "o");
    answer spilt, ended;
    test_eq(interim_add(*i, pattern(interim_memory_size)), interim_memory_size);
    test_eq(interim_add(*i, "x"), 0u);
    interim_spill(*i, on_answer, &spilt);
    memory_run(*f.world);
    interim_end(*i, on_object_answer, &ended);
    memory_run(*f.world);
    test_true(ended.count == 1 && !ended.err);
    test_true(read_all(f, *ended.object) == pattern(interim_memory_size));
    store_release(*f.s, ended.object);
}

static void nobody_finds_it(void **state)
{
    fixture &f = of(state);
    interim *i = interim_start(*f.s, "b", "o");
    test_ok(fill(f, *i, pattern(2 * interim_memory_size)).err);
    answer ended, looked;
    interim_end(*i, on_object_answer, &ended);
    memory_run(*f.world);
    store_get(*f.s, "b", "o", on_object_answer, &looked);
    memory_run(*f.world);
    test_true(looked.err.code == error_code::object_not_found);
    store_release(*f.s, ended.object);
}

static void damage_is_found(void **state)
{
    fixture &f = of(state);
    interim *i = interim_start(*f.s, "b", "o");
    test_ok(fill(f, *i, pattern(2 * interim_memory_size)).err);
    answer ended, checked;
    interim_end(*i, on_object_answer, &ended);
    memory_run(*f.world);
    for (auto &[id, node] : f.world->now.nodes) {
        if (!node.is_dir && node.data.size() == 2 * interim_memory_size)
            node.data[content_block_size] = '!';
    }
    store_check(*f.s, ended.object, content_block_size, on_object_answer, &checked);
    memory_run(*f.world);
    test_true(checked.err.code == error_code::corrupt); // and the object has been released
}

static void faults_leave_nothing(void **state)
{
    fixture &f = of(state);
    struct fault_case {
        memory_op op;
        error_code code;
        size_t count;
        bool at_the_end;
    };
    static constexpr fault_case cases[] = {{memory_op::open, error_code::io, 1, false},
        {memory_op::open, error_code::too_many_files, 2, false}, {memory_op::write, error_code::no_space, 1, false},
        {memory_op::write, error_code::io, 1, true}};
    for (const fault_case &c : cases) {
        interim *i = interim_start(*f.s, "b", "o");
        answer ended;
        if (c.at_the_end)
            test_ok(fill(f, *i, pattern(interim_memory_size + 1)).err);
        f.world->faults.push_back({.op = c.op, .err = make_error(c.code), .count = c.count});
        if (c.at_the_end) {
            interim_end(*i, on_object_answer, &ended);
            memory_run(*f.world);
            test_true(ended.count == 1 && ended.err.code == c.code);
        } else {
            test_true(fill(f, *i, pattern(interim_memory_size + 1)).err.code == c.code);
            interim_abort(*i);
        }
        memory_run(*f.world);
        test_eq(names_in_tmp(f).size(), 0u);
    }
}

static void descriptors_are_found_and_names_removed_later(void **state)
{
    fixture &f = of(state);
    f.world->faults.push_back({.op = memory_op::open, .err = make_error(error_code::too_many_files), .count = 1});
    f.world->faults.push_back({.op = memory_op::unlink, .err = make_error(error_code::io), .count = 1});
    interim *i = interim_start(*f.s, "b", "o");
    test_ok(fill(f, *i, pattern(interim_memory_size + 1)).err);
    interim_abort(*i);
    memory_advance(*f.world, 2 * housekeeping_retry_ms);
    test_eq(names_in_tmp(f).size(), 0u);
}

// At every step of its life.
static void it_may_be_aborted_at_any_time(void **state)
{
    fixture &f = of(state);
    for (error_code code : {error_code::ok, error_code::io, error_code::too_many_files}) {
        for (int steps = 0; steps < 12; steps++) {
            interim *i = interim_start(*f.s, "b", "o");
            answer spilt, ended;
            (void)interim_add(*i, pattern(interim_memory_size));
            if (code != error_code::ok)
                f.world->faults.push_back(
                    {.op = code == error_code::io ? memory_op::write : memory_op::open, .err = make_error(code), .count = 1});
            interim_spill(*i, on_answer, &spilt);
            bool is_ending = false;
            for (int step = 0; step < steps; step++) {
                memory_step(*f.world);
                if (spilt.count == 1 && !spilt.err && !is_ending) {
                    (void)interim_add(*i, steps % 2 == 0 ? "x" : "");
                    interim_end(*i, on_object_answer, &ended);
                    is_ending = true;
                }
            }
            if (ended.count == 0)
                interim_abort(*i);
            else if (!ended.err)
                store_release(*f.s, ended.object);
            int had = spilt.count + ended.count;
            memory_run(*f.world);
            test_eq(spilt.count + ended.count, had); // nothing completes any more
            test_eq(names_in_tmp(f).size(), 0u);
            f.world->faults.clear();
        }
    }
    interim *opening = interim_start(*f.s, "b", "o");
    answer spilt;
    (void)interim_add(*opening, "x");
    f.world->faults.push_back({.op = memory_op::open, .err = make_error(error_code::io), .count = 1});
    interim_spill(*opening, on_answer, &spilt);
    interim_abort(*opening);
    memory_run(*f.world);
    interim *ending = interim_start(*f.s, "b", "o");
    answer ended;
    interim_end(*ending, on_object_answer, &ended);
    interim_abort(*ending);
    memory_run(*f.world);
    test_eq(ended.count + spilt.count, 0);
}

static void every_row_is_taken(void **) { check_rows_taken(interim_machine_view()); }

int main()
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {on_store(what_goes_in_comes_out), on_store(a_full_one_may_end), on_store(nobody_finds_it),
        on_store(damage_is_found), on_store(faults_leave_nothing), on_store(descriptors_are_found_and_names_removed_later),
        on_store(it_may_be_aborted_at_any_time), cmocka_unit_test(every_row_is_taken)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
