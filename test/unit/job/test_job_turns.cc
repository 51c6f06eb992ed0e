// SPDX-License-Identifier: MIT
// What a job waits for before it takes more objects: its own beginning, clients, and the ledger.
#include "job_run.h"

using namespace etlnode;

// What the items go to may have just begun, too.
static void it_begins_with_few(void **)
{
    job_kind wide = holding;
    wide.items_max = 64;
    run_state r;
    open_world(r, sample());
    held_count = 0;
    begin_job(r, wide);
    memory_advance(*r.f.world, 100);
    test_eq(held_count, job_items_at_first);
    job_stop(*r.j);
    test_true(end_all(r, end_stopped));
    close_world(r.f);
}

static void end_held_one(run_state &r)
{
    job_item_ended(*held[--held_count], job_outcome::done, 1);
    memory_advance(*r.f.world, 100);
}

static void clients_come_first(void **)
{
    run_state r;
    open_world(r, sample());
    held_count = 0;
    begin_job(r, holding);
    memory_advance(*r.f.world, 100);
    r.serves_clients = true;
    for (size_t left : {3u, 2u, 1u, 1u, 1u}) { // none follows, and then one by one
        end_held_one(r);
        test_eq(held_count, left);
    }
    r.serves_clients = false;
    end_held_one(r);
    test_eq(held_count, 4u);
    job_stop(*r.j);
    test_true(end_all(r, end_stopped));
    close_world(r.f);
}

// What was handed to the index before is in the first page: the ledger's change comes behind it.
static void nothing_is_read_before_the_ledger_has_answered(void **)
{
    run_state r;
    open_world(r, sample());
    job_kind kind = job_kind_scrub;
    kind.waits_for_index = true;
    begin_job(r, kind);
    test_true(r.j->saving);
    test_false(r.j->paging);
    test_true(run_to_end(r));
    test_eq(r.last.done, small_count + 4u);
    test_eq(r.last.pass, 1u);
    close_world(r.f);
}

int main()
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {
        cmocka_unit_test(it_begins_with_few),
        cmocka_unit_test(clients_come_first),
        cmocka_unit_test(nothing_is_read_before_the_ledger_has_answered),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
