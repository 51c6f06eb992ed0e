// SPDX-License-Identifier: MIT
// codec/source_location.h: the position of an error in a text, as an editor shows it. For the readers of this folder.
#pragma once

#include <cstddef>
#include <string_view>

namespace etlnode {

// Line and column (in characters) of a byte offset, both from 1.
void source_location_find(std::string_view text, size_t offset, size_t &out_line, size_t &out_column);
// Number of bytes before the first one that is not UTF-8.
size_t source_location_utf8_size(std::string_view text);
// Finds the first tab in the leading blanks of `line` (from 1); false if there is none.
bool source_location_find_tab(std::string_view text, size_t line, size_t &out_line, size_t &out_column);

} // namespace etlnode
