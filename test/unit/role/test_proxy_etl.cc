// SPDX-License-Identifier: MIT
// Existing ETLs at the proxy: lists, details, health, logs, failed reads, stop and removal, with what the targets add.
#include "role_world.h"

using namespace etlnode;

static constexpr const char *message = R"({"name":"my-etl","init_timeout":"10s","runtime":{"image":"image:v1"}})";

static constexpr const char
    *status = R"({"id":"my-etl","phase":"serving","ready":true,"pod_name":"my-etl-abcde","address":"10.1.0.2:8000",)"
              R"("client_url":"","restarts":2,"unframed":1,"last_error":"","obj_count":3,"in_bytes":30,"out_bytes":33,"errors":1})";
static constexpr const char
    *failures = R"({"phase":"serving","ready":true,"failures":{"count":5,"errors":[)"
                R"({"time":"1000000000","object":"ais://b/o","status":502,"text":"it closed","request_id":"r1","cut":true},)"
                R"({"time":"3000000000","object":"ais://b/o","status":500,"text":"no memory","request_id":"r3","cut":false}]}})";

// An ETL runs on one target; the case decides how that target answers.
static int set_up(void **state)
{
    role_set_up_cluster(state);
    role_world &w = role_of(state);
    scripted_node &target = *w.peers[role_target_id];
    target.rows.push_back({.match = "GET /v1/node/etl/my-etl/start?", .body = "{}"});
    target.rows.push_back({.match = "GET /v1/node/etl/my-etl/gone?", .status = 204});
    role_expect(w, "PUT /v1/etl", message, 200, "etl-");
    return 0;
}

static json_ptr tree_of(const scripted_call &call)
{
    test_eq(call.status(), 200);
    json_ptr tree;
    std::string where;
    test_ok(json_parse(call.answer.body, tree, where));
    return tree;
}

static void bad_input_is_refused(void **state)
{
    role_world &w = role_of(state);
    const role_case cases[] = {
        {"GET /v1/etl/my-elt", nullptr, 404, "etl job my-elt does not exist (did you mean \"my-etl\"?)"},
        {"GET /v1/etl/a%2", nullptr, 400, "the ETL id in the path is not properly percent-encoded"},
        {"GET /v1/etl/other/health", nullptr, 404, "etl job other does not exist"},
        {"GET /v1/etl/other/logs", nullptr, 404, "etl job other does not exist"},
        {"GET /v1/etl/logs/other", nullptr, 404, "etl job other does not exist"},
        {"GET /v1/etl/other/errors", nullptr, 404, "etl job other does not exist"},
        {"DELETE /v1/etl/other", nullptr, 404, "etl job other does not exist"},
        {"DELETE /v1/etl/stop/other", nullptr, 404, "etl job other does not exist"},
        {"POST /v1/etl/other/stop", "", 404, "etl job other does not exist"},
        {"GET /v1/etl/my-etl/metrics", nullptr, 404, "there are no metrics of pods here"},
        {"GET /v1/etl/my-etl/logs?since=0", nullptr, 400, "since=0: write a number of seconds, 1 or more"},
        {"GET /v1/etl/my-etl/logs?since=1m", nullptr, 400, "since=1m: write a number of seconds"},
        {"GET /v1/etl/my-etl/logs/target-02", nullptr, 400, "target \"target-02\" does not exist (did you mean \"target-01\"?)"},
        {"GET /v1/etl/my-etl/logs/proxy-01", nullptr, 400, "target \"proxy-01\" does not exist"},
        {"GET /v1/etl/my-etl/nonsense", nullptr, 404, "there is no /v1/etl/my-etl/nonsense here"},
        {"PATCH /v1/etl/my-etl", "", 405, "allowed: "},
    };
    role_check_cases(w, cases);
}

static void a_list_adds_up_what_targets_say(void **state)
{
    role_world &w = role_of(state);
    scripted_node &other = role_add_target(w, "target-02");
    w.peers[role_target_id]->rows.push_back({.match = "GET /v1/node/etl", .body = "[" + std::string(status) + "]"});
    other.rows.push_back({.match = "GET /v1/node/etl", .body = "[" + std::string(status) + "]", .times = 1});
    json_ptr list = tree_of(role_ask(w, "GET /v1/etl"));
    const cJSON *one = cJSON_GetArrayItem(list.get(), 0);
    test_eq_text(json_text(one, "id"), "my-etl");
    test_eq_text(json_text(one, "stage"), "Running");
    test_eq_text(json_text(one, "communication"), "hpush://");
    test_eq(json_u64(one, "obj_count", 0), 6);
    test_eq(json_u64(one, "out_bytes", 0), 66);
    test_eq(json_u64(one, "errors", 0), 2);
    test_eq(json_u64(one, "restarts", 0), 4);
    test_eq(json_u64(one, "ready", 0), 2);
    test_eq(json_u64(one, "targets", 0), 2);
    test_true(json_get(one, "partial") == nullptr);

    list = tree_of(role_ask(w, "GET /v1/etl")); // now one of them does not answer, and the list says so
    one = cJSON_GetArrayItem(list.get(), 0);
    test_eq(json_u64(one, "obj_count", 0), 3);
    test_true(json_bool(one, "partial", false));
    test_eq_text(json_print(json_get(one, "counters_without")), "[\"target-02\"]");
    role_wait_silent(w, other);
    role_check(role_register(w, *w.peers[role_target_id]), "register", 204, "");
    list = tree_of(role_ask(w, "GET /v1/etl"));
    test_eq_text(json_print(json_get(cJSON_GetArrayItem(list.get(), 0), "counters_without")), "[\"target-02\"]");
    role_expect(w, "GET /v1/etl/list", {}, 200, R"([{"id":"my-etl","name":"my-etl","communication":"hpush://","stage":"Running"}])");
}

static void a_cluster_without_etls_has_empty_lists(void **state)
{
    role_world &w = role_of(state);
    test_eq_text(role_ask(w, "GET /v1/etl").answer.body, "[]");
    test_eq_text(role_ask(w, "GET /v1/etl/list").answer.body, "[]");
    role_expect(w, "GET /v1/etl/my-etl", {}, 404, "etl job my-etl does not exist (there are none)");
}

static void one_is_shown_with_its_pods(void **state)
{
    role_world &w = role_of(state);
    scripted_node &target = *w.peers[role_target_id];
    role_script(target, {.match = "GET /v1/node/etl/my-etl?failures=true&pod=true", .body = R"({"phase":"serving","pod":"{}"})"});
    role_script(target, {.match = "GET /v1/node/etl/my-etl?failures=true", .body = status, .times = 1});
    json_ptr tree = tree_of(role_ask(w, "GET /v1/etl/my-etl"));
    test_eq_text(json_text(json_get(tree.get(), "init_msg"), "name"), "my-etl");
    test_eq_text(json_text(tree.get(), "stage"), "Running");
    test_true(json_text(tree.get(), "xaction_id").starts_with("etl-"));
    test_eq_text(json_print(json_get(tree.get(), "obj_errors")), "[]");
    test_true(json_get(tree.get(), "hpull_address") == nullptr); // only if clients are redirected to pods
    const cJSON *row = cJSON_GetArrayItem(json_get(tree.get(), "targets"), 0);
    test_eq_text(json_text(row, "target_id"), role_target_id);
    test_eq_text(json_text(row, "phase"), "serving");
    test_eq_text(json_text(row, "pod_name"), "my-etl-abcde");
    test_eq_text(json_text(row, "address"), "10.1.0.2:8000");
    test_eq(json_u64(row, "restarts", 0), 2);
    test_false(json_bool(row, "maintenance", true));
    tree = tree_of(role_ask(w, "GET /v1/etl/my-etl?pods=true"));
    test_eq_text(json_text(cJSON_GetArrayItem(json_get(tree.get(), "targets"), 0), "pod"), "{}");
}

struct reported {
    int status;
    const char *body;
    const char *phase, *health, *error;
};

static void health_and_phase_say_what_a_target_says(void **state)
{
    role_world &w = role_of(state);
    scripted_node &target = *w.peers[role_target_id];
    const reported rows[] = {
        {200, R"({"phase":"serving","ready":true})", "serving", "Running", ""},
        {200, R"({"phase":"serving","ready":false})", "serving", "NotReady", ""},
        {200, R"({"phase":"starting"})", "starting", "Pending", ""},
        {200, R"({"phase":"stopping"})", "stopping", "Terminating", ""},
        {200, R"({"phase":"failed","last_error":"no image"})", "failed", "Failed", "no image"},
        {200, R"({"phase":"gone"})", "gone", "NotFound", ""},
        {200, "no JSON", "unknown", "Unknown", "its answer is not JSON: "},
        {404, "", "gone", "NotFound", ""},
        {503, R"({"message":"the target is shutting down"})", "unknown", "Unknown", "target target-01: the target is shutting down"},
    };
    for (const reported &one : rows) {
        role_script(target, {.match = "GET /v1/node/etl/my-etl?", .status = one.status, .body = one.body, .times = 2});
        json_ptr tree = tree_of(role_ask(w, "GET /v1/etl/my-etl"));
        const cJSON *row = cJSON_GetArrayItem(json_get(tree.get(), "targets"), 0);
        test_eq_text(json_text(row, "phase"), one.phase);
        test_true(json_text(row, "last_error").starts_with(one.error));
        json_ptr list = tree_of(role_ask(w, "GET /v1/etl/my-etl/health"));
        test_eq_text(json_print(list.get()), R"([{"target_id":"target-01","health_status":")" + std::string(one.health) + "\"}]");
    }
    role_wait_silent(w, target);
    json_ptr tree = tree_of(role_ask(w, "GET /v1/etl/my-etl"));
    test_eq_text(json_text(cJSON_GetArrayItem(json_get(tree.get(), "targets"), 0), "last_error"), "target target-01 is silent");
    role_expect(w, "GET /v1/etl/my-etl/health", {}, 200, "Unknown");
}

static void failed_reads_are_gathered_in_order_of_time(void **state)
{
    role_world &w = role_of(state);
    scripted_node &other = role_add_target(w, "target-02");
    role_script(*w.peers[role_target_id], {.match = "GET /v1/node/etl/my-etl?failures=true", .body = failures});
    role_script(other,
        {.match = "GET /v1/node/etl/my-etl?failures=true",
            .body =
                R"({"failures":{"count":1,"errors":[{"time":"2000000000","object":"ais://b/p","status":504,"text":"late","request_id":"r2"}]}})"});
    json_ptr tree = tree_of(role_ask(w, "GET /v1/etl/my-etl/errors"));
    test_eq_text(json_text(tree.get(), "id"), "my-etl");
    test_eq(json_u64(tree.get(), "count", 0), 6);
    std::string all;
    const cJSON *one = nullptr;
    cJSON_ArrayForEach(one, json_get(tree.get(), "errors"))
        all += std::string(json_text(one, "time")) + " " + std::string(json_text(one, "target_id")) + " " +
               std::string(json_text(one, "object")) + " " + std::to_string(json_u64(one, "status", 0)) +
               (json_bool(one, "cut", false) ? " cut\n" : "\n");
    test_eq_text(all, "1970-01-01T00:00:01Z target-01 ais://b/o 502 cut\n1970-01-01T00:00:02Z target-02 ais://b/p 504\n"
                      "1970-01-01T00:00:03Z target-01 ais://b/o 500\n");
    test_eq_text(json_print(json_get(tree.get(), "missing")), "[]");

    // As AIStore's clients read them: each object once, with its last failure.
    tree = tree_of(role_ask(w, "GET /v1/etl/my-etl"));
    test_eq(json_u64(tree.get(), "errors", 0), 6);
    test_eq_text(json_print(json_get(tree.get(), "obj_errors")),
        R"([{"obj_name":"ais://b/p","msg":"late","ecode":504},{"obj_name":"ais://b/o","msg":"no memory","ecode":500}])");
    tree = tree_of(role_ask(w, "GET /v1/etl/my-etl?uuid=another-job"));
    test_eq_text(json_print(json_get(tree.get(), "obj_errors")), "[]");

    role_script(other, {.match = "GET /v1/node/etl/my-etl?failures=true", .status = 404}); // it has no such ETL, so nothing failed there
    tree = tree_of(role_ask(w, "GET /v1/etl/my-etl/errors"));
    test_eq_text(json_print(json_get(tree.get(), "missing")), "[]");
    role_script(other, {.match = "GET /v1/node/etl/my-etl?failures=true", .status = 500});
    tree = tree_of(role_ask(w, "GET /v1/etl/my-etl/errors"));
    test_eq_text(json_print(json_get(tree.get(), "missing")), "[\"target-02\"]");
    test_eq(json_u64(tree.get(), "count", 0), 5);
}

static void logs_come_from_every_target_or_one(void **state)
{
    role_world &w = role_of(state);
    scripted_node &other = role_add_target(w, "target-02");
    role_script(*w.peers[role_target_id], {.match = "GET /v1/node/etl/my-etl/logs", .body = "one\n"});
    role_script(other, {.match = "GET /v1/node/etl/my-etl/logs", .status = 404, .body = R"({"message":"it has no pod"})"});
    std::string first = R"({"target_id":"target-01","logs":"b25lCg=="})";
    std::string second = R"({"target_id":"target-02","logs":"","error":"target target-02: it has no pod"})";
    test_eq_text(role_ask(w, "GET /v1/etl/my-etl/logs").answer.body, "[" + first + "," + second + "]");
    test_eq_text(role_ask(w, "GET /v1/etl/logs/my-etl").answer.body, "[" + first + "," + second + "]");
    test_eq_text(role_ask(w, "GET /v1/etl/my-etl/logs/target-01?since=5").answer.body, "[" + first + "]");
    test_eq_text(scripted_last(*w.peers[role_target_id], "GET").second, "/v1/node/etl/my-etl/logs?since=5");
    role_expect(w, "GET /v1/etl/my-etl/logs/target-02", {}, 404, "target target-02: it has no pod");
}

// Its pods are gone, but the reason contains their last log lines.
static void logs_of_a_failed_start_are_its_reason(void **state)
{
    role_world &w = role_of(state);
    scripted_node &target = *w.peers[role_target_id];
    role_script(target, {.match = "GET /v1/node/etl/failed-etl/start",
                            .status = 400,
                            .body = R"({"code":"etl_init_failed","message":"step ready: gone"})"});
    role_script(target, {.match = "GET /v1/node/etl/failed-etl/", .status = 404});
    role_script(target, {.match = "GET /v1/node/etl/failed-etl/start",
                            .status = 400,
                            .body = R"({"code":"etl_init_failed","message":"step ready: gone"})"});
    role_script(target, {.match = "GET /v1/node/etl/failed-etl/gone", .status = 204});
    role_expect(w, "PUT /v1/etl", R"({"name":"failed-etl","runtime":{"image":"i"}})", 400, "step ready: gone");
    test_eq_text(role_ask(w, "GET /v1/etl/failed-etl/logs").answer.body,
        R"([{"target_id":"target-01","logs":")" + base64_encode("target target-01: step ready: gone\n") + "\"}]");
}

static void stop_keeps_it_and_removal_does_not(void **state)
{
    role_world &w = role_of(state);
    scripted_node &target = *w.peers[role_target_id];
    role_expect(w, "POST /v1/etl/my-etl/stop", "", 200);
    test_eq(scripted_count(target, "GET /v1/node/etl/my-etl/gone?version="), 1);
    test_eq_enum(proxy_document(*w.p).etls[0].stage, etl_stage::aborted);
    role_expect(w, "POST /v1/etl/my-etl/start", "", 200, "etl-");
    test_eq_enum(proxy_document(*w.p).etls[0].stage, etl_stage::running);

    // A late target is reported; the ETL is removed nevertheless.
    role_script(target, {.match = "GET /v1/node/etl/my-etl/gone", .status = 500, .body = R"({"message":"kubectl hangs"})"});
    const scripted_call &late = role_ask(w, "DELETE /v1/etl/my-etl");
    role_check(late, "DELETE", 202, "stopped; pods are still being removed:\ntarget target-01: kubectl hangs\n");
    test_true(proxy_document(*w.p).etls.empty());
    role_expect(w, "DELETE /v1/etl/my-etl", {}, 404, "etl job my-etl does not exist");
    role_expect(w, "PUT /v1/etl", message, 200, "etl-");
    role_wait_silent(w, target);
    role_expect(w, "DELETE /v1/etl/stop/my-etl", {}, 202, "target target-01 is silent");
    test_true(proxy_document(*w.p).etls.empty());
}

static void a_change_that_cannot_be_stored_is_none(void **state)
{
    role_world &w = role_of(state);
    role_fail_disk(w, memory_op::meta_swap, error_code::no_space);
    role_expect(w, "DELETE /v1/etl/my-etl", {}, 507, "no space left on device");
    test_eq(proxy_document(*w.p).etls.size(), 1);
    test_eq(scripted_count(*w.peers[role_target_id], "GET /v1/node/etl/my-etl/gone"), 0);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bad_input_is_refused, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_list_adds_up_what_targets_say, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_cluster_without_etls_has_empty_lists, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(one_is_shown_with_its_pods, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(health_and_phase_say_what_a_target_says, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(failed_reads_are_gathered_in_order_of_time, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(logs_come_from_every_target_or_one, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(logs_of_a_failed_start_are_its_reason, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(stop_keeps_it_and_removal_does_not, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_change_that_cannot_be_stored_is_none, set_up, role_tear_down),
    };
    return role_main(tests);
}
