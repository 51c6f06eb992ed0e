// SPDX-License-Identifier: MIT
// store/content_path.h: the path of the content file with a given id. Ids are assigned in order, and never twice.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace etlnode {

inline constexpr unsigned content_group_count = 256;

// 256 consecutive ids share a directory, so that one batch of moves touches only one or two directories. The groups still fill evenly.
inline unsigned content_group(uint64_t id) { return static_cast<unsigned>(id >> 8) % content_group_count; }

// 16 hex digits.
std::string content_name(uint64_t id);
// Parses only what content_name wrote.
bool content_name_parse(std::string_view name, uint64_t &out_id);

std::string content_temp_dir(const std::string &dir);
std::string content_objects_dir(const std::string &dir);
std::string content_group_dir(const std::string &dir, unsigned group);
std::string content_temp_path(const std::string &dir, uint64_t id);
std::string content_final_path(const std::string &dir, uint64_t id);

} // namespace etlnode
