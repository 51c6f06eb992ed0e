// SPDX-License-Identifier: MIT
// base/address_rules.cc: blocks of addresses, and which of them may be connected to.
//
// Known by  uv (each connection of a fetch), etlnode (the option).
#include "base/address_rules.h"

#include <algorithm>
#include <cstring>
#include <span>

#include <arpa/inet.h>

#include "base/text.h"

namespace etlnode {

// Never: nothing but this link, or no single machine, is there. Clouds keep credentials at the link-local addresses and at fd00:ec2::254.
static constexpr const char *never[] = {"0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "100.100.100.200/32", "192.0.0.192/32",
    "::/128", "fe80::/10", "fec0::/10", "ff00::/8", "fd00:ec2::/32"};
// Only who is near reaches them.
static constexpr const char *near[] = {"10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
    "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "::1/128", "fc00::/7", "2001:db8::/32", "100::/64"};

static constexpr uint8_t mapped_start[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static constexpr unsigned mapped_bits = 96;

static address_bytes map_v4(const uint8_t *four)
{
    address_bytes address;
    std::memcpy(address.at, mapped_start, sizeof mapped_start);
    std::memcpy(address.at + 12, four, 4);
    return address;
}

static bool is_v4(const address_bytes &address) { return std::memcmp(address.at, mapped_start, sizeof mapped_start) == 0; }

bool address_read(std::string_view text, address_bytes &out_address)
{
    std::string copy(text);
    uint8_t four[4];
    if (inet_pton(AF_INET, copy.c_str(), four) == 1) {
        out_address = map_v4(four);
        return true;
    }
    return inet_pton(AF_INET6, copy.c_str(), out_address.at) == 1;
}

std::string address_print(const address_bytes &address)
{
    char text[INET6_ADDRSTRLEN] = "";
    if (is_v4(address))
        inet_ntop(AF_INET, address.at + 12, text, sizeof text);
    else
        inet_ntop(AF_INET6, address.at, text, sizeof text);
    return text;
}

static bool read_block(std::string_view text, address_block &out_block)
{
    size_t slash = text.find('/');
    std::string_view start = text.substr(0, slash);
    if (start.starts_with('[') && start.ends_with(']'))
        start = start.substr(1, start.size() - 2);
    if (!address_read(start, out_block.start))
        return false;
    bool is_four = start.find(':') == std::string_view::npos;
    uint64_t bits = is_four ? 32 : 128;
    if (slash != std::string_view::npos && (!text_parse_u64(text.substr(slash + 1), bits) || bits > (is_four ? 32u : 128u)))
        return false;
    out_block.bits = static_cast<unsigned>(bits) + (is_four ? mapped_bits : 0);
    return true;
}

static bool is_in(const address_block &block, const address_bytes &address)
{
    for (unsigned bit = 0; bit < block.bits; bit++) {
        auto mask = static_cast<uint8_t>(0x80u >> (bit % 8));
        if ((block.start.at[bit / 8] & mask) != (address.at[bit / 8] & mask))
            return false;
    }
    return true;
}

static bool is_in_any(std::span<const char *const> blocks, const address_bytes &address)
{
    return std::any_of(blocks.begin(), blocks.end(), [&](const char *text) {
        address_block block;
        return read_block(text, block) && is_in(block, address);
    });
}

// The IPv4 address that an IPv6 address stands for: of 6to4, of the translation of RFC 6052, or written as ::a.b.c.d.
static bool find_inner(const address_bytes &address, address_bytes &out_inner)
{
    static constexpr uint8_t translated[12] = {0, 0x64, 0xff, 0x9b};
    static constexpr uint8_t compatible[12] = {};
    bool is_last = std::memcmp(address.at, translated, sizeof translated) == 0 ||
                   (std::memcmp(address.at, compatible, sizeof compatible) == 0 && (address.at[12] | address.at[13]) != 0);
    bool is_6to4 = address.at[0] == 0x20 && address.at[1] == 0x02;
    if (is_last || is_6to4)
        out_inner = map_v4(address.at + (is_last ? 12 : 2));
    return is_last || is_6to4;
}

// --- what an operator allows

static bool is_host_name(std::string_view text)
{
    auto is_good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    };
    return !text.empty() && text.size() <= 253 && text.front() != '.' && text.front() != '-' &&
           std::all_of(text.begin(), text.end(), is_good);
}

bool address_rules_add(address_rules &rules, std::string_view text)
{
    address_block block;
    if (text == "none")
        return true;
    if (text == "public" || text == "private") {
        (text == "public" ? rules.allows_public : rules.allows_private) = true;
        return true;
    }
    if (read_block(text, block)) {
        rules.blocks.push_back(block);
        return true;
    }
    bool is_suffix = text.starts_with("*.");
    std::string_view name = text.substr(is_suffix ? 2 : 0);
    uint64_t number = 0; // a name does not end with one, but a mistyped address does
    if (text_parse_u64(name.substr(name.rfind('.') + 1), number) || !is_host_name(name))
        return false;
    rules.hosts.push_back((is_suffix ? "." : "") + text_lower(name));
    return true;
}

static bool has_host(const address_rules &rules, std::string_view host)
{
    std::string name = text_lower(host);
    if (name.ends_with('.'))
        name.pop_back();
    return std::any_of(rules.hosts.begin(), rules.hosts.end(), [&name](const std::string &rule) {
        return rule.front() == '.' ? name.size() > rule.size() && name.ends_with(rule) : name == rule;
    });
}

std::string address_rules_refusal(const address_rules &rules, std::string_view host, const address_bytes &address)
{
    address_bytes inner = address;
    bool has_inner = find_inner(address, inner);
    std::string shown = address_print(address);
    if (is_in_any(never, address) || (has_inner && is_in_any(never, inner)))
        return "the address " + shown + " is never fetched from";
    auto holds = [&](const address_block &block) { return is_in(block, address); };
    if (std::any_of(rules.blocks.begin(), rules.blocks.end(), holds) || has_host(rules, host))
        return {};
    bool is_near = is_in_any(near, address) || (has_inner && is_in_any(near, inner));
    if (is_near ? rules.allows_private : rules.allows_public)
        return {};
    return std::string("the target does not fetch from ") + (is_near ? "the private address " : "the address ") + shown +
           " (etlnode --download-from)";
}

} // namespace etlnode
