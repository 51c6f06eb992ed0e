// SPDX-License-Identifier: MIT
// test/bench/load_numbers.h: latencies, counts and the clock of the load generator.
#pragma once

#include <algorithm>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <map>
#include <string>
#include <vector>

inline constexpr uint64_t second_ns = 1'000'000'000;

// Latencies in buckets of 1/64 relative width, from 1 µs to hours.
struct histogram {
    std::vector<uint64_t> buckets = std::vector<uint64_t>(64 * 40);
    uint64_t count = 0;
    uint64_t max_us = 0;
};

inline size_t bucket_of(uint64_t us)
{
    if (us < 64)
        return us;
    unsigned shift = 63u - static_cast<unsigned>(__builtin_clzll(us)) - 6u;
    return 64 * (shift + 1) + static_cast<size_t>((us >> shift) - 64);
}

inline uint64_t bucket_value(size_t bucket)
{
    if (bucket < 64)
        return bucket;
    size_t shift = bucket / 64 - 1;
    return (64 + bucket % 64 + 1) << shift; // the upper bound, so that results are never too good
}

inline void histogram_add(histogram &h, uint64_t us)
{
    h.buckets[std::min(bucket_of(us), h.buckets.size() - 1)]++;
    h.count++;
    h.max_us = std::max(h.max_us, us);
}

inline uint64_t histogram_at(const histogram &h, double share)
{
    uint64_t wanted = static_cast<uint64_t>(static_cast<double>(h.count) * share);
    uint64_t seen = 0;
    for (size_t i = 0; i < h.buckets.size(); i++) {
        seen += h.buckets[i];
        if (seen > wanted)
            return std::min(bucket_value(i), h.max_us);
    }
    return h.max_us;
}

inline std::string format(const char *pattern, ...) __attribute__((format(printf, 1, 2)));
inline std::string format(const char *pattern, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, pattern);
    int size = vsnprintf(text, sizeof text, pattern, arguments);
    va_end(arguments);
    return std::string(text, size > 0 ? std::min(static_cast<size_t>(size), sizeof text - 1) : 0);
}

inline std::string histogram_json(const histogram &h)
{
    auto ms = [&](double share) { return static_cast<double>(histogram_at(h, share)) / 1000; };
    return format("{\"count\":%llu,\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"max_ms\":%.3f}",
        static_cast<unsigned long long>(h.count), ms(0.5), ms(0.9), ms(0.99), ms(0.999), static_cast<double>(h.max_us) / 1000);
}

inline std::string counts_json(const std::map<std::string, uint64_t> &counts)
{
    std::string out = "{";
    for (const auto &[name, count] : counts)
        out += format("%s\"%s\":%llu", out.size() > 1 ? "," : "", name.c_str(), static_cast<unsigned long long>(count));
    return out + "}";
}

inline uint64_t now_ns()
{
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * second_ns + static_cast<uint64_t>(now.tv_nsec);
}
