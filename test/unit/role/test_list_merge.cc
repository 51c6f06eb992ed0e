// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <string>
#include <vector>

#include "role/shared/list_merge.h"

using namespace etlnode;

struct fixture {
    std::vector<list_page> pages;
    list_page merged;
    list_request request;
    std::string text, reason;
    json_ptr tree;
};
static int setup(void **state)
{
    *state = new fixture;
    return 0;
}
static int teardown(void **state)
{
    delete static_cast<fixture *>(*state);
    return 0;
}

static list_page page_of(std::initializer_list<const char *> names)
{
    list_page page;
    for (const char *name : names) {
        list_entry entry;
        entry.name = name;
        entry.size = 5;
        entry.checksum = "c";
        entry.version = "1";
        entry.custom = "m";
        entry.flags = entry.name.ends_with("/") ? list_flag_directory : uint16_t{0};
        page.entries.push_back(entry);
    }
    return page;
}

static void names_of(fixture &f)
{
    f.text.clear();
    for (const list_entry &entry : f.merged.entries)
        f.text += (f.text.empty() ? "" : " ") + entry.name;
}

static void pages_are_merged_in_byte_order(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    f.pages = {page_of({"a", "c", "\xc3\xa9"}), page_of({"B", "b", "z"}), page_of({})};
    f.merged = list_merge(f.pages, 10);
    names_of(f);
    test_eq_text(f.text, "B a b c z \xc3\xa9");
    test_eq_text(f.merged.token, "");
}

static void a_full_page_has_a_token(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    f.pages = {page_of({"a", "c"}), page_of({"b", "d"})};
    f.merged = list_merge(f.pages, 2);
    names_of(f);
    test_eq_text(f.text, "a b");
    test_eq_text(f.merged.token, "b");
    f.pages = {page_of({"a"}), page_of({"b"})};
    f.merged = list_merge(f.pages, 2); // exactly full: one more, empty page follows
    test_eq_text(f.merged.token, "b");
}

static void directories_of_several_targets_become_one(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    f.pages = {page_of({"d/", "e"}), page_of({"d/", "f/"}), page_of({"f/"})};
    f.merged = list_merge(f.pages, 10);
    names_of(f);
    test_eq_text(f.text, "d/ e f/");
}

static void requests_have_defaults(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    test_ok(list_request_read(nullptr, f.request, f.reason));
    test_eq(f.request.page_size, 10'000u);
    test_true(f.request.wants_size);
    test_false(f.request.wants_checksum);
    f.pages = {page_of({"a", "d/"})};
    f.merged = list_merge(f.pages, 10);
    list_page_trim(f.merged, f.request);
    test_eq(f.merged.entries[0].size, 5u);
    test_eq_text(f.merged.entries[0].checksum, "");
    test_eq(f.merged.entries[0].flags, list_flag_cached);
    test_eq(f.merged.entries[1].flags, list_flag_directory);
}

static void read(fixture &f, const char *json)
{
    std::string where;
    test_ok(json_parse(json, f.tree, where));
    test_ok(list_request_read(f.tree.get(), f.request, f.reason));
}

static void requests_say_what_they_want(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    read(f,
        R"({"prefix":"p/*","pagesize":7,"uuid":"u","props":"name, checksum,version","continuation_token":"","flags":"2048","start_after":"p/k"})");
    test_eq_text(f.request.prefix, "p/");
    test_eq_text(f.request.after, "p/k");
    test_eq(f.request.page_size, 7u);
    test_false(f.request.wants_size);
    test_true(f.request.wants_checksum);
    test_true(f.request.wants_version);
    test_true((f.request.flags & list_request_no_recursion) != 0);
    read(f, R"({"continuation_token":"t","start_after":"s","flags":"16"})"); // name-only
    test_eq_text(f.request.after, "t");
    test_false(f.request.wants_size);
    read(f, R"({"PageSize":20000})");
    test_eq(f.request.page_size, 10'000u);
}

static void bad_requests_are_refused(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    std::string where;
    test_ok(json_parse(R"({"flags":"x"})", f.tree, where));
    test_true(static_cast<bool>(list_request_read(f.tree.get(), f.request, f.reason)));
    test_has_text(f.reason, "flags");
    test_ok(json_parse(R"({"flags":"512"})", f.tree, where));
    test_true(static_cast<bool>(list_request_read(f.tree.get(), f.request, f.reason)));
    test_has_text(f.reason, "not-cached");
}

static void one_level_collapses_what_is_below(void **)
{
    test_eq_text(list_directory_of("", "a/b/c"), "a/");
    test_eq_text(list_directory_of("a/", "a/b/c"), "a/b/");
    test_eq_text(list_directory_of("a/", "a/b"), "");
    test_eq_text(list_directory_of("a", "ab/c"), "ab/");
    test_eq_text(list_directory_of("", "plain"), "");
    test_eq_text(list_skip_after("", "a/"), "a/\xff");
    test_eq_text(list_skip_after("a/", "a/"), "a/"); // the level itself
    test_eq_text(list_skip_after("", "plain"), "plain");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pages_are_merged_in_byte_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_page_has_a_token, setup, teardown),
        cmocka_unit_test_setup_teardown(directories_of_several_targets_become_one, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_have_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_say_what_they_want, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_requests_are_refused, setup, teardown),
        cmocka_unit_test(one_level_collapses_what_is_below),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
