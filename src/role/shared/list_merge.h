// SPDX-License-Identifier: MIT
// role/shared/list_merge.h: pages of object names of several targets to one page, and what a client asked of a listing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "aistore/list_page.h"
#include "base/error.h"
#include "codec/json.h"

namespace etlnode {

// Bits of a request's `flags` (source: AIStore api/apc/lsmsg.go).
inline constexpr uint64_t list_request_archives = 1u << 3; // the members of archives, too
inline constexpr uint64_t list_request_name_only = 1u << 4;
inline constexpr uint64_t list_request_name_size = 1u << 5;
inline constexpr uint64_t list_request_not_cached = 1u << 9;
inline constexpr uint64_t list_request_no_recursion = 1u << 11;

struct list_request {
    std::string prefix;
    std::string after; // continuation token, or start_after on the first page
    std::string uuid;
    std::string target;   // only this target's objects
    size_t page_size = 0; // 1 .. list_page_size_max
    uint64_t flags = 0;
    bool wants_size = true;
    bool wants_checksum = false, wants_version = false, wants_atime = false, wants_location = false, wants_custom = false,
         wants_copies = false;
};
// From the `value` of an action envelope (null: all defaults). Refused with bad_request or not_implemented, and words for the user.
error list_request_read(const cJSON *value, list_request &out_request, std::string &out_reason);

// Every page is in order and holds the first entries after the same name; `page_size` is what each target was asked for. The merged page
// is full exactly when its token is set. Directories of several targets become one.
list_page list_merge(std::vector<list_page> &pages, size_t page_size);
// Takes out what was not asked for and sets the flags that AIStore's clients expect.
void list_page_trim(list_page &page, const list_request &request);

// On a target: collapses names below `prefix` + one level into a directory entry. `rows_after` for the next page of rows when all that follow
// lie inside a directory.
// Returns the directory ("prefix/sub/") that holds `name`, or an empty view when the name lies on the level itself.
std::string_view list_directory_of(std::string_view prefix, std::string_view name);
// Where to go on after `name`: past all of it when it is a directory.
std::string list_skip_after(std::string_view prefix, std::string_view name);

} // namespace etlnode
