// SPDX-License-Identifier: MIT
// A bucket's summary with AIStore's keys: counts are texts, sizes of objects are numbers.
#include "node_test.h"

#include "aistore/bucket_summary.h"

using namespace etlnode;

static void keys_and_kinds_are_aistores(void **)
{
    json_ptr tree = bucket_summary_json({.bucket = "b", .objects = 3, .bytes = 20, .size_min = 6, .size_max = 8, .disks_size = 1000});
    test_eq_text(json_print(tree.get()),
        R"({"name":"b","provider":"ais","namespace":{"uuid":"","name":""},"ObjCount":{"obj_count_present":"3","obj_count_remote":"0"},)"
        R"("ObjSize":{"obj_min_size":6,"obj_avg_size":6,"obj_max_size":8},"TotalSize":{"size_on_disk":"20","size_all_present_objs":"20",)"
        R"("size_all_remote_objs":"0","total_disks_size":"1000"},"used_pct":2,"is_present":true})");
}

static void nothing_is_divided_by_nothing(void **)
{
    json_ptr tree = bucket_summary_json({.bucket = "b"});
    test_has_text(json_print(tree.get()), R"("obj_avg_size":0)");
    test_has_text(json_print(tree.get()), R"("used_pct":0)");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_kinds_are_aistores),
        cmocka_unit_test(nothing_is_divided_by_nothing),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
