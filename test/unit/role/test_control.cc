// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <string_view>
#include <vector>

#include "codec/error_envelope.h"
#include "role/shared/control.h"

using namespace etlnode;

static void hints_say_what_there_is(void **)
{
    test_eq_text(control_hint("x", {}), " (there are none)");
    test_eq_text(control_hint("transfrom", {"images", "transform"}), " (did you mean \"transform\"?)");
    test_eq_text(control_hint("zzzzzzzz", {"a1"}), " (there is: a1)");
    test_eq_text(control_hint("zzzzzzzz", {"a1", "b2"}), " (there are: a1, b2)");
    test_eq_text(control_hint("zzzzzzzz", {"a1", "b2", "c3", "d4", "e5", "f6", "g7"}), " (there are: a1, b2, c3, d4, e5 and 2 more)");
}

// AIStore's clients choose the exception by these words.
static void texts_are_those_that_clients_match(void **)
{
    std::string bucket = control_bucket_missing_text("b", {"images"});
    test_has_text(bucket, "\"ais://b\" does not exist");
    test_true(bucket.find("ais://b/") == std::string::npos);
    test_has_text(control_etl_missing_text("e\nx", {}), "etl job e\\nx does not exist");
}

static void providers_have_aliases(void **)
{
    test_eq_text(control_provider(""), "ais");
    test_eq_text(control_provider("ais"), "ais");
    test_eq_text(control_provider("s3"), "aws");
    test_eq_text(control_provider("gs"), "gcp");
    test_true(control_provider("nobody").empty());
}

static void errors_of_other_nodes_keep_their_code(void **)
{
    error_envelope told = error_envelope_read(400, R"({"message":"step create: no image","status":400,"code":"etl_init_failed"})");
    test_eq_enum(told.code, error_code::etl_init_failed);
    test_eq_text(told.message, "step create: no image");
    told = error_envelope_read(503, "<html>busy</html>");
    test_eq_enum(told.code, error_code::unavailable);
    test_has_text(told.message, "status 503: <html>");
    told = error_envelope_read(404, "");
    test_eq_enum(told.code, error_code::not_found);
    told = error_envelope_read(400, R"({"code":"ok"})"); // nonsense
    test_eq_enum(told.code, error_code::bad_request);
}

static void node_ids_are_checked(void **)
{
    test_true(control_is_node_id("t1234567"));
    test_true(control_is_node_id("t-_Az091"));
    test_false(control_is_node_id("t123456"));
    test_false(control_is_node_id("t1234567/"));
    test_false(control_is_node_id(std::string(65, 'a')));
}

static void times_are_utc(void **)
{
    test_eq_text(control_time_text(1'767'323'045'000'000'000ull, false), "2026-01-02 03:04:05");
    test_eq_text(control_time_text(1'767'323'045'999'999'999ull, true), "2026-01-02T03:04:05Z");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(hints_say_what_there_is),
        cmocka_unit_test(texts_are_those_that_clients_match),
        cmocka_unit_test(providers_have_aliases),
        cmocka_unit_test(errors_of_other_nodes_keep_their_code),
        cmocka_unit_test(node_ids_are_checked),
        cmocka_unit_test(times_are_utc),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
