// SPDX-License-Identifier: MIT
// codec/yaml_print.cc: prints JSON trees as block-style YAML.
//
// Owns     nothing.
// Knows    base, json, yaml_scalar.  Known by  etlctl.
// Order    a text is plain where every reader takes it for text, a literal block if it has several lines, and double-quoted otherwise.
#include <cstdint>

#include "base/text.h"
#include "codec/yaml.h"
#include "codec/yaml_scalar.h"

namespace etlnode {

// Size and code point of the character at the start of `text`. Requires: not empty. A byte that is not UTF-8 counts as one character.
static size_t next_character(std::string_view text, uint32_t &out_point)
{
    uint8_t first = static_cast<uint8_t>(text[0]);
    size_t size = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (size == 1 || text.size() < size || !text_is_utf8(text.substr(0, size))) {
        out_point = size == 1 ? first : 0xfffd;
        return 1;
    }
    out_point = first & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++)
        out_point = out_point << 6 | (static_cast<uint8_t>(text[i]) & 0x3f);
    return size;
}

// Characters that YAML cannot hold outside double quotes, or that it takes for a line end.
static bool needs_escape(uint32_t point)
{
    bool is_control = point < 0x20 || (point >= 0x7f && point < 0xa0);
    return is_control || point == 0x2028 || point == 0x2029 || point == 0xfeff || point == 0xfffe || point == 0xffff;
}

static void print_quoted(std::string &out, std::string_view text)
{
    out += '"';
    while (!text.empty()) {
        uint32_t point = 0;
        size_t size = next_character(text, point);
        if (point == '"' || point == '\\')
            (out += '\\') += text[0];
        else if (point == '\n')
            out += "\\n";
        else if (point == '\t')
            out += "\\t";
        else if (needs_escape(point) || (point == 0xfffd && size == 1))
            out += text_format(point < 0x100 ? "\\x%02x" : "\\u%04x", point);
        else
            out += text.substr(0, size);
        text.remove_prefix(size);
    }
    out += '"';
}

static bool has_escapes(std::string_view text, bool line_ends_allowed)
{
    while (!text.empty()) {
        uint32_t point = 0;
        size_t size = next_character(text, point);
        if ((needs_escape(point) && !(point == '\n' && line_ends_allowed) && point != '\t') || (point == 0xfffd && size == 1))
            return true;
        text.remove_prefix(size);
    }
    return false;
}

// Readers of other YAML versions take these for base-60 numbers, dates or octal numbers.
static bool may_be_taken_for_a_number(std::string_view text)
{
    if (!(text[0] >= '0' && text[0] <= '9') && text[0] != '-' && text[0] != '+' && text[0] != '.')
        return false;
    return text.find_first_not_of("0123456789+-:_.eETtZz xXoO") == std::string_view::npos &&
           text.find_first_of(":-_xXoOeE") != std::string_view::npos;
}

static bool is_plain(std::string_view text)
{
    if (text.empty() || yaml_scalar_resolve(text).type != yaml_type::text || text == "<<" || text == "=" || may_be_taken_for_a_number(text))
        return false;
    if (text.find_first_of("\t\n") != std::string_view::npos || has_escapes(text, false))
        return false;
    if (text.front() == ' ' || text.back() == ' ' || text.back() == ':' || text.starts_with("---") || text.starts_with("..."))
        return false;
    if (std::string_view("#,[]{}&*!|>'\"%@`").find(text[0]) != std::string_view::npos)
        return false;
    if ((text[0] == '-' || text[0] == '?' || text[0] == ':') && (text.size() == 1 || text[1] == ' '))
        return false;
    return text.find(": ") == std::string_view::npos && text.find(" #") == std::string_view::npos;
}

// Whether a literal block can hold this text of several lines unchanged.
static bool is_block(std::string_view text)
{
    size_t first = text.find('\n');
    if (first == std::string_view::npos || first == 0 || text[0] == ' ' || text[0] == '\t' || has_escapes(text, true))
        return false;
    return text.find_first_not_of("\n ") != std::string_view::npos && text.find(" \n") == std::string_view::npos && text.back() != ' ';
}

static void print_block(std::string &out, std::string_view text, size_t indent)
{
    bool ends = text.ends_with('\n');
    bool ends_twice = text.ends_with("\n\n");
    out += ends_twice ? "|+\n" : ends ? "|\n" : "|-\n";
    while (!text.empty()) {
        size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        if (!line.empty())
            out.append(indent, ' ') += line;
        out += '\n';
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    }
}

static void print_text(std::string &out, std::string_view text)
{
    if (is_plain(text))
        out += text;
    else
        print_quoted(out, text);
}

static bool is_filled(const cJSON *item) { return (cJSON_IsObject(item) || cJSON_IsArray(item)) && item->child != nullptr; }

// Also ends its last line. `indent` is the parent's; a literal block is indented by two more.
static void print_scalar(std::string &out, const cJSON *item, size_t indent)
{
    if (cJSON_IsString(item) && is_block(item->valuestring)) {
        print_block(out, item->valuestring, indent + 2);
        return;
    }
    if (cJSON_IsString(item))
        print_text(out, item->valuestring);
    else
        out += json_print(item); // numbers, booleans, null, {} and []
    out += '\n';
}

static void print_items(std::string &out, const cJSON *container, size_t indent, bool first_is_placed);

// Prints a value after "key:" or "-".
static void print_value(std::string &out, const cJSON *item, size_t indent, bool in_list)
{
    if (!is_filled(item)) {
        out += ' ';
        print_scalar(out, item, indent);
    } else if (in_list) {
        out += ' ';
        print_items(out, item, indent + 2, true);
    } else {
        out += '\n';
        print_items(out, item, cJSON_IsArray(item) ? indent : indent + 2, false);
    }
}

// `first_is_placed`: the first line is already indented, by "- ".
static void print_items(std::string &out, const cJSON *container, size_t indent, bool first_is_placed)
{
    // A reader looks for the colon of a simple key within 1,024 characters.
    static constexpr size_t simple_key_size_max = 1000;
    bool in_list = cJSON_IsArray(container);
    for (const cJSON *child = container->child; child != nullptr; child = child->next) {
        if (child != container->child || !first_is_placed)
            out.append(indent, ' ');
        if (in_list) {
            out += '-';
        } else {
            std::string key;
            print_text(key, child->string);
            if (key.size() > simple_key_size_max) {
                out += "? " + key + "\n";
                out.append(indent, ' ');
            } else {
                out += key;
            }
            out += ':';
        }
        print_value(out, child, indent, in_list);
    }
}

std::string yaml_print(const cJSON *tree)
{
    std::string out;
    if (is_filled(tree))
        print_items(out, tree, 0, false);
    else
        print_scalar(out, tree, 0);
    return out;
}

} // namespace etlnode
