// SPDX-License-Identifier: MIT
// test/unit/etl/test_pod_machine.cc: the machines of one pod on their own. test/golden/traces/etl.md shows their work for an ETL.
#include "etl_world.h"

using namespace etlnode;

struct pod_fixture {
    fake_world *world = nullptr;
    etl_registry_options options;
    etl_registry_health health;
    watch *pods = nullptr;
    uint64_t pods_made = 0;
    pod_world host;
    etl_definition definition;
    json_ptr users_pod;
    pod_plan plan;
    pod_record record;
    pod_facts facts;
    size_t news_count = 0; // calls of on_news
};

static void on_news(void *arg) { static_cast<pod_fixture *>(arg)->news_count++; }

static int setup(void **state)
{
    auto *f = new pod_fixture;
    f->world = fake_make();
    f->options.kubectl = {"kubectl"};
    f->options.node_name = "node1";
    f->options.cluster_id = "c1";
    f->options.target_id = "t1";
    f->pods = watch_make(f->world->e, {}, f->options.kubectl, "c1", "t1", f->health);
    f->host = {&f->world->e, &f->options, f->pods, &f->health, &f->pods_made};
    f->definition = etl_definition_of("g1", true);
    f->definition.wait_timeout_ms = 60'000;
    f->users_pod = spec_parse_exactly(f->definition.pod_json);
    f->plan = {&f->host, &f->definition, f->users_pod.get(), "http://10.0.0.1:9090/x", "pod1", 2};
    f->facts.plan = &f->plan;
    f->facts.record = &f->record;
    f->facts.launch_id = "launch1";
    pod_status &status = f->pods->pods["pod1"].status;
    status.name = "pod1";
    status.uid = "u1";
    status.launch = "launch1";
    status.host_ip = "192.168.1.5";
    status.container_port = 80;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    auto *f = static_cast<pod_fixture *>(*state);
    watch_free(f->pods);
    fake_free(f->world);
    delete f;
    return 0;
}

static void a_pod_that_was_never_begun_ends_at_once(void **state)
{
    auto &f = *static_cast<pod_fixture *>(*state);
    for (auto end : {pod_machine_remove, pod_machine_shut_down}) {
        pod_machine *m = pod_machine_make(f.plan, f.record, on_news, &f);
        end(*m);
        pod_news news = pod_news::ready;
        test_true(sm_news_take(m->news, news));
        test_eq_enum(news, pod_news::ended);
        test_false(pod_machine_is_busy(*m));
        end(*m); // no effect: it has ended
        test_false(sm_news_take(m->news, news));
        pod_machine_free(m);
    }
    test_eq(f.pods_made, 2);
    test_eq(f.news_count, 0); // the caller itself takes the news
    test_eq(f.world->spawned.size(), 0);
}

static void a_launch_that_was_never_begun_ends_at_once(void **state)
{
    auto &f = *static_cast<pod_fixture *>(*state);
    launch_machine *m = launch_make(f.facts, 7, on_news, &f);
    launch_stop(*m);
    test_eq_enum(sm_state_of(*m), launch_machine::state::stopped);
    test_true(launch_is_busy(*m)); // until its end has been taken
    launch_news news;
    test_true(sm_news_take(m->news, news));
    test_false(launch_is_busy(*m));
    launch_free(m);
}

static node_port_news take_news(node_port_machine &m)
{
    node_port_news news = node_port_news::waiting;
    test_true(sm_news_take(m.news, news));
    return news;
}

// What happens by itself is reported by on_news; the result of a call is there when the call returns.
static void a_node_port_is_known_then_probed(void **state)
{
    auto &f = *static_cast<pod_fixture *>(*state);
    node_port_machine *m = node_port_make(f.facts, on_news, &f);
    node_port_expose(*m);
    test_true(node_port_is_busy(*m));
    test_eq(f.news_count, 0);
    fake_exit(fake_child(*f.world, "jsonpath"), 0, "31234");
    test_eq(f.news_count, 1);
    test_eq_enum(take_news(*m), node_port_news::moved);
    test_eq(f.facts.node_port, 31234);
    test_false(node_port_is_busy(*m));
    test_false(node_port_answers(*m));
    node_port_probe(*m);
    test_eq_text(f.world->connects.front()->address, "192.168.1.5:31234");
    fake_connected(*f.world, no_error);
    test_eq_enum(take_news(*m), node_port_news::moved);
    test_true(node_port_answers(*m));
    node_port_stop(*m);
    test_eq_enum(take_news(*m), node_port_news::ended);
    node_port_free(m);
}

static void a_node_port_ends_wherever_it_rests(void **state)
{
    auto &f = *static_cast<pod_fixture *>(*state);
    node_port_machine *m = node_port_make(f.facts, on_news, &f);
    node_port_stop(*m);
    test_eq_enum(take_news(*m), node_port_news::ended);
    node_port_free(m);
    m = node_port_make(f.facts, on_news, &f);
    node_port_expose(*m);
    fake_exit(fake_child(*f.world, "jsonpath"), 0, "31234");
    test_eq_enum(take_news(*m), node_port_news::moved);
    node_port_stop(*m);
    test_eq_enum(take_news(*m), node_port_news::ended);
    test_eq_text(m->failure, "");
    node_port_free(m);
}

// Every attempt creates the same Service, even if the pod's status was lost in between.
static void a_service_is_made_again_although_the_status_is_forgotten(void **state)
{
    auto &f = *static_cast<pod_fixture *>(*state);
    node_port_machine *m = node_port_make(f.facts, on_news, &f);
    node_port_expose(*m);
    std::string first = fake_child(*f.world, "jsonpath")->options.input;
    test_has_text(first, "\"uid\":\"u1\"");
    fake_exit(fake_child(*f.world, "jsonpath"), 1, "", "dial tcp: i/o timeout");
    test_eq_enum(take_news(*m), node_port_news::waiting);
    test_true(node_port_waits(*m));
    test_has_text(f.record.trouble, "exposing the pod: kubectl create service: exit code 1: dial tcp: i/o timeout");
    f.pods->pods.clear();
    fake_advance(*f.world, etl_expose_retry_min_ms);
    test_eq_text(fake_child(*f.world, "jsonpath")->options.input, first);
    node_port_stop(*m);
    fake_run(*f.world);
    test_eq_enum(take_news(*m), node_port_news::ended);
    node_port_free(m);
    first = std::string();
}

// The text of a suspicion describes the present problem and does not grow with every probe.
static void a_suspicion_is_reported_once(void **)
{
    etl_world *w = etl_world_make("");
    etl_view view;
    etl_do_all(*w, "begin, list ok, start, create ok, pod ready, refused");
    for (int i = 0; i < 5; i++) {
        test_true(etl_registry_find(*w->registry, "JGHEoo89gg", view));
        test_eq_text(view.last_error, "the pod refuses connections");
        etl_do_all(*w, "wait 1s, probe fails");
    }
    etl_do_all(*w, "pod died");
    test_true(etl_registry_find(*w->registry, "JGHEoo89gg", view));
    test_has_text(view.last_error, "the pod refused a connection; ");
    test_has_text(view.last_error, "exit code 137");
    etl_world_free(w);
}

int main()
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_pod_that_was_never_begun_ends_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_launch_that_was_never_begun_ends_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_node_port_is_known_then_probed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_node_port_ends_wherever_it_rests, setup, teardown),
        cmocka_unit_test_setup_teardown(a_service_is_made_again_although_the_status_is_forgotten, setup, teardown),
        cmocka_unit_test(a_suspicion_is_reported_once),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
