// SPDX-License-Identifier: MIT
// job/archive_order.h: what an archive is to be made of: the options of a job of the kind "archive".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"

namespace etlnode {

inline constexpr const char *archive_kind = "archive";

struct archive_order {
    std::vector<std::string> names; // of the members, in their order
    std::string to_bucket, to_name; // the archive
    std::string mime;               // ".tar" and so on
    std::string at;                 // the target that makes it
    bool with_bucket = false;       // members are named BUCKET/OBJECT
    bool appends = false;           // to the archive, if there is one
    bool continues = false;         // a member that is missing counts as failed, and the archive is made without it
};

// What is wrong with the options; empty: nothing.
std::string archive_order_read(const cJSON *options, archive_order &out_order);

} // namespace etlnode
