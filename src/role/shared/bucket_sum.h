// SPDX-License-Identifier: MIT
// role/shared/bucket_sum.h: what the objects of buckets amount to: made by targets, added up by the proxy. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "codec/json.h"

namespace etlnode {

struct bucket_sum {
    uint64_t objects = 0;
    uint64_t bytes = 0;
    // Sizes of the smallest and the largest object; known only after a walk.
    bool has_range = false;
    uint64_t size_min = 0;
    uint64_t size_max = 0;
};
using bucket_sums = std::map<std::string, bucket_sum>; // by bucket

void bucket_sum_add_object(bucket_sum &sum, uint64_t size);
// Adds what another target has.
void bucket_sums_add(bucket_sums &sums, const bucket_sums &more);
// {"buckets":[{"name","objects","bytes","min","max"}]}
json_ptr bucket_sums_json(const bucket_sums &sums);
error bucket_sums_parse(std::string_view text, bucket_sums &out_sums);

} // namespace etlnode
