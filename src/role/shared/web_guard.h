// SPDX-License-Identifier: MIT
// role/shared/web_guard.h: which requests may be a web page's work against this node, and are refused: docs/PROTOCOL.md, "Web pages".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/http_parse.h"

namespace etlnode {

struct exchange;
struct node_options;

// What this node is called, and whose pages may change something through it. Made once at the start: nothing is allocated per request.
struct web_guard {
    std::vector<std::string> hosts;    // without port and brackets; besides these: every IP literal, and localhost
    std::vector<std::string> suffixes; // ".example.org"
    bool any_host = false;
    std::vector<std::string> origins; // "https://data.example.org:8443", as browsers write them
};

enum class web_verdict : uint8_t {
    pass,
    strange_host,   // a name that is not this node's: what DNS rebinding looks like
    strange_origin, // a browser sends it for a page of another origin, and it would change something
};

// `urls`: what others are told of this node. Requires: texts that web_host_rule_is_good and web_origin_is_good let pass.
web_guard web_guard_make(const node_options &options, const std::vector<std::string_view> &urls);
web_verdict web_guard_judge(const web_guard &guard, const http_head &head);
// Whether "host[:port]" is a name that the guard knows, or an IP literal.
bool web_guard_knows(const web_guard &guard, std::string_view authority);

// True when the request may go on; else it has been answered with 421 or 403, whose text names the option that would let it pass.
bool web_guard_admit(const web_guard &guard, exchange &x);

// A value of --allowed-host: "any", "*.example.org", a host name or an IP address, without a port.
bool web_host_rule_is_good(std::string_view text);
// A value of --allowed-origin: "https://host[:port]".
bool web_origin_is_good(std::string_view text);

} // namespace etlnode
