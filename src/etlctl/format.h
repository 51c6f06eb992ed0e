// SPDX-License-Identifier: MIT
// etlctl/format.h: numbers, times and names in readable form. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace etlnode::etlctl {

// 0 -> "0B", 1536 -> "1.5KiB", 64 MiB -> "64.0MiB".
std::string format_size(uint64_t bytes);
// Seconds: 3 -> "3s", 62 -> "1m02s", 3725 -> "1h02m", two days -> "2d0h".
std::string format_seconds(uint64_t seconds);
// 12345 -> "12,345".
std::string format_count(uint64_t count);
// Seconds since 1970 as local time: "14:03:11", or "2026-08-21 14:03:11" if that is another day than `now_s`.
std::string format_clock(uint64_t unix_s, uint64_t now_s);
// Nanoseconds since 1970 -> "2026-08-21T10:11:12.345Z" (UTC; milliseconds are left out when zero). Range: years 1970 to 2554.
std::string format_time_ns(uint64_t unix_ns);
// Formats a time from the server: decimal nanoseconds and HTTP dates become RFC 3339, other texts stay, "" and "0" become "".
std::string format_time_text(std::string_view text);
// A name in a table: unchanged if it is printable UTF-8 without leading or trailing spaces, otherwise quoted with \xNN and \uNNNN escapes.
std::string format_cell(std::string_view text);
// For error texts, so that a server cannot control the terminal: control bytes except newline and tab become \xNN; characters that change
// the writing direction become \uNNNN.
std::string format_message(std::string_view text);
// The columns that a UTF-8 text takes on a terminal: two for a wide character, none for a combining one.
size_t format_width(std::string_view text);

struct progress_state {
    std::string_view what; // "shard.in"
    uint64_t objects_done = 0;
    uint64_t objects_total = 1; // 0: unknown
    uint64_t objects_failed = 0;
    uint64_t bytes_done = 0;
    uint64_t bytes_total = 0; // 0: unknown
    uint64_t elapsed_ms = 0;
    std::string_view waiting = {}; // why nothing moves; empty: it moves
};
// "shard.in  0/1 objects  12.5MiB of 100.0MiB (12%)  6.2MiB/s  14s left"
std::string format_progress(const progress_state &state);
// Seconds left at the average rate so far; false if that is not yet known.
bool progress_eta_s(const progress_state &state, uint64_t &out_seconds);

} // namespace etlnode::etlctl
