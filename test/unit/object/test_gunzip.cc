// SPDX-License-Identifier: MIT
// test of object/gunzip: streams in pieces of any size, their checksums, and what may follow them.
#include "node_test.h"

#include <zlib.h>

#include "base/limits.h"
#include "object/gunzip.h"

using namespace etlnode;

static std::string gzip(const std::string &text)
{
    z_stream z = {};
    test_eq(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    std::string out(deflateBound(&z, text.size()), '\0');
    z.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(text.data()));
    z.avail_in = static_cast<uInt>(text.size());
    z.next_out = reinterpret_cast<Bytef *>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    test_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.resize(z.total_out);
    deflateEnd(&z);
    return out;
}

// What comes of it, and how it ends.
static std::string unpack(const std::string &packed, size_t piece)
{
    gunzip *g = gunzip_make();
    std::string out, end;
    std::string_view in;
    for (size_t at = 0; end.empty();) {
        std::string_view bytes;
        switch (gunzip_pull(*g, in, bytes)) {
        case gunzip_state::bytes: out += bytes; break;
        case gunzip_state::ended: end = " ended"; break;
        case gunzip_state::damaged: end = " damaged"; break;
        case gunzip_state::hungry:
            test_true(in.empty());
            if (at == packed.size())
                end = gunzip_may_end(*g) ? " ended" : " cut";
            in = std::string_view(packed).substr(at, piece);
            at += in.size();
            break;
        }
    }
    gunzip_free(g);
    return out + end;
}

static void streams_are_unpacked(void **)
{
    std::string large(3 * put_buffer_size + 5, 'x');
    for (size_t piece : {size_t(1), size_t(7), size_t(1) << 20}) {
        test_eq_text(unpack(gzip("some text"), piece), "some text ended");
        test_eq_text(unpack(gzip(""), piece), " ended");
        test_eq_text(unpack(gzip("one ") + gzip("") + gzip("two"), piece), "one two ended");
        test_eq_text(unpack(gzip("one") + std::string(700, '\0'), piece), "one ended");
        test_true(unpack(gzip(large), piece) == large + " ended");
    }
    test_true(gunzip_is_gzip(gzip("")));
    test_false(gunzip_is_gzip("\x1f"));
    gunzip_free(nullptr);
}

static void damage_is_found(void **)
{
    std::string good = gzip("some text");
    for (size_t piece : {size_t(1), size_t(1) << 20}) {
        for (size_t back = 1; back <= 8; back++) { // checksum and length
            std::string bad = good;
            bad[bad.size() - back] ^= 1;
            test_has_text(unpack(bad, piece), " damaged");
        }
        for (size_t size = 1; size < good.size(); size++)
            test_has_text(unpack(good.substr(0, size), piece), " cut");
        test_has_text(unpack(good + gzip("more").substr(0, 12), piece), " cut");
    }
}

int main()
{
    const CMUnitTest tests[] = {cmocka_unit_test(streams_are_unpacked), cmocka_unit_test(damage_is_found)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
