// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_yaml.cc: YAML converted to JSON, printed as YAML, and parsed again: the JSON must be the same.
#include "base/text.h"
#include "codec/json.h"
#include "codec/yaml.h"
#include "codec/yaml_scalar.h"
#include "fuzz.h"

using namespace etlnode;

static void check_printed(const cJSON *tree)
{
    std::string wanted = json_print(tree);
    std::string printed = yaml_print(tree);
    yaml_ptr again;
    std::string where;
    error err = yaml_parse(printed, again, where);
    if (err && where.find("more than") != std::string::npos)
        return; // expanded aliases may exceed the limits of a document
    if (err)
        std::fprintf(stderr, "%s\n%s\n", where.c_str(), printed.c_str());
    FUZZ_CHECK(!err);
    FUZZ_SAME(fuzz_without_minus_zero(json_print(yaml_to_json(*again).get())), fuzz_without_minus_zero(wanted));
}

// The input as one text inside a document, whatever it contains.
static void check_text(std::string_view text)
{
    json_ptr tree = json_object();
    json_add_text(tree.get(), "text", text);
    json_append_text(json_add_array(tree.get(), "list"), text);
    std::string key(json_text(tree.get(), "text"));
    if (key != "<<")
        json_add_text(json_add_object(tree.get(), "map"), key.c_str(), "value");
    check_printed(tree.get());
}

FUZZ_TARGET(yaml)
{
    yaml_scalar scalar = yaml_scalar_resolve(text);
    if (scalar.type != yaml_type::text) {
        json_ptr token;
        std::string where;
        FUZZ_CHECK(!json_parse(scalar.json, token, where));
    }
    if (text.size() <= 4096)
        check_text(text);
    yaml_ptr tree;
    std::string where;
    if (error err = yaml_parse(text, tree, where)) {
        FUZZ_CHECK(err.code == error_code::bad_spec && tree == nullptr && where.starts_with("line "));
        return;
    }
    FUZZ_CHECK(tree->line >= 1 && tree->column >= 1);
    json_ptr json = yaml_to_json(*tree);
    json_ptr parsed;
    FUZZ_CHECK(!json_parse(json_print(json.get()), parsed, where));
    if (cJSON_IsObject(json.get()) || cJSON_IsArray(json.get()))
        check_printed(json.get());
}
