// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <array>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"

using namespace etlnode;

static void durations_are_gos(void **)
{
    struct row {
        const char *text;
        bool ok;
        uint64_t ms;
    };
    static constexpr row rows[] = {
        {"1m", true, 60'000},
        {"45s", true, 45'000},
        {"1h15m30.5s", true, 4'530'500},
        {"300ms", true, 300},
        {"0", true, 0},
        {"1ns", true, 1},
        {"1.5h", true, 5'400'000},
        {"+5s", true, 5'000},
        {"", false, 0},
        {"5", false, 0},
        {"-1s", false, 0},
        {"1 s", false, 0},
        {"s", false, 0},
        {".s", false, 0},
        {"1x", false, 0},
        {"9999999999h", false, 0},
        {"0.009s", true, 9},
        {"2562047h", true, 9'223'369'200'000},
        {"2562048h", false, 0},
        {"0.0000000001s", true, 0},
    };
    for (const row &r : rows) {
        uint64_t ms = 0;
        bool ok = text_parse_duration_ms(r.text, ms);
        if (ok != r.ok || (ok && ms != r.ms))
            test_fail("duration \"%s\": ok=%d ms=%llu", r.text, ok, static_cast<unsigned long long>(ms));
    }
    test_eq_text(text_duration(60'000), "1m0s");
    test_eq_text(text_duration(1'500), "1.5s");
    test_eq_text(text_duration(0), "0s");
    test_eq_text(text_duration(250), "250ms");
    test_eq_text(text_duration(3'600'000), "1h0m0s");
}

static void numbers_do_not_overflow(void **)
{
    uint64_t value = 0;
    test_true(text_parse_u64("18446744073709551615", value));
    test_eq(value, UINT64_MAX);
    test_false(text_parse_u64("18446744073709551616", value));
    test_false(text_parse_u64("", value));
    test_false(text_parse_u64("-1", value));
    test_true(text_parse_hex_u64("ffFF", value));
    test_eq(value, 65535u);
}

static void utf8_is_strict(void **)
{
    test_true(text_is_utf8("\xe4\xbd\xa0\xe5\xa5\xbd"));
    test_true(text_is_utf8("\xf0\x9f\x98\x80"));
    test_false(text_is_utf8("\xc0\xaf"));         // overlong
    test_false(text_is_utf8("\xe0\x80\xaf"));     // overlong
    test_false(text_is_utf8("\xed\xa0\x80"));     // surrogate
    test_false(text_is_utf8("\xf4\x90\x80\x80")); // above U+10FFFF
    test_false(text_is_utf8("\xe4\xbd"));         // truncated
    test_false(text_is_utf8("\xff"));
    // At each place among others.
    for (size_t size = 1; size <= 24; size++) {
        std::string text(size, 'a');
        test_true(text_is_utf8(text));
        for (size_t at = 0; at < size; at++) {
            text[at] = '\x80';
            test_false(text_is_utf8(text));
            text[at] = '\0';
            test_true(text_is_utf8(text));
            text[at] = 'a';
            test_true(text_is_utf8(text.substr(0, at) + "\xc3\xa9" + text.substr(at)));
        }
    }
}

static void nearest_finds_slips_only(void **)
{
    static constexpr std::array<std::string_view, 3> names = {"listen", "data-dir", "log-level"};
    test_eq_text(text_nearest("listn", names), "listen");
    test_eq_text(text_nearest("data_dir", names), "data-dir");
    test_eq_text(text_nearest("zzzzzz", names), "");
}

// A wrong word costs the same, however many names there are and however similar they are.
static void nearest_works_within_bounds(void **)
{
    for (size_t length : {size_t(1), size_t(16), size_t(64), size_t(127), size_t(128), size_t(4096)}) {
        std::vector<std::string> texts;
        for (size_t i = 0; i < 4'096; i++)
            texts.push_back(std::string(length, 'a') + std::to_string(i));
        std::vector<std::string_view> names(texts.begin(), texts.end());
        for (const std::string &word : {std::string(length, 'b'), std::string(length, 'a') + "x", std::string(length / 2 + 1, 'a')}) {
            size_t work = SIZE_MAX;
            text_nearest(word, names, &work);
            if (work > text_nearest_work_max)
                test_fail("%zu cells for a word of %zu bytes among 4096 names", work, word.size());
        }
    }
    size_t work = 0;
    static constexpr std::array<std::string_view, 2> names = {"listen", "a-name-that-is-much-longer"};
    text_nearest("listn", names, &work);
    test_eq(work, 30u); // the other candidate is too far to be compared
}

static void nearness_is_counted_in_edits(void **)
{
    test_true(text_is_near("etl_name", "etl_name", 0));
    test_false(text_is_near("etl_nam", "etl_name", 0));
    for (const char *near : {"etl_nam", "tl_name", "etl_nmae", "etlname", "et_names", "etl_name12", "xetl_namex", "etl_xxme"})
        test_true(text_is_near(near, "etl_name", 2));
    for (const char *far : {"", "etl", "xtl_nxxe", "etl_name123", "xxetl_namex", "eman_lte"})
        test_false(text_is_near(far, "etl_name", 2));
    test_true(text_is_near("", "ab", 2));
    test_true(text_is_near("abc", "", 3));
    test_true(text_is_near("kitten", "sitting", 3));
    test_false(text_is_near("kitten", "sitting", 2));
}

static void escape_keeps_lines_whole(void **)
{
    test_eq_text(text_escape("a\nb\"c\x01"), "a\\nb\\\"c\\x01");
    test_eq_text(text_escape("abcdef", 3), "abc...");
    test_eq_text(text_escape("ab\xe2\x80\xa8", 4), "ab..."); // do not cut inside a character
}

static void error_table_reads_back(void **)
{
    error_code code = error_code::ok;
    test_true(error_code_from_name("object_not_found", code));
    test_eq(error_http_status(code), 404);
    test_false(error_code_from_name("no_such_code", code));
    test_eq(error_http_status(error_from_errno(28, "x").code), 507); // ENOSPC
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_gos),
        cmocka_unit_test(numbers_do_not_overflow),
        cmocka_unit_test(utf8_is_strict),
        cmocka_unit_test(nearest_finds_slips_only),
        cmocka_unit_test(nearest_works_within_bounds),
        cmocka_unit_test(nearness_is_counted_in_edits),
        cmocka_unit_test(escape_keeps_lines_whole),
        cmocka_unit_test(error_table_reads_back),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
