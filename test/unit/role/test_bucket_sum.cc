// SPDX-License-Identifier: MIT
// Sums of buckets: made object by object, sent from target to proxy, and added up.
#include "node_test.h"

#include "role/shared/bucket_sum.h"

using namespace etlnode;

static void objects_are_added(void **)
{
    bucket_sum sum;
    for (uint64_t size : {50u, 0u, 700u})
        bucket_sum_add_object(sum, size);
    test_eq(sum.objects, 3u);
    test_eq(sum.bytes, 750u);
    test_true(sum.has_range);
    test_eq(sum.size_min, 0u);
    test_eq(sum.size_max, 700u);
}

static void targets_are_added(void **)
{
    bucket_sums sums;
    sums["empty"] = {};
    bucket_sums_add(sums, {{"a", {.objects = 2, .bytes = 20, .has_range = true, .size_min = 5, .size_max = 15}}});
    bucket_sums_add(sums, {{"a", {.objects = 1, .bytes = 3, .has_range = true, .size_min = 3, .size_max = 3}}, {"b", {1, 1}}});
    bucket_sums_add(sums, {{"a", {}}}); // a target without objects of the bucket
    test_eq(sums.size(), 3u);
    test_eq(sums["a"].objects, 3u);
    test_eq(sums["a"].bytes, 23u);
    test_eq(sums["a"].size_min, 3u);
    test_eq(sums["a"].size_max, 15u);
    test_false(sums["b"].has_range);
    test_eq(sums["b"].bytes, 1u);
    test_eq(sums["empty"].objects, 0u);
}

static void they_come_back(void **)
{
    bucket_sums sums = {{"a", {.objects = 2, .bytes = 20, .has_range = true, .size_min = 5, .size_max = 15}}, {"b", {}}};
    std::string text = json_print(bucket_sums_json(sums).get());
    test_eq_text(text, R"({"buckets":[{"name":"a","objects":2,"bytes":20,"min":5,"max":15},{"name":"b","objects":0,"bytes":0}]})");
    bucket_sums back;
    test_ok(bucket_sums_parse(text, back));
    test_eq(back.size(), 2u);
    test_eq_text(json_print(bucket_sums_json(back).get()), text);
    for (const char *wrong : {"", "[]", "{}", R"({"buckets":{}})", R"({"buckets":[{}]})", R"({"buckets":[{"name":"a","objects":1}]})",
             R"({"buckets":[{"name":"a","objects":-1,"bytes":1}]})", R"({"buckets":[7]})"})
        test_true(static_cast<bool>(bucket_sums_parse(wrong, back)));
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_added),
        cmocka_unit_test(targets_are_added),
        cmocka_unit_test(they_come_back),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
