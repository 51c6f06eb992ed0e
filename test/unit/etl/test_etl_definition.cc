// SPDX-License-Identifier: MIT
// test/unit/etl/test_etl_definition.cc: every choice of the user survives conversion to JSON and back, whichever choices exist.
#include "node_test.h"

#include <set>

#include "base/limits.h"
#include "etl/etl_definition.h"

using namespace etlnode;

// Sets a value that differs from the present one.
static void change(const etl_choice &choice, etl_config &config)
{
    std::visit(overloaded{
                   [](etl_no_field) {},
                   [&](etl_mode etl_config::*field) { config.*field = etl_mode::hpull; },
                   [&](client_address etl_config::*field) { config.*field = client_address::node_port; },
                   [&](bool etl_config::*field) { config.*field = !(config.*field); },
                   [&](etl_duration_field field) { config.*field.ms = field.max_ms; },
               },
        choice.field);
}

static bool is_same(const etl_choice &choice, const etl_config &a, const etl_config &b)
{
    return std::visit(overloaded{
                          [](etl_no_field) { return true; },
                          [&](etl_duration_field field) { return a.*field.ms == b.*field.ms; },
                          [&](auto field) { return a.*field == b.*field; },
                      },
        choice.field);
}

static etl_definition sample()
{
    etl_definition d;
    d.id = "JGHEoo89gg";
    d.name = "transformer-md5";
    d.generation_id = "0123456789abcdef-7";
    d.secret = "s3cret";
    return d;
}

static void every_choice_survives(void **)
{
    for (const etl_choice &changed : etl_choices()) {
        etl_definition d = sample(), back;
        change(changed, d);
        json_ptr tree = json_object();
        etl_definition_print(tree.get(), d);
        test_true(etl_definition_parse(tree.get(), back));
        for (const etl_choice &choice : etl_choices())
            test_true(is_same(choice, d, back));
        test_true(changed.key == nullptr || !is_same(changed, etl_config(), back));
    }
}

static void the_start_survives(void **)
{
    etl_definition d = sample(), back;
    json_ptr tree = json_object();
    etl_definition_print(tree.get(), d);
    test_true(etl_definition_parse(tree.get(), back));
    test_eq_text(back.id, d.id);
    test_eq_text(back.name, d.name);
    test_eq_text(back.generation_id, d.generation_id);
    test_eq_text(back.secret, d.secret);
}

// Older nodes wrote definitions without choices that did not exist yet.
static void only_what_every_format_has_is_needed(void **)
{
    for (const etl_choice &choice : etl_choices()) {
        if (choice.key == nullptr)
            continue;
        etl_definition d = sample(), back;
        change(choice, d);
        json_ptr tree = json_object();
        etl_definition_print(tree.get(), d);
        cJSON_DeleteItemFromObjectCaseSensitive(tree.get(), choice.key);
        test_true(etl_definition_parse(tree.get(), back) == !choice.is_in_every_format);
        test_true(is_same(choice, etl_config(), back));
    }
    for (const char *key : {"id", "name", "generation_id", "secret"}) {
        etl_definition back;
        json_ptr tree = json_object();
        etl_definition_print(tree.get(), sample());
        cJSON_DeleteItemFromObjectCaseSensitive(tree.get(), key);
        test_false(etl_definition_parse(tree.get(), back));
    }
}

static void other_kinds_are_refused(void **)
{
    for (const etl_choice &choice : etl_choices()) {
        if (choice.key == nullptr)
            continue;
        for (const char *value : {"null", "[]", "{}", "\"else\"", "1.5"}) {
            etl_definition back;
            json_ptr tree = json_object(), other;
            std::string where;
            etl_definition_print(tree.get(), sample());
            cJSON_DeleteItemFromObjectCaseSensitive(tree.get(), choice.key);
            test_ok(json_parse(value, other, where));
            json_add_tree(tree.get(), choice.key, std::move(other));
            if (etl_definition_parse(tree.get(), back))
                test_fail("%s: %s is taken", choice.key, value);
        }
    }
}

static void names_are_told_apart(void **)
{
    std::set<std::string> annotations, message_keys, keys;
    for (const etl_choice &choice : etl_choices()) {
        test_true(choice.annotation.empty() || annotations.emplace(choice.annotation).second);
        test_true(choice.message_key.empty() || message_keys.emplace(choice.message_key).second);
        test_true(choice.key == nullptr || keys.emplace(choice.key).second);
        test_true((choice.key == nullptr) == std::holds_alternative<etl_no_field>(choice.field));
    }
}

int main()
{
    const CMUnitTest tests[] = {cmocka_unit_test(every_choice_survives), cmocka_unit_test(the_start_survives),
        cmocka_unit_test(only_what_every_format_has_is_needed), cmocka_unit_test(other_kinds_are_refused),
        cmocka_unit_test(names_are_told_apart)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
