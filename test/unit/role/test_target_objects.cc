// SPDX-License-Identifier: MIT
// Objects of a target: stored, read whole and in parts, described, removed, copied; and what is refused.
#include "role_world.h"

#include <xxhash.h>

#include "base/limits.h"

using namespace etlnode;

static constexpr const char *redirected = "pid=proxy-01&utm=1";

static std::string line_of(const char *method, const char *rest, bool is_redirected = true)
{
    std::string line = std::string(method) + " /v1/objects/" + rest;
    if (is_redirected)
        line += std::string(line.find('?') == std::string::npos ? "?" : "&") + redirected;
    return line;
}

static const scripted_call &put_object(role_world &w, const char *rest, std::string_view content, std::string_view headers = {})
{
    return role_ask(w, line_of("PUT", rest), content, headers);
}

static std::string checksum_of(std::string_view content) { return text_hex(XXH64(content.data(), content.size(), 0)); }

static std::string long_content()
{
    std::string content(content_block_size + 1'000, '\0'); // in a file, of two blocks
    for (size_t i = 0; i < content.size(); i++)
        content[i] = static_cast<char>(i * 131 + i / 257);
    return content;
}

static void bad_input_is_refused(void **state)
{
    role_world &w = role_of(state);
    role_check(put_object(w, "b/o", "x"), "PUT", 200, "");
    const role_case cases[] = {
        {"GET /v1/objects/b", nullptr, 400, "the path has no object name"},
        {"POST /v1/objects/b", "", 501, "POST /v1/objects/{bucket} is not implemented"},
        {"GET /v1/objects/b%2/o", nullptr, 400, "expected /v1/objects/BUCKET/OBJECT, percent-encoded once, and no NUL byte in it"},
        {"GET /v1/objects/b/o%00", nullptr, 400, "and no NUL byte in it"},
        {"GET /v1/objects/b!/o", nullptr, 400, "bucket name \"b!\": the bucket name may contain only letters"},
        {"GET /v1/objects/b/%2fo", nullptr, 400, "object name \"/o\": the object name starts with a slash"},
        {"GET /v1/objects/other/o", nullptr, 404, "bucket \"ais://other\" does not exist (there is: b)"},
        {"GET /v1/objects/b/none", nullptr, 404, "t[target-01]: ais://b/none does not exist"},
        {"HEAD /v1/objects/b/none", nullptr, 404, "t[target-01]: ais://b/none does not exist"},
        {"HEAD /v1/objects/b/o?props=name,colour", nullptr, 400, "invalid property \"colour\" in props="},
        {"HEAD /v1/objects/b/o?props=name&props=version", nullptr, 400, "the parameter props is given twice, with different values"},
        {"GET /v1/objects/b/o?uid=e", nullptr, 400, "did you mean uuid?"},
        {"GET /v1/objects/b/o?etl_name=nobody", nullptr, 404, "etl job nobody does not exist (there are none)"},
        {"PUT /v1/objects/b/o", "x", 400, "t[target-01]: PUT is expected to be redirected here by the proxy: send it to the proxy"},
        {"DELETE /v1/objects/b/o?pid=proxy-01", nullptr, 400, "DELETE is expected to be redirected"},
        {"PUT /v1/objects/b/o?pid=&utm=1", "x", 400, "PUT is expected to be redirected"},
        {"DELETE /v1/objects/b/none?pid=p&utm=1", nullptr, 404, "ais://b/none does not exist"},
        {"PATCH /v1/objects/b/o?pid=p&utm=1", "{}", 400, "value: expected an object of names and texts"},
        {"PATCH /v1/objects/b/none?pid=p&utm=1", R"({"value":{"k":"v"}})", 404, "ais://b/none does not exist"},
        {"POST /v1/objects/b/o?pid=p&utm=1", R"({"action":"dance"})", 400, "unknown action \"dance\" on an object"},
        {"POST /v1/objects/b/o?pid=p&utm=1", R"({"action":"rename-obj","name":"o"})", 400, "the object has this name already"},
        {"PUT /v1/objects/b/o?pid=p&utm=1&append_type=dance", "x", 400, "append_type \"dance\": expected append or flush"},
        {"PUT /v1/objects/b/o?pid=p&utm=1&uploadId=1&partNumber=1", "x", 404, "upload 1 of ais://b/o does not exist"},
        {"PUT /v1/objects/b/o?pid=p&utm=1&archpath=a", "x", 501, "members are appended to .tar only"},
        {"PUT /v1/objects/b/o?pid=p&utm=1", "x", 400, "checksum type \"adler\" is not supported: expected xxhash2, md5",
            "Ais-Checksum-Type: adler\r\nAis-Checksum-Value: 00\r\n"},
        {"PUT /v1/objects/b/o?pid=p&utm=1", "x", 400, "checksum value \"00\" is not 32 hex digits",
            "Ais-Checksum-Type: md5\r\nAis-Checksum-Value: 00\r\n"},
        {"PUT /v1/objects/b/o?pid=p&utm=1", "x", 400, "checksum value \"xyz\" is not 16 hex digits",
            "Ais-Checksum-Type: xxhash2\r\nAis-Checksum-Value: xyz\r\n"},
        {"PUT /v1/objects/b/o?pid=p&utm=1", "y", 400, "checksum", "Ais-Checksum-Type: xxhash2\r\nAis-Checksum-Value: 0123456789abcdef\r\n"},
        {"GET /nowhere", nullptr, 404, "there is no /nowhere here"},
        {"GET /v1/buckets", nullptr, 404, "there is no /v1/buckets here"}, // only the proxy has it
    };
    role_check_cases(w, cases);
    test_eq_text(role_ask(w, "GET /v1/objects/b/o").answer.body, "x"); // unchanged
}

// Another target sends an object for a bucket that this one does not have: destroyed, or not yet known here.
static void a_bucket_that_is_missing_here_may_only_be_unknown_yet(void **state)
{
    role_world &w = role_of(state);
    const document_identity own = document_identify(w.t->document);
    document_identity newer = own;
    newer.version++;
    document_identity other = own;
    other.digest++;
    struct row {
        std::string identity;
        const char *secret;
        int status;
        const char *says;
    };
    const row rows[] = {
        {document_identity_print(own), role_secret_header, 404, "bucket \"ais://other\" does not exist"},
        {document_identity_print({}), role_secret_header, 404, "bucket \"ais://other\" does not exist"},
        {document_identity_print(newer), role_secret_header, 503,
            "t[target-01]: bucket ais://other is not known here yet: this target's cluster document is older than the sender's"},
        {document_identity_print(other), role_secret_header, 409, "the cluster documents of sender and receiver have diverged"},
        {"what.is.this.text", role_secret_header, 404, "bucket \"ais://other\" does not exist"},
        {document_identity_print(newer), role_wrong_secret_header, 404, "bucket \"ais://other\" does not exist"},
        {document_identity_print(newer), "", 404, "bucket \"ais://other\" does not exist"}, // a client
    };
    for (const row &one : rows)
        role_check(put_object(w, "other/o", "x", std::string(one.secret) + "Etlnode-Document: " + one.identity + "\r\n"),
            one.identity.c_str(), one.status, one.says);
}

static void an_object_is_what_was_put(void **state)
{
    role_world &w = role_of(state);
    for (const std::string &content : {std::string(), std::string("abc"), long_content()}) {
        std::string sum = "Ais-Checksum-Type: xxhash2\r\nAis-Checksum-Value: " + checksum_of(content) + "\r\n";
        const scripted_call &stored = put_object(w, "b/dir/%c3%a4%20o", content, sum);
        role_check(stored, "PUT", 200, "");
        test_eq_text(sim_header(stored.answer, "ais-checksum-value"), checksum_of(content));
        const scripted_call &got = role_ask(w, "GET /v1/objects/b/dir/%c3%a4%20o");
        test_eq(got.status(), 200);
        test_true(got.answer.body == content);
        test_eq_text(sim_header(got.answer, "content-type"), "application/octet-stream");
        test_eq_text(sim_header(got.answer, "accept-ranges"), "bytes");
        for (const char *name : {"ais-checksum-type", "ais-checksum-value", "ais-atime", "ais-version"})
            test_eq_text(sim_header(got.answer, name), sim_header(stored.answer, name));
        const scripted_call &head = role_ask(w, "HEAD /v1/objects/b/dir/%c3%a4%20o");
        test_eq_text(sim_header(head.answer, "content-length"), std::to_string(content.size()));
        test_eq_text(sim_header(head.answer, "ais-checksum-value"), checksum_of(content));
    }
    test_eq_text(sim_header(role_ask(w, "HEAD /v1/objects/b/dir/%c3%a4%20o").answer, "ais-version"), "3");
    role_expect(w, line_of("DELETE", "b/dir/%c3%a4%20o"), {}, 200);
    role_expect(w, "GET /v1/objects/b/dir/%c3%a4%20o", {}, 404, "does not exist");
    role_expect(w, line_of("DELETE", "b/dir/%c3%a4%20o"), {}, 404, "does not exist");
}

static void parts_are_read(void **state)
{
    role_world &w = role_of(state);
    std::string content = long_content();
    role_check(put_object(w, "b/o", content), "PUT", 200, "");
    struct part {
        const char *range;
        size_t first, count;
    };
    const part parts[] = {{"bytes=0-0", 0, 1}, {"bytes=10-19", 10, 10}, {"bytes=-3", content.size() - 3, 3},
        {"bytes=262140-", 262'140, content.size() - 262'140}, {"bytes=0-99999999", 0, content.size()}};
    for (const part &one : parts) {
        const scripted_call &call = role_ask(w, "GET /v1/objects/b/o", {}, "Range: " + std::string(one.range) + "\r\n");
        test_eq(call.status(), 206);
        test_true(call.answer.body == content.substr(one.first, one.count));
        test_eq_text(sim_header(call.answer, "content-range"),
            text_format("bytes %zu-%zu/%zu", one.first, one.first + one.count - 1, content.size()));
        test_eq_text(sim_header(call.answer, "ais-checksum-value"), ""); // it would be that of the whole
    }
    const scripted_call &behind = role_ask(w, "GET /v1/objects/b/o", {}, "Range: bytes=99999999-\r\n");
    role_check(behind, "behind", 416, "t[target-01]: range not satisfiable: ais://b/o has " + std::to_string(content.size()) + " bytes");
    role_expect(w, "PUT /v1/objects/b/short?pid=p&utm=1", "x", 200, "");
    const scripted_call &beyond = role_ask(w, "GET /v1/objects/b/short", {}, "Range: bytes=5-\r\n");
    role_check(beyond, "short", 416, "ais://b/short has 1 byte");
    test_true(beyond.answer.body.find("1 bytes") == std::string::npos);
    test_eq_text(sim_header(behind.answer, "content-range"), "bytes */" + std::to_string(content.size()));
    for (const char *headers : {"Range: bytes=1-2,5-6\r\n", "Range: lines=1-2\r\n", "Range: bytes=1-2\r\nIf-Range: \"other\"\r\n"})
        test_eq(role_ask(w, "GET /v1/objects/b/o", {}, headers).status(), 200);
}

static void properties_are_those_asked_for(void **state)
{
    role_world &w = role_of(state);
    role_check(put_object(w, "b/o", "abc"), "PUT", 200, "");
    const scripted_call &all = role_ask(w, "HEAD /v1/objects/b/o");
    struct property {
        const char *name, *value;
    };
    const property properties[] = {{"ais-name", "o"}, {"ais-bucket-name", "b"}, {"ais-bucket-provider", "ais"}, {"ais-version", "1"},
        {"ais-mirror-copies", "1"}, {"ais-mirror-paths", "[/data]"}, {"ais-location", "t[target-01]:mp[/data]"}, {"ais-present", "true"}};
    for (const property &one : properties)
        test_eq_text(sim_header(all.answer, one.name), one.value);
    test_false(sim_header(all.answer, "last-modified").empty());
    const scripted_call &few = role_ask(w, "HEAD /v1/objects/b/o?props=version,%20location,ec");
    test_eq_text(sim_header(few.answer, "ais-version"), "1");
    test_eq_text(sim_header(few.answer, "ais-location"), "t[target-01]:mp[/data]");
    test_eq_text(sim_header(few.answer, "ais-name"), "");
}

static std::string begin_upload(role_world &w, const char *name)
{
    const scripted_call &call = role_ask(w, line_of("POST", name), R"({"action":"mpt-upload"})");
    test_eq(call.status(), 200);
    return call.answer.body;
}

static int put_part(role_world &w, const char *name, const std::string &id, std::string_view content)
{
    return role_ask(w, line_of("PUT", (std::string(name) + "?uploadId=" + id + "&partNumber=1").c_str()), content).status();
}

static size_t files_in_tmp(role_world &w) { return memory_files(w.node->now, "/data/tmp").size(); }

static void pass_minutes(role_world &w, uint64_t minutes)
{
    uint64_t end_us = w.sim->now_us + minutes * 60'000'000;
    while (w.sim->now_us < end_us && sim_step(*w.sim, end_us)) {
    }
}

// Whoever sends a part again and again keeps an upload; the others go after six hours, with their files.
static void uploads_that_nobody_continues_go(void **state)
{
    role_world &w = role_of(state);
    std::string used = begin_upload(w, "b/used");
    std::string idle = begin_upload(w, "b/idle");
    test_eq(put_part(w, "b/idle", idle, "part"), 200);
    for (int hour = 1; hour <= 7; hour++) {
        test_eq(put_part(w, "b/used", used, "part"), 200);
        pass_minutes(w, 60);
        if (hour != 6)
            test_eq(files_in_tmp(w), hour < 6 ? 2u : 1u);
    }
    test_eq(put_part(w, "b/idle", idle, "part"), 404);
    std::string line = line_of("POST", ("b/used?uploadId=" + used).c_str());
    role_expect(w, line, R"({"action":"mpt-complete","value":[{"part-number":1,"etag":""}]})", 200);
    test_eq_text(role_ask(w, "GET /v1/objects/b/used").answer.body, "part");
    test_eq(files_in_tmp(w), 0u);
    for (int i = 0; i < 256; i++)
        begin_upload(w, "b/many");
    role_expect(w, line_of("POST", "b/many"), R"({"action":"mpt-upload"})", 503, "too many uploads in parts are open here");
}

// A damaged block gets an answer of its own, before the first byte.
static void a_damaged_object_is_reported(void **state)
{
    role_world &w = role_of(state);
    role_check(put_object(w, "b/o", long_content()), "PUT", 200, "");
    role_check(put_object(w, "b/p", std::string(content_block_size, 'p')), "PUT", 200, "");
    role_stop(w); // a content is checked when it is first opened
    role_start(w);
    role_fail_disk(w, memory_op::check, error_code::corrupt);
    role_expect(w, "GET /v1/objects/b/o", {}, 500, "t[target-01]: ais://b/o: data is corrupt");
    test_eq(role_ask(w, "GET /v1/objects/b/p").status(), 200);
}

static void a_disk_that_fails_is_reported(void **state)
{
    role_world &w = role_of(state);
    role_check(put_object(w, "b/o", long_content()), "PUT", 200, "");
    struct failing {
        memory_op op;
        error_code code;
        std::string line;
        const char *body;
        int status;
    };
    const failing rows[] = {
        {memory_op::index_change, error_code::no_space, line_of("PUT", "b/p"), "x", 507},
        {memory_op::index_change, error_code::io, line_of("DELETE", "b/o"), nullptr, 500},
        {memory_op::index_get, error_code::io, "GET /v1/objects/b/q", nullptr, 500},
    };
    for (const failing &one : rows) {
        role_fail_disk(w, one.op, one.code);
        role_check(role_ask(w, one.line, one.body != nullptr ? std::string_view(one.body) : std::string_view()), one.line, one.status, "");
        w.node->faults.clear();
    }
    test_eq(role_ask(w, "GET /v1/objects/b/o").status(), 200);
    test_eq(w.t->metrics.put_errors + w.t->metrics.delete_errors + w.t->metrics.get_errors, 3);
}

static void a_copy_is_kept_under_another_name(void **state)
{
    role_world &w = role_of(state);
    role_check(put_object(w, "b/o", "abc"), "PUT", 200, "");
    role_expect(w, line_of("PUT", "b/o?object_to=ais%2F%40%23%2Fb%2Fp"), "", 200);
    test_eq_text(role_ask(w, "GET /v1/objects/b/p").answer.body, "abc");
    const role_case cases[] = {
        {"PUT /v1/objects/b/o?pid=p&utm=1&object_to=ais%2F%40%23%2Fother%2Fp", "", 404,
            "bucket \"ais://other\" does not exist (there is: b)"},
        {"PUT /v1/objects/b/o?pid=p&utm=1&object_to=ais%2F%40%23%2Fb!%2Fp", "", 400, "object_to: invalid bucket name"},
        {"PUT /v1/objects/b/o?pid=p&utm=1&object_to=ais%2F%40%23%2Fb%2F%2Fp", "", 400, "object_to: invalid object name"},
        {"PUT /v1/objects/b/o?pid=p&utm=1&object_to=ais%2F%40%23%2Fb%2Fq", "x", 400, "takes no body"},
        {"PUT /v1/objects/b/o?pid=p&utm=1&object_to=ais%2F%40%23%2Fb%2Fq", nullptr, 400, "takes no body", "Transfer-Encoding: chunked\r\n"},
        {"PUT /v1/objects/b/none?pid=p&utm=1&object_to=ais%2F%40%23%2Fb%2Fq", "", 404, "ais://b/none does not exist"},
        {"PUT /v1/objects/b/o?pid=p&utm=1&object_to=ais%2F%40%23%2Fb%2Fq&etl_name=nobody", "", 404, "etl job nobody does not exist"},
        {"GET /v1/objects/b/q", nullptr, 404, "does not exist"},
    };
    role_check_cases(w, cases);
}

// It is kept where the placement says, and only there.
static void a_copy_goes_to_the_target_of_its_name(void **state)
{
    role_world &w = role_of(state);
    role_check(put_object(w, "b/o", "abc"), "PUT", 200, "");
    scripted_node &other = role_make_peer(w, "target-02", "10.0.0.3");
    cluster_node node;
    node.id = other.id;
    node.is_target = true;
    node.url = "http://10.0.0.3:8080";
    node.digest = placement_digest(node.id);
    document_put_node(w.document, node);
    role_check(role_push(w), "push", 204, "");
    std::string name = "p";
    while (document_place(w.document, "b", name)->id != other.id)
        name += "p";
    std::string line = "PUT /v1/objects/b/o?pid=p&utm=1&object_to=ais%2F%40%23%2Fb%2F" + name;
    other.rows.push_back({.match = "PUT /v1/objects/b/", .times = 1});
    other.rows.push_back(
        {.match = "PUT /v1/objects/b/", .status = 507, .body = R"({"message":"the other one is full","code":"no_space"})"});
    role_expect(w, line, "", 200);
    const sim_message &asked = scripted_last(other, "PUT");
    test_true(asked.second.starts_with("/v1/objects/b/" + name + "?pid=target-01&utm="));
    test_eq_text(asked.body, "abc");
    test_eq_text(sim_header(asked, "etlnode-cluster-secret"), role_secret);
    test_eq_text(sim_header(asked, "etlnode-document"), document_identity_print(document_identify(w.t->document)));
    const scripted_call &read = role_ask(w, "GET /v1/objects/b/" + name);
    test_eq(read.status(), 301); // it is there, not here
    test_true(sim_header(read.answer, "location").starts_with("http://10.0.0.3:8080/v1/objects/b/" + name));
    role_expect(w, line, "", 507, "the other one is full");
    scripted_silence(other);
    role_expect(w, line, "", 503, "target-02");
}

// A transform that another target pushes may be slower than a client may be.
static void only_a_target_may_pause_for_long(void **state)
{
    role_world &w = role_of(state);
    std::string pause = "Etlnode-Pause: 60000\r\n";
    uint64_t longer_ms = body_stall_timeout_ms + 10'000;
    scripted_call &client = role_begin_slow_put(w, line_of("PUT", "b/o"), "abc", longer_ms, pause);
    role_check(role_await(w, client), "a client", 408, "");
    scripted_call &stranger = role_begin_slow_put(w, line_of("PUT", "b/o"), "abc", longer_ms, pause + role_wrong_secret_header);
    role_check(role_await(w, stranger), "a stranger", 408, "");
    scripted_call &target = role_begin_slow_put(w, line_of("PUT", "b/o"), "abc", longer_ms, pause + role_secret_header);
    role_check(role_await(w, target), "a target", 200, "");
}

// Objects of a former bucket with that name must not appear in the new one.
static void a_bucket_that_is_being_emptied_is_closed(void **state)
{
    role_world &w = role_of(state);
    role_check(put_object(w, "b/o", "abc"), "PUT", 200, "");
    document_put_bucket(w.document, {.name = "b", .created_ns = 6});
    role_fail_disk(w, memory_op::index_page, error_code::io, {}, SIZE_MAX);
    role_fail_disk(w, memory_op::index_change, error_code::io, {}, SIZE_MAX);
    role_check(role_push(w), "PUT document", 500, "the objects of a removed bucket could not be removed");
    const role_case closed[] = {
        {"GET /v1/objects/b/o", nullptr, 503, "the objects of the former bucket of that name are still being removed"},
        {"PUT /v1/objects/b/o?pid=p&utm=1", "x", 503, "are still being removed"},
    };
    role_check_cases(w, closed);
    w.node->faults.clear();
    role_check(role_ask_as_node(w, "PUT /v1/node/document", role_document_text(w)), "again", 204, ""); // as the proxy does
    role_expect(w, "GET /v1/objects/b/o", {}, 404, "ais://b/o does not exist");
    role_check(put_object(w, "b/o", "new"), "PUT", 200, "");
}

static void a_target_that_has_not_joined_serves_nothing(void **state)
{
    role_world &w = role_of(state);
    const role_case cases[] = {
        {"GET /v1/objects/b/o", nullptr, 503, "the target has not joined its cluster yet"},
        {"PUT /v1/objects/b/o?pid=p&utm=1", "x", 503, "the target has not joined its cluster yet"},
        {"GET /v1/daemon?what=smap", nullptr, 503, "this node has not got a cluster document yet"},
    };
    role_check_cases(w, cases);
    role_check(role_ask(w, "GET /v1/etl/_object/e/s/b/o", {}, {}, role_pod_port), "pods", 503, "has not joined its cluster yet");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bad_input_is_refused, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_bucket_that_is_missing_here_may_only_be_unknown_yet, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(an_object_is_what_was_put, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(parts_are_read, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(properties_are_those_asked_for, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(uploads_that_nobody_continues_go, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_object_is_reported, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_disk_that_fails_is_reported, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_copy_is_kept_under_another_name, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_copy_goes_to_the_target_of_its_name, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(only_a_target_may_pause_for_long, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_bucket_that_is_being_emptied_is_closed, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_target_that_has_not_joined_serves_nothing, role_set_up_target, role_tear_down),
    };
    return role_main(tests);
}
