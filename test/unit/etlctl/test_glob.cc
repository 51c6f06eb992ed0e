// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "etlctl/glob.h"

using namespace etlnode;
using namespace etlnode::etlctl;

static void patterns(void **)
{
    struct row {
        const char *pattern;
        const char *name;
        bool matches;
    };
    static constexpr row rows[] = {
        {"", "", true},
        {"", "a", false},
        {"abc", "abc", true},
        {"abc", "abcd", false},
        {"*", "", true},
        {"*", "a.b", true},
        {"*", "a/b", false},
        {"*.tar", "train-1.tar", true},
        {"*.tar", "a/train-1.tar", false},
        {"train-*.tar", "train-.tar", true},
        {"train-*.tar", "train-1.tar.gz", false},
        {"a/*/c", "a/b/c", true},
        {"a/*/c", "a/b/b/c", false},
        {"a/**", "a/b/c", true},
        {"a/**", "ab/c", false},
        {"**", "a/b", true},
        {"**/c", "c", true},
        {"**/c", "a/b/c", true},
        {"**/c", "a/bc", false},
        {"a/**/c", "a/c", true},
        {"a/**/c", "a/b/b/c", true},
        {"a/**/c", "a/bc", false},
        {"?", "\xc3\xbc", true}, // one character of two bytes
        {"?", "ab", false},
        {"?", "/", false},
        {"a?c", "abc", true},
        {"[a-c]x", "bx", true},
        {"[a-c]x", "dx", false},
        {"[!a-c]x", "dx", true},
        {"[!a-c]x", "ax", false},
        {"[!a]", "/", false},
        {"[]]", "]", true},
        {"[a-]", "-", true},
        {"[\xc3\xa4-\xc3\xbc]", "\xc3\xb6", true},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"[\\]]", "]", true},
        {"a\nb", "a\nb", true},
        {"?", "\xff", true}, // not UTF-8
        {"\xff", "\xff", true},
    };
    for (const row &r : rows) {
        glob g;
        std::string why;
        if (!glob_parse(r.pattern, g, why) || glob_match(g, r.name) != r.matches)
            test_fail("\"%s\" and \"%s\": %s", r.pattern, r.name, why.c_str());
    }
}

static void wrong_patterns(void **)
{
    glob g;
    std::string why;
    test_false(glob_parse("a[b", g, why));
    test_eq_text(why, "the pattern \"a[b\" has a [ without its ]");
    test_false(glob_parse("[]", g, why));
    test_false(glob_parse("a\\", g, why));
    test_true(glob_parse("a/b*c", g, why));
    test_eq_text(g.literal, "a/b");
    test_true(glob_is_pattern("a[") && glob_is_pattern("*") && glob_is_pattern("a?") && glob_is_pattern("\\"));
    test_false(glob_is_pattern("a-b.c]"));
}

// A backtracking matcher would need more steps than there are atoms.
static void no_pattern_takes_long(void **)
{
    std::string pattern;
    for (int i = 0; i < 100; ++i)
        pattern += "*a";
    pattern += "b";
    glob g;
    std::string why;
    test_true(glob_parse(pattern, g, why));
    test_false(glob_match(g, std::string(1'000, 'a')));
    test_true(glob_match(g, std::string(1'000, 'a') + "b"));
}

static bool takes(const name_filter &filter, const char *name) { return filter_takes(filter, name); }

static void filters(void **)
{
    name_filter filter;
    std::string why;
    test_true(takes(filter, "anything/at all"));
    test_true(filter_add(filter.included, "*.jpg", why) && filter_add(filter.included, "docs/", why));
    test_true(takes(filter, "a.jpg") && takes(filter, "x/y/a.jpg") && takes(filter, "docs/a.txt") && takes(filter, "x/docs/y/a.txt"));
    test_false(takes(filter, "a.png") || takes(filter, "docs"));
    test_true(takes(filter, "folder.jpg/a")); // the folder matches
    test_true(filter_add(filter.excluded, ".git", why) && filter_add(filter.excluded, "x/*.jpg", why));
    test_true(filter_add(filter.excluded, "/top.jpg", why));
    test_false(takes(filter, ".git/a.jpg") || takes(filter, "y/.git/a.jpg") || takes(filter, "x/a.jpg") || takes(filter, "top.jpg"));
    test_true(takes(filter, "x/y/a.jpg") && takes(filter, "y/top.jpg"));
    test_true(filter_prunes(filter, "y/.git"));
    test_false(filter_prunes(filter, "y"));
    test_false(filter_add(filter.excluded, "/", why) || filter_add(filter.excluded, "", why) || filter_add(filter.excluded, "[", why));
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(patterns),
        cmocka_unit_test(wrong_patterns),
        cmocka_unit_test(no_pattern_takes_long),
        cmocka_unit_test(filters),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
