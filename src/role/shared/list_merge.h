// SPDX-License-Identifier: MIT
// role/shared/list_merge.h: merges the targets' pages of object names into one page, and reads a client's request for a listing.
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
inline constexpr uint64_t list_request_archives = 1u << 3; // also the members of archives
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
// Reads the `value` of an action envelope (null: all defaults). Refused with bad_request or not_implemented, and a text for the user.
error list_request_read(const cJSON *value, list_request &out_request, std::string &out_reason);

// Every page is sorted and contains the first entries after the same name; each target was asked for `page_size` entries. A target may
// return fewer and a token: its entries are complete up to there, and so is the merged page. It has a token exactly if it is full or a
// page had one. A directory that several targets return appears once; an object hides a member of an archive that has the same name.
list_page list_merge(std::vector<list_page> &pages, size_t page_size);
// While objects move, a name may be on several targets in several versions, also as a tombstone. All targets are asked twice, the second
// time after the first has ended, because one round may miss an object that moves meanwhile. `pages` are the answers of both rounds.
// Returns the highest version of each name, tombstones included, in order. The result is complete up to `out_end`; empty: to the last name.
std::vector<list_entry> list_merge_versions(std::vector<list_page> &pages, std::string &out_end);
// A page that is collected from several such results.
struct list_collection {
    list_page page;       // full exactly if its token is set
    std::string after;    // where the next result must begin
    bool is_done = false; // the page is full, or nothing follows
    bool is_flat = false; // one level only
    std::string prefix;
    size_t page_size = 0;
};
void list_collect(list_collection &collection, std::vector<list_entry> &merged, const std::string &end);
// Removes what was not requested, and sets the flags that AIStore's clients expect.
void list_page_trim(list_page &page, const list_request &request);

// On a target: collapses names more than one level below `prefix` into a directory entry.
// Returns the directory ("prefix/sub/") that contains `name`, or an empty view if the name is on the level itself.
std::string_view list_directory_of(std::string_view prefix, std::string_view name);
// Where to continue after `name`: behind all of its contents if it is a directory.
std::string list_skip_after(std::string_view prefix, std::string_view name);

} // namespace etlnode
