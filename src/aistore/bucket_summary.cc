// SPDX-License-Identifier: MIT
// aistore/bucket_summary.cc: what a bucket amounts to, as AIStore's clients read it.
//
// Known by  role/proxy/usage.cc.
#include "aistore/bucket_summary.h"

namespace etlnode {

json_ptr bucket_summary_json(const bucket_summary &summary)
{
    json_ptr tree = json_object();
    json_add_text(tree.get(), "name", summary.bucket);
    json_add_text(tree.get(), "provider", "ais");
    cJSON *space = json_add_object(tree.get(), "namespace");
    json_add_text(space, "uuid", "");
    json_add_text(space, "name", "");
    cJSON *count = json_add_object(tree.get(), "ObjCount");
    json_add_u64_text(count, "obj_count_present", summary.objects);
    json_add_u64_text(count, "obj_count_remote", 0);
    cJSON *size = json_add_object(tree.get(), "ObjSize");
    json_add_u64(size, "obj_min_size", summary.size_min);
    json_add_u64(size, "obj_avg_size", summary.objects > 0 ? summary.bytes / summary.objects : 0);
    json_add_u64(size, "obj_max_size", summary.size_max);
    cJSON *total = json_add_object(tree.get(), "TotalSize");
    json_add_u64_text(total, "size_on_disk", summary.bytes);
    json_add_u64_text(total, "size_all_present_objs", summary.bytes);
    json_add_u64_text(total, "size_all_remote_objs", 0);
    json_add_u64_text(total, "total_disks_size", summary.disks_size);
    uint64_t percent_unit = summary.disks_size / 100;
    json_add_u64(tree.get(), "used_pct", percent_unit > 0 ? summary.bytes / percent_unit : 0);
    json_add_bool(tree.get(), "is_present", true);
    return tree;
}

} // namespace etlnode
