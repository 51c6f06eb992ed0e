// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "transfer/choose.h"

static bool has(uint8_t set, unsigned value) { return (set & (1u << value)) != 0; }

// Every question of the whole input product is answered by exactly one row.
static void exactly_one_row_matches(void **)
{
    for (unsigned role = 0; role < 2; role++) {
        for (unsigned method = 0; method < 3; method++) {
            for (unsigned how = 0; how < 4; how++) {
                for (unsigned stage = 0; stage < 5; stage++) {
                    for (unsigned place = 0; place < 3; place++) {
                        int matches = 0;
                        for (const read_row &row : transfer_choose_rows())
                            matches += has(row.roles, role) && has(row.methods, method) && has(row.hows, how) && has(row.stages, stage) && has(row.places, place);
                        if (matches != 1)
                            test_fail("role %u method %u how %u stage %u place %u: %d rows", role, method, how, stage, place, matches);
                    }
                }
            }
        }
    }
}

static void every_row_says_why(void **)
{
    for (const read_row &row : transfer_choose_rows()) {
        test_true(std::strlen(row.label) > 1);
        test_true(std::strlen(row.why) > 8);
    }
}

static void the_documents_modes(void **)
{
    read_question q{read_role::target, read_method::get, read_how::hpush, read_stage::ready, read_place::here};
    test_eq_enum(transfer_choose(q), read_action::push);
    q.how = read_how::hrev;
    test_eq_enum(transfer_choose(q), read_action::reverse);
    q.how = read_how::hpull;
    test_eq_enum(transfer_choose(q), read_action::redirect_to_pod);
    q.stage = read_stage::not_ready;
    test_eq_enum(transfer_choose(q), read_action::wait_for_pod);
    q.role = read_role::proxy;
    test_eq_enum(transfer_choose(q), read_action::redirect_to_target);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(exactly_one_row_matches),
        cmocka_unit_test(every_row_says_why),
        cmocka_unit_test(the_documents_modes),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
