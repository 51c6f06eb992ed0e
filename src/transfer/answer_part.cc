// SPDX-License-Identifier: MIT
// transfer/answer_part.cc: compares a pod's 206 with the Range of its client (RFC 9110 14.4, 15.3.7).
//
// A client that resumes a download would put a part at the wrong position if the part is not the requested one, or does not say which it
// is.
//
// Knows    codec.        Known by  pod_head.cc.
#include "transfer/answer_part.h"

#include "base/text.h"
#include "codec/http_write.h"

namespace etlnode {

namespace {
struct content_range {
    uint64_t first = 0;
    uint64_t last = 0;
    bool has_total = false; // otherwise "*"
    uint64_t total = 0;
};
} // namespace

// "bytes 1-3/10", "bytes 1-3/*".
static bool read_content_range(std::string_view text, content_range &out)
{
    static constexpr std::string_view unit = "bytes ";
    if (!text_equal_ignore_case(text.substr(0, unit.size()), unit))
        return false;
    text.remove_prefix(unit.size());
    size_t dash = text.find('-');
    size_t slash = text.find('/');
    if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash)
        return false;
    if (!text_parse_u64(text.substr(0, dash), out.first) || !text_parse_u64(text.substr(dash + 1, slash - dash - 1), out.last) ||
        out.last < out.first)
        return false;
    out.has_total = text.substr(slash + 1) != "*";
    return !out.has_total || (text_parse_u64(text.substr(slash + 1), out.total) && out.last < out.total);
}

static size_t count_of(const http_head &head, std::string_view name)
{
    size_t count = 0;
    for (size_t i = 0; i < head.header_count; i++)
        count += text_equal_ignore_case(head.headers[i].name, name) ? 1 : 0;
    return count;
}

// For several ranges, a single part may be the answer: it then begins where the first range does.
static bool begins_as_asked(std::string_view ranges, const content_range &given)
{
    std::string_view range;
    while (range.empty() && !ranges.empty()) {
        size_t comma = ranges.find(',');
        range = text_trim(ranges.substr(0, comma));
        ranges.remove_prefix(comma == std::string_view::npos ? ranges.size() : comma + 1);
    }
    std::string one = "bytes=" + std::string(range);
    http_range wanted = http_range_parse(one, given.has_total ? given.total : UINT64_MAX);
    if (wanted.kind != http_range_kind::part)
        return false;
    bool is_suffix = range.starts_with('-'); // its beginning depends on the size
    return wanted.first == given.first || (is_suffix && !given.has_total);
}

bool answer_part_fits(std::string_view asked, const http_head &answer, uint64_t &out_size)
{
    static constexpr std::string_view unit = "bytes=";
    out_size = 0;
    asked = text_trim(asked);
    if (!text_equal_ignore_case(asked.substr(0, unit.size()), unit))
        return false;
    asked.remove_prefix(unit.size());
    bool asks_several = asked.find(',') != std::string_view::npos;
    if (asks_several && text_lower(http_head_get(answer, "Content-Type")).starts_with("multipart/byteranges"))
        return true;
    content_range given;
    if (count_of(answer, "Content-Range") != 1 || !read_content_range(http_head_get(answer, "Content-Range"), given) ||
        !begins_as_asked(asked, given))
        return false;
    if (given.last - given.first == UINT64_MAX)
        return false;
    out_size = given.last - given.first + 1;
    return !answer.has_length || answer.chunked || answer.length == out_size;
}

} // namespace etlnode
