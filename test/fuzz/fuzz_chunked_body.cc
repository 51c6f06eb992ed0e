// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_chunked_body.cc: chunked bodies, decoded in one piece, in any pieces, and by a decoder that has the whole text at once.
#include "base/limits.h"
#include "codec/http_parse.h"
#include "codec/http_token.h"
#include "codec/http_write.h"
#include "fuzz.h"

using namespace etlnode;

namespace {

struct decoded_body {
    std::string body;
    size_t consumed = 0;
    bool done = false;
    bool failed = false;
};

static decoded_body decode_in_pieces(std::string_view text, bool in_one)
{
    decoded_body out;
    rng r = fuzz_rng(text);
    http_chunk_decoder_ptr decoder = http_chunk_decoder_make();
    while (out.consumed < text.size()) {
        std::string_view left = text.substr(out.consumed);
        fuzz_exact piece(left.substr(0, in_one ? left.size() : fuzz_piece(r, left.size())));
        http_chunk_result result = http_chunk_decode(*decoder, piece.bytes.get(), piece.size);
        FUZZ_CHECK(result.consumed <= piece.size && result.decoded <= result.consumed);
        out.body.append(piece.bytes.get(), result.decoded);
        out.consumed += result.consumed;
        out.done = result.done;
        out.failed = static_cast<bool>(result.err);
        FUZZ_CHECK(!(out.done && out.failed));
        if (out.done || out.failed)
            break;
        FUZZ_CHECK(result.consumed == piece.size);
    }
    // After `done` it takes nothing more; after an error it refuses everything.
    char more[] = "0\r\n\r\n";
    if (out.done || out.failed) {
        http_chunk_result after = http_chunk_decode(*decoder, more, sizeof more - 1);
        FUZZ_CHECK(after.consumed == 0 && after.decoded == 0 && after.done == out.done && static_cast<bool>(after.err) == out.failed);
    }
    return out;
}

// Takes one line with its CRLF from the front. False if it is incomplete; `bad` if it can never become a line.
static bool take_line(std::string_view &rest, std::string_view &line, bool &bad)
{
    for (size_t i = 0; i < rest.size(); i++) {
        uint8_t c = static_cast<uint8_t>(rest[i]);
        if (c == '\r') {
            if (i + 1 == rest.size())
                return false;
            bad = rest[i + 1] != '\n';
            line = rest.substr(0, i);
            rest.remove_prefix(bad ? 0 : i + 2);
            return !bad;
        }
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            bad = true;
            return false;
        }
    }
    return false;
}

static bool is_size_line(std::string_view line, uint64_t &size)
{
    size_t digits = 0;
    size = 0;
    for (; digits < line.size(); digits++) {
        char c = line[digits];
        int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (value < 0)
            break;
        if (size > (http_length_max - static_cast<uint64_t>(value)) / 16)
            return false;
        size = size * 16 + static_cast<uint64_t>(value);
    }
    size_t extension = line.find_first_not_of(" \t", digits);
    bool has_blank = digits < line.size() && line[digits] != ';';
    return digits > 0 && (extension == std::string_view::npos ? !has_blank : line[extension] == ';');
}

static bool is_trailer(std::string_view line)
{
    size_t colon = line.find(':');
    if (colon == 0 || colon == std::string_view::npos)
        return false;
    for (char c : line.substr(0, colon))
        if (!http_is_token(c))
            return false;
    return true;
}

// Decodes a complete and correct body; false for everything else, including incomplete ones.
static bool decode_plainly(std::string_view text, std::string &body, size_t &consumed)
{
    std::string_view rest = text;
    std::string_view line;
    bool bad = false;
    for (;;) {
        uint64_t size = 0;
        if (!take_line(rest, line, bad) || line.size() + 2 > http_chunk_line_size_max || !is_size_line(line, size))
            return false;
        if (size == 0)
            break;
        if (rest.size() < size || rest.size() - size < 2 || rest.substr(static_cast<size_t>(size), 2) != "\r\n")
            return false;
        body += rest.substr(0, static_cast<size_t>(size));
        rest.remove_prefix(static_cast<size_t>(size) + 2);
    }
    size_t trailers = rest.size();
    do {
        if (!take_line(rest, line, bad) || (!line.empty() && !is_trailer(line)))
            return false;
    } while (!line.empty());
    consumed = text.size() - rest.size();
    return trailers - rest.size() <= http_trailer_size_max;
}

// The input, cut into chunks as a body, must come back.
static void check_round_trip(std::string_view body)
{
    rng r = fuzz_rng(body);
    std::string framed;
    for (size_t at = 0; at < body.size();) {
        size_t size = fuzz_piece(r, body.size() - at);
        http_write_chunk_size(framed, size);
        framed += body.substr(at, size);
        framed += "\r\n";
        at += size;
    }
    framed += "0\r\n\r\n";
    decoded_body out = decode_in_pieces(framed, false);
    FUZZ_CHECK(out.done && out.consumed == framed.size());
    FUZZ_SAME(out.body, body);
}

} // namespace

FUZZ_TARGET(chunked_body)
{
    decoded_body one = decode_in_pieces(text, true);
    decoded_body many = decode_in_pieces(text, false);
    FUZZ_SAME(one.body, many.body);
    FUZZ_CHECK(one.consumed == many.consumed && one.done == many.done && one.failed == many.failed);
    std::string body;
    size_t consumed = 0;
    bool good = decode_plainly(text, body, consumed);
    FUZZ_CHECK(good == one.done);
    if (good) {
        FUZZ_SAME(body, one.body);
        FUZZ_CHECK(consumed == one.consumed);
    }
    check_round_trip(text);
}
