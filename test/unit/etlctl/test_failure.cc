// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "etlctl/failure.h"

using namespace etlnode;
using namespace etlnode::etlctl;

static failure read(int status, std::string_view body)
{
    failure f;
    f.doing = "cannot read object ais://b/o";
    f.request_id = "mine";
    failure_read_answer(f, status, body);
    return f;
}

static void answers_of_the_node(void **)
{
    failure f = read(404,
        R"({"message":"t[t1]: ais://b/o does not exist","node":"t1","status":404,"code":"object_not_found","retryable":false,"request_id":"X"})");
    test_eq_enum(f.exit, exit_code::not_found);
    test_eq_text(f.code, "object_not_found");
    f.bucket = "b";
    f.object = "o";
    f.hint = failure_hint(f, "ais", "http://h");
    test_eq_text(failure_as_text(f, "ais"),
        "ais: cannot read object ais://b/o: t[t1]: ais://b/o does not exist (node t1, request id X)\nhint: ais object ls b\n");
    test_eq_text(failure_as_json(f), "{\"apiVersion\":\"etlnode/v1\",\"error\":{\"code\":\"object_not_found\",\"message\":\"cannot read "
                                     "object ais://b/o: t[t1]: ais://b/o does not "
                                     "exist\",\"status\":404,\"retryable\":false,\"exitCode\":3,\"requestId\":\"X\",\"node\":\"t1\","
                                     "\"bucket\":\"b\",\"object\":\"o\",\"etl\":null,"
                                     "\"hint\":\"ais object ls b\",\"podLog\":null}}\n");
}

static void answers_of_others(void **)
{
    failure f = read(502, "<html>Bad\x1b[0m Gateway</html>\r\n");
    test_eq_text(f.message, "<html>Bad\x1b[0m Gateway</html>");
    test_eq_enum(f.exit, exit_code::unavailable);
    test_has_text(failure_as_text(f, "etlctl"), "<html>Bad\\x1b[0m Gateway</html> (request id mine)");
    f = read(500, "");
    test_eq_text(f.message, "the server answered with status 500");
    test_eq_text(f.code, "failed");
    f = read(502, R"({"message":"m","retryable":false})");
    test_eq_enum(f.exit, exit_code::other);
    f = read(404, R"({"message":7})");
    test_eq_text(f.message, R"({"message":7})");
    f = read(304, "");
    test_eq_enum(f.exit, exit_code::other);
    f = read(400, "{\"message\":\"line one\\nline two\",\"node\":\"p1\"}");
    test_eq_text(failure_as_text(f, "etlctl"), "etlctl: cannot read object ais://b/o: line one\nline two\n(node p1, request id mine)\n");
}

static void hints_name_the_next_step(void **)
{
    struct row {
        int status;
        const char *code;
        const char *message;
        const char *bucket;
        const char *object;
        const char *etl;
        const char *hint;
    };
    static constexpr row rows[] = {
        {404, "object_not_found", "m", "b", "o", "", "etlctl object ls b"},
        {404, "bucket_not_found", "m", "b", "o", "", "etlctl bucket ls"},
        {404, "etl_not_found", "m", "b", "o", "E", "etlctl etl ls"},
        // AIStore's own servers send no code.
        {404, "", "etl job E does not exist", "b", "o", "E", "etlctl etl ls"},
        {404, "", "bucket \"ais://b\" does not exist", "b", "o", "E", "etlctl bucket ls"},
        {404, "", "t[x]: ais://b/o does not exist", "b", "o", "E", "etlctl object ls b"},
        {404, "", "m", "b", "", "", "etlctl bucket ls"},
        {404, "", "m", "", "", "E", "etlctl etl ls"},
        {401, "", "m", "", "", "", "set ETLNODE_TOKEN to a token that is allowed to do this"},
        {409, "", "m", "b", "", "", "etlctl object ls b"},
        {409, "already_exists", "m", "b", "", "", "etlctl object ls b"},
        {409, "conflict", "m", "b", "", "", ""},
        {409, "diverged", "m", "b", "", "", "etlctl cluster show"},
        {409, "newer_version", "m", "b", "o", "", "etlctl cluster show"},
        {409, "diverged", "m", "", "", "E", "etlctl cluster show"},
        {409, "already_exists", "m", "", "", "E", "etlctl etl show E"},
        {400, "conflict", "invalid action", "", "", "E", "etlctl etl show E"},
        {404, "etl_not_found", "etl job E does not exist now: it is stopped, and can be started again", "b", "o", "E",
            "etlctl etl start E"},
        {404, "etl_not_found", "etl job E does not exist: it is not running on t1: ErrImagePull", "b", "o", "E", "etlctl etl show E"},
        {400, "not_found", "target \"t9\" does not exist", "", "", "E", "etlctl target ls"},
        {403, "forbidden", "m", "b", "", "", ""},
        {403, "permission", "m", "b", "o", "", ""},
        {403, "", "m", "b", "", "", "set ETLNODE_TOKEN to a token that is allowed to do this"},
        {503, "unavailable", "target t2 is silent: an ETL starts on all targets or on none", "", "", "E",
            "try again; etlctl cluster health shows which node is not well"},
        {503, "not_ready", "ETL error: the pod of etl job E refuses connections", "b", "o", "E", "etlctl etl logs E"},
        {502, "pod_gone", "m", "b", "o", "E", "etlctl etl logs E"},
        {400, "timed_out", "ETL error: timeout: the pod sent no answer", "b", "o", "E", "etlctl etl logs E"},
        {507, "no_space", "the disk is full", "", "", "E", ""},
        {500, "corrupt", "data is corrupt", "b", "o", "E", ""},
        {501, "not_implemented", "m", "", "", "E", ""},
        {502, "", "m", "b", "o", "E", "etlctl etl logs E"},
        {503, "", "m", "b", "o", "", "try again; etlctl cluster health shows which node is not well"},
        {400, "", "m", "b", "o", "", ""},
    };
    for (const row &r : rows) {
        failure f;
        failure_read_answer(f, r.status, std::string("{\"message\":\"x\",\"code\":\"") + r.code + "\"}");
        f.message = r.message;
        f.bucket = r.bucket;
        f.object = r.object;
        f.etl = r.etl;
        std::string hint = failure_hint(f, "etlctl", "http://h");
        if (hint != r.hint)
            test_fail("%d %s \"%s\": \"%s\" is not \"%s\"", r.status, r.code, r.message, hint.c_str(), r.hint);
    }
}

static void an_unreachable_endpoint_has_a_hint(void **)
{
    failure refused = failure_make(exit_code::unavailable, "cannot list buckets", "no answer");
    test_has_text(failure_hint(refused, "etlctl", "http://127.0.0.1:1"), "`make up`");
    test_true(refused.retryable);
    struct {
        const char *endpoint, *hint;
    } rows[] = {
        {"http://127.0.0.1:8080", "start a node with `make up`, or name a proxy with --endpoint URL or ETLNODE_ENDPOINT"},
        {"http://storage1:8080", "check that a proxy is running there and that this machine can reach it, or name a proxy with --endpoint "
                                 "URL or ETLNODE_ENDPOINT"},
        {"http://localhost",
            "without a port the URL means port 80, but a proxy listens on 8080 by default: --endpoint http://localhost:8080"},
        {"http://[::1]", "without a port the URL means port 80, but a proxy listens on 8080 by default: --endpoint http://[::1]:8080"},
        {"http://[::1]:8080", "start a node with `make up`, or name a proxy with --endpoint URL or ETLNODE_ENDPOINT"},
    };
    for (const auto &row : rows)
        test_eq_text(failure_hint(refused, "etlctl", row.endpoint), row.hint);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(answers_of_the_node),
        cmocka_unit_test(answers_of_others),
        cmocka_unit_test(hints_name_the_next_step),
        cmocka_unit_test(an_unreachable_endpoint_has_a_hint),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
