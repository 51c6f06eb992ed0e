// SPDX-License-Identifier: MIT
// Sources, and the store as a sink: what is pumped between them is equal and durable, and what is abandoned leaves nothing.
#include <algorithm>
#include <cstring>

#include "copying.h"

using namespace etlnode;

static constexpr size_t sizes[] = {0, 1, 4'096, index_content_size_max, index_content_size_max + 1, put_buffer_size - 1, put_buffer_size,
    put_buffer_size + 1, 3 * put_buffer_size, 1'000'003};

static void a_stored_object_is_copied(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    for (size_t size : sizes) {
        std::string content = content_of_size(size);
        index_row row;
        if (size <= put_buffer_size)
            test_ok(put_at_once(f, "from", content, &row));
        else
            test_ok(put_object(f, "from", content, &row));
        copying c;
        c.f = &f;
        c.from = open_stored(c, "from");
        test_eq(c.from.facts.size, size);
        test_eq_text(c.from.facts.content_type, "text/plain");
        test_eq(c.from.facts.version, row.version);
        test_true(c.from.facts.has_checksum);
        test_eq(c.from.facts.checksum, checksum_of(content));
        c.to = open_sink(c, "to");
        begin(c);
        memory_run(*f.world);
        test_true(c.pumped);
        test_ok(c.pump_err);
        test_eq(c.bytes, size);
        source_close(c.from);
        sink_commit(c.to, on_committed, &c);
        memory_run(*f.world);
        test_eq(c.committed, 1);
        test_ok(c.outcome.err);
        test_eq(c.ends, 1);
        test_eq(c.end_bytes, size);
        std::string got;
        test_ok(get_object(f, "to", got));
        test_true(got == content);
        test_eq(files_in_tmp(f), 0u);
        test_eq(c.at_disk.count, 0u);
    }
}

static void bytes_in_memory_are_kept(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    for (size_t size : sizes) {
        copying c;
        c.f = &f;
        c.from = source_memory(f.world->e, content_of_size(size), {});
        test_eq(c.from.facts.size, size);
        c.to = open_sink(c, "to");
        begin(c);
        memory_run(*f.world);
        test_ok(c.pump_err);
        test_true(c.pumped);
        sink_commit(c.to, on_committed, &c);
        memory_run(*f.world);
        test_eq(c.committed, 1);
        test_ok(c.outcome.err);
        source_close(c.from);
        memory_run(*f.world);
        std::string got;
        test_ok(get_object(f, "to", got));
        test_true(got == content_of_size(size));
    }
}

// Abandoned after any step, a copy leaves the old object and nothing else.
static void what_is_abandoned_leaves_nothing(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    test_ok(put_object(f, "from", content_of_size(3 * put_buffer_size + 5)));
    test_ok(put_at_once(f, "to", "the old one"));
    size_t steps = 0;
    for (bool is_over = false; !is_over; steps++) {
        copying c;
        c.f = &f;
        c.from = open_stored(c, "from");
        c.to = open_sink(c, "to");
        begin(c);
        for (size_t i = 0; i < steps && !c.pumped; i++)
            memory_step(*f.world);
        is_over = c.pumped;
        release(c);
        test_eq(c.ends, 1);
        test_eq_enum(c.end_err.code, error_code::canceled);
        test_eq(c.at_disk.count, 0u);
        test_eq(files_in_tmp(f), 0u);
        std::string got;
        test_ok(get_object(f, "to", got));
        test_eq_text(got, "the old one");
    }
    test_true(steps > 6);
    copying unbegun; // and one that never received a byte
    unbegun.f = &f;
    unbegun.to = open_sink(unbegun, "to");
    release(unbegun);
    test_eq(unbegun.ends, 1);
}

// The store completes a commit whether or not a caller waits, and its owner must not go away before.
static void a_commit_is_not_called_back(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    copying c;
    c.f = &f;
    c.from = source_memory(f.world->e, "abc", {});
    c.to = open_sink(c, "to");
    begin(c);
    memory_run(*f.world);
    sink_commit(c.to, on_committed, &c);
    sink_abandon(c.to);
    test_eq(c.ends, 0);
    memory_run(*f.world);
    test_eq(c.committed, 0);
    test_eq(c.ends, 1);
    test_ok(c.end_err);
    source_close(c.from);
    memory_run(*f.world);
}

static void other_bytes_than_the_objects_are_not_stored(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    test_ok(put_at_once(f, "to", "the old one"));
    for (size_t size : {size_t{3}, 2 * put_buffer_size}) {
        copying c;
        c.f = &f;
        source_facts facts;
        facts.has_checksum = true;
        facts.checksum = 12345;
        c.from = source_memory(f.world->e, content_of_size(size), facts);
        c.to = open_sink(c, "to");
        begin(c);
        memory_run(*f.world);
        test_ok(c.pump_err);
        sink_commit(c.to, on_committed, &c);
        memory_run(*f.world);
        test_eq(c.committed, 1);
        test_eq_enum(c.outcome.err.code, error_code::checksum_mismatch);
        test_eq_enum(c.end_err.code, error_code::checksum_mismatch);
        release(c);
        test_eq(files_in_tmp(f), 0u);
        std::string got;
        test_ok(get_object(f, "to", got));
        test_eq_text(got, "the old one");
    }
}

static void a_bucket_that_is_gone_gets_nothing(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    for (bool is_abandoned : {false, true}) {
        copying c;
        c.f = &f;
        c.from = source_memory(f.world->e, content_of_size(2 * put_buffer_size), {});
        c.to = open_sink(c, "to");
        begin(c);
        memory_run(*f.world);
        c.has_bucket = false;
        sink_commit(c.to, on_committed, &c);
        if (is_abandoned)
            sink_abandon(c.to);
        memory_run(*f.world);
        test_eq(c.committed, is_abandoned ? 0 : 1);
        if (!is_abandoned)
            test_eq_enum(c.outcome.err.code, error_code::bucket_not_found);
        test_eq(c.ends, 1);
        release(c);
        test_eq(files_in_tmp(f), 0u);
        std::string got;
        test_eq_enum(get_object(f, "to", got).code, error_code::object_not_found);
    }
}

static void a_full_disk_is_the_sinks_failure(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    test_ok(put_at_once(f, "to", "the old one"));
    for (memory_op where : {memory_op::open, memory_op::write, memory_op::sync}) {
        copying c;
        c.f = &f;
        c.from = source_memory(f.world->e, content_of_size(3 * put_buffer_size), {});
        c.to = open_sink(c, "to");
        f.world->faults = {{.op = where, .err = make_error(error_code::no_space)}};
        begin(c);
        memory_run(*f.world);
        if (where == memory_op::sync) {
            test_ok(c.pump_err);
            sink_commit(c.to, on_committed, &c);
            memory_run(*f.world);
            test_eq_enum(c.outcome.err.code, error_code::no_space);
            test_eq_text(c.outcome.text, "t[t1]: cannot store ais://b/to: the disk is full");
        } else {
            test_eq_enum(c.pump_err.code, error_code::no_space);
            test_eq_enum(sink_failure(c.to).err.code, error_code::no_space);
            test_eq_text(sink_failure(c.to).text, "t[t1]: cannot store ais://b/to: the disk is full");
        }
        f.world->faults.clear();
        release(c);
        test_eq(c.ends, 1);
        test_eq_enum(c.end_err.code, error_code::no_space);
        test_eq(files_in_tmp(f), 0u);
        std::string got;
        test_ok(get_object(f, "to", got));
        test_eq_text(got, "the old one");
    }
}

static void a_disk_that_cannot_be_read_is_the_sources_failure(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    test_ok(put_object(f, "from", content_of_size(3 * put_buffer_size)));
    copying c;
    c.f = &f;
    c.from = open_stored(c, "from");
    c.to = open_sink(c, "to");
    f.world->faults = {{.op = memory_op::read, .err = make_error(error_code::io), .skip = 1}};
    begin(c);
    memory_run(*f.world);
    test_true(c.pumped);
    test_eq_enum(c.pump_err.code, error_code::io);
    test_ok(sink_failure(c.to).err);
    f.world->faults.clear();
    release(c);
    test_eq(files_in_tmp(f), 0u);
}

// Unchecked, the checksum finds the damage at the end. Checked, no byte of a damaged block is given.
static void a_damaged_block_is_found_where_it_is_asked_for(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    const std::string content = content_of_size(3 * put_buffer_size + 5);
    for (bool is_damaged : {false, true}) {
        test_ok(put_object(f, "from", content));
        const store_object *first = hold(f, "from");
        for (auto &[id, node] : f.world->now.nodes) {
            if (is_damaged && node.data.size() == content.size())
                node.data[2 * put_buffer_size + 1] ^= 1;
        }
        for (source_blocks blocks : {source_blocks::as_read, source_blocks::unchecked, source_blocks::checked}) {
            bool is_found = is_damaged && blocks == source_blocks::checked;
            copying c;
            c.f = &f;
            c.from = source_stored(f.world->e, *f.s, store_share(*f.s, *first), c.at_disk, blocks);
            c.to = sink_discard(f.world->e);
            begin(c);
            memory_run(*f.world);
            test_true(c.pumped);
            test_eq_enum(c.pump_err.code, is_found ? error_code::corrupt : error_code::ok);
            test_eq(c.bytes, is_found ? 2 * put_buffer_size : content.size());
            test_true(first->is_damaged == is_found);
            release(c);
            test_eq(c.at_disk.count, 0u);
        }
        store_release(*f.s, first);
        test_ok(remove_object(f, "from"));
    }
}

// The check continues, and a closed source is not called back.
static void a_source_is_closed_while_it_checks(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    test_ok(put_object(f, "from", content_of_size(3 * put_buffer_size)));
    for (size_t steps = 0; steps < 6; steps++) {
        copying c;
        c.f = &f;
        c.from = source_stored(f.world->e, *f.s, hold(f, "from"), c.at_disk, source_blocks::checked);
        c.to = sink_discard(f.world->e);
        begin(c);
        for (size_t i = 0; i < steps; i++)
            memory_step(*f.world);
        release(c);
        test_eq(c.at_disk.count, 0u);
    }
}

static void nothing_is_kept_of_what_is_discarded(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    test_ok(put_object(f, "from", content_of_size(1'000'003)));
    for (bool is_abandoned : {false, true}) {
        copying c;
        c.f = &f;
        c.from = open_stored(c, "from");
        c.to = sink_discard(f.world->e);
        begin(c);
        memory_run(*f.world);
        test_ok(c.pump_err);
        test_eq(c.bytes, 1'000'003u);
        sink_commit(c.to, on_committed, &c);
        if (is_abandoned)
            sink_abandon(c.to);
        memory_run(*f.world);
        test_eq(c.committed, is_abandoned ? 0 : 1);
        test_ok(c.outcome.err);
        release(c);
    }
    test_eq(files_in_tmp(f), 0u);
    test_eq(store_object_count(*f.s), 1u);
}

// A tee of two puts.
static void both_get_all_of_it(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    for (size_t size : sizes) {
        copying c;
        c.f = &f;
        c.from = source_memory(f.world->e, content_of_size(size), {});
        c.to = sink_tee(open_sink(c, "one"), open_sink(c, "other"));
        begin(c);
        memory_run(*f.world);
        test_true(c.pumped);
        test_ok(c.pump_err);
        test_eq(c.bytes, size);
        sink_commit(c.to, on_committed, &c);
        memory_run(*f.world);
        test_eq(c.committed, 1);
        test_ok(c.outcome.err);
        test_eq(c.ends, 2);
        release(c);
        for (const char *name : {"one", "other"}) {
            std::string got;
            test_ok(get_object(f, name, got));
            test_true(got == content_of_size(size));
        }
    }
}

static void neither_gets_anything_when_one_fails(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    for (size_t skip : {0u, 1u, 2u, 3u}) {
        copying c;
        c.f = &f;
        c.from = source_memory(f.world->e, content_of_size(3 * put_buffer_size), {});
        c.to = sink_tee(open_sink(c, "one"), open_sink(c, "other"));
        f.world->faults = {{.op = memory_op::write, .err = make_error(error_code::no_space), .skip = skip}};
        begin(c);
        memory_run(*f.world);
        test_true(c.pumped);
        test_eq_enum(c.pump_err.code, error_code::no_space);
        test_eq_enum(sink_failure(c.to).err.code, error_code::no_space);
        test_has_text(sink_failure(c.to).text, "the disk is full");
        f.world->faults.clear();
        release(c);
        test_eq(c.ends, 2);
        test_eq(files_in_tmp(f), 0u);
        test_eq(store_object_count(*f.s), 0u);
    }
    copying given_up;
    given_up.f = &f;
    given_up.from = source_memory(f.world->e, content_of_size(2 * put_buffer_size), {});
    given_up.to = sink_tee(open_sink(given_up, "one"), open_sink(given_up, "other"));
    begin(given_up);
    memory_run(*f.world);
    release(given_up);
    test_eq(given_up.ends, 2);
    test_eq(files_in_tmp(f), 0u);
    // If the first commit is refused, the second sink is not committed either.
    copying refused;
    refused.f = &f;
    refused.has_bucket = false;
    refused.from = source_memory(f.world->e, "abc", {});
    refused.to = sink_tee(open_sink(refused, "one"), open_sink(refused, "other"));
    begin(refused);
    memory_run(*f.world);
    sink_commit(refused.to, on_committed, &refused);
    memory_run(*f.world);
    test_eq(refused.committed, 1);
    test_eq_enum(refused.outcome.err.code, error_code::bucket_not_found);
    release(refused);
    test_eq(refused.ends, 2);
    test_eq(store_object_count(*f.s), 0u);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_stored_object_is_copied, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(bytes_in_memory_are_kept, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(what_is_abandoned_leaves_nothing, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(a_commit_is_not_called_back, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(other_bytes_than_the_objects_are_not_stored, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(a_bucket_that_is_gone_gets_nothing, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(a_full_disk_is_the_sinks_failure, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(a_disk_that_cannot_be_read_is_the_sources_failure, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(a_damaged_block_is_found_where_it_is_asked_for, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(a_source_is_closed_while_it_checks, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(nothing_is_kept_of_what_is_discarded, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(both_get_all_of_it, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(neither_gets_anything_when_one_fails, setup_store, teardown_store),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
