// SPDX-License-Identifier: MIT
// The proxy's buckets: created, listed, described and destroyed, and pages of objects from all targets.
#include "role_world.h"

#include "aistore/list_page.h"
#include "base/limits.h"

using namespace etlnode;

static constexpr const char *create = R"({"action":"create-bck"})";
static constexpr const char *destroy = R"({"action":"destroy-bck"})";
static constexpr const char *list = R"({"action":"list"})";

static void bad_input_is_refused(void **state)
{
    role_world &w = role_of(state);
    role_make_bucket(w, "known");
    const role_case cases[] = {
        {"POST /v1/buckets/a%2", create, 400, "the bucket name in the path is not properly percent-encoded: a%2"},
        {"POST /v1/buckets/a%00b", create, 400, "the bucket name in the path has a NUL byte (%00)"},
        {"POST /v1/buckets/a%20b", create, 400, "invalid bucket name \"a b\": the bucket name may contain only letters"},
        {"POST /v1/buckets/.b", create, 400, "bucket names that start with a dot (.) are reserved"},
        {"POST /v1/buckets/a..b", create, 400, "contains two dots in a row"},
        {"POST /v1/buckets/b", "", 400, "unknown action \"\"; expected \"create-bck\""},
        {"POST /v1/buckets/b", "{}", 400, "unknown action \"\"; expected \"create-bck\""},
        {"POST /v1/buckets/b", destroy, 400, "unknown action \"destroy-bck\"; expected \"create-bck\", \"copy-bck\", \"etl-bck\", "},
        {"POST /v1/buckets/b", "[1]", 400, "it is not an object"},
        {"POST /v1/buckets/b", "{\"action\":", 400, "the request body must be {\"action\":...,\"name\":...,\"value\":...}: line 1"},
        {"POST /v1/buckets/b", R"({"action":"ec-encode"})", 501, "action \"ec-encode\" is not implemented"},
        {"POST /v1/buckets/b", R"({"action":"copy-bck"})", 404, "bucket \"ais://b\" does not exist (there is: known)"},
        {"POST /v1/buckets/known", R"({"action":"copy-bck"})", 503, "the cluster has no targets"},
        {"POST /v1/buckets/b", R"({"action":"create-bck","value":{"mirror":{"enabled":true}}})", 501, "mirror.enabled cannot be true"},
        {"POST /v1/buckets/b", R"({"action":"create-bck","value":3})", 400, "value: expected an object of properties"},
        {"POST /v1/buckets/b?provider=aws", create, 501, "provider \"aws\" is not supported"},
        {"POST /v1/buckets/b?provider=nobody", create, 400, "unknown provider \"nobody\"; known here: ais"},
        {"POST /v1/buckets/b?provider=ais&provider=aws", create, 400, "provider is given twice"},
        {"POST /v1/buckets/b?namespace=mine", create, 501, "namespace \"mine\" is not supported"},
        {"POST /v1/buckets/known", create, 409, "bucket \"ais://known\" already exists"},
        {"DELETE /v1/buckets/knwon", destroy, 404, "bucket \"ais://knwon\" does not exist (did you mean \"known\"?)"},
        {"DELETE /v1/buckets/known", create, 400, "expected \"destroy-bck\", \"delete-listrange\""},
        {"DELETE /v1/buckets/known?provider=s3", destroy, 404, "failed to lookup bucket s3://known, err: AWS backend is missing"},
        {"DELETE /v1/buckets/a%2", destroy, 400, "not properly percent-encoded"},
        {"HEAD /v1/buckets/other", nullptr, 404, "bucket \"ais://other\" does not exist (there is: known)"},
        {"HEAD /v1/buckets/a..b", nullptr, 400, "contains two dots in a row"},
        {"GET /v1/buckets?provider=nobody", list, 400, "unknown provider \"nobody\""},
        {"GET /v1/buckets", create, 400, "unknown action \"create-bck\"; expected \"list\""},
        {"GET /v1/buckets", "nonsense", 400, "the request body must be"},
        {"PATCH /v1/buckets/known", "{}", 400, "unknown action \"\"; expected \"set-bprops\""},
        {"PATCH /v1/buckets/other", R"({"action":"set-bprops"})", 404, "bucket \"ais://other\" does not exist"},
        {"PUT /v1/buckets/known", create, 400, "unknown action \"create-bck\": expected archive"},
        {"GET /v1/buckets/known/more", list, 400, "too many path items: a bucket's path is /v1/buckets/<bucket>"},
        {"DELETE /v1/buckets", nullptr, 405, "method DELETE is not allowed for /v1/buckets; allowed: GET"},
    };
    role_check_cases(w, cases);
}

static std::string names_of(role_world &w, std::string_view line = "GET /v1/buckets", std::string_view body = list)
{
    const scripted_call &call = role_ask(w, line, body);
    test_eq(call.status(), 200);
    json_ptr tree;
    std::string where, names;
    test_ok(json_parse(call.answer.body, tree, where));
    const cJSON *one = nullptr;
    cJSON_ArrayForEach(one, tree.get())
    {
        names += std::string(json_text(one, "name")) + " ";
        test_eq_text(json_text(one, "provider"), "ais");
        test_eq_text(json_text(json_get(one, "namespace"), "name"), "");
    }
    return names;
}

static void a_bucket_is_made_listed_and_destroyed(void **state)
{
    role_world &w = role_of(state);
    scripted_node &target = *w.peers[role_target_id];
    test_eq_text(names_of(w), "");
    size_t pushes = scripted_count(target, "PUT /v1/node/document");
    role_make_bucket(w, "two");
    test_eq(scripted_count(target, "PUT /v1/node/document"), pushes + 1); // before the client got its answer
    test_has_text(scripted_last(target, "PUT /v1/node/document").body, "\"name\":\"two\"");
    test_eq_text(sim_header(scripted_last(target, "PUT /v1/node/document"), "etlnode-cluster-secret"), role_secret);
    role_expect(w, "POST /v1/buckets/one", R"({"action":"create-bck","value":{}})", 200);
    role_expect(w, "POST /v1/buckets/three", R"({"action":"create-bck","value":null})", 200);
    test_eq_text(names_of(w), "one three two ");
    test_eq_text(names_of(w, "GET /v1/buckets", ""), "one three two ");
    test_eq_text(names_of(w, "GET /v1/buckets", R"({"action":"list","name":"two"})"), "two ");
    test_eq_text(names_of(w, "GET /v1/buckets?provider=ais"), "one three two ");
    test_eq_text(names_of(w, "GET /v1/buckets?provider=gs"), ""); // known, but it has no buckets here

    const scripted_call &head = role_ask(w, "HEAD /v1/buckets/one");
    test_eq(head.status(), 200);
    test_has_text(sim_header(head.answer, "ais-bucket-props"), "\"provider\":\"ais\"");

    role_expect(w, "DELETE /v1/buckets/one", destroy, 200);
    test_eq(scripted_count(target, "DELETE /v1/node/bucket/one"), 1);
    cluster_document pushed;
    test_ok(document_parse(scripted_last(target, "PUT /v1/node/document").body, pushed));
    test_true(document_find_bucket(pushed, "one") == nullptr);
    test_eq_text(pushed.destroyed.at(0).name, "one"); // without this, targets would keep its objects
    test_eq_text(names_of(w), "three two ");
    role_expect(w, "DELETE /v1/buckets/one", destroy, 404, "does not exist");
}

// A target that cannot be reached drops the objects when it gets the document.
static void a_target_that_refuses_does_not_keep_a_bucket(void **state)
{
    role_world &w = role_of(state);
    role_make_bucket(w, "b");
    role_script(*w.peers[role_target_id], {.match = "DELETE /v1/node/bucket/b", .status = 500});
    role_expect(w, "DELETE /v1/buckets/b", destroy, 200);
    test_eq_text(names_of(w), "");
}

// The answer waits for the targets, but only for a limited time.
static void a_target_that_does_not_take_the_document_is_not_waited_for(void **state)
{
    role_world &w = role_of(state);
    role_script(*w.peers[role_target_id], {.match = "PUT /v1/node/document", .is_held = true, .times = 1});
    uint64_t before_us = w.sim->now_us;
    role_make_bucket(w, "b");
    uint64_t took_ms = (w.sim->now_us - before_us) / 1'000;
    if (took_ms + 1 < push_wait_ms || took_ms >= push_wait_ms + 500)
        test_fail("it took %llu ms", static_cast<unsigned long long>(took_ms));
    // It might know an older bucket with that name, so objects wait until it has the document.
    const scripted_call &call = role_ask(w, "GET /v1/objects/b/o");
    role_check(call, "GET", 503, "target target-01 does not know this bucket yet");
    test_eq_text(sim_header(call.answer, "retry-after"), "1");
}

static void nothing_changes_where_documents_have_diverged(void **state)
{
    role_world &w = role_of(state);
    role_make_bucket(w, "b");
    scripted_node &target = *w.peers[role_target_id];
    role_script(target,
        {.match = "PUT /v1/node/document", .status = 409, .body = R"({"code":"diverged","message":"target target-01 holds another one"})"});
    role_expect(w, "POST /v1/buckets/c", create, 200); // this one's push shows it
    const role_case cases[] = {
        {"POST /v1/buckets/d", create, 409, "target target-01 holds another one"},
        {"DELETE /v1/buckets/b", destroy, 409, "target target-01 holds another one"},
    };
    role_check_cases(w, cases);
}

// --- pages

static std::string page_of(std::span<const char *const> names, const std::string &token = {})
{
    list_page page;
    for (const char *name : names) {
        list_entry entry;
        entry.name = name;
        entry.size = 3;
        entry.checksum = "0123456789abcdef";
        entry.flags = list_flag_cached;
        page.entries.push_back(entry);
    }
    page.token = token;
    return list_page_msgpack(page);
}

static void a_page_is_merged_from_all_targets(void **state)
{
    role_world &w = role_of(state);
    role_add_target(w, "target-02");
    role_make_bucket(w, "b");
    static constexpr const char *of_one[] = {"a", "c"};
    static constexpr const char *of_two[] = {"b", "d"};
    role_script(*w.peers[role_target_id], {.match = "GET /v1/node/bucket/b?", .body = page_of(of_one)});
    role_script(*w.peers["target-02"], {.match = "GET /v1/node/bucket/b?", .body = page_of(of_two)});

    const scripted_call &call = role_ask(
        w, "GET /v1/buckets/b", R"({"action":"list","value":{"prefix":"p/","pagesize":3,"start_after":"A&b","uuid":"mine"}})");
    test_eq(call.status(), 200);
    test_eq_text(sim_header(call.answer, "content-type"), "application/json; charset=utf-8");
    json_ptr tree;
    std::string where, names;
    test_ok(json_parse(call.answer.body, tree, where));
    const cJSON *one = nullptr;
    cJSON_ArrayForEach(one, json_get(tree.get(), "entries")) names += std::string(json_text(one, "name")) + " ";
    test_eq_text(names, "a b c ");
    test_eq_text(json_text(tree.get(), "uuid"), "mine");
    test_eq_text(json_text(tree.get(), "continuation_token"), "c");
    test_eq_text(scripted_last(*w.peers["target-02"], "GET").second, "/v1/node/bucket/b?count=3&prefix=p%2F&after=A%26b&epoch=3");

    // A single level, and one target's objects only.
    (void)role_ask(w, "GET /v1/buckets/b", R"({"action":"list","value":{"flags":"2048"}})");
    test_eq_text(scripted_last(*w.peers["target-02"], "GET").second, "/v1/node/bucket/b?count=10000&prefix=&after=&flat=dirs&epoch=3");
    size_t asked = scripted_count(*w.peers["target-02"], "GET");
    role_expect(w, "GET /v1/buckets/b", R"({"value":{"target":"target-01"}})", 200, "\"a\"");
    test_eq(scripted_count(*w.peers["target-02"], "GET"), asked);
}

static void a_page_is_msgpack_for_who_accepts_it(void **state)
{
    role_world &w = role_of(state);
    role_make_bucket(w, "b");
    static constexpr const char *names[] = {"a"};
    role_script(*w.peers[role_target_id], {.match = "GET /v1/node/bucket/b?", .body = page_of(names)});
    const scripted_call &call = role_ask(w, "GET /v1/buckets/b", list, "Accept: application/msgpack\r\n");
    test_eq(call.status(), 200);
    test_eq_text(sim_header(call.answer, "content-type"), "application/msgpack");
    list_page page;
    test_ok(list_page_parse_msgpack(call.answer.body, page));
    test_eq(page.entries.size(), 1);
    test_eq_text(page.entries[0].name, "a");
    test_eq_text(page.entries[0].checksum, ""); // not requested
    test_eq(page.entries[0].size, 3);
    test_eq(page.uuid.size(), 10);
    test_eq_text(page.token, "");
}

static void a_page_that_would_not_be_complete_is_refused(void **state)
{
    role_world &w = role_of(state);
    role_make_bucket(w, "b");
    scripted_node &target = *w.peers[role_target_id];
    const role_case asked_wrongly[] = {
        {"GET /v1/buckets/other", list, 404, "bucket \"ais://other\" does not exist (there is: b)"},
        {"GET /v1/buckets/b", create, 400, "expected \"list\""},
        {"GET /v1/buckets/b", "[", 400, "the request body must be"},
        {"GET /v1/buckets/b", R"({"value":{"flags":"x"}})", 400, "flags must be a decimal number in a string"},
        {"GET /v1/buckets/b", R"({"value":{"flags":-1}})", 400, "flags must be a decimal number in a string"},
        {"GET /v1/buckets/b", R"({"value":{"flags":[]}})", 400, "flags must be a decimal number in a string"},
        {"GET /v1/buckets/b", R"({"value":{"pagesize":"many"}})", 400, "value.pagesize: expected a whole number"},
        {"GET /v1/buckets/b", R"({"value":{"pagesize":-1}})", 400, "value.pagesize: expected a whole number"},
        {"GET /v1/buckets/b", R"({"value":{"prefix":7}})", 400, "value.prefix: expected a text"},
        {"GET /v1/buckets/b", R"({"value":"p/"})", 400, "value: expected an object"},
        {"GET /v1/buckets/b", R"({"action":"summary-bck","value":{"uuid":7}})", 400, "value.uuid: expected a text"},
        {"GET /v1/buckets", R"({"action":"list","name":7})", 400, "name: expected a text"},
        {"GET /v1/buckets/b", R"({"value":{"target":"nobody"}})", 404, "there is no target \"nobody\""},
        {"GET /v1/buckets/b?provider=gs", list, 404, "GCP backend is missing"},
        {"GET /v1/buckets/a..b", list, 400, "two dots"},
    };
    role_check_cases(w, asked_wrongly);
    struct reported {
        int status;
        const char *body;
        int expected;
        const char *says;
    };
    const reported answers[] = {
        {503, R"({"code":"not_ready","message":"the target is not ready"})", 503, "target target-01: the target is not ready"},
        {404, R"({"code":"bucket_not_found","message":"bucket \"ais://b\" does not exist on target target-01"})", 404,
            "does not exist on target target-01"},
        {500, "", 500, "target target-01: status 500"},
        {200, "no msgpack", 500, "target target-01 answered with a page that cannot be read"},
    };
    for (const reported &one : answers) {
        role_script(target, {.match = "GET /v1/node/bucket/b?", .status = one.status, .body = one.body, .times = 1});
        role_expect(w, "GET /v1/buckets/b", list, one.expected, one.says);
    }
    role_wait_silent(w, target);
    role_expect(w, "GET /v1/buckets/b", list, 503, "the list would not be complete: target target-01 is silent");
}

// A target in maintenance holds nothing that GET would find, so lists omit it.
static void a_cluster_without_targets_has_empty_pages(void **state)
{
    role_world &w = role_of(state);
    role_make_bucket(w, "b");
    role_expect(w, "GET /v1/buckets/b", list, 200, "\"entries\"");
    role_expect(w, "GET /v1/objects/b/o", {}, 503, "no target is registered");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bad_input_is_refused, role_set_up_proxy, role_tear_down),
        cmocka_unit_test_setup_teardown(a_bucket_is_made_listed_and_destroyed, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(a_target_that_refuses_does_not_keep_a_bucket, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(a_target_that_does_not_take_the_document_is_not_waited_for, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(nothing_changes_where_documents_have_diverged, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(a_page_is_merged_from_all_targets, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(a_page_is_msgpack_for_who_accepts_it, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(a_page_that_would_not_be_complete_is_refused, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(a_cluster_without_targets_has_empty_pages, role_set_up_proxy, role_tear_down),
    };
    return role_main(tests);
}
