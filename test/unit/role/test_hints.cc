// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "role/shared/hints.h"

using namespace etlnode;

static void hints_say_what_there_is(void **)
{
    test_eq_text(hint_text("x", {}), " (there are none)");
    test_eq_text(hint_text("transfrom", {"images", "transform"}), " (did you mean \"transform\"?)");
    test_eq_text(hint_text("zzzzzzzz", {"a1"}), " (there is: a1)");
    test_eq_text(hint_text("zzzzzzzz", {"a1", "b2"}), " (there are: a1, b2)");
    test_eq_text(hint_text("zzzzzzzz", {"a1", "b2", "c3", "d4", "e5", "f6", "g7"}), " (there are: a1, b2, c3, d4, e5 and 2 more)");
}

static void texts_are_those_that_clients_match(void **)
{
    std::string bucket = hint_bucket_missing("b", {"images"});
    test_has_text(bucket, "\"ais://b\" does not exist");
    test_true(bucket.find("ais://b/") == std::string::npos);
    test_has_text(hint_etl_missing("e\nx", {}), "etl job e\\nx does not exist");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(hints_say_what_there_is),
        cmocka_unit_test(texts_are_those_that_clients_match),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
