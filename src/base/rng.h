// SPDX-License-Identifier: MIT
// base/rng.h: the only source of randomness in the program. It is seeded, so that the simulator can repeat a run.
#pragma once

#include <cstdint>
#include <string>

namespace etlnode {

// Not for secrets: the daemon seeds it from the kernel, but secrets use rng_secret, whose source the env chooses.
struct rng {
    uint64_t state = 1;
};

// SplitMix64.
inline uint64_t rng_next(rng &r)
{
    uint64_t z = (r.state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

// 0 .. bound-1. Requires: bound > 0.
inline uint64_t rng_below(rng &r, uint64_t bound) { return rng_next(r) % bound; }

// `size` characters drawn from `alphabet`.
inline std::string rng_text(rng &r, const char *alphabet, size_t alphabet_size, size_t size)
{
    std::string out(size, '\0');
    for (char &c : out)
        c = alphabet[rng_below(r, alphabet_size)];
    return out;
}

} // namespace etlnode
