// SPDX-License-Identifier: MIT
// Starts of ETLs at the proxy: what is refused at once, what targets are asked, and what the caller gets.
#include "role_world.h"

#include "document_spec.h"

using namespace etlnode;

static constexpr const char *message = R"({"name":"my-etl","init_timeout":"10s","runtime":{"image":"image:v1"}})";
static constexpr const char *start_path = "GET /v1/node/etl/my-etl/start?";
static constexpr const char *gone_path = "GET /v1/node/etl/my-etl/gone?";

static std::string stage_of(role_world &w, std::string_view id)
{
    const cluster_etl *etl = document_find_etl(proxy_document(*w.p), id);
    return etl != nullptr ? std::string(etl_stage_names[static_cast<size_t>(etl->stage)]) : "none";
}

static int set_up(void **state)
{
    role_set_up_cluster(state);
    role_world &w = role_of(state);
    scripted_node &target = *w.peers[role_target_id];
    target.rows.push_back({.match = start_path, .body = R"({"target_id":"target-01","warnings":[]})"});
    target.rows.push_back({.match = gone_path, .status = 204});
    return 0;
}

static void bad_input_is_refused(void **state)
{
    role_world &w = role_of(state);
    const role_case cases[] = {
        {"PUT /v1/etl", "", 400, "invalid ETL spec: "},
        {"PUT /v1/etl", "[]", 400, "invalid ETL spec: line 1, column 1: the message is a list"},
        {"PUT /v1/etl", R"({"name":"my-etl"})", 400, "neither runtime nor spec is given"},
        {"PUT /v1/etl", R"({"name":"My","runtime":{"image":"i"}})", 400, "name is \"My\""},
        {"PUT /v1/etl", R"({"name":"_object","runtime":{"image":"i"}})", 400, "name is \"_object\""},
        {"PUT /v1/etl", R"({"name":"my-etl","runtime":{"image":"i"},"spec":"eA=="})", 400, "both runtime and spec are given"},
        {"PUT /v1/etl", R"({"name":"my-etl","spec":"!"})", 400, "spec is not base64"},
        {"PUT /v1/etl", R"({"name":"my-etl","runtime":{"image":"i"},"communication":"ftp://"})", 400, "communication"},
        {"PUT /v1/etl?dry_run=maybe", message, 400, "dry_run=maybe: write true or false"},
        {"PUT /v1/etl?dryrun=true", message, 400, "unknown parameter \"dryrun\": did you mean dry_run?"},
        {"PUT /v1/etl?dry_run=1&dry_run=false", message, 400, "dry_run is given twice, with different values"},
        {"POST /v1/etl/init", "", 400, "invalid ETL spec: "},
        {"POST /v1/etl/init", "kind: Service", 400, "invalid ETL spec: "},
        {"POST /v1/etl/build", "{}", 501, "POST /v1/etl/build is not implemented"},
        {"POST /v1/etl/none/start", "", 404, "etl job none does not exist (there are none)"},
        {"POST /v1/etl/a%2/start", "", 400, "the ETL id in the path is not properly percent-encoded"},
    };
    role_check_cases(w, cases);
    test_eq(scripted_count(*w.peers[role_target_id], "GET"), 0); // nothing was started
}

static void a_trial_starts_nothing(void **state)
{
    role_world &w = role_of(state);
    uint64_t version = proxy_document(*w.p).version;
    const scripted_call &call = role_ask(w, "PUT /v1/etl?dry_run=true", message);
    role_check(call, "dry run", 200, "\"image\":\"image:v1\"");
    test_eq_text(sim_header(call.answer, "content-type"), "application/json");
    test_eq(proxy_document(*w.p).version, version);
    test_eq(scripted_count(*w.peers[role_target_id], "GET"), 0);
    role_expect(w, "PUT /v1/etl?dry_run=false", message, 200, "etl-");
    role_expect(w, "PUT /v1/etl?dry_run=true", message, 409, "etl job my-etl already exists");
}

static void a_start_is_stored_asked_about_and_answered(void **state)
{
    role_world &w = role_of(state);
    scripted_node &target = *w.peers[role_target_id];
    role_script(target, {.match = start_path, .body = "{\"warnings\":[\"first\",\"of two\\nlines\",\"first\"]}"});
    const scripted_call &call = role_ask(w, "PUT /v1/etl", message, "X-Request-Id: mine\r\n");
    role_check(call, "PUT /v1/etl", 200, "etl-");
    test_eq(call.answer.body.size(), 14);
    std::string warnings;
    for (const auto &[name, value] : call.answer.headers)
        warnings += name == "etlnode-warning" ? value + "|" : "";
    test_eq_text(warnings, "first|of two lines|");

    const sim_message &asked = scripted_last(target, start_path);
    const cluster_etl *etl = document_find_etl(proxy_document(*w.p), "my-etl");
    test_eq_text(stage_of(w, "my-etl"), "Running");
    test_true(etl->started_ns > 0);
    test_eq(etl->secret.size(), 24);
    test_has_text(asked.second, "?generation=" + etl->generation_id + "&wait_timeout_ms=7500&version="); // a quarter is kept for the answer
    test_eq_text(sim_header(asked, "etlnode-cluster-secret"), role_secret);
    test_eq_text(sim_header(asked, "x-request-id"), "mine");

    // The targets first had the document with Initializing.
    bool was_initializing = false;
    for (const sim_message &one : target.asked)
        was_initializing = was_initializing || one.body.find("\"stage\":\"Initializing\"") != std::string::npos;
    test_true(was_initializing);
    role_expect(w, "PUT /v1/etl", message, 409, "etl job my-etl already exists");
    role_expect(w, "POST /v1/etl/my-etl/start", "", 400, "invalid action \"can't start ETL[my-etl] during Running stage\"");
}

static void a_start_of_2020_is_answered_with_its_id(void **state)
{
    role_world &w = role_of(state);
    scripted_node &target = *w.peers[role_target_id];
    role_script(target, {.match = "GET /v1/node/etl/", .body = "{}"});
    const scripted_call &call = role_ask(w, "POST /v1/etl/init", document_spec);
    role_check(call, "POST /v1/etl/init", 200, "");
    const std::string &id = call.answer.body;
    test_eq(id.size(), 10);
    test_eq_text(stage_of(w, id), "Running");
    test_has_text(scripted_last(target, "GET").second, "/v1/node/etl/" + id + "/start?");
    test_has_text(scripted_last(target, "GET").second, "&wait_timeout_ms=60000&"); // nothing is reserved, because these clients wait
    role_expect(w, "GET /v1/etl/list", {}, 200, "\"name\":\"transformer-md5\"");

    role_check(role_ask(w, "POST /v1/etl/init", document_spec), "another of that name", 200, "");
    role_expect(
        w, "GET /v1/etl/transformer-md5", {}, 404, "etl job transformer-md5 does not exist: 2 ETLs have that name, use the id of one");

    // A failed start is forgotten, because nobody knows its id.
    role_script(target,
        {.match = "GET /v1/node/etl/", .status = 400, .body = R"({"code":"etl_init_failed","message":"step create: quota"})", .times = 1});
    role_expect(w, "POST /v1/etl/init", document_spec, 400, "target target-01: step create: quota");
    test_eq(proxy_document(*w.p).etls.size(), 2);
}

static void a_failed_start_is_ended_and_kept_with_its_reason(void **state)
{
    role_world &w = role_of(state);
    scripted_node &target = *w.peers[role_target_id];
    struct reported {
        int status;
        const char *body;
        int expected;
        const char *says;
    };
    const reported rows[] = {
        {400, R"({"code":"etl_init_failed","message":"target target-01: step create: no such image"})", 400,
            "target target-01: step create: no such image"},
        {404, "", 400, "target target-01: status 404"}, // a client would take these for transient errors
        {504, "", 400, "target target-01: status 504"},
        {503, "", 503, "target target-01: status 503"},
        {400, R"({"code":"etl_init_failed","message":"step ready: not Ready within wait_timeout"})", 400,
            "(init_timeout is 10s: the last 2.5s of it are kept for this answer)"},
    };
    size_t gone = 0;
    for (const reported &one : rows) {
        role_script(target, {.match = start_path, .status = one.status, .body = one.body, .times = 1});
        role_expect(w, "PUT /v1/etl", message, one.expected, one.says);
        test_eq_text(stage_of(w, "my-etl"), "Aborted");
        test_has_text(document_find_etl(proxy_document(*w.p), "my-etl")->last_error, one.says);
        test_eq(scripted_count(target, gone_path), ++gone); // the answer waits for its pods
    }
    // It can be started again, from the kept spec or with a new one.
    role_expect(w, "POST /v1/etl/my-etl/start", "", 200, "etl-");
    test_eq_text(stage_of(w, "my-etl"), "Running");
}

static void pods_that_stay_are_reported(void **state)
{
    role_world &w = role_of(state);
    scripted_node &target = *w.peers[role_target_id];
    role_script(target, {.match = gone_path, .status = 400, .body = R"({"code":"etl_init_failed","message":"step delete: it hangs"})"});
    role_script(target, {.match = start_path, .status = 400, .body = R"({"code":"etl_init_failed","message":"step create: quota"})"});
    role_expect(w, "PUT /v1/etl", message, 400,
        "target target-01: step create: quota\nIts pod is not removed yet; the target goes on trying: target target-01: step delete: it "
        "hangs");
}

static void one_target_that_fails_ends_the_start_on_all(void **state)
{
    role_world &w = role_of(state);
    scripted_node &other = role_add_target(w, "target-02");
    role_script(other, {.match = start_path, .status = 400, .body = R"({"code":"etl_init_failed","message":"step create: quota"})"});
    other.rows.push_back({.match = gone_path, .status = 204});
    scripted_node &target = *w.peers[role_target_id];
    role_script(target, {.match = start_path, .is_held = true});
    role_expect(w, "PUT /v1/etl", message, 400, "target target-02: step create: quota");
    test_eq(target.hung_up, 1); // so it knows that the caller is gone
    test_eq(scripted_count(target, gone_path) + scripted_count(other, gone_path), 2);
}

static void a_caller_that_hangs_up_ends_its_start(void **state)
{
    role_world &w = role_of(state);
    scripted_node &target = *w.peers[role_target_id];
    role_script(target, {.match = start_path, .is_held = true});
    scripted_call &call = role_begin(w, "PUT /v1/etl", message);
    test_true(scripted_until(*w.sim, [&] { return scripted_held(target) == 1; }));
    test_eq_text(stage_of(w, "my-etl"), "Initializing");
    role_expect(w, "PUT /v1/etl", message, 409, "etl job my-etl already exists: it is being started");
    role_expect(w, "POST /v1/etl/my-etl/start", "", 400, "can't start ETL[my-etl] during Initializing stage");
    scripted_hang_up(call);
    test_true(scripted_until(*w.sim, [&] { return w.p->starts.empty(); }));
    test_eq(target.hung_up, 1);
    test_eq_text(stage_of(w, "my-etl"), "none");
    test_eq(w.p->counts.etl_init_failures, 1);
}

static void no_start_where_a_target_is_missing(void **state)
{
    role_world &w = role_of(state);
    role_expect(w, "PUT /v1/etl", message, 503, "no targets are registered: an ETL needs at least one");
    role_expect(w, "POST /v1/etl/init", document_spec, 503, "no targets are registered");
    scripted_node &target = role_add_target(w, role_target_id);
    role_wait_silent(w, target);
    role_expect(w, "PUT /v1/etl", message, 503, "target target-01 is silent: an ETL starts on all targets or on none");
    scripted_listen(target);
    role_check(role_register(w, target), "register", 204, "");
    role_script(target, {.match = "PUT /v1/node/document", .status = 409, .body = R"({"code":"diverged","message":"two copies"})"});
    role_make_bucket(w, "b");
    role_expect(w, "PUT /v1/etl", message, 409, "two copies");
}

// If the document could not be stored, nothing was started.
static void a_start_that_cannot_be_stored_fails(void **state)
{
    role_world &w = role_of(state);
    role_fail_disk(w, memory_op::meta_swap, error_code::no_space);
    role_expect(w, "PUT /v1/etl", message, 507, "no space left on device");
    test_eq_text(stage_of(w, "my-etl"), "none");
    test_eq(scripted_count(*w.peers[role_target_id], start_path), 0);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bad_input_is_refused, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_trial_starts_nothing, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_start_is_stored_asked_about_and_answered, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_start_of_2020_is_answered_with_its_id, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_failed_start_is_ended_and_kept_with_its_reason, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(pods_that_stay_are_reported, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(one_target_that_fails_ends_the_start_on_all, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(a_caller_that_hangs_up_ends_its_start, set_up, role_tear_down),
        cmocka_unit_test_setup_teardown(no_start_where_a_target_is_missing, role_set_up_proxy, role_tear_down),
        cmocka_unit_test_setup_teardown(a_start_that_cannot_be_stored_fails, set_up, role_tear_down),
    };
    return role_main(tests);
}
