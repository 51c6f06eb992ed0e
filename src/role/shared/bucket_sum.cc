// SPDX-License-Identifier: MIT
// role/shared/bucket_sum.cc: what the objects of buckets amount to.
//
// Known by  role/target/usage.cc, role/proxy/usage.cc.
#include "role/shared/bucket_sum.h"

#include <algorithm>

#include "base/limits.h"

namespace etlnode {

void bucket_sum_add_object(bucket_sum &sum, uint64_t size)
{
    sum.size_min = sum.has_range ? std::min(sum.size_min, size) : size;
    sum.size_max = std::max(sum.size_max, size);
    sum.has_range = true;
    sum.objects++;
    sum.bytes += size;
}

void bucket_sums_add(bucket_sums &sums, const bucket_sums &more)
{
    for (const auto &[name, from] : more) {
        bucket_sum &to = sums[name];
        if (from.has_range) {
            to.size_min = to.has_range ? std::min(to.size_min, from.size_min) : from.size_min;
            to.size_max = std::max(to.size_max, from.size_max);
            to.has_range = true;
        }
        to.objects += from.objects;
        to.bytes += from.bytes;
    }
}

json_ptr bucket_sums_json(const bucket_sums &sums)
{
    json_ptr tree = json_object();
    cJSON *list = json_add_array(tree.get(), "buckets");
    for (const auto &[name, sum] : sums) {
        json_ptr one = json_object();
        json_add_text(one.get(), "name", name);
        json_add_u64(one.get(), "objects", sum.objects);
        json_add_u64(one.get(), "bytes", sum.bytes);
        if (sum.has_range) {
            json_add_u64(one.get(), "min", sum.size_min);
            json_add_u64(one.get(), "max", sum.size_max);
        }
        json_append(list, std::move(one));
    }
    return tree;
}

error bucket_sums_parse(std::string_view text, bucket_sums &out_sums)
{
    json_ptr tree;
    std::string where;
    if (error err = json_parse(text, tree, where))
        return err;
    const cJSON *list = json_get(tree.get(), "buckets");
    if (!cJSON_IsArray(list))
        return make_error(error_code::bad_json);
    const cJSON *one = nullptr;
    cJSON_ArrayForEach(one, list)
    {
        std::string name;
        bucket_sum sum;
        if (!json_read_text(one, "name", bucket_name_size_max, name) || !json_read_u64(one, "objects", sum.objects) ||
            !json_read_u64(one, "bytes", sum.bytes))
            return make_error(error_code::bad_json);
        sum.has_range = json_read_u64(one, "min", sum.size_min) && json_read_u64(one, "max", sum.size_max);
        out_sums[name] = sum;
    }
    return no_error;
}

} // namespace etlnode
