// SPDX-License-Identifier: MIT
// etlctl/complete.h: what may stand where the cursor is. Pure: names of the cluster come through a callback.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "etlctl/grammar.h"

namespace etlnode::etlctl {

// Gives the names of a kind: ETL ids, bucket names, target ids; for objects those of `bucket` that begin with `prefix`.
struct complete_source {
    std::vector<std::string> (*names)(void *arg, word_kind kind, const std::string &bucket, const std::string &prefix) = nullptr;
    void *arg = nullptr;
};

struct complete_answer {
    std::vector<std::string> words;
    bool files = false; // file names too
};

// `words`: those before the cursor, without the program; the last one is what has been typed of the next, perhaps "".
complete_answer complete_words(const std::vector<std::string> &words, const complete_source &source);

// The scripts that call `PROGRAM __complete WORDS...`; empty for an unknown shell.
std::string complete_script(std::string_view shell, std::string_view program);

} // namespace etlnode::etlctl
