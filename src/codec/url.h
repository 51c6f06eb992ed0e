// SPDX-License-Identifier: MIT
// codec/url.h: percent-encoding, paths, queries, base URLs. Names are bytes, escaped once a layer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace etlnode {

// False on a broken %XX or a NUL byte; '+' stays '+'.
bool url_decode(std::string_view text, std::string &out_text);
// As above, '+' becomes a space: for query values.
bool url_decode_query(std::string_view text, std::string &out_text);
// Everything but unreserved characters (A-Z a-z 0-9 - . _ ~) becomes %XX; for one path segment or a query value.
std::string url_encode(std::string_view text);
// As url_encode, '/' stays.
std::string url_encode_path(std::string_view text);
// AIStore's one-segment form of a uname: '/' becomes %2F, '@' stays bare ("ais%2F@%23%2Fbck%2Fobj").
std::string url_encode_uname(std::string_view text);

// First value of `key` in a raw query, decoded; false when absent. A key without '=' has the value "".
bool url_query_get(std::string_view query, std::string_view key, std::string &out_value);
// Takes the next parameter off `in_out_query`, decoded; false at its end. `out_broken`: it is not properly percent-encoded; with an empty `out_key` it is the key.
bool url_query_next(std::string_view &in_out_query, std::string &out_key, std::string &out_value, bool &out_broken);
// The raw query without the parameters named (bytes of the others untouched).
std::string url_query_without(std::string_view query, const std::vector<std::string_view> &keys);

// "http://host:port[/prefix]", also "http://[::1]:80". https is recognised and refused.
struct url_base {
    std::string host; // without brackets
    uint16_t port = 80;
    std::string path; // "" or "/prefix", without a trailing slash
};
bool url_parse_base(std::string_view text, url_base &out_base);
// "http://host:port", brackets where the host has a colon.
std::string url_format_base(std::string_view host, uint16_t port);

} // namespace etlnode
