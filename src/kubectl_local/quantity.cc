// SPDX-License-Identifier: MIT
// kubectl_local/quantity.cc: parses Kubernetes quantities.
#include "kubectl_local/quantity.h"

#include <cmath>

#include "base/text.h"

namespace etlnode::kubectl_local {

struct suffix {
    std::string_view text;
    long double times;
    long double parts; // divided only once, so that 0.1 and 100m are the same number
};

static constexpr suffix suffixes[] = {
    {"", 1, 1},
    {"n", 1, 1e9L},
    {"u", 1, 1e6L},
    {"m", 1, 1e3L},
    {"k", 1e3L, 1},
    {"M", 1e6L, 1},
    {"G", 1e9L, 1},
    {"T", 1e12L, 1},
    {"P", 1e15L, 1},
    {"E", 1e18L, 1},
    {"Ki", 1024.0L, 1},
    {"Mi", 1048576.0L, 1},
    {"Gi", 1073741824.0L, 1},
    {"Ti", 1099511627776.0L, 1},
    {"Pi", 1125899906842624.0L, 1},
    {"Ei", 1152921504606846976.0L, 1},
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool read_exponent(std::string_view text, int &out_exponent)
{
    if (text.empty() || (text[0] != 'e' && text[0] != 'E'))
        return false;
    text.remove_prefix(1);
    bool negative = text.starts_with('-');
    text.remove_prefix(text.starts_with('-') || text.starts_with('+') ? 1 : 0);
    uint64_t number = 0;
    if (!text_parse_u64(text, number) || number > 400)
        return false;
    out_exponent = negative ? -static_cast<int>(number) : static_cast<int>(number);
    return true;
}

bool quantity_parse(std::string_view text, quantity &out_quantity, std::string &out_fault)
{
    bool negative = text.starts_with('-');
    std::string_view rest = text.substr(negative || text.starts_with('+') ? 1 : 0);
    long double number = 0;
    long double place = 1;
    size_t digits = 0;
    bool has_point = false;
    while (!rest.empty() && (is_digit(rest[0]) || (rest[0] == '.' && !has_point))) {
        if (rest[0] == '.') {
            has_point = true;
        } else {
            digits++;
            number = number * 10 + (rest[0] - '0');
            place *= has_point ? 10 : 1;
        }
        rest.remove_prefix(1);
    }
    // Check the form before the suffix: letters of suffixes, then a signed number.
    std::string_view letters = rest.substr(0, rest.find_first_not_of("eEinumkKMGTP"));
    std::string_view tail = rest.substr(letters.size());
    tail.remove_prefix(tail.starts_with('-') || tail.starts_with('+') ? 1 : 0);
    bool tail_fits = true;
    for (char c : tail)
        tail_fits = tail_fits && is_digit(c);
    bool has_number = digits > 0 || has_point || rest.data() != text.data(); // a sign or point alone is 0
    if (!has_number || !tail_fits) {
        out_fault = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
        return false;
    }
    long double times = 0;
    int exponent = 0;
    for (const suffix &one : suffixes) {
        if (one.text == rest) {
            times = one.times;
            place *= one.parts;
        }
    }
    if (times == 0 && read_exponent(rest, exponent)) {
        times = exponent > 0 ? std::pow(10.0L, exponent) : 1;
        place *= exponent < 0 ? std::pow(10.0L, -exponent) : 1;
    }
    if (times == 0) {
        out_fault = "unable to parse quantity's suffix";
        return false;
    }
    out_quantity.value = (negative ? -number : number) * times / place;
    return true;
}

} // namespace etlnode::kubectl_local
