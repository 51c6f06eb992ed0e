// SPDX-License-Identifier: MIT
// base/text.cc: text helpers.
#include "base/text.h"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <vector>

namespace etlnode {

std::string text_format(const char *format, ...)
{
    char brief[256]; // enough for most texts, which are then formatted only once
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int size = std::vsnprintf(brief, sizeof brief, format, args);
    va_end(args);
    std::string out;
    if (size >= static_cast<int>(sizeof brief)) {
        out.resize(static_cast<size_t>(size));
        std::vsnprintf(out.data(), out.size() + 1, format, again);
    } else if (size > 0) {
        out.assign(brief, static_cast<size_t>(size));
    }
    va_end(again);
    return out;
}

std::string text_hex(uint64_t value)
{
    static constexpr char digits[] = "0123456789abcdef";
    std::string out(16, '0');
    for (size_t i = 16; i-- > 0; value >>= 4)
        out[i] = digits[value & 15];
    return out;
}

static bool parse_base(std::string_view text, uint64_t base, uint64_t &out_value)
{
    if (text.empty())
        return false;
    uint64_t value = 0;
    for (char c : text) {
        auto digit = static_cast<uint64_t>(text_hex_digit(c)); // a character that is not a digit exceeds every base
        if (digit >= base || value > (UINT64_MAX - digit) / base)
            return false;
        value = value * base + digit;
    }
    out_value = value;
    return true;
}

bool text_parse_u64(std::string_view text, uint64_t &out_value) { return parse_base(text, 10, out_value); }
bool text_parse_hex_u64(std::string_view text, uint64_t &out_value) { return parse_base(text, 16, out_value); }

struct duration_unit {
    std::string_view name;
    uint64_t ns;
};

// Where one name is a prefix of another, the longer one comes first.
static constexpr std::array duration_units = {
    duration_unit{"ns", 1},
    duration_unit{"us", 1'000},
    duration_unit{"\xc2\xb5s", 1'000},
    duration_unit{"\xce\xbcs", 1'000},
    duration_unit{"ms", 1'000'000},
    duration_unit{"s", 1'000'000'000},
    duration_unit{"m", 60'000'000'000},
    duration_unit{"h", 3'600'000'000'000},
};

bool text_parse_duration_ms(std::string_view text, uint64_t &out_ms)
{
    if (text.starts_with('+'))
        text.remove_prefix(1);
    if (text == "0") {
        out_ms = 0;
        return true;
    }
    if (text.empty())
        return false;
    static constexpr uint64_t ns_max = INT64_MAX; // the largest duration of Go
    uint64_t total_ns = 0;
    while (!text.empty()) {
        uint64_t whole = 0;
        uint64_t fraction = 0; // over scale
        uint64_t scale = 1;
        bool digits = false;
        bool point = false;
        while (!text.empty() && ((text[0] >= '0' && text[0] <= '9') || (text[0] == '.' && !point))) {
            uint64_t digit = static_cast<uint64_t>(text[0] - '0');
            if (text[0] == '.') {
                point = true;
            } else {
                digits = true;
                if (!point && whole > (ns_max - digit) / 10)
                    return false;
                if (!point)
                    whole = whole * 10 + digit;
                else if (scale < 1'000'000'000'000'000'000) { // further digits are below a nanosecond even of an hour
                    fraction = fraction * 10 + digit;
                    scale *= 10;
                }
            }
            text.remove_prefix(1);
        }
        if (!digits)
            return false;
        const duration_unit *found = nullptr;
        for (const duration_unit &unit : duration_units) {
            if (text.starts_with(unit.name)) {
                found = &unit;
                break;
            }
        }
        if (found == nullptr)
            return false;
        text.remove_prefix(found->name.size());
        if (whole > ns_max / found->ns)
            return false;
        // Computes the fraction as Go does: exact for everything a person writes.
        total_ns += whole * found->ns +
                    static_cast<uint64_t>(static_cast<double>(fraction) * (static_cast<double>(found->ns) / static_cast<double>(scale)));
        if (total_ns > ns_max)
            return false;
    }
    out_ms = total_ns / 1'000'000 + (total_ns % 1'000'000 != 0 ? 1 : 0);
    return true;
}

std::string text_duration(uint64_t ms)
{
    if (ms == 0)
        return "0s";
    if (ms < 1000)
        return text_format("%llums", static_cast<unsigned long long>(ms));
    std::string out;
    uint64_t hours = ms / 3'600'000;
    uint64_t minutes = ms / 60'000 % 60;
    if (hours > 0)
        out += std::to_string(hours) + "h";
    if (hours > 0 || minutes > 0)
        out += std::to_string(minutes) + "m";
    out += std::to_string(ms / 1000 % 60);
    if (ms % 1000 != 0) {
        std::string fraction = text_format("%03u", static_cast<unsigned>(ms % 1000));
        while (fraction.back() == '0')
            fraction.pop_back();
        out += "." + fraction;
    }
    return out + "s";
}

bool text_is_true(std::string_view text)
{
    static constexpr std::array<std::string_view, 7> words = {"true", "1", "t", "y", "yes", "on", "enable"};
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return text_equal_ignore_case(word, text); });
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool text_equal_ignore_case(std::string_view a, std::string_view b)
{
    if (a.size() != b.size())
        return false;
    for (size_t i = 0; i < a.size(); i++) {
        if (lower(a[i]) != lower(b[i]))
            return false;
    }
    return true;
}

std::string text_lower(std::string_view text)
{
    std::string out(text);
    for (char &c : out)
        c = lower(c);
    return out;
}

std::string_view text_trim(std::string_view text)
{
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    return text;
}

std::string text_cut(std::string text, size_t max)
{
    if (text.size() <= max)
        return text;
    size_t end = max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
        end--;
    text.resize(end);
    return text + "...";
}

size_t text_utf8_size(std::string_view text)
{
    if (text.empty())
        return 0;
    unsigned char c = static_cast<unsigned char>(text[0]);
    if (c < 0x80)
        return 1;
    size_t extra = 0;
    uint32_t code = 0;
    if (c >= 0xc2 && c <= 0xdf) {
        extra = 1;
        code = c & 0x1fu;
    } else if (c >= 0xe0 && c <= 0xef) {
        extra = 2;
        code = c & 0x0fu;
    } else if (c >= 0xf0 && c <= 0xf4) {
        extra = 3;
        code = c & 0x07u;
    } else {
        return 0;
    }
    if (text.size() <= extra)
        return 0;
    for (size_t k = 1; k <= extra; k++) {
        unsigned char next = static_cast<unsigned char>(text[k]);
        if ((next & 0xc0u) != 0x80u)
            return 0;
        code = code << 6 | (next & 0x3fu);
    }
    bool overlong = (extra == 2 && code < 0x800) || (extra == 3 && code < 0x10000);
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return overlong || surrogate || code > 0x10ffff ? 0 : extra + 1;
}

bool text_is_utf8(std::string_view text)
{
    while (!text.empty()) {
        // Most texts are ASCII: take eight bytes at a time.
        uint64_t eight = 0;
        if (text.size() >= sizeof eight) {
            std::memcpy(&eight, text.data(), sizeof eight);
            if ((eight & 0x8080808080808080) == 0) {
                text.remove_prefix(sizeof eight);
                continue;
            }
        }
        size_t size = text_utf8_size(text);
        if (size == 0)
            return false;
        text.remove_prefix(size);
    }
    return true;
}

std::string text_bytes(uint64_t count) { return std::to_string(count) + (count == 1 ? " byte" : " bytes"); }

std::string text_without_controls(std::string_view text)
{
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size(); i++) {
        const unsigned char byte = static_cast<unsigned char>(text[i]);
        const bool is_space = byte == '\t' || byte == '\n';
        const bool is_c1 = byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
        if (byte == '\r') { // CR LF and CR end a line, as LF does
            if (i + 1 >= text.size() || text[i + 1] != '\n')
                out += '\n';
            continue;
        }
        if (is_c1 || byte == 0x7f || (byte < 0x20 && !is_space))
            out += ' ';
        else
            out += text[i];
        i += is_c1 ? 1 : 0;
    }
    return out;
}

std::string text_escape(std::string_view text, size_t max)
{
    bool cut = text.size() > max;
    // Do not cut inside a character: at most three bytes of one precede the cut.
    for (size_t back = 0; cut && back < 3 && max > 0 && (static_cast<unsigned char>(text[max]) & 0xc0) == 0x80; back++)
        max--;
    std::string out;
    for (char c : text.substr(0, max)) {
        unsigned char byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (byte < 0x20 || byte == 0x7f) {
            out += text_format("\\x%02x", byte);
        } else {
            out += c;
        }
    }
    return cut ? out + "..." : out;
}

// Like text_is_near, but returns the distance, or `far` if it is at least that large. `work` counts the compared cells.
static size_t edit_distance(std::string_view a, std::string_view b, size_t far, size_t &work)
{
    std::vector<size_t> row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); j++)
        row[j] = j;
    for (size_t i = 1; i <= a.size(); i++) {
        size_t diagonal = row[0];
        row[0] = i;
        size_t least = row[0];
        for (size_t j = 1; j <= b.size(); j++) {
            size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0u : 1u);
            diagonal = row[j];
            row[j] = std::min({change, row[j] + 1, row[j - 1] + 1});
            least = std::min(least, row[j]);
        }
        work += b.size();
        if (least >= far)
            return far;
    }
    return row[b.size()];
}

std::string_view text_nearest(std::string_view word, std::span<const std::string_view> candidates, size_t *out_work)
{
    std::string_view best;
    size_t work = 0;
    size_t best_distance = word.size() / 3 + 2;
    if (word.size() <= text_nearest_size_max) { // nobody mistypes a longer word
        for (std::string_view candidate : candidates) {
            size_t difference = candidate.size() > word.size() ? candidate.size() - word.size() : word.size() - candidate.size();
            if (difference >= best_distance)
                continue;
            if (work + word.size() * candidate.size() > text_nearest_work_max)
                break; // stop here: wrong names must not keep the node busy, and a guess from the first candidates is good enough
            size_t distance = edit_distance(word, candidate, best_distance, work);
            if (distance < best_distance) {
                best_distance = distance;
                best = candidate;
            }
        }
    }
    if (out_work != nullptr)
        *out_work = work;
    return best;
}

bool text_is_near(std::string_view a, std::string_view b, size_t distance_max)
{
    if (a.size() > b.size())
        std::swap(a, b);
    if (b.size() - a.size() > distance_max)
        return false;
    const size_t far = distance_max + 1;
    std::vector<size_t> row(b.size() + 1, far);
    for (size_t j = 0; j <= b.size() && j <= distance_max; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.size(); i++) {
        size_t first = i > distance_max ? i - distance_max : 1; // further from the diagonal, the distance exceeds the bound
        size_t last = std::min(b.size(), i + distance_max);
        size_t diagonal = row[first - 1];
        row[first - 1] = first == 1 ? std::min(i, far) : far;
        size_t least = row[first - 1];
        for (size_t j = first; j <= last; j++) {
            size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0u : 1u);
            diagonal = row[j];
            row[j] = std::min({change, row[j] + 1, row[j - 1] + 1, far});
            least = std::min(least, row[j]);
        }
        if (least == far)
            return false;
    }
    return row[b.size()] <= distance_max;
}

bool text_equal_secret(std::string_view a, std::string_view b)
{
    if (a.size() != b.size())
        return false;
    unsigned difference = 0;
    for (size_t i = 0; i < a.size(); i++)
        difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
    return difference == 0;
}

bool text_parse_rate(std::string_view text, uint64_t &out_rate)
{
    if (text.ends_with("/s"))
        text.remove_suffix(2);
    size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    std::string_view unit = text.substr(digits);
    static constexpr std::string_view letters = "KMG";
    uint64_t factor = 1;
    if (!unit.empty() && unit != "B") {
        size_t at = letters.find(static_cast<char>(unit[0] & ~0x20));
        std::string_view rest = unit.substr(1);
        if (at == std::string_view::npos || !(rest.empty() || rest == "B" || rest == "iB" || rest == "i"))
            return false;
        factor = 1ull << (10 * (at + 1));
    }
    uint64_t number = 0;
    bool is_good = text_parse_u64(text.substr(0, digits), number) && number > 0 && number <= UINT64_MAX / factor / 1024;
    out_rate = number * factor;
    return is_good;
}

} // namespace etlnode
