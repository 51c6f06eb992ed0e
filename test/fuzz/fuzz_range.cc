// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_range.cc: `Range` against objects of all sizes: a part lies inside the object and is the requested one. The same text
// serves as `If-Range`, the only conditional header that the node reads: only exactly the right entity tag lets a range count.
#include <vector>

#include "base/text.h"
#include "codec/http_write.h"
#include "fuzz.h"

using namespace etlnode;

__extension__ typedef unsigned __int128 wide;

// Reads decimal digits. A number beyond 64 bits becomes the largest value.
static bool read_number(std::string_view text, wide &value)
{
    static constexpr wide most = static_cast<wide>(UINT64_MAX) + 1;
    value = 0;
    for (char c : text) {
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + static_cast<unsigned>(c - '0');
        value = value > most ? most : value;
    }
    return true;
}

// RFC 9110 14.1.2, with the node's policy: one range or none.
static http_range read_plainly(std::string_view text, uint64_t size)
{
    text = text_trim(text);
    if (text.size() < 6 || text_lower(text.substr(0, 6)) != "bytes=")
        return {};
    size_t count = 0;
    wide first = 0, last = 0;
    bool has_first = false, has_last = false;
    size_t begin = 6;
    while (begin <= text.size()) {
        size_t end = text.find(',', begin);
        end = end == std::string_view::npos ? text.size() : end;
        std::string_view one = text_trim(text.substr(begin, end - begin));
        begin = end + 1;
        if (one.empty())
            continue;
        size_t dash = one.find('-');
        if (dash == std::string_view::npos)
            return {};
        std::string_view left = one.substr(0, dash), right = one.substr(dash + 1);
        if (!read_number(left, first) || !read_number(right, last) || (left.empty() && right.empty()))
            return {};
        has_first = !left.empty();
        has_last = !right.empty();
        if (has_first && has_last && first > last)
            return {};
        count++;
    }
    if (count != 1)
        return {};
    http_range out{.kind = http_range_kind::unsatisfiable};
    if (has_first ? first >= size : last == 0 || size == 0)
        return out;
    wide from = has_first ? first : last >= size ? 0 : size - last;
    wide to = has_first && has_last && last < size ? last + 1 : size;
    return {.kind = http_range_kind::part, .first = static_cast<uint64_t>(from), .count = static_cast<uint64_t>(to - from)};
}

static void check_condition(std::string_view condition)
{
    for (std::string_view etag : {std::string_view(""), std::string_view("\"a\""), std::string_view("W/\"a\""), condition}) {
        bool counts = http_range_counts(condition, etag);
        FUZZ_CHECK(!counts || condition.empty() || condition == etag);
        FUZZ_CHECK(!counts || condition.empty() || (condition[0] == '"' && condition.back() == '"'));
    }
    FUZZ_CHECK(http_range_counts("", condition));
}

FUZZ_TARGET(range)
{
    check_condition(text);
    rng r = fuzz_rng(text);
    std::vector<uint64_t> sizes = {0, 1, 2, 10, 1000, UINT64_MAX >> 1, UINT64_MAX, rng_next(r), rng_below(r, 4096)};
    // Use sizes next to the numbers in the text, to reach the edges.
    for (size_t i = 0; i < text.size(); i++) {
        uint64_t number = 0;
        size_t digits = 0;
        while (i + digits < text.size() && text[i + digits] >= '0' && text[i + digits] <= '9')
            digits++;
        if (digits > 0 && sizes.size() < 32 && text_parse_u64(text.substr(i, digits), number))
            sizes.insert(sizes.end(), {number, number + 1, number - 1});
        i += digits;
    }
    for (uint64_t object_size : sizes) {
        http_range range = http_range_parse(text, object_size);
        http_range wanted = read_plainly(text, object_size);
        FUZZ_CHECK(range.kind == wanted.kind);
        if (range.kind != http_range_kind::part)
            continue;
        FUZZ_CHECK(range.count >= 1 && range.first < object_size && range.count <= object_size - range.first);
        FUZZ_CHECK(range.first == wanted.first && range.count == wanted.count);
    }
}
