// SPDX-License-Identifier: MIT
// test/unit/etl/test_etl_machine.cc: the golden traces of one ETL, test/golden/traces/etl.md. UPDATE=1 rewrites the page.
#include "etl_world.h"

static void traces_are_as_recorded(void **) { check_page("test/golden/traces/etl.md", "etl"); }
// The registry always has a word for a new machine; the table does not rely on it.
static void a_new_one_can_end(void **)
{
    etl_world *w = etl_world_make("etl");
    etl_host host = {&w->world->e, &w->options, nullptr, nullptr, [](void *, etl &) {}, nullptr};
    etl_ref ref;
    for (etl::event event : {etl::event::stop, etl::event::shut_down}) {
        etl *m = etl_make(host, ref, etl_definition_of("g1"), 99);
        etl_send(*m, event);
        fake_advance(*w->world, 0);
        test_true(etl_is_final(*m));
        etl_free(m);
    }
    etl_world_free(w);
}

static void every_row_is_taken(void **) { check_rows_taken(etl_machine_view()); }

int main()
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {cmocka_unit_test(traces_are_as_recorded), cmocka_unit_test(a_new_one_can_end), cmocka_unit_test(every_row_is_taken)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
