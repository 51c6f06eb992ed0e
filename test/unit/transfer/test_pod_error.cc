// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <zlib.h>

#include "base/limits.h"
#include "transfer/pod_error.h"

static std::string packed(std::string_view text, int window_bits)
{
    z_stream stream = {};
    test_eq(deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    std::string out(text.size() + 100, '\0');
    stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef *>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    test_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out.resize(out.size() - stream.avail_out);
    deflateEnd(&stream);
    return out;
}

static void plain_text_stays(void **)
{
    test_eq_text(pod_error_text(422, "text/plain", "", "cannot decode picture\r\n"), "cannot decode picture");
    test_eq_text(pod_error_text(500, "", "", "a < b\nand c"), "a < b\nand c");
    test_eq_text(pod_error_text(500, "application/json", "identity", "{\"detail\":\"x\"}"), "{\"detail\":\"x\"}");
}

static void nothing_is_said_as_the_status(void **)
{
    test_eq_text(pod_error_text(422, "", "", ""), "the pod answered 422 Unprocessable Content without a text");
    test_eq_text(pod_error_text(500, "text/html", "", " \r\n\n"), "the pod answered 500 Internal Server Error without a text");
    test_eq_text(pod_error_text(500, "text/html", "", "<html></html>"), "the pod answered 500 Internal Server Error without a text");
    test_eq_text(pod_error_text(500, "", "gzip", ""), "the pod answered 500 Internal Server Error without a text");
}

static void compressed_text_is_unpacked(void **)
{
    static const std::string text = "cannot decode picture";
    test_eq_text(pod_error_text(422, "", "gzip", packed(text, 15 + 16)), text);
    test_eq_text(pod_error_text(422, "", "X-GZIP", packed(text, 15 + 16)), text);
    test_eq_text(pod_error_text(422, "", "deflate", packed(text, 15)), text);
    test_eq_text(pod_error_text(422, "", "deflate", packed(text, -15)), text);
    test_eq_text(pod_error_text(422, "text/html", "gzip", packed("<p>cannot <b>decode</b></p>", 15 + 16)), "cannot decode");
}

static void what_cannot_be_unpacked_is_named(void **)
{
    test_eq_text(pod_error_text(422, "", "br", "\x0b\x02\x80text\x03"), "the pod answered 422 Unprocessable Content; its text is encoded as br");
    test_eq_text(pod_error_text(500, "", "gzip", "no gzip at all"), "the pod answered 500 Internal Server Error; its text is encoded as gzip");
    test_eq_text(pod_error_text(500, "", "gzip, br", "x"), "the pod answered 500 Internal Server Error; its text is encoded as gzip, br");
    test_eq_text(pod_error_text(500, "image/png", "", std::string("\x89PNG\r\n\x1a\n\0\0", 10)), "the pod answered 500 Internal Server Error with 10 bytes that are no text (image/png)");
}

// At most so much of the packed text is looked at, and at most so much comes out: a bomb is a short text.
static void what_is_cut_short_gives_what_there_is(void **)
{
    std::string whole = packed(std::string(10 * mib, 'x'), 15 + 16);
    std::string text = pod_error_text(500, "", "gzip", whole.substr(0, pod_error_text_max));
    test_eq(text.size(), pod_error_text_max);
    test_eq(text.find_first_not_of('x'), std::string::npos);
}

static void html_becomes_text(void **)
{
    test_eq_text(pod_error_text(501, "text/html;charset=utf-8", "",
                                "<!DOCTYPE HTML>\n<html lang=\"en\">\n    <head>\n        <meta charset=\"utf-8\">\n        <style type=\"text/css\">:root { color-scheme: light dark; }</style>\n"
                                "        <title>Error response</title>\n    </head>\n    <body>\n        <h1>Error response</h1>\n        <p>Error code: 501</p>\n"
                                "        <p>Message: Unsupported method (&#x27;PUT&#x27;).</p>\n    </body>\n</html>\n"),
                 "Error response Error code: 501 Message: Unsupported method ('PUT').");
    test_eq_text(pod_error_text(500, "", "", "\n<!doctype html><title>500 Internal Server Error</title>"), "500 Internal Server Error");
    test_eq_text(pod_error_text_of_html("<script>alert('<p>')</script>a&amp;b &lt;c&gt;<!-- no > --><br>d&unknown;&nbsp;e<SCRIPT>x"), "a&b <c> d&unknown; e");
    test_eq_text(pod_error_text_of_html("cut off <p cla"), "cut off");
    test_eq_text(pod_error_text_of_html("<!-"), "");
    test_eq_text(pod_error_text_of_html("<!--"), "");
    test_eq_text(pod_error_text_of_html("a<!-- b"), "a");
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_stays),
        cmocka_unit_test(nothing_is_said_as_the_status),
        cmocka_unit_test(compressed_text_is_unpacked),
        cmocka_unit_test(what_cannot_be_unpacked_is_named),
        cmocka_unit_test(what_is_cut_short_gives_what_there_is),
        cmocka_unit_test(html_becomes_text),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
