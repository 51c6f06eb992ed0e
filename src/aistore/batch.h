// SPDX-License-Identifier: MIT
// aistore/batch.h: get-batch: many objects, parts of them or members of archives, in one archive. What clients send and get.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace etlnode {

inline constexpr std::string_view path_batch = "/v1/ml/moss";

struct batch_member {
    std::string bucket, name;
    std::string archpath; // a member of that object; empty: the object
    std::string opaque;   // base64, as it was sent
    uint64_t start = 0;
    uint64_t length = UINT64_MAX; // to the end
    // Of the answer.
    uint64_t size = 0;
    std::string problem;
};
struct batch {
    std::vector<batch_member> items;
    std::string mime = ".tar";
    bool continues = false;   // an item that is missing is an empty file below __404__/
    bool only_names = false;  // without the bucket
    bool is_streamed = false; // the archive alone; otherwise with the facts of its items before it
};

// `bucket`: of items that name none.
error batch_parse(std::string_view body, std::string_view bucket, batch &out_batch, std::string &out_text);
// The name of an item in the archive.
std::string batch_name(const batch &b, const batch_member &item);
// {"uuid","out":[...]}, in the order of the items.
std::string batch_metadata(const batch &b, std::string_view id);

} // namespace etlnode
