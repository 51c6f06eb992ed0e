// SPDX-License-Identifier: MIT
// codec/url.h: percent-encoding, paths, queries, base URLs. Names are bytes, escaped once per layer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace etlnode {

// False for a broken %XX or a NUL byte. '+' stays '+'.
bool url_decode(std::string_view text, std::string &out_text);
// The same for query values, where '+' becomes a space.
bool url_decode_query(std::string_view text, std::string &out_text);
// Encodes everything except unreserved characters (A-Z a-z 0-9 - . _ ~) as %XX; for one path segment or a query value.
std::string url_encode(std::string_view text);
// The same, but '/' stays.
std::string url_encode_path(std::string_view text);
// AIStore's one-segment form of a uname: '/' becomes %2F, '@' stays ("ais%2F@%23%2Fbck%2Fobj").
std::string url_encode_uname(std::string_view text);

// The first value of `key` in a raw query, decoded; false if absent. A key without '=' has the value "".
bool url_query_get(std::string_view query, std::string_view key, std::string &out_value);
// Whether the query has `key` twice, with different values. A value that is not properly encoded differs from all.
bool url_query_is_contradictory(std::string_view query, std::string_view key);
// Takes the next parameter from `in_out_query`, decoded; false at the end. `out_broken`: its percent-encoding is invalid; if `out_key` is
// empty, that of the key.
bool url_query_next(std::string_view &in_out_query, std::string &out_key, std::string &out_value, bool &out_broken);
// The raw query without the named parameters. The bytes of all others stay as they are.
std::string url_query_without(std::string_view query, const std::vector<std::string_view> &keys);

// "http://host:port[/prefix]", or "http://[::1]:80". https is recognised and refused.
struct url_base {
    std::string host; // without brackets
    uint16_t port = 80;
    std::string path; // "" or "/prefix", without a trailing slash
};
bool url_parse_base(std::string_view text, url_base &out_base);
// "http://host:port", with brackets if the host contains a colon.
std::string url_format_base(std::string_view host, uint16_t port);

} // namespace etlnode
