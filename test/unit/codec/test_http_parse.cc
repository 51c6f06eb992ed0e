// SPDX-License-Identifier: MIT
// test/unit/codec/test_http_parse.cc: heads that must be refused, and heads that must be accepted.
#include "node_test.h"

#include "codec/http_parse.h"

using namespace etlnode;

using namespace std::string_view_literals;

static http_head head; // 4 KiB, shared by all tests; every parse clears it

static std::string request(std::string_view line, std::string_view headers)
{
    return std::string(line) + "\r\n" + std::string(headers) + "\r\n";
}

static error parse(std::string_view bytes) { return http_parse_request_head(bytes, head); }

// ---- finding the end

static void end_is_found_in_any_split(void **)
{
    static constexpr std::string_view bytes = "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\nbody\r\n\r\n";
    size_t size = bytes.find("body");
    size_t from = 0;
    for (size_t have = 0; have <= bytes.size(); have++) {
        size_t found = http_find_head_end(bytes.substr(0, have), from);
        test_eq(found, have >= size ? size : 0u);
        test_eq(http_find_head_end(bytes.substr(0, have), 0), have >= size ? size : 0u);
        if (found == 0)
            from = have;
    }
}

static void end_is_found_after_empty_lines(void **)
{
    test_eq(http_find_head_end("\r\n", 0), 0u);
    test_eq(http_find_head_end("\r\n\r\n", 0), 0u);
    test_eq(http_find_head_end("\r\n\r\n\r", 0), 0u);
    test_eq(http_find_head_end("\r\n\r\n\r\n", 0), 6u); // too many: refused
    test_eq(http_find_head_end("\r\nG / H\r\n\r\n", 0), 11u);
    test_eq(http_find_head_end("\r\n\r\nG / H\r\n\r\n", 4), 13u);
    test_eq(http_find_head_end("\n", 0), 1u);
    test_eq(http_find_head_end("G / H\n\n", 0), 7u);
    test_eq(http_find_head_end("G / H\n\r\n", 0), 8u);
    test_eq(http_find_head_end("G / H\r\n\n", 0), 8u);
    test_eq(http_find_head_end("", 0), 0u);
    test_eq(http_find_head_end("G / H\r\n\r", 0), 0u);
}

// ---- requests

struct refusal {
    const char *name;
    std::string_view bytes;
    error_code code;
    const char *what;
};

#define HOST "Host: x\r\n"
#define GET "GET / HTTP/1.1\r\n"
static const refusal refused_requests[] = {
    // lengths and codings
    {"two equal lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", error_code::bad_request,
        "Content-Length"},
    {"conflicting lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", error_code::bad_request,
        "Content-Length"},
    {"list of lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5, 5\r\n\r\n", error_code::bad_request, "Content-Length"},
    {"empty length", "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", error_code::bad_request, "Content-Length"},
    {"negative length", "POST / HTTP/1.1\r\n" HOST "Content-Length: -5\r\n\r\n", error_code::bad_request, "Content-Length"},
    {"plus length", "POST / HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\n", error_code::bad_request, "Content-Length"},
    {"hex length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x5\r\n\r\n", error_code::bad_request, "Content-Length"},
    {"length with inner space", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5 5\r\n\r\n", error_code::bad_request, "Content-Length"},
    {"length 2^63", "POST / HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775808\r\n\r\n", error_code::bad_request, "Content-Length"},
    {"length 2^64", "POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551616\r\n\r\n", error_code::bad_request, "Content-Length"},
    {"length 2^64 + 5", "POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551621\r\n\r\n", error_code::bad_request,
        "Content-Length"},
    {"length, then coding", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", error_code::bad_request,
        "Content-Length"},
    {"coding, then length", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", error_code::bad_request,
        "Content-Length"},
    {"coding, then length 0", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", error_code::bad_request,
        "Content-Length"},
    {"unknown coding and length", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n",
        error_code::bad_request, "Content-Length"},
    {"coding in 1.0", "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", error_code::bad_request, "HTTP/1.0"},
    {"chunked, identity", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, identity\r\n\r\n", error_code::bad_request, ""},
    {"chunked, chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n", error_code::bad_request, ""},
    {"gzip, chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", error_code::not_implemented, "coding"},
    {"xchunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", error_code::not_implemented, "coding"},
    {"chunkedx", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunkedx\r\n\r\n", error_code::not_implemented, "coding"},
    {"chunked with parameter", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked;a=b\r\n\r\n", error_code::not_implemented, "coding"},
    {"quoted chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n", error_code::not_implemented, "coding"},
    {"identity", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n", error_code::not_implemented, "coding"},
    {"empty coding", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n", error_code::bad_request, "Transfer-Encoding"},
    {"coding of commas", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: , ,\r\n\r\n", error_code::bad_request, "Transfer-Encoding"},
    {"chunked and a vertical tab", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \vchunked\r\n\r\n", error_code::bad_request, "control"},
    {"two codings", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", error_code::bad_request,
        "Transfer-Encoding"},
    {"two codings, one unknown", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
        error_code::bad_request, "Transfer-Encoding"},
    // host
    {"no host", GET "A: b\r\n\r\n", error_code::bad_request, "Host"},
    {"no headers", GET "\r\n", error_code::bad_request, "Host"},
    {"two hosts", GET HOST "host: x\r\n\r\n", error_code::bad_request, "Host"},
    {"two hosts in 1.0", "GET / HTTP/1.0\r\n" HOST "HOST: x\r\n\r\n", error_code::bad_request, "Host"},
    {"host list", GET "Host: a, b\r\n\r\n", error_code::bad_request, "Host"},
    {"host with path", GET "Host: a/b\r\n\r\n", error_code::bad_request, "Host"},
    {"host with user", GET "Host: a@b\r\n\r\n", error_code::bad_request, "Host"},
    // lines
    {"folded header", GET HOST "A: b\r\n c\r\n\r\n", error_code::bad_request, "folded"},
    {"folded with tab", GET HOST "A: b\r\n\tc\r\n\r\n", error_code::bad_request, "folded"},
    {"folded first header", GET " Host: x\r\n\r\n", error_code::bad_request, "folded"},
    {"folded blank line", GET HOST " \r\n\r\n", error_code::bad_request, "folded"},
    {"space before colon", GET HOST "A : b\r\n\r\n", error_code::bad_request, "header"},
    {"tab before colon", GET HOST "A\t: b\r\n\r\n", error_code::bad_request, "header"},
    {"space before colon of length", GET HOST "Content-Length : 5\r\n\r\n", error_code::bad_request, "header"},
    {"space in name", GET HOST "A B: c\r\n\r\n", error_code::bad_request, "header"},
    {"no colon", GET HOST "A\r\n\r\n", error_code::bad_request, ""},
    {"no name", GET HOST ": b\r\n\r\n", error_code::bad_request, ""},
    {"name not a token", GET HOST "A(b): c\r\n\r\n", error_code::bad_request, "header"},
    {"high byte in name", GET HOST "A\xc3\xa4: c\r\n\r\n", error_code::bad_request, "header"},
    {"bare CR in value", GET HOST "A: b\rc\r\n\r\n", error_code::bad_request, "CR"},
    {"bare CR at the end of a value", GET HOST "A: b\r\r\n\r\n", error_code::bad_request, "CR"},
    {"bare CR hides a header", GET HOST "A: b\rContent-Length: 5\r\n\r\n", error_code::bad_request, "CR"},
    {"bare CR as line end", "GET / HTTP/1.1\rHost: x\r\n\r\n", error_code::bad_request, "CR"},
    {"bare LF", "GET / HTTP/1.1\nHost: x\n\n", error_code::bad_request, "LF"},
    {"bare LF in headers", GET "Host: x\nA: b\r\n\r\n", error_code::bad_request, "LF"},
    {"bare LF ends the head", GET "Host: x\r\n\n", error_code::bad_request, "LF"},
    {"NUL in value", std::string_view(GET HOST "A: b\0c\r\n\r\n", sizeof(GET HOST "A: b\0c\r\n\r\n") - 1), error_code::bad_request, "NUL"},
    {"NUL in name", std::string_view(GET HOST "A\0: b\r\n\r\n", sizeof(GET HOST "A\0: b\r\n\r\n") - 1), error_code::bad_request, "NUL"},
    {"control byte in value", GET HOST "A: b\x01\r\n\r\n", error_code::bad_request, "control"},
    {"DEL in value", GET HOST "A: b\x7f\r\n\r\n", error_code::bad_request, "control"},
    {"escape in value", GET HOST "A: \x1b[2J\r\n\r\n", error_code::bad_request, "control"},
    {"three empty lines first", "\r\n\r\n\r\n" GET HOST "\r\n", error_code::bad_request, "empty lines"},
    {"not finished", GET HOST, error_code::bad_request, "incomplete"},
    {"nothing", "", error_code::bad_request, "incomplete"},
    // request line
    {"HTTP/0.9", "GET /\r\n\r\n", error_code::bad_request, "version"},
    {"HTTP/0.9 in words", "GET / HTTP/0.9\r\n" HOST "\r\n", error_code::bad_request, "version"},
    {"HTTP/1.2", "GET / HTTP/1.2\r\n" HOST "\r\n", error_code::bad_request, "version"},
    {"HTTP/2.0", "GET / HTTP/2.0\r\n" HOST "\r\n", error_code::bad_request, "version"},
    {"HTTP/1.10", "GET / HTTP/1.10\r\n" HOST "\r\n", error_code::bad_request, "version"},
    {"http/1.1", "GET / http/1.1\r\n" HOST "\r\n", error_code::bad_request, "version"},
    {"trailing space", "GET / HTTP/1.1 \r\n" HOST "\r\n", error_code::bad_request, "version"},
    {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", error_code::bad_request, "version"},
    {"preface as 1.1", "PRI / HTTP/1.1\r\n" HOST "\r\n", error_code::bad_request, ""},
    {"lower-case method", "get / HTTP/1.1\r\n" HOST "\r\n", error_code::bad_request, "method"},
    {"unknown method", "FETCH / HTTP/1.1\r\n" HOST "\r\n", error_code::bad_request, "method"},
    {"method prefix", "GETX / HTTP/1.1\r\n" HOST "\r\n", error_code::bad_request, "method"},
    {"no method", " / HTTP/1.1\r\n" HOST "\r\n", error_code::bad_request, "white space"},
    {"RTSP method", "DESCRIBE / HTTP/1.1\r\n" HOST "\r\n", error_code::bad_request, ""},
    {"CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", error_code::bad_request, "CONNECT"},
    {"asterisk", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", error_code::bad_request, "path"},
    {"relative target", "GET a HTTP/1.1\r\n" HOST "\r\n", error_code::bad_request, "path"},
    {"authority", "GET a:80 HTTP/1.1\r\n" HOST "\r\n", error_code::bad_request, "path"},
    {"other scheme", "GET ftp://a/b HTTP/1.1\r\n" HOST "\r\n", error_code::bad_request, "path"},
    {"absolute without host", "GET http:///b HTTP/1.1\r\n" HOST "\r\n", error_code::bad_request, "host"},
    {"absolute without path, with query", "GET http://a?b HTTP/1.1\r\n" HOST "\r\n", error_code::bad_request, "path"},
    {"fragment", "GET /a#b HTTP/1.1\r\n" HOST "\r\n", error_code::bad_request, "#"},
    {"space in target", "GET /a b HTTP/1.1\r\n" HOST "\r\n", error_code::bad_request, "white space"},
    {"two spaces", "GET  / HTTP/1.1\r\n" HOST "\r\n", error_code::bad_request, "white space"},
    {"two spaces before version", "GET /  HTTP/1.1\r\n" HOST "\r\n", error_code::bad_request, "white space"},
    {"tab in target", "GET /a\tb HTTP/1.1\r\n" HOST "\r\n", error_code::bad_request, "white space"},
    {"empty target", "GET  HTTP/1.1\r\n" HOST "\r\n", error_code::bad_request, ""},
    {"a response", "HTTP/1.1 200 OK\r\n" HOST "\r\n", error_code::bad_request, ""},
    {"TLS", "\x16\x03\x01\x02\r\n\r\n", error_code::bad_request, "control"},
};

static void bad_requests_are_refused(void **)
{
    for (const refusal &r : refused_requests) {
        error err = parse(r.bytes);
        if (err.code != r.code || strstr(error_text(err), r.what) == nullptr)
            test_fail("%s: code %d, \"%s\"", r.name, static_cast<int>(err.code), error_text(err));
        // Every refused head must also have an end; otherwise a connection would wait for it.
        if (r.bytes.find("\n\r\n") != std::string_view::npos && http_find_head_end(r.bytes, 0) == 0)
            test_fail("%s: no end found", r.name);
    }
}

static void a_request_is_read(void **)
{
    std::string bytes =
        "GET /v1/objects/b/a%20b?x=1&y HTTP/1.1\r\nHost: h:80\r\nEmpty:\r\nBlank:   \r\nSpaced: \t a b\t \r\nRange: bytes=0-\r\n"
        "Content-Length: 0\r\nX-Bytes: \xe4\xbd\xa0\xff\r\nx: 1\r\nX: 2\r\n\r\n";
    test_ok(parse(bytes));
    test_eq_text(head.method, "GET");
    test_eq_text(head.target, "/v1/objects/b/a%20b?x=1&y");
    test_eq_text(head.path, "/v1/objects/b/a%20b");
    test_eq_text(head.query, "x=1&y");
    test_eq(head.version_minor, 1);
    test_eq(head.header_count, 9u);
    test_eq_text(head.headers[1].name, "Empty");
    test_eq_text(http_head_get(head, "empty"), "");
    test_true(http_head_get(head, "empty").data() != nullptr);
    test_eq_text(http_head_get(head, "blank"), "");
    test_eq_text(http_head_get(head, "SPACED"), "a b");
    test_eq_text(http_head_get(head, "x-bytes"), "\xe4\xbd\xa0\xff");
    test_eq_text(http_head_get(head, "x"), "1");
    test_true(http_head_get(head, "nothing").data() == nullptr);
    test_true(http_head_has(head, "eMPTY"));
    test_false(http_head_has(head, "nothing"));
    test_true(head.has_length);
    test_eq(head.length, 0u);
    test_false(head.chunked);
    test_true(head.keep_alive);
    // Views point into the caller's bytes.
    test_true(head.target.data() == bytes.data() + 4);
    for (size_t i = 0; i < head.header_count; i++)
        test_true(head.headers[i].name.data() > bytes.data() &&
                  head.headers[i].value.data() + head.headers[i].value.size() < bytes.data() + bytes.size());
}

static void a_head_may_be_followed_by_more(void **)
{
    test_ok(parse("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nGET \n\0"sv));
    test_eq(head.length, 4u);
    test_ok(parse("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzzzz"));
    test_true(head.chunked);
}

static void lengths_and_codings(void **)
{
    test_ok(parse(request("PUT / HTTP/1.1", HOST "Content-Length: 9223372036854775807\r\n")));
    test_eq(head.length, 9223372036854775807u);
    test_ok(parse(request("PUT / HTTP/1.1", HOST "content-length:\t007 \r\n")));
    test_eq(head.length, 7u);
    test_ok(parse(request("PUT / HTTP/1.1", HOST "transfer-encoding: \tCHUNKED\t\r\n")));
    test_true(head.chunked);
    test_false(head.has_length);
    test_ok(parse(request("GET / HTTP/1.1", HOST)));
    test_false(head.chunked);
    test_false(head.has_length);
    test_ok(parse(request("DELETE / HTTP/1.1", HOST "Content-Length: 12\r\n"))); // a body is legal with every method
    test_eq(head.length, 12u);
}

struct persistence {
    const char *line;
    const char *headers;
    bool keep_alive;
};

static void connection_header_decides_persistence(void **)
{
    static const persistence cases[] = {
        {"GET / HTTP/1.1", HOST, true},
        {"GET / HTTP/1.1", HOST "Connection: close\r\n", false},
        {"GET / HTTP/1.1", HOST "Connection: Close\r\n", false},
        {"GET / HTTP/1.1", HOST "Connection: x, close\r\n", false},
        {"GET / HTTP/1.1", HOST "Connection: x\r\nConnection: close\r\n", false},
        {"GET / HTTP/1.1", HOST "Connection: keep-alive, close\r\n", false},
        {"GET / HTTP/1.1", HOST "Connection: closed\r\n", true},
        {"GET / HTTP/1.1", HOST "Connection: keep-alive\r\n", true},
        {"GET / HTTP/1.0", "", false},
        {"GET / HTTP/1.0", "Connection: keep-alive\r\n", true},
        {"GET / HTTP/1.0", "Connection: Keep-Alive\r\n", true},
        {"GET / HTTP/1.0", "Connection: close\r\n", false},
    };
    for (const persistence &c : cases) {
        test_ok(parse(request(c.line, c.headers)));
        if (head.keep_alive != c.keep_alive)
            test_fail("%s %s", c.line, c.headers);
    }
}

static void expect_and_upgrade(void **)
{
    test_ok(parse(request("PUT / HTTP/1.1", HOST "Expect: 100-Continue\r\nContent-Length: 1\r\n")));
    test_true(head.expect_continue);
    test_ok(parse(request("PUT / HTTP/1.0", HOST "Expect: 100-continue\r\nContent-Length: 1\r\n")));
    test_false(head.expect_continue);
    test_ok(parse(request("GET / HTTP/1.1", HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n")));
    test_true(head.upgrade);
    test_true(head.keep_alive);
    test_ok(parse(request("GET / HTTP/1.1", HOST "Upgrade: h2c\r\n")));
    test_false(head.upgrade);
    // An upgrade must not change the framing of the body.
    test_ok(parse(request("POST / HTTP/1.1", HOST "Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n")));
    test_eq(head.length, 3u);
}

static void targets_are_reduced_to_a_path(void **)
{
    static const struct {
        const char *sent, *target, *path, *query;
    } cases[] = {
        {"/", "/", "/", ""}, {"//a//b", "//a//b", "//a//b", ""}, {"/?", "/?", "/", ""}, {"/a?b?c", "/a?b?c", "/a", "b?c"},
        {"http://h/a?b=http://x/", "/a?b=http://x/", "/a", "b=http://x/"}, {"HTTP://h:80/", "/", "/", ""}, {"https://h/a", "/a", "/a", ""},
        {"http://h", "/", "/", ""},
        {"/\xe4\xbd\xa0\xe5\xa5\xbd?\xff", "/\xe4\xbd\xa0\xe5\xa5\xbd?\xff", "/\xe4\xbd\xa0\xe5\xa5\xbd", "\xff"},
        {"/a\"<>[]\\^`{|}'b", "/a\"<>[]\\^`{|}'b", "/a\"<>[]\\^`{|}'b", ""}, {"/%", "/%", "/%", ""}, // the decoder judges that
    };
    for (const auto &c : cases) {
        std::string bytes = request(std::string("GET ") + c.sent + " HTTP/1.1", HOST);
        test_ok(parse(bytes));
        test_eq_text(head.target, c.target);
        test_eq_text(head.path, c.path);
        test_eq_text(head.query, c.query);
    }
}

static void methods_are_known(void **)
{
    for (const char *method : {"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"}) {
        std::string bytes = request(std::string(method) + " / HTTP/1.1", HOST);
        test_ok(parse(bytes));
        test_eq_text(head.method, method);
    }
}

static void leading_empty_lines_are_skipped(void **)
{
    test_ok(parse("\r\n" GET HOST "\r\n"));
    test_eq_text(head.method, "GET");
    test_ok(parse("\r\n\r\n" GET HOST "\r\n"));
}

static void limits_are_kept(void **)
{
    std::string headers = HOST;
    for (size_t i = 1; i < http_header_count_max; i++)
        headers += "a: b\r\n";
    test_ok(parse(request("GET / HTTP/1.1", headers)));
    test_eq(head.header_count, http_header_count_max);
    test_eq_enum(parse(request("GET / HTTP/1.1", headers + "a: b\r\n")).code, error_code::head_too_large);
    test_ok(parse(request("GET /" + std::string(http_url_size_max - 1, 'a') + " HTTP/1.1", HOST)));
    test_eq_enum(parse(request("GET /" + std::string(http_url_size_max, 'a') + " HTTP/1.1", HOST)).code, error_code::url_too_long);
    test_eq_enum(
        parse(request("GET / HTTP/1.1", HOST "a: " + std::string(http_head_size_max, 'a') + "\r\n")).code, error_code::head_too_large);
    test_eq_enum(parse(request(std::string(1000, 'A') + " / HTTP/1.1", HOST)).code, error_code::bad_request);
}

// Flips any byte anywhere. The parser must never crash, and the views of an accepted head must lie inside the bytes.
static void damaged_heads_do_no_harm(void **)
{
    static constexpr std::string_view good = "POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: a, b\r\nA:\r\n\r\n";
    size_t accepted = 0;
    for (size_t at = 0; at < good.size(); at++) {
        for (unsigned value = 0; value < 256; value++) {
            std::string bytes(good);
            bytes[at] = static_cast<char>(value);
            if (http_parse_request_head(bytes, head))
                continue;
            accepted++;
            for (size_t i = 0; i < head.header_count; i++) {
                const http_header &h = head.headers[i];
                test_true(h.name.data() >= bytes.data() && h.value.data() + h.value.size() <= bytes.data() + bytes.size());
                test_true(h.value.find_first_of("\r\n\0"sv) == std::string_view::npos);
            }
            test_true(head.target[0] == '/');
        }
        std::string cut(good.substr(0, at));
        test_true(static_cast<bool>(http_parse_request_head(cut, head)));
    }
    test_true(accepted > 100);
}

// ---- responses

static const refusal refused_responses[] = {
    {"HTTP/2", "HTTP/2 200\r\n\r\n", error_code::bad_request, "version"},
    {"another protocol", "ICY 200 OK\r\n\r\n", error_code::bad_request, "does not begin with HTTP/1.1"},
    {"an empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", error_code::bad_request, "empty line before"},
    {"a byte order mark", "\xef\xbb\xbfHTTP/1.1 200 OK\r\n\r\n", error_code::bad_request, "byte order mark"},
    {"a byte that is no letter", "\xff", error_code::bad_request, "does not begin with a letter"},
    {"HTTP/0.9", "hello\r\n\r\n", error_code::bad_request, "does not begin with HTTP/1.1"},
    {"no status", "HTTP/1.1\r\n\r\n", error_code::bad_request, "status"},
    {"two digits", "HTTP/1.1 20\r\n\r\n", error_code::bad_request, "status"},
    {"four digits", "HTTP/1.1 2000\r\n\r\n", error_code::bad_request, "status"},
    {"status 099", "HTTP/1.1 099 x\r\n\r\n", error_code::bad_request, "status"},
    {"status 600", "HTTP/1.1 600 x\r\n\r\n", error_code::bad_request, "status"},
    {"no space before reason", "HTTP/1.1 200OK\r\n\r\n", error_code::bad_request, "status"},
    {"two spaces", "HTTP/1.1  200 OK\r\n\r\n", error_code::bad_request, "status"},
    {"CR in reason", "HTTP/1.1 200 O\rK\r\n\r\n", error_code::bad_request, "CR"},
    {"LF lines", "HTTP/1.1 200 OK\nA: b\n\n", error_code::bad_request, "LF"},
    {"control byte in reason", "HTTP/1.1 200 \x01\r\n\r\n", error_code::bad_request, "control"},
    {"empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", error_code::bad_request, ""},
    {"folded", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", error_code::bad_request, "folded"},
    {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", error_code::bad_request, "Content-Length"},
    {"length list", "HTTP/1.1 200 OK\r\nContent-Length: 1,1\r\n\r\n", error_code::bad_request, "Content-Length"},
    {"length and coding", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", error_code::bad_request,
        "Content-Length"},
    {"coding in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", error_code::bad_request, "HTTP/1.0"},
    {"gzip, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", error_code::not_implemented, "coding"},
    {"identity", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", error_code::not_implemented, "coding"},
    {"space before colon", "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\n", error_code::bad_request, "header"},
    {"a request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", error_code::bad_request, "does not begin with HTTP/1.1"},
};

static void bad_responses_are_refused(void **)
{
    for (const refusal &r : refused_responses) {
        error err = http_parse_response_head(r.bytes, false, head);
        if (err.code != r.code || strstr(error_text(err), r.what) == nullptr)
            test_fail("%s: code %d, \"%s\"", r.name, static_cast<int>(err.code), error_text(err));
    }
}

struct response_case {
    const char *bytes;
    bool to_head;
    int status;
    const char *reason;
    bool keep_alive, has_length;
    uint64_t length;
    bool chunked, close_delimited;
};

static void responses_are_read(void **)
{
    static const response_case cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, 200, "OK", true, true, 5, false, false},
        {"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", false, 200, "", true, true, 5, false, false},
        {"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n", false, 200, "", true, true, 5, false, false},
        {"HTTP/1.1 500 it  went wrong: \xe4\xbd\xa0 (\"x\")\r\nContent-Length: 0\r\n\r\n", false, 500,
            "it  went wrong: \xe4\xbd\xa0 (\"x\")", true, true, 0, false, false},
        {"HTTP/1.1 299 odd\r\nTransfer-Encoding: chunked\r\n\r\n", false, 299, "odd", true, false, 0, true, false},
        {"HTTP/1.1 200 OK\r\n\r\n", false, 200, "OK", false, false, 0, false, true},
        {"HTTP/1.0 200 OK\r\n\r\n", false, 200, "OK", false, false, 0, false, true},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", false, 200, "OK", false, false, 0, false, true},
        {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", false, 200, "OK", false, true, 5, false, false},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n", false, 200, "OK", true, true, 5, false, false},
        {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n", false, 200, "OK", false, true, 5, false, false},
        {"HTTP/1.1 100 Continue\r\n\r\n", false, 100, "Continue", true, true, 0, false, false},
        {"HTTP/1.1 204 No Content\r\n\r\n", false, 204, "No Content", true, true, 0, false, false},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", false, 304, "Not Modified", true, true, 0, false, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", true, 200, "OK", true, true, 0, false, false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true, 200, "OK", true, true, 0, false, false},
        {"HTTP/1.1 200 OK\r\n\r\n", true, 200, "OK", true, true, 0, false, false},
    };
    for (const response_case &c : cases) {
        error err = http_parse_response_head(c.bytes, c.to_head, head);
        if (err)
            test_fail("%s: %s", c.bytes, error_text(err));
        test_eq(head.status, c.status);
        test_eq_text(head.reason, c.reason);
        if (head.keep_alive != c.keep_alive || head.has_length != c.has_length || head.length != c.length || head.chunked != c.chunked ||
            head.close_delimited != c.close_delimited)
            test_fail("%s: keep_alive %d has_length %d length %llu chunked %d close %d", c.bytes, head.keep_alive, head.has_length,
                static_cast<unsigned long long>(head.length), head.chunked, head.close_delimited);
    }
    // The length that an answer to HEAD announces can still be read.
    test_ok(http_parse_response_head("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", true, head));
    test_eq_text(http_head_get(head, "content-length"), "99");
}

// Bytes that cannot be a head are not waited for: the parser gets them at once and refuses them.
static void no_start_line_begins_so(void **)
{
    struct {
        std::string_view bytes;
        size_t size;
    } rows[] = {
        {"\x16\x03\x01\x02", 1},
        {"\r\n\x16\x03", 3},
        {std::string_view("\0\0", 2), 1},
        {"\xff", 1},
        {"\x7f", 1},
        {"G", 0},
        {"\r", 0},
        {"\r\nG", 0},
        {"", 0},
        {"\r\n\r", 0},
    };
    for (const auto &row : rows) {
        test_eq(http_find_head_end(row.bytes, 0), row.size);
        http_head parsed;
        if (row.size > 0 && !http_parse_request_head(row.bytes.substr(0, row.size), parsed))
            test_fail("it was taken for a head");
    }
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(no_start_line_begins_so),
        cmocka_unit_test(end_is_found_in_any_split),
        cmocka_unit_test(end_is_found_after_empty_lines),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(a_request_is_read),
        cmocka_unit_test(a_head_may_be_followed_by_more),
        cmocka_unit_test(lengths_and_codings),
        cmocka_unit_test(connection_header_decides_persistence),
        cmocka_unit_test(expect_and_upgrade),
        cmocka_unit_test(targets_are_reduced_to_a_path),
        cmocka_unit_test(methods_are_known),
        cmocka_unit_test(leading_empty_lines_are_skipped),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(damaged_heads_do_no_harm),
        cmocka_unit_test(bad_responses_are_refused),
        cmocka_unit_test(responses_are_read),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
