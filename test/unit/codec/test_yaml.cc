// SPDX-License-Identifier: MIT
// codec/test_yaml: the same values as kubectl (golden files), locations of errors, limits, and printing.
#include <cstdlib>
#include <ctime>

#include "node_test.h"

#include "base/limits.h"
#include "base/text.h"
#include "codec/yaml.h"
#include "golden.h"

using namespace etlnode;

using namespace std::string_view_literals;

// Objects that need destruction live here, so that a failed assertion leaks nothing.
static yaml_ptr tree;
static std::string where;
static std::string text;
static json_ptr json;
static json_ptr golden;

static int release(void **)
{
    tree.reset();
    json.reset();
    golden.reset();
    where = {};
    text = {};
    return 0;
}

static const char *as_json(std::string_view yaml)
{
    test_ok(yaml_parse(yaml, tree, where));
    json = yaml_to_json(*tree);
    text = json_print(json.get());
    return text.c_str();
}

static void refused(std::string_view yaml, const char *expected)
{
    error err = yaml_parse(yaml, tree, where);
    if (err.code != error_code::bad_spec || where.find(expected) == std::string::npos)
        test_fail("%.*s\n  gave \"%s\"\n  expected \"%s\"", static_cast<int>(std::min<size_t>(yaml.size(), 200)), yaml.data(),
            where.c_str(), expected);
    test_true(tree == nullptr);
}

// ---- the same values as kubectl

static void values_are_those_of_kubectl(void **)
{
    for (const char *name : {"scalars", "blocks", "merges", "pod"}) {
        std::string base = std::string("test/golden/yaml/") + name;
        text = golden_read(base + ".json");
        test_true(!text.empty());
        test_ok(json_parse(text, golden, where));
        text = golden_read(base + ".yaml");
        error err = yaml_parse(text, tree, where);
        if (err)
            test_fail("%s.yaml: %s", name, where.c_str());
        // Our tree holds numbers as raw tokens. After printing and parsing, both trees are of the same kind.
        text = json_print(yaml_to_json(*tree).get());
        test_ok(json_parse(text, json, where));
        for (const cJSON *item = golden->child; item != nullptr; item = item->next) {
            const cJSON *ours = cJSON_GetObjectItemCaseSensitive(json.get(), item->string);
            if (!cJSON_Compare(item, ours, true))
                test_fail("%s.yaml, %s:\n%s\n  is not\n%s", name, item->string, ours != nullptr ? json_print(ours).c_str() : "-",
                    json_print(item).c_str());
        }
        test_true(cJSON_Compare(golden.get(), json.get(), true));
        // The printed text must mean the same when it is read again.
        text = yaml_print(golden.get());
        err = yaml_parse(text, tree, where);
        if (err)
            test_fail("%s printed:\n%s\n%s", name, text.c_str(), where.c_str());
        text = json_print(yaml_to_json(*tree).get());
        test_ok(json_parse(text, json, where));
        test_true(cJSON_Compare(golden.get(), json.get(), true));
    }
}

static void numbers_are_exact(void **)
{
    test_eq_text(as_json("[18446744073709551615, 9223372036854775808, -9223372036854775808, 9007199254740993, 0xffffffffffffffff]"),
        "[18446744073709551615,9223372036854775808,-9223372036854775808,9007199254740993,18446744073709551615]");
    test_eq_text(as_json("[+9223372036854775808, -9223372036854775809, 18446744073709551616]"),
        "[9223372036854775808,-9223372036854775808,18446744073709551616]");
    test_eq_text(as_json("[0.1, 1e21, 1e-7, 123456789.125, 5., 1e20, -0.0]"), "[0.1,1e+21,1e-7,123456789.125,5,100000000000000000000,-0]");
    test_eq_text(as_json("{\"a\": 9007199254740993, \"b\": 1e2, \"c\": 1.0}"), "{\"a\":9007199254740993,\"b\":100,\"c\":1}");
}

static void nodes_know_type_text_and_place(void **)
{
    test_ok(yaml_parse("# first\nkind: Pod\nspec:\n  m: 0644\n  list:\n  - 'x y'\n  - {ä: yes}\n", tree, where));
    test_eq_enum(tree->kind, yaml_kind::mapping);
    test_eq(tree->line, 2u);
    test_eq(tree->column, 1u);
    const yaml_node *kind = yaml_get(tree.get(), "kind");
    test_eq_text(kind->text, "Pod");
    test_eq_enum(kind->type, yaml_type::text);
    test_eq_text(yaml_location(*kind), "line 2, column 7");
    const yaml_node *spec = yaml_get(tree.get(), "spec");
    const yaml_node *n = yaml_get(spec, "m");
    test_eq_enum(n->type, yaml_type::integer);
    test_eq_text(n->text, "0644");
    const yaml_node *list = yaml_get(spec, "list");
    test_eq_enum(list->kind, yaml_kind::sequence);
    test_eq(list->values.size(), 2u);
    test_eq_enum(list->values[0]->type, yaml_type::text);
    const yaml_node *yes = yaml_get(list->values[1].get(), "ä");
    test_eq_enum(yes->type, yaml_type::boolean);
    test_eq_text(yaml_location(*yes), "line 7, column 9"); // characters, not bytes
    test_true(yaml_get(spec, "absent") == nullptr);
    test_true(yaml_get(kind, "x") == nullptr);
    test_true(yaml_get(nullptr, "x") == nullptr);
    test_ok(yaml_parse("y: 1\n", tree, where));
    test_true(yaml_get(tree.get(), "true") != nullptr);
    test_true(yaml_get(tree.get(), "y") == nullptr);
}

// ---- documents

static void one_document_is_read(void **)
{
    test_eq_text(as_json("a: 1\n"), "{\"a\":1}");
    test_eq_text(as_json("---\na: 1\n...\n"), "{\"a\":1}");
    test_eq_text(as_json("# x\n---\n# y\na: 1\n---\n# nothing\n"), "{\"a\":1}");
    test_eq_text(as_json("---\n---\na: 1"), "{\"a\":1}");
    test_eq_text(as_json("\xef\xbb\xbf"
                         "a: 1"),
        "{\"a\":1}");
    test_eq_text(as_json("a: 1\r\nb: 2\r\n"), "{\"a\":1,\"b\":2}");
    test_eq_text(as_json("x"), "\"x\"");
    refused("", "line 1, column 1: there is nothing");
    refused(std::string_view(), "line 1, column 1: there is nothing");
    refused("# only a comment\n", "there is nothing");
    refused("---\n...\n---\n", "there is nothing");
    refused("a: 1\n---\nb: 2\n", "line 2, column 1: a second document starts here");
    refused("a: 1\n---\nb: 2\n---\nc: 3\n", "line 2, column 1: a second document");
    refused("a: 1\n...\n--- garbage", "line 3, column 1: a second document");
    refused("a: 1\n---\n---\n[]\n", "line 3, column 1: a second document");
}

static void bad_text_is_refused_with_its_place(void **)
{
    // libyaml's own words, which users may search for.
    refused("a: 1\nb\nc: 2\n", "line 3, column 1: could not find expected ':'");
    refused("a: 1\nb\nc: 2\n", "(while scanning a simple key at line 2, column 1)");
    refused("a: [1, 2\nb: 3\n", "did not find expected ',' or ']'");
    // A tab is found anywhere in the indentation, whatever libyaml makes of it.
    refused("a:\n\t- b\n", "line 2, column 1: a tab; YAML is indented with spaces");
    refused("metadata:\n  name: x\n\tlabels: {a: b}\n", "line 3, column 1: a tab; YAML is indented with spaces");
    refused("spec:\n  containers:\n  \t- name: c\n", "line 3, column 3: a tab; YAML is indented with spaces");
    refused("spec:\n  containers:\n  - name: c\n \timage: i\n", "line 4, column 2: a tab; YAML is indented with spaces");
    refused("spec:\n  containers: []\n\tvolumes: []\n", "line 3, column 1: a tab; YAML is indented with spaces");
    refused("a: |\n  x\n  \ty\n\tb: c\n", "line 4, column 1: a tab; YAML is indented with spaces");
    refused("a: |\n  x\n  \ty\nb: [\n", "line 5, column 1: "); // tabs inside a text do not count
    refused("a: 'b\n", "found unexpected end of stream");
    refused("a: b: c\n", "line 1, column 5: mapping values are not allowed in this context");
    refused("a:\n  - b\n c\n", "line 3");
    refused("a: \"\\q\"", "found unknown escape character");
    refused("a: |x\n", "line 1");
    refused("a: @x", "found character that cannot start any token");
    refused("%YAML 2.0\n---\na: 1\n", "incompatible YAML document");
    refused("a: *x\n", "line 1, column 4: unknown anchor \"x\"");
    refused("a: &x [1, *x]\n", "line 1, column 11: anchor \"x\" contains itself");
    refused("a: \"b\\0c\"\n", "line 1, column 4: a NUL character");
    refused("ä: \x01\n", "line 1, column 4: control characters are not allowed");
    refused("a: b\nö: \xff\n", "line 2, column 4: not UTF-8");
    refused("\xff\xfe\x61\x00"sv, "line 1, column 1: not UTF-8"); // UTF-16
    refused("a\0b"sv, "control characters are not allowed");
}

static void duplicate_keys_are_refused(void **)
{
    refused("a: 1\nb: 2\na: 3\n", "line 3, column 1: duplicate key \"a\", first at line 1, column 1");
    refused("x:\n  - {a: 1, b: 2, \"a\": 3}\n", "line 2, column 18: duplicate key \"a\"");
    refused("1: a\n\"1\": b\n", "line 2, column 1: duplicate key \"1\"");
    refused("y: a\ntrue: b\n", "line 2, column 1: duplicate key \"true\"");
    refused("0x10: a\n16: b\n", "duplicate key \"16\"");
    refused("b: &b {x: 1}\nv:\n  <<: *b\n  <<: *b\n", "line 4, column 3: duplicate key \"<<\"");
    refused("{\"a\": 1,\n \"a\": 2}", "line 2, column 2: duplicate key \"a\", first at line 1, column 2");
    test_eq_text(as_json("A: 1\na: 2\n"), "{\"A\":1,\"a\":2}");
}

static void keys_must_be_text(void **)
{
    refused("[a]: b\n", "line 1, column 1: a mapping or a list as a key");
    refused("? {a: b}\n: c\n", "line 1, column 3: a mapping or a list as a key");
    refused("a: &a {x: 1}\n*a : b\n", "a mapping or a list as a key");
    refused("~: b\n", "line 1, column 1: null as a key");
    refused("? \n: b\n", "null as a key");
    test_eq_text(as_json("\"~\": b"), "{\"~\":\"b\"}");
    test_eq_text(as_json("&k a: 1\nb: *k\n"), "{\"a\":1,\"b\":\"a\"}");
}

static void tags(void **)
{
    refused("a: !foo x\n", "line 1, column 4: tag !foo is not supported");
    refused("a: !!timestamp 2001-12-14\n", "tag !!timestamp is not supported");
    refused("a: !!set {x}\n", "tag !!set is not supported");
    refused("a: !foo [x]\n", "tag !foo is not supported");
    refused("a: !!int x\n", "line 1, column 4: \"x\" is text, its tag says an integer");
    refused("a: !!bool 5\n", "\"5\" is an integer, its tag says a boolean");
    refused("a: !!null x\n", "its tag says null");
    refused("a: !!float x\n", "its tag says a number");
    refused("a: !!binary '%'\n", "!!binary that is not base64");
    refused("a: !!binary /w==\n", "!!binary that is not UTF-8");
    refused("a: !!str [x]\n", "tag !!str");
    test_eq_text(as_json("!!map {a: !!seq [!!int '7']}"), "{\"a\":[7]}");
    test_eq_text(as_json("a: !!binary |\n  aGVs\n  bG8=\n"), "{\"a\":\"hello\"}");
}

static void not_finite_numbers_are_refused(void **)
{
    for (const char *word : {".inf", "-.Inf", "+.INF", ".nan", ".NaN", "!!float .inf"}) {
        std::string yaml = std::string("a: ") + word;
        refused(yaml, "line 1, column 4: ");
        test_has_text(where, "JSON cannot hold");
    }
    test_eq_text(as_json("a: '.inf'"), "{\"a\":\".inf\"}");
}

static void merge_keys(void **)
{
    refused("a:\n  <<: 5\n", "line 2, column 7: a merge key needs a mapping");
    refused("a:\n  <<: [{x: 1}, 5]\n", "line 2, column 7: a merge key needs a mapping");
    test_eq_text(as_json("b: &b {x: 1, z: 2}\nv: {a: 0, <<: *b, z: 3}\n"), "{\"b\":{\"x\":1,\"z\":2},\"v\":{\"a\":0,\"x\":1,\"z\":3}}");
    // Anchors inside values that a merge reads or replaces stay valid.
    test_eq_text(as_json("v: {x: &k [5], <<: &m {x: 1}, c: *k, d: *m}\ne: *m\nf: *k\n"),
        "{\"v\":{\"x\":1,\"c\":[5],\"d\":{\"x\":1}},\"e\":{\"x\":1},\"f\":[5]}");
    test_eq_text(as_json("'null': 1\n<<: {a: 2}\n"), "{\"null\":1,\"a\":2}");
}

// ---- limits

// TEST_SLOWER: how many times slower than usual this run is, for example under valgrind.
static uint64_t cpu_ms()
{
    const char *slower = std::getenv("TEST_SLOWER");
    return static_cast<uint64_t>(clock()) * 1000 / CLOCKS_PER_SEC / (slower != nullptr ? std::strtoull(slower, nullptr, 10) : 1);
}

static void limits_are_kept_and_quick(void **)
{
    uint64_t start = cpu_ms();
    std::string nested(yaml_depth_max, '[');
    nested += std::string(yaml_depth_max, ']');
    test_ok(yaml_parse(nested, tree, where));
    refused("[" + nested + "]", "line 1, column 65: nested deeper than 64 levels");
    refused(std::string(100'000, '['), "nested deeper than 64 levels");
    refused(std::string(mib, '['), "nested deeper than 64 levels");
    std::string blocks;
    for (size_t i = 0; i < 1000; i++)
        blocks += std::string(i, ' ') + "a:\n";
    refused(blocks, "nested deeper than 64 levels");
    std::string dashes;
    for (size_t i = 0; i < 100'000; i++)
        dashes += "- ";
    refused(dashes, "nested deeper than 64 levels");
    std::string objects;
    for (size_t i = 0; i < 100; i++)
        objects += "{\"a\":";
    refused(objects, "line 1, column 321: nested too deeply");
    refused(std::string(spec_size_max + 1, 'a'), "larger than");
    std::string many = "[";
    for (size_t i = 0; i <= yaml_node_count_max; i++)
        many += "a,";
    refused(many + "]", "more than 50000 values");
    std::string numbers = "{\"a\":[";
    for (size_t i = 0; i <= yaml_node_count_max; i++)
        numbers += "1,";
    refused(numbers + "1]}", "more than 50000 values");
    std::string keys;
    for (size_t i = 0; i < 24'000; i++)
        keys += text_format("k%zu: %zu\n", i, i);
    test_ok(yaml_parse(keys, tree, where));
    test_ok(yaml_parse("z: &z {}\n<<: *z\n" + keys, tree, where));
    std::string anchors = "[";
    for (size_t i = 0; i < 24'000; i++)
        anchors += text_format("&a%zu x,", i);
    test_ok(yaml_parse(anchors + "]", tree, where));
    // Two seconds is far above the normal time, and far below that of a quadratic algorithm.
#if !defined(__SANITIZE_ADDRESS__)
    test_true(cpu_ms() - start < 2'000);
#else
    test_true(cpu_ms() - start < 10'000);
#endif
}

static void aliases_are_bounded(void **)
{
    uint64_t start = cpu_ms();
    std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 12; i++) {
        laughs += text_format("a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            laughs += text_format("*a%d, ", i - 1);
        laughs += "]\n";
    }
    refused(laughs, "more than 50000 values, aliases included");
    std::string many = "a: &a x\nb: [";
    for (int i = 0; i < 10'000; i++)
        many += "*a, ";
    refused(many + "]", "more than 1000 aliases");
    std::string wide = "a: &a " + std::string(100'000, 'x') + "\nb: [";
    for (int i = 0; i < 500; i++)
        wide += "*a, ";
    refused(wide + "]", "bytes of text, aliases included");
    // Depth accumulates through aliases.
    std::string deep = "a0: &a0 [[[[[[[[[[x]]]]]]]]]]\n";
    for (int i = 1; i < 8; i++)
        deep += text_format("a%d: &a%d [[[[[[[[[[*a%d]]]]]]]]]]\n", i, i, i - 1);
    refused(deep, "nested deeper than 64 levels");
    std::string merges = "a0: &a0 {x0: [1, 2, 3, 4, 5, 6, 7, 8, 9]}\n";
    for (int i = 1; i < 900; i++)
        merges += text_format("a%d: &a%d {<<: *a%d, x%d: [1, 2, 3, 4, 5, 6, 7, 8, 9]}\n", i, i, i - 1, i);
    refused(merges, "more than 50000 values, aliases included");
    test_true(cpu_ms() - start < 5'000);
}

// Truncated and damaged texts: the parser must never crash, and every refusal has a location.
static void damaged_text_does_no_harm(void **)
{
    static constexpr std::string_view good = "a: &x {b: [1, 'c'], <<: {d: \"e\\u00e4\"}}\nf: |\n  g\n*x : !!str h\n\"i\": *x\n";
    static constexpr std::string_view good_json = "{\"a\": [1, -2.5e3, \"\\u00e4\\\"\", {\"b\": null}],\n\t\"c\": {}}";
    for (std::string_view source : {good, good_json}) {
        for (size_t at = 0; at < source.size(); at++) {
            for (const char c : "\0\n\t {}[],:&*!|>'\"%@`#-?x~\xff"sv) {
                std::string yaml(source);
                yaml[at] = c;
                if (yaml_parse(yaml, tree, where))
                    test_true(where.starts_with("line "));
                else
                    json = yaml_to_json(*tree);
            }
            if (yaml_parse(source.substr(0, at), tree, where))
                test_true(where.starts_with("line "));
        }
    }
}

// ---- JSON as input

static void json_is_accepted(void **)
{
    test_ok(yaml_parse(
        "\n\t{\n\t\t\"kind\":\"Pod\",\n\t\t\"list\": [1, true, null, \"y\", {\"a\\u00e4\\/\": \"\\ud83d\\ude00\"}]\n\t}\n", tree, where));
    test_eq_text(json_print(yaml_to_json(*tree).get()), "{\"kind\":\"Pod\",\"list\":[1,true,null,\"y\",{\"aä/\":\"😀\"}]}");
    const yaml_node *kind = yaml_get(tree.get(), "kind");
    test_eq_text(yaml_location(*kind), "line 3, column 10");
    const yaml_node *list = yaml_get(tree.get(), "list");
    test_eq_text(yaml_location(*list), "line 4, column 11");
    test_eq_text(yaml_location(*list->values[3]), "line 4, column 27");
    test_eq_enum(list->values[0]->type, yaml_type::integer);
    test_eq_enum(list->values[1]->type, yaml_type::boolean);
    test_eq_enum(list->values[2]->type, yaml_type::null);
    test_eq_enum(list->values[3]->type, yaml_type::text);
    test_eq_text(yaml_location(*list->values[4]), "line 4, column 32");
    // Locations after strings that contain escaped quotes, brackets and commas.
    test_ok(yaml_parse("{\"a\\\"]},:\": [\"x\\\\\", [], {}, 5]}", tree, where));
    test_eq_text(yaml_location(*tree->values[0]->values[3]), "line 1, column 29");
    test_eq_text(tree->values[0]->values[3]->text, "5");
    test_eq_text(as_json("{}"), "{}");
    test_eq_text(as_json("{ a: 1, b: [x, y] }"), "{\"a\":1,\"b\":[\"x\",true]}"); // YAML's braces
    refused("{\"a\": 1,\n \"b\" 2}", "line 2, column 6: ':' expected");
    refused("{\"a\": \"b\\u0000\"}", "a NUL");
    refused("{\"a\": 1} {}", "line 1, column 10: more text");
    refused("{a: 1, b", "did not find expected ',' or '}'");
    refused("{\"a\": 1e999}", "line 1, column 7: number out of range");
}

// ---- printing

static void printing(void **)
{
    test_ok(json_parse("{\"name\":\"t\",\"list\":[1,{\"a\":\"b\",\"c\":[[1,2],[]]},\"x\"],\"empty\":{},\"none\":[],\"null\":null,\"yes\":"
                       "true,\"num\":-1.5,\"str\":\"y\",\"log\":\"one\\n  "
                       "two\\n\",\"m\":{\"k\":{\"o\":1}}}",
        json, where));
    test_eq_text(yaml_print(json.get()), "name: t\n"
                                         "list:\n"
                                         "- 1\n"
                                         "- a: b\n"
                                         "  c:\n"
                                         "  - - 1\n"
                                         "    - 2\n"
                                         "  - []\n"
                                         "- x\n"
                                         "empty: {}\n"
                                         "none: []\n"
                                         "\"null\": null\n"
                                         "\"yes\": true\n"
                                         "num: -1.5\n"
                                         "str: \"y\"\n"
                                         "log: |\n"
                                         "  one\n"
                                         "    two\n"
                                         "m:\n"
                                         "  k:\n"
                                         "    o: 1\n");
    json = json_object();
    json_add_u64(json.get(), "u", UINT64_MAX);
    test_eq_text(yaml_print(json.get()), "u: 18446744073709551615\n");
    test_eq_text(yaml_print(json_array().get()), "[]\n");
}

static void plain_text_is_not_quoted(void **)
{
    json = json_array();
    for (const char *plain : {"abc", "a b", "a:b", "hpush://", "10.0.0.1", "a#b", "x-y", "--flag", "ab,c", "Hello, world!", "/path/x",
             "äöü", "nO", "it's", "a\"b", "v1.2.3"})
        json_append_text(json.get(), plain);
    text = yaml_print(json.get());
    test_true(text.find("\"a") == std::string::npos);
    test_eq_text(text, "- abc\n- a b\n- a:b\n- hpush://\n- 10.0.0.1\n- a#b\n- x-y\n- --flag\n- ab,c\n- Hello, world!\n- /path/x\n- äöü\n- "
                       "nO\n- it's\n- a\"b\n- v1.2.3\n");
}

// Every unusual text survives as a value, as a key and in a list.
static void printed_text_reads_back(void **)
{
    static constexpr const char *odd[] = {
        "",
        " ",
        "y",
        "n",
        "yes",
        "Off",
        "true",
        "null",
        "~",
        "NULL",
        "1",
        "0644",
        "0x1F",
        "1_000",
        "1e3",
        ".5",
        ".inf",
        "-.INF",
        ".nan",
        "1:30",
        "2001-12-14",
        "0o17",
        "=",
        "<<",
        "- a",
        "-",
        "--",
        "---",
        "--- a",
        "...",
        "?",
        "? a",
        ":",
        ": a",
        "a: b",
        "a:",
        "a :b",
        "a #b",
        "#a",
        "[a]",
        "a]",
        "{a}",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "'a'",
        "\"a\"",
        "%a",
        "@a",
        "`a`",
        ",a",
        " a",
        "a ",
        "\ta",
        "a\t",
        "a\tb",
        "a\nb",
        "a\n",
        "\na",
        "\n",
        "\n\n",
        "a\n\n",
        "a\n\n\nb\n",
        "  a\nb",
        "a\n  b",
        "a \nb",
        "a\n ",
        "a\r\nb",
        "a\rb",
        "\x01",
        "a\x1b[0m",
        "\x7f",
        "\xc2\x85",
        "\xc2\xa0",
        "\xe2\x80\xa8",
        "\xe2\x80\xa9",
        "\xef\xbb\xbfz",
        "\xf0\x9f\x98\x80",
        "a\\b",
        "a\\nb",
        "C:\\x",
        "a\n---\nb",
        "a\n# b\n",
        "a: b\nc: d\n",
        "- x\n- y",
        "\xef\xbf\xbe",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "a\n\tb",
        "null ",
        "<<:",
        "key: |",
        "a\n\n b\n",
    };
    json = json_object();
    cJSON *list = json_add_array(json.get(), "list");
    cJSON *keys = json_add_object(json.get(), "keys");
    cJSON *values = json_add_object(json.get(), "values");
    size_t count = 0;
    for (const char *value : odd) {
        json_append_text(list, value);
        json_add_text(keys, value, value);
        json_add_text(values, text_format("k%zu", count++).c_str(), value);
    }
    std::string long_key(2000, 'k');
    json_add_text(keys, long_key.c_str(), "v");
    json_add_array(json_add_object(keys, (long_key + " : \n").c_str()), "x");
    text = yaml_print(json.get());
    error err = yaml_parse(text, tree, where);
    if (err)
        test_fail("%s in\n%s", where.c_str(), text.c_str());
    golden = yaml_to_json(*tree);
    test_eq_text(json_print(golden.get()), json_print(json.get()));
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_teardown(values_are_those_of_kubectl, release),
        cmocka_unit_test_teardown(numbers_are_exact, release),
        cmocka_unit_test_teardown(nodes_know_type_text_and_place, release),
        cmocka_unit_test_teardown(one_document_is_read, release),
        cmocka_unit_test_teardown(bad_text_is_refused_with_its_place, release),
        cmocka_unit_test_teardown(duplicate_keys_are_refused, release),
        cmocka_unit_test_teardown(keys_must_be_text, release),
        cmocka_unit_test_teardown(tags, release),
        cmocka_unit_test_teardown(not_finite_numbers_are_refused, release),
        cmocka_unit_test_teardown(merge_keys, release),
        cmocka_unit_test_teardown(limits_are_kept_and_quick, release),
        cmocka_unit_test_teardown(aliases_are_bounded, release),
        cmocka_unit_test_teardown(damaged_text_does_no_harm, release),
        cmocka_unit_test_teardown(json_is_accepted, release),
        cmocka_unit_test_teardown(printing, release),
        cmocka_unit_test_teardown(plain_text_is_not_quoted, release),
        cmocka_unit_test_teardown(printed_text_reads_back, release),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
