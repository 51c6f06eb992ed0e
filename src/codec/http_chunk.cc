// SPDX-License-Identifier: MIT
// codec/http_chunk.cc: decodes a chunked body in place (declared in http_parse.h).
//
// Owns     its position in the framing; the bytes belong to the caller.
// Knows    base.                     Known by  http.
// Order    it moves data in whole runs and takes framing byte by byte. llhttp 8.1 is not used for this: it refuses a legal second extension
//          that has a value, and it accepts folded trailers and some bare line ends. Each byte would have to be checked twice.
// Limits   http_chunk_line_size_max, http_trailer_size_max, http_length_max.
#include <cstring>

#include "base/check.h"
#include "base/text.h"
#include "codec/http_parse.h"
#include "codec/http_token.h"

namespace etlnode {

enum class chunk_state : uint8_t {
    size_first, // the first digit of a size
    size,       // more digits, white space, an extension, or the line's end
    size_blank, // after white space: an extension may follow; lenient reading also accepts the line's end
    extension,  // anything up to the line's end
    size_lf,    // the LF of a size line
    data,       // `left` bytes of the body follow
    data_cr,    // the line end after the data
    data_lf,
    trailer_first, // a name, or the empty line
    trailer_name,
    trailer_value,
    trailer_lf,
    end_lf, // the LF of the empty line
    done,
    broken,
};

struct http_chunk_decoder {
    http_reading reading = http_reading::strict;
    chunk_state state = chunk_state::size_first;
    uint64_t left = 0;       // bytes left of the chunk's data; while its size is read, the size so far
    size_t framing_size = 0; // bytes of this size line, or of all trailers
    const char *what = nullptr;
};

void http_chunk_decoder_deleter::operator()(http_chunk_decoder *decoder) const { delete decoder; }
http_chunk_decoder_ptr http_chunk_decoder_make(http_reading reading)
{
    return http_chunk_decoder_ptr(new http_chunk_decoder{.reading = reading});
}

static bool is_text(char c) { return (static_cast<uint8_t>(c) >= 0x20 && c != 0x7f) || c == '\t'; }

static constexpr const char *bad_line_end = "bad line end in a chunked body";
static constexpr const char *control = "control byte in a chunked body";

// Takes one byte of a size line. These functions return null if the byte fits, else a description of the error.
static const char *take_size(http_chunk_decoder &d, char c)
{
    using S = chunk_state;
    static constexpr const char *bad_size = "bad chunk size";
    if (d.state == S::extension) {
        if (c == '\r')
            d.state = S::size_lf;
        return c == '\r' || is_text(c) ? nullptr : control;
    }
    if (d.state == S::size_blank) {
        if (c == ';')
            d.state = S::extension;
        else if (c == '\r' && d.reading == http_reading::lenient)
            d.state = S::size_lf;
        else if (c != ' ' && c != '\t')
            return bad_size;
        return nullptr;
    }
    int digit = text_hex_digit(c);
    if (digit >= 0) {
        if (d.left > (http_length_max >> 4))
            return "chunk is too large";
        d.left = d.left << 4 | static_cast<uint64_t>(digit);
        d.state = S::size;
        return nullptr;
    }
    if (d.state == S::size_first)
        return bad_size;
    if (c == '\r')
        d.state = S::size_lf;
    else if (c == ';')
        d.state = S::extension;
    else if (c == ' ' || c == '\t')
        d.state = S::size_blank;
    else
        return bad_size;
    return nullptr;
}

static const char *take_trailer(http_chunk_decoder &d, char c)
{
    using S = chunk_state;
    static constexpr const char *bad_trailer = "bad trailer";
    if (d.state == S::trailer_value) {
        if (c == '\r')
            d.state = S::trailer_lf;
        return c == '\r' || is_text(c) ? nullptr : control;
    }
    if (d.state == S::trailer_first && c == '\r') {
        d.state = S::end_lf;
        return nullptr;
    }
    if (d.state == S::trailer_name && c == ':') {
        d.state = S::trailer_value;
        return nullptr;
    }
    d.state = S::trailer_name;
    return http_is_token(c) ? nullptr : bad_trailer;
}

static const char *take_lf(http_chunk_decoder &d, char c, chunk_state then)
{
    if (c != '\n')
        return bad_line_end;
    d.state = then;
    return nullptr;
}

// Takes one byte that is not data.
static const char *take_framing(http_chunk_decoder &d, char c)
{
    using S = chunk_state;
    switch (d.state) {
    case S::size_first:
    case S::size:
    case S::size_blank:
    case S::extension: return take_size(d, c);
    case S::size_lf: d.framing_size = 0; return take_lf(d, c, d.left == 0 ? S::trailer_first : S::data);
    case S::data_cr:
        if (c != '\r')
            return "chunk is longer than its size";
        d.state = S::data_lf;
        return nullptr;
    case S::data_lf: d.framing_size = 0; return take_lf(d, c, S::size_first);
    case S::trailer_first:
    case S::trailer_name:
    case S::trailer_value: return take_trailer(d, c);
    case S::trailer_lf: return take_lf(d, c, S::trailer_first);
    case S::end_lf: return take_lf(d, c, S::done);
    case S::data:
    case S::done:
    case S::broken: break;
    }
    CHECK(false);
    return nullptr;
}

uint64_t http_chunk_data_left(const http_chunk_decoder &decoder) { return decoder.state == chunk_state::data ? decoder.left : 0; }

void http_chunk_skip_data(http_chunk_decoder &decoder, uint64_t count)
{
    CHECK(count <= http_chunk_data_left(decoder));
    decoder.left -= count;
    if (decoder.left == 0)
        decoder.state = chunk_state::data_cr;
}

http_chunk_result http_chunk_decode(http_chunk_decoder &decoder, char *bytes, size_t size)
{
    using S = chunk_state;
    http_chunk_result result;
    size_t at = 0;
    while (at < size && decoder.state != S::done && decoder.state != S::broken) {
        if (decoder.state == S::data) {
            size_t count = size - at < decoder.left ? size - at : static_cast<size_t>(decoder.left);
            // Only bytes before `at` are overwritten, and those have been consumed.
            if (result.decoded != at)
                memmove(bytes + result.decoded, bytes + at, count);
            result.decoded += count;
            at += count;
            http_chunk_skip_data(decoder, count);
            continue;
        }
        bool in_trailers = decoder.state >= S::trailer_first;
        // Count the byte before taking it: the last byte of a line resets the count.
        if (++decoder.framing_size > (in_trailers ? http_trailer_size_max : http_chunk_line_size_max))
            decoder.what = in_trailers ? "trailers are too large" : "chunk size line is too long";
        else
            decoder.what = take_framing(decoder, bytes[at]);
        if (decoder.what != nullptr)
            decoder.state = S::broken;
        else
            at++;
    }
    result.consumed = at;
    result.done = decoder.state == S::done;
    if (decoder.state == S::broken)
        result.err = make_error(error_code::bad_request, decoder.what);
    return result;
}

} // namespace etlnode
