// SPDX-License-Identifier: MIT
// aistore/bucket_summary.h: what a bucket amounts to, as AIStore's clients read it (source: AIStore cmn/objlist.go, BsummResult). Pure.
#pragma once

#include <cstdint>
#include <string>

#include "codec/json.h"

namespace etlnode {

struct bucket_summary {
    std::string bucket = {};
    uint64_t objects = 0;
    uint64_t bytes = 0;
    uint64_t size_min = 0;
    uint64_t size_max = 0;
    uint64_t disks_size = 0; // of all targets together
};

json_ptr bucket_summary_json(const bucket_summary &summary);

} // namespace etlnode
