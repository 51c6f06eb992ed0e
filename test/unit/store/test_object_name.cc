// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "store/content_path.h"
#include "store/object_name.h"

using namespace etlnode;

static void buckets(void **)
{
    for (const char *good : {"a", "transform", "A-b_c.d", "1", "-x", "a.b.c"})
        test_true(object_name_check_bucket(good) == nullptr);
    test_true(object_name_check_bucket(std::string(64, 'x')) == nullptr);
    for (const char *bad : {"", "*", ".", " ", "bucket/badname", "#x", "$x", "~x", "a..b", ".hidden", "a b", "ä", "a\n"})
        test_true(object_name_check_bucket(bad) != nullptr);
    test_true(object_name_check_bucket(std::string(65, 'x')) != nullptr);
    test_true(object_name_check_bucket(std::string_view("a\0b", 3)) != nullptr);
}

static void objects(void **)
{
    for (const char *good : {"%", "%25", "%3D", "yHvMJM(s\\(0hR\\3\\)", "file_#@!$%^&*()_+.mp3", "track?name=lofi&v=1", "track%20space.wav",
             "你好世界", "-hidden", ".audio_hidden.wav", "a/b/c", "a//b", "...", "a/.b", "~", "~a/b", "\x01\x7f"})
        test_true(object_name_check(good) == nullptr);
    test_true(object_name_check(std::string(1024, 'x')) == nullptr);
    for (const char *bad :
        {"", "/", "/a", "a/", ".", "..", "a/../b", "./a", "a/.", "a/..", "../a", "~/a", "\xff", "a\xc0\xaf", "\xed\xa0\x80"})
        test_true(object_name_check(bad) != nullptr);
    test_true(object_name_check(std::string(1025, 'x')) != nullptr);
    test_true(object_name_check(std::string_view("a\0b", 3)) != nullptr);
}

static void content_names(void **)
{
    test_eq_text(content_name(0x1234), "0000000000001234");
    test_eq_text(content_temp_path("/d", 1), "/d/tmp/0000000000000001");
    test_eq_text(content_final_path("/d", 0xabcdef), "/d/objects/cd/0000000000abcdef");
    uint64_t id = 0;
    test_true(content_name_parse("ffffffffffffffff", id));
    test_eq(id, UINT64_MAX);
    for (const char *bad : {"", "1", "00000000000000001", "000000000000000g", "00000000000000AB", " 00000000000000a"})
        test_false(content_name_parse(bad, id));
}

int main()
{
    const CMUnitTest tests[] = {cmocka_unit_test(buckets), cmocka_unit_test(objects), cmocka_unit_test(content_names)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
