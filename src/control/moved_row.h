// SPDX-License-Identifier: MIT
// control/moved_row.h: rows of the index as targets tell them each other while objects move (docs/PROTOCOL.md, "Between nodes").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "codec/json.h"
#include "port/index.h"

namespace etlnode {

// Everything that a copy keeps: bucket, name, version, tag, size, checksum, times, metadata; not where the content is. Names and metadata
// are base64, because they are bytes.
json_ptr moved_row_print(const index_row &row);
// bad_json: a field is missing, out of range, or a name that cannot be.
error moved_row_parse(const cJSON *tree, index_row &out_row);

// A batch of moves: for each item its row in JSON, which ends with a line feed, and then `size` bytes of content.
struct moved_item {
    index_row row;           // its content, if any, is here
    uint64_t created_ns = 0; // of the bucket at the sender
};
void moved_item_append(std::string &batch, const moved_item &item);
// Takes the first item off `rest`.
error moved_item_take(std::string_view &rest, moved_item &out_item);

// Of two copies of an object, whether `a` is newer than `b` (version 0: none).
inline bool moved_row_is_newer(const index_row &a, const index_row &b)
{
    return a.version > b.version || (a.version == b.version && a.tag > b.tag);
}

} // namespace etlnode
