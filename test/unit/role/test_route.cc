// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <cstring>
#include <set>
#include <string>

#include "role/proxy/proxy.h"
#include "role/shared/route.h"
#include "role/target/target.h"

using namespace etlnode;

static route_match proxy_find(const char *method, const char *path)
{
    return route_find(route_role::proxy, route_listener::clients, method, path);
}
static route_match target_find(const char *method, const char *path)
{
    return route_find(route_role::target, route_listener::clients, method, path);
}

static bool is_served_by(const route &row, void (*handler)(proxy &p, exchange &x, const route_match &match))
{
    return row.by_proxy == handler;
}
static bool is_served_by(const route &row, void (*handler)(target &t, exchange &x, const route_match &match))
{
    return row.by_target == handler;
}

template <typename handler> static void check(const route_match &match, handler *expected, std::initializer_list<std::string_view> args)
{
    if (match.found == nullptr)
        test_fail("not found; allow: %s", match.allow.c_str());
    test_true(is_served_by(*match.found, expected));
    test_eq(match.arg_count, args.size());
    size_t i = 0;
    for (std::string_view arg : args)
        test_eq_text(match.args[i++], arg);
}

static void paths_find_their_handlers(void **)
{
    check(proxy_find("GET", "/v1/health"), proxy_serve_health, {});
    check(proxy_find("GET", "/v1/health/"), proxy_serve_health, {});
    check(proxy_find("GET", "/v1/buckets"), proxy_serve_buckets_list, {});
    check(proxy_find("GET", "/v1/buckets/"), proxy_serve_buckets_list, {});
    check(proxy_find("POST", "/v1/buckets/b"), proxy_serve_bucket_post, {"b"});
    check(proxy_find("POST", "/v1/buckets/b/"), proxy_serve_bucket_post, {"b"});
    check(proxy_find("POST", "/v1/buckets/b/more"), proxy_serve_bucket_path_too_long, {"b", "more"});
    check(proxy_find("GET", "/v1/objects/b/o"), proxy_serve_object, {"b", "o"});
    check(proxy_find("PUT", "/v1/objects/b/a//b/%2F/c"), proxy_serve_object, {"b", "a//b/%2F/c"});
    check(proxy_find("GET", "/v1/objects/b"), proxy_serve_object_missing, {"b"});
    check(proxy_find("GET", "/v1/objects/b/"), proxy_serve_object_missing, {"b"});
    check(target_find("GET", "/v1/objects/b/o/"), target_serve_object, {"b", "o/"});
}

static void both_generations_share_the_paths(void **)
{
    check(proxy_find("POST", "/v1/etl/init"), proxy_serve_etl_init_2020, {});
    check(proxy_find("GET", "/v1/etl/list"), proxy_serve_etl_list_2020, {});
    check(proxy_find("DELETE", "/v1/etl/stop/JGHEoo89gg"), proxy_serve_etl_delete, {"JGHEoo89gg"});
    check(proxy_find("GET", "/v1/etl/logs/JGHEoo89gg"), proxy_serve_etl_logs, {"JGHEoo89gg"});
    check(proxy_find("GET", "/v1/etl/logs/JGHEoo89gg/t1"), proxy_serve_etl_logs, {"JGHEoo89gg", "t1"});
    check(proxy_find("PUT", "/v1/etl"), proxy_serve_etl_init, {});
    check(proxy_find("GET", "/v1/etl"), proxy_serve_etl_list, {});
    check(proxy_find("GET", "/v1/etl/name"), proxy_serve_etl_show, {"name"});
    check(proxy_find("DELETE", "/v1/etl/name"), proxy_serve_etl_delete, {"name"});
    check(proxy_find("POST", "/v1/etl/name/start"), proxy_serve_etl_start, {"name"});
    check(proxy_find("POST", "/v1/etl/name/stop"), proxy_serve_etl_stop, {"name"});
    check(proxy_find("GET", "/v1/etl/name/logs"), proxy_serve_etl_logs, {"name"});
    check(proxy_find("GET", "/v1/etl/name/logs/t1"), proxy_serve_etl_logs, {"name", "t1"});
    check(proxy_find("GET", "/v1/etl/name/health"), proxy_serve_etl_health, {"name"});
}

static void wrong_methods_are_told_the_right_ones(void **)
{
    route_match match = proxy_find("PATCH", "/v1/etl");
    test_true(match.found == nullptr);
    test_eq_text(match.allow, "PUT, GET");
    test_eq_text(proxy_find("PUT", "/v1/etl/init").allow, "POST");
    test_eq_text(proxy_find("PATCH", "/v1/etl/name").allow, "GET, DELETE");
    test_eq_text(proxy_find("POST", "/v1/health").allow, "GET, HEAD");
    test_eq_text(target_find("POST", "/v1/node/document").allow, "PUT");
    test_eq_text(proxy_find("get", "/v1/health").allow, "GET, HEAD"); // methods are case-sensitive
}

static void unknown_paths_are_not_found(void **)
{
    for (const char *path :
        {"/", "/v1", "/v2/health", "/v1/healthy", "/v1/etl/name/other", "/v1/etl//logs", "/v1//etl", "", "v1/health", "/v1/node/status"}) {
        route_match match = proxy_find("GET", path);
        if (match.found != nullptr || !match.allow.empty())
            test_fail("%s was found", path);
    }
    test_true(target_find("GET", "/v1/buckets").found == nullptr);
    test_true(target_find("POST", "/v1/node/register").found == nullptr);
}

static void listeners_are_apart(void **)
{
    route_match match = route_find(route_role::target, route_listener::pods, "GET", "/v1/etl/_object/ID/secret/ais%2F@%23%2Fb%2Fo");
    check(match, target_serve_pod, {"ID", "secret", "ais%2F@%23%2Fb%2Fo"});
    for (const char *path : {"/v1/health", "/metrics", "/v1/objects/b/o", "/v1/node/status", "/v1/node/etl", "/v1/daemon"})
        test_true(route_find(route_role::target, route_listener::pods, "GET", path).found == nullptr);
    test_true(target_find("GET", "/v1/etl/_object/ID/secret/b/o").found == nullptr);
}

static void rows_are_sound(void **)
{
    std::set<std::string> seen;
    for (const route &row : route_table()) {
        std::string key = std::string(row.method) + " " + row.pattern + (row.listener == route_listener::pods ? " pods" : "");
        if (!seen.insert(key).second)
            test_fail("%s is there twice", key.c_str());
        test_true(row.pattern[0] == '/');
        test_true(std::strlen(row.summary) > 0);
    }
    std::string text = route_table_text();
    test_has_text(text, "| POST | `/v1/etl/init` | proxy | start an ETL");
    test_has_text(text, "| GET | `/v1/health` | both |");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(paths_find_their_handlers),
        cmocka_unit_test(both_generations_share_the_paths),
        cmocka_unit_test(wrong_methods_are_told_the_right_ones),
        cmocka_unit_test(unknown_paths_are_not_found),
        cmocka_unit_test(listeners_are_apart),
        cmocka_unit_test(rows_are_sound),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
