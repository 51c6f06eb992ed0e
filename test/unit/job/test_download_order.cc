// SPDX-License-Identifier: MIT
// test of job/download_order: what AIStore's body asks for, under which names, and what is refused.
#include "node_test.h"

#include "job/download_order.h"

using namespace etlnode;

// "NAME<LINK ...", or what is wrong.
static std::string verdict(const std::string &text, download_order *out_order = nullptr)
{
    json_ptr body, options;
    std::string where;
    bool is_missing = false;
    download_order order;
    test_ok(json_parse(text, body, where));
    std::string wrong = download_options_of(body.get(), options, is_missing);
    if (!wrong.empty())
        return (is_missing ? "501 " : "400 ") + wrong;
    wrong = download_order_read(options.get(), order);
    if (!wrong.empty())
        return "400 " + wrong;
    std::string out;
    for (const download_name &one : order.names)
        out += (out.empty() ? "" : " ") + one.name + "<" + one.link;
    if (out_order != nullptr)
        *out_order = std::move(order);
    return out;
}

static void one_link(void **)
{
    test_eq_text(verdict(R"({"type":"single","link":"http://h/a/b%20c.tar?x=/y#z"})"), "b c.tar<http://h/a/b%20c.tar?x=/y#z");
    test_eq_text(verdict(R"({"type":"single","link":"h.org/x","object_name":"dir/o"})"), "dir/o<http://h.org/x");
    test_eq_text(verdict(R"({"type":"single","link":"HTTPS://h:8/x","objname":"o"})"), "o<HTTPS://h:8/x");
}

static void many_links(void **)
{
    test_eq_text(verdict(R"({"type":"multi","objects":["http://h/2","http://h/1"]})"), "1<http://h/1 2<http://h/2");
    test_eq_text(verdict(R"({"type":"multi","objects":{"z":"http://h/1","a/b":"http://h/1"}})"), "a/b<http://h/1 z<http://h/1");
    test_eq_text(
        verdict(R"({"type":"range","template":"http://h/x{08..10}.t"})"), "x08.t<http://h/x08.t x09.t<http://h/x09.t x10.t<http://h/x10.t");
    test_eq_text(verdict(R"({"type":"range","template":"http://h/x{1..5..2}-{0..1}","subdir":"/s/t/"})"),
        "s/t/x1-0<http://h/x1-0 s/t/x1-1<http://h/x1-1 s/t/x3-0<http://h/x3-0 s/t/x3-1<http://h/x3-1 s/t/x5-0<http://h/x5-0 "
        "s/t/x5-1<http://h/x5-1");
}

static void limits_and_description(void **)
{
    download_order order;
    test_eq_text(verdict(R"({"type":"single","link":"http://h/x","timeout":"1m30s","description":"d","progress_interval":"10s",)"
                         R"("limits":{"connections":3,"bytes_per_hour":7200}})",
                     &order),
        "x<http://h/x");
    test_eq(order.timeout_ms, 90'000u);
    test_eq(order.connections, 3u);
    test_eq(order.bytes_per_hour, 7200u);
    test_eq_text(order.description, "d");
}

static void what_is_refused(void **)
{
    struct {
        const char *body, *text;
    } cases[] = {
        {"[]", "400 expected an object"},
        {"{}", "400 type: expected single, multi or range"},
        {R"({"type":"other"})", "400 type: expected single, multi or range, not \"other\""},
        {R"({"type":1})", "400 type"},
        {R"({"type":"single"})", "400 link: what is to be downloaded?"},
        {R"({"type":"single","link":7})", "400 link"},
        {R"({"type":"single","link":"http://h/"})", "ends without a name"},
        {R"({"type":"single","link":"http://h"})", "ends without a name"},
        {R"({"type":"single","link":"ftp://h/x"})", "only http:// and https://"},
        {R"({"type":"single","link":"file:///etc/passwd"})", "only http:// and https://"},
        {R"({"type":"single","link":"http:///x"})", "names no host"},
        {R"({"type":"single","link":"http://u:p@h/x"})", "carries a user's name"},
        {R"({"type":"single","link":"http://h/x y"})", "a space or a control character"},
        {R"({"type":"single","link":"http://h/x\r\nHost: y"})", "a space or a control character"},
        {R"({"type":"single","link":"http://h/x","object_name":"../x"})", "invalid object name"},
        {R"({"type":"single","link":"http://h/x","timeout":"soon"})", "400 timeout"},
        {R"({"type":"single","link":"http://h/x","timeout":5})", "400 timeout"},
        {R"({"type":"single","link":"http://h/x","limits":{"connections":-1}})", "400 limits.connections"},
        {R"({"type":"single","link":"http://h/x","limits":[]})", "400 limits"},
        {R"({"type":"single","link":"http://h/x","headers":{"Authorization":["x"]}})", "501 headers"},
        {R"({"type":"single","link":"http://h/x","etl_name":"e"})", "501 etl_name"},
        {R"({"type":"backend"})", "501 type backend"},
        {R"({"type":"single","from_remote":true,"object_name":"x"})", "501 type backend"},
        {R"({"type":"multi"})", "400 objects: expected a list"},
        {R"({"type":"multi","objects":"http://h/x"})", "400 objects: expected a list"},
        {R"({"type":"multi","objects":[]})", "400 objects: nothing"},
        {R"({"type":"multi","objects":{}})", "400 objects: nothing"},
        {R"({"type":"multi","objects":[1]})", "400 objects: expected links as texts"},
        {R"({"type":"multi","objects":["http://h/a/x","http://h/b/x"]})", "two links would become the object \"x\""},
        {R"({"type":"range"})", "400 template: which links"},
        {R"({"type":"range","template":"http://h/x"})", "400 template: it has no range"},
        {R"({"type":"range","template":"http://h/{0..999999999}"})", "more than 100000 links"},
        {R"({"type":"range","template":"http://h/{0..99999}{0..99999}{0..99999}{0..99999}"})", "more than 100000 links"},
        {R"({"type":"range","template":"http://h/{0..18446744073709551615}"})", "400 template"},
        {R"({"type":"range","template":"http://h/{2..1}"})", "400 template: "},
        {R"({"type":"range","template":"http://h/{0..3}/x"})", "two links would become the object \"x\""},
        {R"({"type":"range","template":"http://h/x{0..3}/"})", "ends without a name"},
    };
    for (const auto &one : cases)
        test_has_text(verdict(one.body), one.text);
    test_has_text(verdict(R"({"type":"single","link":"http://h/)" + std::string(2'000, 'x') + R"("})"), "longer than");
}

int main()
{
    const CMUnitTest tests[] = {cmocka_unit_test(one_link), cmocka_unit_test(many_links), cmocka_unit_test(limits_and_description),
        cmocka_unit_test(what_is_refused)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
