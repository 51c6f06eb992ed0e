// SPDX-License-Identifier: MIT
// codec/http_parse.cc: parses one HTTP/1.x head with llhttp.
//
// Owns     nothing; the bytes belong to the caller.
// Knows    base, llhttp.             Known by  http.
// Order    this file checks the start line and the line structure itself. llhttp is laxer in some places (bare CR, repeated lengths,
//          unknown codings) and stricter in one (raw UTF-8 in a target). llhttp then splits the header lines behind a canned start line. A
//          last pass over the headers determines host, length, codings and connection.
// Limits   http_head_size_max, http_url_size_max, http_header_count_max.
#include "codec/http_parse.h"

#include <cstring>

#include <llhttp/llhttp.h>

#include "base/text.h"
#include "codec/http_token.h"

namespace etlnode {

static error refuse(const char *what) { return make_error(error_code::bad_request, what); }

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view http_head_get(const http_head &head, std::string_view name)
{
    for (size_t i = 0; i < head.header_count; i++)
        if (text_equal_ignore_case(head.headers[i].name, name))
            return head.headers[i].value;
    return {};
}

bool http_head_has(const http_head &head, std::string_view name)
{
    for (size_t i = 0; i < head.header_count; i++)
        if (text_equal_ignore_case(head.headers[i].name, name))
            return true;
    return false;
}

// Counts the bytes of leading empty lines to skip: some clients send a line end after a body without counting it in its length.
static size_t leading_lines_size(std::string_view bytes)
{
    size_t skip = 0;
    while (skip < 4 && bytes.substr(skip, 2) == "\r\n")
        skip += 2;
    return skip;
}

size_t http_find_head_end(std::string_view bytes, size_t from)
{
    size_t start = leading_lines_size(bytes);
    if (start < bytes.size() && bytes[start] == '\n')
        return start + 1;
    if (bytes.substr(start, 2) == "\r\n")
        return start + 2;
    // A start line begins with a letter. A client that speaks TLS, for example, then gets its error at once, not after the time-out of a
    // head.
    auto first = static_cast<uint8_t>(start < bytes.size() ? bytes[start] : 'x');
    if ((first < 0x20 && first != '\r') || first >= 0x7f)
        return start + 1;
    // The end may straddle the part that was searched before: its last line end, and a CR.
    size_t at = from > start + 2 ? from - 2 : start;
    while (at < bytes.size()) {
        const void *found = memchr(bytes.data() + at, '\n', bytes.size() - at);
        if (found == nullptr)
            return 0;
        size_t next = static_cast<size_t>(static_cast<const char *>(found) - bytes.data()) + 1;
        if (next < bytes.size() && bytes[next] == '\n')
            return next + 1;
        if (next + 1 < bytes.size() && bytes[next] == '\r' && bytes[next + 1] == '\n')
            return next + 2;
        at = next;
    }
    return 0;
}

// Every line must end with CRLF, the only other control byte allowed is tab, and no line may begin with white space. `out_size` is the
// number of bytes up to and including the first empty line. Requires: `bytes` begins with the start line.
static error check_lines(std::string_view bytes, size_t &out_size)
{
    size_t line_start = 0;
    if (!bytes.empty() && static_cast<uint8_t>(bytes[0]) > 0x7f)
        return refuse("the start line does not begin with a letter: a byte order mark, or another protocol");
    for (size_t i = 0; i < bytes.size(); i++) {
        uint8_t c = static_cast<uint8_t>(bytes[i]);
        if (c > 0x20 && c != 0x7f) [[likely]]
            continue;
        if (c == ' ' || c == '\t') {
            if (i == line_start)
                return refuse(i == 0 ? "the start line begins with white space" : "folded header line");
            continue;
        }
        if (c == '\r') {
            if (i + 1 >= bytes.size())
                break;
            if (bytes[i + 1] != '\n')
                return refuse("CR without LF");
            if (i == line_start) {
                out_size = i + 2;
                return no_error;
            }
            i++;
            line_start = i + 1;
            continue;
        }
        if (c == '\n')
            return refuse("LF without CR");
        return refuse(c == 0 ? "NUL byte" : "control byte");
    }
    return refuse("incomplete head");
}

// ---- header lines through llhttp

struct split_state {
    http_head *head = nullptr;
    std::string_view name = {};
    bool too_many = false;
    bool complete = false;
};

static int on_header_field(llhttp_t *parser, const char *at, size_t size)
{
    split_state &split = *static_cast<split_state *>(parser->data);
    // A second span continues the first, because the bytes are contiguous.
    const char *start = split.name.data() == nullptr ? at : split.name.data();
    split.name = std::string_view(start, static_cast<size_t>(at + size - start));
    return 0;
}

static int on_header_field_complete(llhttp_t *parser)
{
    split_state &split = *static_cast<split_state *>(parser->data);
    http_head &head = *split.head;
    if (head.header_count == head.headers.size()) {
        split.too_many = true;
        return -1;
    }
    head.headers[head.header_count++] = {.name = split.name, .value = std::string_view(split.name.data() + split.name.size(), 0)};
    split.name = {};
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t size)
{
    http_head &head = *static_cast<split_state *>(parser->data)->head;
    if (head.header_count == 0)
        return -1;
    std::string_view &value = head.headers[head.header_count - 1].value;
    const char *start = value.empty() ? at : value.data();
    value = std::string_view(start, static_cast<size_t>(at + size - start));
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    static_cast<split_state *>(parser->data)->complete = true;
    return HPE_PAUSED;
}

static llhttp_settings_t make_head_settings()
{
    llhttp_settings_t settings{};
    settings.on_header_field = on_header_field;
    settings.on_header_field_complete = on_header_field_complete;
    settings.on_header_value = on_header_value;
    settings.on_headers_complete = on_headers_complete;
    return settings;
}

// llhttp's own texts address programmers; these address the sender of the head.
static const char *llhttp_error_text(llhttp_errno_t code)
{
    switch (code) {
    case HPE_INVALID_HEADER_TOKEN: return "bad character in a header";
    case HPE_INVALID_CONTENT_LENGTH: return "bad Content-Length";
    case HPE_UNEXPECTED_CONTENT_LENGTH: return "Content-Length twice, or together with Transfer-Encoding";
    case HPE_INVALID_TRANSFER_ENCODING: return "bad Transfer-Encoding";
    case HPE_INVALID_METHOD: return "unknown method";
    case HPE_CR_EXPECTED:
    case HPE_LF_EXPECTED: return "bad line end";
    default: return "malformed head";
    }
}

// Splits header lines. `canned`: a start line of our own. `lines`: from the first header to the end of the empty line.
static error split_headers(llhttp_type_t type, std::string_view canned, std::string_view lines, http_head &out_head)
{
    static const llhttp_settings_t settings = make_head_settings();
    split_state split{.head = &out_head};
    llhttp_t parser;
    llhttp_init(&parser, type, &settings);
    parser.data = &split;
    llhttp_errno_t code = llhttp_execute(&parser, canned.data(), canned.size());
    if (code == HPE_OK)
        code = llhttp_execute(&parser, lines.data(), lines.size());
    if (split.too_many)
        return make_error(error_code::head_too_large, "too many headers");
    if (code != HPE_PAUSED || !split.complete)
        return refuse(llhttp_error_text(code));
    // llhttp and this parser must find the same end; otherwise one of them was deceived.
    const char *end = llhttp_get_error_pos(&parser);
    if (end == nullptr || end + 1 < lines.data() + lines.size())
        return refuse("empty line inside the head");
    return no_error;
}

// ---- meaning of the headers

struct header_facts {
    size_t host_count = 0;
    size_t length_count = 0;
    size_t coding_count = 0;
    bool close = false;
    bool keep_alive = false;
    bool connection_upgrade = false;
    bool upgrade = false;
};

static error read_length(std::string_view value, uint64_t &out_length)
{
    if (value.empty())
        return refuse("empty Content-Length");
    for (char c : value)
        if (!is_digit(c))
            return refuse("Content-Length is not a number");
    if (!text_parse_u64(value, out_length) || out_length > http_length_max)
        return refuse("Content-Length is too large");
    return no_error;
}

// Takes the next element from a comma-separated list; false at the end. Empty elements are skipped.
static bool next_element(std::string_view &list, std::string_view &out_element)
{
    while (!list.empty()) {
        size_t comma = list.find(',');
        out_element = text_trim(list.substr(0, comma));
        list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
        if (!out_element.empty())
            return true;
    }
    return false;
}

static error read_coding(std::string_view value, bool &out_chunked)
{
    if (text_equal_ignore_case(value, "chunked")) {
        out_chunked = true;
        return no_error;
    }
    // Choose the error: if chunked is not the last coding, the length cannot be known (400). Other codings are merely not implemented
    // (501).
    std::string_view rest = value, element;
    bool any = false, chunked_before = false;
    while (next_element(rest, element)) {
        if (chunked_before)
            return refuse("chunked is not the last transfer coding");
        chunked_before = text_equal_ignore_case(element, "chunked");
        any = true;
    }
    if (!any)
        return refuse("empty Transfer-Encoding");
    return make_error(error_code::not_implemented, "transfer coding other than chunked");
}

static void read_connection(std::string_view value, header_facts &facts)
{
    std::string_view element;
    while (next_element(value, element)) {
        if (text_equal_ignore_case(element, "close"))
            facts.close = true;
        else if (text_equal_ignore_case(element, "keep-alive"))
            facts.keep_alive = true;
        else if (text_equal_ignore_case(element, "upgrade"))
            facts.connection_upgrade = true;
    }
}

// RFC 9112 3.2 requires 400 for an invalid Host; an empty one is allowed.
static bool is_host(std::string_view value) { return value.find_first_of(" \t,/\\@?#\"<>") == std::string_view::npos; }

static error read_headers(http_head &head, bool is_request, header_facts &facts)
{
    for (size_t i = 0; i < head.header_count; i++) {
        http_header &header = head.headers[i];
        if (header.name.empty())
            return refuse("header without a name");
        for (char c : header.name)
            if (!http_is_token(c))
                return refuse("bad character in a header name");
        header.value = text_trim(header.value);
        switch (header.name.size()) {
        case 4:
            if (is_request && text_equal_ignore_case(header.name, "host")) {
                if (++facts.host_count > 1)
                    return refuse("two Host headers");
                if (!is_host(header.value))
                    return refuse("bad Host");
            }
            break;
        case 6:
            if (is_request && text_equal_ignore_case(header.name, "expect") && text_equal_ignore_case(header.value, "100-continue"))
                head.expect_continue = head.version_minor == 1;
            break;
        case 7:
            if (text_equal_ignore_case(header.name, "upgrade"))
                facts.upgrade = true;
            break;
        case 10:
            if (text_equal_ignore_case(header.name, "connection"))
                read_connection(header.value, facts);
            break;
        case 14:
            if (text_equal_ignore_case(header.name, "content-length")) {
                if (++facts.length_count > 1)
                    return refuse("two Content-Length headers");
                if (error err = read_length(header.value, head.length))
                    return err;
                head.has_length = true;
            }
            break;
        case 17:
            if (text_equal_ignore_case(header.name, "transfer-encoding")) {
                if (++facts.coding_count > 1)
                    return refuse("two Transfer-Encoding headers");
                if (head.version_minor == 0)
                    return refuse("Transfer-Encoding in HTTP/1.0");
                if (error err = read_coding(header.value, head.chunked))
                    return err;
            }
            break;
        default: break;
        }
    }
    if (facts.length_count != 0 && facts.coding_count != 0)
        return refuse("Content-Length together with Transfer-Encoding");
    head.keep_alive = !facts.close && (head.version_minor == 1 || facts.keep_alive);
    head.upgrade = facts.upgrade && facts.connection_upgrade;
    return no_error;
}

static bool read_version(std::string_view text, int &out_minor)
{
    if (text.size() != 8 || text.substr(0, 7) != "HTTP/1.")
        return false;
    out_minor = text[7] - '0';
    return out_minor == 0 || out_minor == 1;
}

static void clear_head(http_head &head)
{
    // The header array is not cleared: header_count says how many entries count, and clearing 4 KiB for every request has a cost.
    head.method = head.target = head.authority = head.path = head.query = head.reason = {};
    head.status = 0;
    head.version_minor = 1;
    head.header_count = 0;
    head.keep_alive = head.has_length = head.chunked = head.close_delimited = head.expect_continue = head.upgrade = false;
    head.length = 0;
}

// ---- requests

// Removes the scheme and the authority from an absolute-form target.
static error reduce_target(std::string_view target, std::string_view &out_target, std::string_view &out_authority)
{
    size_t scheme_size = 0;
    if (target.size() > 7 && text_equal_ignore_case(target.substr(0, 7), "http://"))
        scheme_size = 7;
    else if (target.size() > 8 && text_equal_ignore_case(target.substr(0, 8), "https://"))
        scheme_size = 8;
    else
        return refuse("the target is not a path");
    size_t end = target.find_first_of("/?", scheme_size);
    if (end == scheme_size)
        return refuse("the target has no host");
    out_authority = target.substr(scheme_size, end == std::string_view::npos ? end : end - scheme_size);
    if (!is_host(out_authority))
        return refuse("the target has a bad host");
    if (end == std::string_view::npos) {
        out_target = "/";
        return no_error;
    }
    // Without a path there is no contiguous "/?query" to point to, and no client sends that.
    if (target[end] == '?')
        return refuse("the target has a query but no path");
    out_target = target.substr(end);
    return no_error;
}

static error read_target(std::string_view sent, http_head &head)
{
    if (sent.size() > http_url_size_max)
        return make_error(error_code::url_too_long);
    for (char c : sent) {
        // White space and control bytes. Bytes from 0x80 are accepted, because clients send raw UTF-8.
        if (static_cast<uint8_t>(c) <= 0x20 || c == 0x7f)
            return refuse("white space in the target");
        if (c == '#')
            return refuse("'#' in the target, %23 expected");
    }
    head.target = sent;
    if (sent[0] != '/')
        if (error err = reduce_target(sent, head.target, head.authority))
            return err;
    size_t mark = head.target.find('?');
    head.path = head.target.substr(0, mark);
    head.query = mark == std::string_view::npos ? std::string_view() : head.target.substr(mark + 1);
    return no_error;
}

// Reads method, target and version. `canned` has room for "<method> / HTTP/1.x\r\n", the start line that llhttp sees.
static error read_request_line(std::string_view line, http_head &head, char (&canned)[64], size_t &out_canned_size)
{
    size_t first = line.find(' ');
    if (first == std::string_view::npos)
        return refuse("malformed request line");
    size_t last = line.rfind(' ');
    if (last == first)
        return refuse("no HTTP version in the request line");
    head.method = line.substr(0, first);
    if (head.method.empty() || head.method.size() > 32)
        return refuse("unknown method");
    if (!read_version(line.substr(last + 1), head.version_minor))
        return refuse("HTTP version other than 1.0 and 1.1");
    std::string_view target = line.substr(first + 1, last - first - 1);
    if (target.empty())
        return refuse("malformed request line");
    if (head.method == "CONNECT")
        return refuse("CONNECT is not offered");
    if (error err = read_target(target, head))
        return err;
    memcpy(canned, head.method.data(), head.method.size());
    memcpy(canned + head.method.size(), " / HTTP/1.1\r\n", 13);
    out_canned_size = head.method.size() + 13;
    canned[out_canned_size - 3] = static_cast<char>('0' + head.version_minor);
    return no_error;
}

error http_parse_request_head(std::string_view bytes, http_head &out_head)
{
    clear_head(out_head);
    bytes.remove_prefix(leading_lines_size(bytes));
    size_t size = 0;
    if (error err = check_lines(bytes, size))
        return err;
    if (size > http_head_size_max)
        return make_error(error_code::head_too_large);
    size_t line_size = bytes.find('\r');
    if (line_size == 0)
        return refuse("too many empty lines before the request");
    char canned[64];
    size_t canned_size = 0;
    if (error err = read_request_line(bytes.substr(0, line_size), out_head, canned, canned_size))
        return err;
    std::string_view lines = bytes.substr(line_size + 2, size - line_size - 2);
    if (error err = split_headers(HTTP_REQUEST, std::string_view(canned, canned_size), lines, out_head))
        return err;
    header_facts facts;
    if (error err = read_headers(out_head, true, facts))
        return err;
    if (facts.host_count == 0 && out_head.version_minor == 1)
        return refuse("no Host header");
    return no_error;
}

// ---- responses

// "HTTP/1.1 200", then nothing, or a space and any text. Requires: no control bytes except tab.
static error read_status_line(std::string_view line, http_head &head)
{
    if (line.empty())
        return refuse("an empty line before the answer's status line");
    if (!line.starts_with("HTTP/"))
        return refuse("the answer's status line does not begin with HTTP/1.1 or HTTP/1.0");
    if (!read_version(line.substr(0, 8), head.version_minor))
        return refuse("HTTP version other than 1.0 and 1.1");
    line.remove_prefix(8);
    if (line.size() < 4 || line[0] != ' ' || !is_digit(line[1]) || !is_digit(line[2]) || !is_digit(line[3]))
        return refuse("malformed status line");
    head.status = (line[1] - '0') * 100 + (line[2] - '0') * 10 + (line[3] - '0');
    if (head.status < 100 || head.status > 599)
        return refuse("status code out of range");
    line.remove_prefix(4);
    if (!line.empty() && line[0] != ' ' && line[0] != '\t')
        return refuse("malformed status line");
    head.reason = text_trim(line);
    return no_error;
}

void http_mend_line_ends(std::string &head)
{
    size_t first = head.find('\n');
    if (first == std::string::npos || (first > 0 && head[first - 1] == '\r') || head.find('\r') != std::string::npos)
        return;
    std::string mended;
    mended.reserve(head.size() + 64);
    for (char c : head) {
        if (c == '\n')
            mended += '\r';
        mended += c;
    }
    head.swap(mended);
}

error http_parse_response_head(std::string_view bytes, bool to_head, http_head &out_head)
{
    clear_head(out_head);
    size_t size = 0;
    if (error err = check_lines(bytes, size))
        return err;
    if (size > http_head_size_max)
        return make_error(error_code::head_too_large);
    size_t line_size = bytes.find('\r');
    if (error err = read_status_line(bytes.substr(0, line_size), out_head))
        return err;
    if (error err = split_headers(HTTP_RESPONSE, "HTTP/1.1 200 OK\r\n", bytes.substr(line_size + 2, size - line_size - 2), out_head))
        return err;
    header_facts facts;
    if (error err = read_headers(out_head, false, facts))
        return err;
    bool no_body = to_head || out_head.status < 200 || out_head.status == 204 || out_head.status == 304;
    if (no_body) {
        out_head.has_length = true;
        out_head.length = 0;
        out_head.chunked = false;
    } else if (!out_head.has_length && !out_head.chunked) {
        out_head.close_delimited = true;
        out_head.keep_alive = false;
    }
    return no_error;
}

} // namespace etlnode
