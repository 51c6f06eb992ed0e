// SPDX-License-Identifier: MIT
// etlctl/help_commands.cc: the help of commands, and the topics exit-codes and environment.
#include "etlctl/commands.h"

#include <cstdio>

#include "base/text.h"

namespace etlnode::etlctl {

static void print_exit_codes()
{
    puts("CODE   NAME          MEANING");
    for (const exit_code_row &row : exit_code_table())
        printf("%-4d   %-11s   %s\n", static_cast<int>(row.code), row.name, row.meaning);
}

static void print_environment()
{
    puts("An option on the command line takes precedence over its variable; the variable over the default.\n");
    for (const flag_row &row : grammar_flags()) {
        if (row.environment == nullptr)
            continue;
        std::string names(row.environment);
        for (size_t comma = names.find(','); comma != std::string::npos; comma = names.find(',', comma + 2))
            names.replace(comma, 1, ", ");
        printf("%-34s %s\n", names.c_str(), row.names);
    }
    printf("%-34s %s\n", "ETLNODE_TOKEN, AIS_AUTHN_TOKEN", "sent as Authorization: Bearer");
    printf("%-34s %s\n", "http_proxy, no_proxy", "as in curl; addresses of this machine are always reached directly");
}

exit_code command_help(session &s)
{
    const std::vector<std::string> &words = s.opt.words;
    if (words.empty()) {
        fputs(grammar_help_top(s.program).c_str(), stdout);
    } else if (words[0] == "exit-codes" || words[0] == "exit-code") {
        print_exit_codes();
    } else if (words[0] == "environment") {
        print_environment();
    } else {
        parsed_words parsed = grammar_resolve(words);
        if (parsed.what == meaning::help_noun)
            fputs(grammar_help_noun(s.program, parsed.noun).c_str(), stdout);
        else if (parsed.what == meaning::command)
            fputs(grammar_help_command(s.program, *parsed.row).c_str(), stdout);
        else
            return session_fail(s, usage_failure("no help for " + words[0] + ": " + parsed.problem, "etlctl help"));
    }
    failure f = session_flush(s);
    return f ? session_fail(s, f) : exit_code::ok;
}

} // namespace etlnode::etlctl
