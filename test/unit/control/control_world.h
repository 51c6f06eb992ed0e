// SPDX-License-Identifier: MIT
// test/unit/control/control_world.h: the fake world with small durable documents, and golden traces in Markdown.
#pragma once

#include <cstdlib>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fake_world.h"
#include "node_test.h"

#include "golden.h"
#include "port/meta.h"
#include "rows_taken.h"
#include "sm/sm_render.h"
#include "sm/sm_trace.h"

namespace etlnode {

// --- documents in memory: a swap is executed when it completes, when the test says so (or fake_run, unless held)

struct fake_meta_call {
    std::string name;
    bool is_read = false;
    uint64_t expected = 0, version = 0;
    std::string text;
    meta_on_read on_read = nullptr;
    meta_on_swap on_swap = nullptr;
    void *arg = nullptr;
};

struct fake_meta_state {
    env *e = nullptr;
    std::map<std::string, std::pair<uint64_t, std::string>> documents;
    std::deque<fake_meta_call> calls;
    bool held = false;
    error fail_next; // the error of the next swap
    uint64_t swaps = 0;
};
inline fake_meta_state fake_meta_now;

inline void fake_meta_complete_one()
{
    CHECK(!fake_meta_now.calls.empty());
    fake_meta_call call = std::move(fake_meta_now.calls.front());
    fake_meta_now.calls.pop_front();
    auto &document = fake_meta_now.documents[call.name];
    if (call.is_read) {
        std::string text = document.second;
        call.on_read(call.arg, no_error, document.first, text);
        return;
    }
    error err = std::exchange(fake_meta_now.fail_next, no_error);
    if (!err && document.first != call.expected)
        err = make_error(error_code::conflict);
    if (!err) {
        document = {call.version, call.text};
        fake_meta_now.swaps++;
    }
    call.on_swap(call.arg, err);
}

inline void fake_meta_posted(void *)
{
    if (!fake_meta_now.held && !fake_meta_now.calls.empty())
        fake_meta_complete_one();
}

inline void fake_meta_release(fake_world &w)
{
    fake_meta_now.held = false;
    while (!fake_meta_now.calls.empty()) {
        fake_meta_complete_one();
        fake_run(w);
    }
}

inline const meta_port fake_meta = {
    .read =
        [](env &e, const std::string &name, meta_on_read on_read, void *arg) {
            fake_meta_now.calls.push_back({.name = name, .is_read = true, .text = {}, .on_read = on_read, .arg = arg});
            clock_post(e, fake_meta_posted, nullptr);
        },
    .swap =
        [](env &e, const std::string &name, uint64_t expected, uint64_t version, std::string text, meta_on_swap on_swap, void *arg) {
            CHECK(version > expected);
            fake_meta_now.calls.push_back(
                {.name = name, .expected = expected, .version = version, .text = std::move(text), .on_swap = on_swap, .arg = arg});
            clock_post(e, fake_meta_posted, nullptr);
        },
};

inline fake_world *control_world_make()
{
    fake_world *w = fake_make();
    fake_meta_now = fake_meta_state{};
    fake_meta_now.e = &w->e;
    w->e.meta = &fake_meta;
    return w;
}

// --- golden traces: everything in the file except the blocks is kept; a line "given: a, b 1" lists calls, the block shows their effects

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

inline void golden_check(const char *path, std::string (*run)(const std::vector<std::string> &calls))
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
            now += "```\n" + run(golden_split(line.substr(7), ", ")) + "```\n";
    }
    now.pop_back();
    if (golden_is_updating()) {
        golden_write(path, now);
        return;
    }
    test_eq_text(now, recorded);
}

inline void golden_trace_begin(fake_world &w)
{
    sm_trace_set_clock([](void *arg) { return static_cast<fake_world *>(arg)->clock.now_ms - 1'000; }, &w);
    sm_trace_clear();
}

inline std::string golden_trace_end(const char *machine)
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
