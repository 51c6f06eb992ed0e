// SPDX-License-Identifier: MIT
// transfer/pod_error.cc: turns a pod's error answer into a few lines for people.
//
// Knows    codec, html_text; zlib, and the system's iconv.        Known by  finish.cc, transfer_machine.cc.
// Limits   pod_error_text_max, before and after unpacking; coding_layers_max.
#include "transfer/pod_error.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include <iconv.h>
#include <zlib.h>

#include "base/limits.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "transfer/html_text.h"

namespace etlnode {

static constexpr size_t coding_layers_max = 4;

// --- compression

// Unpacks gzip, zlib, or the bare stream that some servers call "deflate". False: it is none of these. Truncated input gives what there is.
static bool inflate_as(std::string_view packed, int window_bits, std::string &out)
{
    z_stream stream = {};
    if (inflateInit2(&stream, window_bits) != Z_OK)
        return false;
    stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(packed.data()));
    stream.avail_in = static_cast<uInt>(packed.size());
    out.resize(pod_error_text_max);
    stream.next_out = reinterpret_cast<Bytef *>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    int rc = inflate(&stream, Z_SYNC_FLUSH);
    out.resize(pod_error_text_max - std::min<size_t>(pod_error_text_max, stream.avail_out));
    inflateEnd(&stream);
    return rc == Z_STREAM_END || ((rc == Z_OK || rc == Z_BUF_ERROR) && !out.empty());
}

static bool unpack_one(std::string_view coding, std::string_view packed, std::string &out)
{
    static constexpr int gzip_or_zlib = 15 + 32;
    static constexpr int bare = -15;
    if (text_equal_ignore_case(coding, "identity")) {
        out = packed;
        return true;
    }
    if (text_equal_ignore_case(coding, "gzip") || text_equal_ignore_case(coding, "x-gzip"))
        return inflate_as(packed, gzip_or_zlib, out);
    return text_equal_ignore_case(coding, "deflate") && (inflate_as(packed, gzip_or_zlib, out) || inflate_as(packed, bare, out));
}

// The last coding in the list was applied last.
static bool unpack(std::string_view codings, std::string_view packed, std::string &out)
{
    std::string from(packed);
    for (size_t layers = 0; layers < coding_layers_max; layers++) {
        size_t comma = codings.rfind(',');
        std::string_view coding = text_trim(codings.substr(comma == std::string_view::npos ? 0 : comma + 1));
        if (!coding.empty() && !unpack_one(coding, from, out))
            return false;
        if (comma == std::string_view::npos)
            return true;
        if (!coding.empty())
            from = out;
        codings = codings.substr(0, comma);
    }
    return false;
}

// --- characters

static size_t count_controls(std::string_view text)
{
    auto is_control = [](char c) {
        return static_cast<unsigned char>(c) < 32 && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != 27;
    };
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), is_control));
}

// Text has no NUL and few other control bytes. A text in another encoding contains none of those counted here.
static bool is_binary(std::string_view text)
{
    return text.find('\0') != std::string_view::npos || count_controls(text) * 16 > text.size();
}

// Without an incomplete character at the end.
static std::string_view whole_characters(std::string_view text)
{
    for (size_t back = 1; back <= std::min<size_t>(3, text.size()); back++) {
        auto c = static_cast<unsigned char>(text[text.size() - back]);
        size_t size = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
        if ((c & 0xc0) == 0x80)
            continue;
        return size > back ? text.substr(0, text.size() - back) : text;
    }
    return text;
}

static bool is_clean_text(std::string_view text) { return text_is_utf8(whole_characters(text)) && !is_binary(text); }

static std::string_view charset_of(std::string_view content_type)
{
    for (size_t at = content_type.find(';'); at != std::string_view::npos; at = content_type.find(';', at + 1)) {
        std::string_view parameter = text_trim(content_type.substr(at + 1));
        static constexpr std::string_view name = "charset=";
        if (parameter.size() < name.size() || !text_equal_ignore_case(parameter.substr(0, name.size()), name))
            continue;
        std::string_view value = parameter.substr(name.size());
        if (value.starts_with('"'))
            value.remove_prefix(1);
        return value.substr(0, value.find_first_of("\"; \t"));
    }
    return {};
}

// Characters that cannot be converted become "?". False: the system does not know this encoding.
static bool to_utf8(std::string_view charset, std::string_view text, std::string &out)
{
    static constexpr size_t name_size_max = 40;
    auto is_of_name = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.' || c == ':';
    };
    if (charset.empty() || charset.size() > name_size_max || !std::all_of(charset.begin(), charset.end(), is_of_name))
        return false;
    iconv_t converter = iconv_open("UTF-8", std::string(charset).c_str());
    if (reinterpret_cast<intptr_t>(converter) == -1) // iconv_open's failure
        return false;
    std::string from(text);
    std::string to(text.size() * 4 + 16, '\0');
    char *in = from.data();
    char *next = to.data();
    size_t in_left = from.size();
    size_t left = to.size();
    while (in_left > 0 && iconv(converter, &in, &in_left, &next, &left) == static_cast<size_t>(-1) && errno == EILSEQ && left > 0) {
        in++;
        in_left--;
        *next++ = '?';
        left--;
    }
    iconv_close(converter);
    to.resize(to.size() - left);
    out.swap(to);
    return true;
}

static void trim_end(std::string &text)
{
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ' || text.back() == '\t'))
        text.pop_back();
}

// Converts to UTF-8 from whatever the pod wrote. A text that is neither in its declared encoding nor UTF-8 stays as it is.
static void decode(std::string &text, std::string_view content_type)
{
    std::string_view bytes = text;
    if (bytes.starts_with("\xef\xbb\xbf")) {
        text.erase(0, 3);
        return;
    }
    bool has_mark = bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff");
    std::string_view charset = has_mark ? std::string_view("UTF-16") : charset_of(content_type);
    if (charset.empty() && html_is_page(content_type, text))
        charset = html_charset(text);
    bool is_ours = charset.empty() || text_equal_ignore_case(charset, "utf-8") || text_equal_ignore_case(charset, "utf8") ||
                   text_equal_ignore_case(charset, "us-ascii");
    bool is_cut = text.size() >= pod_error_text_max;
    std::string converted;
    if (!is_ours && to_utf8(std::string(charset), text, converted)) {
        text.swap(converted);
        return;
    }
    std::string_view whole = is_cut ? whole_characters(text) : std::string_view(text);
    if (text_is_utf8(whole)) {
        text.resize(whole.size());
        return;
    }
    if (!is_binary(text) && to_utf8("WINDOWS-1252", text, converted)) // the usual encoding of texts that declare none
        text.swap(converted);
}

// --- the text

static std::string status_words(int status) { return "the pod answered " + http_status_text(status); }

std::string pod_error_text(int status, std::string_view content_type, std::string_view content_encoding, std::string_view body)
{
    std::string_view coding = text_trim(content_encoding);
    std::string text(body);
    // Plain text is not compressed, whatever its head says.
    if (!coding.empty() && !body.empty() && !is_clean_text(body) && !unpack(coding, body, text)) {
        bool is_known = text_equal_ignore_case(coding, "gzip") || text_equal_ignore_case(coding, "x-gzip") ||
                        text_equal_ignore_case(coding, "deflate");
        return status_words(status) + (is_known ? "; its text says that it is encoded as " + text_escape(coding, 40) + ", and is not"
                                                : "; its text is encoded as " + text_escape(coding, 40));
    }
    decode(text, content_type);
    if (html_is_page(content_type, text))
        text = html_text(text);
    // Control characters in a text, NUL included, do not make it unreadable. If they are half of it, it is no text.
    const bool is_text = text_is_utf8(text) && count_controls(text) * 2 < text.size();
    if (is_text)
        text = text_without_controls(text);
    trim_end(text);
    if (text.find_first_not_of(" \t\r\n\f") == std::string::npos)
        return status_words(status) + " without a text";
    if (!is_text && is_binary(text))
        return status_words(status) + " with " + text_bytes(body.size()) + (body.size() == 1 ? " that is no text" : " that are no text") +
               (content_type.empty() ? "" : " (" + text_escape(content_type, 60) + ")");
    return text;
}

} // namespace etlnode
