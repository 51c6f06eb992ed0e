// SPDX-License-Identifier: MIT
// codec/yaml_scalar.cc: resolves plain scalars to null, booleans, 64-bit integers, reals or text.
//
// Owns     nothing.
// Knows    yaml.h for its types.     Known by  yaml, yaml_print.
#include "codec/yaml_scalar.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>

namespace etlnode {

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words)
{
    return std::find(words.begin(), words.end(), text) != words.end();
}

static std::string_view skip_digits(std::string_view text)
{
    size_t count = 0;
    while (count < text.size() && is_digit(text[count]))
        count++;
    return text.substr(count);
}

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
static bool looks_like_real(std::string_view text)
{
    if (text.starts_with('-') || text.starts_with('+'))
        text.remove_prefix(1);
    std::string_view after_digits = skip_digits(text);
    bool has_whole = after_digits.size() < text.size();
    if (after_digits.starts_with('.')) {
        std::string_view fraction = after_digits.substr(1);
        after_digits = skip_digits(fraction);
        if (!has_whole && after_digits.size() == fraction.size())
            return false;
    } else if (!has_whole) {
        return false;
    }
    if (after_digits.empty())
        return true;
    if (after_digits[0] != 'e' && after_digits[0] != 'E')
        return false;
    std::string_view exponent = after_digits.substr(1);
    if (exponent.starts_with('-') || exponent.starts_with('+'))
        exponent.remove_prefix(1);
    return !exponent.empty() && skip_digits(exponent).empty();
}

// The shortest form that reads back as the same number, in the notation of Go's encoder.
static std::string real_token(double value)
{
    char buffer[64];
    double size = std::fabs(value);
    bool fixed = size == 0 || (size >= 1e-6 && size < 1e21);
    std::chars_format format = fixed ? std::chars_format::fixed : std::chars_format::scientific;
    std::to_chars_result end = std::to_chars(buffer, buffer + sizeof buffer, value, format);
    std::string token(buffer, end.ptr);
    size_t pad = token.find("e-0");
    if (pad != std::string::npos)
        token.erase(pad + 2, 1);
    return token;
}

static bool read_real(const std::string &text, yaml_scalar &out)
{
    double value = std::strtod(text.c_str(), nullptr);
    if (!std::isfinite(value))
        return false;
    out = {yaml_type::real, real_token(value)};
    return true;
}

static bool read_base(std::string_view digits, int base, uint64_t &out_value)
{
    std::from_chars_result end = std::from_chars(digits.data(), digits.data() + digits.size(), out_value, base);
    return !digits.empty() && end.ec == std::errc() && end.ptr == digits.data() + digits.size();
}

static bool make_integer(uint64_t value, bool negative, bool has_sign, yaml_scalar &out)
{
    static constexpr uint64_t positive_max = INT64_MAX;
    if (value > positive_max + (negative ? 1 : 0) && has_sign)
        return false;
    out = {yaml_type::integer, (negative && value != 0 ? "-" : "") + std::to_string(value)};
    return true;
}

// Reads decimal, 0x, 0b, 0o, or octal with a leading 0; 64 bits. Requires: no underscores.
static bool read_integer(std::string_view text, yaml_scalar &out)
{
    bool has_sign = text.starts_with('-') || text.starts_with('+');
    bool negative = text.starts_with('-');
    std::string_view digits = text.substr(has_sign ? 1 : 0);
    int base = 10;
    if (digits.size() > 1 && digits[0] == '0') {
        char mark = digits.size() > 2 ? digits[1] : '\0';
        base = mark == 'x' || mark == 'X' ? 16 : mark == 'b' || mark == 'B' ? 2 : 8;
        bool marked = base != 8 || mark == 'o' || mark == 'O';
        digits.remove_prefix(marked ? 2 : 1);
    }
    uint64_t value = 0;
    return read_base(digits, base, value) && make_integer(value, negative, has_sign, out);
}

// kubectl's library also accepts a sign after 0b.
static bool read_odd_binary(std::string_view text, yaml_scalar &out)
{
    if (!text.starts_with("0b-") && !text.starts_with("0b+"))
        return false;
    uint64_t value = 0;
    return read_base(text.substr(3), 2, value) && make_integer(value, text[2] == '-', true, out);
}

// After a leading dot, an underscore must separate two digits.
static bool underscores_separate_digits(std::string_view text)
{
    for (size_t i = 0; i < text.size(); i++)
        if (text[i] == '_' && (i == 0 || !is_digit(text[i - 1]) || i + 1 == text.size() || !is_digit(text[i + 1])))
            return false;
    return true;
}

yaml_scalar yaml_scalar_resolve(std::string_view text)
{
    if (is_one_of(text, {"", "~", "null", "Null", "NULL"}))
        return {yaml_type::null, "null"};
    if (is_one_of(text, {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"}))
        return {yaml_type::boolean, "true"};
    if (is_one_of(text, {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"}))
        return {yaml_type::boolean, "false"};
    if (is_one_of(text, {".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF"}))
        return {yaml_type::real, "null", true};
    char first = text[0];
    if (!is_digit(first) && first != '-' && first != '+' && first != '.')
        return {};
    std::string plain(text);
    plain.erase(std::remove(plain.begin(), plain.end(), '_'), plain.end());
    yaml_scalar out;
    if (first == '.') {
        if (underscores_separate_digits(text) && looks_like_real(plain) && read_real(plain, out))
            return out;
        return {};
    }
    if (read_integer(plain, out) || (looks_like_real(plain) && read_real(plain, out)) || read_odd_binary(plain, out))
        return out;
    return {};
}

} // namespace etlnode
