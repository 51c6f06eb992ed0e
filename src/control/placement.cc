// SPDX-License-Identifier: MIT
// control/placement.cc: highest random weight over digests. Pure. It agrees bit by bit with AIStore's clients, which also place objects.
#include "control/placement.h"

#include <algorithm>
#include <bit>

#include <xxhash.h>

#include "base/limits.h"

namespace etlnode {

uint64_t placement_digest(std::string_view bytes) { return XXH64(bytes.data(), bytes.size(), placement_seed); }

// Two steps of SplitMix64 from state x seed the generator xoshiro256**; its scrambler of the second word is the result.
uint64_t placement_mix(uint64_t x)
{
    constexpr uint64_t golden = 0x9e3779b97f4a7c15ull;
    constexpr uint64_t first = 0xbf58476d1ce4e5b9ull;
    constexpr uint64_t second = 0x94d049bb133111ebull;
    uint64_t z = x + golden;
    z = (z ^ (z >> 30)) * first;
    z = (z ^ (z >> 27)) * second;
    z = (z ^ (z >> 31)) + golden;
    z = (z ^ (z >> 30)) * first;
    z = (z ^ (z >> 27)) * second;
    z = (z ^ (z >> 31)) * 5;
    return std::rotl(z, 7) * 9;
}

std::string placement_uname(std::string_view bucket, std::string_view object)
{
    std::string uname;
    uname.reserve(placement_uname_prefix.size() + bucket.size() + 1 + object.size());
    uname += placement_uname_prefix;
    uname += bucket;
    uname += '/';
    uname += object;
    return uname;
}

uint64_t placement_uname_digest(std::string_view bucket, std::string_view object)
{
    char bytes[placement_uname_prefix.size() + bucket_name_size_max + 1 + object_name_size_max];
    size_t size = placement_uname_prefix.size() + bucket.size() + 1 + object.size();
    if (size > sizeof bytes)
        return placement_digest(placement_uname(bucket, object)); // such a name is refused elsewhere, but its digest is still defined
    char *end = std::copy(placement_uname_prefix.begin(), placement_uname_prefix.end(), bytes);
    end = std::copy(bucket.begin(), bucket.end(), end);
    *end++ = '/';
    std::copy(object.begin(), object.end(), end);
    return placement_digest({bytes, size});
}

size_t placement_choose(uint64_t uname_digest, std::span<const uint64_t> node_digests, std::span<const bool> skip)
{
    size_t chosen = SIZE_MAX;
    uint64_t chosen_weight = 0;
    for (size_t i = 0; i < node_digests.size(); i++) {
        if (i < skip.size() && skip[i])
            continue;
        uint64_t weight = placement_weight(uname_digest, node_digests[i]);
        if (chosen == SIZE_MAX || weight > chosen_weight) {
            chosen = i;
            chosen_weight = weight;
        }
    }
    return chosen;
}

} // namespace etlnode
