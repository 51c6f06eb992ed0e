// SPDX-License-Identifier: MIT
// Requests for objects at the proxy: redirected with path and query byte for byte, or refused by the head alone.
#include "role_world.h"

#include "base/limits.h"

using namespace etlnode;

static std::string location_of(role_world &w, std::string_view line, int status)
{
    const scripted_call &call = role_ask(w, line);
    role_check(call, line, status, "");
    test_eq_text(call.answer.body, "");
    return sim_header(call.answer, "location");
}

static void every_method_is_redirected_to_the_objects_target(void **state)
{
    role_world &w = role_of(state);
    role_make_bucket(w, "b");
    struct redirect {
        const char *method;
        int status;
    };
    const redirect rows[] = {{"GET", 301}, {"HEAD", 307}, {"PUT", 307}, {"DELETE", 307}, {"POST", 307}, {"PATCH", 307}};
    for (const redirect &row : rows) {
        std::string line = std::string(row.method) + " /v1/objects/b/dir/%41%20o?a=%2f&pid=x";
        std::string place = location_of(w, line, row.status);
        std::string wanted = "http://10.0.0.11:8080/v1/objects/b/dir/%41%20o?a=%2f&pid=x&pid=proxy-01&utm=";
        test_true(place.starts_with(wanted));
        test_eq(place.find_first_not_of("0123456789", wanted.size()), std::string::npos);
    }
    test_true(location_of(w, "GET /v1/objects/b/o", 301).starts_with("http://10.0.0.11:8080/v1/objects/b/o?pid=proxy-01&utm="));
    test_eq_text(sim_header(role_ask(w, "GET /v1/objects/b/o").answer, "cache-control"), "no-store");
    test_eq_text(sim_header(role_ask(w, "HEAD /v1/objects/b/o").answer, "cache-control"), "");
}

// The parts of an upload are at the target that its id names, whoever owns the object.
static void uploads_go_to_the_target_that_has_them(void **state)
{
    role_world &w = role_of(state);
    role_make_bucket(w, "b");
    std::string place = "http://10.0.0.11:8080/v1/objects/b/o?";
    test_true(location_of(w, "PUT /v1/objects/b/o?uploadId=abcdefghi-target-01&partNumber=1", 307).starts_with(place));
    test_true(location_of(w, "PUT /v1/objects/b/o?append_type=append&append_handle=target-01%7Cabcdefghi", 307).starts_with(place));
    test_true(location_of(w, "PUT /v1/objects/b/o?append_type=append&append_handle=", 307).starts_with(place));
    role_expect(
        w, "DELETE /v1/objects/b/o?uploadId=abcdefghi-target-99", {}, 404, "is no longer in the cluster: the upload does not exist");
}

// The proxy need not know a transform: the target reports which ones exist.
static void transforms_are_redirected_too(void **state)
{
    role_world &w = role_of(state);
    role_make_bucket(w, "b");
    test_has_text(location_of(w, "GET /v1/objects/b/o?etl_name=nobody", 301), "?etl_name=nobody&pid=");
    test_has_text(location_of(w, "PUT /v1/objects/b/o?object_to=ais%2F%40%23%2Fb%2Fp&etl_name=e", 307), "&etl_name=e&pid=");
}

static void bad_input_is_refused(void **state)
{
    role_world &w = role_of(state);
    role_make_bucket(w, "b");
    const role_case cases[] = {
        {"GET /v1/objects/b", nullptr, 400, "the path has no object name"},
        {"PUT /v1/objects/b", "", 400, "the path has no object name"},
        {"POST /v1/objects/b", "", 400, "which action? expected promote"},
        {"GET /v1/objects/b%2/o", nullptr, 400, "the bucket name in the path is not properly percent-encoded"},
        {"GET /v1/objects/b/o%zz", nullptr, 400, "the object name in the path is not properly percent-encoded"},
        {"GET /v1/objects/b/o%00", nullptr, 400, "the object name in the path has a NUL byte"},
        {"GET /v1/objects/b!/o", nullptr, 400, "invalid bucket name \"b!\""},
        {"GET /v1/objects/b/%2fo", nullptr, 400, "invalid object name \"/o\": the object name starts with a slash"},
        {"GET /v1/objects/b/a/%2e%2e/o", nullptr, 400, "has a component . or .."},
        {"GET /v1/objects/b/%ff", nullptr, 400, "is not valid UTF-8"},
        {"GET /v1/objects/b/o?provider=aws", nullptr, 404, "failed to lookup bucket s3://b"},
        {"GET /v1/objects/b/o?provider=x", nullptr, 400, "unknown provider"},
        {"GET /v1/objects/b/o?namespace=n", nullptr, 501, "namespace"},
        {"GET /v1/objects/other/o", nullptr, 404, "bucket \"ais://other\" does not exist (there is: b)"},
        {"GET /v1/objects/b/o?uid=x", nullptr, 400, "unknown parameter \"uid\": did you mean uuid?"},
        {"GET /v1/objects/b/o?uuid=", nullptr, 400, "the parameter uuid is empty"},
        {"GET /v1/objects/b/o?uuid=a&etl_name=b", nullptr, 400, "uuid and etl_name name two ETLs"},
        {"GET /v1/objects/b/o?etl_args=x", nullptr, 400, "which ETL is meant?"},
        {"GET /v1/objects/b/o?etl_pipeline=a,b", nullptr, 400, "which ETL comes first?"},
        {"GET /v1/objects/b/o?archmode=prefix", nullptr, 400, "archmode is given without archregx"},
        {"PUT /v1/objects/b/o?etl_name=e", "x", 501, "etl_name= with PUT needs object_to="},
        {"PUT /v1/objects/b/o?object_to=", "", 400, "the parameter object_to is empty"},
        {"PUT /v1/objects/b/o?object_to=b%2Fp", "", 400, "names no object here: expected ais/@#/BUCKET/OBJECT"},
        {"PUT /v1/objects/b/o?object_to=ais%2F%40%23%2Fb..%2Fp", "", 400, "object_to: invalid bucket name"},
        {"PUT /v1/objects/b/o?object_to=ais%2F%40%23%2Fb%2Fp%2F", "", 400, "object_to: invalid object name"},
        {"PUT /v1/objects/b/o?object_to=ais%2F%40%23%2Fc%2Fp", "", 404, "bucket \"ais://c\" does not exist"},
    };
    role_check_cases(w, cases);
}

static void an_object_whose_target_cannot_be_reached_is_nowhere_else(void **state)
{
    role_world &w = role_of(state);
    role_make_bucket(w, "b");
    scripted_node &target = *w.peers[role_target_id];
    role_wait_silent(w, target);
    const scripted_call &silent = role_ask(w, "GET /v1/objects/b/o");
    role_check(silent, "GET", 503, "this object belongs to target target-01: target target-01 is silent");
    test_eq_text(sim_header(silent.answer, "retry-after"), "5");
    role_check(role_ask(w, "PUT /v1/objects/b/o", "x"), "PUT", 503, "target target-01 is silent");

    // It is back, with a document that does not match the proxy's.
    scripted_listen(target);
    role_check(role_register(w, target), "register", 204, "");
    test_has_text(location_of(w, "GET /v1/objects/b/o", 301), "10.0.0.11");
    role_script(target, {.match = "PUT /v1/node/document", .status = 409, .body = R"({"code":"diverged","message":"two copies"})"});
    role_expect(w, "POST /v1/buckets/c", R"({"action":"create-bck"})", 200);
    test_true(scripted_until(*w.sim, [&] { return proxy_target_is_silent(*w.p, role_target_id); }));
    const scripted_call &diverged = role_ask(w, "GET /v1/objects/b/o");
    role_check(diverged, "GET", 409, "this object belongs to target target-01: two copies");
    test_eq_text(sim_header(diverged.answer, "retry-after"), ""); // a retry would not help
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_method_is_redirected_to_the_objects_target, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(uploads_go_to_the_target_that_has_them, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(transforms_are_redirected_too, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(bad_input_is_refused, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(an_object_whose_target_cannot_be_reached_is_nowhere_else, role_set_up_cluster, role_tear_down),
    };
    return role_main(tests);
}
