// SPDX-License-Identifier: MIT
// codec/test_url: escaping and its inverse, queries, base URLs.
#include "node_test.h"

#include "codec/url.h"

using namespace etlnode;

using namespace std::string_view_literals;

static void decoding(void **)
{
    std::string out;
    test_true(url_decode("a%20b+c%2Fd%2f%E4%BD%A0", out));
    test_eq_text(out, "a b+c/d/\xe4\xbd\xa0");
    test_true(url_decode("%25zz", out));
    test_eq_text(out, "%zz"); // once only
    test_true(url_decode("", out));
    test_eq_text(out, "");
    test_true(url_decode_query("a+b%2Bc", out));
    test_eq_text(out, "a b+c");
    out = "kept";
    for (std::string_view bad : {"%"sv, "%2"sv, "a%zz"sv, "%2g"sv, "%g2"sv, "a%00b"sv, "a\0b"sv, "%%20"sv, "% 20"sv, "%-1"sv, "%+1"sv}) {
        test_false(url_decode(bad, out));
        test_false(url_decode_query(bad, out));
        test_eq_text(out, "kept");
    }
}

static void encoding(void **)
{
    test_eq_text(url_encode("aZ09-._~/ %?#&=+@\xe4"), "aZ09-._~%2F%20%25%3F%23%26%3D%2B%40%E4");
    test_eq_text(url_encode("a\0b"sv), "a%00b");
    test_eq_text(url_encode_path("/a b/c%/"), "/a%20b/c%25/");
    test_eq_text(url_encode_uname("ais/@#/bck/obj"), "ais%2F@%23%2Fbck%2Fobj");
}

static void every_byte_survives(void **)
{
    for (int first = 1; first < 256; first++) {
        std::string text = {static_cast<char>(first), '%', static_cast<char>(256 - first)};
        std::string out;
        test_true(url_decode(url_encode(text), out));
        test_eq_text(out, text);
        test_true(url_decode(url_encode_path(text), out));
        test_eq_text(out, text);
        test_true(url_decode_query(url_encode(text), out));
        test_eq_text(out, text);
        test_true(url_decode(url_encode_uname(text), out));
        test_eq_text(out, text);
    }
}

static void a_contradiction_is_found(void **)
{
    for (const char *query : {"a=1&a=2", "a=1&b=1&a=", "a&a=1", "a=1&%61=2", "a=1&a=%zz"})
        test_true(url_query_is_contradictory(query, "a"));
    for (const char *query : {"", "a", "a=1", "a=1&a=1", "a=x+y&a=x%20y", "b=1&b=2", "a=1;a=2"})
        test_false(url_query_is_contradictory(query, "a"));
}

static void queries(void **)
{
    std::string out;
    static constexpr std::string_view query = "a=1&b=x+y%26&empty=&bare&a=2&&%6bey=v&bad=%zz&=nothing";
    test_true(url_query_get(query, "a", out));
    test_eq_text(out, "1");
    test_true(url_query_get(query, "b", out));
    test_eq_text(out, "x y&");
    test_true(url_query_get(query, "empty", out));
    test_eq_text(out, "");
    out = "kept";
    test_true(url_query_get(query, "bare", out));
    test_eq_text(out, "");
    test_true(url_query_get(query, "key", out));
    test_eq_text(out, "v");
    out = "kept";
    test_false(url_query_get(query, "absent", out));
    test_false(url_query_get(query, "bad", out));
    test_false(url_query_get("", "a", out));
    test_false(url_query_get("aa=1", "a", out));
    test_eq_text(out, "kept");
    test_true(url_query_get("a=b=c", "a", out));
    test_eq_text(out, "b=c");
}

static void queries_without_parameters(void **)
{
    test_eq_text(url_query_without("a=1&b=%20+&c&a=2", {"a"}), "b=%20+&c");
    test_eq_text(url_query_without("a=1&b=2", {"a", "b"}), "");
    test_eq_text(url_query_without("a=1&b=2", {}), "a=1&b=2");
    test_eq_text(url_query_without("%61=1&b=2", {"a"}), "b=2");
    test_eq_text(url_query_without("", {"a"}), "");
    test_eq_text(url_query_without("&&x&&", {"a"}), "x");
}

struct base_case {
    const char *text;
    const char *host;
    int port;
    const char *path;
};

static void bases_are_parsed(void **)
{
    static const base_case cases[] = {
        {"http://a:8080", "a", 8080, ""},
        {"http://a", "a", 80, ""},
        {"http://a/", "a", 80, ""},
        {"HTTP://a:1/p/q/", "a", 1, "/p/q"},
        {"http://10.0.0.1:65535", "10.0.0.1", 65535, ""},
        {"http://[::1]:80", "::1", 80, ""},
        {"http://[fe80::1%eth0]:9/x", "fe80::1%eth0", 9, "/x"},
        {"http://[::1]", "::1", 80, ""},
        {"http://a-b.c_d.svc.cluster.local:51081", "a-b.c_d.svc.cluster.local", 51081, ""},
    };
    for (const base_case &c : cases) {
        url_base base;
        if (!url_parse_base(c.text, base))
            test_fail("refused: %s", c.text);
        test_eq_text(base.host, c.host);
        test_eq(base.port, c.port);
        test_eq_text(base.path, c.path);
    }
    for (const char *bad : {"", "a:80", "http://", "https://a", "http:/a", "http:///a", "http://:80", "http://a:", "http://a:0",
             "http://a:65536", "http://a:8x", "http://a:-1", "http://u@a", "http://u:p@a:80", "http://a b", "http://a?x", "http://a/b?x",
             "http://a/b#x", "http://[::1", "http://[]:80", "http://[::1]x", "http://[abc]:80", "http://[::g]", "http://a:80:80",
             "http://::1", "ftp://a", "http://a/b c", "http://a\r\nb"}) {
        url_base base;
        if (url_parse_base(bad, base))
            test_fail("accepted: %s", bad);
    }
}

static void bases_are_formatted(void **)
{
    test_eq_text(url_format_base("a", 80), "http://a:80");
    test_eq_text(url_format_base("::1", 8080), "http://[::1]:8080");
    url_base base;
    test_true(url_parse_base(url_format_base("fe80::1", 1), base));
    test_eq_text(base.host, "fe80::1");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(a_contradiction_is_found),
        cmocka_unit_test(decoding),
        cmocka_unit_test(encoding),
        cmocka_unit_test(every_byte_survives),
        cmocka_unit_test(queries),
        cmocka_unit_test(queries_without_parameters),
        cmocka_unit_test(bases_are_parsed),
        cmocka_unit_test(bases_are_formatted),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
