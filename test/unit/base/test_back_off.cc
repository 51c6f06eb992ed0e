// SPDX-License-Identifier: MIT
// test/unit/base/test_back_off.cc: growing pauses.
#include "node_test.h"

#include "base/back_off.h"

using namespace etlnode;

static void pauses_double_up_to_a_bound(void **)
{
    back_off b = {500, 3'000};
    test_eq(back_off_peek(b), 500);
    test_eq(b.delay_ms, 0); // reading it changes nothing
    for (uint64_t expected : {500u, 1'000u, 2'000u, 3'000u, 3'000u}) {
        test_eq(back_off_peek(b), expected);
        test_eq(back_off_next(b), expected);
        test_true(back_off_is_bounded(b));
    }
    back_off_reset(b);
    test_eq(back_off_next(b), 500);
}

static void a_bound_below_twice_the_first_holds(void **)
{
    back_off b = {500, 700};
    test_eq(back_off_next(b), 500);
    test_eq(back_off_next(b), 700);
    b.delay_ms = 701;
    test_false(back_off_is_bounded(b));
}

int main()
{
    const CMUnitTest tests[] = {cmocka_unit_test(pauses_double_up_to_a_bound), cmocka_unit_test(a_bound_below_twice_the_first_holds)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
