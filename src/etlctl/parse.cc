// SPDX-License-Identifier: MIT
// etlctl/parse.cc: builds a CLI11 parser from the command's row, and catches its exceptions.
//
// Knows    grammar, CLI11.     Known by  main.
#include "etlctl/parse.h"

#include <algorithm>
#include <array>

#include <CLI/CLI.hpp>

#include "base/text.h"

namespace etlnode::etlctl {

struct positionals {
    std::array<std::string, command_words_max> single;
    std::vector<std::string> repeated;
};

static void declare_flags(CLI::App &app, const command_row &row, options &out)
{
    for (const flag_row &f : grammar_flags()) {
        if (!grammar_takes(row, f.id))
            continue;
        if (f.text != nullptr)
            app.add_option(f.names, out.*f.text, f.help);
        else if (f.list != nullptr)
            app.add_option(f.names, out.*f.list, f.help)->allow_extra_args(false);
        else
            app.add_flag(f.names, out.*f.boolean, f.help);
    }
}

// The word that repeats, if others follow it. Then CLI11 collects all of them.
static bool repeats_in_front(const command_row &row)
{
    for (const word_row &word : row.words)
        if (word.name != nullptr && word.repeats)
            return (&word)[1].name != nullptr;
    return false;
}

static void declare_words(CLI::App &app, const command_row &row, positionals &words)
{
    if (repeats_in_front(row)) {
        app.add_option("words", words.repeated)->required(false);
        return;
    }
    for (size_t i = 0; row.words[i].name != nullptr; ++i) {
        const word_row &word = row.words[i];
        // CLI11 requires unique names, but two words of a command may have the same name in its usage. Users never see these names.
        std::string name = text_format("word%zu", i);
        CLI::Option *option = word.repeats ? app.add_option(name, words.repeated) : app.add_option(name, words.single[i]);
        option->required(false);
    }
}

// A help command that the user can type, because the usage line contains placeholders.
static std::string help_of(const command_row &row)
{
    return "etlctl " + (*row.noun != '\0' ? std::string(row.noun) + " " : std::string()) + row.verb + " --help";
}

static failure missing_word(const command_row &row, size_t at)
{
    std::string verb = *row.noun != '\0' ? std::string(row.noun) + " " + row.verb : std::string(row.verb);
    return failure_make(exit_code::usage, {}, verb + " needs " + row.words[at].name, "etlctl " + grammar_usage(row));
}

// The long and short names that this command takes, for "did you mean".
static std::string nearest_flag(const command_row &row, std::string_view word)
{
    std::vector<std::string_view> candidates = {"--help"};
    for (const flag_row &f : grammar_flags())
        if (grammar_takes(row, f.id)) {
            std::string_view names = f.names;
            candidates.push_back(names.substr(names.rfind("--")));
        }
    return std::string(text_nearest(word.substr(0, word.find('=')), candidates));
}

static failure extra_words(const command_row &row, const std::vector<std::string> &extra)
{
    std::string usage = "etlctl " + grammar_usage(row);
    for (const std::string &word : extra) {
        if (!word.starts_with('-') || word == "-")
            continue;
        std::string nearest = nearest_flag(row, word);
        return failure_make(exit_code::usage, {}, text_format("unknown option %s", text_escape(word).c_str()),
            nearest.empty() ? help_of(row) : "did you mean " + nearest + "?");
    }
    return failure_make(
        exit_code::usage, {}, text_format("unexpected argument \"%s\"", text_escape(extra.empty() ? "" : extra.back()).c_str()), usage);
}

// Reports an option without a value, and an option that is given twice, in better words than CLI11's.
static failure check_values(const command_row &row, const std::vector<std::string> &rest)
{
    std::vector<flag> seen;
    for (size_t i = 0; i < rest.size() && rest[i] != "--"; ++i) {
        const flag_row *f = grammar_find_flag(rest[i]);
        if (f == nullptr || f->value == nullptr || !grammar_takes(row, f->id))
            continue;
        bool is_long = rest[i].starts_with("--");
        std::string name = is_long ? rest[i].substr(0, rest[i].find('=')) : rest[i].substr(0, 2);
        bool has_value = is_long ? rest[i].find('=') != std::string::npos : rest[i].size() > 2;
        if (!has_value && i + 1 == rest.size())
            return failure_make(
                exit_code::usage, {}, text_format("%s needs a value: %s %s", name.c_str(), name.c_str(), f->value), help_of(row));
        if (!has_value)
            ++i;
        if (f->list == nullptr && std::find(seen.begin(), seen.end(), f->id) != seen.end())
            return failure_make(exit_code::usage, {}, name + " is given twice", "etlctl " + grammar_usage(row));
        seen.push_back(f->id);
    }
    return {};
}

// For an option whose value may be empty, it matters whether it was given.
static bool has_option(const std::vector<std::string> &rest, flag wanted)
{
    for (size_t i = 0; i < rest.size() && rest[i] != "--"; ++i)
        if (const flag_row *f = grammar_find_flag(rest[i]); f != nullptr && f->id == wanted)
            return true;
    return false;
}

// "--dry-run" is a switch with an optional value: "=client" or "=server" says who checks. Removes the value from the arguments.
static failure extract_dry_run(const command_row &row, std::vector<std::string> &in_out_rest, options &out)
{
    constexpr std::string_view name = "--dry-run=";
    for (size_t i = 0; i < in_out_rest.size() && in_out_rest[i] != "--"; ++i) {
        if (!in_out_rest[i].starts_with(name) || !grammar_takes(row, flag::dry_run))
            continue;
        std::string mode = in_out_rest[i].substr(name.size());
        if (mode != "client" && mode != "server")
            return failure_make(exit_code::usage, {},
                text_format("--dry-run=%s: write --dry-run=client or --dry-run=server", text_escape(mode).c_str()), help_of(row));
        if (mode == "server" && row.id != command::etl_init)
            return failure_make(
                exit_code::usage, {}, "only etl init supports --dry-run=server; --dry-run prints what would be sent", help_of(row));
        out.dry_run_mode = mode;
        in_out_rest[i] = "--dry-run";
    }
    return {};
}

parse_result parse_options(const command_row &row, const std::vector<std::string> &rest, options &out_options, failure &out_failure)
{
    CLI::App app;
    app.set_help_flag("-h,--help");
    app.allow_extras(); // extra_words reports them, with a suggestion
    positionals words;
    declare_flags(app, row, out_options);
    declare_words(app, row, words);
    std::vector<std::string> words_given = rest;
    out_failure = check_values(row, rest);
    if (!out_failure)
        out_failure = extract_dry_run(row, words_given, out_options);
    if (out_failure)
        return parse_result::usage;
    try {
        std::vector<std::string> reversed(words_given.rbegin(), words_given.rend()); // CLI11 takes arguments from the back
        app.parse(reversed);
    } catch (const CLI::CallForHelp &) {
        return parse_result::help;
    } catch (const CLI::ParseError &e) {
        out_failure = failure_make(exit_code::usage, {}, e.what(), help_of(row));
        return parse_result::usage;
    }
    std::vector<std::string> extra = app.remaining();
    if (!extra.empty()) {
        out_failure = extra_words(row, extra);
        return parse_result::usage;
    }
    out_options.has_prefix = has_option(rest, flag::prefix);
    if (repeats_in_front(row)) {
        if (words.repeated.empty() || row.words[words.repeated.size()].name != nullptr) {
            out_failure = missing_word(row, words.repeated.size());
            return parse_result::usage;
        }
        out_options.words = std::move(words.repeated);
        return parse_result::ok;
    }
    for (size_t i = 0; row.words[i].name != nullptr; ++i) {
        std::vector<std::string> given = row.words[i].repeats ? words.repeated : std::vector<std::string>();
        if (!row.words[i].repeats && app.get_option(text_format("word%zu", i))->count() > 0)
            given.push_back(words.single[i]);
        if (given.empty() && row.words[i].required) {
            out_failure = missing_word(row, i);
            return parse_result::usage;
        }
        for (std::string &word : given)
            out_options.words.push_back(std::move(word));
    }
    return parse_result::ok;
}

} // namespace etlnode::etlctl
