// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "cli/failure.h"

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
    failure f = read(404, R"({"message":"t[t1]: ais://b/o does not exist","node":"t1","status":404,"code":"object_not_found","retryable":false,"request_id":"X"})");
    test_eq_enum(f.exit, exit_code::not_found);
    test_eq_text(f.code, "object_not_found");
    f.bucket = "b";
    f.object = "o";
    f.hint = failure_hint(f, "ais", "http://h");
    test_eq_text(failure_as_text(f, "ais"),
                 "ais: cannot read object ais://b/o: t[t1]: ais://b/o does not exist (node t1, request id X)\nhint: ais object ls b\n");
    test_eq_text(failure_as_json(f),
                 "{\"apiVersion\":\"etlnode/v1\",\"error\":{\"code\":\"object_not_found\",\"message\":\"cannot read object ais://b/o: t[t1]: ais://b/o does not "
                 "exist\",\"status\":404,\"retryable\":false,\"exitCode\":3,\"requestId\":\"X\",\"node\":\"t1\",\"bucket\":\"b\",\"object\":\"o\",\"etl\":null,"
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
    struct row { int status; const char *code; const char *message; const char *bucket; const char *object; const char *etl; const char *hint; };
    static constexpr row rows[] = {
        {404, "object_not_found", "m", "b", "o", "", "etlctl object ls b"},
        {404, "bucket_not_found", "m", "b", "o", "", "etlctl bucket ls"},
        {404, "etl_not_found", "m", "b", "o", "E", "etlctl etl ls"},
        // AIStore's own servers send no code
        {404, "", "etl job E does not exist", "b", "o", "E", "etlctl etl ls"},
        {404, "", "bucket \"ais://b\" does not exist", "b", "o", "E", "etlctl bucket ls"},
        {404, "", "t[x]: ais://b/o does not exist", "b", "o", "E", "etlctl object ls b"},
        {404, "", "m", "b", "", "", "etlctl bucket ls"},
        {404, "", "m", "", "", "E", "etlctl etl ls"},
        {401, "", "m", "", "", "", "set ETLNODE_TOKEN to a token that may do this"},
        {409, "", "m", "b", "", "", "etlctl object ls b"},
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
    failure refused = failure_make(exit_code::unavailable, "cannot list buckets", "no answer");
    test_has_text(failure_hint(refused, "etlctl", "http://h"), "`make up`");
    test_true(refused.retryable);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(answers_of_the_node), cmocka_unit_test(answers_of_others), cmocka_unit_test(hints_name_the_next_step),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
