// SPDX-License-Identifier: MIT
// role/shared/route.cc: matches a request against the table and prints the table.
//
// Knows    route_table.cc.            Known by  proxy.cc, target.cc.
// Limits   route_args_max.
#include "role/shared/route.h"

#include <cstring>

namespace etlnode {

static std::string_view take_segment(std::string_view &path)
{
    size_t slash = path.find('/');
    std::string_view segment = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
    return segment;
}

// Both texts without their leading '/'.
static bool matches(std::string_view pattern, std::string_view path, route_match &match)
{
    if (!path.starts_with(pattern.substr(0, pattern.find('{')))) // most rows end here
        return false;
    match.arg_count = 0;
    while (!pattern.empty()) {
        std::string_view wanted = take_segment(pattern);
        if (wanted.starts_with("{") && wanted.ends_with("...}")) {
            match.args[match.arg_count++] = path;
            return !path.empty();
        }
        bool last = path.find('/') == std::string_view::npos;
        std::string_view segment = take_segment(path);
        if (segment.empty())
            return false;
        if (wanted.starts_with("{"))
            match.args[match.arg_count++] = segment;
        else if (wanted != segment)
            return false;
        if (last && !pattern.empty())
            return false;
    }
    return path.empty();
}

route_match route_find(route_role role, route_listener listener, std::string_view method, std::string_view path)
{
    route_match match;
    if (!path.starts_with("/"))
        return match;
    path.remove_prefix(1);
    const char *pattern = nullptr;
    for (const route &row : route_table()) {
        bool is_served = role == route_role::proxy ? row.by_proxy != nullptr : row.by_target != nullptr;
        if (!is_served || row.listener != listener)
            continue;
        if (pattern != nullptr) { // the path is known: only rows of the same pattern count
            if (std::strcmp(pattern, row.pattern) != 0)
                continue;
        } else if (!matches(row.pattern + 1, path, match)) {
            continue;
        }
        pattern = row.pattern;
        if (method == row.method) {
            match.found = &row;
            match.allow.clear();
            return match;
        }
        if (!match.allow.empty())
            match.allow += ", ";
        match.allow += row.method;
    }
    return match;
}

std::string route_table_text()
{
    std::string out = "| method | path | role | |\n|---|---|---|---|\n";
    for (const route &row : route_table()) {
        const char *role = row.by_target == nullptr ? "proxy" : row.by_proxy == nullptr ? "target" : "both";
        if (row.listener == route_listener::pods)
            role = "target, pod listener";
        out += std::string("| ") + row.method + " | `" + row.pattern + "` | " + role + " | " + row.summary + " |\n";
    }
    return out;
}

} // namespace etlnode
