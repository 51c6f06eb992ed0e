// SPDX-License-Identifier: MIT
// etlctl/format.h: numbers, times and names as people read them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace etlnode::etlctl {

// 0 -> "0B", 1536 -> "1.5KiB", 64 MiB -> "64.0MiB".
std::string format_size(uint64_t bytes);
// Seconds: 3 -> "3s", 62 -> "1m02s", 3725 -> "1h02m", two days -> "2d0h".
std::string format_seconds(uint64_t seconds);
// Nanoseconds since 1970 -> "2026-08-21T10:11:12.345Z" (UTC, milliseconds; none when zero). Range: years 1970 to 2554.
std::string format_time_ns(uint64_t unix_ns);
// What the server sent as a time: decimal nanoseconds and HTTP's dates become RFC 3339, other text stays, "" and "0" are "".
std::string format_time_text(std::string_view text);
// A name in a table: as it is when it is printable UTF-8 without spaces at its ends, else in quotes with \xNN and \uNNNN escapes.
std::string format_cell(std::string_view text);
// For error texts: control bytes but newline and tab become \xNN, and what steers the writing direction \uNNNN, so a server cannot drive the terminal.
std::string format_message(std::string_view text);
// Columns that a UTF-8 text takes on a terminal: wide characters two, combining ones none.
size_t format_width(std::string_view text);

struct progress_state {
    std::string_view what; // "shard.in"
    uint64_t objects_done = 0;
    uint64_t objects_total = 1;
    uint64_t bytes_done = 0;
    uint64_t bytes_total = 0; // 0: unknown
    uint64_t elapsed_ms = 0;
};
// "shard.in  0/1 objects  12.5MiB of 100.0MiB (12%)  6.2MiB/s  14s left"
std::string format_progress(const progress_state &state);
// Seconds to go at the average rate so far; false while that cannot be told.
bool progress_eta_s(const progress_state &state, uint64_t &out_seconds);

} // namespace etlnode::etlctl
