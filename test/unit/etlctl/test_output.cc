// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <cstdlib>

#include "etlctl/output.h"

using namespace etlnode;
using namespace etlnode::etlctl;

static constexpr column columns[] = {
    {"NAME", "name", cell_kind::text, false},
    {"SIZE", "size", cell_kind::bytes, false},
    {"SUM", "checksum.value", cell_kind::text, true},
};

static json_ptr item(const char *name, uint64_t size, const char *checksum)
{
    json_ptr out = json_object();
    json_add_text(out.get(), "name", name);
    json_add_u64(out.get(), "size", size);
    cJSON *inner = json_add_object(out.get(), "checksum");
    output_add_text(inner, "value", checksum);
    return out;
}

// Returns what `print` writes.
static std::string printed(void (*print)(FILE *))
{
    char *text = nullptr;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    print(out);
    fclose(out);
    std::string result(text, size);
    free(text);
    return result;
}

static list_printer make(FILE *out, output_format format)
{
    list_printer list;
    list.out = out;
    list.format = format;
    list.kind = "Thing";
    list.columns = columns;
    return list;
}

template <output_format format> static void print_two(FILE *out)
{
    list_printer list = make(out, format);
    list_add(list, item("b", 2048, "aa"));
    list_add(list, item("a\nx", 1, ""));
    list_end(list);
}

template <output_format format> static void print_none(FILE *out)
{
    list_printer list = make(out, format);
    list_end(list);
}

static void lists_in_each_format(void **)
{
    test_eq_text(printed(print_two<output_format::table>), "NAME       SIZE\nb          2.0KiB\n\"a\\x0ax\"   1B\n");
    test_eq_text(printed(print_two<output_format::wide>), "NAME       SIZE     SUM\nb          2.0KiB   aa\n\"a\\x0ax\"   1B       -\n");
    test_eq_text(printed(print_two<output_format::json>),
        "{\n  \"apiVersion\": \"etlnode/v1\",\n  \"kind\": \"ThingList\",\n  \"items\": [\n"
        "    {\"name\":\"b\",\"size\":2048,\"checksum\":{\"value\":\"aa\"}},\n"
        "    {\"name\":\"a\\nx\",\"size\":1,\"checksum\":{\"value\":null}}\n  ]\n}\n");
    test_eq_text(printed(print_two<output_format::jsonl>),
        "{\"apiVersion\":\"etlnode/v1\",\"kind\":\"Thing\",\"name\":\"b\",\"size\":2048,\"checksum\":{\"value\":\"aa\"}}\n"
        "{\"apiVersion\":\"etlnode/v1\",\"kind\":\"Thing\",\"name\":\"a\\nx\",\"size\":1,\"checksum\":{\"value\":null}}\n");
    test_eq_text(printed(print_two<output_format::name>), "b\n\"a\\x0ax\"\n");
    test_has_text(printed(print_two<output_format::yaml>), "kind: ThingList\n");
}

static void empty_lists_are_lists(void **)
{
    test_eq_text(printed(print_none<output_format::table>), "NAME   SIZE\n");
    test_eq_text(
        printed(print_none<output_format::json>), "{\n  \"apiVersion\": \"etlnode/v1\",\n  \"kind\": \"ThingList\",\n  \"items\": []\n}\n");
    test_eq_text(printed(print_none<output_format::jsonl>), "");
    test_eq_text(printed(print_none<output_format::name>), "");
    test_has_text(printed(print_none<output_format::yaml>), "items: []");
}

static void print_paged(FILE *out)
{
    list_printer list = make(out, output_format::table);
    list_add(list, item("first", 1, ""));
    list_flush(list);
    list_add(list, item("a-much-longer-name", 2, ""));
    list_flush(list);
    list_end(list);
}

static void print_paged_json(FILE *out)
{
    list_printer list = make(out, output_format::json);
    list_add(list, item("x", 1, "s"));
    list_flush(list);
    list_flush(list);
    list_add(list, item("y", 2, "s"));
    list_end(list);
}

static void print_sorted(FILE *out)
{
    list_printer list = make(out, output_format::name);
    list.sort_by = "size";
    list.null_separated = true;
    list_add(list, item("ten", 10, ""));
    list_flush(list);
    list_add(list, item("nine", 9, ""));
    list_add(list, item("nine\n2", 9, ""));
    list_end(list);
}

static void pages_and_order(void **)
{
    test_eq_text(printed(print_paged), "NAME    SIZE\nfirst   1B\na-much-longer-name 2B\n");
    test_eq_text(printed(print_paged_json), "{\n  \"apiVersion\": \"etlnode/v1\",\n  \"kind\": \"ThingList\",\n  \"items\": [\n"
                                            "    {\"name\":\"x\",\"size\":1,\"checksum\":{\"value\":\"s\"}},\n"
                                            "    {\"name\":\"y\",\"size\":2,\"checksum\":{\"value\":\"s\"}}\n  ]\n}\n");
    test_eq_text(printed(print_sorted), std::string_view("nine\0nine\n2\0ten\0", 16));
    list_printer list = make(nullptr, output_format::table);
    std::string why;
    list.sort_by = "colour";
    test_false(list_check(list, why));
    test_eq_text(why, "--sort-by \"colour\": the columns are name size sum");
    list.sort_by = "Checksum.Value";
    test_true(list_check(list, why));
}

template <output_format format> static void print_one(FILE *out)
{
    json_ptr one = item("b", 1536, "aa");
    item_print(out, format, "Thing", columns, "name", one.get());
}

static void single_things(void **)
{
    test_eq_text(printed(print_one<output_format::table>), "Name:   b\nSize:   1.5KiB (1536 bytes)\nSum:    aa\n");
    test_eq_text(printed(print_one<output_format::name>), "b\n");
    test_eq_text(printed(print_one<output_format::jsonl>),
        "{\"apiVersion\":\"etlnode/v1\",\"kind\":\"Thing\",\"name\":\"b\",\"size\":1536,\"checksum\":{\"value\":\"aa\"}}\n");
}

static void print_large_number(FILE *out)
{
    json_ptr one = item("n", UINT64_MAX, "");
    item_print(out, output_format::jsonl, "Thing", columns, "name", one.get());
}

static void numbers_keep_their_digits(void **) { test_has_text(printed(print_large_number), "\"size\":18446744073709551615"); }

static void formats_have_names(void **)
{
    output_format format = output_format::table;
    std::string why;
    test_true(output_parse_format("jsonl", format, why));
    test_eq_enum(format, output_format::jsonl);
    test_true(output_parse_format("=yaml", format, why)); // -o=yaml
    test_eq_enum(format, output_format::yaml);
    test_false(output_parse_format("JSON", format, why));
    test_false(output_parse_format("", format, why));
    test_false(output_parse_format("jsonpath={.items", format, why));
    test_has_text(why, "at character");
    test_true(output_parse_format("jsonpath={.kind}: {.items[*].name}", format, why));
    test_eq_enum(format, output_format::jsonpath);
    test_eq_text(printed(print_two<output_format::jsonpath>), "ThingList: b a\nx");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(lists_in_each_format),
        cmocka_unit_test(empty_lists_are_lists),
        cmocka_unit_test(pages_and_order),
        cmocka_unit_test(single_things),
        cmocka_unit_test(numbers_keep_their_digits),
        cmocka_unit_test(formats_have_names),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
