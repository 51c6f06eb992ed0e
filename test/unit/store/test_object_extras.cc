// SPDX-License-Identifier: MIT
// test of store/object_extras: what is kept beside a content comes back as it was, also from rows of earlier versions.
#include "node_test.h"

#include "store/object_extras.h"

using namespace etlnode;

static void what_is_printed_is_parsed(void **)
{
    object_extras extras;
    test_eq_text(object_extras_print(extras), "");
    extras.made_from = "0123456789abcdef job";
    extras.custom = {{"k", "v"}, {"K", "another"}, {"bytes", std::string("\xff\x80 \"{}", 6)}, {"empty", ""}};
    extras.checksum_type = "md5";
    extras.checksum_value = "900150983cd24fb0d6963f7d28e17f72";
    extras.chunk_count = 3;
    extras.chunk_size_max = uint64_t{1} << 60;
    object_extras back = object_extras_parse(object_extras_print(extras));
    test_eq_text(back.made_from, extras.made_from);
    test_true(back.custom == extras.custom);
    test_eq_text(back.checksum_type, "md5");
    test_eq_text(back.checksum_value, extras.checksum_value);
    test_eq(back.chunk_count, 3u);
    test_eq(back.chunk_size_max, uint64_t{1} << 60);
    back = object_extras_parse(object_extras_of_copy(object_extras_print(extras), "fedcba9876543210 other"));
    test_eq_text(back.made_from, "fedcba9876543210 other");
    test_true(back.custom == extras.custom);
    test_eq_text(object_extras_of_copy("0123456789abcdef job", ""), "");
}

static void rows_of_earlier_versions(void **)
{
    test_eq_text(object_extras_parse("0123456789abcdef bqvIEUAyI").made_from, "0123456789abcdef bqvIEUAyI");
    test_eq_text(object_extras_parse("").made_from, "");
    test_eq_text(object_extras_parse("{broken").made_from, "{broken");
}

static void what_no_header_can_carry(void **)
{
    for (const char *good : {"k", "my-key", "ключ", "a.b/c:d"})
        test_true(object_extras_check_custom(good, "a value = with, signs") == nullptr);
    for (std::string_view bad : {std::string_view(), std::string_view("a b"), std::string_view("a=b"), std::string_view("a,b"),
             std::string_view("a\nb"), std::string_view("a\0b", 3), std::string_view("\x7f")})
        test_true(object_extras_check_custom(bad, "v") != nullptr);
    for (std::string_view bad : {std::string_view("a\r\nb"), std::string_view("a\0b", 3), std::string_view("\t")})
        test_true(object_extras_check_custom("k", bad) != nullptr);
}

int main()
{
    const CMUnitTest tests[] = {cmocka_unit_test(what_is_printed_is_parsed), cmocka_unit_test(rows_of_earlier_versions),
        cmocka_unit_test(what_no_header_can_carry)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
