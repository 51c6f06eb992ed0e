// SPDX-License-Identifier: MIT
// codec/url.cc: percent-encoding, queries and base URLs.
//
// Owns     nothing; pure functions over bytes.
// Knows    base.                     Known by  http, control, transfer, role.
#include "codec/url.h"

#include "base/text.h"

namespace etlnode {

static bool decode(std::string_view text, bool plus_is_space, std::string &out_text)
{
    auto has = [text](char c) { return text.find(c) != std::string_view::npos; };
    if (!has('%') && !has('\0') && !(plus_is_space && has('+'))) { // most texts
        out_text = text;
        return true;
    }
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size(); i++) {
        char c = text[i];
        if (c == '%') {
            if (text.size() - i < 3)
                return false;
            int high = text_hex_digit(text[i + 1]);
            int low = text_hex_digit(text[i + 2]);
            if (high < 0 || low < 0)
                return false;
            c = static_cast<char>(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == '\0')
            return false;
        out += c;
    }
    out_text = std::move(out);
    return true;
}

bool url_decode(std::string_view text, std::string &out_text) { return decode(text, false, out_text); }
bool url_decode_query(std::string_view text, std::string &out_text) { return decode(text, true, out_text); }

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

// `also`: one more character that is not encoded.
static std::string encode(std::string_view text, char also)
{
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    out.reserve(text.size() + 16);
    for (char c : text) {
        if (is_unreserved(c) || (c == also && c != '\0')) {
            out += c;
        } else {
            uint8_t byte = static_cast<uint8_t>(c);
            out += '%';
            out += digits[byte >> 4];
            out += digits[byte & 15];
        }
    }
    return out;
}

std::string url_encode(std::string_view text) { return encode(text, '\0'); }
std::string url_encode_path(std::string_view text) { return encode(text, '/'); }
std::string url_encode_uname(std::string_view text) { return encode(text, '@'); }

// ---- queries

struct query_item {
    std::string_view whole; // "key=value" as sent
    std::string_view key;
    std::string_view value;
};

// Takes the next parameter from `query`; false at the end.
static bool next_item(std::string_view &query, query_item &out_item)
{
    while (!query.empty()) {
        size_t end = query.find('&');
        std::string_view whole = query.substr(0, end);
        query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
        if (whole.empty())
            continue;
        size_t equals = whole.find('=');
        out_item.whole = whole;
        out_item.key = whole.substr(0, equals);
        out_item.value = equals == std::string_view::npos ? std::string_view() : whole.substr(equals + 1);
        return true;
    }
    return false;
}

static bool key_is(std::string_view raw, std::string_view key)
{
    if (raw == key)
        return true;
    if (raw.find_first_of("%+") == std::string_view::npos)
        return false;
    std::string decoded;
    return url_decode_query(raw, decoded) && decoded == key;
}

bool url_query_get(std::string_view query, std::string_view key, std::string &out_value)
{
    query_item item;
    while (next_item(query, item))
        if (key_is(item.key, key))
            return url_decode_query(item.value, out_value);
    return false;
}

bool url_query_is_contradictory(std::string_view query, std::string_view key)
{
    query_item item;
    std::string first, other;
    bool has_first = false;
    while (next_item(query, item)) {
        if (!key_is(item.key, key))
            continue;
        const bool is_good = url_decode_query(item.value, has_first ? other : first);
        if (has_first && (!is_good || other != first))
            return true;
        has_first = true;
    }
    return false;
}

bool url_query_next(std::string_view &in_out_query, std::string &out_key, std::string &out_value, bool &out_broken)
{
    query_item item;
    if (!next_item(in_out_query, item))
        return false;
    bool has_key = url_decode_query(item.key, out_key);
    out_broken = !url_decode_query(item.value, out_value) || !has_key;
    if (!has_key)
        out_key.clear();
    return true;
}

std::string url_query_without(std::string_view query, const std::vector<std::string_view> &keys)
{
    std::string out;
    query_item item;
    while (next_item(query, item)) {
        bool named = false;
        for (std::string_view key : keys)
            named = named || key_is(item.key, key);
        if (named)
            continue;
        if (!out.empty())
            out += '&';
        out += item.whole;
    }
    return out;
}

// ---- base URLs

static bool is_host_name(std::string_view host)
{
    if (host.empty() || host.size() > 253)
        return false;
    for (char c : host)
        if (!is_unreserved(c) || c == '~')
            return false;
    return true;
}

// Accepts hexadecimal digits, colons and dots, with a zone after '%' for link-local addresses. The resolver judges the rest.
static bool is_address6(std::string_view host)
{
    size_t zone = host.find('%');
    std::string_view address = host.substr(0, zone);
    if (zone != std::string_view::npos && !is_host_name(host.substr(zone + 1)))
        return false;
    if (address.size() < 2 || address.size() > 45 || address.find(':') == std::string_view::npos)
        return false;
    for (char c : address)
        if (text_hex_digit(c) < 0 && c != ':' && c != '.')
            return false;
    return true;
}

static bool is_base_path(std::string_view path)
{
    for (char c : path)
        if (static_cast<uint8_t>(c) <= 0x20 || c == 0x7f || c == '?' || c == '#')
            return false;
    return true;
}

bool url_parse_base(std::string_view text, url_base &out_base)
{
    static constexpr std::string_view scheme = "http://";
    if (text.size() <= scheme.size() || !text_equal_ignore_case(text.substr(0, scheme.size()), scheme))
        return false; // https fails here too: it has an "s" where the colon is expected
    text.remove_prefix(scheme.size());
    size_t slash = text.find('/');
    std::string_view authority = text.substr(0, slash);
    std::string_view path = slash == std::string_view::npos ? std::string_view() : text.substr(slash);
    while (path.ends_with('/'))
        path.remove_suffix(1);
    url_base base;
    std::string_view port;
    bool has_port = false;
    if (authority.starts_with('[')) {
        size_t close = authority.find(']');
        if (close == std::string_view::npos || !is_address6(authority.substr(1, close - 1)))
            return false;
        base.host = authority.substr(1, close - 1);
        std::string_view rest = authority.substr(close + 1);
        if (!rest.empty() && rest[0] != ':')
            return false;
        has_port = !rest.empty();
        port = has_port ? rest.substr(1) : rest;
    } else {
        size_t colon = authority.find(':');
        if (!is_host_name(authority.substr(0, colon)))
            return false;
        base.host = authority.substr(0, colon);
        has_port = colon != std::string_view::npos;
        port = has_port ? authority.substr(colon + 1) : std::string_view();
    }
    uint64_t number = 80;
    if (has_port && (!text_parse_u64(port, number) || number == 0 || number > 65'535))
        return false;
    if (!is_base_path(path))
        return false;
    base.port = static_cast<uint16_t>(number);
    base.path = path;
    out_base = std::move(base);
    return true;
}

std::string url_format_base(std::string_view host, uint16_t port)
{
    bool brackets = host.find(':') != std::string_view::npos;
    return text_format("http://%s%.*s%s:%u", brackets ? "[" : "", static_cast<int>(host.size()), host.data(), brackets ? "]" : "",
        static_cast<unsigned>(port));
}

} // namespace etlnode
