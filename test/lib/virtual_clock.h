// SPDX-License-Identifier: MIT
// test/lib/virtual_clock.h: the clock port of every test world: time stands still until the test moves it.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "base/rng.h"
#include "port/clock.h"

namespace etlnode {

struct virtual_clock;

// The port's timer is opaque. A program may contain this clock and libuv's, so this type has its own name.
struct virtual_timer {
    virtual_clock *clock = nullptr;
    clock_callback on_fire = nullptr;
    void *arg = nullptr;
    bool armed = false;
    uint64_t due_ms = 0;
    uint64_t order = 0;
};

struct virtual_timer_sooner {
    bool operator()(const virtual_timer *a, const virtual_timer *b) const
    {
        return std::tie(a->due_ms, a->order) < std::tie(b->due_ms, b->order);
    }
};

struct virtual_clock {
    uint64_t now_ms = 0;
    int64_t wall_skew_ms = 0; // of the wall clock, which may jump; the monotonic clock never does
    uint64_t next_order = 1;
    size_t timers = 0; // created and not freed
    std::set<virtual_timer *, virtual_timer_sooner> armed;
    std::deque<std::pair<clock_callback, void *>> posts;
};

inline constexpr uint64_t virtual_wall_ms = 1'700'000'000'000; // at time 0

inline virtual_timer *virtual_timer_of(timer *t) { return reinterpret_cast<virtual_timer *>(t); }

inline void virtual_timer_disarm(virtual_timer *t)
{
    if (t->armed)
        t->clock->armed.erase(t);
    t->armed = false;
}

// If a timer is due by `end_ms`, moves time to the earliest one and fires it.
inline bool virtual_fire_next(virtual_clock &c, uint64_t end_ms)
{
    if (c.armed.empty() || (*c.armed.begin())->due_ms > end_ms)
        return false;
    virtual_timer *t = *c.armed.begin();
    virtual_timer_disarm(t);
    c.now_ms = std::max(c.now_ms, t->due_ms);
    t->on_fire(t->arg);
    return true;
}

// Runs the oldest post.
inline bool virtual_run_post(virtual_clock &c)
{
    if (c.posts.empty())
        return false;
    auto [run, arg] = c.posts.front();
    c.posts.pop_front();
    run(arg);
    return true;
}

// The port of a world; `clock_of` finds its clock.
template <virtual_clock &(*clock_of)(env &)> inline const clock_port virtual_clock_port = {
    .now_ms = [](env &e) { return clock_of(e).now_ms; },
    .boot_ms = [](env &e) { return clock_of(e).now_ms; },
    .wall_ns = [](env &e) { return (virtual_wall_ms + clock_of(e).now_ms + static_cast<uint64_t>(clock_of(e).wall_skew_ms)) * 1'000'000; },
    .post = [](env &e, clock_callback run, void *arg) { clock_of(e).posts.emplace_back(run, arg); },
    .timer_make =
        [](env &e, clock_callback on_fire, void *arg) {
            clock_of(e).timers++;
            return reinterpret_cast<timer *>(new virtual_timer{&clock_of(e), on_fire, arg});
        },
    .timer_arm =
        [](timer *armed, uint64_t delay_ms) {
            virtual_timer *t = virtual_timer_of(armed);
            virtual_timer_disarm(t);
            t->armed = true;
            t->due_ms = t->clock->now_ms + delay_ms;
            t->order = t->clock->next_order++;
            t->clock->armed.insert(t);
        },
    .timer_stop = [](timer *t) { virtual_timer_disarm(virtual_timer_of(t)); },
    .timer_is_armed = [](const timer *t) { return reinterpret_cast<const virtual_timer *>(t)->armed; },
    .timer_free =
        [](timer *freed) {
            virtual_timer *t = virtual_timer_of(freed);
            virtual_timer_disarm(t);
            t->clock->timers--;
            delete t;
        },
    .secret = [](env &e, size_t size) { return rng_text(e.random, "abcdefghijklmnopqrstuvwxyz", 26, size); },
};

} // namespace etlnode
