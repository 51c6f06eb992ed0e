// SPDX-License-Identifier: MIT
// store/object_extras.h: what is kept beside an object's content: one text in its row (index_row.custom).
//
// Copies between targets, backups and rebalances carry the text as it is; only the owner of an object changes it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace etlnode {

inline constexpr size_t object_extras_size_max = 16 * 1024; // of the text
inline constexpr size_t object_custom_count_max = 64;       // each is a header of its own, of which many clients read a hundred at most

struct object_extras {
    std::string made_from;                        // what a job made the object from; empty: no job did
    std::map<std::string, std::string> custom;    // a user's metadata
    std::string checksum_type, checksum_value;    // the sender's, if it was of another type than the store's; in lower case
    uint64_t chunk_count = 0, chunk_size_max = 0; // of a multipart upload; 0: it was none
};

// Empty if there is nothing to keep.
std::string object_extras_print(const object_extras &extras);
// A text that an earlier version wrote is what a job made the object from. A text that cannot be read counts as that, too.
object_extras object_extras_parse(std::string_view text);
// Why a user's metadata cannot be kept: as headers of answers, names must be tokens without '=' and values must have no control bytes.
// Null: it can.
const char *object_extras_check_custom(std::string_view key, std::string_view value);

// What the extras of `text` are once a copy of the object has been made by a job: the job's note takes the place of the former one.
std::string object_extras_of_copy(std::string_view text, std::string_view made_from);

} // namespace etlnode
