// SPDX-License-Identifier: MIT
// etlctl/folder_names.h: names of objects as paths below a folder, and as lines of a file. Pure.
#pragma once

#include <string>
#include <string_view>

namespace etlnode::etlctl {

// Files of this form are left-overs of a read that was killed. They are never taken for data.
inline constexpr std::string_view folder_part_prefix = ".etlctl-";
inline constexpr std::string_view folder_part_suffix = ".part";
bool folder_is_part(std::string_view file_name);

// Null if the name, relative to a folder, can be a path below it; otherwise static text that says why not.
const char *folder_check_path(std::string_view name);

// One name as one line, without the end of line. It is in quotes, with escapes as in C, if it has control bytes or a line could be
// misread; otherwise it stays as it is.
std::string folder_name_to_line(std::string_view name);
// False if quotes or escapes are wrong.
bool folder_name_from_line(std::string_view line, std::string &out_name);

// "b/p" means the folder "p/" of a bucket: the prefix of its objects. "" stays "".
std::string folder_prefix(std::string_view object);

} // namespace etlnode::etlctl
