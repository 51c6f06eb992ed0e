// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "etlctl/trace.h"

using namespace etlnode;
using namespace etlnode::etlctl;

static void secrets_are_masked(void **)
{
    struct row {
        const char *line;
        const char *shown;
    };
    static constexpr row rows[] = {
        {"Host: x\r\n", "Host: x"},
        {"Authorization: Bearer abc\r\n", "Authorization: ***"},
        {"authorization:abc", "authorization: ***"},
        {"Set-Cookie: a=b", "Set-Cookie: ***"},
        {"Etlnode-Cluster-Secret: s", "Etlnode-Cluster-Secret: ***"},
        {"Location: http://h/v1/etl/_object/my-etl/s3cr3t/b/o?x=1", "Location: http://h/v1/etl/_object/my-etl/***/b/o?x=1"},
        {"GET /v1/etl/_object/my-etl/s3cr3t HTTP/1.1", "GET /v1/etl/_object/my-etl/*** HTTP/1.1"},
        {"Location: http://user:pass@h/x@y", "Location: http://***@h/x@y"},
        {"GET /x?a=1&Token=abc&b=2 HTTP/1.1", "GET /x?a=1&Token=***&b=2 HTTP/1.1"},
        {"GET /x?tokens=abc HTTP/1.1", "GET /x?tokens=abc HTTP/1.1"},
        {"X-Y: a\x1b[1m", "X-Y: a\\x1b[1m"},
        {"", ""},
    };
    for (const row &r : rows) {
        std::string shown = trace_mask_line(r.line);
        if (shown != r.shown)
            test_fail("\"%s\" became \"%s\"", r.line, shown.c_str());
    }
}

int main()
{
    const CMUnitTest tests[] = {cmocka_unit_test(secrets_are_masked)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
