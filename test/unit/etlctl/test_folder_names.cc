// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "etlctl/folder_names.h"

using namespace etlnode;
using namespace etlnode::etlctl;

static void paths(void **)
{
    for (const char *name :
        {"a", "a/b", "-rf", "a b", " ", "a\nb", ".hidden", "...", "..a", "a\\..\\b", "~", "\xff", ".etlctl-a", "a.part"})
        if (folder_check_path(name) != nullptr)
            test_fail("\"%s\": %s", name, folder_check_path(name));
    for (const char *name :
        {"", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/..", "./a", "a/.etlctl-1-2-3.part", ".etlctl-x.part/a"})
        if (folder_check_path(name) == nullptr)
            test_fail("\"%s\" would leave the folder, or is no path", name);
    test_true(folder_check_path(std::string_view("a\0b", 3)) != nullptr);
}

static void lines(void **)
{
    for (std::string name :
        {"a", "a b", " a", "a ", "", "\"", "a\"b", "\\", "a\nb", "a\r", "a\tb", "\x7f", "\x01", "-", "#a", "ü", "\xff\xfe"}) {
        std::string line = folder_name_to_line(name);
        std::string back;
        test_true(line.find('\n') == std::string::npos && !line.empty());
        if (!folder_name_from_line(line, back) || back != name)
            test_fail("\"%s\" became %s", name.c_str(), line.c_str());
    }
    test_eq_text(folder_name_to_line("a/b c"), "a/b c"); // plain names stay plain
    test_eq_text(folder_name_to_line("a\nb\\"), "\"a\\nb\\\\\"");
    std::string out;
    test_true(folder_name_from_line("a\r", out)); // an editor of another system
    test_eq_text(out, "a");
    for (const char *line : {"\"a", "\"a\"b", "\"\\q\"", "\"\\x1\"", "\"\\", "\"\\xzz\""})
        test_false(folder_name_from_line(line, out));
}

static void prefixes(void **)
{
    test_eq_text(folder_prefix(""), "");
    test_eq_text(folder_prefix("a"), "a/");
    test_eq_text(folder_prefix("a/b/"), "a/b/");
}

int main()
{
    const CMUnitTest tests[] = {cmocka_unit_test(paths), cmocka_unit_test(lines), cmocka_unit_test(prefixes)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
