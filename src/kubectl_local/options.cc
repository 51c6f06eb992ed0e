// SPDX-License-Identifier: MIT
// kubectl_local/options.cc: parses kubectl's command line.
#include "kubectl_local/options.h"

#include <algorithm>
#include <optional>

#include "base/text.h"

namespace etlnode::kubectl_local {

static const flag_spec *find_long(std::span<const flag_spec> specs, std::string_view name)
{
    auto found = std::find_if(specs.begin(), specs.end(), [&](const flag_spec &spec) { return spec.name == name; });
    return found != specs.end() ? &*found : nullptr;
}

static const flag_spec *find_letter(std::span<const flag_spec> specs, char letter)
{
    auto found = std::find_if(specs.begin(), specs.end(), [&](const flag_spec &spec) { return spec.letter == letter; });
    return found != specs.end() ? &*found : nullptr;
}

// Accepts what Go's strconv.ParseBool accepts.
static std::optional<bool> parse_bool(std::string_view text)
{
    for (std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"})
        if (text == yes)
            return true;
    for (std::string_view no : {"0", "f", "F", "false", "FALSE", "False"})
        if (text == no)
            return false;
    return std::nullopt;
}

static std::string shown(const flag_spec &spec)
{
    std::string name(spec.name);
    return spec.letter != 0 ? text_format("-%c, --%s", spec.letter, name.c_str()) : "--" + name;
}

static bool put(const flag_spec &spec, std::string value, options &out, std::string &out_text)
{
    if (spec.kind == flag_kind::boolean) {
        std::optional<bool> parsed = parse_bool(value);
        if (!parsed) {
            out_text = text_format("invalid argument \"%s\" for \"%s\" flag: strconv.ParseBool: parsing \"%s\": invalid syntax",
                text_escape(value, 80).c_str(), shown(spec).c_str(), text_escape(value, 80).c_str());
            return false;
        }
        value = *parsed ? "true" : "false";
    }
    out.flags.push_back({spec.name, std::move(value)});
    return true;
}

static std::string nearest_flag(std::string_view name, std::span<const flag_spec> own, std::span<const flag_spec> globals)
{
    std::vector<std::string_view> names;
    for (std::span<const flag_spec> flags : {own, globals}) {
        for (const flag_spec &flag : flags) {
            bool is_final = flag.name == "all" || flag.name == "force" ||
                            flag.name == "now"; // never suggest a flag that deletes more than was asked for
            if (!is_final)
                names.push_back(flag.name);
        }
    }
    std::string_view nearest = text_nearest(name, names);
    return nearest.empty() ? "" : "; did you mean --" + std::string(nearest) + "?";
}

bool options_parse(std::span<const std::string> args, std::span<const flag_spec> globals, std::span<const flag_spec> own,
    size_t stop_at_words, options &out_options, std::string &out_text)
{
    out_options = options();
    for (size_t i = 0; i < args.size(); i++) {
        const std::string &arg = args[i];
        bool stopped = out_options.words.size() >= stop_at_words;
        if (stopped || arg == "--") {
            out_options.words.insert(out_options.words.end(), args.begin() + static_cast<ptrdiff_t>(i + (stopped ? 0 : 1)), args.end());
            return true;
        }
        if (arg.size() < 2 || arg[0] != '-') {
            out_options.words.push_back(arg);
            continue;
        }
        if (arg[1] == '-') {
            size_t equals = arg.find('=');
            std::string name = arg.substr(2, equals == std::string::npos ? equals : equals - 2);
            const flag_spec *spec = find_long(own, name);
            if (spec == nullptr)
                spec = find_long(globals, name);
            if (spec == nullptr) {
                out_text = "unknown flag: --" + text_escape(name, 80) + nearest_flag(name, own, globals);
                return false;
            }
            std::string value = "true";
            if (equals != std::string::npos)
                value = arg.substr(equals + 1);
            else if (spec->kind == flag_kind::text && i + 1 < args.size())
                value = args[++i];
            else if (spec->kind == flag_kind::text) {
                out_text = "flag needs an argument: --" + name;
                return false;
            }
            if (!put(*spec, value, out_options, out_text))
                return false;
            continue;
        }
        // Short flags: booleans may be combined; the first flag with a value takes the rest of the word.
        for (size_t at = 1; at < arg.size(); at++) {
            const flag_spec *spec = find_letter(own, arg[at]);
            if (spec == nullptr)
                spec = find_letter(globals, arg[at]);
            if (spec == nullptr) {
                out_text = text_format(
                    "unknown shorthand flag: '%s' in -%s", text_escape(arg.substr(at, 1)).c_str(), text_escape(arg.substr(1), 80).c_str());
                return false;
            }
            std::string value = "true";
            bool takes_rest = spec->kind == flag_kind::text || (at + 1 < arg.size() && arg[at + 1] == '=');
            if (takes_rest) {
                value = arg.substr(at + 1);
                if (!value.empty() && value[0] == '=')
                    value.erase(0, 1);
                else if (value.empty() && i + 1 < args.size())
                    value = args[++i];
                else if (value.empty()) {
                    out_text = text_format("flag needs an argument: '%c' in -%s", arg[at], text_escape(arg.substr(1), 80).c_str());
                    return false;
                }
            }
            if (!put(*spec, value, out_options, out_text))
                return false;
            if (takes_rest)
                break;
        }
    }
    return true;
}

bool options_given(const options &o, std::string_view name)
{
    return std::any_of(o.flags.begin(), o.flags.end(), [&](const flag_value &flag) { return flag.name == name; });
}

std::string options_text(const options &o, std::string_view name, std::string_view fallback)
{
    auto found = std::find_if(o.flags.rbegin(), o.flags.rend(), [&](const flag_value &flag) { return flag.name == name; });
    return found != o.flags.rend() ? found->value : std::string(fallback);
}

bool options_bool(const options &o, std::string_view name, bool fallback)
{
    return options_text(o, name, fallback ? "true" : "false") == "true";
}

std::vector<std::string> options_all(const options &o, std::string_view name)
{
    std::vector<std::string> out;
    for (const flag_value &flag : o.flags)
        if (flag.name == name)
            out.push_back(flag.value);
    return out;
}

} // namespace etlnode::kubectl_local
