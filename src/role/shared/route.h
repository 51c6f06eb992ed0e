// SPDX-License-Identifier: MIT
// role/shared/route.h: every method and path that a node serves, declared once (route_table.cc): dispatch, 405 with Allow, and docs/ROUTES.md.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace etlnode {

struct exchange;
struct proxy;
struct target;
struct route_match;

enum class route_role : uint8_t { proxy, target };
enum class route_listener : uint8_t { clients, pods };

struct route {
    const char *method;
    const char *pattern; // "{name}" is one segment, "{name...}" the rest of the path, slashes included
    route_listener listener;
    void (*by_proxy)(proxy &p, exchange &x, const route_match &match);   // null: not a route of the proxy
    void (*by_target)(target &t, exchange &x, const route_match &match); // null: not a route of targets
    const char *summary;
};
std::span<const route> route_table();

inline constexpr size_t route_args_max = 4;

// Lifetime: views point into the path.
struct route_match {
    const route *found = nullptr;                        // null: see `allow`
    std::array<std::string_view, route_args_max> args{}; // what stood for the pattern's names, raw (percent-encoded), in order
    size_t arg_count = 0;
    std::string allow; // not found, but the path exists: the methods it has ("GET, PUT")
};

// One trailing slash is ignored, except inside "{name...}".
route_match route_find(route_role role, route_listener listener, std::string_view method, std::string_view path);

// The table in Markdown, for docs/ROUTES.md.
std::string route_table_text();

} // namespace etlnode
