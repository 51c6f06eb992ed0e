// SPDX-License-Identifier: MIT
// etlctl/glob.h: patterns of names, and the filter that --include and --exclude make. Pure.
//
// `*` stands for any characters except '/', `?` for one of them, `[a-z]` and `[!a-z]` for one of a set; `**` stands for '/' too, and `**/`
// also for nothing. A backslash takes the next character as it is. Matching takes time proportional to both lengths, whatever the pattern.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace etlnode::etlctl {

enum class glob_kind : uint8_t { character, any, set, star, star_star, folders };

struct glob_token {
    glob_kind kind = glob_kind::character;
    std::string character = {};                          // its bytes
    std::vector<std::pair<uint32_t, uint32_t>> set = {}; // ranges of code points
    bool is_negated = false;
};

struct glob {
    std::vector<glob_token> tokens;
    std::string literal;  // the text before the first token that is not a character
    bool is_plain = true; // nothing but characters
};

// False with a reason: an open '[', an empty set, a lonely backslash at the end.
bool glob_parse(std::string_view text, glob &out_glob, std::string &out_why);
bool glob_match(const glob &pattern, std::string_view name);
// Whether the text has a character that is special in a pattern.
bool glob_is_pattern(std::string_view text);

// A pattern with a '/' means the whole name below the folder, any other the last part of it. One that matches a folder means everything in
// it; with a '/' at its end it matches folders only.
struct filter_pattern {
    glob pattern;
    bool is_whole = false;
    bool is_folder = false;
};

struct name_filter {
    std::vector<filter_pattern> included; // empty: all names
    std::vector<filter_pattern> excluded;
};

bool filter_add(std::vector<filter_pattern> &list, std::string_view text, std::string &out_why);
// Whether the filter lets this name pass. It is relative to the folder.
bool filter_takes(const name_filter &filter, std::string_view name);
// Whether it lets nothing of this folder pass, because the folder itself is excluded. Without a '/' at the end.
bool filter_prunes(const name_filter &filter, std::string_view folder);

} // namespace etlnode::etlctl
