// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "transfer/answer_headers.h"

using namespace etlnode;

static http_head head_of(std::string_view connection, int status = 200)
{
    http_head head;
    head.status = status;
    head.headers[0] = {"Connection", connection};
    head.header_count = 1;
    return head;
}

static bool passes(std::string_view name, bool of_clients_request = true, int status = 200)
{
    return header_passes_to_client(of_clients_request, head_of("close", status), name);
}

static void what_the_bytes_are_passes_in_every_mode(void **)
{
    for (bool of_clients_request : {false, true}) {
        for (const char *name : {"Content-Type", "content-encoding", "Content-Language", "CONTENT-DISPOSITION"})
            test_true(passes(name, of_clients_request));
        test_true(passes("Content-Range", of_clients_request, 206));
        test_false(passes("Content-Range", of_clients_request, 200));
    }
}

static void hrev_passes_what_speaks_of_the_version(void **)
{
    for (const char *name : {"ETag", "Last-Modified", "cache-control", "Vary", "Expires", "Accept-Ranges", "X-Label", "x-amz-meta-colour",
             "Content-MD5", "Repr-Digest"}) {
        test_true(passes(name));
        test_false(passes(name, false));
    }
}

static void what_means_something_to_others_stays_behind(void **)
{
    for (const char *name : {"Ais-Checksum-Value", "Ais-Checksum-Type", "ais-atime", "Ais-Bucket-Props", "Ais-Version", "Hdr-Error",
             "Etlnode-Cluster-Secret", "Etlnode-Etl", "etlnode-anything", "WWW-Authenticate", "Authorization", "Authentication-Info",
             "Set-Cookie", "set-cookie2", "Location", "Content-Location", "Refresh", "Clear-Site-Data", "Strict-Transport-Security",
             "Alt-Svc", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Timing-Allow-Origin", "Content-Security-Policy",
             "Cross-Origin-Opener-Policy", "Link", "Server", "Date", "Via", "Connection", "Keep-Alive", "Transfer-Encoding",
             "Content-Length", "Trailer", "Upgrade", "Proxy-Authenticate", "NEL", "Report-To", "SourceMap", "Service-Worker-Allowed",
             "Retry-After", "X-Request-Id", "X-Accel-Redirect", "X-Sendfile", "X-Lighttpd-Send-File", "X-Forwarded-For",
             "X-Content-Type-Options", "X-Frame-Options", ""}) {
        test_false(passes(name));
        test_false(passes(name, false));
    }
}

static void what_connection_names_is_of_the_connection(void **)
{
    http_head head = head_of("close, X-Foo ,etag");
    test_true(header_is_named_by_connection(head, "x-foo"));
    test_false(header_passes_to_client(true, head, "X-Foo"));
    test_false(header_passes_to_client(true, head, "ETag"));
    test_true(header_passes_to_client(true, head, "X-Fo"));
    test_true(header_passes_to_client(true, head, "X-Foo2"));
    test_false(header_passes_to_pod(head, "X-Foo"));
    test_true(header_passes_to_pod(head, "X-Bar"));
    head = head_of(",,");
    test_false(header_is_named_by_connection(head, ""));
}

static void the_clients_secrets_stay_behind(void **)
{
    http_head head = head_of("keep-alive");
    for (const char *name : {"Host", "Authorization", "cookie", "Expect", "Content-Length", "X-Request-Id", "Etlnode-Cluster-Secret",
             "Proxy-Authorization", "TE", "Upgrade"})
        test_false(header_passes_to_pod(head, name));
    for (const char *name : {"Accept", "If-None-Match", "Range", "Accept-Encoding", "X-Anything"})
        test_true(header_passes_to_pod(head, name));
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_bytes_are_passes_in_every_mode),
        cmocka_unit_test(hrev_passes_what_speaks_of_the_version),
        cmocka_unit_test(what_means_something_to_others_stays_behind),
        cmocka_unit_test(what_connection_names_is_of_the_connection),
        cmocka_unit_test(the_clients_secrets_stay_behind),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
