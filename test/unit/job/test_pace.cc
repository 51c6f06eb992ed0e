// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "job/pace.h"

using namespace etlnode;

// Reads pieces as fast as the pace allows for one second, and returns how many bytes that were.
static uint64_t read_for_a_second(uint64_t rate, uint64_t piece, bool is_busy)
{
    job_pace pace = {.rate = rate};
    uint64_t bytes = 0;
    for (uint64_t now_ms = 1'000; now_ms < 2'000;) {
        bytes += piece;
        now_ms += job_pace_take(pace, now_ms, piece, is_busy);
    }
    return bytes;
}

static void it_keeps_the_rate(void **)
{
    uint64_t bytes = read_for_a_second(50 << 20, 256 << 10, false);
    test_true(bytes > 45u << 20 && bytes <= 51u << 20);
    bytes = read_for_a_second(1 << 20, 256 << 10, false);
    test_true(bytes > 900u << 10 && bytes < 1400u << 10);
}

static void it_leaves_clients_the_disk(void **)
{
    uint64_t alone = read_for_a_second(50 << 20, 256 << 10, false);
    uint64_t busy = read_for_a_second(50 << 20, 256 << 10, true);
    test_true(busy * 3 < alone && busy * 6 > alone);
}

static void it_leaves_clients_the_pods(void **)
{
    test_eq(job_items_beside_clients(64), 8u);
    test_eq(job_items_beside_clients(16), 2u);
    for (size_t items : {size_t{0}, size_t{1}, size_t{7}, size_t{8}})
        test_eq(job_items_beside_clients(items), 1u); // it always goes on
}

static void small_pieces_cost_more_than_their_bytes(void **) { test_true(read_for_a_second(1 << 20, 1, false) <= 256); }

static void time_that_was_not_used_is_lost(void **)
{
    job_pace pace = {.rate = 1 << 20};
    (void)job_pace_take(pace, 1'000, 100, false);
    test_true(job_pace_take(pace, 1'000'000, 1 << 20, false) > 900);
}

static void without_a_rate_nothing_waits(void **)
{
    job_pace pace;
    test_eq(job_pace_take(pace, 1'000, UINT32_MAX, true), 0u);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(it_keeps_the_rate),
        cmocka_unit_test(it_leaves_clients_the_disk),
        cmocka_unit_test(it_leaves_clients_the_pods),
        cmocka_unit_test(small_pieces_cost_more_than_their_bytes),
        cmocka_unit_test(time_that_was_not_used_is_lost),
        cmocka_unit_test(without_a_rate_nothing_waits),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
