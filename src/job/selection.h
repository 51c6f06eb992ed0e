// SPDX-License-Identifier: MIT
// job/selection.h: which objects of a bucket a job handles: all, those of a list, or those that a template names. Pure.
//
// A template is AIStore's: texts and ranges, as in "shard-{0001..0100..2}.tar"; without a range it is a prefix. It is compared with
// the names that exist and never spelled out, so its size does not matter.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"

namespace etlnode {

struct selection_range {
    uint64_t first = 0, last = 0, step = 1;
    size_t width = 0;  // the fewest digits
    std::string after; // the text behind it
};

struct job_selection {
    std::string prefix;                  // of every name
    std::vector<std::string> names;      // of a list, sorted
    std::vector<selection_range> ranges; // of a template, behind the prefix
    bool has_list = false;
};

// What is wrong with the text; empty: nothing.
std::string selection_parse_template(std::string_view text, job_selection &out_selection);
// Of "objnames" or "template" in `tree`; with neither of them everything is selected. What is wrong; empty: nothing.
std::string selection_read(const cJSON *tree, job_selection &out_selection);
bool selection_has(const job_selection &selection, std::string_view name);

} // namespace etlnode
