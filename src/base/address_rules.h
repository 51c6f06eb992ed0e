// SPDX-License-Identifier: MIT
// base/address_rules.h: from which addresses this node may fetch what a client names. Pure.
//
// Clients who reach a node must not reach through it what they cannot reach themselves: a cloud's metadata service, the services of a
// machine that listen on loopback, other machines of a private network.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace etlnode {

// IPv4 addresses as ::ffff:a.b.c.d.
struct address_bytes {
    uint8_t at[16] = {};
};

struct address_block {
    address_bytes start;
    unsigned bits = 128;
};

struct address_rules {
    bool allows_public = false;  // what the whole internet can reach
    bool allows_private = false; // loopback, private networks, and those of carriers
    std::vector<address_block> blocks = {};
    std::vector<std::string> hosts = {}; // in lower case; ".example.org" stands for all names below example.org
};

inline constexpr const char *address_rules_words = "public, private, none, a block such as 10.0.0.0/8, a host name, or *.example.org";

// False: the text is none of address_rules_words.
bool address_rules_add(address_rules &rules, std::string_view text);
// Of AF_INET or AF_INET6. False: it is neither.
bool address_read(std::string_view text, address_bytes &out_address);
std::string address_print(const address_bytes &address);
// Why the node may not connect to `address`, which `host` of a link led to; empty: it may. Link-local addresses, where clouds have their
// metadata, and those that lead to no single machine are always refused.
std::string address_rules_refusal(const address_rules &rules, std::string_view host, const address_bytes &address);

} // namespace etlnode
