// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "etlctl/name.h"

using namespace etlnode;
using namespace etlnode::etlctl;

static void references(void **)
{
    struct row {
        const char *text;
        bool ok;
        const char *bucket;
        const char *object;
    };
    static constexpr row rows[] = {
        {"b", true, "b", ""},
        {"b/", true, "b", ""},
        {"b/o", true, "b", "o"},
        {"ais://b", true, "b", ""},
        {"ais://b/o/p", true, "b", "o/p"},
        {"b//o", true, "b", "/o"},
        {"b/ais://x", true, "b", "ais://x"},
        {"b/[x]", true, "b", "[x]"},
        {"", false, "", ""},
        {"/o", false, "", ""},
        {"ais://", false, "", ""},
        {"s3://b/o", false, "", ""},
    };
    for (const row &r : rows) {
        object_ref ref;
        std::string why;
        bool ok = name_parse_ref(r.text, ref, why);
        if (ok != r.ok || (ok && (ref.bucket != r.bucket || ref.object != r.object)) || (!ok && why.empty()))
            test_fail("\"%s\": ok=%d bucket=\"%s\" object=\"%s\"", r.text, ok, ref.bucket.c_str(), ref.object.c_str());
    }
    object_ref ref;
    std::string bucket;
    std::string why;
    test_false(name_parse_object("b", ref, why));
    test_has_text(why, "does not name an object");
    test_false(name_parse_bucket("b/o", bucket, why));
    test_true(name_parse_bucket("ais://b", bucket, why));
    test_eq_text(bucket, "b");
    test_eq_text(name_object_uri("b", "o/p"), "ais://b/o/p");
}

static void ids_and_names_differ(void **)
{
    test_true(name_is_etl_id("JGHEoo89gg"));
    test_false(name_is_etl_id("jgheoo89gg")); // without a capital it is a name
    test_false(name_is_etl_id("JGHEoo89g"));
    test_false(name_is_etl_id("JGHEoo-9gg"));
    test_false(name_is_etl_id("transformer-md5"));
}

static void endpoints(void **)
{
    std::string out;
    std::string why;
    test_true(name_parse_endpoint("host:8080", out, why));
    test_eq_text(out, "http://host:8080");
    test_true(name_parse_endpoint("https://host/prefix//", out, why));
    test_eq_text(out, "https://host/prefix");
    test_true(name_parse_endpoint("http://[::1]:80", out, why));
    test_true(name_parse_endpoint("HTTP://host:65535/", out, why));
    test_eq_text(out, "http://host:65535");
    for (const char *bad :
        {"", "http://", "http:///", "http:///x", "ftp://x", "http://x y", "http://x?y", "http://x\r\ny", "http://x\\y", "http://x#y"}) {
        if (name_parse_endpoint(bad, out, why))
            test_fail("\"%s\" was accepted", bad);
        test_has_text(why, "is not an endpoint: write http://HOST:PORT");
    }
    // Each message says what is wrong and what to write instead.
    struct {
        const char *bad, *said;
    } rows[] = {
        {"http://user:pw@x", "without a user or password"},
        {"http://host:8080/v1", "write http://host:8080"},
        {"host:8080/v1/", "write http://host:8080"},
        {"https://gate/node/v1/objects", "write https://gate/node"},
        {"http://host:0", "has an invalid port (1 to 65535): write http://host:PORT"},
        {"http://host:65536", "has an invalid port (1 to 65535)"},
        {"http://host:", "has an invalid port (1 to 65535)"},
        {"host:abc", "has an invalid port (1 to 65535): write http://host:PORT"},
        {"https://host:-1", "write https://host:PORT"},
        {"http://:8080", "does not name a host"},
        {"http://::1:8080", "put an IPv6 address in brackets"},
        {"http://a:1:2", "put an IPv6 address in brackets"},
        {"http://[::1", "write http://[ADDRESS]:PORT"},
        {"http://[::1]8080", "write http://[ADDRESS]:PORT"},
        {"http://[]:8080", "write http://[ADDRESS]:PORT"},
        {"http://[::1]:x", "has an invalid port (1 to 65535): write http://[::1]:PORT"},
    };
    for (const auto &row : rows) {
        if (name_parse_endpoint(row.bad, out, why))
            test_fail("\"%s\" was accepted", row.bad);
        test_has_text(why, row.said);
    }
    test_true(name_parse_endpoint("http://host/v10", out, why)); // another path
}

static void ranges(void **)
{
    std::string out;
    std::string why;
    for (const char *good : {"0-0", "5-", "-5", "0-18446744073709551615"})
        if (!name_parse_range(good, out, why) || out != good)
            test_fail("\"%s\" was refused", good);
    test_true(name_parse_range("bytes=1-2", out, why));
    test_eq_text(out, "1-2");
    for (const char *bad : {"", "-", "5", "5-4", "-0", "a-b", "1-2,4-5", "1 -2", "--1", "0-18446744073709551616"})
        if (name_parse_range(bad, out, why))
            test_fail("\"%s\" was accepted", bad);
}

static void request_ids(void **)
{
    test_true(name_is_request_id("aZ09._-"));
    test_false(name_is_request_id(""));
    test_false(name_is_request_id("a b"));
    test_false(name_is_request_id("a\r\nX: y"));
    test_true(name_is_request_id("0123456789012345678901234567890123456789012345678901234567890123"));
    test_false(name_is_request_id("01234567890123456789012345678901234567890123456789012345678901234"));
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(references),
        cmocka_unit_test(ids_and_names_differ),
        cmocka_unit_test(endpoints),
        cmocka_unit_test(ranges),
        cmocka_unit_test(request_ids),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
