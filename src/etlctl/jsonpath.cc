// SPDX-License-Identifier: MIT
// etlctl/jsonpath.cc: parses a template by recursive descent, and walks the document with sets of values.
#include "etlctl/jsonpath.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace etlnode::etlctl {

static constexpr size_t ranges_max = 16; // in one another

struct reader {
    std::string_view text;
    size_t at = 0;
    std::string why;
    size_t depth = 0;
};

static bool is_wrong(reader &r, const char *why)
{
    if (r.why.empty())
        r.why = text_format("%s, at character %zu", why, r.at + 1);
    return false;
}

static bool is_next(const reader &r, std::string_view what) { return r.text.substr(r.at).starts_with(what); }

static bool take(reader &r, std::string_view what)
{
    bool is_there = is_next(r, what);
    r.at += is_there ? what.size() : 0;
    return is_there;
}

static void skip_spaces(reader &r)
{
    while (r.at < r.text.size() && (r.text[r.at] == ' ' || r.text[r.at] == '\t'))
        ++r.at;
}

static bool read_quoted(reader &r, std::string &out)
{
    char quote = r.text[r.at++];
    out.clear();
    while (r.at < r.text.size() && r.text[r.at] != quote) {
        char c = r.text[r.at++];
        if (c == '\\' && r.at < r.text.size()) {
            char escaped = r.text[r.at++];
            c = escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped == 'r' ? '\r' : escaped;
        }
        out += c;
    }
    if (r.at == r.text.size())
        return is_wrong(r, "a quote has no end");
    ++r.at;
    return true;
}

static bool is_quote(const reader &r) { return is_next(r, "'") || is_next(r, "\""); }

static bool read_number(reader &r, int64_t &out)
{
    bool is_negative = take(r, "-");
    size_t end = r.text.find_first_not_of("0123456789", r.at);
    uint64_t value = 0;
    if (!text_parse_u64(r.text.substr(r.at, end - r.at), value) || value > INT32_MAX)
        return is_wrong(r, "a number was expected");
    r.at = std::min(end, r.text.size());
    out = is_negative ? -static_cast<int64_t>(value) : static_cast<int64_t>(value);
    return true;
}

static bool read_steps(reader &r, std::vector<path_step> &out);

static bool read_operator(reader &r, path_operator &out)
{
    struct row {
        std::string_view text;
        path_operator how;
    };
    static constexpr row rows[] = {{"==", path_operator::equal}, {"!=", path_operator::unequal}, {"<=", path_operator::less_or_equal},
        {">=", path_operator::greater_or_equal}, {"<", path_operator::less}, {">", path_operator::greater}};
    for (const row &one : rows)
        if (take(r, one.text)) {
            out = one.how;
            return true;
        }
    return is_wrong(r, "an operator was expected: ==, !=, <, <=, > or >=");
}

static bool read_literal(reader &r, json_ptr &out)
{
    std::string text;
    if (is_quote(r)) {
        if (!read_quoted(r, text))
            return false;
        out.reset(cJSON_CreateString(text.c_str()));
        return true;
    }
    size_t end = r.text.find_first_of(" )", r.at);
    std::string where;
    if (end == std::string_view::npos || json_parse(r.text.substr(r.at, end - r.at), out, where))
        return is_wrong(r, "a text in quotes, a number, true, false or null was expected");
    r.at = end;
    return true;
}

// Behind "[?(".
static bool read_filter(reader &r, path_step &out)
{
    out.kind = path_step_kind::filter;
    skip_spaces(r);
    if (!take(r, "@"))
        return is_wrong(r, "a filter begins with @");
    if (!read_steps(r, out.left))
        return false;
    skip_spaces(r);
    if (!is_next(r, ")")) {
        if (!read_operator(r, out.how))
            return false;
        skip_spaces(r);
        if (!read_literal(r, out.right))
            return false;
        skip_spaces(r);
    }
    return take(r, ")]") || is_wrong(r, "a filter ends with )]");
}

static bool read_slice(reader &r, path_step &out)
{
    out.kind = path_step_kind::slice;
    out.has_from = !out.indices.empty();
    out.from = out.has_from ? out.indices[0] : 0;
    out.has_to = !is_next(r, "]") && !is_next(r, ":");
    if (out.has_to && !read_number(r, out.to))
        return false;
    if (take(r, ":") && !is_next(r, "]") && !read_number(r, out.stride))
        return false;
    if (out.stride < 1)
        return is_wrong(r, "a step is at least 1");
    return take(r, "]") || is_wrong(r, "a [ has no ]");
}

// Behind "[".
static bool read_bracket(reader &r, path_step &out)
{
    if (take(r, "?("))
        return read_filter(r, out);
    if (take(r, "*]")) {
        out.kind = path_step_kind::all;
        return true;
    }
    if (take(r, ":"))
        return read_slice(r, out);
    bool is_name = is_quote(r);
    out.kind = is_name ? path_step_kind::names : path_step_kind::indices;
    do {
        skip_spaces(r);
        if (is_name != is_quote(r))
            return is_wrong(r, "names and numbers do not mix");
        bool is_good = is_name ? read_quoted(r, out.names.emplace_back()) : read_number(r, out.indices.emplace_back());
        if (!is_good)
            return false;
        skip_spaces(r);
    } while (take(r, ","));
    if (!is_name && out.indices.size() == 1 && take(r, ":"))
        return read_slice(r, out);
    return take(r, "]") || is_wrong(r, "a [ has no ]");
}

static bool read_name(reader &r, std::string &out)
{
    out.clear();
    while (r.at < r.text.size() && r.text.substr(r.at, 1).find_first_of(".[]{}()=!<>, \t") == std::string_view::npos) {
        if (r.text[r.at] == '\\' && r.at + 1 < r.text.size())
            ++r.at; // {.labels.app\.kubernetes\.io}
        out += r.text[r.at++];
    }
    return !out.empty();
}

static bool read_steps(reader &r, std::vector<path_step> &out)
{
    while (is_next(r, ".") || is_next(r, "[")) {
        path_step step;
        bool is_deep = take(r, "..");
        if (!is_deep && take(r, "[")) {
            if (!read_bracket(r, step))
                return false;
        } else if (bool has_dot = is_deep || take(r, "."); has_dot && take(r, "*")) {
            step.kind = is_deep ? path_step_kind::recursive : path_step_kind::all;
        } else if (!is_deep && is_next(r, "[")) {
            continue; // ".[0]" means "[0]"
        } else if (read_name(r, step.names.emplace_back())) {
            step.kind = is_deep ? path_step_kind::recursive : path_step_kind::names;
        } else if (out.empty() && !is_deep) {
            return true; // "." alone: the value itself
        } else {
            return is_wrong(r, "a name was expected");
        }
        out.push_back(std::move(step));
    }
    return true;
}

// A path, up to "}" or a space.
static bool read_path(reader &r, template_part &out)
{
    skip_spaces(r);
    out.kind = template_part_kind::path;
    out.from_root = take(r, "$");
    if (!out.from_root)
        take(r, "@");
    path_step first;
    bool begins_with_name = r.at < r.text.size() && r.text.substr(r.at, 1).find_first_of(".[}") == std::string_view::npos;
    if (begins_with_name) { // kubectl takes {items[*].name}, too
        if (!read_name(r, first.names.emplace_back()))
            return is_wrong(r, "a path was expected");
        out.path.push_back(std::move(first));
    }
    if (!read_steps(r, out.path))
        return false;
    skip_spaces(r);
    return true;
}

static bool read_parts(reader &r, std::vector<template_part> &out, bool is_in_range)
{
    while (r.at < r.text.size()) {
        template_part part;
        size_t open = r.text.find('{', r.at);
        if (open != r.at) {
            part.text = r.text.substr(r.at, open - r.at);
            r.at = std::min(open, r.text.size());
            out.push_back(std::move(part));
            continue;
        }
        ++r.at;
        skip_spaces(r);
        if (take(r, "end}"))
            return is_in_range || is_wrong(r, "{end} without {range}");
        if (is_quote(r)) {
            if (!read_quoted(r, part.text))
                return false;
            skip_spaces(r);
        } else if (bool is_range = take(r, "range "); !read_path(r, part)) {
            return false;
        } else if (is_range) {
            part.kind = template_part_kind::range;
        }
        if (!take(r, "}"))
            return is_wrong(r, "a { has no }, or something does not belong in front of it");
        if (part.kind == template_part_kind::range) {
            if (++r.depth > ranges_max)
                return is_wrong(r, "too many ranges in one another");
            if (!read_parts(r, part.body, true))
                return false;
            --r.depth;
        }
        out.push_back(std::move(part));
    }
    return !is_in_range || is_wrong(r, "{range} has no {end}");
}

bool jsonpath_parse(std::string_view text, jsonpath &out_path, std::string &out_why)
{
    out_path.parts.clear();
    std::string braced = text.find('{') == std::string_view::npos ? "{" + std::string(text) + "}" : std::string(text);
    reader r = {.text = braced, .at = 0, .why = {}, .depth = 0};
    bool is_good = !text.empty() && read_parts(r, out_path.parts, false);
    out_why = text.empty() ? "it is empty" : r.why;
    return is_good;
}

// ---- evaluation

using values = std::vector<const cJSON *>;

static bool has_members(const cJSON *value) { return cJSON_IsArray(value) || cJSON_IsObject(value); }

static void add_members(const cJSON *value, values &out)
{
    if (has_members(value))
        for (const cJSON *member = value->child; member != nullptr; member = member->next)
            out.push_back(member);
}

static void add_deep(const cJSON *value, const path_step &step, values &out)
{
    if (step.names.empty())
        out.push_back(value);
    else if (const cJSON *found = cJSON_IsObject(value) ? cJSON_GetObjectItemCaseSensitive(value, step.names[0].c_str()) : nullptr)
        out.push_back(found);
    if (has_members(value))
        for (const cJSON *member = value->child; member != nullptr; member = member->next)
            add_deep(member, step, out);
}

static values follow(const std::vector<path_step> &path, const cJSON *from);

static int compare(const cJSON *a, const cJSON *b)
{
    if (cJSON_IsNumber(a) && cJSON_IsNumber(b))
        return a->valuedouble < b->valuedouble ? -1 : a->valuedouble > b->valuedouble ? 1 : 0;
    std::string left = cJSON_IsString(a) ? a->valuestring : json_print(a);
    std::string right = cJSON_IsString(b) ? b->valuestring : json_print(b);
    return left.compare(right);
}

static bool passes(const path_step &filter, const cJSON *value)
{
    values found = follow(filter.left, value);
    if (found.empty() || filter.how == path_operator::exists)
        return !found.empty() && !cJSON_IsNull(found[0]);
    int order = compare(found[0], filter.right.get());
    switch (filter.how) {
    case path_operator::exists: return true;
    case path_operator::equal: return order == 0;
    case path_operator::unequal: return order != 0;
    case path_operator::less: return order < 0;
    case path_operator::less_or_equal: return order <= 0;
    case path_operator::greater: return order > 0;
    case path_operator::greater_or_equal: return order >= 0;
    }
    return false;
}

static void add_slice(const path_step &step, const values &members, values &out)
{
    auto size = static_cast<int64_t>(members.size());
    int64_t from = !step.has_from ? 0 : step.from < 0 ? step.from + size : step.from;
    int64_t to = !step.has_to ? size : step.to < 0 ? step.to + size : step.to;
    for (int64_t i = std::max<int64_t>(from, 0); i < std::min(to, size); i += step.stride)
        out.push_back(members[static_cast<size_t>(i)]);
}

static void take_step(const path_step &step, const cJSON *value, values &out)
{
    values members;
    add_members(value, members);
    auto size = static_cast<int64_t>(members.size());
    switch (step.kind) {
    case path_step_kind::names:
        for (const std::string &name : step.names)
            if (const cJSON *found = cJSON_IsObject(value) ? cJSON_GetObjectItemCaseSensitive(value, name.c_str()) : nullptr)
                out.push_back(found);
        break;
    case path_step_kind::all: out.insert(out.end(), members.begin(), members.end()); break;
    case path_step_kind::indices:
        for (int64_t index : step.indices) {
            int64_t at = index < 0 ? index + size : index;
            if (cJSON_IsArray(value) && at >= 0 && at < size)
                out.push_back(members[static_cast<size_t>(at)]);
        }
        break;
    case path_step_kind::slice:
        if (cJSON_IsArray(value))
            add_slice(step, members, out);
        break;
    case path_step_kind::recursive: add_deep(value, step, out); break;
    case path_step_kind::filter:
        for (const cJSON *member : members)
            if (passes(step, member))
                out.push_back(member);
        break;
    }
}

static values follow(const std::vector<path_step> &path, const cJSON *from)
{
    values now = {from};
    for (const path_step &step : path) {
        values next;
        for (const cJSON *value : now)
            take_step(step, value, next);
        now.swap(next);
    }
    return now;
}

static void print_parts(const std::vector<template_part> &parts, const cJSON *root, const cJSON *here, std::string &out)
{
    for (const template_part &part : parts) {
        if (part.kind == template_part_kind::text) {
            out += part.text;
            continue;
        }
        bool is_first = true;
        for (const cJSON *value : follow(part.path, part.from_root ? root : here)) {
            if (part.kind == template_part_kind::range) {
                print_parts(part.body, root, value, out);
                continue;
            }
            if (!std::exchange(is_first, false))
                out += ' ';
            if (cJSON_IsString(value))
                out += value->valuestring;
            else if (!cJSON_IsNull(value))
                out += json_print(value);
        }
    }
}

std::string jsonpath_print(const jsonpath &path, const cJSON *document)
{
    std::string out;
    print_parts(path.parts, document, document, out);
    return out;
}

} // namespace etlnode::etlctl
