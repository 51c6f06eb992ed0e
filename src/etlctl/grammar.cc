// SPDX-License-Identifier: MIT
// etlctl/grammar.cc: resolves the words of a command line, and prints help from the tables.
#include "etlctl/grammar.h"

#include "base/check.h"
#include "base/text.h"

namespace etlnode::etlctl {

static constexpr uint64_t global_flags = flag_bit(flag::endpoint) | flag_bit(flag::output) | flag_bit(flag::timeout) |
                                         flag_bit(flag::request_id) | flag_bit(flag::verbose) | flag_bit(flag::trace_http);

struct noun_row {
    const char *noun;
    const char *other_words;
    const char *summary;
};

static constexpr noun_row nouns[] = {
    {"etl", "etls", "transforms that run next to the objects"},
    {"object", "objects obj", "objects in buckets"},
    {"bucket", "buckets bck", "buckets"},
    {"target", "targets", "the nodes that hold objects"},
    {"cluster", "clusters", "all nodes"},
    {"job", "jobs", "work over whole buckets"},
};

// One word that stands for a noun and a verb.
struct short_row {
    const char *word;
    const char *noun;
    const char *verb;
};

static constexpr short_row short_forms[] = {
    {"get", "object", "get"},
    {"put", "object", "put"},
    {"rm", "object", "rm"},
    {"cp", "object", "cp"},
    {"create", "bucket", "create"},
    {"head", "object", "head"},
};

bool grammar_is_global(flag f) { return (global_flags & flag_bit(f)) != 0; }
bool grammar_takes(const command_row &row, flag f) { return ((row.flags | global_flags) & flag_bit(f)) != 0; }

const flag_row &grammar_flag(flag f)
{
    for (const flag_row &row : grammar_flags())
        if (row.id == f)
            return row;
    panic("a flag without a row");
}

const command_row &grammar_command(command id)
{
    for (const command_row &row : grammar_commands())
        if (row.id == id)
            return row;
    panic("a command without a row");
}

static bool list_has(std::string_view list, char separator, std::string_view word)
{
    while (!list.empty()) {
        size_t end = list.find(separator);
        if (list.substr(0, end) == word)
            return !word.empty();
        list = end == std::string_view::npos ? std::string_view() : list.substr(end + 1);
    }
    return false;
}

const flag_row *grammar_find_flag(std::string_view word)
{
    if (!word.starts_with('-') || word == "-" || word == "--")
        return nullptr;
    std::string_view name = word.starts_with("--") ? word.substr(0, word.find('=')) : word.substr(0, 2);
    for (const flag_row &row : grammar_flags())
        if (list_has(row.names, ',', name))
            return &row;
    return nullptr;
}

std::string_view grammar_noun(std::string_view word)
{
    for (const noun_row &row : nouns)
        if (word == row.noun || list_has(row.other_words, ' ', word))
            return row.noun;
    return {};
}

const command_row *grammar_find(std::string_view noun, std::string_view verb)
{
    for (const command_row &row : grammar_commands())
        if (noun == row.noun && (verb == row.verb || list_has(row.other_verbs, ' ', verb)))
            return &row;
    return nullptr;
}

static bool is_verb_of_any_noun(std::string_view word)
{
    for (const noun_row &row : nouns)
        if (grammar_find(row.noun, word) != nullptr)
            return true;
    return false;
}

std::string grammar_usage(const command_row &row)
{
    std::string out = *row.noun != '\0' ? std::string(row.noun) + " " + row.verb : std::string(row.verb);
    for (const word_row &word : row.words) {
        if (word.name == nullptr)
            break;
        out += word.required ? text_format(" %s", word.name) : text_format(" [%s]", word.name);
        if (word.repeats)
            out += "...";
    }
    return out;
}

// The indices of the words that are neither options nor values of options.
static std::vector<size_t> find_words(const std::vector<std::string> &arguments)
{
    std::vector<size_t> at;
    for (size_t i = 0; i < arguments.size(); ++i) {
        const std::string &argument = arguments[i];
        if (argument == "--") {
            for (size_t k = i + 1; k < arguments.size(); ++k)
                at.push_back(k);
            break;
        }
        if (argument.size() < 2 || argument[0] != '-') {
            at.push_back(i);
            continue;
        }
        const flag_row *row = grammar_find_flag(argument);
        bool value_is_next = row != nullptr && row->value != nullptr &&
                             (argument.starts_with("--") ? argument.find('=') == std::string::npos : argument.size() == 2);
        if (value_is_next)
            ++i;
    }
    return at;
}

static bool has_argument(const std::vector<std::string> &arguments, std::string_view a, std::string_view b)
{
    for (const std::string &argument : arguments) {
        if (argument == "--")
            return false;
        if (argument == a || argument == b)
            return true;
    }
    return false;
}

static std::vector<std::string> without(const std::vector<std::string> &arguments, size_t a, size_t b)
{
    std::vector<std::string> out;
    for (size_t i = 0; i < arguments.size(); ++i)
        if (i != a && i != b)
            out.push_back(arguments[i]);
    return out;
}

static parsed_words resolved(const command_row *row, const std::vector<std::string> &arguments, size_t a, size_t b)
{
    parsed_words out;
    out.what = meaning::command;
    out.row = row;
    out.noun = row->noun;
    out.rest = without(arguments, a, b);
    return out;
}

// Commands that remove or stop something are never suggested: following a hint after a typo must not lose anything.
static bool is_destructive(command id)
{
    return id == command::etl_stop || id == command::etl_rm || id == command::object_rm || id == command::bucket_rm ||
           id == command::target_rm || id == command::target_replace || id == command::target_forget || id == command::job_cancel;
}

// Words of other tools for things that have another name here.
struct synonym_row {
    const char *noun; // "": as the first word
    const char *word;
    const char *hint;
};

static constexpr synonym_row synonyms[] = {
    {"etl", "run", "etlctl etl init -f spec.yaml"},
    {"etl", "create", "etlctl etl init -f spec.yaml"},
    {"etl", "apply", "etlctl etl init -f spec.yaml"},
    {"etl", "deploy", "etlctl etl init -f spec.yaml"},
    {"etl", "launch", "etlctl etl init -f spec.yaml"},
    {"etl", "restart", "etlctl etl stop ID, then etlctl etl start ID"},
    {"etl", "status", "etlctl etl health ID"},
    {"etl", "read", "etlctl etl object ID BUCKET/OBJECT"},
    {"etl", "get-object", "etlctl etl object ID BUCKET/OBJECT"},
    {"bucket", "mb", "etlctl bucket create BUCKET"},
    {"bucket", "new", "etlctl bucket create BUCKET"},
    {"", "mb", "etlctl bucket create BUCKET"},
    {"", "run", "etlctl etl init -f spec.yaml"},
    {"", "apply", "etlctl etl init -f spec.yaml"},
    {"", "cat", "etlctl get BUCKET/OBJECT -"},
    {"", "upload", "etlctl put FILE BUCKET/OBJECT"},
    {"", "download", "etlctl get BUCKET/OBJECT FILE"},
    {"", "status", "etlctl cluster health"},
    {"", "nodes", "etlctl cluster show"},
    {"", "logs", "etlctl etl logs ID"},
};

static std::string synonym_hint(std::string_view noun, std::string_view word)
{
    for (const synonym_row &row : synonyms)
        if (noun == row.noun && word == row.word)
            return row.hint;
    return {};
}

static parsed_words unknown_verb(std::string_view noun, std::string_view verb)
{
    std::vector<std::string_view> candidates;
    for (const command_row &row : grammar_commands())
        if (noun == row.noun && !is_destructive(row.id))
            candidates.push_back(row.verb);
    parsed_words out;
    out.problem = text_format("\"%s\" is not a command of %s", text_escape(verb).c_str(), std::string(noun).c_str());
    out.hint = synonym_hint(noun, verb);
    if (!out.hint.empty())
        return out;
    std::string_view nearest = text_nearest(verb, candidates);
    out.hint = nearest.empty() ? "etlctl help " + std::string(noun) : "etlctl " + std::string(noun) + " " + std::string(nearest);
    return out;
}

static parsed_words unknown_word(std::string_view word)
{
    std::vector<std::string_view> candidates;
    for (const noun_row &row : nouns)
        candidates.push_back(row.noun);
    for (const short_row &row : short_forms)
        if (!is_destructive(grammar_find(row.noun, row.verb)->id))
            candidates.push_back(row.word);
    for (const command_row &row : grammar_commands())
        if (*row.noun == '\0')
            candidates.push_back(row.verb);
    parsed_words out;
    out.problem = text_format("\"%s\" is not a command", text_escape(word).c_str());
    out.hint = synonym_hint("", word);
    if (!out.hint.empty())
        return out;
    std::string_view nearest = text_nearest(word, candidates);
    out.hint = nearest.empty() ? "etlctl help" : "etlctl " + std::string(nearest);
    return out;
}

parsed_words grammar_resolve(const std::vector<std::string> &arguments)
{
    parsed_words out;
    const size_t none = arguments.size();
    std::vector<size_t> at = find_words(arguments);
    if (at.empty()) {
        bool version = has_argument(arguments, "--version", "-V");
        out.what = version ? meaning::version : meaning::help_top;
        out.is_error = !version && !has_argument(arguments, "--help", "-h");
        if (version)
            for (const std::string &argument : arguments)
                if (argument != "--version" && argument != "-V")
                    out.rest.push_back(argument);
        return out;
    }
    std::string_view first = arguments[at[0]];
    std::string_view second = at.size() > 1 ? std::string_view(arguments[at[1]]) : std::string_view();

    const command_row *row = grammar_find("", first);
    if (row != nullptr)
        return resolved(row, arguments, at[0], none);

    // The example of 2020 types `transform init`. `transform` is a synonym only as the first word, because a bucket may have that name (`ls
    // transform`).
    std::string_view noun = first == "transform" ? std::string_view("etl") : grammar_noun(first);
    if (!noun.empty()) {
        if (at.size() < 2) {
            out.what = meaning::help_noun;
            out.noun = noun;
            out.is_error = !has_argument(arguments, "--help", "-h");
            return out;
        }
        row = grammar_find(noun, second);
        // `etl get ID` shows an ETL, as kubectl does; with an object or a folder it reads through the ETL.
        if (row != nullptr && row->id == command::etl_show && second == "get" && at.size() > 3)
            row = &grammar_command(command::etl_object);
        return row != nullptr ? resolved(row, arguments, at[0], at[1]) : unknown_verb(noun, second);
    }

    std::string_view second_noun = grammar_noun(second);
    if (!second_noun.empty() && is_verb_of_any_noun(first)) {
        row = grammar_find(second_noun, first);
        return row != nullptr ? resolved(row, arguments, at[0], at[1]) : unknown_verb(second_noun, first);
    }
    if (first == "ls" || first == "list")
        return resolved(grammar_find(at.size() > 1 ? "object" : "bucket", "ls"), arguments, at[0], none);
    for (const short_row &form : short_forms)
        if (first == form.word)
            return resolved(grammar_find(form.noun, form.verb), arguments, at[0], none);
    return unknown_word(first);
}

std::string grammar_as_program(std::string_view text, std::string_view program)
{
    static constexpr std::string_view own = "etlctl";
    std::string out;
    size_t i = 0;
    while (i < text.size()) {
        bool starts = i == 0 || text[i - 1] == ' ' || text[i - 1] == '\n' || text[i - 1] == '(' || text[i - 1] == '`' ||
                      text[i - 1] == '\'';
        size_t end = i + own.size();
        bool ends = end == text.size() || (end < text.size() && (text[end] == ' ' || text[end] == '\n' || text[end] == '`'));
        if (starts && ends && text.substr(i, own.size()) == own) {
            out += program;
            i = end;
        } else {
            out += text[i++];
        }
    }
    return out;
}

static void add_row(std::string &out, std::string_view left, std::string_view right)
{
    static constexpr size_t column = 30;
    out += "  ";
    out += left;
    if (left.size() + 3 > column)
        out += "\n" + std::string(column, ' ');
    else
        out += std::string(column - 2 - left.size(), ' ');
    out += right;
    out += "\n";
}

static void add_flags(std::string &out, const char *title, uint64_t mask)
{
    if (mask == 0)
        return;
    out += "\n";
    out += title;
    out += ":\n";
    for (const flag_row &row : grammar_flags()) {
        if ((mask & flag_bit(row.id)) == 0)
            continue;
        std::string names;
        for (const char *c = row.names; *c != '\0'; ++c)
            names += *c == ',' ? std::string(", ") : std::string(1, *c);
        if (names.starts_with("--"))
            names = "    " + names;
        if (row.value != nullptr)
            names += text_format(" %s", row.value);
        std::string help = row.help;
        if (row.environment != nullptr) {
            std::string variable(row.environment);
            help += " [$" + variable.substr(0, variable.find(',')) + "]";
        }
        add_row(out, names, help);
    }
}

std::string grammar_help_top(std::string_view program)
{
    std::string name(program);
    std::string out = name + ": objects, and transforms that run where the objects are\n\nUsage: " + name +
                      " NOUN VERB [ARGUMENTS] [OPTIONS]   (VERB NOUN also works)\n";
    for (const noun_row &noun : nouns) {
        out += text_format("\n%s: %s\n", noun.noun, noun.summary);
        for (const command_row &row : grammar_commands())
            if (std::string_view(row.noun) == noun.noun)
                add_row(out, grammar_usage(row), row.summary);
    }
    out += "\nother commands:\n";
    for (const command_row &row : grammar_commands())
        if (*row.noun == '\0')
            add_row(out, grammar_usage(row), row.summary);
    out += "\nshort forms: get, put, rm for objects; ls for buckets, ls BUCKET for its objects; transform for etl\n";
    add_flags(out, "Options of every command", global_flags);
    out += "\nExample:\n" +
           grammar_as_program("  etlctl create bucket b\n  echo hello | etlctl put - b/o\n  ID=$(etlctl etl init -f spec.yaml)\n"
                              "  etlctl etl object $ID b/o -\n",
               program);
    return out;
}

std::string grammar_help_noun(std::string_view program, std::string_view noun)
{
    std::string out;
    for (const noun_row &row : nouns)
        if (noun == row.noun)
            out += text_format(
                "%s: %s\n\nUsage: %s %s VERB [ARGUMENTS] [OPTIONS]\n\n", row.noun, row.summary, std::string(program).c_str(), row.noun);
    std::string examples;
    for (const command_row &row : grammar_commands()) {
        if (noun != row.noun)
            continue;
        add_row(out, grammar_usage(row), row.summary);
        examples += row.example;
    }
    out += "\nExample:\n" + grammar_as_program(examples, program);
    return out;
}

std::string grammar_help_command(std::string_view program, const command_row &row)
{
    std::string name(program);
    std::string out = text_format("%s\n\nUsage: %s %s [OPTIONS]\n", row.summary, name.c_str(), grammar_usage(row).c_str());
    if (*row.details != '\0')
        out += text_format("\n%s", row.details);
    if (*row.other_verbs != '\0') {
        out += "\nAliases: ";
        std::string verbs(row.other_verbs);
        for (size_t start = 0; start < verbs.size();) {
            size_t end = verbs.find(' ', start);
            end = end == std::string::npos ? verbs.size() : end;
            out += (start == 0 ? "" : ", ") + std::string(row.noun) + " " + verbs.substr(start, end - start);
            start = end + 1;
        }
        out += "\n";
    }
    add_flags(out, "Options", row.flags);
    add_flags(out, "Options of every command", global_flags);
    out += "\nExample:\n" + grammar_as_program(row.example, program);
    return out;
}

} // namespace etlnode::etlctl
