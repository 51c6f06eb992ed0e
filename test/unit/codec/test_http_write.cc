// SPDX-License-Identifier: MIT
// codec/test_http_write: heads as written, dates compared with known days, ranges.
#include "node_test.h"

#include "codec/http_parse.h"
#include "codec/http_write.h"

using namespace etlnode;

using namespace std::string_view_literals;

static http_head head;

static void a_head_is_written_and_read_back(void **)
{
    std::string out;
    http_write_status_line(out, 206);
    http_write_header(out, "A", "b");
    http_write_header_u64(out, "Content-Length", UINT64_MAX / 2);
    http_write_header(out, "Empty", "");
    http_write_end(out);
    test_eq_text(out, "HTTP/1.1 206 Partial Content\r\nA: b\r\nContent-Length: 9223372036854775807\r\nEmpty: \r\n\r\n");
    test_ok(http_parse_response_head(out, false, head));
    test_eq(head.length, UINT64_MAX / 2);
    out.clear();
    http_write_request_line(out, "PUT", "/a?b");
    http_write_header(out, "Host", "h");
    http_write_end(out);
    test_eq_text(out, "PUT /a?b HTTP/1.1\r\nHost: h\r\n\r\n");
    test_ok(http_parse_request_head(out, head));
}

static void a_value_cannot_start_a_header(void **)
{
    std::string out;
    http_write_header(out, "A", "b\r\nEvil: 1\n\0x"sv);
    test_eq_text(out, "A: b  Evil: 1  x\r\n");
}

static void reasons(void **)
{
    test_eq_text(http_reason(200), "OK");
    test_eq_text(http_reason(503), "Service Unavailable");
    test_eq_text(http_reason(507), "Insufficient Storage");
    test_eq_text(http_reason(299), "");
    test_eq_text(http_reason(-1), "");
    test_eq_text(http_status_text(200), "200 OK");
    test_eq_text(http_status_text(299), "299");
    test_eq_text(http_status_text(418), "418");
    test_eq_text(http_status_text(451), "451 Unavailable For Legal Reasons");
    std::string line;
    http_write_status_line(line, 299);
    test_eq_text(line, "HTTP/1.1 299 \r\n"); // the space is required
    // Every status of the error table has a name.
    for (int code = 0; code <= static_cast<int>(error_code::corrupt); code++)
        test_true(std::string_view(http_reason(error_http_status(static_cast<error_code>(code)))) != "");
}

static void chunk_sizes(void **)
{
    std::string out;
    http_write_chunk_size(out, 8000);
    http_write_chunk_size(out, 0);
    http_write_chunk_size(out, UINT64_MAX);
    test_eq_text(out, "1f40\r\n0\r\nffffffffffffffff\r\n");
}

static void dates(void **)
{
    test_eq_text(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    test_eq_text(http_date(784'111'777), "Sun, 06 Nov 1994 08:49:37 GMT");
    test_eq_text(http_date(951'782'400), "Tue, 29 Feb 2000 00:00:00 GMT");
    test_eq_text(http_date(951'868'799), "Tue, 29 Feb 2000 23:59:59 GMT");
    test_eq_text(http_date(951'868'800), "Wed, 01 Mar 2000 00:00:00 GMT");
    test_eq_text(http_date(1'767'225'599), "Wed, 31 Dec 2025 23:59:59 GMT");
    test_eq_text(http_date(4'107'542'400), "Mon, 01 Mar 2100 00:00:00 GMT"); // 2100 has no leap day
    test_eq_text(http_date(UINT64_MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void hop_by_hop_headers(void **)
{
    for (const char *name :
        {"Connection", "keep-alive", "TE", "Trailer", "transfer-encoding", "Upgrade", "Proxy-Connection", "proxy-authorization"})
        test_true(http_header_is_hop_by_hop(name));
    for (const char *name : {"Content-Length", "Content-Type", "Authorization", "TE2", "Proxy-", "", "Host"})
        test_false(http_header_is_hop_by_hop(name));
}

struct range_case {
    const char *value;
    uint64_t size;
    http_range_kind kind;
    uint64_t first;
    uint64_t count;
};

static void ranges(void **)
{
    using K = http_range_kind;
    static const range_case cases[] = {
        {"", 10, K::none, 0, 0},
        {"bytes=0-", 10, K::part, 0, 10},
        {"bytes=0-9", 10, K::part, 0, 10},
        {"bytes=0-0", 10, K::part, 0, 1},
        {"bytes=9-", 10, K::part, 9, 1},
        {"bytes=9-9", 10, K::part, 9, 1},
        {"bytes=3-5", 10, K::part, 3, 3},
        {"bytes=3-500", 10, K::part, 3, 7},
        {"bytes=3-18446744073709551615", 10, K::part, 3, 7},
        {"bytes=3-99999999999999999999999", 10, K::part, 3, 7},
        {"bytes=0-", UINT64_MAX, K::part, 0, UINT64_MAX},
        {"bytes=-4", 10, K::part, 6, 4},
        {"bytes=-10", 10, K::part, 0, 10},
        {"bytes=-11", 10, K::part, 0, 10},
        {"bytes=-99999999999999999999999", 10, K::part, 0, 10},
        {"BYTES= 3-5 ", 10, K::part, 3, 3},
        {" bytes=3-5", 10, K::part, 3, 3},
        {"bytes=3-5,", 10, K::part, 3, 3},
        {"bytes=10-", 10, K::unsatisfiable, 0, 0},
        {"bytes=10-20", 10, K::unsatisfiable, 0, 0},
        {"bytes=99999999999999999999999-", 10, K::unsatisfiable, 0, 0},
        {"bytes=-0", 10, K::unsatisfiable, 0, 0},
        {"bytes=0-", 0, K::unsatisfiable, 0, 0},
        {"bytes=-1", 0, K::unsatisfiable, 0, 0},
        {"bytes=0-1,3-4", 10, K::none, 0, 0},
        {"bytes=0-1, 3-4", 10, K::none, 0, 0},
        {"bytes=0-1,-3", 10, K::none, 0, 0},
        {"bytes=20-,30-", 10, K::none, 0, 0},
        {"bytes=0-1,x", 10, K::none, 0, 0},
        {"bytes=", 10, K::none, 0, 0},
        {"bytes=,", 10, K::none, 0, 0},
        {"bytes=-", 10, K::none, 0, 0},
        {"bytes=5", 10, K::none, 0, 0},
        {"bytes=5-3", 10, K::none, 0, 0},
        {"bytes=a-b", 10, K::none, 0, 0},
        {"bytes=1-2-3", 10, K::none, 0, 0},
        {"bytes=--3", 10, K::none, 0, 0},
        {"bytes=+1-2", 10, K::none, 0, 0},
        {"bytes=0x1-2", 10, K::none, 0, 0},
        {"bytes 0-1", 10, K::none, 0, 0},
        {"lines=0-1", 10, K::none, 0, 0},
        {"bytes", 10, K::none, 0, 0},
    };
    for (const range_case &c : cases) {
        http_range range = http_range_parse(c.value, c.size);
        if (range.kind != c.kind || range.first != c.first || range.count != c.count)
            test_fail("%s of %llu: kind %d, %llu +%llu", c.value, static_cast<unsigned long long>(c.size), static_cast<int>(range.kind),
                static_cast<unsigned long long>(range.first), static_cast<unsigned long long>(range.count));
    }
}

static void if_range_names_a_version(void **)
{
    test_true(http_range_counts("", ""));
    test_true(http_range_counts("", "\"a\""));
    test_true(http_range_counts("\"a\"", "\"a\""));
    test_false(http_range_counts("\"a\"", "\"b\""));
    test_false(http_range_counts("\"a\"", ""));
    test_false(http_range_counts("W/\"a\"", "W/\"a\""));
    test_false(http_range_counts("Sun, 06 Nov 1994 08:49:37 GMT", "\"a\""));
    test_false(http_range_counts("\"", "\""));
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_written_and_read_back),
        cmocka_unit_test(a_value_cannot_start_a_header),
        cmocka_unit_test(reasons),
        cmocka_unit_test(chunk_sizes),
        cmocka_unit_test(dates),
        cmocka_unit_test(hop_by_hop_headers),
        cmocka_unit_test(ranges),
        cmocka_unit_test(if_range_names_a_version),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
