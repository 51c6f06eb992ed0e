// SPDX-License-Identifier: MIT
// control/capacity.h: what a node holds, how full its disk is and which version it runs: a part of every registration. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "codec/json.h"
#include "port/disk.h"

namespace etlnode {

// In tenths of a percent of what may be used, as df(1) counts: used / (used + free), rounded up. 0 for a disk of no size.
uint64_t space_used_permille(const disk_space &space);
// "95.2%"
std::string space_used_text(const disk_space &space);

// low: fewer than out_of_space_warning points below the limit. full: at the limit or above it; never if that is 100 percent.
enum class space_state : uint8_t { ok, low, full };
inline constexpr std::string_view space_state_names[] = {"ok", "low", "full"};
space_state space_judge(const disk_space &space, uint64_t limit_percent);
// How many bytes may be written before the disk is at the limit.
uint64_t space_room(const disk_space &space, uint64_t limit_percent);

struct node_capacity {
    std::string version = {}; // of the program; empty: unknown
    std::string machine = {}; // where it runs; nodes of one machine may share a disk
    bool is_known = false;
    uint64_t bytes = 0; // of its objects; their number is registered apart from this
    bool is_disk_known = false;
    disk_space disk = {};
    uint64_t out_of_space = 0; // percent: from there on it refuses writes
};

// {"version","machine","bytes","disk":{"id","size","used","free","out_of_space"}}
json_ptr capacity_json(const node_capacity &capacity);
// `tree` null: a node of a former version, which does not report it. Fails with the name of the field that is wrong in `out_where`.
error capacity_parse(const cJSON *tree, node_capacity &out_capacity, std::string &out_where);

} // namespace etlnode
