// SPDX-License-Identifier: MIT
// kubectl_local/options.h: kubectl's command line: flags anywhere, long and short, bools with and without a value.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace etlnode::kubectl_local {

enum class flag_kind : uint8_t { text, boolean };

struct flag_spec {
    std::string_view name;
    char letter; // 0: none
    flag_kind kind;
};

struct flag_value {
    std::string_view name;
    std::string value; // of a boolean: "true" or "false"
};

struct options {
    std::vector<std::string> words; // what is no flag
    std::vector<flag_value> flags;  // in order; a later one wins
};

// `globals` are known to every command. `words` after "--" are no flags. With `stop_at_words` parsing ends after that many words:
// what follows belongs to somebody else (an image's entrypoint). On failure `out_text` is kubectl's first line, after "error: ".
bool options_parse(std::span<const std::string> args, std::span<const flag_spec> globals, std::span<const flag_spec> own,
    size_t stop_at_words, options &out_options, std::string &out_text);

bool options_given(const options &o, std::string_view name);
std::string options_text(const options &o, std::string_view name, std::string_view fallback);
bool options_bool(const options &o, std::string_view name, bool fallback);
// All values of a flag that may be repeated.
std::vector<std::string> options_all(const options &o, std::string_view name);

} // namespace etlnode::kubectl_local
