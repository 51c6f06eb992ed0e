// SPDX-License-Identifier: MIT
// The proxy as a node: health in each state, the cluster as clients see it, removal of targets, metrics, start and shutdown.
#include "role_world.h"

#include "base/limits.h"
#include "document_spec.h"

using namespace etlnode;

static void what_the_cluster_is(void **state)
{
    role_world &w = role_of(state);
    const role_case cases[] = {
        {"GET /v1/daemon?what=smap", nullptr, 200, "\"tmap\":{\"target-01\":{"},
        {"GET /v1/daemon", nullptr, 400, "the query must say what: ?what=smap"},
        {"GET /v1/daemon?what=smap&what=smap", nullptr, 200, "\"tmap\":{\"target-01\":{"},
        {"GET /v1/daemon?what=smap&what=stats", nullptr, 400, "the parameter what is given twice, with different values"},
        {"GET /v1/health?readiness=true&readiness=false", nullptr, 400, "the parameter readiness is given twice, with different values"},
        {"GET /v1/daemon?what=", nullptr, 400, "the query must say what: ?what=smap"},
        {"GET /v1/daemon?what=stats", nullptr, 501,
            "what=stats is not implemented; there are: log, smap, node_status, mountpaths, sysinfo, metrics, config, bmd, "
            "software_version, node_stats, disk, snode"},
        {"GET /v1/cluster?what=smap", nullptr, 200, "\"pmap\":{\"proxy-01\":{"},
        {"GET /v1/cluster?what=cluster_config", nullptr, 200, "\"primary_url\":\"http://10.0.0.1:8080\""},
        {"GET /v1/cluster?what=remote", nullptr, 200, R"({"a":null,"ver":0})"}, {"GET /v1/cluster?what=backends", nullptr, 200, "[]"},
        {"GET /v1/cluster", nullptr, 501, "what= is not implemented; there are: cluster_config, smap, nodes, usage, backends, remote"},
        {"GET /v1/cluster?what=stats", nullptr, 501, "what=stats is not implemented"},
        {"GET /nowhere", nullptr, 404, "there is no /nowhere here"},
        {"DELETE /v1/health", nullptr, 405, "method DELETE is not allowed for /v1/health; allowed: GET, HEAD"},
        {"GET /v1/node/status", nullptr, 404, "there is no /v1/node/status here"}, // only targets have it
    };
    role_check_cases(w, cases);
}

static void a_node_knows_its_own_names_only(void **state)
{
    role_world &w = role_of(state);
    const role_case cases[] = {
        {"GET http://evil.example/v1/health", nullptr, 421, "this node does not know itself as"},
        {"POST /v1/buckets/b", R"({"action":"create-bck"})", 403,
            "a web page of origin \\\"http://evil.example\\\" may not change anything here", "Origin: http://evil.example\r\n"},
        {"GET /v1/buckets", nullptr, 200, "[]"},
    };
    for (const role_case &one : cases) {
        std::string_view body = one.body != nullptr ? std::string_view(one.body) : std::string_view();
        const scripted_call &call = role_ask(w, one.line, body, one.headers);
        test_eq(call.status(), one.status);
        test_has_text(call.answer.body, one.says);
    }
}

static void nodes_are_shown_as_they_are(void **state)
{
    role_world &w = role_of(state);
    scripted_node &node = *w.peers[role_target_id];
    role_check(role_register(w, node, "\"object_count\":4,"), "register", 204, "");
    const scripted_call &call = role_ask(w, "GET /v1/cluster?what=nodes");
    test_eq_text(call.answer.body,
        "{\"uuid\":\"" + proxy_document(*w.p).uuid + "\",\"version\":\"" + std::to_string(proxy_document(*w.p).version) + "\",\"nodes\":[" +
            R"({"id":"proxy-01","role":"proxy","url":"http://10.0.0.1:8080","flags":0,"primary":true,"state":"active","version":"unit","reason":""},)" +
            R"({"id":"target-01","role":"target","url":"http://10.0.0.11:8080","flags":0,"primary":false,"state":"active","epoch":2,"heard_seconds":0,"objects":4,"reason":""}],)" +
            R"("epoch":"2","moving":false,"lost":[],"strangers":[]})");
    role_wait_silent(w, node);
    scripted_pass(*w.sim, 3'000);
    role_expect(w, "GET /v1/cluster?what=nodes", {}, 200,
        "\"state\":\"silent\",\"epoch\":2,\"silent_seconds\":13,\"heard_seconds\":13,\"objects\":4,\"reason\":\"its objects are "
        "unavailable");
}

static void a_target_that_will_not_come_back_is_taken_out(void **state)
{
    role_world &w = role_of(state);
    scripted_node &node = *w.peers[role_target_id];
    scripted_node &other = role_add_target(w, "target-02");
    role_check(role_register(w, node, "\"object_count\":4,"), "register", 204, "");
    const role_case while_it_lives[] = {
        {"PUT /v1/cluster", "", 501, "action \"\" is not implemented; there are: start-maintenance, "},
        {"PUT /v1/cluster", "[]", 400, "it is not an object"},
        {"PUT /v1/cluster", R"({"action":"shutdown"})", 501, "action \"shutdown\" is not implemented"},
        {"PUT /v1/cluster", R"({"action":"decommission-node"})", 400, "value.sid: which target? expected its id"},
        {"PUT /v1/cluster", R"({"action":"decommission-node","value":{"sid":"target-10"}})", 404,
            "there is no target \"target-10\" (did you mean \"target-01\""},
        {"PUT /v1/cluster", R"({"action":"decommission-node","value":{"sid":"proxy-01"}})", 404, "there is no target \"proxy-01\""},
        {"PUT /v1/cluster", R"({"action":"decommission-node","value":{"sid":"target-01","objects":"many"}})", 400,
            "value.objects: expected a whole number"},
        {"PUT /v1/cluster", R"({"action":"replace-disk","value":{"sid":"target-01","objects":-1}})", 400,
            "value.objects: expected a whole number"},
        {"PUT /v1/cluster", R"({"action":"start-maintenance","value":{"sid":["target-01"]}})", 400, "value.sid: expected a text"},
        {"PUT /v1/cluster", R"({"action":"start-maintenance","value":"target-01"})", 400, "value: expected an object"},
        {"PUT /v1/cluster", R"({"action":"start-maintenance","value":{"sid":"target-01","skip_rebalance":"yes"}})", 400,
            "value.skip_rebalance: expected true or false"},
        {"PUT /v1/cluster", R"({"action":5,"value":{"sid":"target-01"}})", 400, "action: expected a text"},
    };
    role_check_cases(w, while_it_lives);
    role_wait_silent(w, node);
    scripted_pass(*w.sim, target_lost_ms);
    role_check(role_register(w, other), "register", 204, "");
    const role_case silent[] = {
        {"PUT /v1/cluster", R"({"action":"decommission-node","value":{"sid":"target-01","objects":"many"}})", 400,
            "value.objects: expected a whole number"},
        {"PUT /v1/cluster", R"({"action":"decommission-node","value":{"sid":"target-01","objects":3}})", 409,
            "target target-01 holds 4 objects, not 3"},
        {"PUT /v1/cluster", R"({"action":"decommission-node","value":{"sid":"target-01","objects":4}})", 200, ""},
        {"PUT /v1/cluster", R"({"action":"decommission-node","value":{"sid":"target-01"}})", 404, "there is no target \"target-01\""},
    };
    role_check_cases(w, silent);
}

static void what_a_target_has_of_others_is_shown_and_given_away(void **state)
{
    role_world &w = role_of(state);
    scripted_node &node = *w.peers[role_target_id];
    role_script(node, {.match = "GET /v1/node/found?", .body = R"({"objects":[{"bucket":"b","name":"o"}],"more":false,"found":1})"});
    role_script(node, {.match = "POST /v1/node/found?objects=3", .status = 409, .body = R"({"code":"conflict","message":"has found 2"})"});
    role_script(node, {.match = "POST /v1/node/found?objects=2", .status = 204});
    const role_case cases[] = {
        {"GET /v1/cluster/found/target-01?count=5&after_bucket=b&after_name=a%2Fb", nullptr, 200, R"("name":"o")"},
        {"GET /v1/cluster/found/target-10", nullptr, 404, "there is no target \"target-10\" (did you mean \"target-01\""},
        {"GET /v1/cluster/found/proxy-01", nullptr, 404, "there is no target"},
        {"POST /v1/cluster/found/target-01", "", 400, "objects: how many objects shall go to their owners?"},
        {"POST /v1/cluster/found/target-01", "[", 400, "the body must be {\"objects\":N}"},
        {"POST /v1/cluster/found/target-01", R"({"objects":-2})", 400, "objects: expected a whole number"},
        {"POST /v1/cluster/found/target-01", R"({"objects":3})", 409, "has found 2"},
        {"POST /v1/cluster/found/target-10", R"({"objects":2})", 404, "there is no target"},
        {"POST /v1/cluster/found/target-01", R"({"objects":2})", 200, ""},
    };
    role_check_cases(w, cases);
    test_eq_text(scripted_last(node, "GET /v1/node/found?").second, "/v1/node/found?after_bucket=b&after_name=a%2Fb&count=5&");
    role_wait_silent(w, node);
    role_expect(w, "GET /v1/cluster/found/target-01", {}, 503, "target target-01 is silent");
    role_expect(w, "POST /v1/cluster/found/target-01", R"({"objects":0})", 503, "target target-01 is silent");
}

static void health_says_whether_it_can_serve(void **state)
{
    role_world &w = role_of(state);
    const scripted_call &alive = role_ask(w, "GET /v1/health");
    role_check(alive, "health", 200, "");
    test_false(sim_header(alive.answer, "ais-cluster-uptime").empty());
    test_false(sim_header(alive.answer, "ais-node-uptime").empty());
    const role_case cases[] = {
        {"GET /v1/health?readiness=true", nullptr, 200, ""},
        {"GET /v1/health?prr=true", nullptr, 200, ""},
        {"HEAD /v1/health?readiness=true", nullptr, 200, ""},
    };
    role_check_cases(w, cases);
}

// After a restart the targets are contacted first. Until then, only probes and targets are served.
static void a_proxy_that_starts_again_asks_its_targets(void **state)
{
    role_world &w = role_of(state);
    role_make_bucket(w, "b");
    std::string uuid = proxy_document(*w.p).uuid;
    scripted_node &node = *w.peers[role_target_id];
    role_take_push(w, node);
    role_stop(w);
    role_script(node, {.match = "PUT /v1/node/document", .is_held = true, .times = 1});
    role_begin_start(w);
    test_true(scripted_until(*w.sim, [&] { return scripted_held(node) == 1; }));
    const role_case starting[] = {
        {"GET /v1/buckets", nullptr, 503, "the proxy is starting"},
        {"GET /v1/health", nullptr, 200, ""},
        {"GET /v1/health?readiness=true", nullptr, 503, "starting"},
        {"GET /metrics", nullptr, 200, "etlnode_up 0"},
    };
    role_check_cases(w, starting);
    test_false(w.is_started);
    scripted_answer_held(node, 204);
    test_true(scripted_until(*w.sim, [&] { return w.is_started; }));
    test_ok(w.start_err);
    test_eq_text(proxy_document(*w.p).uuid, uuid);
    role_expect(w, "GET /v1/buckets", {}, 200, "\"name\":\"b\"");
    role_expect(w, "GET /v1/objects/b/o", {}, 301); // it has been heard
}

// Their callers are gone. If the user named the ETL, it stays visible. Ids that nobody has received are forgotten.
static void starts_that_a_proxy_left_unfinished_are_ended(void **state)
{
    role_world &w = role_of(state);
    scripted_node &node = *w.peers[role_target_id];
    role_script(node, {.match = "GET /v1/node/etl/", .is_held = true});
    role_begin(w, "PUT /v1/etl", R"({"name":"my-etl","runtime":{"image":"image:v1"}})");
    role_begin(w, "POST /v1/etl/init",
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: md5\nspec:\n  containers:\n  - name: c\n    image: i\n    ports:\n    - "
        "containerPort: 80\n");
    test_true(scripted_until(*w.sim, [&] { return scripted_held(node) == 2; }));
    memory_image image = memory_take(*w.node, memory_crash::killed);
    role_stop(w);
    w.image = image; // its disk when the process was killed
    role_start(w);
    test_eq(proxy_document(*w.p).etls.size(), 1);
    test_eq_text(proxy_document(*w.p).etls[0].id, "my-etl");
    test_eq_enum(proxy_document(*w.p).etls[0].stage, etl_stage::aborted);
    test_eq_text(proxy_document(*w.p).etls[0].last_error, "the proxy restarted while the ETL was initializing");
}

static void a_start_that_fails_says_why(void **state)
{
    role_world &w = role_of(state);
    const role_bad_start operations[] = {
        {memory_op::meta_read, "node", "the node's id could not be read: "},
        {memory_op::meta_swap, "node", "the node's id could not be stored: "},
        {memory_op::meta_read, "cluster", "the cluster document in the data directory could not be read: "},
        {memory_op::meta_swap, "cluster", "the cluster document could not be stored: "},
    };
    const role_bad_document documents[] = {
        {"node", 1, R"({"id":"target-01","role":"target"})",
            "the data directory belongs to a target (target-01), this is a proxy: use another --data-dir"},
        {"node", 1, R"({"id":"proxy-99","role":"proxy"})", "the data directory belongs to node proxy-99, not to proxy-01"},
        {"node", 1, R"({"id":"x"})", "the document \"node\" in the data directory is damaged: "},
        {"node", 1, "nonsense", "the document \"node\" in the data directory is damaged: "},
        {"cluster", 1, "{}", "the cluster document in the data directory could not be read: "},
    };
    role_check_bad_starts(w, operations, documents);
    w.options.id = "short";
    role_start(w);
    test_eq_text(w.start_detail, "a node id has 8 to 64 of [A-Za-z0-9_-]");
}

static void options_that_cannot_be_are_refused(void **state)
{
    role_world &w = role_of(state);
    struct wrong {
        std::string node_options::*option;
        const char *value, *says;
    };
    const wrong rows[] = {
        {&node_options::cluster_secret, "", "a node needs a cluster secret"},
        {&node_options::advertise_url, "p", "the advertised URL must be http://host:port"},
    };
    for (const wrong &row : rows) {
        node_options options = w.options;
        options.*row.option = row.value;
        proxy *none = nullptr;
        error err = proxy_start(w.client->e, options, role_on_ready, &w, &none);
        test_eq_enum(err.code, error_code::invalid_argument);
        test_eq_text(err.what, row.says);
        test_true(none == nullptr);
    }
}

static void metrics_report_targets_and_etls(void **state)
{
    role_world &w = role_of(state);
    role_make_bucket(w, "b");
    w.peers[role_target_id]->rows.push_back({.match = "GET /v1/node/etl/my-etl/start", .body = "{}"});
    role_expect(w, "PUT /v1/etl", R"({"name":"my-etl","runtime":{"image":"image:v1"}})", 200);
    (void)role_ask(w, "GET /v1/objects/b/o");
    (void)role_ask(w, "GET /v1/objects/c/o");
    const scripted_call &call = role_ask(w, "GET /metrics");
    test_eq_text(sim_header(call.answer, "content-type"), "text/plain; version=0.0.4; charset=utf-8");
    for (const char *line : {"etlnode_build_info{version=\"unit\",role=\"proxy\",node_id=\"proxy-01\"} 1\n", "etlnode_up 1\n",
             "etlnode_buckets 1\n", "etlnode_target_up{target=\"target-01\"} 1\n", "etlnode_target_maintenance{target=\"target-01\"} 0\n",
             "etlnode_etl{etl=\"my-etl\",name=\"my-etl\",stage=\"Running\",communication=\"hpush://\"} 1\n", "etlnode_redirects_total 1\n",
             "etlnode_registrations_total 1\n", "etlnode_etl_starts_total 1\n", "etlnode_etl_start_failures_total 0\n",
             "etlnode_http_requests_total{server=\"public\",class=\"4xx\"} 1\n",
             "etlnode_machine_faults_total{machine=\"etl_rollout\"} 0\n"})
        test_has_text(call.answer.body, line);
    std::string version = "etlnode_target_document_version{target=\"target-01\"} " + std::to_string(proxy_document(*w.p).version) + "\n";
    test_has_text(call.answer.body, version);
}

// --- the end

static void a_drain_lets_requests_end(void **state)
{
    role_world &w = role_of(state);
    role_make_bucket(w, "b");
    scripted_node &node = *w.peers[role_target_id];
    role_script(node, {.match = "GET /v1/node/bucket/b", .is_held = true});
    scripted_call &page = role_begin(w, "GET /v1/buckets/b", R"({"action":"list"})");
    test_true(scripted_until(*w.sim, [&] { return scripted_held(node) == 1; }));
    role_begin_drain(w);
    scripted_pass(*w.sim, 1'000);
    test_false(w.is_drained);
    const role_case draining[] = {{"GET /v1/health?readiness=true", nullptr, 0, ""}};
    test_true(role_ask(w, draining[0].line).how == sim_call::ending::refused); // it no longer listens
    scripted_answer_held(node, 503, R"({"message":"busy"})");
    role_check(role_await(w, page), "a page", 503, "target target-01: busy");
    test_true(scripted_until(
        *w.sim, [&] { return w.is_drained; }, 1'000));
}

static void a_drain_refuses_what_takes_too_long(void **state)
{
    role_world &w = role_of(state);
    scripted_node &node = *w.peers[role_target_id];
    // A start that failed, and whose pod does not go: its caller would wait for longer than a drain takes.
    node.rows.push_back(
        {.match = "GET /v1/node/etl/", .status = 400, .body = R"({"code":"etl_init_failed","message":"quota"})", .times = 1});
    node.rows.push_back({.match = "GET /v1/node/etl/", .is_held = true});
    scripted_call &slow = role_begin(w, "POST /v1/etl/init", document_spec);
    test_true(scripted_until(*w.sim, [&] { return scripted_held(node) == 1; }));
    uint64_t began_us = w.sim->now_us;
    role_begin_drain(w);
    test_true(scripted_until(
        *w.sim, [&] { return w.is_drained; }, drain_timeout_ms + 5'000));
    test_true(w.sim->now_us - began_us > (drain_timeout_ms - 1) * 1'000); // timers count whole milliseconds
    test_true(scripted_until(
        *w.sim, [&] { return slow.running == nullptr; }, 5'000));
    role_check(slow, "POST /v1/etl/init", 503, "the node is shutting down");
}

static void a_drain_ends_starts_on_all_targets(void **state)
{
    role_world &w = role_of(state);
    scripted_node &node = *w.peers[role_target_id];
    node.rows.push_back({.match = "GET /v1/node/etl/my-etl/start", .is_held = true});
    node.rows.push_back({.match = "GET /v1/node/etl/my-etl/gone", .status = 204});
    scripted_call &call = role_begin(w, "PUT /v1/etl", R"({"name":"my-etl","runtime":{"image":"image:v1"}})");
    test_true(scripted_until(*w.sim, [&] { return scripted_held(node) == 1; }));
    role_begin_drain(w);
    role_check(role_await(w, call), "PUT /v1/etl", 503, "the proxy is shutting down");
    test_eq(scripted_count(node, "GET /v1/node/etl/my-etl/gone"), 1);
    test_true(scripted_until(
        *w.sim, [&] { return w.is_drained; }, 5'000));
    test_true(proxy_document(*w.p).etls.empty());
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_the_cluster_is, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(a_node_knows_its_own_names_only, role_set_up_proxy, role_tear_down),
        cmocka_unit_test_setup_teardown(nodes_are_shown_as_they_are, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(what_a_target_has_of_others_is_shown_and_given_away, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(a_target_that_will_not_come_back_is_taken_out, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(health_says_whether_it_can_serve, role_set_up_proxy, role_tear_down),
        cmocka_unit_test_setup_teardown(a_proxy_that_starts_again_asks_its_targets, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(starts_that_a_proxy_left_unfinished_are_ended, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(a_start_that_fails_says_why, role_set_up_proxy, role_tear_down),
        cmocka_unit_test_setup_teardown(options_that_cannot_be_are_refused, role_set_up_proxy, role_tear_down),
        cmocka_unit_test_setup_teardown(metrics_report_targets_and_etls, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(a_drain_lets_requests_end, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(a_drain_refuses_what_takes_too_long, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(a_drain_ends_starts_on_all_targets, role_set_up_cluster, role_tear_down),
    };
    return role_main(tests);
}
