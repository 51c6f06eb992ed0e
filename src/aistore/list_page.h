// SPDX-License-Identifier: MIT
// aistore/list_page.h: a page of object names on the wire: MessagePack for AIStore's SDK, JSON for its Go clients
// (source: AIStore api/apc/lsmsg.go and cmn/objlist.go; see docs/PROTOCOL.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace etlnode {

inline constexpr uint16_t list_flag_cached = 1u << 6;
inline constexpr uint16_t list_flag_in_archive = 1u << 7;
inline constexpr uint16_t list_flag_directory = 1u << 8;
inline constexpr uint16_t list_flag_archive = 1u << 9;    // its members are listed; they have it too, as AIStore's have
inline constexpr uint16_t list_flag_tombstone = 1u << 15; // only between nodes: the object was deleted, at this version

struct list_entry {
    std::string name;
    std::string checksum; // 16 hex digits; empty: not requested
    std::string atime;
    std::string version;
    std::string location;
    std::string custom;
    uint64_t size = 0;
    uint16_t copies = 0;
    uint16_t flags = 0;
};

struct list_page {
    std::string uuid;
    std::string token; // last name of the page if more may follow, else empty
    std::vector<list_entry> entries;
    uint32_t flags = 0;
};

// Map keys UUID, ContinuationToken, Entries, Flags; entries n, cs, a, v, t, m, s, c, f. Empty values are omitted.
std::string list_page_msgpack(const list_page &page);
std::string list_page_json(const list_page &page);
// Parses what list_page_msgpack wrote (targets answer the proxy with it); bad_request for anything else.
error list_page_parse_msgpack(std::string_view bytes, list_page &out_page);

} // namespace etlnode
