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

#include "golden_page.h"
#include "port/meta.h"
#include "rows_taken.h"

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

// One story about a machine of control/: its transitions, and what its world said. The scenario has the members w, m and said.
template <class S> std::string control_play(
    const char *machine, const std::string &calls, void (*set_up)(S &c), void (*do_call)(S &c, const std::string &call), void (*end)(S &c))
{
    S c;
    c.w = control_world_make();
    c.m.sm.id = 1;
    c.m.e = &c.w->e;
    set_up(c);
    golden_trace_begin(c.w->clock);
    for (const std::string &call : golden_split(calls, ", ")) {
        do_call(c, call);
        fake_run(*c.w);
    }
    std::string out = golden_trace_end(machine) + c.said;
    end(c);
    fake_free(c.w);
    return out;
}

} // namespace etlnode
