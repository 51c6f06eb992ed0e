// SPDX-License-Identifier: MIT
// test/fuzz/head_oracle.h: parses an HTTP head again, simply and strictly, to check what codec/http_parse.h accepted.
//
// It checks what request smuggling depends on: no other parser can see a different message in an accepted head.
#pragma once

#include "base/limits.h"
#include "base/text.h"
#include "codec/http_parse.h"
#include "codec/http_token.h"
#include "fuzz.h"

namespace etlnode {

struct oracle_counts {
    size_t host = 0, length = 0, coding = 0, headers = 0;
    uint64_t length_value = 0;
    std::string_view coding_value;
};

inline bool oracle_is_inside(std::string_view part, std::string_view whole)
{
    return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// `bytes` is an accepted head, from its start line to its empty line. Every line ends with CRLF, none is folded, and every header has a
// token as its name, directly followed by the colon. All headers were passed on in order, trimmed.
inline oracle_counts oracle_check_lines(std::string_view bytes, const http_head &head)
{
    oracle_counts counts;
    FUZZ_CHECK(bytes.ends_with("\r\n\r\n"));
    for (size_t i = 0; i < bytes.size(); i++) {
        uint8_t c = static_cast<uint8_t>(bytes[i]);
        FUZZ_CHECK(c != '\r' || bytes[i + 1] == '\n');
        FUZZ_CHECK(c != '\n' || bytes[i - 1] == '\r');
        FUZZ_CHECK(c >= 0x20 || c == '\t' || c == '\r' || c == '\n');
        FUZZ_CHECK(c != 0x7f);
    }
    std::string_view rest = bytes.substr(bytes.find("\r\n") + 2);
    while (rest != "\r\n") {
        std::string_view line = rest.substr(0, rest.find("\r\n"));
        rest.remove_prefix(line.size() + 2);
        FUZZ_CHECK(!line.empty());
        FUZZ_CHECK(line[0] != ' ' && line[0] != '\t');
        size_t colon = line.find(':');
        FUZZ_CHECK(colon != std::string_view::npos && colon > 0);
        std::string_view name = line.substr(0, colon);
        std::string_view value = text_trim(line.substr(colon + 1));
        for (char c : name)
            FUZZ_CHECK(http_is_token(c));
        FUZZ_CHECK(counts.headers < head.header_count);
        const http_header &header = head.headers[counts.headers++];
        FUZZ_SAME(header.name, name);
        FUZZ_SAME(header.value, value);
        FUZZ_CHECK(oracle_is_inside(header.name, bytes) && oracle_is_inside(header.value, bytes));
        std::string lower = text_lower(name);
        if (lower == "host")
            counts.host++;
        if (lower == "content-length") {
            counts.length++;
            FUZZ_CHECK(!value.empty() && value.find_first_not_of("0123456789") == std::string_view::npos);
            FUZZ_CHECK(text_parse_u64(value, counts.length_value));
        }
        if (lower == "transfer-encoding") {
            counts.coding++;
            counts.coding_value = value;
        }
    }
    FUZZ_CHECK(counts.headers == head.header_count);
    FUZZ_CHECK(counts.headers <= http_header_count_max);
    FUZZ_CHECK(counts.length <= 1 && counts.coding <= 1);
    FUZZ_CHECK(counts.length + counts.coding <= 1);
    FUZZ_CHECK(counts.coding == 0 || (text_equal_ignore_case(counts.coding_value, "chunked") && head.version_minor == 1));
    FUZZ_CHECK(counts.length_value <= http_length_max);
    return counts;
}

} // namespace etlnode
