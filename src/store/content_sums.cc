// SPDX-License-Identifier: MIT
// store/content_sums.cc: XXH3 (64 bits, seed 0) of blocks of content_block_size bytes.
#include "store/content_sums.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"

namespace etlnode {

static void begin_block(content_sums &sums)
{
    if (sums.state == nullptr)
        sums.state = XXH3_createState();
    CHECK(sums.state != nullptr);
    XXH3_64bits_reset(sums.state);
}

static void end_block(content_sums &sums)
{
    sums.done.push_back(XXH3_64bits_digest(sums.state));
    sums.filled = 0;
}

void content_sums_add(content_sums &sums, const char *bytes, size_t size)
{
    while (size > 0) {
        size_t count = std::min(size, content_block_size - sums.filled);
        if (count == content_block_size) {
            sums.done.push_back(XXH3_64bits(bytes, count)); // the usual case, because uploads arrive in pieces of one block
        } else {
            if (sums.filled == 0)
                begin_block(sums);
            XXH3_64bits_update(sums.state, bytes, count);
            sums.filled += count;
            if (sums.filled == content_block_size)
                end_block(sums);
        }
        bytes += count;
        size -= count;
    }
}

void content_sums_end(content_sums &sums)
{
    if (sums.filled > 0)
        end_block(sums);
}

uint64_t content_sums_count(uint64_t size) { return size / content_block_size + (size % content_block_size != 0 ? 1 : 0); }

} // namespace etlnode
