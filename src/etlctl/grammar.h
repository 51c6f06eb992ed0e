// SPDX-License-Identifier: MIT
// etlctl/grammar.h: the commands and their options, declared once; what the words of a command line mean.
//
// Parsing, help, completion and the tests read these tables. `<noun> <verb>` and `<verb> <noun>` resolve to the same row. So do the short
// forms (`get`, `put`, `ls`, `rm`) and the words of 2020 (`transform init`). Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace etlnode::etlctl {

enum class command : uint8_t {
    etl_init,
    etl_ls,
    etl_show,
    etl_logs,
    etl_health,
    etl_errors,
    etl_stop,
    etl_start,
    etl_rm,
    etl_object,
    etl_bucket,
    object_get,
    object_put,
    object_ls,
    object_head,
    object_rm,
    object_cp,
    bucket_create,
    bucket_ls,
    bucket_rm,
    bucket_cp,
    bucket_mv,
    bucket_archive,
    target_ls,
    target_drain,
    target_activate,
    target_rm,
    target_replace,
    target_forget,
    target_found,
    cluster_show,
    cluster_health,
    cluster_recover,
    cluster_backup,
    cluster_restore,
    df,
    du,
    job_ls,
    job_show,
    job_watch,
    job_wait,
    job_cancel,
    job_report,
    job_download,
    job_start,
    scrub,
    sync,
    version,
    help,
    completion,
};

// Everything that a command line can set. `words` holds the positional arguments in the order of the command's row.
struct options {
    std::vector<std::string> words;

    std::string endpoint;
    std::string output;
    std::string sort_by;
    std::string timeout;
    std::string request_id;
    std::string progress;
    bool no_headers = false;
    bool verbose = false;
    bool trace_http = false;
    bool dry_run = false;
    std::string dry_run_mode; // client or, for commands that support it, server; empty means client

    std::vector<std::string> files;
    std::string name;
    std::string communication;
    std::string init_timeout;
    std::string obj_timeout;
    std::string args;
    std::string range;
    std::string prefix;
    std::string limit;
    std::string tail;
    std::string rate;
    std::string prepend;
    std::vector<std::string> extensions;
    std::string pattern;
    std::string num_workers;
    bool force = false;
    bool wait = false;
    bool yes = false;
    bool exist_ok = false;
    bool ignore_not_found = false;
    bool null_separated = false;
    bool client = false;
    std::string secret_file;
    std::vector<std::string> from;
    std::vector<std::string> without;
    std::string take;
    bool force_old = false;
    bool leave_damaged = false;
    bool take_found = false;
    bool recursive = false;
    std::vector<std::string> includes;
    std::vector<std::string> excludes;
    bool skip_existing = false;
    bool checksum = false;
    bool size_only = false;
    bool goes_on = false;
    bool append = false;
    bool deletes = false;
    std::string failed_to;
    std::string names_from;
    bool watch = false;
    bool retry_failed = false;
    bool has_prefix = false; // --prefix was given, perhaps with nothing
};

enum class flag : uint8_t {
    endpoint,
    output,
    no_headers,
    sort_by,
    timeout,
    request_id,
    progress,
    verbose,
    trace_http,
    dry_run,
    file,
    name,
    communication,
    init_timeout,
    obj_timeout,
    args,
    range,
    prefix,
    limit,
    tail,
    rate,
    prepend,
    extension,
    pattern,
    num_workers,
    force,
    wait,
    yes,
    exist_ok,
    ignore_not_found,
    null_separated,
    client,
    secret_file,
    from,
    without,
    take,
    force_old,
    leave_damaged,
    take_found,
    recursive,
    include,
    exclude,
    skip_existing,
    checksum,
    size_only,
    goes_on,
    append,
    deletes,
    failed_to,
    names_from,
    watch,
    retry_failed,
};

constexpr uint64_t flag_bit(flag f) { return uint64_t(1) << static_cast<unsigned>(f); }

struct flag_row {
    flag id;
    const char *names; // "-o,--output"
    const char *value; // name of its value in the help; null for a switch
    const char *help;
    const char *environment;    // variables that set the value when the option is absent, separated by commas; null if there are none
    std::string options::*text; // where the value goes, or
    bool options::*boolean;     // where the switch goes, or
    std::vector<std::string> options::*list; // where the values go if the option may be repeated
};

// The kind of a positional argument, for help and completion.
enum class word_kind : uint8_t { none, etl, bucket, object, object_or_bucket, folder, file, target, job, job_kind, shell, topic };

struct word_row {
    const char *name; // null: no further words
    word_kind kind;
    bool required;
    bool repeats; // at most one word of a command does
};

inline constexpr size_t command_words_max = 3;

struct command_row {
    command id;
    const char *noun; // "" for commands of one word
    const char *verb;
    const char *other_verbs; // separated by spaces
    word_row words[command_words_max + 1];
    uint64_t flags; // flag_bit of each option, apart from those that every command takes
    const char *summary;
    const char *details; // "" or some lines
    const char *example; // lines of two spaces and a command; the program's name replaces "etlctl"
};

std::span<const flag_row> grammar_flags();
std::span<const command_row> grammar_commands();
const flag_row &grammar_flag(flag f);
const command_row &grammar_command(command id);
// Whether the command takes the option, either its own or one that every command takes.
bool grammar_takes(const command_row &row, flag f);
bool grammar_is_global(flag f);
// The flag that `word` ("-o", "--output", "--output=json") names; null if there is none.
const flag_row *grammar_find_flag(std::string_view word);
// "etl" for both "etl" and "etls"; empty if the word is not a noun.
std::string_view grammar_noun(std::string_view word);
// The row of a noun ("" for one-word commands) and a verb or its synonym; null if there is none.
const command_row *grammar_find(std::string_view noun, std::string_view verb);
// "etl object ID BUCKET/OBJECT [OUT]"
std::string grammar_usage(const command_row &row);

enum class meaning : uint8_t {
    command,   // sets `row` and `rest`
    help_top,  // --help alone, or no words at all (then `is_error`)
    help_noun, // sets `noun`
    version,   // --version alone
    unknown,   // sets `problem` and perhaps `hint`
};

struct parsed_words {
    meaning what = meaning::unknown;
    const command_row *row = nullptr;
    std::string noun;
    std::vector<std::string> rest; // options and positional arguments, without the words of the command
    bool is_error = false;         // help is shown because a word is missing
    std::string problem;
    std::string hint;
};

// `arguments` does not include the program's name.
parsed_words grammar_resolve(const std::vector<std::string> &arguments);

// The help texts: of the program, of one noun, of one command. `program` is the name under which the program was called.
std::string grammar_help_top(std::string_view program);
std::string grammar_help_noun(std::string_view program, std::string_view noun);
std::string grammar_help_command(std::string_view program, const command_row &row);
// `text` with each word "etlctl" replaced by `program`.
std::string grammar_as_program(std::string_view text, std::string_view program);

} // namespace etlnode::etlctl
