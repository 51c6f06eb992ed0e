// SPDX-License-Identifier: MIT
// ETLs on a target: calls held until a start is decided or pods are gone, states and logs, reads through them, and what pods may read.
#include "role_world.h"

#include "base/limits.h"

using namespace etlnode;

static constexpr const char *start_path = "GET /v1/node/etl/my-etl/start?generation=g1&wait_timeout_ms=10000&version=";
static constexpr const char *gone_path = "GET /v1/node/etl/my-etl/gone?version=";

// `manners`: of the container; see sim_manners_image.
static void want_etl(role_world &w, etl_stage stage, const char *manners = "length-00000", const char *generation = "g1")
{
    cluster_etl etl;
    etl.id = etl.name = "my-etl";
    etl.generation_id = generation;
    etl.secret = "secretofthestart";
    etl.wait_timeout_ms = etl.obj_timeout_ms = 10'000;
    etl.pod_json = text_format(
        R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"my-etl"},"spec":{"containers":[{"name":"server","image":"sim/%s:v1",)"
        R"("ports":[{"containerPort":8000}],"readinessProbe":{"httpGet":{"path":"/","port":8000}}}]}})",
        manners);
    etl.init_json = "{}";
    etl.stage = stage;
    document_put_etl(w.document, etl);
}

static void set_certain(role_world &w, sim_fault fault, bool is_certain = true) { w.sim->certain[static_cast<size_t>(fault)] = is_certain; }

static scripted_call &begin_as_node(role_world &w, const std::string &line) { return role_begin(w, line, {}, role_secret_header); }
static std::string at(const char *path, uint64_t version) { return path + std::to_string(version); }

// The ETL serves.
static int set_up_serving(void **state)
{
    role_set_up_member(state);
    role_world &w = role_of(state);
    want_etl(w, etl_stage::initializing);
    role_check(role_push(w), "push", 204, "");
    role_check(role_ask_as_node(w, at(start_path, w.document.version)), "start", 200, "");
    role_check(role_ask(w, "PUT /v1/objects/b/o?pid=p&utm=1", "abc"), "PUT", 200, "");
    return 0;
}

static std::string transformed(std::string text)
{
    for (char &c : text)
        c = static_cast<char>(c ^ 0x5a);
    return text;
}

// --- starts

static void a_question_must_be_whole(void **state)
{
    role_world &w = role_of(state);
    const char *which = "which start? write ?generation=ID&version=NUMBER&wait_timeout_ms=NUMBER";
    const role_case cases[] = {
        {"GET /v1/node/etl/my-etl/start", nullptr, 400, which, role_secret_header},
        {"GET /v1/node/etl/my-etl/start?generation=g&version=1", nullptr, 400, which, role_secret_header},
        {"GET /v1/node/etl/my-etl/start?generation=g&version=0&wait_timeout_ms=1", nullptr, 400, which, role_secret_header},
        {"GET /v1/node/etl/my-etl/start?generation=g&version=1&wait_timeout_ms=x", nullptr, 400, which, role_secret_header},
        {"GET /v1/node/etl/my-etl/start?generation=g&version=1&wait_timeout_ms=86400001", nullptr, 400, which, role_secret_header},
        {"GET /v1/node/etl/my-etl/gone", nullptr, 400, "as of which document? write ?version=NUMBER", role_secret_header},
        {"GET /v1/node/etl/a%2/gone?version=1", nullptr, 400, "the name in the path is not properly percent-encoded", role_secret_header},
    };
    role_check_cases(w, cases);
}

static void a_start_is_answered_when_its_pod_serves(void **state)
{
    role_world &w = role_of(state);
    scripted_call &early = begin_as_node(w, at(start_path, w.document.version + 1)); // before the document that requests it
    scripted_pass(*w.sim, 1'000);
    test_true(early.running != nullptr);
    want_etl(w, etl_stage::initializing);
    role_check(role_push(w), "push", 204, "");
    role_check(role_await(w, early), "start", 200, R"("warnings":[],"pod_name":"my-etl-)");
    test_has_text(early.answer.body, ":8000\"");
    test_eq(w.sim->kube->pods.size(), 1);
    role_check(role_ask_as_node(w, at(start_path, w.document.version)), "again", 200, "\"target_id\":\"target-01\"");
}

static void a_start_that_is_not_the_documents_is_over(void **state)
{
    role_world &w = role_of(state);
    want_etl(w, etl_stage::initializing, "length-00000", "g2");
    role_check(role_push(w), "push", 204, "");
    role_check(role_ask_as_node(w, at(start_path, w.document.version)), "another start", 503, "the ETL was stopped");
    document_remove_etl(w.document, "my-etl");
    role_check(role_push(w), "push", 204, "");
    role_check(role_ask_as_node(w, at(start_path, w.document.version)), "none", 503, "the ETL was stopped");
}

static void a_start_that_is_over_elsewhere_is_over(void **state)
{
    role_world &w = role_of(state);
    w.document.etls[0].stage = etl_stage::running;
    role_check(role_push(w), "push", 204, "");
    role_check(role_ask_as_node(w, at(start_path, w.document.version)), "running", 503, "the ETL was stopped");
    test_eq(w.sim->kube->pods.size(), 1); // it runs on
}

static void a_document_that_does_not_come_ends_the_wait(void **state)
{
    role_world &w = role_of(state);
    role_check(
        role_ask_as_node(w, at(start_path, 99)), "start", 504, "the cluster document with this change did not reach the target in time");
}

static void a_start_that_fails_says_why(void **state)
{
    role_world &w = role_of(state);
    struct failing {
        sim_fault fault;
        const char *says;
    };
    const failing rows[] = {{sim_fault::kubectl_create_refused, "exceeded quota"},
        {sim_fault::kubectl_missing, "program not found: kubectl"}, {sim_fault::kubectl_image_missing, "failed to pull and unpack image"},
        {sim_fault::kubectl_pending, "not Ready within wait_timeout"}};
    int number = 0;
    for (const failing &one : rows) {
        std::string generation = "g" + std::to_string(++number);
        want_etl(w, etl_stage::initializing, "length-00000", generation.c_str());
        set_certain(w, one.fault);
        role_check(role_push(w), "push", 204, "");
        std::string line = at(start_path, w.document.version);
        line.replace(line.find("g1"), 2, generation);
        role_check(role_ask_as_node(w, line), line, 400, one.says);
        set_certain(w, one.fault, false);
        sim_kube_heal(*w.sim->kube);
        role_check(
            role_ask_as_node(w, "GET /v1/node/etl/my-etl"), "show", 200, one.says); // it stands there until the document has ended it
        document_remove_etl(w.document, "my-etl");
        role_check(role_push(w), "push", 204, "");
        role_check(role_ask_as_node(w, at(gone_path, w.document.version)), "gone", 204, "");
        test_true(w.sim->kube->pods.empty());
    }
}

static void a_proxy_that_hangs_up_ends_the_start(void **state)
{
    role_world &w = role_of(state);
    set_certain(w, sim_fault::kubectl_pending);
    want_etl(w, etl_stage::initializing);
    role_check(role_push(w), "push", 204, "");
    scripted_call &start = begin_as_node(w, at(start_path, w.document.version));
    test_true(scripted_until(*w.sim, [&] { return w.sim->kube->pods.size() == 1 && w.t->held.size() == 1; }));
    scripted_hang_up(start);
    test_true(scripted_until(*w.sim, [&] { return w.sim->kube->pods.empty() && w.t->held.empty(); }));
    role_check(role_ask_as_node(w, at(start_path, w.document.version)), "again", 503,
        "this start was abandoned: its caller hung up, or the target restarted");
}

static void pods_are_gone_when_the_document_says_so(void **state)
{
    role_world &w = role_of(state);
    scripted_call &early = begin_as_node(w, at(gone_path, w.document.version + 1));
    scripted_pass(*w.sim, 1'000);
    test_true(early.running != nullptr);
    document_remove_etl(w.document, "my-etl");
    role_check(role_push(w), "push", 204, "");
    role_check(role_await(w, early), "gone", 204, "");
    test_true(w.sim->kube->pods.empty());
    role_check(role_ask_as_node(w, at(gone_path, w.document.version)), "again", 204, "");
    role_expect(w, "GET /v1/objects/b/o?etl_name=my-etl", {}, 404, "etl job my-etl does not exist");
}

static void what_cannot_be_removed_is_reported(void **state)
{
    role_world &w = role_of(state);
    set_certain(w, sim_fault::kubectl_api_error);
    document_remove_etl(w.document, "my-etl");
    role_check(role_push(w), "push", 204, "");
    role_check(role_ask_as_node(w, at(gone_path, w.document.version)), "gone", 503,
        "deleting the pod: kubectl delete: exit code 1: Error from server");
    set_certain(w, sim_fault::kubectl_api_error, false);
    role_check(role_ask_as_node(w, at(gone_path, w.document.version)), "gone", 204, "");
}

static void calls_that_are_held_end_with_the_target(void **state)
{
    role_world &w = role_of(state);
    set_certain(w, sim_fault::kubectl_pending);
    want_etl(w, etl_stage::initializing);
    role_check(role_push(w), "push", 204, "");
    scripted_call &start = begin_as_node(w, at(start_path, w.document.version));
    scripted_call &early = begin_as_node(w, at(gone_path, 99));
    scripted_pass(*w.sim, 1'000);
    role_begin_drain(w);
    role_check(role_await(w, start), "start", 503, "the target is shutting down");
    role_check(role_await(w, early), "gone", 503, "the target is shutting down");
    test_true(scripted_until(
        *w.sim, [&] { return w.is_drained; }, 40'000));
}

// --- states and logs

static void what_it_has_is_shown(void **state)
{
    role_world &w = role_of(state);
    (void)role_ask(w, "GET /v1/objects/b/o?etl_name=my-etl");
    const std::string pod = w.sim->kube->pods.begin()->first;
    json_ptr tree;
    std::string where;
    const scripted_call &call = role_ask_as_node(w, "GET /v1/node/etl/my-etl");
    test_ok(json_parse(call.answer.body, tree, where));
    struct field {
        const char *key, *value;
    };
    const field fields[] = {{"id", "my-etl"}, {"name", "my-etl"}, {"target_id", "target-01"}, {"phase", "serving"},
        {"pod_name", pod.c_str()}, {"hpull_address", "pod_ip"}, {"client_url", ""}, {"generation_id", "g1"}, {"last_error", ""}};
    for (const field &one : fields)
        test_eq_text(json_text(tree.get(), one.key), one.value);
    test_true(json_bool(tree.get(), "ready", false));
    test_eq(json_u64(tree.get(), "obj_count", 0), 1);
    test_eq(json_u64(tree.get(), "in_bytes", 0), 3);
    test_eq(json_u64(tree.get(), "out_bytes", 0), 3);
    test_true(json_get(tree.get(), "pod") == nullptr && json_get(tree.get(), "failures") == nullptr);
    test_eq_text(role_ask_as_node(w, "GET /v1/node/etl").answer.body, "[" + call.answer.body + "]");

    const scripted_call &more = role_ask_as_node(w, "GET /v1/node/etl/my-etl?pod=true&failures=true");
    test_has_text(more.answer.body, "sim/length-00000:v1");
    test_true(more.answer.body.find("secretofthestart") == std::string::npos);
    test_has_text(more.answer.body, R"("failures":{"count":0,"errors":[]})");
    role_check(role_ask_as_node(w, "GET /v1/node/etl/other"), "other", 404, "etl job other does not exist on this target");

    test_eq_text(role_ask_as_node(w, "GET /v1/node/etl/my-etl/logs?since=5").answer.body, "listening\nlast words of the container\n");
    role_check(role_ask_as_node(w, "GET /v1/node/etl/other/logs"), "logs", 404, "target target-01 has no such ETL");
    set_certain(w, sim_fault::kubectl_api_error);
    role_check(role_ask_as_node(w, "GET /v1/node/etl/my-etl/logs"), "logs", 503, "kubectl logs: ");
}

static void metrics_report_reads_and_pods(void **state)
{
    role_world &w = role_of(state);
    (void)role_ask(w, "GET /v1/objects/b/o?etl_name=my-etl");
    (void)role_ask(w, "GET /v1/objects/b/o?etl_name=my-etl");
    (void)role_ask(w, "GET /v1/objects/b/none?etl_name=my-etl");
    (void)role_ask(w, "GET /v1/objects/b/o");
    const scripted_call &call = role_ask(w, "GET /metrics");
    for (const char *line : {"etlnode_build_info{version=\"unit\",role=\"target\",node_id=\"target-01\"} 1\n", "etlnode_up 1\n",
             "etlnode_etl{etl=\"my-etl\",name=\"my-etl\",stage=\"Initializing\",phase=\"serving\",communication=\"hpush://\"} 1\n",
             "etlnode_etl_pod_ready{etl=\"my-etl\"} 1\n", "etlnode_etl_requests_total{etl=\"my-etl\",outcome=\"ok\"} 2\n",
             "etlnode_etl_requests_total{etl=\"my-etl\",outcome=\"client_error\"} 1\n", "etlnode_object_requests_total{op=\"put\"} 1\n",
             "etlnode_object_requests_total{op=\"get\"} 1\n", "etlnode_store_objects 1\n", "etlnode_kubectl_up 1\n",
             "etlnode_kubectl_calls_total{verb=\"create\"} 1\n", "etlnode_http_requests_total{server=\"pods\",class=\"2xx\"} 0\n",
             "etlnode_machine_faults_total{machine=\"etl\"} 0\n"})
        test_has_text(call.answer.body, line);
}

// --- reads

static void an_object_is_read_through_it(void **state)
{
    role_world &w = role_of(state);
    for (const char *line : {"GET /v1/objects/b/o?etl_name=my-etl", "GET /v1/objects/b/o?uuid=my-etl"}) {
        const scripted_call &call = role_ask(w, line);
        test_eq(call.status(), 200);
        test_eq_text(call.answer.body, transformed("abc"));
        test_eq_text(sim_header(call.answer, "etlnode-etl"), "my-etl");
        test_eq_text(sim_header(call.answer, "etlnode-etl-generation"), "g1");
    }
    role_check(role_ask(w, "PUT /v1/objects/b/o?pid=p&utm=1&object_to=ais%2F%40%23%2Fb%2Fp&etl_name=my-etl", ""), "kept", 200, "");
    test_eq_text(role_ask(w, "GET /v1/objects/b/p").answer.body, transformed("abc"));
}

static void one_that_is_stopped_is_not_there(void **state)
{
    role_world &w = role_of(state);
    w.document.etls[0].stage = etl_stage::aborted;
    role_check(role_push(w), "push", 204, "");
    role_check(role_ask_as_node(w, at(gone_path, w.document.version)), "gone", 204, "");
    role_expect(
        w, "GET /v1/objects/b/o?etl_name=my-etl", {}, 404, "etl job my-etl does not exist now: it is stopped, and can be started again");
    role_check(
        role_ask_as_node(w, "GET /v1/node/etl/my-etl/logs"), "logs", 404, "target target-01: etl job my-etl has no pod: it is stopped");
    role_expect(w, "GET /v1/objects/b/o?etl_name=my-elt", {}, 404, "etl job my-elt does not exist (did you mean \"my-etl\"?)");
}

static void failed_reads_are_kept(void **state)
{
    role_world &w = role_of(state);
    want_etl(w, etl_stage::initializing, "length-00100"); // it misbehaves when asked to
    role_check(role_push(w), "push", 204, "");
    role_check(role_ask_as_node(w, at(start_path, w.document.version)), "start", 200, "");
    role_check(role_ask(w, "PUT /v1/objects/b/o?pid=p&utm=1", "abc"), "PUT", 200, "");
    w.sim->faults_on = true;
    set_certain(w, sim_fault::pod_error_status);
    const scripted_call &call = role_ask(w, "GET /v1/objects/b/o?etl_name=my-etl", {}, "X-Request-Id: mine\r\n");
    w.sim->faults_on = false;
    test_has_text(role_text(call), "the transform does not like it");
    const scripted_call &shown = role_ask_as_node(w, "GET /v1/node/etl/my-etl?failures=true");
    test_has_text(shown.answer.body, "\"errors\":1,");
    test_has_text(shown.answer.body, R"("failures":{"count":1,"errors":[{"time":")");
    test_has_text(shown.answer.body, text_format(R"("object":"ais://b/o","status":%d,)", call.status()));
    test_has_text(shown.answer.body, "\"request_id\":\"mine\",\"cut\":false");
}

// --- what pods read

static void a_pod_reads_objects_with_its_secret(void **state)
{
    role_world &w = role_of(state);
    role_check(role_ask(w, "PUT /v1/objects/b/dir/o?pid=p&utm=1", "in a directory"), "PUT", 200, "");
    const role_case good[] = {
        {"GET /v1/etl/_object/my-etl/secretofthestart/b/o", nullptr, 200, "abc"},
        {"GET /v1/etl/_object/my-etl/secretofthestart/ais%2F%40%23%2Fb%2Fo", nullptr, 200, "abc"},
        {"GET /v1/etl/_object/my-etl/secretofthestart/ais/@%23/b/dir/o?etl_name=my-etl", nullptr, 200, "in a directory"},
        {"GET /v1/etl/_object/my-etl/secretofthestart//b/o", nullptr, 200, "abc"},
        {"HEAD /v1/etl/_object/my-etl/secretofthestart/b/o", nullptr, 200, ""},
    };
    role_check_cases(w, good, role_pod_port);
    const scripted_call &call = role_ask(w, "GET /v1/etl/_object/my-etl/secretofthestart/b/o", {}, {}, role_pod_port);
    test_eq_text(sim_header(call.answer, "version"), "1"); // a transformer of 2020 uses it as the key of its cache
    const role_case bad[] = {
        {"GET /v1/etl/_object/other/secretofthestart/b/o", nullptr, 404, "etl job other does not exist"},
        {"GET /v1/etl/_object/my-etl/secretofthestarT/b/o", nullptr, 400, "the secret in the URL is not that of etl job my-etl"},
        {"GET /v1/etl/_object/my-etl/secret/b/o", nullptr, 400, "the secret in the URL is not that of etl job my-etl"},
        {"GET /v1/etl/_object/my-etl/secretofthestart/o", nullptr, 400, "expected <AIS_TARGET_URL>/BUCKET/OBJECT"},
        {"GET /v1/etl/_object/my-etl/secretofthestart/b%2", nullptr, 400, "expected <AIS_TARGET_URL>/BUCKET/OBJECT"},
        {"GET /v1/etl/_object/my-etl/secretofthestart/c/o", nullptr, 404, "bucket \"ais://c\" does not exist"},
        {"GET /v1/etl/_object/my-etl/secretofthestart/b/none", nullptr, 404, "ais://b/none does not exist"},
        {"PUT /v1/etl/_object/my-etl/secretofthestart/b/o", "x", 404, "no transform awaits this result here"},
        {"GET /v1/objects/b/o", nullptr, 404, "there is no /v1/objects/b/o here"},
        {"GET /v1/node/status", nullptr, 404, "there is no /v1/node/status here", role_secret_header},
    };
    role_check_cases(w, bad, role_pod_port);
    role_check(role_ask(w, "GET /v1/etl/_object/my-etl/secretofthestart/b/o"), "clients", 404, "there is no "); // of the other listener
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_question_must_be_whole, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_start_is_answered_when_its_pod_serves, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_start_that_is_not_the_documents_is_over, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_start_that_is_over_elsewhere_is_over, set_up_serving, role_tear_down),
        cmocka_unit_test_setup_teardown(a_document_that_does_not_come_ends_the_wait, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_start_that_fails_says_why, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_proxy_that_hangs_up_ends_the_start, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(pods_are_gone_when_the_document_says_so, set_up_serving, role_tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_removed_is_reported, set_up_serving, role_tear_down),
        cmocka_unit_test_setup_teardown(calls_that_are_held_end_with_the_target, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(what_it_has_is_shown, set_up_serving, role_tear_down),
        cmocka_unit_test_setup_teardown(metrics_report_reads_and_pods, set_up_serving, role_tear_down),
        cmocka_unit_test_setup_teardown(an_object_is_read_through_it, set_up_serving, role_tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_stopped_is_not_there, set_up_serving, role_tear_down),
        cmocka_unit_test_setup_teardown(failed_reads_are_kept, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_pod_reads_objects_with_its_secret, set_up_serving, role_tear_down),
    };
    return role_main(tests);
}
