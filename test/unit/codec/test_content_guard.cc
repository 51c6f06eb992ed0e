// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "codec/content_guard.h"

using namespace etlnode;

static void what_browsers_execute(void **)
{
    for (const char *type : {"text/html", "TEXT/HTML; charset=utf-8", " text/html ", "application/xhtml+xml", "image/svg+xml", "text/xml",
             "application/xml;x=y", "application/atom+xml", "application/rss+xml", "text/javascript", "application/javascript",
             "application/x-javascript", "application/ecmascript", "text/ecmascript", "text/javascript1.5",
             "multipart/x-mixed-replace; boundary=x", "text/xsl", "application/vnd.wap.xhtml+xml", "", "html", "/", "text/", "/html", "*/*",
             "unknown/unknown", "text/plain, text/html"})
        test_true(content_is_executable(type));
}

static void what_they_only_show(void **)
{
    for (const char *type : {"application/octet-stream", "text/plain; charset=utf-8", "image/png", "image/jpeg", "video/mp4",
             "application/json", "application/x-tar", "text/csv", "application/msgpack", "audio/ogg"}) {
        test_false(content_is_executable(type));
        std::string out;
        content_write_guard(out, type);
        test_eq_text(out, "");
    }
}

static void the_guard(void **)
{
    std::string out;
    content_write_guard(out, "text/html");
    test_eq_text(out, "X-Content-Type-Options: nosniff\r\nContent-Security-Policy: sandbox\r\n");
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_browsers_execute), cmocka_unit_test(what_they_only_show), cmocka_unit_test(the_guard)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
