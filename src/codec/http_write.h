// SPDX-License-Identifier: MIT
// codec/http_write.h: writes heads and chunk framing into a string that the caller reuses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace etlnode {

// "OK" for 200; empty for an unknown code.
const char *http_reason(int status);
// "200 OK", "299".
std::string http_status_text(int status);

// "HTTP/1.1 200 OK\r\n"
void http_write_status_line(std::string &out, int status);
// "GET /x HTTP/1.1\r\n"
void http_write_request_line(std::string &out, std::string_view method, std::string_view target);
// CR, LF and NUL in a value become spaces, so that no value can start another header.
void http_write_header(std::string &out, std::string_view name, std::string_view value);
void http_write_header_u64(std::string &out, std::string_view name, uint64_t value);
void http_write_end(std::string &out); // the empty line
// "1f40\r\n"; the caller writes the data, then "\r\n"; the last chunk is "0\r\n\r\n".
void http_write_chunk_size(std::string &out, uint64_t size);

// RFC 1123 form of a wall clock time: "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date(uint64_t seconds_since_1970);

// Hop-by-hop by RFC 9110 7.6.1 (connection, keep-alive, te, trailer, transfer-encoding, upgrade, proxy-*).
bool http_header_is_hop_by_hop(std::string_view name);

// The result of matching a `Range` value with a size. none: absent, or not of the form bytes=...; part: `count` >= 1 bytes from `first`.
enum class http_range_kind : uint8_t { none, part, unsatisfiable };
struct http_range {
    http_range_kind kind = http_range_kind::none;
    uint64_t first = 0;
    uint64_t count = 0;
};
// Unsatisfiable (416): first >= size, or a suffix of 0. None (served whole): several ranges, an unknown unit, or bad syntax.
http_range http_range_parse(std::string_view value, uint64_t size);
// Whether the range of a request with this `If-Range` (empty: none) applies. It applies only to exactly the version that the client holds a
// part of, which only a strong entity tag identifies. A date never does, because two versions may share a second.
bool http_range_counts(std::string_view if_range, std::string_view etag);

} // namespace etlnode
