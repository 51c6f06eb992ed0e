// SPDX-License-Identifier: MIT
// transfer/pod_error.cc: a pod's error answer as one line or a few for people.
//
// Limits   pod_error_text_max, before and after unpacking.
#include "transfer/pod_error.h"

#include <algorithm>

#include <zlib.h>

#include "base/limits.h"
#include "base/text.h"
#include "codec/http_write.h"

// --- compression

// gzip, zlib, or (as some servers mean by "deflate") the bare stream. False: not that at all. What is cut short gives what there is.
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
    out.resize(out.size() - stream.avail_out);
    inflateEnd(&stream);
    return rc == Z_STREAM_END || ((rc == Z_OK || rc == Z_BUF_ERROR) && !out.empty());
}

static bool unpack(std::string_view coding, std::string_view packed, std::string &out)
{
    static constexpr int gzip_or_zlib = 15 + 32;
    static constexpr int bare = -15;
    if (text_equal_ignore_case(coding, "gzip") || text_equal_ignore_case(coding, "x-gzip"))
        return inflate_as(packed, gzip_or_zlib, out);
    return text_equal_ignore_case(coding, "deflate") && (inflate_as(packed, gzip_or_zlib, out) || inflate_as(packed, bare, out));
}

// --- HTML

static bool begins_with(std::string_view text, std::string_view start) { return text.size() >= start.size() && text_equal_ignore_case(text.substr(0, start.size()), start); }

static size_t find_ignore_case(std::string_view text, std::string_view what, size_t from)
{
    for (size_t i = from; i + what.size() <= text.size(); i++) {
        if (text_equal_ignore_case(text.substr(i, what.size()), what))
            return i;
    }
    return std::string_view::npos;
}

static void append_folded(std::string &out, char c)
{
    bool is_space = c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
    if (!is_space)
        out += c;
    else if (!out.empty() && out.back() != ' ')
        out += ' ';
}

// Takes "&name;" at the start of `text`; 0: it is none of these.
static size_t append_entity(std::string &out, std::string_view text)
{
    struct entity {
        std::string_view name;
        char c;
    };
    static constexpr entity entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}, {"&#39;", '\''}, {"&#x27;", '\''}, {"&#34;", '"'}, {"&#x2F;", '/'}, {"&nbsp;", ' '}};
    for (const entity &one : entities) {
        if (!begins_with(text, one.name))
            continue;
        append_folded(out, one.c);
        return one.name.size();
    }
    return 0;
}

std::string pod_error_text_of_html(std::string_view html)
{
    static constexpr std::string_view left_out[] = {"script", "style", "title"};
    std::string out;
    for (size_t at = 0; at < html.size();) {
        std::string_view rest = html.substr(at);
        if (rest.starts_with("<!--")) {
            at = std::min(html.find("-->", at), html.size() - std::min<size_t>(3, html.size())) + 3;
            continue;
        }
        if (rest.front() == '<') {
            size_t end = html.find('>', at);
            if (end == std::string_view::npos)
                break; // cut off in a tag
            at = end + 1;
            for (std::string_view name : left_out) {
                if (!begins_with(rest.substr(1), name))
                    continue;
                size_t close = find_ignore_case(html, "</" + std::string(name), at);
                at = close == std::string_view::npos ? html.size() : close;
            }
            append_folded(out, ' ');
            continue;
        }
        size_t taken = rest.front() == '&' ? append_entity(out, rest) : 0;
        if (taken == 0)
            append_folded(out, rest.front());
        at += std::max<size_t>(taken, 1);
    }
    return std::string(text_trim(out));
}

// The title is left out, as pages repeat it below; where they do not, it is all there is.
static std::string title_of(std::string_view html)
{
    size_t at = find_ignore_case(html, "<title", 0);
    size_t from = at == std::string_view::npos ? at : html.find('>', at);
    size_t end = from == std::string_view::npos ? from : find_ignore_case(html, "</title", from);
    return end == std::string_view::npos ? std::string() : pod_error_text_of_html(html.substr(from + 1, end - from - 1));
}

static bool is_html(std::string_view type, std::string_view body)
{
    std::string_view start = body.substr(std::min(body.find_first_not_of(" \t\r\n"), body.size()));
    return find_ignore_case(type, "html", 0) != std::string_view::npos || begins_with(start, "<!doctype html") || begins_with(start, "<html");
}

// --- the text

static std::string status_words(int status)
{
    return "the pod answered " + std::to_string(status) + " " + http_reason(status);
}

// Text has no NUL and few other control bytes; what a text in another encoding has is none of ours.
static bool is_binary(std::string_view text)
{
    auto is_control = [](char c) { return static_cast<unsigned char>(c) < 32 && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != 27; };
    auto count = static_cast<size_t>(std::count_if(text.begin(), text.end(), is_control));
    return text.find('\0') != std::string_view::npos || count * 16 > text.size();
}

std::string pod_error_text(int status, std::string_view content_type, std::string_view content_encoding, std::string_view body)
{
    std::string_view coding = text_trim(content_encoding);
    std::string text(body);
    if (!coding.empty() && !text_equal_ignore_case(coding, "identity") && !body.empty() && !unpack(coding, body, text))
        return status_words(status) + "; its text is encoded as " + text_escape(coding, 40);
    if (is_html(content_type, text)) {
        std::string plain = pod_error_text_of_html(text);
        text = plain.empty() ? title_of(text) : plain;
    }
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ' || text.back() == '\t'))
        text.pop_back();
    if (text.empty())
        return status_words(status) + " without a text";
    if (is_binary(text))
        return status_words(status) + " with " + std::to_string(body.size()) + " bytes that are no text" + (content_type.empty() ? "" : " (" + text_escape(content_type, 60) + ")");
    return text;
}
