// SPDX-License-Identifier: MIT
// test/lib/golden_page.h: golden pages of machines. A line "given: a, b 1" lists calls, and the block below it shows their effects;
// everything else on the page is for people and stays as it is. UPDATE=1 rewrites the blocks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "golden.h"
#include "sm/sm_trace.h"
#include "virtual_clock.h"

namespace etlnode {

inline std::vector<std::string> golden_split(std::string_view text, std::string_view separator)
{
    std::vector<std::string> out;
    for (;;) {
        size_t at = text.find(separator);
        out.emplace_back(text.substr(0, at));
        if (at == std::string_view::npos)
            return out;
        text.remove_prefix(at + separator.size());
    }
}

// `run` plays the calls of one line, as it stands there, and returns what its block is to show.
template <class Run> void golden_page_check(const char *path, Run run)
{
    std::string recorded = golden_read(path);
    test_true(!recorded.empty());
    std::string now;
    bool in_block = false;
    for (const std::string &line : golden_split(recorded, "\n")) {
        if (line == "```") {
            in_block = !in_block;
            continue;
        }
        if (in_block)
            continue;
        now += line + "\n";
        if (line.starts_with("given: "))
            now += "```\n" + run(line.substr(7)) + "```\n";
    }
    now.pop_back();
    if (golden_is_updating()) {
        golden_write(path, now);
        return;
    }
    test_eq_text(now, recorded);
}

// From here on transitions are recorded with the time of `clock`, which is its origin now.
inline void golden_trace_begin(virtual_clock &clock)
{
    static uint64_t origin_ms = 0;
    origin_ms = clock.now_ms;
    sm_trace_set_clock([](void *arg) { return static_cast<virtual_clock *>(arg)->now_ms - origin_ms; }, &clock);
    sm_trace_clear();
}

// The transitions of that machine since, a line each.
inline std::string golden_trace_end(std::string_view machine)
{
    struct sink {
        std::string_view machine;
        std::string out;
    } s{machine, {}};
    sm_trace_each(
        [](void *arg, const sm_trace_entry &entry) {
            sink &to = *static_cast<sink *>(arg);
            if (to.machine == entry.machine)
                to.out += sm_trace_text(entry) + "\n";
        },
        &s);
    sm_trace_set_clock(nullptr, nullptr);
    return s.out;
}

} // namespace etlnode
