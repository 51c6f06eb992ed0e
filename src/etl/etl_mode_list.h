// SPDX-License-Identifier: MIT
// etl/etl_mode_list.h: the names of all modes as people list them, put together at compile time for error texts and help.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "node/api.h"

namespace etlnode {

constexpr std::string_view etl_mode_listed(size_t i, bool has_scheme)
{
    std::string_view name = etl_mode_names[i];
    return has_scheme ? name : name.substr(0, name.find(':'));
}

constexpr std::string_view etl_mode_listed_behind(size_t i)
{
    size_t left = std::size(etl_mode_names) - 1 - i;
    return left == 0 ? "" : left == 1 ? " or " : ", ";
}

constexpr size_t etl_mode_list_size(bool has_scheme)
{
    size_t size = 0;
    for (size_t i = 0; i < std::size(etl_mode_names); i++)
        size += etl_mode_listed(i, has_scheme).size() + etl_mode_listed_behind(i).size();
    return size;
}

// With a NUL at its end.
template <bool has_scheme, size_t suffix_size> constexpr auto etl_mode_list_make(const char (&suffix)[suffix_size])
{
    std::array<char, etl_mode_list_size(has_scheme) + suffix_size> out{};
    size_t at = 0;
    auto add = [&](std::string_view text) {
        for (char c : text)
            out[at++] = c;
    };
    for (size_t i = 0; i < std::size(etl_mode_names); i++) {
        add(etl_mode_listed(i, has_scheme));
        add(etl_mode_listed_behind(i));
    }
    add(suffix);
    return out;
}

inline constexpr auto etl_mode_list_text = etl_mode_list_make<true>("");
inline constexpr std::string_view etl_mode_list = etl_mode_list_text.data(); // "a://, b:// or c://"

} // namespace etlnode
