// SPDX-License-Identifier: MIT
// etlctl/main.cc: resolves the words to a command, runs it and returns its exit code.
//
// Knows    everything in etlctl.     Normal  grammar_resolve, parse_options, session_init, the command.
// Fails    A usage error exits with 2 before anything is sent. SIGINT exits with 130, SIGTERM with 143 (partial_file.cc).
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "base/standard_streams.h"
#include "etlctl/commands.h"
#include "etlctl/completion_command.h"
#include "etlctl/parse.h"
#include "etlctl/partial_file.h"
#include "etlctl/watch.h"

namespace etlnode::etlctl {

static exit_code run(session &s)
{
    switch (s.row->id) {
    case command::etl_init: return command_etl_init(s);
    case command::etl_ls: return command_etl_ls(s);
    case command::etl_show: return command_etl_show(s);
    case command::etl_logs: return command_etl_logs(s);
    case command::etl_health: return command_etl_health(s);
    case command::etl_errors: return command_etl_errors(s);
    case command::etl_stop: return command_etl_stop(s);
    case command::etl_start: return command_etl_start(s);
    case command::etl_rm: return command_etl_rm(s);
    case command::etl_object: return command_etl_object(s);
    case command::etl_bucket: return command_etl_bucket(s);
    case command::object_get: return command_object_get(s);
    case command::object_put: return command_object_put(s);
    case command::object_ls: return command_object_ls(s);
    case command::object_head: return command_object_head(s);
    case command::object_rm: return command_object_rm(s);
    case command::object_cp: return command_object_cp(s);
    case command::bucket_create: return command_bucket_create(s);
    case command::bucket_ls: return command_bucket_ls(s);
    case command::bucket_rm: return command_bucket_rm(s);
    case command::bucket_cp: return command_bucket_cp(s);
    case command::bucket_mv: return command_bucket_mv(s);
    case command::bucket_archive: return command_bucket_archive(s);
    case command::target_ls: return command_target_ls(s);
    case command::target_drain: return command_target_drain(s);
    case command::target_found: return command_target_found(s);
    case command::target_activate: return command_target_activate(s);
    case command::target_rm: return command_target_rm(s);
    case command::target_replace: return command_target_replace(s);
    case command::target_forget: return command_target_forget(s);
    case command::cluster_show: return command_cluster_show(s);
    case command::cluster_health: return command_cluster_health(s);
    case command::cluster_recover: return command_cluster_recover(s);
    case command::cluster_backup: return command_cluster_backup(s);
    case command::cluster_restore: return command_cluster_restore(s);
    case command::df: return command_df(s);
    case command::du: return command_du(s);
    case command::job_ls: return command_job_ls(s);
    case command::job_show: return command_job_show(s);
    case command::job_watch: return command_job_watch(s);
    case command::job_wait: return command_job_wait(s);
    case command::job_cancel: return command_job_cancel(s);
    case command::job_report: return command_job_report(s);
    case command::job_start: return command_job_start(s);
    case command::job_download: return command_job_download(s);
    case command::scrub: return command_scrub(s);
    case command::sync: return command_sync(s);
    case command::version: return command_version(s);
    case command::help: return command_help(s);
    case command::completion: return command_completion(s);
    }
    return exit_code::other;
}

// The format must be known before parsing, because a wrong command line is reported as JSON if it asks for JSON.
static output_format format_of(const std::vector<std::string> &arguments)
{
    output_format format = output_format::table;
    std::string ignored;
    for (size_t i = 0; i < arguments.size() && arguments[i] != "--"; ++i) {
        std::string_view word = arguments[i];
        if ((word == "-o" || word == "--output") && i + 1 < arguments.size())
            output_parse_format(arguments[i + 1], format, ignored);
        else if (word.starts_with("--output="))
            output_parse_format(word.substr(9), format, ignored);
        else if (word.starts_with("-o") && word.size() > 2)
            output_parse_format(word.substr(2), format, ignored);
    }
    return format;
}

static int show_help(const std::string &text, bool is_error)
{
    fputs(text.c_str(), is_error ? stderr : stdout);
    return static_cast<int>(is_error ? exit_code::usage : exit_code::ok);
}

static int finish(session &s, exit_code exit)
{
    session_close(s);
    return static_cast<int>(exit);
}

static int run_main(int argc, char **argv)
{
    standard_streams_fill_gaps();
    const char *slash = argc > 0 && argv[0] != nullptr ? strrchr(argv[0], '/') : nullptr;
    session s;
    s.program = slash != nullptr ? slash + 1 : argc > 0 && argv[0] != nullptr && *argv[0] != '\0' ? argv[0] : "etlctl";
    std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
    signal(SIGPIPE, SIG_IGN); // write() reports a closed pipe
    if (!arguments.empty() && arguments[0] == "__complete")
        return completion_answer(s.program.c_str(), {arguments.begin() + 1, arguments.end()});
    partial_file_watch_signals(s.program.c_str());
    s.format = format_of(arguments);

    parsed_words parsed = grammar_resolve(arguments);
    switch (parsed.what) {
    case meaning::help_top: return show_help(grammar_help_top(s.program), parsed.is_error);
    case meaning::help_noun: return show_help(grammar_help_noun(s.program, parsed.noun), parsed.is_error);
    case meaning::unknown: return finish(s, session_fail(s, usage_failure(parsed.problem, parsed.hint)));
    case meaning::version:
        parsed.row = &grammar_command(command::version);
        parsed.rest.emplace_back("--client");
        break;
    case meaning::command: break;
    }
    s.row = parsed.row;

    failure f;
    parse_result result = parse_options(*s.row, parsed.rest, s.opt, f);
    if (result == parse_result::help)
        return show_help(grammar_help_command(s.program, *s.row), false);
    if (!f)
        f = session_init(s);
    if (f)
        return finish(s, session_fail(s, f));

    exit_code exit = s.opt.watch ? watch_run(s, run) : run(s);
    if (!s.plan.empty() && exit == exit_code::ok) {
        session_print_plan(s);
        f = session_flush(s);
        if (f)
            exit = session_fail(s, f);
    }
    return finish(s, exit);
}

} // namespace etlnode::etlctl

int main(int argc, char **argv) { return etlnode::etlctl::run_main(argc, argv); }
