// SPDX-License-Identifier: MIT
// role/shared/route.h: the routes of a role: method, path and handler. For dispatch, 405 with Allow, and docs/ROUTES.md.
//
// Each file of handlers contains its own rows:
//
//   static void serve_bucket_head(proxy &p, exchange &x, const route_match &match) { ... }
//   static constexpr route rows[] = {
//       ROUTE("HEAD", "/v1/buckets/{bucket}", serve_bucket_head, "properties in `Ais-Bucket-Props`"),
//   };
//   extern constinit const std::span<const route> proxy_bucket_routes = rows;
//
// The role's routes.cc lists these spans. The order of rows only decides the order of methods in Allow.
#pragma once

#include <array>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace etlnode {

struct exchange;
struct route;

inline constexpr size_t route_args_max = 4;

// Lifetime: views point into the path.
struct route_match {
    const route *found = nullptr;                        // null: see `allow`
    std::array<std::string_view, route_args_max> args{}; // the texts that the pattern's names matched, in order, raw (percent-encoded)
    size_t arg_count = 0;
    std::string allow; // if not found but the path exists: its methods ("GET, PUT")
};

struct route {
    std::string_view method;
    std::string_view pattern; // "{name}" is one segment; "{name...}" is the rest of the path, including slashes
    std::string_view summary;
    void (*serve)(void *node, exchange &x, const route_match &match); // `node` is the handler's first argument: proxy or target
    std::string_view handler, file;                                   // its name, and the file below src/ that contains its row
    bool is_early = false; // the proxy serves it before it is ready; a target's handlers check that themselves
};

// Calls `handler`, a void (node &, exchange &, const route_match &), with the node's own type.
template <typename node> node &route_node(void (*)(node &, exchange &, const route_match &), void *n) { return *static_cast<node *>(n); }
template <auto handler> void route_serve(void *n, exchange &x, const route_match &match) { handler(route_node(handler, n), x, match); }

constexpr bool route_pattern_is_good(std::string_view pattern)
{
    size_t segments = 0, args = 0;
    bool is_rest = false;
    while (pattern.starts_with("/") && !is_rest) {
        pattern.remove_prefix(1);
        std::string_view segment = pattern.substr(0, pattern.find('/'));
        pattern.remove_prefix(segment.size());
        bool is_arg = segment.starts_with("{") && segment.ends_with("}") && segment.size() > 2;
        if (segment.empty() || is_arg == (segment.find_first_of("{}") == std::string_view::npos))
            return false;
        segments++;
        args += is_arg ? 1 : 0;
        is_rest = segment.ends_with("...}");
    }
    return segments > 0 && pattern.empty() && args <= route_args_max;
}

constexpr std::string_view route_file(std::string_view path)
{
    size_t at = path.rfind("src/");
    return at == std::string_view::npos ? path : path.substr(at + 4);
}

#define ROUTE_WITH(method, pattern, function, summary, early)                                                      \
    [] {                                                                                                           \
        static_assert(route_pattern_is_good(pattern), "segments between slashes; {name...} only as the last one"); \
        return route{method, pattern, summary, route_serve<function>, #function, route_file(__FILE__), early};     \
    }()
#define ROUTE(method, pattern, function, summary) ROUTE_WITH(method, pattern, function, summary, false)
#define ROUTE_EARLY(method, pattern, function, summary) ROUTE_WITH(method, pattern, function, summary, true)

// The rows of one pattern.
struct route_path {
    std::string_view pattern; // without the leading '/'
    std::string_view literal; // the beginning, up to the first name
    std::vector<const route *> rows;
};

// A pattern comes before more general ones that match the same path.
struct route_table {
    std::vector<route_path> paths;
};
// Aborts if a method of a path occurs twice, or if two patterns differ only in their names.
route_table route_table_make(std::initializer_list<std::span<const route>> lists);

// One trailing slash is ignored, except inside "{name...}".
route_match route_find(const route_table &table, std::string_view method, std::string_view path);

// For both roles: answers a path or method that the table does not contain: 405 with Allow, or 404.
void route_answer_missing(exchange &x, const route_match &match);
// For requests other than those for objects (aistore/object_query.h). False: a parameter that a node reads is there twice, with
// different values; the request has been answered with 400.
bool route_admit_query(exchange &x);
void route_answer_not_implemented(exchange &x, const route &row);
void route_answer_object_missing(exchange &x);
// Decodes one segment of a match. False if it is malformed or empty; the request has then been answered with 400.
bool route_decode_arg(exchange &x, std::string_view raw, const char *what, std::string &out_text);

// The table as Markdown, for docs/ROUTES.md.
std::string route_table_text(const route_table &table);

} // namespace etlnode
