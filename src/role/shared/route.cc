// SPDX-License-Identifier: MIT
// role/shared/route.cc: matches requests against a role's table of routes, and prints the table.
//
// Knows    http.            Known by  the roles, which list their rows.
// Limits   route_args_max.
#include "role/shared/route.h"

#include <algorithm>

#include "base/check.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "codec/url.h"
#include "http/server/exchange.h"
#include "node/api.h"

namespace etlnode {

static std::string_view take_segment(std::string_view &path)
{
    size_t slash = path.find('/');
    std::string_view segment = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
    return segment;
}

// --- the table

// A literal is the most specific, then a name, then the rest of a path.
static int generality_of(std::string_view segment) { return !segment.starts_with("{") ? 0 : !segment.ends_with("...}") ? 1 : 2; }

// Negative: `a` comes before `b`. 0: both match the same paths.
static int compare(std::string_view a, std::string_view b)
{
    while (!a.empty() && !b.empty()) {
        std::string_view of_a = take_segment(a), of_b = take_segment(b);
        int generality = generality_of(of_a);
        if (generality != generality_of(of_b))
            return generality - generality_of(of_b);
        if (int order = generality == 0 ? of_a.compare(of_b) : 0)
            return order;
    }
    return static_cast<int>(b.empty()) - static_cast<int>(a.empty());
}

static void add_row(route_table &table, const route &row)
{
    std::string_view pattern = row.pattern.substr(1);
    auto path = std::lower_bound(table.paths.begin(), table.paths.end(), pattern,
        [](const route_path &known, std::string_view added) { return compare(known.pattern, added) < 0; });
    if (path == table.paths.end() || compare(path->pattern, pattern) != 0)
        path = table.paths.insert(path, {.pattern = pattern, .literal = pattern.substr(0, pattern.find('{')), .rows = {}});
    CHECK(path->pattern == pattern);
    for (const route *known : path->rows)
        CHECK(known->method != row.method);
    path->rows.push_back(&row);
}

route_table route_table_make(std::initializer_list<std::span<const route>> lists)
{
    route_table table;
    for (std::span<const route> list : lists) {
        for (const route &row : list)
            add_row(table, row);
    }
    return table;
}

// --- requests

// Most patterns begin alike ("v1/"), so the last byte of a literal tells most of them apart.
static bool has_literal(std::string_view path, std::string_view literal)
{
    return literal.empty() || (path.size() >= literal.size() && path[literal.size() - 1] == literal.back() && path.starts_with(literal));
}

// Both texts begin behind the pattern's literal.
static bool matches(std::string_view pattern, std::string_view path, route_match &match)
{
    if (pattern.empty()) // a path without names
        return path.empty() || path == "/";
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

route_match route_find(const route_table &table, std::string_view method, std::string_view path)
{
    route_match match;
    if (!path.starts_with("/"))
        return match;
    path.remove_prefix(1);
    for (const route_path &known : table.paths) {
        size_t size = known.literal.size();
        if (!has_literal(path, known.literal) || !matches(known.pattern.substr(size), path.substr(size), match)) // most rows end here
            continue;
        for (const route *row : known.rows) {
            if (method == row->method) {
                match.found = row;
                return match;
            }
        }
        for (const route *row : known.rows)
            match.allow.append(match.allow.empty() ? "" : ", ").append(row->method);
        return match;
    }
    return match;
}

void route_answer_missing(exchange &x, const route_match &match)
{
    const http_head &head = exchange_head(x);
    if (!match.allow.empty()) {
        std::string headers;
        http_write_header(headers, "Allow", match.allow);
        exchange_answer_error(x, error_code::method_not_allowed,
            "method " + text_escape(head.method) + " is not allowed for " + text_escape(head.path) + "; allowed: " + match.allow, 0,
            headers);
        return;
    }
    exchange_answer_error(x, error_code::not_found, "there is no " + text_escape(head.path) + " here");
}

bool route_admit_query(exchange &x)
{
    static constexpr std::string_view names[] = {"what", "readiness", "prr", "since", "pods", "uuid"};
    const http_head &head = exchange_head(x);
    if (head.query.empty() || head.path.starts_with(path_objects) || head.path.starts_with(path_pod_object))
        return true;
    for (std::string_view name : names) {
        if (!url_query_is_contradictory(head.query, name))
            continue;
        exchange_answer_error(x, error_code::bad_request, "the parameter " + std::string(name) + " is given twice, with different values");
        return false;
    }
    return true;
}

void route_answer_not_implemented(exchange &x, const route &row)
{
    exchange_answer_error(x, error_code::not_implemented, std::string(row.method) + " " + std::string(row.pattern) + " is not implemented");
}

void route_answer_object_missing(exchange &x)
{
    exchange_answer_error(x, error_code::bad_request, "the path has no object name: an object's path is /v1/objects/<bucket>/<object>");
}

bool route_decode_arg(exchange &x, std::string_view raw, const char *what, std::string &out_text)
{
    if (url_decode(raw, out_text) && !out_text.empty())
        return true;
    const char *fault = raw.find("%00") != std::string_view::npos ? " in the path has a NUL byte (%00), which no name may have: "
                                                                  : " in the path is not properly percent-encoded: ";
    exchange_answer_error(x, error_code::bad_request, std::string("the ") + what + fault + text_escape(raw));
    return false;
}

// --- docs/ROUTES.md

std::string route_table_text(const route_table &table)
{
    std::string out = "| method | path | | function | file |\n|---|---|---|---|---|\n";
    for (const route_path &path : table.paths) {
        for (const route *row : path.rows) {
            out.append("| ").append(row->method).append(" | `").append(row->pattern).append("` | ").append(row->summary);
            out.append(" | `").append(row->handler).append("` | ").append(row->file).append(" |\n");
        }
    }
    return out;
}

} // namespace etlnode
