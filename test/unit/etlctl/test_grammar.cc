// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <vector>

#include "etlctl/grammar.h"

using namespace etlnode;
using namespace etlnode::etlctl;

static std::vector<std::string> split(std::string_view line)
{
    std::vector<std::string> out;
    while (!line.empty()) {
        size_t end = line.find(' ');
        out.emplace_back(line.substr(0, end));
        line = end == std::string_view::npos ? std::string_view() : line.substr(end + 1);
    }
    return out;
}

static std::string join(const std::vector<std::string> &words)
{
    std::string out;
    for (const std::string &word : words)
        out += (out.empty() ? "" : " ") + word;
    return out;
}

static void both_orders_mean_the_same(void **)
{
    struct row {
        const char *line;
        const char *command;
        const char *rest;
    };
    static constexpr row rows[] = {
        // commands of the example document
        {"transform init spec.yaml", "etl init", "spec.yaml"},
        {"create bucket transform", "bucket create", "transform"},
        {"put - transform/shard.in", "object put", "- transform/shard.in"},
        {"etl object JGHEoo89gg transform/shard.in -", "etl object", "JGHEoo89gg transform/shard.in -"},
        {"etl stop JGHEoo89gg", "etl stop", "JGHEoo89gg"},
        // both word orders, and synonyms
        {"bucket create b", "bucket create", "b"},
        {"ls buckets", "bucket ls", ""},
        {"list etls", "etl ls", ""},
        {"rm etl x", "etl rm", "x"},
        {"delete objects b/o", "object rm", "b/o"},
        {"show cluster", "cluster show", ""},
        {"etl view-logs x", "etl logs", "x"},
        {"get object b/o f", "object get", "b/o f"},
        {"drain target t1", "target drain", "t1"},
        {"target start-maintenance t1", "target drain", "t1"},
        {"target stop-maintenance t1", "target activate", "t1"},
        {"activate target t1", "target activate", "t1"},
        {"target decommission t1 --yes", "target rm", "t1 --yes"},
        {"target replace t1", "target replace", "t1"},
        {"forget target t1", "target forget", "t1"},
        // short forms
        {"ls", "bucket ls", ""},
        {"ls b", "object ls", "b"},
        {"ls transform", "object ls", "transform"}, // the bucket of the example document
        {"ls -o json", "bucket ls", "-o json"},
        {"get b/o", "object get", "b/o"},
        {"rm b/o b/p", "object rm", "b/o b/p"},
        {"create b", "bucket create", "b"},
        // options in front of words
        {"--endpoint http://x ls -o name b", "object ls", "--endpoint http://x -o name b"},
        {"-o json etl --no-headers ls", "etl ls", "-o json --no-headers"},
        {"--endpoint=http://x etl ls", "etl ls", "--endpoint=http://x"},
        {"-v create bucket b", "bucket create", "-v b"},
        // names that look like words
        {"get etl/object", "object get", "etl/object"},
        {"ls -- bucket", "bucket ls", "--"},
        {"help etl object", "help", "etl object"},
    };
    for (const row &r : rows) {
        parsed_words parsed = grammar_resolve(split(r.line));
        std::string command = parsed.row == nullptr ? "-" : join({parsed.row->noun, parsed.row->verb});
        if (!command.empty() && command.front() == ' ')
            command.erase(0, 1);
        if (parsed.what != meaning::command || command != r.command || join(parsed.rest) != r.rest)
            test_fail("\"%s\" became \"%s\" with \"%s\"", r.line, command.c_str(), join(parsed.rest).c_str());
    }
}

static void what_is_no_command(void **)
{
    parsed_words parsed = grammar_resolve({});
    test_eq_enum(parsed.what, meaning::help_top);
    test_true(parsed.is_error);
    parsed = grammar_resolve({"--help"});
    test_eq_enum(parsed.what, meaning::help_top);
    test_false(parsed.is_error);
    parsed = grammar_resolve({"etl"});
    test_eq_enum(parsed.what, meaning::help_noun);
    test_true(parsed.is_error);
    parsed = grammar_resolve({"etl", "-h"});
    test_false(parsed.is_error);
    parsed = grammar_resolve({"--version"});
    test_eq_enum(parsed.what, meaning::version);
    parsed = grammar_resolve({"etl", "stpo"});
    test_eq_enum(parsed.what, meaning::unknown);
    test_eq_text(parsed.hint, "etlctl help etl"); // a destructive command is never suggested
    parsed = grammar_resolve({"etl", "helth"});
    test_eq_text(parsed.hint, "etlctl etl health");
    parsed = grammar_resolve({"etl", "run"});
    test_eq_text(parsed.hint, "etlctl etl init -f spec.yaml");
    parsed = grammar_resolve({"bukcet", "ls"});
    test_eq_enum(parsed.what, meaning::unknown);
    test_eq_text(parsed.hint, "etlctl bucket");
    parsed = grammar_resolve({"stop", "bucket", "b"});
    test_eq_enum(parsed.what, meaning::unknown);
}

static void tables_are_consistent(void **)
{
    for (const command_row &row : grammar_commands()) {
        std::string help = grammar_help_command("etlctl", row);
        test_has_text(help, "\nExample:\n  ");
        test_has_text(help, "Usage: etlctl " + grammar_usage(row));
        test_true(*row.summary != '\0' && *row.example != '\0');
        const command_row *found = grammar_find(row.noun, row.verb);
        test_true(found == &row); // each verb occurs once
        test_true(&grammar_command(row.id) == &row);
        bool optional = false;
        for (const word_row &word : row.words) {
            if (word.name == nullptr)
                break;
            test_false(optional && word.required); // required words come first
            optional = !word.required;
        }
        test_has_text(grammar_help_top("etlctl"), row.summary);
    }
    size_t count = 0;
    for (const flag_row &row : grammar_flags()) {
        test_eq((row.text != nullptr ? 1u : 0u) + (row.boolean != nullptr ? 1u : 0u) + (row.list != nullptr ? 1u : 0u), 1u);
        test_true((row.value == nullptr) == (row.boolean != nullptr));
        test_true(&grammar_flag(row.id) == &row);
        std::string_view names = row.names;
        test_true(grammar_find_flag(names.substr(names.rfind("--"))) == &row);
        ++count;
    }
    test_true(count <= 64); // the width of flag_bit
    test_true(grammar_find_flag("-") == nullptr);
    test_true(grammar_find_flag("--output=json") == &grammar_flag(flag::output));
    test_true(grammar_find_flag("-ojson") == &grammar_flag(flag::output));
}

static void the_programs_name(void **)
{
    test_eq_text(grammar_as_program("  etlctl get\n`etlctl x` xetlctl etlctls", "ais"), "  ais get\n`ais x` xetlctl etlctls");
    test_has_text(grammar_help_top("ais"), "Usage: ais NOUN");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(both_orders_mean_the_same),
        cmocka_unit_test(what_is_no_command),
        cmocka_unit_test(tables_are_consistent),
        cmocka_unit_test(the_programs_name),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
