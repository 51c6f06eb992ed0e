// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "transfer/answer_part.h"

using namespace etlnode;

static http_head part_of(std::string_view content_range)
{
    http_head head;
    head.status = 206;
    head.headers[0] = {"Content-Range", content_range};
    head.header_count = content_range.empty() ? 0 : 1;
    return head;
}

// The size of the part, or -1 if it is not the requested part.
static int64_t size_of(std::string_view asked, const http_head &head)
{
    uint64_t size = 0;
    return answer_part_fits(asked, head, size) ? static_cast<int64_t>(size) : -1;
}

static int64_t size_of(std::string_view asked, std::string_view content_range) { return size_of(asked, part_of(content_range)); }

static void a_part_begins_where_it_was_asked_for(void **)
{
    test_eq(size_of("bytes=1-3", "bytes 1-3/10"), 3);
    test_eq(size_of("Bytes= 1-3", "bytes 1-3/*"), 3);
    test_eq(size_of("bytes=1-", "BYTES 1-9/10"), 9);
    test_eq(size_of("bytes=1-3", "bytes 1-2/10"), 2); // less than requested, and it says so
    test_eq(size_of("bytes=1-3,5-6", "bytes 1-3/10"), 3);
    test_eq(size_of("bytes=0-0,5-6", "bytes 5-6/10"), -1);
    for (const char *given : {"", "bytes 0-2/10", "bytes */10", "items 1-3/10", "bytes 1-3", "bytes 3-1/10", "bytes 1-3/2", "bytes 1-3/3",
             "bytes 1-3/x", "bytes 1-3/", "bytes 1-18446744073709551616/*"})
        test_eq(size_of("bytes=1-3", given), -1);
}

static void the_last_bytes_end_with_the_whole(void **)
{
    test_eq(size_of("bytes=-3", "bytes 7-9/10"), 3);
    test_eq(size_of("bytes=-30", "bytes 0-9/10"), 10);
    test_eq(size_of("bytes=-3", "bytes 7-9/*"), 3);
    test_eq(size_of("bytes=-3", "bytes 0-2/10"), -1);
}

static void what_asks_for_nothing_has_no_part(void **)
{
    for (const char *asked : {"", "items=1-3", "bytes=5-2", "bytes=-0", "bytes=", "bytes=,", "bytes=99999999999999999999-"})
        test_eq(size_of(asked, "bytes 1-3/10"), -1);
}

static void one_part_says_so_once(void **)
{
    http_head head = part_of("bytes 1-3/10");
    head.headers[head.header_count++] = {"content-range", "bytes 4-6/10"};
    test_eq(size_of("bytes=1-3", head), -1);
}

static void several_parts_are_for_those_who_asked_for_several(void **)
{
    http_head head = part_of("");
    head.headers[head.header_count++] = {"Content-Type", "multipart/byteranges; boundary=x"};
    test_eq(size_of("bytes=1-3,5-6", head), 0);
    test_eq(size_of("bytes=1-3", head), -1);
}

static void its_length_is_the_parts(void **)
{
    http_head head = part_of("bytes 1-3/10");
    head.has_length = true;
    head.length = 3;
    test_eq(size_of("bytes=1-3", head), 3);
    head.length = 2;
    test_eq(size_of("bytes=1-3", head), -1);
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_begins_where_it_was_asked_for),
        cmocka_unit_test(the_last_bytes_end_with_the_whole),
        cmocka_unit_test(what_asks_for_nothing_has_no_part),
        cmocka_unit_test(one_part_says_so_once),
        cmocka_unit_test(several_parts_are_for_those_who_asked_for_several),
        cmocka_unit_test(its_length_is_the_parts),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
