// SPDX-License-Identifier: MIT
// etlctl/glob.cc: parses patterns, and runs them as sets of positions, so that no pattern takes exponential time.
#include "etlctl/glob.h"

#include "base/text.h"

namespace etlnode::etlctl {

// The first character of a text that is not empty. A byte that is not UTF-8 is a character of its own, above all others.
static std::string_view first_character(std::string_view text)
{
    size_t size = text_utf8_size(text);
    return text.substr(0, size == 0 ? 1 : size);
}

static uint32_t code_of(std::string_view character)
{
    auto byte = [character](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(character[i])); };
    if (character.size() == 1)
        return byte(0) < 0x80 ? byte(0) : 0x110000 + byte(0);
    uint32_t code = byte(0) & (0xffu >> (character.size() + 1));
    for (size_t i = 1; i < character.size(); ++i)
        code = code << 6 | (byte(i) & 0x3f);
    return code;
}

static std::string_view take_character(std::string_view &in_out_text)
{
    std::string_view character = first_character(in_out_text);
    in_out_text.remove_prefix(character.size());
    return character;
}

// `in_out_text` begins behind '['. As in shells, a ']' that comes first is a member.
static bool parse_set(std::string_view &in_out_text, glob_token &out_token)
{
    out_token.kind = glob_kind::set;
    if (in_out_text.starts_with('!') || in_out_text.starts_with('^')) {
        out_token.is_negated = true;
        in_out_text.remove_prefix(1);
    }
    for (bool is_first = true; !in_out_text.empty(); is_first = false) {
        if (in_out_text.front() == ']' && !is_first) {
            in_out_text.remove_prefix(1);
            return true;
        }
        if (in_out_text.front() == '\\' && in_out_text.size() > 1)
            in_out_text.remove_prefix(1);
        uint32_t from = code_of(take_character(in_out_text));
        uint32_t to = from;
        if (in_out_text.size() > 1 && in_out_text[0] == '-' && in_out_text[1] != ']') {
            in_out_text.remove_prefix(1);
            if (in_out_text.front() == '\\' && in_out_text.size() > 1)
                in_out_text.remove_prefix(1);
            to = code_of(take_character(in_out_text));
        }
        out_token.set.emplace_back(from, to);
    }
    return false;
}

static void parse_stars(std::string_view &in_out_text, bool is_at_start, glob_token &out_token)
{
    size_t count = in_out_text.find_first_not_of('*');
    count = count == std::string_view::npos ? in_out_text.size() : count;
    in_out_text.remove_prefix(count);
    out_token.kind = count == 1 ? glob_kind::star : glob_kind::star_star;
    if (count > 1 && is_at_start && in_out_text.starts_with('/')) {
        in_out_text.remove_prefix(1);
        out_token.kind = glob_kind::folders;
    }
}

bool glob_parse(std::string_view text, glob &out_glob, std::string &out_why)
{
    out_glob = glob{};
    std::string_view rest = text;
    while (!rest.empty()) {
        glob_token token;
        bool is_at_start = rest.size() == text.size() || text[text.size() - rest.size() - 1] == '/';
        char c = rest.front();
        if (c == '*') {
            parse_stars(rest, is_at_start, token);
        } else if (c == '?') {
            token.kind = glob_kind::any;
            rest.remove_prefix(1);
        } else if (c == '[') {
            rest.remove_prefix(1);
            if (!parse_set(rest, token)) {
                out_why = text_format("the pattern \"%s\" has a [ without its ]", text_escape(text).c_str());
                return false;
            }
        } else {
            if (c == '\\' && rest.size() == 1) {
                out_why = text_format("the pattern \"%s\" ends with a backslash", text_escape(text).c_str());
                return false;
            }
            if (c == '\\')
                rest.remove_prefix(1);
            token.character = take_character(rest);
        }
        out_glob.is_plain = out_glob.is_plain && token.kind == glob_kind::character;
        if (out_glob.is_plain)
            out_glob.literal += token.character;
        out_glob.tokens.push_back(std::move(token));
    }
    return true;
}

bool glob_is_pattern(std::string_view text) { return text.find_first_of("*?[\\") != std::string_view::npos; }

// The positions in the pattern that a part of the name can have led to.
using positions = std::vector<bool>;

// Enters a position. Those that may stand for nothing are left at once, too.
static void enter(const glob &pattern, positions &at, size_t i)
{
    while (!at[i]) {
        at[i] = true;
        bool may_be_nothing = i < pattern.tokens.size() &&
                              (pattern.tokens[i].kind == glob_kind::star || pattern.tokens[i].kind == glob_kind::star_star);
        bool is_folders = i < pattern.tokens.size() && pattern.tokens[i].kind == glob_kind::folders;
        if (!may_be_nothing && !is_folders)
            return;
        ++i;
    }
}

static bool is_in_set(const glob_token &token, std::string_view character)
{
    uint32_t code = code_of(character);
    bool is_in = false;
    for (const auto &[from, to] : token.set)
        is_in = is_in || (code >= from && code <= to);
    return is_in != token.is_negated;
}

static void step(const glob &pattern, size_t i, std::string_view character, positions &next)
{
    const glob_token &token = pattern.tokens[i];
    bool is_slash = character == "/";
    switch (token.kind) {
    case glob_kind::character:
        if (character == token.character)
            enter(pattern, next, i + 1);
        break;
    case glob_kind::any:
        if (!is_slash)
            enter(pattern, next, i + 1);
        break;
    case glob_kind::set:
        if (!is_slash && is_in_set(token, character))
            enter(pattern, next, i + 1);
        break;
    case glob_kind::star:
        if (!is_slash)
            enter(pattern, next, i);
        break;
    case glob_kind::star_star: enter(pattern, next, i); break;
    case glob_kind::folders: // ends only behind a '/'
        if (is_slash)
            enter(pattern, next, i + 1);
        next[i] = true;
        break;
    }
}

bool glob_match(const glob &pattern, std::string_view name)
{
    if (!name.starts_with(pattern.literal))
        return false;
    if (pattern.is_plain)
        return name == pattern.literal;
    positions at(pattern.tokens.size() + 1);
    enter(pattern, at, 0);
    while (!name.empty()) {
        std::string_view character = take_character(name);
        positions next(pattern.tokens.size() + 1);
        for (size_t i = 0; i < pattern.tokens.size(); ++i)
            if (at[i])
                step(pattern, i, character, next);
        at.swap(next);
    }
    return at[pattern.tokens.size()];
}

bool filter_add(std::vector<filter_pattern> &list, std::string_view text, std::string &out_why)
{
    filter_pattern pattern;
    pattern.is_folder = text.ends_with('/');
    if (pattern.is_folder)
        text.remove_suffix(1);
    pattern.is_whole = text.find('/') != std::string_view::npos;
    if (text.starts_with('/'))
        text.remove_prefix(1);
    if (text.empty()) {
        out_why = "an empty pattern matches nothing";
        return false;
    }
    if (!glob_parse(text, pattern.pattern, out_why))
        return false;
    list.push_back(std::move(pattern));
    return true;
}

static bool matches(const std::vector<filter_pattern> &list, std::string_view name, bool is_folder)
{
    std::string_view last = name.substr(name.rfind('/') + 1); // npos + 1 is 0
    for (const filter_pattern &p : list)
        if ((is_folder || !p.is_folder) && glob_match(p.pattern, p.is_whole ? name : last))
            return true;
    return false;
}

static bool matches_with_folders(const std::vector<filter_pattern> &list, std::string_view name)
{
    for (size_t slash = name.find('/'); slash != std::string_view::npos; slash = name.find('/', slash + 1))
        if (matches(list, name.substr(0, slash), true))
            return true;
    return matches(list, name, false);
}

bool filter_takes(const name_filter &filter, std::string_view name)
{
    bool is_included = filter.included.empty() || matches_with_folders(filter.included, name);
    return is_included && (filter.excluded.empty() || !matches_with_folders(filter.excluded, name));
}

bool filter_prunes(const name_filter &filter, std::string_view folder) { return matches(filter.excluded, folder, true); }

} // namespace etlnode::etlctl
