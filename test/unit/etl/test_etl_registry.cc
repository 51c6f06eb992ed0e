// SPDX-License-Identifier: MIT
// test/unit/etl/test_etl_registry.cc: what callers of the registry see. test_etl_machine.cc covers the life of a single ETL.
#include "etl_world.h"

using namespace etlnode;

static int setup(void **state)
{
    *state = etl_world_make("");
    return 0;
}
static int teardown(void **state)
{
    etl_world_free(static_cast<etl_world *>(*state));
    return 0;
}

static void a_view_follows_the_pod(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_view view;
    test_false(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    etl_do_all(w, "begin, list ok, start");
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_eq_enum(view.phase, etl_phase::starting);
    test_false(view.ready);
    test_eq_text(view.definition->name, "transformer-md5");
    test_has_text(view.pod_name, "transformer-md5-");
    test_has_text(view.pod_name, "-node1");
    etl_do_all(w, "create ok, pod ready");
    test_true(etl_registry_find(*w.registry, "transformer-md5", view)); // also by name
    test_eq_enum(view.phase, etl_phase::serving);
    test_true(view.ready);
    test_eq_text(view.endpoint->host, "10.1.2.3");
    test_eq(view.endpoint->port, 80);
    test_eq_text(view.endpoint->instance, "c://1/0");
    test_eq_text(view.definition->secret, "secret-g1");
    test_eq(view.restarts, 0);
    size_t changes = w.changes.size();
    etl_do_all(w, "pod running"); // a failed probe
    test_eq(w.changes.size(), changes);
    etl_do_all(w, "pod died");
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_eq_enum(view.phase, etl_phase::serving);
    test_false(view.ready);
    test_has_text(view.last_error, "exit code 137");
    test_eq(w.changes.size(), changes + 1);
    etl_do_all(w, "pod ready_again");
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_true(view.ready);
    test_eq_text(view.endpoint->instance, "c://2/1");
    test_eq(view.restarts, 1);
    test_eq_text(view.last_error, "");
    etl_do_all(w, "pod deleted");
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_eq_enum(view.phase, etl_phase::serving); // it stays in service while another pod is created
    test_false(view.ready);
    etl_do_all(w, "wait 500ms, create ok, pod ready, stop");
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_eq_enum(view.phase, etl_phase::stopping);
    etl_do_all(w, "delete ok");
    test_false(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_eq_text(w.changes.back(), "JGHEoo89gg");
}

static void a_failure_is_reported_and_stays(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_do_all(w, "begin, list ok, start, create ok, pod crashed_thrice");
    test_eq_text(w.answer_kind, "");                                // no answer before the log lines are there
    etl_do_all(w, "logs ok Traceback\nImportError: \x1b[31mtorch"); // but an answer before the pod is gone: callers must not wait for ever
    test_eq_text(w.answer_kind, "started: etl_init_failed");
    for (const char *part : {"target t1", "pod transformer-md5-", "waiting for Ready", "exit code 1", "CrashLoopBackOff",
             "last log lines of the pod:\nTraceback\nImportError: ?[31mtorch"})
        test_has_text(w.answer, part);
    etl_do_all(w, "delete ok");
    test_true(w.pods.empty());
    etl_view view;
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_eq_enum(view.phase, etl_phase::failed);
    test_has_text(view.last_error, "CrashLoopBackOff");
    // A document that still lists it does not start it again, and a further caller gets the same answer. The next start does start it.
    w.answer_kind.clear();
    etl_do_all(w, "start g1");
    test_eq_text(w.answer_kind, "started: etl_init_failed");
    test_has_text(w.answer, "CrashLoopBackOff");
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_eq_enum(view.phase, etl_phase::failed);
    etl_do_all(w, "start g2, create ok, pod ready");
    test_eq_text(w.answer_kind, "started: ok");
}

static void a_start_that_joins_waits_for_the_pod(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_do_all(w, "begin, list ok, start, create ok, pod ready");
    test_eq_text(w.answer_kind, "started: ok");
    w.answer_kind.clear();
    etl_do_all(w, "start"); // it serves
    test_eq_text(w.answer_kind, "started: ok");
    w.answer_kind.clear();
    etl_do_all(w, "pod died, start");
    test_eq_text(w.answer_kind, "");
    etl_do_all(w, "pod ready_again");
    test_eq_text(w.answer_kind, "started: ok");
    w.answer_kind.clear();
    etl_do_all(w, "refused, start");
    test_eq_text(w.answer_kind, "");
}

static void a_start_that_joins_does_not_wait_for_ever(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_do_all(w, "begin, list ok, start, create ok, pod ready, pod died");
    w.answer_kind.clear();
    etl_do_all(w, "start, wait 50s, start");
    test_eq_text(w.answer_kind, "");
    etl_do_all(w, "wait 11s");
    test_eq_text(w.answer_kind, "started: etl_init_failed");
    for (const char *part :
        {"target t1", "pod transformer-md5-", "was Ready before, but did not become Ready again within wait_timeout", "exit code 137"})
        test_has_text(w.answer, part);
    etl_view view;
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_eq_enum(view.phase, etl_phase::serving); // this start did not begin it
    w.answer_kind.clear();
    etl_do_all(w, "pod ready_again"); // the second caller still waits
    test_eq_text(w.answer_kind, "started: ok");
    w.answer_kind.clear();
    etl_do_all(w, "wait 120s");
    test_eq_text(w.answer_kind, "");
}

static void texts_are_bounded(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_do_all(w, "begin, list ok, start, create ok, pod crashed_thrice, logs ok " + std::string(100'000, 'x') + ", delete ok");
    test_true(w.answer.size() > etl_error_text_max / 4);
    test_true(w.answer.size() <= etl_error_text_max);
    etl_do_all(w, "start g2, create fails " + std::string(60'000, 'y') + ", delete fails " + std::string(60'000, 'z'));
    test_has_text(w.answer, "yyy");
    test_true(w.answer.size() <= etl_error_text_max);
}

static void stopping_what_is_not_there_is_fine(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_do_all(w, "stop");
    test_eq_text(w.answer_kind, "stopped: ok");
    etl_do_all(w, "read_logs");
    test_eq_text(w.answer_kind, "logs: etl_not_found");
    test_true(etl_registry_acquire(*w.registry, "JGHEoo89gg") == nullptr);
    etl_do_all(w, "refused");
}

static void logs_are_fetched(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_do_all(w, "begin, list ok, start, create ok, pod ready, read_logs");
    test_has_text(fake_command(*fake_child(*w.world, "logs")), " --tail=1000");
    etl_do_all(w, "logs ok Starting httpd server on 0.0.0.0:80");
    test_eq_text(w.answer_kind, "logs: ok");
    test_eq_text(w.answer, "Starting httpd server on 0.0.0.0:80");
    etl_do_all(w, "read_logs, logs fails container is waiting to start");
    test_eq_text(w.answer_kind, "logs: unavailable");
    test_has_text(w.answer, "container is waiting to start");
    for (size_t i = 0; i <= pod_log_calls_max; i++)
        etl_do_all(w, "read_logs");
    test_eq_text(w.answer_kind, "logs: overloaded");
    etl_do_all(w, "no_kubectl, shut_down");
    test_eq_text(w.answer_kind, "logs: canceled");
    test_true(w.was_shut_down);
}

static void logs_without_a_pod_tell_why(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_do_all(w, "begin, list ok, start, create ok, pod image_missing, delete ok, read_logs");
    test_eq_text(w.answer_kind, "logs: not_ready");
    test_has_text(w.answer, "ErrImagePull");
    etl_do_all(w, "no_kubectl, start, read_logs");
    test_eq_text(w.answer_kind, "logs: not_ready");
}

static void the_local_address_is_preferred_where_kubectl_is_local(void **)
{
    etl_world *w = etl_world_make("");
    etl_registry_free(w->registry);
    w->options.kubectl_is_local = true;
    w->options.node_name = "";
    w->registry = etl_registry_make(w->world->e, w->options);
    etl_do_all(*w, "begin, list ok, start, create ok");
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(w->pods.begin()->second.json.get(), "metadata");
    json_add_text(cJSON_GetObjectItemCaseSensitive(metadata, "annotations"), "etlnode.local/address", "127.4.5.6:40123");
    etl_do_all(*w, "pod ready");
    etl_view view;
    test_true(etl_registry_find(*w->registry, "JGHEoo89gg", view));
    test_eq_text(view.endpoint->host, "127.4.5.6");
    test_eq(view.endpoint->port, 40123);
    test_has_text(view.pod_name, "-t1"); // without a Kubernetes node, the target's name distinguishes the pods
    etl_world_free(w);
}

static void clients_are_sent_to_the_node_port(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_view view;
    etl_do_all(w, "begin, list ok, node_ports, start, create ok, pod creating");
    std::string service = fake_child(*w.world, "jsonpath")->options.input;
    for (const char *part :
        {"\"kind\":\"Service\"", "\"name\":\"etl-transformer-md5-", "\"uid\":\"u1\"", "\"type\":\"NodePort\"", "\"targetPort\":80"})
        test_has_text(service, part);
    service.clear();
    service.shrink_to_fit();
    etl_do_all(w, "expose ok 31234, pod ready");
    test_eq_text(w.world->connects.front()->address, "192.168.1.5:31234"); // the port answers before the start is reported as successful
    etl_do_all(w, "probe ok");
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_eq_text(view.endpoint->host, "10.1.2.3"); // the target's own route
    test_eq(view.endpoint->port, 80);
    test_eq_text(view.endpoint->client_host, "192.168.1.5");
    test_eq(view.endpoint->client_port, 31234);
    test_eq_enum(view.definition->hpull_address, client_address::node_port);
    test_eq(etl_registry_get_health(*w.registry).calls_by_verb[static_cast<size_t>(kubectl_verb::expose)], 1);
    etl_do_all(w, "refused, wait 100ms");
    test_eq_text(w.world->connects.front()->address, "10.1.2.3:80"); // and so does its own probe
    etl_do_all(w, "probe ok");
    // A Service that exists already is not a failure of kubectl.
    etl_do_all(w, "pod deleted, wait 500ms, create ok, pod ready, expose fails Error from server (AlreadyExists): services \"x\" already "
                  "exists, get_port ok 31235, probe ok");
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_eq(view.endpoint->client_port, 31235);
    test_eq(etl_registry_get_health(*w.registry).kubectl_failures, 0);
    test_eq(etl_registry_get_health(*w.registry).calls_by_verb[static_cast<size_t>(kubectl_verb::get_port)], 1);
    // A caller waits: the start is not decided while its port is missing.
    etl_do_all(w, "stop, delete ok, start g2, create ok, pod ready");
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_false(view.ready);
    etl_do_all(w, "expose fails Error from server (Forbidden): quota");
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_has_text(view.last_error, "exposing the pod: kubectl create service: exit code 1: Error from server (Forbidden): quota");
    etl_do_all(w, "delete ok");
    test_eq_text(w.answer_kind, "started: etl_init_failed");
}

static void the_address_of_the_node_may_be_given(void **)
{
    etl_world *w = etl_world_make("");
    etl_registry_free(w->registry);
    w->options.node_address = "node1.example.org";
    w->registry = etl_registry_make(w->world->e, w->options);
    etl_view view;
    etl_do_all(*w, "begin, list ok, node_ports, start, create ok, pod ready, expose ok 31234");
    test_eq_text(w->world->connects.front()->address, "192.168.1.5:31234");
    etl_do_all(*w, "probe ok");
    test_true(etl_registry_find(*w->registry, "JGHEoo89gg", view));
    test_eq_text(view.endpoint->client_host, "node1.example.org");
    test_eq(view.endpoint->client_port, 31234);
    etl_world_free(w);
}

static void kubectl_local_needs_no_node_port(void **)
{
    etl_world *w = etl_world_make("");
    etl_registry_free(w->registry);
    w->options.kubectl_is_local = true;
    w->registry = etl_registry_make(w->world->e, w->options);
    etl_do_all(*w, "begin, list ok, node_ports, start, create ok");
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(w->pods.begin()->second.json.get(), "metadata");
    json_add_text(cJSON_GetObjectItemCaseSensitive(metadata, "annotations"), "etlnode.local/address", "127.4.5.6:40123");
    etl_do_all(*w, "pod ready");
    etl_view view;
    test_true(etl_registry_find(*w->registry, "JGHEoo89gg", view));
    test_true(view.ready);
    test_eq_text(view.endpoint->client_host, "127.4.5.6");
    test_eq(view.endpoint->client_port, 40123);
    etl_world_free(w);
}

static void a_name_must_be_unambiguous(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_definition other = etl_definition_of("g1");
    other.id = "Another1ne";
    etl_do_all(w, "begin, list ok");
    etl_sync(w, {etl_definition_of("g1"), other});
    etl_view view;
    test_false(etl_registry_find(*w.registry, "transformer-md5", view));
    test_true(etl_registry_find(*w.registry, "Another1ne", view));
    std::vector<etl_view> views;
    etl_registry_list(*w.registry, views);
    test_eq(views.size(), 2);
    test_eq_text(views[0].definition->id, "Another1ne");
    views = {};
    // Two ETLs with the same name have pods with different names.
    test_eq(w.world->children.size(), 3); // watch, two creates
    test_true(w.world->children[1]->options.input != w.world->children[2]->options.input);
    other = etl_definition();
}

static void a_start_begins_with_the_document(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_do_all(w, "begin, list ok, initialize g1");
    test_true(fake_child(*w.world, " create ") != nullptr); // no caller has asked yet
    etl_do_all(w, "create ok, pod ready");
    test_eq_text(w.answer_kind, "");
    etl_do_all(w, "start g1"); // a caller asks, and the start is decided already
    test_eq_text(w.answer_kind, "started: ok");
    etl_do_all(w, "sync g1"); // it serves everywhere; nothing changes here
    etl_view view;
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_true(view.ready);
    test_eq(w.pods.size(), 1);
}

static void a_start_has_the_time_that_its_caller_gives(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_do_all(w, "begin, list ok, initialize g1, create ok, pod running, wait 30s");
    etl_registry_await_start(*w.registry, "JGHEoo89gg", "g1", 20'000, etl_on_started, &w);
    etl_do_all(w, "wait 19s");
    test_eq_text(w.answer_kind, "");
    etl_do_all(w, "wait 1s, logs ok");
    test_eq_text(w.answer_kind, "started: etl_init_failed");
    test_has_text(w.answer, "not Ready within wait_timeout 20s");
}

static void a_start_that_nobody_asks_about_ends_by_its_own_timeout(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_do_all(w, "begin, list ok, initialize g1, create ok, pod running, wait 61s");
    etl_view view;
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_has_text(view.last_error, "not Ready within wait_timeout");
    etl_do_all(w, "delete ok, initialize g1");
    test_true(fake_child(*w.world, " create ") == nullptr);
}

// If a start failed on this target, it is retried once the ETL serves elsewhere.
static void a_failed_start_goes_on_where_the_etl_runs(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_view view;
    etl_do_all(w, "begin, list ok, start, create ok, pod image_missing, delete ok, sync g1");
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_eq_enum(view.phase, etl_phase::starting);
    etl_do_all(w, "create ok, pod ready");
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_true(view.ready);
    // The same while the failed start's pod is still being removed.
    etl_do_all(w, "start g2, delete ok, create ok, pod image_missing, sync g2, delete ok, create ok, pod ready");
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_eq_text(view.definition->generation_id, "g2");
    test_true(view.ready);
}

static void a_start_under_way_keeps_trying_where_the_etl_runs(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_view view;
    etl_do_all(w, "begin, list ok, initialize g1, create ok, pod running, sync g1, wait 61s");
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_eq_enum(view.phase, etl_phase::starting);
    etl_do_all(w, "pod ready");
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_true(view.ready);
}

static void an_abandoned_start_is_not_begun_again(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_view view;
    etl_do_all(w, "begin, list ok, start g1, create ok, abandon g1");
    test_eq_text(w.answer_kind, "started: canceled");
    etl_do_all(w, "initialize g1, delete ok, initialize g1"); // documents without news about it
    test_true(w.pods.empty());
    test_true(fake_child(*w.world, " create ") == nullptr);
    test_false(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    w.answer_kind.clear();
    etl_do_all(w, "start g1"); // a late call
    test_eq_text(w.answer_kind, "started: canceled");
    test_has_text(w.answer, "this start was abandoned");
    etl_do_all(w, "start g2, create ok, pod ready"); // the next start is another one
    test_eq_text(w.answer_kind, "started: ok");
    // A start that began before this node restarted.
    etl_do_all(w, "stop, delete ok, abandon g3, initialize g3");
    test_true(fake_child(*w.world, " create ") == nullptr);
    etl_do_all(w, "sync g3, create ok, pod ready"); // it serves elsewhere
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_true(view.ready);
}

static void a_generation_that_comes_back_is_started_when_its_pod_is_gone(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_view view;
    etl_do_all(w, "begin, list ok, sync g1, create ok, pod ready, sync, sync g1, delete ok, wait 0s, create ok, pod ready");
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_true(view.ready);
}

static void only_our_leftovers_are_removed(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_do_all(w, "leftover g0, leftover g9");
    // Listed, as by a broken selector, but it belongs to another target.
    std::string foreign = model_list(w);
    size_t at = 0;
    while ((at = foreign.find("\"etlnode/target\":\"t1\"", at)) != std::string::npos)
        foreign.replace(at, 21, "\"etlnode/target\":\"t2\"");
    etl_do_all(w, "begin");
    fake_exit(fake_child(*w.world, "=t1 -o json"), 0, foreign);
    etl_do_all(w, "sync");
    test_true(fake_child(*w.world, "delete") == nullptr);
    // It is ours, but the wanted ETLs are not known yet.
    etl_world *fresh = etl_world_make("");
    etl_do_all(*fresh, "leftover g0, leftover g9, begin, list ok");
    test_true(fake_child(*fresh->world, "delete") == nullptr);
    etl_do_all(*fresh, "sync g9"); // adopts one and removes the other
    test_true(fake_child(*fresh->world, "delete") != nullptr);
    etl_do_all(*fresh, "delete ok");
    test_eq(fresh->pods.size(), 1);
    test_true(fake_child(*fresh->world, "delete") == nullptr);
    etl_world_free(fresh);
}

static void what_was_created_after_a_failed_start_is_swept(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    // create is killed, delete finds nothing, and only then the API server carries out the create.
    etl_do_all(w, "begin, list ok, wait 2s, list ok, sync, start, create fails killed, delete ok");
    test_eq_text(w.answer_kind, "started: etl_init_failed");
    etl_do_all(w, "leftover g1, pod ready, wait 1m, list ok");
    test_true(fake_child(*w.world, "delete") != nullptr);
    etl_do_all(w, "delete ok");
    test_true(w.pods.empty());
}

static void health_counts(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_do_all(w, "begin, list ok");
    test_true(etl_registry_get_health(*w.registry).kubectl_ok);
    etl_do_all(w, "no_kubectl, start");
    const etl_registry_health &health = etl_registry_get_health(*w.registry);
    test_false(health.kubectl_ok);
    test_eq_text(health.kubectl_error, "kubectl: program not found: kubectl");
    test_eq(health.kubectl_calls, 3);
    test_eq(health.kubectl_failures, 1);
}

static void the_pod_is_shown_without_its_secret(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    test_eq_text(etl_registry_show_pod(*w.registry, "JGHEoo89gg"), "");
    etl_do_all(w, "begin, list ok, start, create ok");
    std::string shown = etl_registry_show_pod(*w.registry, "JGHEoo89gg");
    test_has_text(shown, "http://10.0.0.1:9090/v1/etl/_object/JGHEoo89gg/SECRET");
    test_true(shown.find("secret-g1") == std::string::npos);
    std::string made = json_print(w.pods.begin()->second.json.get());
    for (const char *part :
        {"\"etlnode/launch\":\"", "\"name\":\"transformer-md5-nlj4j-node1\"", "\"seccompProfile\":{\"type\":\"RuntimeDefault\"}"}) {
        test_has_text(shown, part);
        test_has_text(made, part);
    }
}

static void too_many_are_refused(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_do_all(w, "no_kubectl");
    std::vector<etl_definition> all;
    for (size_t i = 0; i < etl_count_max; i++) {
        all.push_back(etl_definition_of("g1"));
        all.back().id = "Number" + std::to_string(1000 + i);
    }
    etl_sync(w, all);
    all.push_back(etl_definition_of("g1"));
    etl_sync(w, all);
    all = {};
    etl_registry_await_start(*w.registry, "JGHEoo89gg", "g1", 60'000, etl_on_started, &w);
    etl_do_all(w, "wait 0s");
    test_eq_text(w.answer_kind, "started: etl_init_failed");
    test_has_text(w.answer, "the limit is 256");
}

static void after_shutting_down_nothing_starts(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_do_all(w, "begin, list ok, start, create ok, pod ready, stop, shut_down");
    test_true(w.was_shut_down);
    test_eq_text(w.answer_kind, "stopped: stopping"); // it could not be finished, and the answer says so
    test_eq(w.pods.size(), 1);
    etl_do_all(w, "start");
    test_eq_text(w.answer_kind, "started: stopping");
    etl_do_all(w, "stop");
    test_eq_text(w.answer_kind, "stopped: stopping");
    etl_do_all(w, "sync g1");
    test_eq(w.world->children.size(), 0);
}

// A release build continues: only the machine that received an impossible event ends.
static void a_fault_costs_one_machine(void **state)
{
    auto &w = *static_cast<etl_world *>(*state);
    etl_do_all(w, "begin, list ok, sync g1, create ok, pod ready");
    sm_set_strict(false);
    log_set_level(log_level::error);
    etl_host host = {{&w.world->e, &w.options, nullptr, nullptr, nullptr}, [](void *, etl &) {}, nullptr};
    etl_ref ref;
    etl *m = etl_make(host, ref, etl_definition_of("g2"), 99);
    etl_send(*m, etl::event::became_idle); // nothing was in use
    sm_set_strict(true);
    test_true(m->sm.faulted);
    test_true(etl_is_final(*m));
    etl_free(m);
    etl_view view;
    test_true(etl_registry_find(*w.registry, "JGHEoo89gg", view));
    test_true(view.ready);
}

int main()
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_view_follows_the_pod, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failure_is_reported_and_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(a_start_that_joins_waits_for_the_pod, setup, teardown),
        cmocka_unit_test_setup_teardown(a_start_that_joins_does_not_wait_for_ever, setup, teardown),
        cmocka_unit_test_setup_teardown(texts_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(stopping_what_is_not_there_is_fine, setup, teardown),
        cmocka_unit_test_setup_teardown(logs_are_fetched, setup, teardown),
        cmocka_unit_test_setup_teardown(logs_without_a_pod_tell_why, setup, teardown),
        cmocka_unit_test(the_local_address_is_preferred_where_kubectl_is_local),
        cmocka_unit_test_setup_teardown(clients_are_sent_to_the_node_port, setup, teardown),
        cmocka_unit_test(the_address_of_the_node_may_be_given),
        cmocka_unit_test(kubectl_local_needs_no_node_port),
        cmocka_unit_test_setup_teardown(a_name_must_be_unambiguous, setup, teardown),
        cmocka_unit_test_setup_teardown(a_start_begins_with_the_document, setup, teardown),
        cmocka_unit_test_setup_teardown(a_start_has_the_time_that_its_caller_gives, setup, teardown),
        cmocka_unit_test_setup_teardown(a_start_that_nobody_asks_about_ends_by_its_own_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_start_goes_on_where_the_etl_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(a_start_under_way_keeps_trying_where_the_etl_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(an_abandoned_start_is_not_begun_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_generation_that_comes_back_is_started_when_its_pod_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(only_our_leftovers_are_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_created_after_a_failed_start_is_swept, setup, teardown),
        cmocka_unit_test_setup_teardown(health_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(the_pod_is_shown_without_its_secret, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_fault_costs_one_machine, setup, teardown),
        cmocka_unit_test_setup_teardown(after_shutting_down_nothing_starts, setup, teardown),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
