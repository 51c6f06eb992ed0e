// SPDX-License-Identifier: MIT
// sm/sm_names.h: the names of an enumeration's values, taken from the compiler. The enumeration itself is their only list.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

namespace etlnode {

// How the compiler spells `value`: "etl::state::serving", or "(etl::state)23" if no enumerator has it. gcc ends it with ';' or ']', clang
// with ']'.
template <auto value> constexpr std::string_view sm_spelling()
{
    std::string_view text = __PRETTY_FUNCTION__;
    text.remove_prefix(text.find("value = ") + std::string_view("value = ").size());
    return text.substr(0, text.find_first_of(";]"));
}

template <class E, size_t index> constexpr bool sm_is_enumerator()
{
    return sm_spelling<static_cast<E>(index)>().find('(') == std::string_view::npos;
}

// How many enumerators E has; they are dense, from 0.
template <class E, size_t from = 0> constexpr size_t sm_count_of()
{
    if constexpr (!sm_is_enumerator<E, from>())
        return from;
    else
        return sm_count_of<E, from + 1>();
}
template <class E> inline constexpr size_t sm_count = sm_count_of<E>();

// Static text that ends with a NUL.
template <auto value> struct sm_enumerator {
    static constexpr std::string_view spelling = sm_spelling<value>();
    static constexpr std::string_view name = spelling.substr(spelling.rfind(':') + 1);
    static constexpr auto text = [] {
        std::array<char, name.size() + 1> out{};
        for (size_t i = 0; i < name.size(); i++)
            out[i] = name[i];
        return out;
    }();
};

template <class E, size_t... index> constexpr std::array<const char *, sizeof...(index)> sm_names_of(std::index_sequence<index...>)
{
    return {sm_enumerator<static_cast<E>(index)>::text.data()...};
}
// Indexed by value.
template <class E> inline constexpr auto sm_names = sm_names_of<E>(std::make_index_sequence<sm_count<E>>());
template <class E> constexpr const char *sm_name(E value) { return sm_names<E>[static_cast<size_t>(value)]; }

} // namespace etlnode
