// SPDX-License-Identifier: MIT
// test/unit/etl/test_etl_machine.cc: the golden traces of one ETL and of its pods, test/golden/traces/etl.md. UPDATE=1 rewrites the page.
#include "etl_world.h"

using namespace etlnode;

static void traces_are_as_recorded(void **) { check_page("test/golden/traces/etl.md", "etl pod launch node_port"); }

// The registry always starts a new machine at once, but the table does not rely on that.
static void a_new_one_can_end(void **)
{
    etl_world *w = etl_world_make("etl");
    etl_host host = {{&w->world->e, &w->options, nullptr, nullptr, nullptr}, [](void *, etl &) {}, nullptr};
    etl_ref ref;
    for (auto end : {etl_stop, etl_shut_down}) {
        etl *m = etl_make(host, ref, etl_definition_of("g1"), 99);
        end(*m);
        test_true(etl_is_final(*m));
        etl_free(m);
    }
    etl_world_free(w);
}

// Rows that no story can reach: an owner that ends what it has not begun. test_pod_machine.cc tests that behaviour.
static void ends_that_no_story_has(void **)
{
    etl_world *w = etl_world_make("");
    etl_do_all(*w, "begin, list ok");
    etl_registry_health health;
    uint64_t pods_made = 0;
    watch *pods = watch_make(w->world->e, {}, w->options.kubectl, "c1", "t1", health);
    pod_world world = {&w->world->e, &w->options, pods, &health, &pods_made};
    etl_definition definition = etl_definition_of("g1", true);
    pod_plan plan = {&world, &definition, nullptr, "", "pod1", 0};
    pod_record record;
    for (auto end : {pod_machine_remove, pod_machine_shut_down}) {
        pod_machine *m = pod_machine_make(
            plan, record, [](void *) {}, nullptr);
        launch_stop(*m->launch);
        node_port_stop(*m->launch->port);
        m->launch->news = {};
        m->launch->port->news = {};
        end(*m);
        m->news = {};
        pod_machine_free(m);
    }
    pod_facts facts;
    facts.plan = &plan;
    facts.record = &record;
    pods->pods["pod1"].status.name = "pod1";
    for (bool is_probed : {false, true}) {
        node_port_machine *m = node_port_make(
            facts, [](void *) {}, nullptr);
        node_port_expose(*m);
        fake_exit(fake_child(*w->world, "jsonpath"), 0, "31234");
        if (is_probed) {
            node_port_probe(*m);
            fake_connected(*w->world, no_error);
        }
        node_port_stop(*m);
        m->news = {};
        node_port_free(m);
    }
    watch_free(pods);
    definition = {};
    etl_world_free(w);
}

static void every_row_is_taken(void **)
{
    for (const sm_view &view : {etl_machine_view(), pod_machine_view(), launch_machine_view(), node_port_machine_view()})
        check_rows_taken(view);
}

int main()
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {cmocka_unit_test(traces_are_as_recorded), cmocka_unit_test(a_new_one_can_end),
        cmocka_unit_test(ends_that_no_story_has), cmocka_unit_test(every_row_is_taken)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
