// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "transfer/choose.h"

using namespace etlnode;

static bool has(uint8_t set, unsigned value) { return (set & (1u << value)) != 0; }

// Exactly one row answers every question; all combinations of inputs are tested.
static void exactly_one_row_matches(void **)
{
    for (unsigned role = 0; role < 2; role++) {
        for (unsigned method = 0; method < 3; method++) {
            for (unsigned mode = 0; mode < 5; mode++) {
                for (unsigned availability = 0; availability < 5; availability++) {
                    for (unsigned locality = 0; locality < 3; locality++) {
                        int matches = 0;
                        for (const read_row &row : transfer_choose_rows())
                            matches += has(row.roles, role) && has(row.methods, method) && has(row.modes, mode) &&
                                       has(row.availabilities, availability) && has(row.localities, locality);
                        if (matches != 1)
                            test_fail("role %u method %u mode %u availability %u locality %u: %d rows", role, method, mode, availability,
                                locality, matches);
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
    read_question q{read_role::target, read_method::get, read_mode::hpush, read_availability::ready, read_locality::here};
    test_eq_enum(transfer_choose(q), read_action::push);
    q.mode = read_mode::hrev;
    test_eq_enum(transfer_choose(q), read_action::reverse);
    q.mode = read_mode::hpull;
    test_eq_enum(transfer_choose(q), read_action::redirect_to_pod);
    q.availability = read_availability::not_ready;
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
