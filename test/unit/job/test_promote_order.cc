// SPDX-License-Identifier: MIT
// test of job/promote_order: which files become objects, and under which names.
#include "node_test.h"

#include "job/promote_order.h"

using namespace etlnode;

static std::string read(const std::string &text, promote_order &out_order)
{
    json_ptr tree;
    std::string where;
    test_ok(json_parse(text, tree, where));
    return promote_order_read(tree.get(), out_order);
}

static std::string verdict(const std::string &text)
{
    promote_order order;
    return read(text, order);
}

static std::string name_of(const std::string &object, std::string_view path)
{
    promote_order order;
    test_eq_text(read(R"({"src":"/data/photos/x.jpg","obj":")" + object + R"("})", order), "");
    return promote_name(order, path);
}

static void options_are_read(void **)
{
    promote_order order;
    test_eq_text(read(R"({"src":"/a/b/","obj":"p/","at":"t1","rcr":true,"ovw":true,"dls":true,"shared":true})", order), "");
    test_eq_text(order.source, "/a/b");
    test_eq_text(order.name, "p");
    test_eq_text(order.at, "t1");
    test_true(order.is_recursive && order.overwrites && order.removes && order.is_shared);
}

static void names_are_those_of_aistore(void **)
{
    test_eq_text(name_of("", ""), "x.jpg");
    test_eq_text(name_of("p", ""), "p/x.jpg");
    test_eq_text(name_of("p/q.jpg", ""), "p/q.jpg");
    test_eq_text(name_of("", "a/b"), "a/b");
    test_eq_text(name_of("p/", "a/b"), "p/a/b");
    test_eq_text(name_of("p/q", "a"), "p/q/a");
}

static void what_is_refused(void **)
{
    test_has_text(verdict("{}"), "which file or folder");
    for (const char *source : {"a/b", "/a/../b", "/a/./b", "/a//b", "/..", "/a/.."})
        test_has_text(verdict(R"({"src":")" + std::string(source) + R"("})"), "an absolute path without");
    test_has_text(verdict(R"({"src":7})"), "src");
    test_has_text(verdict(R"({"src":"/a","obj":"../b"})"), "invalid object name");
    test_has_text(verdict(R"({"src":"/a","rcr":"yes"})"), "rcr");
    test_has_text(verdict(R"({"src":"/)" + std::string(5'000, 'x') + R"("})"), "an absolute path");
}

static void roots_hold_what_is_below(void **)
{
    std::vector<std::string> roots = {"/data/in", "/srv"};
    std::string path;
    test_eq_text(*promote_find_root(roots, "/data/in/a/b", path), "/data/in");
    test_eq_text(path, "a/b");
    test_eq_text(*promote_find_root(roots, "/srv", path), "/srv");
    test_eq_text(path, "");
    for (const char *source : {"/data", "/data/inner", "/data/in2/x", "/data/in/../x", "/", "", "srv/x", "/srv/", "/data/in//x", "/srv/.."})
        test_true(promote_find_root(roots, source, path) == nullptr);
}

int main()
{
    const CMUnitTest tests[] = {cmocka_unit_test(options_are_read), cmocka_unit_test(names_are_those_of_aistore),
        cmocka_unit_test(what_is_refused), cmocka_unit_test(roots_hold_what_is_below)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
