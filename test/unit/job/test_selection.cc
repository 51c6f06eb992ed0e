// SPDX-License-Identifier: MIT
// Which names a list, a template or a prefix selects.
#include "node_test.h"

#include "job/selection.h"

using namespace etlnode;

static job_selection of_template(const char *text)
{
    job_selection selection;
    std::string wrong = selection_parse_template(text, selection);
    if (!wrong.empty())
        test_fail("%s", wrong.c_str());
    return selection;
}

static std::string read(const char *text, job_selection &out_selection)
{
    json_ptr tree;
    std::string where;
    test_ok(json_parse(text, tree, where));
    return selection_read(tree.get(), out_selection);
}

static void templates_select_what_they_spell(void **)
{
    struct row {
        const char *pattern;
        const char *name;
        bool is_selected;
    };
    static constexpr row rows[] = {
        {"shard-{0001..0100}.tar", "shard-0001.tar", true},
        {"shard-{0001..0100}.tar", "shard-0100.tar", true},
        {"shard-{0001..0100}.tar", "shard-0101.tar", false},
        {"shard-{0001..0100}.tar", "shard-0000.tar", false},
        {"shard-{0001..0100}.tar", "shard-1.tar", false},
        {"shard-{0001..0100}.tar", "shard-00001.tar", false},
        {"shard-{0001..0100}.tar", "shard-0001.tgz", false},
        {"shard-{0001..0100}.tar", "shard-0001.tar.idx", false},
        {"{0..10}", "7", true},
        {"{0..10}", "10", true},
        {"{0..10}", "07", false},
        {"{0..10}", "", false},
        {"{0..10}", "x", false},
        {"{0..10..3}", "9", true},
        {"{0..10..3}", "10", false},
        {"{1..9..2}", "2", false},
        {"{1..9..2}", "3", true},
        {"{98..102}", "102", true},
        {"{08..12}", "08", true},
        {"{08..12}", "12", true},
        {"a{0..1}b{00..11}c", "a1b11c", true},
        {"a{0..1}b{00..11}c", "a1b12c", false},
        {"{1..2}{3..4}", "14", true},
        {"{1..20}{3..4}", "113", true}, // 11 and 3
        {"{1..2}1", "11", true},
        {"{1..11}1", "111", true},
        {"dir/", "dir/x", true}, // without a range: a prefix
        {"dir/", "di", false},
        {"", "anything", true},
        {"{0..999999999999999999}", "123456789012345678", true},
    };
    for (const row &one : rows) {
        if (selection_has(of_template(one.pattern), one.name) != one.is_selected)
            test_fail("%s and %s", one.pattern, one.name);
    }
    test_eq_text(of_template("a/b-{1..2}.x").prefix, "a/b-");
}

// Eight ranges with 19 digits each can share 152 digits in billions of ways.
static void many_ranges_take_no_time(void **)
{
    std::string range = "{0..9999999999999999999}", pattern;
    for (int i = 0; i < 8; i++)
        pattern += range;
    job_selection selection = of_template(pattern.c_str());
    test_true(selection_has(selection, std::string(152, '1')));
    test_true(selection_has(selection, std::string(8, '1')));
    test_false(selection_has(selection, std::string(7, '1')));
    test_false(selection_has(selection, std::string(1000, '1')));
    test_false(selection_has(selection, std::string(100, '1') + "x"));
}

static void what_is_no_template_is_refused(void **)
{
    for (const char *text : {"a{", "a{1..2", "a{}", "a{x..y}", "a{1..}", "a{2..1}", "a{1..2..0}", "a{1..2..}", "a{1...2}", "a{1,2}",
             "a{-1..2}", "{99999999999999999999..1}", "{1..2}{1..2}{1..2}{1..2}{1..2}{1..2}{1..2}{1..2}{1..2}"}) {
        job_selection selection;
        if (selection_parse_template(text, selection).empty())
            test_fail("%s", text);
    }
}

static void lists_select_their_names(void **)
{
    job_selection selection;
    test_eq_text(read(R"({"objnames":["p/b","p/a","p/a"]})", selection), "");
    test_eq_text(selection.prefix, "p/");
    for (const char *name : {"p/a", "p/b"})
        test_true(selection_has(selection, name));
    for (const char *name : {"p/c", "p/", "a", ""})
        test_false(selection_has(selection, name));
}

// The prefix goes into the cluster document, which is text: a part of a character would be replaced there, and nothing found.
static void prefixes_of_lists_end_with_whole_characters(void **)
{
    struct row {
        const char *list, *prefix;
    };
    static constexpr row rows[] = {
        {"[\"日\",\"文\"]", ""}, // E6 97 A5 and E6 96 87
        {"[\"a/日1\",\"a/早\"]", "a/"},
        {"[\"a/日1\",\"a/日2\"]", "a/日"},
        {"[\"😀\",\"😁\"]", ""},
        {"[\"é\",\"è\"]", ""},
        {"[\"日本\"]", "日本"},
    };
    for (const row &one : rows) {
        job_selection selection;
        test_eq_text(read((std::string("{\"objnames\":") + one.list + "}").c_str(), selection), "");
        test_eq_text(selection.prefix, one.prefix);
        for (const std::string &name : selection.names)
            test_true(selection_has(selection, name));
    }
}

static void without_either_everything_is_selected(void **)
{
    for (const char *text : {"{}", R"({"objnames":null,"template":""})", R"({"template":null})"}) {
        job_selection selection;
        test_eq_text(read(text, selection), "");
        test_true(selection_has(selection, "anything"));
    }
}

static void damaged_selections_are_refused(void **)
{
    for (const char *text : {R"({"objnames":[]})", R"({"objnames":"a"})", R"({"objnames":[1]})", R"({"objnames":[""]})",
             R"({"template":5})", R"({"objnames":["a"],"template":"b"})", R"({"template":"a{1..x}"})"}) {
        job_selection selection;
        if (read(text, selection).empty())
            test_fail("%s", text);
    }
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(templates_select_what_they_spell),
        cmocka_unit_test(many_ranges_take_no_time),
        cmocka_unit_test(what_is_no_template_is_refused),
        cmocka_unit_test(lists_select_their_names),
        cmocka_unit_test(prefixes_of_lists_end_with_whole_characters),
        cmocka_unit_test(without_either_everything_is_selected),
        cmocka_unit_test(damaged_selections_are_refused),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
