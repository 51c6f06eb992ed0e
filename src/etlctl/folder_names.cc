// SPDX-License-Identifier: MIT
// etlctl/folder_names.cc: checks names that become paths, and quotes names for lists.
#include "etlctl/folder_names.h"

#include "base/text.h"

namespace etlnode::etlctl {

bool folder_is_part(std::string_view file_name)
{
    return file_name.size() > folder_part_prefix.size() + folder_part_suffix.size() && file_name.starts_with(folder_part_prefix) &&
           file_name.ends_with(folder_part_suffix);
}

const char *folder_check_path(std::string_view name)
{
    if (name.empty())
        return "the name is empty";
    if (name.find('\0') != std::string_view::npos)
        return "the name contains a NUL byte";
    while (true) {
        size_t slash = name.find('/');
        std::string_view part = name.substr(0, slash);
        if (part.empty())
            return "a part of the name between slashes is empty, which no path can be";
        if (part == "." || part == "..")
            return "the name has a component . or .., so it could leave the folder";
        if (folder_is_part(part))
            return "the name is one of etlctl's own temporary files";
        if (slash == std::string_view::npos)
            return nullptr;
        name.remove_prefix(slash + 1);
    }
}

static bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

static bool needs_quotes(std::string_view name)
{
    if (name.empty() || name.front() == '"' || name.front() == ' ' || name.back() == ' ')
        return true;
    for (char c : name)
        if (is_control(c))
            return true;
    return !text_is_utf8(name);
}

std::string folder_name_to_line(std::string_view name)
{
    if (!needs_quotes(name))
        return std::string(name);
    bool is_utf8 = text_is_utf8(name);
    std::string line = "\"";
    for (char c : name) {
        if (c == '"' || c == '\\')
            line.append("\\").push_back(c);
        else if (c == '\n')
            line += "\\n";
        else if (is_control(c) || (!is_utf8 && static_cast<unsigned char>(c) >= 0x80))
            line += text_format("\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
        else
            line += c;
    }
    return line + "\"";
}

bool folder_name_from_line(std::string_view line, std::string &out_name)
{
    out_name.clear();
    if (line.ends_with('\r'))
        line.remove_suffix(1);
    if (!line.starts_with('"')) {
        out_name = line;
        return true;
    }
    for (size_t i = 1; i < line.size(); ++i) {
        if (line[i] == '"')
            return i + 1 == line.size();
        if (line[i] != '\\') {
            out_name += line[i];
            continue;
        }
        ++i;
        if (i + 2 < line.size() && line[i] == 'x' && text_hex_digit(line[i + 1]) >= 0 && text_hex_digit(line[i + 2]) >= 0) {
            out_name += static_cast<char>(text_hex_digit(line[i + 1]) * 16 + text_hex_digit(line[i + 2]));
            i += 2;
        } else if (i < line.size() && line[i] == 'n') {
            out_name += '\n';
        } else if (i < line.size() && (line[i] == '"' || line[i] == '\\')) {
            out_name += line[i];
        } else {
            return false;
        }
    }
    return false;
}

std::string folder_prefix(std::string_view object)
{
    std::string prefix(object);
    if (!prefix.empty() && prefix.back() != '/')
        prefix += '/';
    return prefix;
}

} // namespace etlnode::etlctl
