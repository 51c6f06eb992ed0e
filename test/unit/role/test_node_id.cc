// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "role/shared/node_id.h"

using namespace etlnode;

static void node_ids_are_checked(void **)
{
    test_true(node_id_is_good("t1234567"));
    test_true(node_id_is_good("t-_Az091"));
    test_false(node_id_is_good("t123456"));
    test_false(node_id_is_good("t1234567/"));
    test_false(node_id_is_good(std::string(65, 'a')));
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(node_ids_are_checked),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
