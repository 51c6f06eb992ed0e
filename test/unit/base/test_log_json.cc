// SPDX-License-Identifier: MIT
#include "base/log_json.h"

#include "node_test.h"

using namespace etlnode;

static void pairs_become_members(void **)
{
    test_eq_text(log_line_as_json("ts=2026-01-02T03:04:05.678Z level=info sub=etl node=t1 etl=abc msg=\"pod is ready\""),
        "{\"ts\":\"2026-01-02T03:04:05.678Z\",\"level\":\"info\",\"sub\":\"etl\",\"node\":\"t1\",\"etl\":\"abc\",\"msg\":\"pod is "
        "ready\"}");
    test_eq_text(log_line_as_json("status=200 empty= url=\"/a?b=c\""), "{\"status\":\"200\",\"empty\":\"\",\"url\":\"/a?b=c\"}");
    test_eq_text(log_line_as_json(""), "{}");
}

static void escapes_are_undone_and_made(void **)
{
    test_eq_text(log_line_as_json("name=\"a\\\"b\\\\c\\nd\\x1b[31m\""), "{\"name\":\"a\\\"b\\\\c\\u000ad\\u001b[31m\"}");
    test_eq_text(log_line_as_json("name=\"\xc3\xbc \xff\xfe\""), "{\"name\":\"\xc3\xbc \xef\xbf\xbd\xef\xbf\xbd\"}");
    test_eq_text(log_line_as_json("name=\"\xe2\x82\""), "{\"name\":\"\xef\xbf\xbd\xef\xbf\xbd\"}"); // a truncated character
}

static void words_without_a_key_are_the_message(void **)
{
    test_eq_text(log_line_as_json("level=state 1250ms etl/7 launching --kubectl_ok--> awaiting_ready"),
        "{\"level\":\"state\",\"msg\":\"1250ms etl/7 launching --kubectl_ok--> awaiting_ready\"}");
    test_eq_text(log_line_as_json("a=\"cut in the mid"), "{\"a\":\"cut in the mid\"}");
    test_eq_text(log_line_as_json("a=\"cut\\"), "{\"a\":\"cut\\\\\"}");
    test_eq_text(log_line_as_json("\"quoted words\" b=1"), "{\"b\":\"1\",\"msg\":\"\\\"quoted words\\\"\"}");
}

int main()
{
    const CMUnitTest tests[] = {cmocka_unit_test(pairs_become_members), cmocka_unit_test(escapes_are_undone_and_made),
        cmocka_unit_test(words_without_a_key_are_the_message)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
