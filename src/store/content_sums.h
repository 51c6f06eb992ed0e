// SPDX-License-Identifier: MIT
// store/content_sums.h: the sums of a content's blocks, made while its bytes pass by, in order and in pieces of any size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <xxhash.h>

namespace etlnode {

struct content_sums {
    std::vector<uint64_t> done; // of whole blocks; after content_sums_end, of the last one, too
    size_t filled = 0;          // bytes of the block that is not done
    XXH3_state_t *state = nullptr;

    content_sums() = default;
    content_sums(const content_sums &) = delete;
    content_sums &operator=(const content_sums &) = delete;
    ~content_sums() { XXH3_freeState(state); }
};

void content_sums_add(content_sums &sums, const char *bytes, size_t size);
void content_sums_end(content_sums &sums);
// How many sums a content of `size` bytes has.
uint64_t content_sums_count(uint64_t size);

} // namespace etlnode
