// SPDX-License-Identifier: MIT
// kubectl_local/options.h: parses kubectl's command line: flags anywhere, long and short, booleans with and without a value.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace etlnode::kubectl_local {

enum class flag_kind : uint8_t { text, boolean };

struct flag_spec {
    std::string_view name;
    char letter; // 0 for none
    flag_kind kind;
};

struct flag_value {
    std::string_view name;
    std::string value; // "true" or "false" for a boolean
};

struct options {
    std::vector<std::string> words; // words that are not flags
    std::vector<flag_value> flags;  // in order; a later one takes precedence
};

// Every command accepts `globals`. Words after "--" are not flags. With `stop_at_words`, parsing ends after that many words, because the
// rest belongs to an image's entrypoint. On failure `out_text` is kubectl's first line, after "error: ".
bool options_parse(std::span<const std::string> args, std::span<const flag_spec> globals, std::span<const flag_spec> own,
    size_t stop_at_words, options &out_options, std::string &out_text);

bool options_given(const options &o, std::string_view name);
std::string options_text(const options &o, std::string_view name, std::string_view fallback);
bool options_bool(const options &o, std::string_view name, bool fallback);
// All values of a repeatable flag.
std::vector<std::string> options_all(const options &o, std::string_view name);

} // namespace etlnode::kubectl_local
