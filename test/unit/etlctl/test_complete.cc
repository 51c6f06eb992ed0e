// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "etlctl/complete.h"

using namespace etlnode;
using namespace etlnode::etlctl;

static std::vector<std::string> names(void *, word_kind kind, const std::string &bucket, const std::string &prefix)
{
    switch (kind) {
    case word_kind::etl: return {"JGHEoo89gg", "my-etl"};
    case word_kind::bucket: return {"papers", "photos"};
    case word_kind::object: return bucket == "photos" ? std::vector<std::string>{prefix + "1", prefix + "2"} : std::vector<std::string>();
    case word_kind::target: return {"t1"};
    case word_kind::job: return {"bqvIEUAyI"};
    case word_kind::job_kind:
    case word_kind::none:
    case word_kind::object_or_bucket:
    case word_kind::file:
    case word_kind::folder:
    case word_kind::shell:
    case word_kind::topic: break;
    }
    return {};
}

static std::string at(const std::vector<std::string> &words)
{
    complete_answer answer = complete_words(words, {.names = names});
    std::string out;
    for (const std::string &word : answer.words)
        out += (out.empty() ? "" : " ") + word;
    return out + (answer.files ? " :files" : "");
}

static void candidates(void **)
{
    test_eq_text(at({}), "");
    test_eq_text(at({"c"}), "cluster completion cp create");
    test_eq_text(at({"etl", "s"}), "show stop start");
    test_eq_text(at({"transform", "in"}), "init");
    test_eq_text(at({"etl", "stop", "J"}), "JGHEoo89gg");
    test_eq_text(at({"job", "wait", ""}), "bqvIEUAyI");
    test_eq_text(at({"job", "start", "s"}), "scrub");
    test_eq_text(at({"stop", "etl", "m"}), "my-etl");
    test_eq_text(at({"etl", "object", "x", "ph"}), "photos/");
    test_eq_text(at({"etl", "object", "x", "ais://ph"}), "ais://photos/");
    test_eq_text(at({"etl", "object", "x", "photos/c"}), "photos/c1 photos/c2");
    test_eq_text(at({"etl", "object", "x", "photos/c", ""}), " :files");
    test_eq_text(at({"etl", "object", "x", "photos/c", "out", ""}), "");
    test_eq_text(at({"object", "rm", "photos/1", "photos/"}), "photos/1 photos/2"); // repeats
    test_eq_text(at({"ls", "p"}), "papers photos");
    test_eq_text(at({"bucket", "rm", ""}), "papers photos");
    test_eq_text(at({"bucket", "create", ""}), ""); // the bucket does not exist yet
    test_eq_text(at({"etl", "ls", "-o", "j"}), "json jsonl jsonpath=");
    test_eq_text(at({"etl", "ls", "--output", "y"}), "yaml");
    test_eq_text(at({"etl", "init", "-f", ""}), " :files");
    test_eq_text(at({"-o", "json", "bucket", "l"}), "ls");
    test_eq_text(at({"etl", "logs", "--tail", "5", "x", "t"}), "t1"); // the value of an option is not an argument
    test_eq_text(at({"bucket", "rm", "--y"}), "--yes");
    test_eq_text(at({"completion", "z"}), "zsh");
    test_eq_text(at({"nonsense", ""}), "");
}

static void scripts(void **)
{
    test_has_text(complete_script("bash", "ais"), "complete -F _ais_complete ais\n");
    test_has_text(complete_script("zsh", "etlctl"), "#compdef etlctl\n");
    test_eq_text(complete_script("fish", "etlctl"), "");
}

int main()
{
    const CMUnitTest tests[] = {cmocka_unit_test(candidates), cmocka_unit_test(scripts)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
