// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_text.cc: small texts with a meaning: numbers, durations, UTF-8, and the display of foreign bytes.
#include "base/text.h"
#include "fuzz.h"
#include "kube/kubectl.h"

using namespace etlnode;

// Table 3-7 of the Unicode standard.
static bool is_utf8(std::string_view text)
{
    for (size_t i = 0; i < text.size();) {
        auto at = [&](size_t k) { return i + k < text.size() ? static_cast<uint8_t>(text[i + k]) : 0u; };
        auto follows = [&](size_t k) { return at(k) >= 0x80 && at(k) <= 0xbf; };
        unsigned c = at(0);
        if (c < 0x80)
            i += 1;
        else if (c >= 0xc2 && c <= 0xdf && follows(1))
            i += 2;
        else if (c >= 0xe0 && c <= 0xef && follows(1) && follows(2) && (c != 0xe0 || at(1) >= 0xa0) && (c != 0xed || at(1) <= 0x9f))
            i += 3;
        else if (c >= 0xf0 && c <= 0xf4 && follows(1) && follows(2) && follows(3) && (c != 0xf0 || at(1) >= 0x90) &&
                 (c != 0xf4 || at(1) <= 0x8f))
            i += 4;
        else
            return false;
    }
    return true;
}

// Parses "12.345s" to whole nanoseconds; false for other forms.
static bool read_seconds(std::string_view text, uint64_t &ns)
{
    if (text.empty() || text.back() != 's' || text.size() > 12)
        return false;
    text.remove_suffix(1);
    size_t point = text.find('.');
    std::string_view whole = text.substr(0, point);
    std::string_view fraction = point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
    std::string digits = std::string(whole) + std::string(fraction);
    if (whole.empty() || fraction.size() > 9 || digits.find_first_not_of("0123456789") != std::string::npos)
        return false;
    digits.append(9 - fraction.size(), '0');
    return text_parse_u64(digits, ns);
}

FUZZ_TARGET(text)
{
    FUZZ_CHECK(text_is_utf8(text) == is_utf8(text));
    uint64_t number = 0, again = 0;
    if (text_parse_u64(text, number)) {
        FUZZ_CHECK(text.find_first_not_of("0123456789") == std::string_view::npos);
        FUZZ_CHECK(text_parse_u64(std::to_string(number), again) && again == number);
    }
    if (text_parse_hex_u64(text, number))
        FUZZ_CHECK(text_parse_hex_u64(text_format("%llx", static_cast<unsigned long long>(number)), again) && again == number);
    uint64_t ns = 0;
    if (read_seconds(text, ns) && ns <= INT64_MAX)
        FUZZ_CHECK(text_parse_duration_ms(text, number) && number == (ns + 999'999) / 1'000'000);
    if (text_parse_duration_ms(text, number)) {
        std::string printed = text_duration(number);
        // Rounded up to a millisecond, the longest duration of all exceeds Go's range.
        FUZZ_CHECK(number > INT64_MAX / 1'000'000 || (text_parse_duration_ms(printed, again) && again == number));
    }
    std::string shown = text_escape(text, 512);
    FUZZ_CHECK(shown.size() <= 4 * 512);
    for (char c : shown)
        FUZZ_CHECK(static_cast<uint8_t>(c) >= 0x20 && c != 0x7f);
    FUZZ_CHECK(!text_is_utf8(text) ||
               (text_is_utf8(shown) && text_is_utf8(text_escape(text, text.size() / 2)) && text_is_utf8(text_escape(text, 5))));
    std::string label = kubectl_label_value(text);
    FUZZ_CHECK(label.size() <= 63);
    FUZZ_SAME(kubectl_label_value(label), label);
    FUZZ_SAME(text_lower(text_lower(text)), text_lower(text));
    FUZZ_CHECK(text_equal_ignore_case(text, text_lower(text)) && text_equal_secret(text, std::string(text)));
    std::string_view words[] = {"hpush://", "hrev://", "hpull://"};
    std::string_view nearest = text_nearest(text, words);
    FUZZ_CHECK(nearest.empty() || nearest == words[0] || nearest == words[1] || nearest == words[2]);
}
