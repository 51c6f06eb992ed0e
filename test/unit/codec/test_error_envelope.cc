// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "codec/error_envelope.h"

using namespace etlnode;

static void errors_of_other_nodes_keep_their_code(void **)
{
    error_envelope envelope = error_envelope_read(400, R"({"message":"step create: no image","status":400,"code":"etl_init_failed"})");
    test_eq_enum(envelope.code, error_code::etl_init_failed);
    test_eq_text(envelope.message, "step create: no image");
    envelope = error_envelope_read(503, "<html>busy</html>");
    test_eq_enum(envelope.code, error_code::unavailable);
    test_has_text(envelope.message, "status 503: <html>");
    envelope = error_envelope_read(404, "");
    test_eq_enum(envelope.code, error_code::not_found);
    envelope = error_envelope_read(400, R"({"code":"ok"})"); // nonsense
    test_eq_enum(envelope.code, error_code::bad_request);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(errors_of_other_nodes_keep_their_code),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
