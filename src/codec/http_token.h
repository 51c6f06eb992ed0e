// SPDX-License-Identifier: MIT
// codec/http_token.h: character classes and limits that heads and chunked bodies share.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace etlnode {

// Limit of a body or a chunk: a larger size does not fit a signed offset.
inline constexpr uint64_t http_length_max = INT64_MAX;

// Characters of a token (RFC 9110 5.6.2): header names.
constexpr std::array<bool, 256> http_make_token_table()
{
    std::array<bool, 256> table{};
    for (size_t c = 0; c < 256; c++)
        table[c] = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    for (char c : std::string_view("!#$%&'*+-.^_`|~"))
        table[static_cast<uint8_t>(c)] = true;
    return table;
}
inline constexpr std::array<bool, 256> http_token_table = http_make_token_table();

inline bool http_is_token(char c) { return http_token_table[static_cast<uint8_t>(c)]; }

} // namespace etlnode
