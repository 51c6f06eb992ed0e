// SPDX-License-Identifier: MIT
// codec/test_json: what is refused and where, exact numbers, printing, base64.
#include "node_test.h"

#include "codec/json.h"

using namespace etlnode;

using namespace std::string_view_literals;

// Parses into a static variable, so that a failed assertion leaks nothing.
static json_ptr tree;
static std::string where;

static int release(void **)
{
    tree.reset();
    where.clear();
    where.shrink_to_fit();
    return 0;
}

static void parsing(void **)
{
    test_ok(json_parse(" {\"a\": [1, -2.5e3, true, null, \"x\\u00e4\\n\\/\"]}\r\n\t", tree, where));
    test_eq_text(json_print(tree.get()), "{\"a\":[1,-2500,true,null,\"x\xc3\xa4\\n/\"]}");
    test_ok(json_parse("\xef\xbb\xbf[]", tree, where));
    for (const char *good : {"0", "-0", "\"\"", "true", "{}", "[[]]", "\"\\ud83d\\ude00\"", "1e5", "0.5"})
        test_ok(json_parse(good, tree, where));
}

struct json_refusal {
    std::string_view text;
    const char *where;
};

static void bad_text_is_refused_with_its_place(void **)
{
    static const json_refusal cases[] = {
        {"", "line 1, column 1: empty"},
        {" \n", "line 2, column 1: empty"},
        {"{\n  \"a\": 1,\n  \"b\" 2\n}", "line 3, column 7: ':' expected"},
        {"{\"a\": 1,}", "line 1, column 9: a key in double quotes expected"},
        {"[1, 2", "line 1, column 6: unexpected end"},
        {"{\"a\":", "line 1, column 6: unexpected end, '}' is missing"},
        {"{} x", "line 1, column 4: more text"},
        {"{}\n{}", "line 2, column 1: more text"},
        {"{\"a\": \"b\nc\"}", "line 1, column 9: line end inside a string"},
        {"{\"a\": \"b\x01\"}", "line 1, column 9: control byte"},
        {"[\"a", "line 1, column 2: string without its closing quote"},
        {"[\"a\\", "line 1, column 4: unknown escape"},
        {"[\"\\x\"]", "line 1, column 3: unknown escape"},
        {"[\"\\u12g4\"]", "line 1, column 3: four hex"},
        {"[\"\\u12", "line 1, column 3: four hex"},
        {"[\n\"\\ud800\"]", "line 2, column 2: escape that is not a character"},
        {"[\"\\ude00\\ud83d\"]", "line 1, column 3: escape that is not a character"},
        {"[\"a\\u0000b\"]", "line 1, column 4: a NUL character (\\u0000) inside a string is not accepted"},
        {"[1234567890123456789012345678901234567890123456789012345678901]",
            "line 1, column 2: a number of more than 60 characters is not accepted"},
        {"[1\0]"sv, "line 1, column 3: NUL byte"},
        {"[1]\0"sv, "line 1, column 4: NUL byte"},
        {"[\"a\0b\"]"sv, "control byte inside a string"},
        {"[\x0b]", "line 1, column 2: control byte"},
        {"[01]", "line 1, column 2: malformed number"},
        {"[-]", "line 1, column 2: malformed number"},
        {"[1.]", "line 1, column 2: malformed number"},
        {"[1.e5]", "line 1, column 2: malformed number"},
        {"[1e]", "line 1, column 2: malformed number"},
        {"[1-2]", "line 1, column 2: malformed number"},
        {"[--1]", "line 1, column 2: malformed number"},
        {"[1.2.3]", "line 1, column 2: malformed number"},
        {"[+1]", "line 1, column 2"},
        {"[.5]", "line 1, column 2"},
        {"[NaN]", "line 1, column 2"},
        {"[nul]", "line 1, column 2"},
        {"['a']", "line 1, column 2"},
        {"{a:1}", "line 1, column 2"},
        {"[1]]", "line 1, column 4: more text"},
        {"[1 2]", "line 1, column 4"},
        {"}", "line 1, column 1"},
        {"// x\n1", "line 1, column 1"},
        {"[\"\xff\"]", "line 1, column 3: not UTF-8"},
        {"[\"a\xc3\"]", "line 1, column 4: not UTF-8"},
        {"[\n\"\xe4\xbd\xa0\xed\xa0\x80\"]", "line 2, column 3: not UTF-8"},
    };
    for (const json_refusal &c : cases) {
        error err = json_parse(c.text, tree, where);
        if (err.code != error_code::bad_json || where.find(c.where) == std::string::npos)
            test_fail("%s: code %d, \"%s\"", c.text.data(), static_cast<int>(err.code), where.c_str());
        test_true(tree == nullptr);
    }
}

static void depth_is_bounded(void **)
{
    test_ok(json_parse(std::string(64, '[') + std::string(64, ']'), tree, where));
    test_eq_enum(json_parse(std::string(65, '[') + std::string(65, ']'), tree, where).code, error_code::bad_json);
    test_eq_text(where, "line 1, column 65: nested too deeply");
    test_eq_enum(json_parse(std::string(1 << 20, '['), tree, where).code, error_code::bad_json);
    std::string objects;
    for (int i = 0; i < 100'000; i++)
        objects += "{\"a\":";
    test_eq_enum(json_parse(objects, tree, where).code, error_code::bad_json);
    // Brackets inside strings do not count.
    test_ok(json_parse("[\"" + std::string(1000, '[') + "\\\"" + std::string(1000, '{') + "\"]", tree, where));
}

// Every prefix of a document is refused, and no parse reads beyond its end.
static void prefixes_are_refused(void **)
{
    static constexpr std::string_view text = "{\"a\":[1.5e3,true,false,null,\"x\\u00e4\\\"\"],\"b\":{}}";
    for (size_t size = 0; size < text.size(); size++) {
        char *exact = static_cast<char *>(malloc(size + 1));
        memcpy(exact, text.data(), size);
        exact = static_cast<char *>(realloc(exact, size == 0 ? 1 : size));
        error err = json_parse(std::string_view(exact, size), tree, where);
        free(exact);
        test_eq_enum(err.code, error_code::bad_json);
    }
}

static void fields(void **)
{
    test_ok(json_parse("{\"Name\":\"x\",\"n\":42,\"s\":\"18446744073709551615\",\"big\":9007199254740992,\"over\":9007199254740994,\"neg\":"
                       "-1,\"half\":1.5,"
                       "\"t\":true,\"f\":false,\"z\":null,\"list\":[1],\"hex\":\"0x1\",\"e\":\"\"}",
        tree, where));
    const cJSON *t = tree.get();
    test_eq_text(json_text(t, "name"), "x");
    test_eq_text(json_text(t, "NAME"), "x");
    test_eq_text(json_text(t, "n"), "");
    test_eq_text(json_text(t, "absent"), "");
    test_eq(json_u64(t, "n", 7), 42u);
    test_eq(json_u64(t, "s", 7), UINT64_MAX);
    test_eq(json_u64(t, "big", 7), 9007199254740992u);
    test_eq(json_u64(t, "over", 7), 7u);
    test_eq(json_u64(t, "neg", 7), 7u);
    test_eq(json_u64(t, "half", 7), 7u);
    test_eq(json_u64(t, "hex", 7), 7u);
    test_eq(json_u64(t, "e", 7), 7u);
    test_eq(json_u64(t, "t", 7), 7u);
    test_eq(json_u64(t, "absent", 7), 7u);
    test_true(json_bool(t, "t", false));
    test_false(json_bool(t, "f", true));
    test_true(json_bool(t, "z", true));
    test_true(json_bool(t, "n", true));
    test_true(json_get(t, "list") != nullptr);
    test_true(json_get(json_get(t, "list"), "x") == nullptr);
    test_true(json_get(nullptr, "x") == nullptr);
    test_eq_text(json_text(nullptr, "x"), "");
}

static void building(void **)
{
    tree = json_object();
    cJSON *t = tree.get();
    json_add_text(t, "text", "a\"b\\\n\x01\xe4\xbd\xa0");
    json_add_text(t, "damaged", "a\xff\xc3(\0b\xed\xa0\x80"sv);
    json_add_u64(t, "u", UINT64_MAX);
    json_add_u64(t, "zero", 0);
    json_add_u64_text(t, "us", UINT64_MAX);
    json_add_i64(t, "i", INT64_MIN);
    json_add_bool(t, "b", true);
    cJSON *o = json_add_object(t, "o");
    json_add_bool(o, "x", false);
    cJSON *a = json_add_array(t, "a");
    json_append_text(a, "one");
    json_append(a, json_array());
    json_append(a, nullptr);
    json_add_tree(t, "n", nullptr);
    json_add_tree(t, "e", json_object());
    test_eq_text(json_print(t),
        "{\"text\":\"a\\\"b\\\\\\n\\u0001\xe4\xbd\xa0\",\"damaged\":\"a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd"
        "b\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\",\"u\":18446744073709551615,\"zero\":0,\"us\":\"18446744073709551615\","
        "\"i\":-9223372036854775808,\"b\":true,\"o\":{\"x\":false},\"a\":[\"one\",[],null],\"n\":null,\"e\":{}}");
    test_eq(json_u64(t, "u", 0), UINT64_MAX);
}

static void pretty_printing(void **)
{
    static constexpr const char
        *pretty = "{\n  \"a\": [\n    1,\n    \"x\\\"\\n\"\n  ],\n  \"b\": {},\n  \"c\": [],\n  \"d\\\"\": {\n    \"e\": null\n  }\n}\n";
    test_ok(json_parse(pretty, tree, where));
    test_eq_text(json_print_pretty(tree.get()), pretty);
    json_ptr big = json_object();
    json_add_u64(big.get(), "u", UINT64_MAX);
    test_eq_text(json_print_pretty(big.get()), "{\n  \"u\": 18446744073709551615\n}\n");
    test_eq_text(json_print_pretty(json_array().get()), "[]\n");
}

static void base64(void **)
{
    static const struct {
        std::string_view bytes, text;
    } cases[] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\0\xff\xfe"sv, "AP/+"}, {"\xfb", "+w=="}};
    std::string out;
    for (const auto &c : cases) {
        test_eq_text(base64_encode(c.bytes), c.text);
        test_true(base64_decode(c.text, out));
        test_eq_text(out, c.bytes);
    }
    out = "kept";
    for (const char *bad : {"Z", "Zg", "Zg=", "Z===", "====", "=Zg=", "Zg==Zg==", "Zm9v\n", "Zm 9", "Zm-_", "Zh==", "Zm9=", "Zg=a"})
        test_false(base64_decode(bad, out));
    test_eq_text(out, "kept");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_teardown(parsing, release),
        cmocka_unit_test_teardown(bad_text_is_refused_with_its_place, release),
        cmocka_unit_test_teardown(depth_is_bounded, release),
        cmocka_unit_test_teardown(prefixes_are_refused, release),
        cmocka_unit_test_teardown(fields, release),
        cmocka_unit_test_teardown(building, release),
        cmocka_unit_test_teardown(pretty_printing, release),
        cmocka_unit_test_teardown(base64, release),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
