// SPDX-License-Identifier: MIT
// codec/http_parse.h: parses HTTP/1.x heads with llhttp (strict) and the checks that llhttp lacks, and decodes chunked bodies.
//
// A head is parsed in one piece once its end has been found, so every view points into the caller's buffer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/limits.h"

namespace etlnode {

struct http_header {
    std::string_view name;
    std::string_view value; // without surrounding spaces and tabs
};

// Lifetime: all views point into the bytes given to http_parse_*_head.
struct http_head {
    std::string_view method;    // request
    std::string_view target;    // request: as sent, starts with '/' (an absolute-form target is reduced to path and query)
    std::string_view authority; // request: of an absolute-form target, else empty; it does not replace Host here
    std::string_view path;      // raw, percent-encoded
    std::string_view query;     // raw, without '?'
    int status = 0;             // response
    std::string_view reason;    // response
    int version_minor = 1;      // HTTP/1.<minor>: 0 or 1
    std::array<http_header, http_header_count_max> headers;
    size_t header_count = 0;
    bool keep_alive = false;
    bool has_length = false;
    uint64_t length = 0; // of the body; valid with has_length
    bool chunked = false;
    bool close_delimited = false; // a response whose body ends with the connection
    bool expect_continue = false;
    bool upgrade = false;
};

// The value of the first header with that name (ASCII case ignored), or a view with null data if there is none.
std::string_view http_head_get(const http_head &head, std::string_view name);
bool http_head_has(const http_head &head, std::string_view name);

// Size of the head including its empty line, or 0 if `bytes` does not contain its end yet. `from`: bytes searched by an earlier call.
// The head ends at the first empty line, even if lines end with a bare LF: such a head must be refused at once, not waited for.
size_t http_find_head_end(std::string_view bytes, size_t from);

// Errors: bad_request (400), head_too_large (431: too many headers), url_too_long (414), not_implemented (501: a transfer coding other than
// chunked). `what` of the error says which rule was broken. These give 400: conflicting or repeated Content-Length, Content-Length with
// Transfer-Encoding, Transfer-Encoding in HTTP/1.0, missing or double Host in HTTP/1.1, obs-fold, space before a colon, bare CR or LF,
// control bytes, NUL, the HTTP/2 preface, versions other than 1.0 and 1.1, a target that is not a path.
error http_parse_request_head(std::string_view bytes, http_head &out_head);
// `to_head`: the answer to a HEAD request, which has no body, whatever its headers say.
// A pod's sloppy status line (no reason, text with spaces) is accepted; line ends inside it are not. The rules for lengths are those above,
// but an answer without a length is close_delimited. An answer that cannot have a body (to HEAD, 1xx, 204, 304) has has_length set and
// length 0; http_head_get still shows the header as sent.
error http_parse_response_head(std::string_view bytes, bool to_head, http_head &out_head);
// If all lines of an answer's head end with a bare LF, as small servers write them, gives them CRLF. A head that mixes both is left alone
// and refused when it is parsed, because the odd line end may be part of a value.
void http_mend_line_ends(std::string &head);

// Decodes a chunked body in place.
struct http_chunk_decoder; // the position in the framing; a few words of memory
struct http_chunk_decoder_deleter {
    void operator()(http_chunk_decoder *decoder) const;
};
using http_chunk_decoder_ptr = std::unique_ptr<http_chunk_decoder, http_chunk_decoder_deleter>;

// Lenient: skips white space after a chunk's size, because many servers pad it. For answers of pods; requests are read strictly.
enum class http_reading : uint8_t { strict, lenient };
http_chunk_decoder_ptr http_chunk_decoder_make(http_reading reading = http_reading::strict);

struct http_chunk_result {
    size_t consumed = 0; // bytes of the input used; fewer than its size only if `done` (the next message follows)
    size_t decoded = 0;  // body bytes, moved to the front of the input buffer
    bool done = false;   // the last chunk and its trailers have been read
    error err;           // bad_request; the body is damaged
};
// Skips extensions (a size line has at most http_chunk_line_size_max bytes). Checks and drops trailers (at most http_trailer_size_max).
// After `done` it consumes nothing more; after an error it refuses everything.
http_chunk_result http_chunk_decode(http_chunk_decoder &decoder, char *bytes, size_t size);
// How many of the next bytes are body and nothing else. 0: they must be decoded.
uint64_t http_chunk_data_left(const http_chunk_decoder &decoder);
// So many of them were read without being decoded. Requires: count <= http_chunk_data_left.
void http_chunk_skip_data(http_chunk_decoder &decoder, uint64_t count);

} // namespace etlnode
