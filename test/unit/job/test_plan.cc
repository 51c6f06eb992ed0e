// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <set>

#include "job/plan.h"

using namespace etlnode;

static bool next_of(void *arg, const std::string &after, std::string &out_bucket)
{
    const auto &buckets = *static_cast<std::set<std::string> *>(arg);
    auto at = buckets.upper_bound(after);
    if (at != buckets.end())
        out_bucket = *at;
    return at != buckets.end();
}

static void buckets_come_in_order(void **)
{
    std::set<std::string> buckets = {"b", "a", "c"};
    job_plan plan;
    plan_begin(plan, "", "", "", "");
    std::string seen;
    while (plan_find_bucket(plan, next_of, &buckets)) {
        seen += plan.bucket;
        test_eq_text(plan.after, "");
        plan_took(plan, "n", false);
        test_true(plan_find_bucket(plan, next_of, &buckets));
        test_eq_text(plan.after, "n"); // the same bucket goes on
        plan_took(plan, "", true);
    }
    test_eq_text(seen, "abc");
    test_true(plan.is_over);
    test_false(plan_find_bucket(plan, next_of, &buckets)); // and it stays over
}

static void one_bucket_is_enough(void **)
{
    std::set<std::string> buckets = {"a", "b", "c"};
    job_plan plan;
    plan_begin(plan, "b", "p", "", "");
    test_true(plan_find_bucket(plan, next_of, &buckets));
    test_eq_text(plan.bucket, "b");
    plan_took(plan, "", true);
    test_false(plan_find_bucket(plan, next_of, &buckets));
}

static void it_goes_on_at_the_cursor(void **)
{
    std::set<std::string> buckets = {"a", "b", "c"};
    job_plan plan;
    plan_begin(plan, "", "", "b", "name");
    test_true(plan_find_bucket(plan, next_of, &buckets));
    test_eq_text(plan.bucket, "b");
    test_eq_text(plan.after, "name");
    plan_took(plan, "", true);
    test_true(plan_find_bucket(plan, next_of, &buckets));
    test_eq_text(plan.bucket, "c");
}

static void buckets_may_come_and_go_meanwhile(void **)
{
    std::set<std::string> buckets = {"b", "d"};
    job_plan plan;
    plan_begin(plan, "", "", "", "");
    test_true(plan_find_bucket(plan, next_of, &buckets));
    buckets = {"a", "c"}; // the one that is read is gone, and a new one comes after it
    plan_took(plan, "", true);
    test_true(plan_find_bucket(plan, next_of, &buckets));
    test_eq_text(plan.bucket, "c");
    plan_took(plan, "", true);
    test_false(plan_find_bucket(plan, next_of, &buckets));
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(buckets_come_in_order),
        cmocka_unit_test(one_bucket_is_enough),
        cmocka_unit_test(it_goes_on_at_the_cursor),
        cmocka_unit_test(buckets_may_come_and_go_meanwhile),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
