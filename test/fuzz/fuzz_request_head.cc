// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_request_head.cc: heads of requests: where they end, whether they are accepted, and which route they take.
#include "codec/http_write.h"
#include "head_oracle.h"
#include "role/proxy/proxy.h"
#include "role/target/target.h"

using namespace etlnode;

static http_head head, again;

// The end is at the same position, however the bytes arrive.
static size_t find_end(std::string_view text)
{
    size_t whole = http_find_head_end(text, 0);
    rng r = fuzz_rng(text);
    size_t have = 0;
    size_t searched = 0;
    while (have < text.size()) {
        have += fuzz_piece(r, text.size() - have);
        fuzz_exact piece(text.substr(0, have));
        size_t found = http_find_head_end(piece.view(), searched);
        FUZZ_CHECK(found == (whole != 0 && have >= whole ? whole : 0));
        if (found != 0)
            return found;
        searched = have;
    }
    FUZZ_CHECK(whole == 0);
    return 0;
}

static void check_request_line(std::string_view line)
{
    size_t first = line.find(' ');
    size_t last = line.rfind(' ');
    FUZZ_CHECK(first != std::string_view::npos && last > first);
    std::string_view target = line.substr(first + 1, last - first - 1);
    FUZZ_SAME(head.method, line.substr(0, first));
    FUZZ_CHECK(head.method.size() <= 32 && head.method.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ-") == std::string_view::npos);
    FUZZ_CHECK(line.substr(last + 1) == (head.version_minor == 1 ? "HTTP/1.1" : "HTTP/1.0"));
    FUZZ_CHECK(target.find_first_of(" \t#") == std::string_view::npos);
    FUZZ_CHECK(target.size() <= http_url_size_max && head.target.size() <= target.size());
    FUZZ_CHECK(head.target.starts_with('/') && (head.target == "/" || target.ends_with(head.target)));
    if (target[0] == '/')
        FUZZ_SAME(head.target, target);
    FUZZ_CHECK(head.path.find('?') == std::string_view::npos);
    size_t mark = head.target.find('?');
    FUZZ_SAME(head.path, head.target.substr(0, mark));
    FUZZ_SAME(head.query, mark == std::string_view::npos ? std::string_view() : head.target.substr(mark + 1));
}

// A head written from the parsed fields parses to the same fields.
static void check_round_trip()
{
    std::string text;
    http_write_request_line(text, head.method, head.target);
    if (head.version_minor == 0)
        text.replace(text.size() - 3, 1, "0");
    for (size_t i = 0; i < head.header_count; i++)
        http_write_header(text, head.headers[i].name, head.headers[i].value);
    http_write_end(text);
    error err = http_parse_request_head(text, again);
    if (err.code == error_code::head_too_large)
        return; // "a:b" becomes "a: b"
    FUZZ_CHECK(!err);
    FUZZ_SAME(again.target, head.target);
    FUZZ_CHECK(again.header_count == head.header_count && again.length == head.length && again.chunked == head.chunked);
    FUZZ_CHECK(again.keep_alive == head.keep_alive && again.expect_continue == head.expect_continue && again.upgrade == head.upgrade);
}

static void check_route(const route_table &table)
{
    route_match match = route_find(table, head.method, head.path);
    if (match.found == nullptr)
        return;
    FUZZ_CHECK(match.allow.empty());
    FUZZ_CHECK(head.method == match.found->method);
    FUZZ_CHECK(match.arg_count <= route_args_max);
    for (size_t i = 0; i < match.arg_count; i++)
        FUZZ_CHECK(!match.args[i].empty() && oracle_is_inside(match.args[i], head.path));
}

FUZZ_TARGET(request_head)
{
    size_t end = find_end(text);
    error whole = http_parse_request_head(text, head);
    if (end == 0) {
        FUZZ_CHECK(whole); // an incomplete head is never accepted
        return;
    }
    // What follows the head has no influence on it.
    fuzz_exact bytes(text.substr(0, end));
    error err = http_parse_request_head(bytes.view(), head);
    FUZZ_CHECK(err.code == whole.code);
    if (err) {
        int status = error_http_status(err.code);
        FUZZ_CHECK(status == 400 || status == 414 || status == 431 || status == 501);
        return;
    }
    FUZZ_CHECK(end <= http_head_size_max + 4);
    std::string_view start = bytes.view();
    while (start.starts_with("\r\n"))
        start.remove_prefix(2);
    FUZZ_CHECK(bytes.size - start.size() <= 4);
    check_request_line(start.substr(0, start.find("\r\n")));
    oracle_counts counts = oracle_check_lines(start, head);
    FUZZ_CHECK(counts.host == 1 || (counts.host == 0 && head.version_minor == 0));
    FUZZ_CHECK(head.has_length == (counts.length == 1) && head.chunked == (counts.coding == 1));
    FUZZ_CHECK(!head.has_length || head.length == counts.length_value);
    FUZZ_CHECK(!head.close_delimited);
    check_round_trip();
    static const route_table tables[] = {proxy_routes(), target_routes(), target_pod_routes()};
    for (const route_table &table : tables)
        check_route(table);
}
