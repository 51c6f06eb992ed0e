// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "aistore/times.h"
#include "node/api.h"

using namespace etlnode;

static void times_are_utc(void **)
{
    test_eq_text(times_utc_text(1'767'323'045'000'000'000ull, false), "2026-01-02 03:04:05");
    test_eq_text(times_utc_text(1'767'323'045'999'999'999ull, true), "2026-01-02T03:04:05Z");
}

static void uptimes_are_nanoseconds(void **)
{
    std::string wanted = std::string(header_cluster_uptime) + ": 7000000\r\n" + std::string(header_node_uptime) + ": 12000000\r\n";
    test_eq_text(times_uptime_headers(12, 7), wanted);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(times_are_utc),
        cmocka_unit_test(uptimes_are_nanoseconds),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
