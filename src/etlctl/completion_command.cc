// SPDX-License-Identifier: MIT
// etlctl/completion_command.cc: `completion SHELL`, and `__complete WORDS...`, which the shells' scripts call.
#include "etlctl/completion_command.h"

#include <cstdio>

#include "base/text.h"
#include "etlctl/commands.h"
#include "etlctl/complete.h"

namespace etlnode::etlctl {

// Limit for connecting and answering together: the user waits for it at every press of the Tab key.
static constexpr const char *completion_timeout = "150ms";

exit_code command_completion(session &s)
{
    std::string script = complete_script(s.opt.words[0], s.program);
    if (script.empty())
        return session_fail(
            s, usage_failure(text_format("no completion for \"%s\": write bash or zsh", text_escape(s.opt.words[0]).c_str())));
    fputs(script.c_str(), stdout);
    failure f = session_flush(s);
    return f ? session_fail(s, f) : exit_code::ok;
}

static std::vector<std::string> names(void *arg, word_kind kind, const std::string &bucket, const std::string &prefix)
{
    session &s = *static_cast<session *>(arg);
    switch (kind) {
    case word_kind::etl: return etl_ids(s);
    case word_kind::bucket: return bucket_names(s);
    case word_kind::object: return object_names(s, bucket, prefix);
    case word_kind::target: return target_ids(s);
    case word_kind::job: return job_ids(s);
    case word_kind::job_kind:
    case word_kind::object_or_bucket:
    case word_kind::none:
    case word_kind::file:
    case word_kind::folder:
    case word_kind::shell:
    case word_kind::topic: break;
    }
    return {};
}

static bool is_one_line(const std::string &word)
{
    for (char c : word)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            return false;
    return !word.empty();
}

int completion_answer(const char *program, const std::vector<std::string> &words)
{
    session s;
    s.program = program;
    for (size_t i = 0; i + 1 < words.size(); ++i) {
        if (words[i] == "--endpoint")
            s.opt.endpoint = words[i + 1];
        else if (words[i].starts_with("--endpoint="))
            s.opt.endpoint = words[i].substr(11);
    }
    s.opt.timeout = completion_timeout;
    failure f = session_init(s);
    if (f)
        return 0; // completion never prints an error
    complete_answer answer = complete_words(words, {.names = names, .arg = &s});
    for (const std::string &word : answer.words)
        if (is_one_line(word))
            printf("%s\n", word.c_str());
    if (answer.files)
        puts(":files");
    session_close(s);
    return 0;
}

} // namespace etlnode::etlctl
