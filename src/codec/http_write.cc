// SPDX-License-Identifier: MIT
// codec/http_write.cc: status lines, request lines, headers, chunk sizes, dates and ranges.
//
// Owns     nothing; it appends to strings of the caller, which keep their capacity from one message to the next.
// Knows    base.                     Known by  http, store, transfer, role.
#include "codec/http_write.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>

#include "base/text.h"

namespace etlnode {

const char *http_reason(int status)
{
    switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 102: return "Processing";
    case 103: return "Early Hints";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 203: return "Non-Authoritative Information";
    case 204: return "No Content";
    case 205: return "Reset Content";
    case 206: return "Partial Content";
    case 207: return "Multi-Status";
    case 208: return "Already Reported";
    case 226: return "IM Used";
    case 300: return "Multiple Choices";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 305: return "Use Proxy";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 407: return "Proxy Authentication Required";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 423: return "Locked";
    case 424: return "Failed Dependency";
    case 425: return "Too Early";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 451: return "Unavailable For Legal Reasons";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 506: return "Variant Also Negotiates";
    case 507: return "Insufficient Storage";
    case 508: return "Loop Detected";
    case 511: return "Network Authentication Required";
    default: return "";
    }
}

std::string http_status_text(int status)
{
    std::string text = std::to_string(status);
    const char *reason = http_reason(status);
    return reason[0] == '\0' ? text : text + " " + reason;
}

static void append_u64(std::string &out, uint64_t value, int base = 10)
{
    char digits[24];
    std::to_chars_result end = std::to_chars(digits, digits + sizeof digits, value, base);
    out.append(digits, static_cast<size_t>(end.ptr - digits));
}

void http_write_status_line(std::string &out, int status)
{
    out += "HTTP/1.1 ";
    append_u64(out, static_cast<uint64_t>(status));
    out += ' ';
    out += http_reason(status);
    out += "\r\n";
}

void http_write_request_line(std::string &out, std::string_view method, std::string_view target)
{
    out += method;
    out += ' ';
    out += target;
    out += " HTTP/1.1\r\n";
}

// What would end the line, or the text.
static bool is_line_break(char c) { return c == '\r' || c == '\n' || c == '\0'; }

void http_write_header(std::string &out, std::string_view name, std::string_view value)
{
    out += name;
    out += ": ";
    size_t start = out.size();
    out += value;
    // Three searches by the C library take less than one loop over the bytes, and almost no value has any of the three.
    bool is_clean = value.find('\r') == std::string_view::npos && value.find('\n') == std::string_view::npos &&
                    value.find('\0') == std::string_view::npos;
    if (!is_clean)
        std::replace_if(out.begin() + static_cast<std::ptrdiff_t>(start), out.end(), is_line_break, ' ');
    out += "\r\n";
}

void http_write_header_u64(std::string &out, std::string_view name, uint64_t value)
{
    out += name;
    out += ": ";
    append_u64(out, value);
    out += "\r\n";
}

void http_write_end(std::string &out) { out += "\r\n"; }

void http_write_chunk_size(std::string &out, uint64_t size)
{
    append_u64(out, size, 16);
    out += "\r\n";
}

std::string http_date(uint64_t seconds_since_1970)
{
    static constexpr const char *day_names[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"}; // 1 January 1970 was a Thursday
    static constexpr const char *month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    static constexpr uint64_t latest = 253'402'300'799; // the end of the year 9999, the last with four digits
    uint64_t seconds = seconds_since_1970 > latest ? latest : seconds_since_1970;
    uint64_t days = seconds / 86'400;
    uint64_t of_day = seconds % 86'400;
    // The calendar repeats every 400 years. Years start on 1 March here, so that the leap day comes last.
    uint64_t shifted = days + 719'468; // since 1 March of year 0
    uint64_t era = shifted / 146'097;
    uint64_t of_era = shifted % 146'097;
    uint64_t year_of_era = (of_era - of_era / 1'460 + of_era / 36'524 - of_era / 146'096) / 365;
    uint64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t shifted_month = (5 * of_year + 2) / 153; // 0 is March
    uint64_t day = of_year - (153 * shifted_month + 2) / 5 + 1;
    uint64_t month = shifted_month < 10 ? shifted_month + 2 : shifted_month - 10; // 0 is January
    uint64_t year = era * 400 + year_of_era + (month < 2 ? 1 : 0);
    return text_format("%s, %02u %s %04u %02u:%02u:%02u GMT", day_names[days % 7], static_cast<unsigned>(day), month_names[month],
        static_cast<unsigned>(year), static_cast<unsigned>(of_day / 3600), static_cast<unsigned>(of_day / 60 % 60),
        static_cast<unsigned>(of_day % 60));
}

bool http_header_is_hop_by_hop(std::string_view name)
{
    static constexpr std::array<std::string_view, 6> names = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"};
    for (std::string_view candidate : names)
        if (text_equal_ignore_case(name, candidate))
            return true;
    return name.size() > 6 && text_equal_ignore_case(name.substr(0, 6), "proxy-");
}

// ---- ranges

struct range_bound {
    bool given = false;
    uint64_t value = 0; // saturated: a number beyond 64 bits is past the end of every object
};

static bool read_bound(std::string_view text, range_bound &out_bound)
{
    for (char c : text)
        if (c < '0' || c > '9')
            return false;
    out_bound.given = !text.empty();
    if (out_bound.given && !text_parse_u64(text, out_bound.value))
        out_bound.value = UINT64_MAX;
    return true;
}

// "first-last", "first-" or "-suffix".
static bool read_spec(std::string_view spec, range_bound &out_first, range_bound &out_last)
{
    size_t dash = spec.find('-');
    if (dash == std::string_view::npos || !read_bound(spec.substr(0, dash), out_first) || !read_bound(spec.substr(dash + 1), out_last))
        return false;
    if (!out_first.given && !out_last.given)
        return false;
    return !out_first.given || !out_last.given || out_first.value <= out_last.value;
}

http_range http_range_parse(std::string_view value, uint64_t size)
{
    value = text_trim(value);
    if (value.size() < 6 || !text_equal_ignore_case(value.substr(0, 6), "bytes="))
        return {};
    std::string_view list = value.substr(6);
    range_bound first, last;
    size_t count = 0;
    while (true) {
        size_t comma = list.find(',');
        range_bound this_first, this_last;
        std::string_view spec = text_trim(list.substr(0, comma));
        if (!spec.empty()) {
            if (!read_spec(spec, this_first, this_last))
                return {};
            first = this_first;
            last = this_last;
            count++;
        }
        if (comma == std::string_view::npos)
            break;
        list.remove_prefix(comma + 1);
    }
    if (count == 0)
        return {};
    static constexpr http_range unsatisfiable{.kind = http_range_kind::unsatisfiable};
    if (count > 1)
        return {}; // several ranges: the whole object, as RFC 9110 14.2 allows; 416 would say that nothing is there
    if (!first.given) {
        uint64_t suffix = last.value < size ? last.value : size;
        if (suffix == 0)
            return unsatisfiable;
        return {.kind = http_range_kind::part, .first = size - suffix, .count = suffix};
    }
    if (first.value >= size)
        return unsatisfiable;
    uint64_t end = last.given && last.value < size - 1 ? last.value + 1 : size;
    return {.kind = http_range_kind::part, .first = first.value, .count = end - first.value};
}

bool http_range_counts(std::string_view if_range, std::string_view etag)
{
    return if_range.empty() || (if_range == etag && etag.size() > 2 && etag.front() == '"' && etag.back() == '"');
}

} // namespace etlnode
