// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <string>

#include "role/shared/node.h"
#include "role/shared/web_guard.h"

using namespace etlnode;

static web_guard guard_of(std::vector<std::string> hosts = {}, std::vector<std::string> origins = {})
{
    node_options options;
    options.machine_name = "Lap.example.net";
    options.allowed_hosts = std::move(hosts);
    options.allowed_origins = std::move(origins);
    return web_guard_make(options, {"http://data.example.com:8080", "http://[fd00::7]:8082"});
}

static web_verdict judge(const web_guard &guard, const std::string &head_text)
{
    http_head head;
    test_ok(http_parse_request_head(head_text, head));
    return web_guard_judge(guard, head);
}

static web_verdict judge_host(const web_guard &guard, const std::string &host)
{
    return judge(guard, "GET /v1/health HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
}

static void hosts_are_the_names_of_this_node(void **)
{
    web_guard plain = guard_of();
    for (const char *host : {"127.0.0.1", "127.0.0.1:8080", "10.1.2.3:1", "255.255.255.255", "0.0.0.0:8080", "[::1]", "[::1]:8080",
             "[fd00::1%eth0]:80", "[::ffff:127.0.0.1]", "localhost", "LocalHost:9", "localhost.", "localhost.:80", "localhost:",
             "lap.example.net", "LAP.EXAMPLE.NET:8080", "lap", "lap:8080", "data.example.com", "data.example.com:1", "data.example.com."}) {
        if (judge_host(plain, host) != web_verdict::pass)
            test_fail("%s was refused", host);
    }
    for (const char *host : {"evil.example", "evil.example:8080", "localhost.evil.example", "evil.localhost", "127.0.0.1.evil.example",
             "127.0.0.1.nip.io", "2130706433", "0x7f.1", "127.1", "0177.0.0.1", "[::1].evil.example", "[evil]", "[::1", "[]", "::1",
             "::1:8080", "127.0.0.1:80:80", "127.0.0.1:port", "127.0.0.1:70000", "", ":8080", ".", "example.com", "xdata.example.com",
             "data.example.com.evil", "lapx", "example.net", "[127.0.0.1]", "127.0.0.1%eth0", "any", "*"}) {
        if (judge_host(plain, host) != web_verdict::strange_host)
            test_fail("\"%s\" was let pass", host);
    }
}

static void hosts_can_be_allowed(void **)
{
    web_guard guard = guard_of({"etlnode-proxy", "*.svc.cluster.local", "Gate.Example.org", "fd00::2"});
    for (const char *host : {"etlnode-proxy:8080", "a.svc.cluster.local", "a.b.SVC.cluster.local:80", "gate.example.org"}) {
        if (judge_host(guard, host) != web_verdict::pass)
            test_fail("%s was refused", host);
    }
    for (const char *host :
        {"svc.cluster.local", ".svc.cluster.local", "asvc.cluster.local", "etlnode-proxy.evil.example", "x.gate.example.org"}) {
        if (judge_host(guard, host) != web_verdict::strange_host)
            test_fail("%s was let pass", host);
    }
    test_eq_enum(judge_host(guard_of({"any"}), "whatever.example"), web_verdict::pass);
}

static void old_and_odd_forms(void **)
{
    web_guard guard = guard_of();
    test_eq_enum(judge(guard, "GET / HTTP/1.0\r\n\r\n"), web_verdict::pass);
    test_eq_enum(judge(guard, "POST / HTTP/1.0\r\n\r\n"), web_verdict::pass);
    test_eq_enum(judge(guard, "GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n"), web_verdict::strange_host);
    test_eq_enum(judge(guard, "POST / HTTP/1.0\r\nOrigin: http://evil.example\r\n\r\n"), web_verdict::strange_origin);
    test_eq_enum(judge(guard, "GET http://localhost/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"), web_verdict::pass);
    test_eq_enum(judge(guard, "GET http://evil.example/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"), web_verdict::strange_host);
    test_eq_enum(judge(guard, "GET http://localhost/v1/health HTTP/1.1\r\nHost: evil.example\r\n\r\n"), web_verdict::strange_host);
}

static web_verdict judge_change(
    const web_guard &guard, const std::string &host, const std::string &lines, const std::string &method = "POST")
{
    return judge(guard, method + " /v1/etl/init HTTP/1.1\r\nHost: " + host + "\r\n" + lines + "\r\n");
}

static void changes_come_from_own_pages_only(void **)
{
    web_guard guard = guard_of({}, {"https://console.example.org", "http://dev.example.org:3000"});
    struct row {
        const char *host, *lines;
        web_verdict verdict;
    };
    static constexpr web_verdict pass = web_verdict::pass;
    static constexpr web_verdict bad = web_verdict::strange_origin;
    static constexpr row rows[] = {
        {"127.0.0.1:8080", "", pass}, // not a browser
        {"127.0.0.1:8080", "Content-Type: text/plain\r\nReferer: http://evil.example/\r\nUser-Agent: Mozilla/5.0\r\n", pass},
        {"127.0.0.1:8080", "Origin: http://evil.example\r\n", bad},
        {"127.0.0.1:8080", "Origin: http://evil.example\r\nContent-Type: application/json\r\n", bad},
        {"127.0.0.1:8080", "Origin: null\r\n", bad},
        {"127.0.0.1:8080", "Origin: \r\n", bad},
        {"127.0.0.1:8080", "Origin: http://127.0.0.1:8080\r\n", pass},
        {"127.0.0.1:8080", "origin: HTTP://127.0.0.1:8080\r\n", pass},
        {"127.0.0.1:8080", "Origin: http://127.0.0.1\r\n", bad},
        {"127.0.0.1:8080", "Origin: http://127.0.0.1:8081\r\n", bad},
        {"127.0.0.1:8080", "Origin: http://localhost:8080\r\n", bad},
        {"127.0.0.1:8080", "Origin: http://127.0.0.1:8080.evil.example\r\n", bad},
        {"127.0.0.1:8080", "Origin: http://127.0.0.1:8080/\r\n", bad}, // browsers send no path
        {"127.0.0.1:8080", "Origin: http://x@127.0.0.1:8080\r\n", bad},
        {"127.0.0.1:8080", "Origin: http://127.0.0.1:8080 http://evil.example\r\n", bad},
        {"127.0.0.1:8080", "Origin: http://127.0.0.1:8080\r\nOrigin: http://evil.example\r\n", bad},
        {"127.0.0.1:8080", "Origin: 127.0.0.1:8080\r\n", bad},
        {"127.0.0.1:8080", "Origin: chrome-extension://abcdef\r\n", bad},
        {"[::1]:8080", "Origin: http://[::1]:8080\r\n", pass},
        {"[::1]:8080", "Origin: http://[::2]:8080\r\n", bad},
        {"data.example.com", "Origin: https://data.example.com\r\n", pass}, // a gateway terminates TLS
        {"data.example.com", "Origin: https://Data.Example.com:443\r\n", pass},
        {"data.example.com:443", "Origin: https://data.example.com\r\n", pass},
        {"data.example.com", "Origin: http://data.example.com\r\n", pass},
        {"data.example.com", "Origin: https://data.example.com:8443\r\n", bad},
        {"data.example.com:8080", "Origin: https://data.example.com\r\n", bad},
        {"127.0.0.1:8080", "Origin: https://console.example.org\r\n", pass},
        {"127.0.0.1:8080", "Origin: https://console.example.org:443\r\n", pass},
        {"127.0.0.1:8080", "Origin: http://console.example.org\r\n", bad},
        {"127.0.0.1:8080", "Origin: http://dev.example.org:3000\r\n", pass},
        {"127.0.0.1:8080", "Origin: http://dev.example.org\r\n", bad},
        {"127.0.0.1:8080", "Origin: https://console.example.org\r\nSec-Fetch-Site: cross-site\r\n", pass},
        {"127.0.0.1:8080", "Origin: http://evil.example\r\nSec-Fetch-Site: same-origin\r\n", bad},
        {"127.0.0.1:8080", "Sec-Fetch-Site: cross-site\r\n", bad},
        {"127.0.0.1:8080", "Sec-Fetch-Site: same-site\r\n", bad},
        {"127.0.0.1:8080", "Sec-Fetch-Site: same-origin\r\n", pass},
        {"127.0.0.1:8080", "sec-fetch-site: none\r\n", pass},
        {"127.0.0.1:8080", "Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n", bad},
        {"127.0.0.1:8080", "Sec-Fetch-Mode: no-cors\r\n", bad}, // a browser, but nothing says where the page is from
        {"127.0.0.1:8080", "Sec-Fetch-Dest: empty\r\n", bad},
    };
    for (const row &r : rows) {
        for (const char *method : {"POST", "PUT", "DELETE", "PATCH"}) {
            if (judge_change(guard, r.host, r.lines, method) != r.verdict)
                test_fail("%s, Host %s, %s: expected the other verdict", method, r.host, r.lines);
        }
        for (const char *method : {"GET", "HEAD"}) { // changes nothing
            if (judge_change(guard, r.host, r.lines, method) != pass)
                test_fail("%s, Host %s, %s: was refused", method, r.host, r.lines);
        }
    }
}

static void rules_are_checked(void **)
{
    for (const char *good : {"any", "*.example.org", "host", "a-b_c.example.org", "10.0.0.1", "::1", "[fd00::1]"}) {
        if (!web_host_rule_is_good(good))
            test_fail("%s was refused", good);
    }
    for (const char *bad : {"", "*", "*.", "a*.example.org", "host:80", "http://host", "host/", "[::1]:80", "[x]", "a b", "*.*.org"}) {
        if (web_host_rule_is_good(bad))
            test_fail("%s was accepted", bad);
    }
    for (const char *good : {"http://a", "https://a.example.org:8443", "http://[::1]:80"}) {
        if (!web_origin_is_good(good))
            test_fail("%s was refused", good);
    }
    for (const char *bad :
        {"", "null", "*", "a.example.org", "https://", "https://*.example.org", "https://a/", "https://a:x", "ftp://a"}) {
        if (web_origin_is_good(bad))
            test_fail("%s was accepted", bad);
    }
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(hosts_are_the_names_of_this_node),
        cmocka_unit_test(hosts_can_be_allowed),
        cmocka_unit_test(old_and_odd_forms),
        cmocka_unit_test(changes_come_from_own_pages_only),
        cmocka_unit_test(rules_are_checked),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
