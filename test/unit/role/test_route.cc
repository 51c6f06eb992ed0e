// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include "role/proxy/proxy.h"
#include "role/shared/route.h"
#include "role/target/target.h"

using namespace etlnode;

// The role's own table, because a match points into it.
static route_match proxy_find(const char *method, const char *path)
{
    static const route_table table = proxy_routes();
    return route_find(table, method, path);
}
static route_match target_find(const char *method, const char *path)
{
    static const route_table table = target_routes();
    return route_find(table, method, path);
}
static route_match pod_find(const char *method, const char *path)
{
    static const route_table table = target_pod_routes();
    return route_find(table, method, path);
}

static void check(const route_match &match, std::string_view handler, std::initializer_list<std::string_view> args)
{
    if (match.found == nullptr)
        test_fail("not found; allow: %s", match.allow.c_str());
    test_eq_text(match.found->handler, handler);
    test_eq(match.arg_count, args.size());
    size_t i = 0;
    for (std::string_view arg : args)
        test_eq_text(match.args[i++], arg);
}

static void paths_find_their_handlers(void **)
{
    check(proxy_find("GET", "/v1/health"), "serve_health", {});
    check(proxy_find("GET", "/v1/health/"), "serve_health", {});
    check(proxy_find("GET", "/v1/buckets"), "serve_buckets_list", {});
    check(proxy_find("GET", "/v1/buckets/"), "serve_buckets_list", {});
    check(proxy_find("POST", "/v1/buckets/b"), "serve_bucket_post", {"b"});
    check(proxy_find("POST", "/v1/buckets/b/"), "serve_bucket_post", {"b"});
    check(proxy_find("POST", "/v1/buckets/b/more"), "serve_path_too_long", {"b", "more"});
    check(proxy_find("POST", "/v1/objects/b"), "serve_promote", {"b"});
    check(target_find("GET", "/v1/node/promote"), "serve_look", {});
    check(proxy_find("POST", "/v1/download"), "serve_start", {});
    check(proxy_find("GET", "/v1/download"), "serve_status", {});
    check(proxy_find("DELETE", "/v1/download/abort"), "serve_abort", {});
    check(proxy_find("DELETE", "/v1/download/remove"), "serve_remove", {});
    check(target_find("GET", "/v1/node/shares/j"), "serve_tasks", {"j"});
    check(proxy_find("GET", "/v1/objects/b/o"), "redirect_object", {"b", "o"});
    check(proxy_find("PUT", "/v1/objects/b/a//b/%2F/c"), "redirect_object", {"b", "a//b/%2F/c"});
    check(proxy_find("GET", "/v1/objects/b"), "serve_object_missing", {"b"});
    check(proxy_find("GET", "/v1/objects/b/"), "serve_object_missing", {"b"});
    check(target_find("GET", "/v1/objects/b/o/"), "serve_object", {"b", "o/"});
}

static void both_generations_share_the_paths(void **)
{
    check(proxy_find("POST", "/v1/etl/init"), "serve_etl_init_2020", {});
    check(proxy_find("GET", "/v1/etl/list"), "serve_etl_list_2020", {});
    check(proxy_find("DELETE", "/v1/etl/stop/JGHEoo89gg"), "serve_etl_delete", {"JGHEoo89gg"});
    check(proxy_find("GET", "/v1/etl/logs/JGHEoo89gg"), "serve_etl_logs", {"JGHEoo89gg"});
    check(proxy_find("GET", "/v1/etl/logs/JGHEoo89gg/t1"), "serve_etl_logs", {"JGHEoo89gg", "t1"});
    check(proxy_find("PUT", "/v1/etl"), "serve_etl_init", {});
    check(proxy_find("GET", "/v1/etl"), "serve_etl_list", {});
    check(proxy_find("GET", "/v1/etl/name"), "serve_etl_show", {"name"});
    check(proxy_find("DELETE", "/v1/etl/name"), "serve_etl_delete", {"name"});
    check(proxy_find("POST", "/v1/etl/name/start"), "serve_etl_start", {"name"});
    check(proxy_find("POST", "/v1/etl/name/stop"), "serve_etl_stop", {"name"});
    check(proxy_find("GET", "/v1/etl/name/logs"), "serve_etl_logs", {"name"});
    check(proxy_find("GET", "/v1/etl/name/logs/t1"), "serve_etl_logs", {"name", "t1"});
    check(proxy_find("GET", "/v1/etl/name/health"), "serve_etl_health", {"name"});
}

static void wrong_methods_hear_the_right_ones(void **)
{
    route_match match = proxy_find("PATCH", "/v1/etl");
    test_true(match.found == nullptr);
    test_eq_text(match.allow, "PUT, GET");
    test_eq_text(proxy_find("PUT", "/v1/etl/init").allow, "POST");
    test_eq_text(proxy_find("PATCH", "/v1/etl/name").allow, "GET, DELETE");
    test_eq_text(proxy_find("POST", "/v1/health").allow, "GET, HEAD");
    test_eq_text(target_find("POST", "/v1/node/document").allow, "PUT, GET");
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
    check(pod_find("GET", "/v1/etl/_object/ID/secret/ais%2F@%23%2Fb%2Fo"), "serve_pod", {"ID", "secret", "ais%2F@%23%2Fb%2Fo"});
    for (const char *path : {"/v1/health", "/metrics", "/v1/objects/b/o", "/v1/node/status", "/v1/node/etl", "/v1/daemon"})
        test_true(pod_find("GET", path).found == nullptr);
    test_true(target_find("GET", "/v1/etl/_object/ID/secret/b/o").found == nullptr);
}

// --- tables

static int served; // the handler that was called last
template <int which> static void serve_nth(int &node, exchange &, const route_match &)
{
    test_eq(node, 7);
    served = which;
}

static constexpr route general_first[] = {
    ROUTE("GET", "/a/{rest...}", serve_nth<1>, "s"),
    ROUTE("GET", "/a/{x}/c", serve_nth<2>, "s"),
    ROUTE("GET", "/a/{x}", serve_nth<3>, "s"),
    ROUTE("GET", "/a/b/{y}", serve_nth<4>, "s"),
};
static constexpr route literal_last[] = {
    ROUTE("PUT", "/a/b/c", serve_nth<5>, "s"),
    ROUTE("GET", "/a/b", serve_nth<6>, "s"),
    ROUTE("DELETE", "/a/b/c", serve_nth<7>, "s"),
};

static void call_served(const route_table &table, const char *method, const char *path, int expected)
{
    route_match match = route_find(table, method, path);
    if (match.found == nullptr)
        test_fail("%s %s was not found; allow: %s", method, path, match.allow.c_str());
    int node = 7;
    alignas(64) char no_exchange[64] = {}; // no handler here uses its exchange
    served = 0;
    match.found->serve(&node, *reinterpret_cast<exchange *>(no_exchange), match);
    if (served != expected)
        test_fail("%s %s: handler %d instead of %d", method, path, served, expected);
}

static void the_most_special_pattern_serves_whatever_the_order(void **)
{
    for (const route_table &table : {route_table_make({general_first, literal_last}), route_table_make({literal_last, general_first})}) {
        call_served(table, "PUT", "/a/b/c", 5);
        call_served(table, "DELETE", "/a/b/c/", 7);
        call_served(table, "GET", "/a/b", 6);
        call_served(table, "GET", "/a/b/", 6);
        call_served(table, "GET", "/a/b/d", 4);
        call_served(table, "GET", "/a/x/c", 2);
        call_served(table, "GET", "/a/x", 3);
        call_served(table, "GET", "/a/x/y", 1);
        call_served(table, "GET", "/a/b/c/d", 1);
        test_eq_text(route_find(table, "GET", "/a/b/c").allow, "PUT, DELETE"); // not the GET of the name: the literal is that path
        test_true(route_find(table, "GET", "/a").found == nullptr);
    }
}

static constexpr route other_name[] = {ROUTE("POST", "/a/{y}", serve_nth<1>, "s")};
static constexpr route same_method[] = {ROUTE("GET", "/a/b", serve_nth<1>, "s")};

// A table of both aborts the process.
static bool is_refused(std::span<const route> one, std::span<const route> other)
{
    pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        route_table_make({one, other});
        _exit(0);
    }
    int status = 0;
    test_eq(waitpid(child, &status, 0), child);
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_table_that_contradicts_itself_is_refused(void **)
{
    test_false(is_refused(general_first, literal_last));
    test_true(is_refused(general_first, other_name));
    test_true(is_refused(literal_last, same_method));
}

static void patterns_are_checked_when_they_are_compiled(void **)
{
    for (std::string_view good : {"/a", "/a/b", "/{a}", "/{a}/b", "/a/{b}/{c}/{d}/{e...}"})
        test_true(route_pattern_is_good(good));
    for (std::string_view bad :
        {"", "a", "/", "//", "/a/", "/a//b", "/{}", "/{a", "/a}", "/x{a}", "/{a}x", "/{a...}/b", "/{a}/{b}/{c}/{d}/{e}"}) {
        if (route_pattern_is_good(bad))
            test_fail("%s is taken for good", std::string(bad).c_str());
    }
}

static void every_row_says_what_it_is(void **)
{
    for (const route_table &table : {proxy_routes(), target_routes(), target_pod_routes()}) {
        for (const route_path &path : table.paths) {
            for (const route *row : path.rows) {
                test_true(!row->summary.empty());
                test_true(row->handler.starts_with("serve_") || row->handler.starts_with("redirect_"));
                test_true(row->file.starts_with("role/") && row->file.ends_with(".cc"));
            }
        }
    }
    test_has_text(route_table_text(proxy_routes()), "| POST | `/v1/etl/init` | start an ETL");
    test_has_text(route_table_text(proxy_routes()), "| `serve_bucket_post` | role/proxy/buckets.cc |\n");
    test_has_text(route_table_text(target_routes()), "| GET | `/v1/health` |");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(paths_find_their_handlers),
        cmocka_unit_test(both_generations_share_the_paths),
        cmocka_unit_test(wrong_methods_hear_the_right_ones),
        cmocka_unit_test(unknown_paths_are_not_found),
        cmocka_unit_test(listeners_are_apart),
        cmocka_unit_test(the_most_special_pattern_serves_whatever_the_order),
        cmocka_unit_test(a_table_that_contradicts_itself_is_refused),
        cmocka_unit_test(patterns_are_checked_when_they_are_compiled),
        cmocka_unit_test(every_row_says_what_it_is),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
