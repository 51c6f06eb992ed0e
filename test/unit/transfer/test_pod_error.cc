// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <zlib.h>

#include "base/limits.h"
#include "transfer/html_text.h"
#include "transfer/pod_error.h"

using namespace etlnode;

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
    test_eq_text(pod_error_text(422, "text/plain", "", "line one\r\nline two\rline three\r\n"), "line one\nline two\nline three");
    test_eq_text(pod_error_text(500, "", "", "a < b\nand c"), "a < b\nand c");
    test_eq_text(pod_error_text(500, "application/json", "identity", "{\"detail\":\"x\"}"), "{\"detail\":\"x\"}");
}

static void control_characters_become_spaces(void **)
{
    test_eq_text(pod_error_text(500, "text/plain", "",
                     "\x01"
                     "bad"),
        " bad");
    test_eq_text(pod_error_text(500, "", "", std::string_view("no\0image", 8)), "no image");
    test_eq_text(pod_error_text(500, "", "", "a\x1b[31mred\x1b[0m\tand\nmore\x7f."), "a [31mred [0m\tand\nmore .");
    test_eq_text(pod_error_text(500, "", "", "caf\xc3\xa9 \xc2\x85."), "caf\xc3\xa9  .");
    test_eq_text(pod_error_text(500, "", "", "\x01\x02"), "the pod answered 500 Internal Server Error with 2 bytes that are no text");
    test_eq_text(pod_error_text(500, "", "", std::string_view("e\0r\0r\0", 6)),
        "the pod answered 500 Internal Server Error with 6 bytes that are no text");
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
    test_eq_text(
        pod_error_text(422, "", "br", "\x0b\x02\x80text\x03"), "the pod answered 422 Unprocessable Content; its text is encoded as br");
    test_eq_text(pod_error_text(500, "image/png", "", std::string("\x89PNG\r\n\x1a\n\0\0", 10)),
        "the pod answered 500 Internal Server Error with 10 bytes that are no text (image/png)");
}

// Only a limited amount of packed text is read, and only a limited amount is produced: a bomb becomes a short text.
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
                     "<!DOCTYPE HTML>\n<html lang=\"en\">\n    <head>\n        <meta charset=\"utf-8\">\n        <style "
                     "type=\"text/css\">:root { color-scheme: light dark; }</style>\n"
                     "        <title>Error response</title>\n    </head>\n    <body>\n        <h1>Error response</h1>\n        <p>Error "
                     "code: 501</p>\n"
                     "        <p>Message: Unsupported method (&#x27;PUT&#x27;).</p>\n    </body>\n</html>\n"),
        "Error response Error code: 501 Message: Unsupported method ('PUT').");
    test_eq_text(pod_error_text(500, "", "", "\n<!doctype html><title>500 Internal Server Error</title>"), "500 Internal Server Error");
    test_eq_text(
        html_text("<script>alert('<p>')</script>a&amp;b &lt;c&gt;<!-- no > --><br>d&unknown;&nbsp;e<SCRIPT>x"), "a&b <c> d&unknown; e");
    test_eq_text(html_text("cut off <p cla"), "cut off");
    test_eq_text(html_text("<!-"), "");
    test_eq_text(html_text("<!--"), "");
    test_eq_text(html_text("a<!-- b"), "a");
}

struct pair {
    const char *html;
    const char *text;
};

static void what_is_no_tag_is_text(void **)
{
    static constexpr pair pairs[] = {
        {"<p>a < b and c > d</p>", "a < b and c > d"},
        {"1<2", "1<2"},
        {"if (a<b) return", "if (a<b) return"},
        {"expected List<String>, got Map<K, V>", "expected List<String>, got Map<K, V>"},
        {"std::vector<int> is empty", "std::vector<int> is empty"},
        {"<module> line 3", "<module> line 3"},
        {"<lambda> at 0x7f", "<lambda> at 0x7f"},
        {"File \"<stdin>\", line 1", "File \"<stdin>\", line 1"},
        {"x <- y <= z << 2 <> 3", "x <- y <= z << 2 <> 3"},
        {"a </ b", "a </ b"},
        {"<", "<"},
        {"a <", "a <"},
        {"<1>", "<1>"},
        {"<bold>x</bold>", "<bold>x</bold>"},
        {"<b>x</b>", "x"},
        {"<B CLASS=x>x</B>", "x"},
        {"it<b>s</b> one word", "its one word"},
        {"<li>one<li>two", "one two"},
        {"a<br/>b<br />c<hr>d", "a b c d"},
        {"<a title=\"x > y\" href='<z>'>link</a>", "link"},
        {"<a title=\"never closed>link</a> more", "link more"},
        {"don't <i>do</i> that", "don't do that"},
        {"<my-element>x</my-element><svg:g>y</svg:g>", "x y"},
        {"<?xml version=\"1.0\"?><!DOCTYPE html><![CDATA[x]]>y", "y"},
        {"<STYLE>p {}</style >a", "a"},
        {"<p>a <! b", "a <! b"},
        {"<!-->a", "a"},
    };
    for (const pair &one : pairs)
        test_eq_text(html_text(one.html), one.text);
}

static void character_references_are_read_as_browsers_do(void **)
{
    static constexpr pair pairs[] = {
        {"&lt;b&gt; &amp;lt; &quot;x&quot; &apos;y&apos;", "<b> &lt; \"x\" 'y'"},
        {"&#60;&#x3c;&#X3C;&#0060;", "<<<<"},
        {"&#39;&#x27;&#34;&#47;&#x2F;", "''\"//"},
        {"caf&eacute; &#233; &#xe9; &uuml;", "caf\u00e9 \u00e9 \u00e9 \u00fc"},
        {"&hellip;&mdash;&ndash;&euro;&#8364;&#128;", "\u2026\u2014\u2013\u20ac\u20ac\u20ac"},
        {"&#x1F600;", "\U0001F600"},
        {"&#0;&#xD800;&#x110000;&#99999999999999999999;", "\ufffd\ufffd\ufffd\ufffd"},
        {"a&nbsp;&#160;&#xa0; b&#10;c&Tab;d", "a b c d"},
        {"&lt b &amp c &copy 2026", "< b & c \u00a9 2026"},
        {"AT&T, R&D; a && b & c", "AT&T, R&D; a && b & c"},
        {"?a=1&region=2&lt=3&copy=4&amp;x=5", "?a=1&region=2&lt=3&copy=4&x=5"},
        {"&unknown; &; &#; &#x; &#xg; &", "&unknown; &; &#; &#x; &#xg; &"},
        {"&Amp; &hellip", "&Amp; &hellip"},
        {"&lt;script&gt;x&lt;/script&gt;", "<script>x</script>"},
    };
    for (const pair &one : pairs)
        test_eq_text(html_text(one.html), one.text);
}

static void text_becomes_utf8(void **)
{
    struct encoded {
        const char *type;
        std::string_view body;
        const char *text;
    };
    static constexpr encoded all[] = {
        {"text/plain; charset=iso-8859-1", "caf\xe9", "caf\u00e9"},
        {"text/plain;charset=\"ISO-8859-1\"; x=y", "caf\xe9", "caf\u00e9"},
        {"text/plain; format=flowed; Charset=windows-1252", "\x93x\x94 \x80", "\u201cx\u201d \u20ac"},
        {"text/plain; charset=utf-8", "caf\xc3\xa9", "caf\u00e9"},
        {"text/plain; charset=us-ascii", "caf\xc3\xa9", "caf\u00e9"},
        {"text/plain", "caf\xc3\xa9", "caf\u00e9"},
        {"text/plain", "caf\xe9", "caf\u00e9"},
        {"", "\xef\xbb\xbftext", "text"},
        {"text/plain; charset=utf-16le", {"o\0o\0p\0s\0", 8}, "oops"},
        {"text/plain",
            {"\xff\xfe"
             "o\0o\0p\0s\0",
                10},
            "oops"},
        {"text/plain; charset=utf-16", {"\xfe\xff\0o\0o", 6}, "oo"},
        {"text/plain; charset=no-such-thing", "plain", "plain"},
        {"text/plain; charset=../../x", "plain", "plain"},
        {"text/plain; charset=", "plain", "plain"},
        {"text/html; charset=iso-8859-1", "<p>caf\xe9 &eacute;</p>", "caf\u00e9 \u00e9"},
        {"text/html", "<html><meta charset=\"iso-8859-15\"><p>\xa4</p>", "\u20ac"},
        {"text/html", "<html><meta http-equiv=\"Content-Type\" content=\"text/html; charset=iso-8859-15\"><p>\xa4</p>", "\u20ac"},
        {"text/plain; note=\"html\"", "<p>stays</p>", "<p>stays</p>"},
    };
    for (const encoded &one : all)
        test_eq_text(pod_error_text(500, one.type, "", one.body), one.text);
    // A character that the limit cuts through is omitted.
    std::string long_text(pod_error_text_max - 1, 'x');
    test_eq_text(pod_error_text(500, "", "", long_text + "\xc3"), long_text);
}

static void a_coding_is_believed_where_it_fits(void **)
{
    static const std::string text = "cannot decode picture";
    static constexpr int gzip = 15 + 16;
    test_eq_text(pod_error_text(500, "", "gzip", "no gzip at all"), "no gzip at all");
    test_eq_text(pod_error_text(500, "", "deflate", text), text);
    test_eq_text(pod_error_text(500, "", "br", text), text);
    test_eq_text(pod_error_text(500, "", "utf-8", text), text);
    test_eq_text(pod_error_text(500, "", "aws-chunked", text), text);
    test_eq_text(pod_error_text(500, "", "gzip, identity", packed(text, gzip)), text);
    test_eq_text(pod_error_text(500, "", "identity,gzip", packed(text, gzip)), text);
    test_eq_text(pod_error_text(500, "", "gzip, gzip", packed(packed(text, gzip), gzip)), text);
    test_eq_text(pod_error_text(500, "", "deflate, gzip", packed(packed(text, 15), gzip)), text);
    test_eq_text(pod_error_text(500, "", "gzip, ,", packed(text, gzip)), text);
    test_eq_text(pod_error_text(500, "text/plain; charset=iso-8859-1", "gzip", packed("caf\xe9", gzip)), "caf\u00e9");
    test_eq_text(pod_error_text(500, "", "gzip, br", packed(text, gzip)),
        "the pod answered 500 Internal Server Error; its text is encoded as gzip, br");
    test_eq_text(pod_error_text(500, "", "gzip", std::string_view("\x01\x02\x03\x04\0", 5)),
        "the pod answered 500 Internal Server Error; its text says that it is encoded as gzip, and is not");
    test_eq_text(pod_error_text(500, "", "gzip, gzip, gzip, gzip, gzip", packed(text, gzip)),
        "the pod answered 500 Internal Server Error; its text is encoded as gzip, gzip, gzip, gzip, gzip");
}

static void a_status_without_a_name_is_a_number(void **)
{
    test_eq_text(pod_error_text(418, "", "", ""), "the pod answered 418 without a text");
    test_eq_text(pod_error_text(599, "", "", ""), "the pod answered 599 without a text");
    test_eq_text(pod_error_text(451, "", "", ""), "the pod answered 451 Unavailable For Legal Reasons without a text");
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_stays),
        cmocka_unit_test(control_characters_become_spaces),
        cmocka_unit_test(nothing_is_said_as_the_status),
        cmocka_unit_test(compressed_text_is_unpacked),
        cmocka_unit_test(what_cannot_be_unpacked_is_named),
        cmocka_unit_test(what_is_cut_short_gives_what_there_is),
        cmocka_unit_test(html_becomes_text),
        cmocka_unit_test(what_is_no_tag_is_text),
        cmocka_unit_test(character_references_are_read_as_browsers_do),
        cmocka_unit_test(text_becomes_utf8),
        cmocka_unit_test(a_coding_is_believed_where_it_fits),
        cmocka_unit_test(a_status_without_a_name_is_a_number),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
