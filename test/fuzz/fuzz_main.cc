// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_main.cc: runs a target's corpus as a plain test: every file, cut short at many positions, and repeatable mutations. TAP.
//
//   etlnode-fuzz TARGET FOLDER [DICTIONARY]        all of it
//   etlnode-fuzz TARGET FILE                       one file, e.g. one that libFuzzer wrote
//   etlnode-fuzz TARGET FOLDER DICTIONARY NAME K   writes mutation K of one file to standard output
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <unistd.h>

#include "base/log.h"
#include "fuzz.h"

using namespace etlnode;

// Present in programs built with sanitizers.
extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

struct sample {
    std::string name, text;
};

static char under_test[512]; // printed when a sanitizer or a CHECK ends the process

static void say_what_died()
{
    size_t size = strnlen(under_test, sizeof under_test);
    ssize_t written = write(STDOUT_FILENO, under_test, size);
    (void)written;
}

static std::string read_file(const std::filesystem::path &path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

static std::vector<sample> read_corpus(const std::string &folder)
{
    std::vector<sample> samples;
    std::error_code failure;
    for (const auto &entry : std::filesystem::directory_iterator(folder, failure)) {
        if (entry.is_regular_file(failure))
            samples.push_back({entry.path().filename().string(), read_file(entry.path())});
    }
    std::sort(samples.begin(), samples.end(), [](const sample &a, const sample &b) { return a.name < b.name; });
    return samples;
}

// Reads the texts in double quotes, one on each line, with \xNN, \\ and \": libFuzzer's format.
static std::vector<std::string> read_dictionary(const std::string &path)
{
    std::vector<std::string> words;
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
        size_t first = line.find('"');
        size_t last = line.rfind('"');
        if (line.empty() || line[0] == '#' || first == std::string::npos || last <= first)
            continue;
        std::string word;
        for (size_t i = first + 1; i < last; i++) {
            if (line[i] == '\\' && i + 3 < last + 1 && line[i + 1] == 'x') {
                word += static_cast<char>(std::stoi(line.substr(i + 2, 2), nullptr, 16));
                i += 3;
            } else {
                if (line[i] == '\\')
                    i++;
                word += line[i];
            }
        }
        words.push_back(word);
    }
    return words;
}

static constexpr char odd_text[] = "\0\r\n\t :;,=%+/\\\"'{}[]#&*-0199aAfF\x7f\x80\xc3\xff";
static constexpr std::string_view odd_bytes(odd_text, sizeof odd_text - 1);

static void mutate_once(rng &r, std::string &text, const std::vector<sample> &samples, const std::vector<std::string> &words)
{
    size_t at = text.empty() ? 0 : static_cast<size_t>(rng_below(r, text.size() + 1));
    size_t count = 1 + static_cast<size_t>(rng_below(r, 8));
    switch (rng_below(r, 9)) {
    case 0:
        if (at < text.size())
            text[at] = static_cast<char>(text[at] ^ (1 << rng_below(r, 8)));
        break;
    case 1: text.insert(at, 1, odd_bytes[rng_below(r, odd_bytes.size())]); break;
    case 2:
        if (at < text.size())
            text[at] = odd_bytes[rng_below(r, odd_bytes.size())];
        break;
    case 3: text.erase(at, count); break;
    case 4: text.insert(at, text.substr(text.size() > count ? static_cast<size_t>(rng_below(r, text.size() - count)) : 0, count)); break;
    case 5: text.erase(at); break;
    case 6: {
        const std::string &other = samples[rng_below(r, samples.size())].text;
        text = text.substr(0, at) + (other.empty() ? other : other.substr(static_cast<size_t>(rng_below(r, other.size()))));
        break;
    }
    case 7:
        if (!words.empty())
            text.insert(at, words[rng_below(r, words.size())]);
        break;
    default:
        if (!words.empty()) {
            const std::string &word = words[rng_below(r, words.size())];
            text.replace(at, std::min(word.size(), text.size() - at), word);
        }
        break;
    }
}

static std::string mutation_of(const sample &s, size_t number, const std::vector<sample> &samples, const std::vector<std::string> &words)
{
    rng r = fuzz_rng(s.name + "/" + std::to_string(number));
    std::string text = s.text;
    for (size_t i = 1 + static_cast<size_t>(rng_below(r, 4)); i > 0; i--)
        mutate_once(r, text, samples, words);
    return text;
}

static void run(const fuzz_target &target, const std::string &what, std::string_view text)
{
    std::snprintf(under_test, sizeof under_test, "# died in %s\n", what.c_str());
    fuzz_exact copy(text);
    target.run(copy.view());
}

static void write_mutation(const std::vector<sample> &samples, const std::vector<std::string> &words, std::string_view name, size_t number)
{
    for (const sample &s : samples) {
        std::string text = s.name == name ? mutation_of(s, number, samples, words) : "";
        std::fwrite(text.data(), 1, text.size(), stdout);
    }
}

static void play(const fuzz_target &target, const std::vector<sample> &samples, const std::vector<std::string> &words)
{
    std::printf("1..%zu\n", samples.size());
    for (size_t i = 0; i < samples.size(); i++) {
        const sample &s = samples[i];
        run(target, s.name, s.text);
        size_t step = s.text.size() / (2 * target.mutations + 1) + 1;
        for (size_t cut = 0; cut < s.text.size(); cut += step)
            run(target, s.name + ", cut at " + std::to_string(cut), std::string_view(s.text).substr(0, cut));
        for (size_t k = 0; k < target.mutations; k++)
            run(target, s.name + ", mutation " + std::to_string(k), mutation_of(s, k, samples, words));
        std::printf("ok %zu %s\n", i + 1, s.name.c_str());
        std::fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    log_set_level(log_level::error);
    if (__sanitizer_set_death_callback != nullptr)
        __sanitizer_set_death_callback(say_what_died);
    if (argc < 3) {
        std::fprintf(stderr, "usage: etlnode-fuzz TARGET FOLDER [DICTIONARY [NAME MUTATION]] | etlnode-fuzz TARGET FILE\n");
        return 2;
    }
    const fuzz_target *target = fuzz_find_target(argv[1]);
    if (target == nullptr)
        return 2;
    std::string path = argv[2];
    if (std::filesystem::is_regular_file(path)) {
        run(*target, path, read_file(path));
        return 0;
    }
    std::vector<sample> samples = read_corpus(path);
    if (samples.empty()) {
        std::printf("Bail out! no corpus in %s\n", path.c_str());
        return 1;
    }
    std::vector<std::string> words = argc > 3 ? read_dictionary(argv[3]) : std::vector<std::string>();
    if (argc == 6)
        write_mutation(samples, words, argv[4], std::strtoul(argv[5], nullptr, 10));
    else
        play(*target, samples, words);
    return 0;
}
