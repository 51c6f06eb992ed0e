// SPDX-License-Identifier: MIT
// role/shared/web_guard.h: refuses requests that a web page may have made against this node: docs/PROTOCOL.md, "Web pages".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/http_parse.h"

namespace etlnode {

struct exchange;
struct node_options;

// The names of this node, and the origins whose pages may change something through it. Built once at the start; requests allocate nothing.
struct web_guard {
    std::vector<std::string> hosts;    // without port and brackets; in addition: every IP literal, and localhost
    std::vector<std::string> suffixes; // ".example.org"
    bool any_host = false;
    std::vector<std::string> origins; // "https://data.example.org:8443", as browsers write them
};

enum class web_verdict : uint8_t {
    pass,
    strange_host,   // a name that is not this node's, as in DNS rebinding
    strange_origin, // a browser sends it for a page of another origin, and it would change something
};

// `urls`: how others address this node. Requires: texts that pass web_host_rule_is_good and web_origin_is_good.
web_guard web_guard_make(const node_options &options, const std::vector<std::string_view> &urls);
web_verdict web_guard_judge(const web_guard &guard, const http_head &head);
// Whether "host[:port]" is a name that the guard knows, or an IP literal.
bool web_guard_knows(const web_guard &guard, std::string_view authority);

// True if the request may continue. Otherwise it has been answered with 421 or 403, and the text names the option that would allow it.
bool web_guard_admit(const web_guard &guard, exchange &x);

// A value of --allowed-host: "any", "*.example.org", a host name or an IP address, without a port.
bool web_host_rule_is_good(std::string_view text);
// A value of --allowed-origin: "https://host[:port]".
bool web_origin_is_good(std::string_view text);

} // namespace etlnode
