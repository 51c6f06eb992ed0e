// SPDX-License-Identifier: MIT
// object/gunzip.cc: unpacks gzip with zlib, which compares checksum and length at the end of each stream.
//
// Owns     the state of zlib, a buffer.
// Knows    zlib.        Known by  archive_reader.cc.
// Fails    with damaged, when the damage is reached: bytes before it were given.
#include "object/gunzip.h"

#include <memory>

#include <zlib.h>

#include "base/check.h"
#include "base/limits.h"

namespace etlnode {

struct gunzip {
    z_stream z = {};
    std::unique_ptr<char[]> out;
    bool is_between = false; // streams
    bool is_over = false;
};

static constexpr int gzip_only = 15 + 16;
static constexpr std::string_view magic = "\x1f\x8b";

gunzip *gunzip_make()
{
    auto *g = new gunzip;
    CHECK(inflateInit2(&g->z, gzip_only) == Z_OK);
    g->out = std::make_unique_for_overwrite<char[]>(put_buffer_size);
    return g;
}

void gunzip_free(gunzip *g)
{
    if (g != nullptr)
        inflateEnd(&g->z);
    delete g;
}

bool gunzip_is_gzip(std::string_view begin) { return begin.starts_with(magic); }
bool gunzip_may_end(const gunzip &g) { return g.is_between || g.is_over; }

gunzip_state gunzip_pull(gunzip &g, std::string_view &in, std::string_view &out_bytes)
{
    for (;;) {
        if (!g.is_over && in.empty() && g.z.avail_out != 0)
            return gunzip_state::hungry;
        if (g.is_between && in.front() != magic.front())
            g.is_over = true;
        if (g.is_over)
            return gunzip_state::ended;
        g.is_between = false;
        g.z.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(in.data()));
        g.z.avail_in = static_cast<uInt>(in.size());
        g.z.next_out = reinterpret_cast<Bytef *>(g.out.get());
        g.z.avail_out = static_cast<uInt>(put_buffer_size);
        int got = inflate(&g.z, Z_NO_FLUSH);
        in.remove_prefix(in.size() - g.z.avail_in);
        out_bytes = {g.out.get(), put_buffer_size - g.z.avail_out};
        if (got == Z_STREAM_END) {
            g.is_between = true;
            inflateReset(&g.z);
            g.z.avail_out = 1; // nothing is left in there
        } else if (got != Z_OK && got != Z_BUF_ERROR) {
            return gunzip_state::damaged;
        }
        if (!out_bytes.empty())
            return gunzip_state::bytes;
    }
}

} // namespace etlnode
