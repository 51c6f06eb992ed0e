// SPDX-License-Identifier: MIT
// store/content_sums.h: computes the sums of a content's blocks while its bytes pass by, in order and in pieces of any size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <xxhash.h>

namespace etlnode {

struct content_sums {
    std::vector<uint64_t> done; // of complete blocks; after content_sums_end also of the last one
    size_t filled = 0;          // bytes of the incomplete block
    XXH3_state_t *state = nullptr;

    content_sums() = default;
    content_sums(const content_sums &) = delete;
    content_sums &operator=(const content_sums &) = delete;
    ~content_sums() { XXH3_freeState(state); }
};

void content_sums_add(content_sums &sums, const char *bytes, size_t size);
void content_sums_end(content_sums &sums);
// The number of sums of a content of `size` bytes.
uint64_t content_sums_count(uint64_t size);

} // namespace etlnode
