// SPDX-License-Identifier: MIT
// etlctl/format.cc: numbers, times and names in readable form.
#include "etlctl/format.h"

#include <ctime>

#include "base/text.h"

namespace etlnode::etlctl {

std::string format_size(uint64_t bytes)
{
    static constexpr const char *units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024)
        return text_format("%lluB", static_cast<unsigned long long>(bytes));
    double value = static_cast<double>(bytes);
    size_t unit = 0;
    // 1023.95 would print as 1024.0.
    while (value >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        ++unit;
    }
    return text_format("%.1f%s", value, units[unit]);
}

std::string format_seconds(uint64_t seconds)
{
    unsigned long long s = seconds;
    if (s < 60)
        return text_format("%llus", s);
    if (s < 3600)
        return text_format("%llum%02llus", s / 60, s % 60);
    if (s < 24 * 3600)
        return text_format("%lluh%02llum", s / 3600, s / 60 % 60);
    return text_format("%llud%lluh", s / (24 * 3600), s / 3600 % 24);
}

std::string format_count(uint64_t count)
{
    std::string text = std::to_string(count);
    for (size_t end = text.size(); end > 3; end -= 3)
        text.insert(end - 3, ",");
    return text;
}

std::string format_clock(uint64_t unix_s, uint64_t now_s)
{
    struct tm then = {}, now = {};
    time_t seconds = static_cast<time_t>(unix_s);
    localtime_r(&seconds, &then);
    seconds = static_cast<time_t>(now_s);
    localtime_r(&seconds, &now);
    char text[32];
    bool is_today = then.tm_yday == now.tm_yday && then.tm_year == now.tm_year;
    strftime(text, sizeof(text), is_today ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &then);
    return text;
}

std::string format_time_ns(uint64_t unix_ns)
{
    time_t seconds = static_cast<time_t>(unix_ns / 1'000'000'000);
    unsigned milliseconds = static_cast<unsigned>(unix_ns / 1'000'000 % 1000);
    struct tm parts = {};
    gmtime_r(&seconds, &parts);
    char text[40];
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
    return milliseconds == 0 ? std::string(text) + "Z" : text_format("%s.%03uZ", text, milliseconds);
}

std::string format_time_text(std::string_view text)
{
    uint64_t number = 0;
    if (!text_parse_u64(text, number)) {
        struct tm parts = {};
        std::string copy(text);
        const char *end = strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        if (end == nullptr || *end != '\0')
            return copy;
        time_t seconds = timegm(&parts);
        return seconds < 0 ? copy : format_time_ns(static_cast<uint64_t>(seconds) * 1'000'000'000);
    }
    return number == 0 ? std::string() : format_time_ns(number);
}

static bool is_control(char c)
{
    unsigned char byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
}

// The size in bytes of the character at `at` if a terminal would act on it instead of showing it; otherwise 0. `text` is UTF-8. Such
// characters are the C1 controls (U+0080 to U+009F), line and paragraph separators, and the marks, embeddings, overrides and isolates of
// the writing direction. They could make a text look like another one.
static size_t active_size(std::string_view text, size_t at, uint32_t &out_character)
{
    auto byte = [text, at](size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u; };
    if (byte(0) == 0xc2 || byte(0) == 0xd8) {
        out_character = (byte(0) & 0x1fu) << 6 | (byte(1) & 0x3fu);
        return out_character < 0xa0 || out_character == 0x61c ? 2 : 0;
    }
    if (byte(0) != 0xe2)
        return 0;
    uint32_t c = 0x2000u | (byte(1) & 0x3fu) << 6 | (byte(2) & 0x3fu);
    out_character = c;
    return c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ? 3 : 0;
}

// If a terminal would act on the character at `at`, appends it as \uNNNN and moves `at` to its last byte.
static bool add_escaped_if_active(std::string &out, std::string_view text, size_t &at)
{
    uint32_t c = 0;
    size_t size = active_size(text, at, c);
    if (size == 0)
        return false;
    out += text_format("\\u%04x", c);
    at += size - 1;
    return true;
}

std::string format_cell(std::string_view text)
{
    bool plain = !text.empty() && text.front() != ' ' && text.back() != ' ' && text.front() != '"' && text_is_utf8(text);
    uint32_t active = 0;
    for (size_t i = 0; plain && i < text.size(); ++i)
        plain = !is_control(text[i]) && active_size(text, i, active) == 0;
    if (plain)
        return std::string(text);
    bool valid = text_is_utf8(text);
    std::string out = "\"";
    for (size_t i = 0; i < text.size(); ++i) {
        unsigned char byte = static_cast<unsigned char>(text[i]);
        if (text[i] == '"' || text[i] == '\\')
            out += std::string("\\") + text[i];
        else if (is_control(text[i]) || (byte >= 0x80 && !valid))
            out += text_format("\\x%02x", byte);
        else if (!valid || !add_escaped_if_active(out, text, i))
            out += text[i];
    }
    return out + "\"";
}

std::string format_message(std::string_view text)
{
    bool valid = text_is_utf8(text);
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        unsigned char byte = static_cast<unsigned char>(text[i]);
        if ((is_control(text[i]) && text[i] != '\n' && text[i] != '\t') || (byte >= 0x80 && !valid))
            out += text_format("\\x%02x", byte);
        else if (!valid || !add_escaped_if_active(out, text, i))
            out += text[i];
    }
    while (!out.empty() && (out.back() == '\n' || out.back() == ' '))
        out.pop_back();
    return out;
}

// Characters that take two columns on a terminal: Hangul, CJK, full-width forms, emoji.
static bool is_wide(uint32_t c)
{
    return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
           (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) || (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x1f300 && c <= 0x1faff) ||
           (c >= 0x20000 && c <= 0x3fffd);
}

// Characters that a terminal draws over the preceding one.
static bool is_combining(uint32_t c) { return (c >= 0x300 && c <= 0x36f) || (c >= 0x200b && c <= 0x200f) || (c >= 0xfe00 && c <= 0xfe0f); }

size_t format_width(std::string_view text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.size();) {
        unsigned char first = static_cast<unsigned char>(text[i]);
        size_t size = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
        uint32_t c = size == 1 ? first : first & (0xffu >> (size + 1));
        for (size_t k = 1; k < size && i + k < text.size(); ++k)
            c = c << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3f);
        width += is_combining(c) ? 0 : is_wide(c) ? 2 : 1;
        i += size;
    }
    return width;
}

bool progress_eta_s(const progress_state &state, uint64_t &out_seconds)
{
    bool by_bytes = state.bytes_total > 0;
    uint64_t done = by_bytes ? state.bytes_done : state.objects_done;
    uint64_t total = by_bytes ? state.bytes_total : state.objects_total;
    if (total == 0 || done == 0 || state.elapsed_ms == 0 || done > total)
        return false;
    double per_ms = static_cast<double>(done) / static_cast<double>(state.elapsed_ms);
    double left_ms = static_cast<double>(total - done) / per_ms;
    if (left_ms > 365.0 * 24 * 3600 * 1000)
        return false;
    out_seconds = static_cast<uint64_t>((left_ms + 999) / 1000);
    return true;
}

std::string format_progress(const progress_state &state)
{
    std::string line = format_cell(state.what);
    line += text_format("  %llu", static_cast<unsigned long long>(state.objects_done));
    if (state.objects_total > 0)
        line += text_format("/%llu", static_cast<unsigned long long>(state.objects_total));
    line += " objects";
    if (state.bytes_total > 0) {
        unsigned long long percent = static_cast<unsigned long long>(
            static_cast<double>(state.bytes_done) * 100 / static_cast<double>(state.bytes_total));
        line += text_format("  %s of %s (%llu%%)", format_size(state.bytes_done).c_str(), format_size(state.bytes_total).c_str(), percent);
    } else {
        line += "  " + format_size(state.bytes_done);
    }
    if (state.elapsed_ms > 0) {
        double rate = static_cast<double>(state.bytes_done) * 1000 / static_cast<double>(state.elapsed_ms);
        line += "  " + format_size(static_cast<uint64_t>(rate)) + "/s";
    }
    uint64_t eta = 0;
    bool is_under_way = state.bytes_total > 0 ? state.bytes_done < state.bytes_total : state.objects_done < state.objects_total;
    if (is_under_way && progress_eta_s(state, eta))
        line += "  " + format_seconds(eta) + " left";
    if (state.objects_failed > 0)
        line += text_format("  %llu failed", static_cast<unsigned long long>(state.objects_failed));
    if (!state.waiting.empty())
        line += "  waits: " + format_message(state.waiting);
    return line;
}

} // namespace etlnode::etlctl
