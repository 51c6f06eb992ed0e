// SPDX-License-Identifier: MIT
// codec/source_location.cc: converts byte offsets to lines and columns.
//
// Owns     nothing.
// Knows    base.                     Known by  json, yaml.
#include "codec/source_location.h"

#include <cstdint>

#include "base/text.h"

namespace etlnode {

void source_location_find(std::string_view text, size_t offset, size_t &out_line, size_t &out_column)
{
    out_line = out_column = 1;
    for (size_t i = 0; i < offset && i < text.size(); i++) {
        if (text[i] == '\n') {
            out_line++;
            out_column = 1;
        } else if ((static_cast<uint8_t>(text[i]) & 0xc0) != 0x80) {
            out_column++;
        }
    }
}

size_t source_location_utf8_size(std::string_view text)
{
    size_t at = 0;
    while (at < text.size()) {
        uint8_t first = static_cast<uint8_t>(text[at]);
        size_t size = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
        if (!text_is_utf8(text.substr(at, size)))
            break;
        at += size;
    }
    return at;
}

bool source_location_find_tab(std::string_view text, size_t line, size_t &out_line, size_t &out_column)
{
    for (size_t i = 1; i < line; i++) {
        size_t end = text.find('\n');
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    size_t tab = text.find_first_not_of(' ');
    if (tab == std::string_view::npos || text[tab] != '\t')
        return false;
    out_line = line;
    out_column = tab + 1;
    return true;
}

} // namespace etlnode
