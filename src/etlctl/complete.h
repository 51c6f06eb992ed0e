// SPDX-License-Identifier: MIT
// etlctl/complete.h: what may stand at the cursor. Pure: names in the cluster come through a callback.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "etlctl/grammar.h"

namespace etlnode::etlctl {

// Returns the names of one kind: ETL ids, bucket names or target ids. For objects: those of `bucket` that begin with `prefix`.
struct complete_source {
    std::vector<std::string> (*names)(void *arg, word_kind kind, const std::string &bucket, const std::string &prefix) = nullptr;
    void *arg = nullptr;
};

struct complete_answer {
    std::vector<std::string> words;
    bool files = false; // also offer file names
};

// `words` are the words before the cursor, without the program. The last one is the word being typed, possibly "".
complete_answer complete_words(const std::vector<std::string> &words, const complete_source &source);

// The scripts that call `PROGRAM __complete WORDS...`; empty for an unknown shell.
std::string complete_script(std::string_view shell, std::string_view program);

} // namespace etlnode::etlctl
