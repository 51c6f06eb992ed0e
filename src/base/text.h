// SPDX-License-Identifier: MIT
// base/text.h: text helpers: numbers, durations, escapes, similar names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace etlnode {

// printf into a new string. The size is bounded only by the arguments: for cold code.
[[gnu::format(printf, 1, 2)]] std::string text_format(const char *format, ...);

// 16 hex digits.
std::string text_hex(uint64_t value);

// -1 if `c` is not a hex digit.
inline int text_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

// Whole-string parses; false on empty input, sign, garbage or overflow.
bool text_parse_u64(std::string_view text, uint64_t &out_value);
bool text_parse_hex_u64(std::string_view text, uint64_t &out_value);

// A Go duration ("1m", "1h15m30.5s", "300ms"); a bare number other than "0" is refused, as Go does. Result in milliseconds,
// rounded up; negative durations are refused.
bool text_parse_duration_ms(std::string_view text, uint64_t &out_ms);
// Go's own form: 60000 -> "1m0s", 1500 -> "1.5s", 0 -> "0s".
std::string text_duration(uint64_t ms);

// AIStore's booleans: true/True/1/t/y/yes/on, anything else false.
bool text_is_true(std::string_view text);

bool text_equal_ignore_case(std::string_view a, std::string_view b); // ASCII only
std::string text_lower(std::string_view text);                       // ASCII only
std::string_view text_trim(std::string_view text);                   // space and tab
size_t text_utf8_size(std::string_view text);                        // bytes of the first character; 0 if the text is empty or not UTF-8
bool text_is_utf8(std::string_view text);                            // strict: no surrogates, no overlong forms

// Not longer than `max` bytes and "...", and not cut inside a character.
std::string text_cut(std::string text, size_t max);

// "1 byte", "2 bytes".
std::string text_bytes(uint64_t count);
// Bytes a second, greater than 0: "50MiB", "50M", "50MiB/s", "1000000". Units are powers of 1024.
bool text_parse_rate(std::string_view text, uint64_t &out_rate);
// With a space in place of each control character (U+0000 to U+001F except tab and ends of line, U+007F to U+009F), for texts that
// others wrote. Requires: UTF-8.
// CR LF and CR become LF.
std::string text_without_controls(std::string_view text);

// Writes control bytes, quotes and backslashes as \xNN or \", for log values and error texts. Uses at most `max` bytes of the input.
std::string text_escape(std::string_view text, size_t max = 512);

// The candidate with the smallest edit distance to `word`, or empty when none is near enough to be a typing error.
// At most text_nearest_work_max cells are compared, however many candidates there are; `out_work` returns how many were.
inline constexpr size_t text_nearest_size_max = 128;
inline constexpr size_t text_nearest_work_max = 256 * 1024;
std::string_view text_nearest(std::string_view word, std::span<const std::string_view> candidates, size_t *out_work = nullptr);
// True when at most `distance_max` edits (insert, delete or replace a byte) turn one into the other.
// The work is bounded by the shorter length times `distance_max`.
bool text_is_near(std::string_view a, std::string_view b, size_t distance_max);

// Constant-time comparison for secrets.
bool text_equal_secret(std::string_view a, std::string_view b);

} // namespace etlnode
