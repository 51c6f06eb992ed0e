// SPDX-License-Identifier: MIT
// The proxy's requests to a target: the document, its state, pages of a bucket, the removal of a bucket's objects; and access control.
#include "role_world.h"

#include "aistore/list_page.h"

using namespace etlnode;

static void only_nodes_of_the_cluster_may_ask(void **state)
{
    role_world &w = role_of(state);
    for (const char *line : {"GET /v1/node/status", "PUT /v1/node/document", "GET /v1/node/document", "GET /v1/node/etl",
             "GET /v1/node/etl/e", "GET /v1/node/etl/e/start?generation=g&version=1&wait_timeout_ms=1", "GET /v1/node/etl/e/gone?version=1",
             "GET /v1/node/etl/e/logs", "GET /v1/node/bucket/b?count=1", "DELETE /v1/node/bucket/c"}) {
        std::string_view body = std::string_view(line).starts_with("PUT") ? std::string_view("{}") : std::string_view();
        role_check(role_ask(w, line, body), line, 401, "calls between nodes need the header Etlnode-Cluster-Secret");
        role_check(role_ask(w, line, body, role_wrong_secret_header), line, 403, "the cluster secret is wrong");
    }
    role_check(
        role_ask_as_node(w, "GET /v1/node/bucket/b%2?count=1"), "a name", 400, "the name in the path is not properly percent-encoded");
}

static void its_state_is_reported(void **state)
{
    role_world &w = role_of(state);
    role_check(role_ask(w, "PUT /v1/objects/b/o?pid=p&utm=1", "x"), "PUT", 200, "");
    const scripted_call &call = role_ask_as_node(w, "GET /v1/node/status");
    test_eq_text(call.answer.body,
        R"({"id":"target-01","cluster":"CLUSTERuuid1","url":"http://10.0.0.2:8080","document_version":1,"stored_document":"1.1.)"
        R"(1111222233334444.)" +
            text_hex(w.t->stored.digest) + R"(","object_count":1,"ready":true,"started_ns":")" + std::to_string(w.t->started_ns) + "\"}");
}

// --- the document

static void what_is_no_document_is_refused(void **state)
{
    role_world &w = role_of(state);
    struct wrong {
        std::string body;
        int status;
        const char *says;
    };
    cluster_document other = w.document;
    other.uuid = "CLUSTERuuid2";
    other.version = 9;
    const wrong rows[] = {
        {"", 500, "the cluster document cannot be read: "},
        {"{}", 500, "the cluster document cannot be read: cluster document: format is missing"},
        {R"({"format":99})", 409, "the cluster document cannot be read: cluster document: written by a newer version"},
        {document_print(other), 409,
            "this target belongs to cluster CLUSTERuuid1, the document is of cluster CLUSTERuuid2; a target with an empty data directory "
            "can join"},
    };
    for (const wrong &row : rows)
        role_check(role_ask_as_node(w, "PUT /v1/node/document", row.body), row.body, row.status, row.says);
    test_eq(w.t->document.version, 1);
    test_eq_text(w.t->odds, "");
}

static void a_newer_document_counts_and_is_stored(void **state)
{
    role_world &w = role_of(state);
    document_put_bucket(w.document, {.name = "c", .created_ns = 6});
    role_check(role_push(w), "push", 204, "");
    role_expect(w, "GET /v1/objects/c/o", {}, 404, "ais://c/o does not exist");
    test_eq(w.node->now.documents["cluster"].version, 2); // durable before it was acknowledged
    role_check(role_ask_as_node(w, "PUT /v1/node/document", role_document_text(w)), "the same", 204, "");
}

static void an_older_document_and_one_of_another_line_are_refused(void **state)
{
    role_world &w = role_of(state);
    std::string first = document_print(w.document);
    role_check(role_push(w), "push", 204, "");
    role_check(role_ask_as_node(w, "PUT /v1/node/document", first), "older", 409,
        "target target-01 holds version 2 (term 1-11112222) of the cluster document, the proxy version 1 (term 1-11112222): the proxy's "
        "data directory is older");
    test_eq_text(w.t->odds, ""); // it may only have been overtaken

    cluster_document copy = w.document; // continues by itself, in a term of its own
    document_begin_term(w.document, 1);
    role_check(role_push(w), "push", 204, "");
    document_begin_term(copy, 2);
    copy.version = 4;
    role_check(role_ask_as_node(w, "PUT /v1/node/document", document_print(copy)), "diverged", 409,
        "they have diverged, one of the two data directories");
    test_has_text(w.t->odds, "they have diverged");
    role_expect(w, "GET /v1/health?readiness=true", {}, 503, "they have diverged");
    role_check(role_push(w), "push", 204, "");
    test_eq_text(w.t->odds, "");
}

// It is not acknowledged, so the proxy sends it again.
static void a_document_that_cannot_be_stored_is_not_acknowledged(void **state)
{
    role_world &w = role_of(state);
    role_fail_disk(w, memory_op::meta_swap, error_code::no_space);
    role_check(role_push(w), "push", 507, "the cluster document could not be stored: no space left on device");
    role_check(role_ask_as_node(w, "PUT /v1/node/document", role_document_text(w)), "again", 204, "");
    test_eq(w.node->now.documents["cluster"].version, 2);
}

// --- buckets

static void put_object(role_world &w, const char *name)
{
    role_check(role_ask(w, std::string("PUT /v1/objects/b/") + name + "?pid=p&utm=1", "abc"), name, 200, "");
}

static std::string page_of(role_world &w, const std::string &query)
{
    const scripted_call &call = role_ask_as_node(w, "GET /v1/node/bucket/b?" + query);
    test_eq(call.status(), 200);
    test_eq_text(sim_header(call.answer, "content-type"), "application/msgpack");
    list_page page;
    test_ok(list_page_parse_msgpack(call.answer.body, page));
    std::string out;
    for (const list_entry &entry : page.entries)
        out += entry.name + " ";
    return out + (page.token.empty() ? "" : "> " + page.token);
}

static void a_page_holds_what_was_asked_for(void **state)
{
    role_world &w = role_of(state);
    for (const char *name : {"a", "d/1", "d/2", "d/e/3", "d1", "z"})
        put_object(w, name);
    struct asked {
        const char *query, *page;
    };
    const asked rows[] = {
        {"count=10", "a d/1 d/2 d/e/3 d1 z "},
        {"count=2", "a d/1 > d/1"},
        {"count=2&after=d/1", "d/2 d/e/3 > d/e/3"},
        {"count=10&prefix=d", "d/1 d/2 d/e/3 d1 "},
        {"count=10&prefix=d%2F&after=d%2F1", "d/2 d/e/3 "},
        {"count=10&flat=dirs", "a d/ d1 z "},
        {"count=2&flat=dirs", "a d/ > d/"},
        {"count=2&flat=dirs&after=d%2F", "d1 z > z"},
        {"count=10&flat=dirs&prefix=d%2F", "d/1 d/2 d/e/ "},
        {"count=10&prefix=nothing", ""},
    };
    for (const asked &one : rows)
        test_eq_text(page_of(w, one.query), one.page);
    const role_case wrong[] = {
        {"GET /v1/node/bucket/b", nullptr, 400, "count must be 1 to 10000", role_secret_header},
        {"GET /v1/node/bucket/b?count=0", nullptr, 400, "count must be 1 to 10000", role_secret_header},
        {"GET /v1/node/bucket/b?count=10001", nullptr, 400, "count must be 1 to 10000", role_secret_header},
        {"GET /v1/node/bucket/b?count=x", nullptr, 400, "count must be 1 to 10000", role_secret_header},
        {"GET /v1/node/bucket/c?count=1", nullptr, 404, "bucket \"ais://c\" does not exist on target target-01", role_secret_header},
    };
    role_check_cases(w, wrong);
    role_fail_disk(w, memory_op::index_page, error_code::io);
    role_check(role_ask_as_node(w, "GET /v1/node/bucket/b?count=1"), "a disk that fails", 500, "input/output error");
}

static void a_bucket_is_emptied_when_it_is_no_more(void **state)
{
    role_world &w = role_of(state);
    put_object(w, "o");
    role_check(role_ask_as_node(w, "DELETE /v1/node/bucket/b"), "drop", 409, "the bucket is in the cluster document of this target");
    test_eq(store_object_count(*w.t->objects), 1);
    test_true(document_destroy_bucket(w.document, "b", w.document.version + 1));
    role_check(role_push(w), "push", 204, "");
    test_eq(store_object_count(*w.t->objects), 0); // the document alone causes that
    role_check(role_ask_as_node(w, "DELETE /v1/node/bucket/b"), "drop", 204, "");
    role_check(role_ask_as_node(w, "DELETE /v1/node/bucket/never"), "drop", 204, "");
    role_expect(w, "GET /v1/objects/b/o", {}, 404, "bucket \"ais://b\" does not exist (there are none)");
}

// A restored document may lack a bucket. Only a record of its end, or another bucket of its name, makes its objects go.
static void objects_of_a_bucket_that_is_only_missing_are_kept(void **state)
{
    role_world &w = role_of(state);
    put_object(w, "o");
    put_object(w, "p");
    cluster_bucket bucket = *document_find_bucket(w.document, "b");
    document_remove_bucket(w.document, "b");
    role_check(role_push(w), "push", 204, "");
    for (int round = 0; round < 2; round++) { // also after a restart
        test_true(scripted_until(*w.sim, [&] { return w.t->orphans.size() == 1 && w.t->orphans[0].is_counted; }));
        test_eq(store_object_count(*w.t->objects), 2);
        role_expect(w, "GET /v1/objects/b/o", {}, 404, "bucket \"ais://b\" does not exist (there are none)");
        role_check(role_ask_as_node(w, "GET /v1/node/status"), "status", 200,
            R"("orphans":[{"name":"b","created_ns":")" + std::to_string(bucket.created_ns) + R"(","objects":2}])");
        if (round == 0) {
            role_stop(w);
            role_start(w);
        }
    }
    // The same bucket again, as when an operator restores a newer document: everything is back.
    document_put_bucket(w.document, bucket);
    role_check(role_push(w), "push", 204, "");
    role_expect(w, "GET /v1/objects/b/o", {}, 200, "abc");
    test_true(w.t->orphans.empty());
    // Missing again, and then another one of the name, or the record of its end.
    for (bool is_other : {true, false}) {
        document_remove_bucket(w.document, "b");
        role_check(role_push(w), "push", 204, "");
        test_true(store_object_count(*w.t->objects) > 0);
        if (is_other)
            document_put_bucket(w.document, {.name = "b", .created_ns = ++bucket.created_ns});
        else
            document_record_destroyed(w.document, bucket, w.document.version + 1);
        role_check(role_push(w), "push", 204, "");
        test_eq(store_object_count(*w.t->objects), 0);
        test_true(w.t->orphans.empty());
        if (is_other)
            put_object(w, "o");
    }
}

static void a_list_of_orphans_that_cannot_be_stored(void **state)
{
    role_world &w = role_of(state);
    put_object(w, "o");
    document_remove_bucket(w.document, "b");
    role_fail_disk(w, memory_op::meta_swap, error_code::no_space); // the list comes before the document
    role_check(role_push(w), "push", 507, "the cluster document could not be stored: no space left on device");
    role_check(role_ask_as_node(w, "PUT /v1/node/document", role_document_text(w)), "again", 204, "");
    test_eq(w.node->now.documents["orphans"].version, 1);
    test_eq(w.node->now.documents["cluster"].version, 2);
}

static void its_document_can_be_read(void **state)
{
    role_world &w = role_of(state);
    const scripted_call &call = role_ask_as_node(w, "GET /v1/node/document");
    test_eq(call.status(), 200);
    test_eq_text(call.answer.body, w.node->now.documents["cluster"].text);
    role_fail_disk(w, memory_op::meta_read, error_code::io);
    role_check(role_ask_as_node(w, "GET /v1/node/document"), "document", 500, "input/output error");
}

// An operator has chosen another line: this target's document is superseded by name.
static void a_superseded_document_is_replaced(void **state)
{
    role_world &w = role_of(state);
    cluster_document held = w.t->document;
    cluster_document other = w.document;
    other.terms.clear();
    document_begin_term(other, 77);
    other.version = 8;
    role_check(role_ask_as_node(w, "PUT /v1/node/document", document_print(other)), "diverged", 409, "they have diverged");
    other.supersedes.push_back(document_identify(held));
    role_check(role_ask_as_node(w, "PUT /v1/node/document", document_print(other)), "superseded", 204, "");
    test_eq(w.t->document.version, 8);
    test_eq_text(w.t->odds, "");
}

static void one_that_has_not_joined_has_no_pages(void **state)
{
    role_world &w = role_of(state);
    role_check(role_ask_as_node(w, "GET /v1/node/bucket/b?count=1"), "page", 503, "the target is not ready");
    role_check(role_ask_as_node(w, "GET /v1/node/etl/e"), "etl", 503, "the target has no cluster document yet");
    role_check(role_ask_as_node(w, "GET /v1/node/etl/e/logs"), "logs", 503, "the target has no cluster document yet");
    test_eq_text(role_ask_as_node(w, "GET /v1/node/etl").answer.body, "[]");
    role_check(role_ask_as_node(w, "GET /v1/node/status"), "status", 200,
        R"("cluster":"","url":"http://10.0.0.2:8080","document_version":0,"stored_document":"0.0.0000000000000000.0000000000000000","object_count":0,"ready":false)");
    role_check(role_ask_as_node(w, "GET /v1/node/document"), "document", 404, "this target has no cluster document");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_nodes_of_the_cluster_may_ask, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(its_state_is_reported, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_document_is_refused, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_newer_document_counts_and_is_stored, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(an_older_document_and_one_of_another_line_are_refused, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_document_that_cannot_be_stored_is_not_acknowledged, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_page_holds_what_was_asked_for, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_bucket_is_emptied_when_it_is_no_more, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(objects_of_a_bucket_that_is_only_missing_are_kept, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_list_of_orphans_that_cannot_be_stored, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(its_document_can_be_read, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_superseded_document_is_replaced, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(one_that_has_not_joined_has_no_pages, role_set_up_target, role_tear_down),
    };
    return role_main(tests);
}
