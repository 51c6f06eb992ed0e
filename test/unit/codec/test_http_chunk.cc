// SPDX-License-Identifier: MIT
// test/unit/codec/test_http_chunk.cc: chunked bodies, cut at every position, and those that must be refused.
#include <vector>

#include "node_test.h"

#include "codec/http_parse.h"

using namespace etlnode;

using namespace std::string_view_literals;

// Feeds `bytes` in pieces of at most `first`, then `step` bytes. Returns the body; `out_used` counts consumed bytes.
static std::string decode(std::string_view bytes, size_t first, size_t step, bool &out_done, bool &out_failed, size_t &out_used)
{
    http_chunk_decoder_ptr decoder = http_chunk_decoder_make();
    std::string body;
    out_done = out_failed = false;
    out_used = 0;
    size_t piece = first;
    while (out_used < bytes.size() && !out_done && !out_failed) {
        // Make an exact copy, so that the address sanitizer detects any access beyond it.
        std::vector<char> copy(bytes.begin() + static_cast<ptrdiff_t>(out_used),
            bytes.begin() + static_cast<ptrdiff_t>(out_used + std::min(piece, bytes.size() - out_used)));
        http_chunk_result result = http_chunk_decode(*decoder, copy.data(), copy.size());
        out_failed = static_cast<bool>(result.err);
        out_done = result.done;
        body.append(copy.data(), result.decoded);
        if (!out_failed && !out_done && result.consumed != copy.size())
            test_fail("bytes left over in the middle of a body");
        out_used += result.consumed;
        piece = step;
    }
    return body;
}

static constexpr std::string_view chunked =
    "5\r\nhello\r\n1 ; name=value;other=\"q;\"\r\n \r\n006\r\nworld!\r\n10\r\n0\r\n\r\n1\r\n\0\x01\x02\x03\x04\x05\x06\x07\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n"sv;
static constexpr std::string_view chunked_body = "hello world!0\r\n\r\n1\r\n\0\x01\x02\x03\x04\x05\x06\x07"sv;

static void chunks_are_decoded_at_every_split(void **)
{
    bool done, failed;
    size_t used;
    std::string stream = std::string(chunked) + "GET /next HTTP/1.1\r\n\r\n";
    for (size_t first = 1; first <= stream.size(); first++) {
        std::string body = decode(stream, first, stream.size(), done, failed, used);
        test_true(done);
        test_false(failed);
        test_eq(used, chunked.size());
        test_eq_text(body, chunked_body);
    }
    for (size_t step = 1; step < 20; step++) {
        test_eq_text(decode(stream, step, step, done, failed, used), chunked_body);
        test_true(done);
        test_eq(used, chunked.size());
    }
}

// What is left of a chunk may be read without the decoder, in any parts.
static void data_may_be_skipped(void **)
{
    for (size_t part = 1; part <= 6; part++) {
        http_chunk_decoder_ptr decoder = http_chunk_decoder_make();
        test_eq(http_chunk_data_left(*decoder), 0u);
        char head[] = "7\r\na";
        http_chunk_result result = http_chunk_decode(*decoder, head, sizeof head - 1);
        test_eq(result.decoded, 1u);
        test_eq(http_chunk_data_left(*decoder), 6u);
        for (size_t left = 6; left > 0; left -= std::min(part, left)) {
            test_eq(http_chunk_data_left(*decoder), left);
            http_chunk_skip_data(*decoder, std::min(part, left));
        }
        test_eq(http_chunk_data_left(*decoder), 0u);
        char rest[] = "\r\n1\r\nb\r\n0\r\n\r\n";
        result = http_chunk_decode(*decoder, rest, sizeof rest - 1);
        test_ok(result.err);
        test_true(result.done);
        test_eq(result.decoded, 1u);
        test_eq(rest[0], 'b');
        test_eq(http_chunk_data_left(*decoder), 0u);
    }
}

static void every_prefix_is_incomplete(void **)
{
    bool done, failed;
    size_t used;
    for (size_t size = 0; size < chunked.size(); size++) {
        std::string body = decode(chunked.substr(0, size), size + 1, 1, done, failed, used);
        test_false(done);
        test_false(failed);
        test_eq(used, size);
        test_true(chunked_body.starts_with(body));
    }
}

static void empty_bodies_and_repeated_calls(void **)
{
    http_chunk_decoder_ptr decoder = http_chunk_decoder_make();
    char bytes[] = "0\r\n\r\nmore";
    http_chunk_result result = http_chunk_decode(*decoder, bytes, sizeof bytes - 1);
    test_ok(result.err);
    test_true(result.done);
    test_eq(result.consumed, 5u);
    test_eq(result.decoded, 0u);
    result = http_chunk_decode(*decoder, bytes + 5, 4);
    test_true(result.done);
    test_eq(result.consumed, 0u);
    decoder = http_chunk_decoder_make();
    result = http_chunk_decode(*decoder, bytes, 0);
    test_false(result.done);
    test_ok(result.err);
}

static void bad_chunks_are_refused(void **)
{
    static constexpr std::string_view cases[] = {
        "g\r\nx\r\n0\r\n\r\n",
        "-1\r\nx\r\n0\r\n\r\n",
        "+1\r\nx\r\n0\r\n\r\n",
        "0x1\r\nx\r\n0\r\n\r\n",
        " 1\r\nx\r\n0\r\n\r\n",
        "\r\n0\r\n\r\n",
        ";a\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5\r\nhello\r\n0\r\n\rx",
        "5\r\nhello\r\n0\r\nA: b\n\r\n",
        "5\r\nhello\r\n0\r\nA: b\rc\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;\x01\r\nhello\r\n0\r\n\r\n",
        "5;a\0\r\nhello\r\n0\r\n\r\n"sv,
        "10000000000000000\r\nx\r\n",
        "ffffffffffffffff\r\nx\r\n",
        "8000000000000000\r\nx\r\n",
        "fffffffffffffffff\r\nx\r\n",
        "5\r\nhello\r\n0\r\nno colon\r\n\r\n",
        "5\r\nhello\r\n0\r\nA : b\r\n\r\n",
        "5\r\nhello\r\n0\r\n A: b\r\n\r\n",
        "5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n",
        "5\r\nhello\r\n0\r\n: b\r\n\r\n",
        "5\r\nhello\r\n0\r\nA: \x7f\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "5\thello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
    };
    for (std::string_view bytes : cases) {
        for (size_t step : {size_t{1}, size_t{3}, bytes.size()}) {
            bool done, failed;
            size_t used;
            decode(bytes, step, step, done, failed, used);
            if (!failed)
                test_fail("accepted: %s (step %zu)", bytes.data(), step);
        }
    }
}

static void a_broken_decoder_stays_broken(void **)
{
    http_chunk_decoder_ptr decoder = http_chunk_decoder_make();
    char bad[] = "x\r\n";
    char good[] = "0\r\n\r\n";
    http_chunk_result result = http_chunk_decode(*decoder, bad, 3);
    test_eq_enum(result.err.code, error_code::bad_request);
    test_has_text(error_text(result.err), "chunk size");
    result = http_chunk_decode(*decoder, good, 5);
    test_eq_enum(result.err.code, error_code::bad_request);
    test_false(result.done);
}

static void framing_is_bounded(void **)
{
    bool done, failed;
    size_t used;
    std::string just = "5;" + std::string(http_chunk_line_size_max / 2, 'e') + "\r\nhello\r\n0\r\n\r\n";
    test_eq_text(decode(just, 7, 100, done, failed, used), "hello");
    test_true(done);
    decode("5;" + std::string(http_chunk_line_size_max, 'e') + "\r\nhello\r\n0\r\n\r\n", 100, 100, done, failed, used);
    test_true(failed);
    decode(std::string(http_chunk_line_size_max + 10, '0') + "5\r\nhello\r\n0\r\n\r\n", 100, 100, done, failed, used);
    test_true(failed);
    std::string trailers = "0\r\n";
    while (trailers.size() + 20 < http_trailer_size_max)
        trailers += "trailer: x\r\n";
    decode(trailers + "\r\n", 64, 64, done, failed, used);
    test_true(done);
    for (int i = 0; i < 3; i++)
        trailers += "trailer: x\r\n";
    decode(trailers, 64, 64, done, failed, used);
    test_true(failed);
    decode("0\r\na: " + std::string(http_trailer_size_max, 'b'), 4096, 4096, done, failed, used);
    test_true(failed);
}

static void a_large_chunk_passes_without_copies_going_wrong(void **)
{
    std::string data(200'000, '\0');
    for (size_t i = 0; i < data.size(); i++)
        data[i] = static_cast<char>(i * 7 + i / 251);
    std::string stream = "30d40\r\n" + data + "\r\n1\r\nx\r\n0\r\n\r\n";
    bool done, failed;
    size_t used;
    test_true(decode(stream, 65'536, 65'536, done, failed, used) == data + "x");
    test_true(done);
    test_true(decode(stream, stream.size(), 1, done, failed, used) == data + "x");
    test_true(done);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_decoded_at_every_split),
        cmocka_unit_test(data_may_be_skipped),
        cmocka_unit_test(every_prefix_is_incomplete),
        cmocka_unit_test(empty_bodies_and_repeated_calls),
        cmocka_unit_test(bad_chunks_are_refused),
        cmocka_unit_test(a_broken_decoder_stays_broken),
        cmocka_unit_test(framing_is_bounded),
        cmocka_unit_test(a_large_chunk_passes_without_copies_going_wrong),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
