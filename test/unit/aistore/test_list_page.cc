// SPDX-License-Identifier: MIT
// aistore/test_list_page: the wire formats byte by byte, parsing, and damaged pages.
#include <msgpack.h>

#include "node_test.h"

#include "aistore/list_page.h"
#include "base/limits.h"
#include "codec/json.h"

using namespace etlnode;

using namespace std::string_view_literals;

static list_page page;
static list_page again;
static std::string bytes;

static int release(void **)
{
    page = {};
    again = {};
    bytes = {};
    return 0;
}

static list_entry full_entry()
{
    list_entry entry;
    entry.name = "a/\xe4\xbd\xa0";
    entry.checksum = "0123456789abcdef";
    entry.atime = "1700000000000000000";
    entry.version = "3";
    entry.location = "t[t1]:mp[/x]";
    entry.custom = "k=v";
    entry.size = UINT64_MAX;
    entry.copies = 1;
    entry.flags = list_flag_cached | list_flag_directory;
    return entry;
}

static void an_empty_page(void **)
{
    page.uuid = "abc";
    test_true(list_page_msgpack(page) == "\x84\xa4UUID\xa3"
                                         "abc\xb1"
                                         "ContinuationToken\xa0\xa7"
                                         "Entries\x90\xa5"
                                         "Flags\x00"sv);
    test_eq_text(list_page_json(page), "{\"uuid\":\"abc\",\"continuation_token\":\"\",\"entries\":[],\"flags\":0}");
}

static void empty_values_are_left_out(void **)
{
    page.uuid = "u";
    page.token = "b";
    page.flags = 5;
    page.entries.resize(2);
    page.entries[0].name = "a";
    page.entries[1].name = "b";
    page.entries[1].size = 300;
    page.entries[1].flags = list_flag_cached;
    test_true(list_page_msgpack(page) == "\x84\xa4UUID\xa1u\xb1"
                                         "ContinuationToken\xa1"
                                         "b\xa7"
                                         "Entries\x92\x81\xa1n\xa1"
                                         "a\x83\xa1n\xa1"
                                         "b\xa1s\xcd\x01\x2c\xa1"
                                         "f\x40\xa5"
                                         "Flags\x05"sv);
    test_eq_text(list_page_json(page), "{\"uuid\":\"u\",\"continuation_token\":\"b\",\"entries\":[{\"name\":\"a\"},{\"name\":\"b\","
                                       "\"size\":\"300\",\"flags\":64}],\"flags\":5}");
}

static void all_fields_survive(void **)
{
    page.uuid = "uuid-1234";
    page.token = std::string(1024, 't');
    page.flags = UINT32_MAX;
    page.entries.push_back(full_entry());
    page.entries.push_back(full_entry());
    page.entries[1].name = std::string(70'000, 'n'); // the longest form of text
    bytes = list_page_msgpack(page);
    test_ok(list_page_parse_msgpack(bytes, again));
    test_eq_text(again.uuid, page.uuid);
    test_eq_text(again.token, page.token);
    test_eq(again.flags, page.flags);
    test_eq(again.entries.size(), 2u);
    const list_entry &entry = again.entries[0];
    test_eq_text(entry.name, "a/\xe4\xbd\xa0");
    test_eq_text(entry.checksum, "0123456789abcdef");
    test_eq_text(entry.atime, "1700000000000000000");
    test_eq_text(entry.version, "3");
    test_eq_text(entry.location, "t[t1]:mp[/x]");
    test_eq_text(entry.custom, "k=v");
    test_eq(entry.size, UINT64_MAX);
    test_eq(entry.copies, 1u);
    test_eq(entry.flags, 320u);
    test_eq_text(again.entries[1].name, page.entries[1].name);
    test_eq_text(list_page_msgpack(again), bytes);
    page.entries.resize(1);
    page.token.clear();
    test_eq_text(list_page_json(page),
        "{\"uuid\":\"uuid-1234\",\"continuation_token\":\"\",\"entries\":[{\"name\":\"a/\xe4\xbd\xa0\",\"checksum\":\"0123456789abcdef\","
        "\"atime\":\"1700000000000000000\",\"version\":\"3\",\"location\":\"t[t1]:mp[/"
        "x]\",\"custom-md\":\"k=v\",\"size\":\"18446744073709551615\","
        "\"copies\":1,\"flags\":320}],\"flags\":4294967295}");
}

static void a_large_page_is_read_by_others(void **)
{
    page.uuid = "u";
    for (size_t i = 0; i < list_page_size_max; i++) {
        page.entries.push_back(full_entry());
        page.entries.back().name += std::to_string(i);
    }
    bytes = list_page_msgpack(page);
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t used = 0;
    test_true(msgpack_unpack_next(&unpacked, bytes.data(), bytes.size(), &used) == MSGPACK_UNPACK_SUCCESS);
    test_eq(used, bytes.size());
    msgpack_unpacked_destroy(&unpacked);
    test_ok(list_page_parse_msgpack(bytes, again));
    test_eq(again.entries.size(), list_page_size_max);
    test_eq_text(again.entries.back().name, page.entries.back().name);
}

static void other_encodings_are_understood(void **)
{
    // Keys in another order, unknown keys with nested values, nil for empty, wide integers.
    test_ok(list_page_parse_msgpack("\x85\xa5"
                                    "Flags\xd3\x00\x00\x00\x00\x00\x00\x00\x07\xa5"
                                    "Other\x93\x81\xa1x\xc3\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00\xc7\x02\x01zz\xa7"
                                    "Entries\xdc\x00\x01\xde\x00\x03\xd9\x01n\xda\x00\x01"
                                    "a\xa1s\xcf\x00\x00\x00\x00\x00\x00\x00\x05\xa1v\xc0\xa4UUID\xdb\x00\x00\x00\x01u\xb1"
                                    "ContinuationToken\xc0"sv,
        again));
    test_eq(again.flags, 7u);
    test_eq_text(again.uuid, "u");
    test_eq(again.entries.size(), 1u);
    test_eq_text(again.entries[0].name, "a");
    test_eq(again.entries[0].size, 5u);
    test_ok(list_page_parse_msgpack("\x81\xa7"
                                    "Entries\xc0"sv,
        again));
    test_true(again.entries.empty());
}

static void malformed_pages_are_refused(void **)
{
    static constexpr std::string_view cases[] = {
        "", "\xc0", "\x90", "{\"uuid\":\"\"}",
        "\x80\x00"sv,                       // bytes after the end
        "\xdf\xff\xff\xff\xff",             // four billion keys
        "\x81\x01\x02"sv,                   // a key that is a number
        "\x81\xa4UUID\x01",                 // a number for text
        "\x81\xa4UUID\xdb\xff\xff\xff\xff", // text longer than the bytes
        "\x81\xa4UUID\xa1\xff",             // not UTF-8
        "\x81\xa5"
        "Flags\xcf\x00\x00\x00\x01\x00\x00\x00\x00"sv, // too wide
        "\x81\xa5"
        "Flags\xff", // negative
        "\x81\xa5"
        "Flags\xd0\x80", // negative
        "\x81\xa5"
        "Flags\xa1"
        "5", // text for a number
        "\x81\xa7"
        "Entries\xdd\xff\xff\xff\xff", // four billion entries
        "\x81\xa7"
        "Entries\x91\x80", // an entry without a name
        "\x81\xa7"
        "Entries\x91\x81\xa1n\xa0", // an empty name
        "\x81\xa7"
        "Entries\x91\xa1n", // an entry that is text
        "\x81\xa7"
        "Entries\x91\x82\xa1n\xa1"
        "a\xa1"
        "f\xce\x00\x01\x00\x00"sv, // flags of 17 bits
        "\x81\xa7"
        "Entries\x80",                                                               // a map instead of the list
        "\x81\xa1x\xc1",                                                             // a byte that is never used
        "\x81\xa1x\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\xc0", // nested too deeply
        "\x81\xa1x\xdd\xff\xff\xff\xff\xc0\xc0",                                     // an unknown list that is too short
    };
    for (std::string_view text : cases) {
        if (list_page_parse_msgpack(text, again).code != error_code::bad_request)
            test_fail("accepted: %.*s", static_cast<int>(text.size()), text.data());
    }
}

// Every prefix is refused, and no changed byte causes harm.
static void damaged_pages_do_no_harm(void **)
{
    page.uuid = "u";
    page.token = "t";
    page.entries.push_back(full_entry());
    page.entries.push_back(full_entry());
    bytes = list_page_msgpack(page);
    for (size_t size = 0; size < bytes.size(); size++)
        test_eq_enum(list_page_parse_msgpack(std::string_view(bytes).substr(0, size), again).code, error_code::bad_request);
    for (size_t at = 0; at < bytes.size(); at++) {
        char kept = bytes[at];
        for (int c = 0; c < 256; c++) {
            bytes[at] = static_cast<char>(c);
            error err = list_page_parse_msgpack(bytes, again);
            test_true(err.code == error_code::ok || err.code == error_code::bad_request);
        }
        bytes[at] = kept;
    }
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_teardown(an_empty_page, release),
        cmocka_unit_test_teardown(empty_values_are_left_out, release),
        cmocka_unit_test_teardown(all_fields_survive, release),
        cmocka_unit_test_teardown(a_large_page_is_read_by_others, release),
        cmocka_unit_test_teardown(other_encodings_are_understood, release),
        cmocka_unit_test_teardown(malformed_pages_are_refused, release),
        cmocka_unit_test_teardown(damaged_pages_do_no_harm, release),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
