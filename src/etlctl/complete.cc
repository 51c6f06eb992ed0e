// SPDX-License-Identifier: MIT
// etlctl/complete.cc: completion candidates at the cursor, and the bash and zsh scripts, which only pass words on.
#include "etlctl/complete.h"

#include "etlctl/output.h"
#include "node/api.h"

namespace etlnode::etlctl {

static void offer(complete_answer &answer, std::string_view typed, std::string_view word)
{
    if (word.starts_with(typed))
        answer.words.emplace_back(word);
}

static void offer_names(complete_answer &answer, const complete_source &source, word_kind kind, std::string_view typed)
{
    if (source.names == nullptr)
        return;
    for (const std::string &name : source.names(source.arg, kind, {}, {}))
        offer(answer, typed, name);
}

// Offers BUCKET/ first, then BUCKET/OBJECT. If the user typed ais://, the candidates keep it.
static void offer_objects(complete_answer &answer, const complete_source &source, std::string_view typed, bool bucket_is_enough)
{
    if (source.names == nullptr)
        return;
    static constexpr std::string_view scheme = "ais://";
    std::string head(typed.starts_with(scheme) ? scheme : std::string_view());
    std::string_view rest = typed.substr(head.size());
    size_t slash = rest.find('/');
    if (slash == std::string_view::npos) {
        for (const std::string &bucket : source.names(source.arg, word_kind::bucket, {}, {}))
            offer(answer, typed, head + bucket + (bucket_is_enough ? "" : "/"));
        return;
    }
    std::string bucket(rest.substr(0, slash));
    for (const std::string &object : source.names(source.arg, word_kind::object, bucket, std::string(rest.substr(slash + 1))))
        offer(answer, typed, head + bucket + "/" + object);
}

static void offer_words_of(complete_answer &answer, const complete_source &source, word_kind kind, std::string_view typed)
{
    switch (kind) {
    case word_kind::none: break;
    case word_kind::etl:
    case word_kind::job:
    case word_kind::target: offer_names(answer, source, kind, typed); break;
    case word_kind::bucket: {
        static constexpr std::string_view scheme = "ais://";
        std::string head(typed.starts_with(scheme) ? scheme : std::string_view());
        if (source.names != nullptr)
            for (const std::string &bucket : source.names(source.arg, kind, {}, {}))
                offer(answer, typed, head + bucket);
        break;
    }
    case word_kind::object: offer_objects(answer, source, typed, false); break;
    case word_kind::object_or_bucket: offer_objects(answer, source, typed, true); break;
    case word_kind::file: answer.files = true; break;
    case word_kind::folder:
        offer_objects(answer, source, typed, false);
        answer.files = true;
        break;
    case word_kind::job_kind:
        for (const char *name : {"rebalance", "scrub"})
            offer(answer, typed, name);
        break;
    case word_kind::shell:
        offer(answer, typed, "bash");
        offer(answer, typed, "zsh");
        break;
    case word_kind::topic:
        for (const char *word : {"etl", "object", "bucket", "target", "cluster", "job", "exit-codes", "environment"})
            offer(answer, typed, word);
        break;
    }
}

static void offer_value(complete_answer &answer, flag f, std::string_view typed)
{
    if (f == flag::output)
        for (std::string_view name : output_format_names)
            offer(answer, typed, name);
    if (f == flag::progress)
        for (const char *mode : {"auto", "plain", "none"})
            offer(answer, typed, mode);
    if (f == flag::communication)
        for (std::string_view mode : etl_mode_names)
            offer(answer, typed, mode.substr(0, mode.find(':')));
    answer.files = f == flag::file || f == flag::failed_to || f == flag::names_from;
}

static void offer_flags(complete_answer &answer, const command_row *row, std::string_view typed)
{
    for (const flag_row &f : grammar_flags()) {
        if (row != nullptr ? !grammar_takes(*row, f.id) : !grammar_is_global(f.id))
            continue;
        std::string_view names = f.names;
        offer(answer, typed, names.substr(names.rfind("--")));
    }
    offer(answer, typed, "--help");
}

static void offer_first_words(complete_answer &answer, std::string_view typed)
{
    static constexpr std::string_view words[] = {"bucket", "cluster", "completion", "cp", "create", "etl", "get", "help", "job", "ls",
        "object", "put", "rm", "scrub", "sync", "target", "version"};
    for (std::string_view word : words)
        offer(answer, typed, word);
}

complete_answer complete_words(const std::vector<std::string> &words, const complete_source &source)
{
    complete_answer answer;
    if (words.empty())
        return answer;
    const std::string &typed = words.back();
    std::vector<std::string> before(words.begin(), words.end() - 1);

    const flag_row *pending = before.empty() ? nullptr : grammar_find_flag(before.back());
    bool wants_value = pending != nullptr && pending->value != nullptr && before.back().find('=') == std::string::npos &&
                       (before.back().starts_with("--") || before.back().size() == 2);
    if (wants_value) {
        offer_value(answer, pending->id, typed);
        return answer;
    }
    parsed_words parsed = grammar_resolve(before);
    if (parsed.what == meaning::command && parsed.row->words[0].name == nullptr) {
        // `ls` alone lists buckets, but `ls B` lists objects. Resolve the command as it will be once the current word is typed.
        std::vector<std::string> longer = before;
        longer.emplace_back("word");
        parsed_words with_word = grammar_resolve(longer);
        if (with_word.what == meaning::command && with_word.row != parsed.row)
            parsed.row = with_word.row;
    }
    if (typed.starts_with('-') && typed != "-") {
        offer_flags(answer, parsed.what == meaning::command ? parsed.row : nullptr, typed);
        return answer;
    }
    if (parsed.what == meaning::help_top) {
        offer_first_words(answer, typed);
    } else if (parsed.what == meaning::help_noun) {
        for (const command_row &row : grammar_commands())
            if (parsed.noun == row.noun)
                offer(answer, typed, row.verb);
    } else if (parsed.what == meaning::command) {
        size_t at = 0;
        for (size_t i = 0; i < parsed.rest.size(); ++i) {
            const std::string &word = parsed.rest[i];
            const flag_row *f = grammar_find_flag(word);
            if (f == nullptr || word == "-")
                ++at;
            else if (f->value != nullptr && word.find('=') == std::string::npos && (word.starts_with("--") || word.size() == 2))
                ++i;
        }
        const word_row *row = parsed.row->words;
        while (at > 0 && row->name != nullptr && !row->repeats) {
            ++row;
            --at;
        }
        if (row->name != nullptr)
            offer_words_of(answer, source, row->kind, typed);
        if (row->name != nullptr && row->repeats && row[1].name != nullptr && at > 0) // perhaps it is the last word
            offer_words_of(answer, source, row[1].kind, typed);
    }
    return answer;
}

// The script splits the command line itself, because bash splits its word list at ':' and '=', which occur in ais://bucket.
static constexpr std::string_view bash_script = R"(# bash completion of @PROGRAM@; load it with: source <(@PROGRAM@ completion bash)
_@NAME@_complete() {
    local line="${COMP_LINE:0:COMP_POINT}" cur word cut
    local -a words
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    cur="${words[${#words[@]}-1]}"
    cut="${cur%"${cur##*[:=]}"}"
    COMPREPLY=()
    while IFS= read -r word; do
        if [[ $word == :files ]]; then
            while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$cur")
            compopt -o filenames 2>/dev/null
            continue
        fi
        printf -v word %q "$word"
        COMPREPLY+=("${word#"$cut"}")
    done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[/=] ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -F _@NAME@_complete @PROGRAM@
)";

static constexpr std::string_view zsh_script = R"(#compdef @PROGRAM@
# zsh completion of @PROGRAM@; load it after compinit with: source <(@PROGRAM@ completion zsh)
_@NAME@_complete() {
    local word
    local -a whole open
    local files=0
    while IFS= read -r word; do
        case $word in
            :files) files=1 ;;
            */|*=) open+=("$word") ;;
            *) whole+=("$word") ;;
        esac
    done < <("${words[1]}" __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)
    (( ${#open} )) && compadd -S '' -- "${open[@]}"
    (( ${#whole} )) && compadd -- "${whole[@]}"
    (( files )) && _files
    return 0
}
compdef _@NAME@_complete @PROGRAM@
)";

std::string complete_script(std::string_view shell, std::string_view program)
{
    std::string_view script = shell == "bash" ? bash_script : shell == "zsh" ? zsh_script : std::string_view();
    std::string name;
    for (char c : program)
        name += (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_';
    std::string out;
    for (size_t i = 0; i < script.size();) {
        if (script.substr(i, 9) == "@PROGRAM@") {
            out += program;
            i += 9;
        } else if (script.substr(i, 6) == "@NAME@") {
            out += name;
            i += 6;
        } else {
            out += script[i++];
        }
    }
    return out;
}

} // namespace etlnode::etlctl
