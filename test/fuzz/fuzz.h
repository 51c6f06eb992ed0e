// SPDX-License-Identifier: MIT
// test/fuzz/fuzz.h: shared by the fuzz targets: their form, a check that is on in every build, and choices drawn from the input.
//
// A target is one file with FUZZ_TARGET(name) { ... } and a row in targets.def. Together they are one program, etlnode-fuzz, which gets the
// target's name. clang links it with libFuzzer (make fuzz); every other build links it with fuzz_main.cc, which runs the committed corpus.
// Input files contain only the text under test. If a target needs choices (how to cut the input into pieces), it draws them from a hash of
// the text, so that a file reproduces what it once found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "base/rng.h"

namespace etlnode {

// Tests `text`, which is followed by no readable byte. Aborts if a promise is broken.
#define FUZZ_TARGET(name) void fuzz_target_##name(std::string_view text)

struct fuzz_target {
    std::string_view name;
    size_t mutations; // of each file of the corpus, in `make test`
    void (*run)(std::string_view text);
};
// Null, with a line on standard error, if there is no target with that name.
const fuzz_target *fuzz_find_target(std::string_view name);

[[noreturn]] inline void fuzz_failed(const char *what, const char *file, int line)
{
    std::fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    std::abort();
}
#define FUZZ_CHECK(cond) ((cond) ? (void)0 : fuzz_failed(#cond, __FILE__, __LINE__))

// Shows both texts if they differ.
inline void fuzz_check_same(std::string_view a, std::string_view b, const char *file, int line)
{
    if (a == b)
        return;
    std::fprintf(stderr, "one: %.*s\ntwo: %.*s\n", static_cast<int>(a.size()), a.data(), static_cast<int>(b.size()), b.data());
    fuzz_failed("the two texts are the same", file, line);
}
#define FUZZ_SAME(a, b) fuzz_check_same((a), (b), __FILE__, __LINE__)

// FNV-1a.
inline rng fuzz_rng(std::string_view text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (char c : text)
        hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
    return rng{hash};
}

// A copy of exactly this size on the heap, so that a sanitizer detects a read of even one byte beyond it.
struct fuzz_exact {
    std::unique_ptr<char[]> bytes;
    size_t size = 0;

    explicit fuzz_exact(std::string_view text) : bytes(new char[text.size()]), size(text.size())
    {
        if (size > 0)
            std::memcpy(bytes.get(), text.data(), size);
    }
    std::string_view view() const { return {bytes.get(), size}; }
};

// -0 and 0 are the same number, and nothing promises which of the two is printed.
inline std::string fuzz_without_minus_zero(std::string text)
{
    for (size_t at = text.find("-0"); at != std::string::npos; at = text.find("-0", at + 1)) {
        bool is_value = at > 0 && (text[at - 1] == ':' || text[at - 1] == ',' || text[at - 1] == '[');
        if (is_value && at + 2 < text.size() && (text[at + 2] == ',' || text[at + 2] == '}' || text[at + 2] == ']'))
            text.erase(at, 1);
    }
    return text;
}

// Size of the next piece of `left` bytes: often tiny, sometimes all of it. Requires: left > 0.
inline size_t fuzz_piece(rng &r, size_t left)
{
    size_t size = left;
    switch (rng_below(r, 4)) {
    case 0: size = 1; break;
    case 1: size = 1 + static_cast<size_t>(rng_below(r, 4)); break;
    case 2: size = 1 + static_cast<size_t>(rng_below(r, left)); break;
    default: break;
    }
    return size < left ? size : left;
}

} // namespace etlnode
