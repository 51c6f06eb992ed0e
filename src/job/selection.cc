// SPDX-License-Identifier: MIT
// job/selection.cc: lists and templates of names.
//
// Knows    codec.        Known by  role/proxy (checks what users ask for), kinds.
// Limits   selection_range_count_max.
#include "job/selection.h"

#include <algorithm>
#include <set>

#include "base/limits.h"
#include "base/text.h"

namespace etlnode {

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool read_number(std::string_view &rest, uint64_t &out_number, size_t &out_digits)
{
    static constexpr size_t digits_max = 19; // fits into 64 bits
    out_digits = 0;
    while (out_digits < rest.size() && is_digit(rest[out_digits]))
        out_digits++;
    if (out_digits == 0 || out_digits > digits_max || !text_parse_u64(rest.substr(0, out_digits), out_number))
        return false;
    rest.remove_prefix(out_digits);
    return true;
}

static bool take_dots(std::string_view &rest)
{
    if (!rest.starts_with(".."))
        return false;
    rest.remove_prefix(2);
    return true;
}

// "0001..0100..2", without its braces.
static bool read_range(std::string_view text, selection_range &out_range)
{
    size_t digits = 0, ignored = 0;
    if (!read_number(text, out_range.first, digits) || !take_dots(text) || !read_number(text, out_range.last, ignored))
        return false;
    if (!text.empty() && (!take_dots(text) || !read_number(text, out_range.step, ignored)))
        return false;
    out_range.width = digits;
    return text.empty() && out_range.step > 0 && out_range.first <= out_range.last;
}

std::string selection_parse_template(std::string_view text, job_selection &out_selection)
{
    size_t open = text.find('{');
    out_selection.prefix = text.substr(0, open);
    while (open != std::string_view::npos) {
        size_t close = text.find('}', open);
        selection_range range;
        std::string_view inner = text.substr(open + 1, close == std::string_view::npos ? 0 : close - open - 1);
        if (close == std::string_view::npos || !read_range(inner, range))
            return "\"" + text_escape(text.substr(open), 100) +
                   "\" is not a range of the form {FIRST..LAST} or {FIRST..LAST..STEP}, as in shard-{0001..0100}.tar";
        if (out_selection.ranges.size() >= selection_range_count_max)
            return text_format("a template has at most %zu ranges", selection_range_count_max);
        open = text.find('{', close);
        range.after = text.substr(close + 1, open == std::string_view::npos ? open : open - close - 1);
        out_selection.ranges.push_back(std::move(range));
    }
    return {};
}

static std::string read_list(const cJSON *list, job_selection &out_selection)
{
    const cJSON *item = nullptr;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item) || item->valuestring[0] == '\0')
            return "objnames: expected a list of names";
        out_selection.names.emplace_back(item->valuestring);
    }
    std::sort(out_selection.names.begin(), out_selection.names.end());
    out_selection.has_list = true;
    if (out_selection.names.empty())
        return "objnames: the list is empty";
    const std::string &first = out_selection.names.front(), &last = out_selection.names.back();
    auto ends = std::mismatch(first.begin(), first.end(), last.begin(), last.end());
    out_selection.prefix.assign(first.begin(), ends.first); // of a sorted list: what the first and the last have in common
    while (!text_is_utf8(out_selection.prefix))             // the cluster document, which holds it, is text: no character may be cut
        out_selection.prefix.pop_back();
    return {};
}

std::string selection_read(const cJSON *tree, job_selection &out_selection)
{
    const cJSON *list = json_get(tree, "objnames");
    const cJSON *pattern = json_get(tree, "template");
    bool has_list = list != nullptr && !cJSON_IsNull(list);
    bool has_pattern = cJSON_IsString(pattern) && pattern->valuestring[0] != '\0';
    if (pattern != nullptr && !cJSON_IsNull(pattern) && !cJSON_IsString(pattern))
        return "template: expected a text";
    if (has_list && !cJSON_IsArray(list))
        return "objnames: expected a list of names";
    if (has_list && has_pattern)
        return "objnames and template: expected one of them";
    if (has_list)
        return read_list(list, out_selection);
    std::string wrong = has_pattern ? selection_parse_template(pattern->valuestring, out_selection) : std::string();
    return wrong.empty() ? wrong : "template: " + wrong;
}

static bool is_in_range(const selection_range &range, std::string_view digits)
{
    uint64_t number = 0;
    bool is_padded_right = digits.size() == range.width || (digits.size() > range.width && digits[0] != '0');
    return is_padded_right && text_parse_u64(digits, number) && number >= range.first && number <= range.last &&
           (number - range.first) % range.step == 0;
}

// A number ends where the text behind it begins, which may begin with a digit. So every length is tried, from each place where the range
// may begin, and from each only once: with many ranges next to each other there are more ways than can be tried.
static bool matches(const job_selection &selection, std::string_view rest)
{
    static constexpr size_t digits_max = 19;
    std::set<size_t> begins = {0};
    for (const selection_range &range : selection.ranges) {
        std::set<size_t> next;
        for (size_t at : begins) {
            for (size_t end = at + 1; end <= rest.size() && end - at <= digits_max && is_digit(rest[end - 1]); end++) {
                if (is_in_range(range, rest.substr(at, end - at)) && rest.substr(end).starts_with(range.after))
                    next.insert(end + range.after.size());
            }
        }
        begins = std::move(next);
    }
    return begins.contains(rest.size());
}

bool selection_has(const job_selection &selection, std::string_view name)
{
    if (!name.starts_with(selection.prefix))
        return false;
    if (selection.has_list)
        return std::binary_search(selection.names.begin(), selection.names.end(), name);
    return selection.ranges.empty() || matches(selection, name.substr(selection.prefix.size()));
}

} // namespace etlnode
