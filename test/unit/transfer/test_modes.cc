// SPDX-License-Identifier: MIT
// Modes are rows: what other layers know about a mode agrees with what the mode says about itself.
#include "node_test.h"

#include "etl/etl_mode_list.h"
#include "transfer/modes/modes.h"

using namespace etlnode;

static void every_mode_has_a_row_that_agrees_with_the_lists(void **)
{
    static_assert(std::size(etl_mode_names) == std::size(etl_mode_redirects));
    for (size_t i = 0; i < std::size(etl_mode_names); i++) {
        const transfer_mode &mode = transfer_mode_of(static_cast<etl_mode>(i));
        test_eq(static_cast<size_t>(mode.mode), i);
        test_true(mode.begin != nullptr);
        test_true((mode.location != nullptr) == etl_mode_redirects[i]);
        test_true(mode.sends_object != mode.pod_reads);
        test_true(mode.sends_object || !mode.tries_methods);
        test_true(mode.choice != read_mode::plain);
        for (size_t j = 0; j < i; j++)
            test_true(transfer_mode_of(static_cast<etl_mode>(j)).choice != mode.choice);
    }
}

static void the_list_of_modes_is_made_of_their_names(void **)
{
    test_has_text(etl_mode_list, "hpush://, hrev://");
    std::string_view last = etl_mode_names[std::size(etl_mode_names) - 1];
    test_true(etl_mode_list.ends_with(std::string(" or ").append(last)));
    static constexpr auto help = etl_mode_list_make<false>("; and more");
    test_true(std::string_view(help.data()).starts_with("hpush, hrev"));
    test_true(std::string_view(help.data()).ends_with("; and more"));
    for (std::string_view name : etl_mode_names)
        test_has_text(help.data(), name.substr(0, name.find(':')));
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(every_mode_has_a_row_that_agrees_with_the_lists),
        cmocka_unit_test(the_list_of_modes_is_made_of_their_names),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
