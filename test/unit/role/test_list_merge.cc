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

static void a_target_may_end_its_page_early(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    f.pages = {page_of({"a", "c"}), page_of({"b", "d", "e"})};
    f.pages[0].token = "c"; // what follows is not known yet
    f.merged = list_merge(f.pages, 10);
    names_of(f);
    test_eq_text(f.text, "a b c");
    test_eq_text(f.merged.token, "c");
}

static void an_object_hides_a_member_of_its_name(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    for (bool is_first : {true, false}) {
        f.pages = {page_of({"a.tar/x"}), page_of({"a.tar/x"})};
        f.pages[is_first ? 0 : 1].entries[0].flags = list_flag_cached | list_flag_archive | list_flag_in_archive;
        f.merged = list_merge(f.pages, 10);
        test_eq(f.merged.entries.size(), 1u);
        test_eq(f.merged.entries[0].flags & list_flag_in_archive, 0u);
    }
    f.pages = {page_of({"a.tar/x"})};
    f.pages[0].entries[0].flags = list_flag_archive | list_flag_in_archive;
    f.request.wants_copies = true;
    f.merged = list_merge(f.pages, 10);
    list_page_trim(f.merged, f.request);
    test_eq(f.merged.entries[0].flags, list_flag_cached | list_flag_archive | list_flag_in_archive);
    test_eq(f.merged.entries[0].copies, 0u);
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

// "name@version", a tombstone with a minus in front. A page with more to come has its last name as token.
static list_page versions_of(std::initializer_list<const char *> texts, bool has_more = false)
{
    list_page page;
    for (std::string_view text : texts) {
        list_entry entry;
        entry.flags = text.starts_with("-") ? list_flag_tombstone : list_flag_cached;
        text.remove_prefix(text.starts_with("-") ? 1 : 0);
        entry.name = text.substr(0, text.find('@'));
        entry.version = text.substr(text.find('@') + 1);
        page.entries.push_back(std::move(entry));
    }
    if (has_more)
        page.token = page.entries.back().name;
    return page;
}

static void texts_of(fixture &f, const std::vector<list_entry> &entries)
{
    f.text.clear();
    for (const list_entry &entry : entries) {
        f.text += f.text.empty() ? "" : " ";
        f.text += (entry.flags & list_flag_tombstone) != 0 ? "-" : "";
        f.text += entry.name + (entry.version.empty() ? "" : "@" + entry.version);
    }
}

static void the_highest_version_counts(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    std::string end;
    f.pages = {versions_of({"a@1", "b@10", "c@2"}), versions_of({"-a@2", "b@9", "d@1"}), versions_of({"c@4294967297"})};
    texts_of(f, list_merge_versions(f.pages, end));
    test_eq_text(f.text, "-a@2 b@10 c@4294967297 d@1");
    test_eq_text(end, "");
    f.pages = {};
    texts_of(f, list_merge_versions(f.pages, end));
    test_eq_text(f.text, "");
}

static void a_result_ends_where_a_target_may_have_more(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    std::string end;
    f.pages = {versions_of({"a@1", "d@1"}, true), versions_of({"b@1", "c@1"}, true), versions_of({"c@2", "z@1"})};
    texts_of(f, list_merge_versions(f.pages, end));
    test_eq_text(f.text, "a@1 b@1 c@2"); // the second target may have a newer d
    test_eq_text(end, "c");
}

static void collect(fixture &f, list_collection &c, std::vector<list_page> pages)
{
    std::string end;
    std::vector<list_entry> merged = list_merge_versions(pages, end);
    list_collect(c, merged, end);
    texts_of(f, c.page.entries);
}

static void hidden_names_do_not_fill_a_page(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    list_collection c;
    c.page_size = 2;
    collect(f, c, {versions_of({"-a@1", "-b@1"}, true)});
    test_eq_text(f.text, "");
    test_false(c.is_done);
    test_eq_text(c.after, "b");
    collect(f, c, {versions_of({"c@1", "-d@1"}, true)});
    test_false(c.is_done);
    collect(f, c, {versions_of({"e@1", "f@1"})});
    test_eq_text(f.text, "c@1 e@1");
    test_true(c.is_done);
    test_eq_text(c.page.token, "e");
    list_collection last;
    last.page_size = 2;
    collect(f, last, {versions_of({"f@1", "-g@1"})});
    test_true(last.is_done);
    test_eq_text(last.page.token, "");
}

// A directory whose objects are all deleted is none.
static void directories_come_from_what_is_there(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    list_collection c;
    c.page_size = 3;
    c.is_flat = true;
    collect(f, c, {versions_of({"-a/1@1", "b/1@1", "b/2@1"}, true), versions_of({"b/2@2", "c@1"})});
    test_eq_text(f.text, "b/");
    test_eq_text(c.after, "b/\xff"); // the rest of the directory is skipped
    test_false(c.is_done);
    collect(f, c, {versions_of({"c@1", "d/x@1", "e@1"})});
    test_eq_text(f.text, "b/ c@1 d/");
    test_eq_text(c.page.token, "d/");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pages_are_merged_in_byte_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_page_has_a_token, setup, teardown),
        cmocka_unit_test_setup_teardown(directories_of_several_targets_become_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_target_may_end_its_page_early, setup, teardown),
        cmocka_unit_test_setup_teardown(an_object_hides_a_member_of_its_name, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_have_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_say_what_they_want, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_requests_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_highest_version_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_result_ends_where_a_target_may_have_more, setup, teardown),
        cmocka_unit_test_setup_teardown(hidden_names_do_not_fill_a_page, setup, teardown),
        cmocka_unit_test_setup_teardown(directories_come_from_what_is_there, setup, teardown),
        cmocka_unit_test(one_level_collapses_what_is_below),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
