// SPDX-License-Identifier: MIT
// Which options a node accepts, and what it makes of their URLs.
#include "node_test.h"

#include "role/shared/node.h"

using namespace etlnode;

static node_options good_options(bool is_target)
{
    node_options o;
    o.is_target = is_target;
    o.cluster_secret = "secret";
    o.proxy_url = "http://p:1";
    return o;
}

static void wrong_options_are_refused(void **)
{
    struct wrong {
        std::string node_options::*option;
        const char *value, *says, *says_proxy; // null: a proxy does not use the option
    };
    const wrong rows[] = {
        {&node_options::cluster_secret, "", "a node needs a cluster secret", "a node needs a cluster secret"},
        {&node_options::proxy_url, "", "the proxy's URL must be http://host:port", nullptr},
        {&node_options::proxy_url, "https://p:1", "the proxy's URL must be http://host:port", nullptr},
        {&node_options::advertise_url, "p", "the advertised URL must be http://host:port", "the advertised URL must be http://host:port"},
        {&node_options::pod_url, "ftp://p:1", "the URL for pods must be http://host:port", nullptr},
    };
    for (const wrong &row : rows) {
        for (bool is_target : {true, false}) {
            node_options options = good_options(is_target), out;
            options.*row.option = row.value;
            error err = node_options_check(options, out);
            const char *says = is_target ? row.says : row.says_proxy;
            test_eq_enum(err.code, says != nullptr ? error_code::invalid_argument : error_code::ok);
            test_eq_text(says != nullptr ? err.what : "", says != nullptr ? says : "");
            test_true(out.cluster_secret.empty() == (says != nullptr)); // what is refused is not given
        }
    }
}

// What is appended to such a URL begins with a slash.
static void urls_end_without_slashes(void **)
{
    node_options options = good_options(true), out;
    options.proxy_url = "http://p:1/";
    options.advertise_url = "http://a:2/base//";
    options.pod_url = "";
    test_eq_enum(node_options_check(options, out).code, error_code::ok);
    test_eq_text(out.proxy_url, "http://p:1");
    test_eq_text(out.advertise_url, "http://a:2/base");
    test_eq_text(out.pod_url, "");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(urls_end_without_slashes),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
