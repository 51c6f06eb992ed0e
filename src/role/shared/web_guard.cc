// SPDX-License-Identifier: MIT
// role/shared/web_guard.cc: distinguishes a web page's request from all others.
//
// In two ways a page can reach a node that its author cannot. The author points a domain name at the node's address, so that the browser
// takes the node for the author's own server; Host shows this. Or the page sends requests that browsers allow across origins without asking
// first; Origin and Sec-Fetch-* show this, because scripts can neither set nor omit them.
//
// Knows    codec, http.            Known by  proxy.cc, target.cc, etlnode (checks of options).
// Limits   none of its own: a head is bounded by http_head_size_max.
#include "role/shared/web_guard.h"

#include <arpa/inet.h>
#include <cstring>

#include "base/text.h"
#include "codec/url.h"
#include "http/server/exchange.h"
#include "role/shared/node.h"

namespace etlnode {

// --- authorities

struct authority {
    std::string_view host; // without brackets and without a trailing dot
    bool is_ip6 = false;
    bool has_port = false;
    uint64_t port = 0;
};

// "host", "host:80", "[::1]", "[::1]:80". An empty port is not a port.
static bool read_authority(std::string_view text, authority &out)
{
    std::string_view rest;
    if (text.starts_with('[')) {
        size_t end = text.find(']');
        if (end == std::string_view::npos)
            return false;
        out.host = text.substr(1, end - 1);
        out.is_ip6 = true;
        rest = text.substr(end + 1);
    } else {
        size_t colon = text.find(':');
        out.host = text.substr(0, colon);
        if (colon != std::string_view::npos)
            rest = text.substr(colon);
        if (out.host.ends_with('.'))
            out.host.remove_suffix(1);
    }
    if (out.host.empty())
        return false;
    if (rest.empty() || rest == ":")
        return true;
    out.has_port = true;
    return rest[0] == ':' && text_parse_u64(rest.substr(1), out.port) && out.port <= 65535;
}

// Four decimal numbers, or anything in brackets: the forms that browsers write. A zone ("%eth0") names a link, not a host.
static bool is_ip_literal(const authority &a)
{
    std::string_view host = a.is_ip6 ? a.host.substr(0, a.host.find('%')) : a.host;
    char text[INET6_ADDRSTRLEN];
    unsigned char address[16];
    if (host.size() >= sizeof text || (!a.is_ip6 && (host.empty() || host[0] < '0' || host[0] > '9')))
        return false;
    std::memcpy(text, host.data(), host.size());
    text[host.size()] = '\0';
    return inet_pton(a.is_ip6 ? AF_INET6 : AF_INET, text, address) == 1;
}

bool web_guard_knows(const web_guard &guard, std::string_view text)
{
    if (guard.any_host)
        return true;
    authority a;
    if (!read_authority(text, a))
        return false;
    if (is_ip_literal(a) || text_equal_ignore_case(a.host, "localhost"))
        return true;
    for (const std::string &host : guard.hosts) {
        if (text_equal_ignore_case(a.host, host))
            return true;
    }
    for (const std::string &suffix : guard.suffixes) {
        if (a.host.size() > suffix.size() && text_equal_ignore_case(a.host.substr(a.host.size() - suffix.size()), suffix))
            return true;
    }
    return false;
}

// --- origins

struct origin {
    std::string_view authority_text;
    authority at;
    uint64_t usual = 80; // the scheme's default port
    uint64_t port = 80;
};

static bool read_origin(std::string_view text, origin &out)
{
    bool is_tls = text.size() > 8 && text_equal_ignore_case(text.substr(0, 8), "https://");
    if (!is_tls && !(text.size() > 7 && text_equal_ignore_case(text.substr(0, 7), "http://")))
        return false;
    out.authority_text = text.substr(is_tls ? 8 : 7);
    if (out.authority_text.find_first_of("/?#@ \t") != std::string_view::npos || !read_authority(out.authority_text, out.at))
        return false;
    out.usual = is_tls ? 443 : 80;
    out.port = out.at.has_port ? out.at.port : out.usual;
    return true;
}

// The scheme is not compared: if a gateway terminates TLS, the node sees https in Origin but plain HTTP. For the same reason a Host without
// a port has the default port of Origin's scheme.
static bool is_same_place(const origin &from, std::string_view host)
{
    authority here;
    return read_authority(host, here) && here.is_ip6 == from.at.is_ip6 && text_equal_ignore_case(here.host, from.at.host) &&
           (here.has_port ? here.port : from.usual) == from.port;
}

static bool is_allowed_origin(const web_guard &guard, const origin &from)
{
    for (const std::string &known : guard.origins) {
        origin allowed;
        if (read_origin(known, allowed) && allowed.usual == from.usual && allowed.port == from.port &&
            text_equal_ignore_case(allowed.at.host, from.at.host))
            return true;
    }
    return false;
}

// --- the verdict

struct web_facts {
    std::string_view host, origin;
    size_t origin_count = 0;
    bool is_browser = false;   // Origin, or any Sec-Fetch-*
    bool is_own_fetch = false; // Sec-Fetch-Site: same-origin, or none (the user typed an address or used a bookmark)
    bool is_foreign_fetch = false;
};

static web_facts read_facts(const http_head &head)
{
    web_facts facts;
    for (size_t i = 0; i < head.header_count; i++) {
        const http_header &header = head.headers[i];
        switch (header.name.size()) {
        case 4:
            if (text_equal_ignore_case(header.name, "host"))
                facts.host = header.value;
            break;
        case 6:
            if (text_equal_ignore_case(header.name, "origin")) {
                facts.origin = header.value;
                facts.origin_count++;
                facts.is_browser = true;
            }
            break;
        default:
            if (header.name.size() < 10 || (header.name[0] | 0x20) != 's' ||
                !text_equal_ignore_case(header.name.substr(0, 10), "sec-fetch-"))
                break;
            facts.is_browser = true;
            if (text_equal_ignore_case(header.name.substr(10), "site")) {
                bool is_own = text_equal_ignore_case(header.value, "same-origin") || text_equal_ignore_case(header.value, "none");
                facts.is_own_fetch = facts.is_own_fetch || is_own;
                facts.is_foreign_fetch = facts.is_foreign_fetch || !is_own;
            }
            break;
        }
    }
    return facts;
}

static bool is_own_page(const web_guard &guard, const web_facts &facts)
{
    if (facts.origin_count == 0)
        return facts.is_own_fetch && !facts.is_foreign_fetch;
    origin from;
    if (facts.origin_count > 1 || !read_origin(facts.origin, from)) // includes "null": sandboxed frames, files, redirects across origins
        return false;
    return is_same_place(from, facts.host) || is_allowed_origin(guard, from);
}

web_verdict web_guard_judge(const web_guard &guard, const http_head &head)
{
    web_facts facts = read_facts(head);
    // HTTP/1.0 has no Host, but no browser uses it. The parser guarantees that HTTP/1.1 has exactly one.
    if (facts.host.data() != nullptr && !web_guard_knows(guard, facts.host))
        return web_verdict::strange_host;
    if (!head.authority.empty() && !web_guard_knows(guard, head.authority)) // of "GET http://host/path": counts if it differs from Host
        return web_verdict::strange_host;
    if (!facts.is_browser || head.method == "GET" || head.method == "HEAD" || head.method == "OPTIONS")
        return web_verdict::pass; // a page cannot see the answer across origins, because no answer here has Access-Control-*
    return is_own_page(guard, facts) ? web_verdict::pass : web_verdict::strange_origin;
}

// --- the rules

static void add_host(web_guard &guard, std::string_view host)
{
    if (host.starts_with('[') && host.ends_with(']'))
        host = host.substr(1, host.size() - 2);
    if (host.ends_with('.'))
        host.remove_suffix(1);
    if (!host.empty())
        guard.hosts.emplace_back(host);
}

web_guard web_guard_make(const node_options &options, const std::vector<std::string_view> &urls)
{
    web_guard guard;
    add_host(guard, options.machine_name);
    add_host(guard, std::string_view(options.machine_name).substr(0, options.machine_name.find('.')));
    for (std::string_view url : urls) {
        url_base base;
        if (url_parse_base(url, base))
            add_host(guard, base.host);
    }
    for (const std::string &rule : options.allowed_hosts) {
        if (rule == "any")
            guard.any_host = true;
        else if (rule.starts_with("*."))
            guard.suffixes.push_back(rule.substr(1));
        else
            add_host(guard, rule);
    }
    guard.origins = options.allowed_origins;
    return guard;
}

bool web_host_rule_is_good(std::string_view text)
{
    if (text.starts_with("*."))
        text.remove_prefix(2);
    if (text.find(':') != std::string_view::npos && !text.starts_with('[')) { // an IPv6 address without brackets, or a port
        authority bare{.host = text, .is_ip6 = true};
        return is_ip_literal(bare);
    }
    authority a;
    if (!read_authority(text, a) || a.has_port || text.ends_with(':') || (a.is_ip6 && !is_ip_literal(a)))
        return false;
    for (char c : a.host) {
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
        if (!good && !a.is_ip6)
            return false;
    }
    return true;
}

bool web_origin_is_good(std::string_view text)
{
    origin o;
    return read_origin(text, o) && (!o.at.is_ip6 || is_ip_literal(o.at)) && o.authority_text.find('*') == std::string_view::npos;
}

// --- answers

// The name is written as --allowed-host accepts it.
static std::string strange_host_text(std::string_view host)
{
    if (text_trim(host).empty())
        return "the Host of the request is empty: call this node by its IP address or by one of its names";
    std::string shown = text_escape(host, 200);
    std::string_view name = host.substr(0, host.rfind(':')); // an IPv6 address never gets here
    if (!web_host_rule_is_good(name) || name.starts_with("*"))
        return "\"" + shown + "\" is no host name: call this node by its IP address or by one of its names";
    return "this node does not know itself as \"" + shown + "\": use its IP address, or start it with --allowed-host " + std::string(name);
}

bool web_guard_admit(const web_guard &guard, exchange &x)
{
    const http_head &head = exchange_head(x);
    switch (web_guard_judge(guard, head)) {
    case web_verdict::pass: return true;
    case web_verdict::strange_host: {
        std::string_view sent = http_head_get(head, "Host");
        exchange_answer_error(
            x, error_code::misdirected, strange_host_text(!head.authority.empty() && web_guard_knows(guard, sent) ? head.authority : sent));
        return false;
    }
    case web_verdict::strange_origin: {
        std::string_view sent = http_head_get(head, "Origin");
        std::string name = text_escape(sent, 200);
        bool can_be_allowed = web_origin_is_good(sent);
        exchange_answer_error(x, error_code::forbidden,
            sent.data() == nullptr ? "a web page of another origin may not change anything here"
                                   : "a web page of origin \"" + name + "\" may not change anything here" +
                                         (can_be_allowed ? "; if it is yours, start the node with --allowed-origin " + name : ""));
        return false;
    }
    }
    return false;
}

} // namespace etlnode
