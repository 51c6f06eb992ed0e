// SPDX-License-Identifier: MIT
// kubectl_local/loop.h: one epoll loop: descriptors, timers, and deferred frees.
//
// Single-threaded. A callback may watch, unwatch and arm anything. Memory that it wants to free must go to loop_free_later, because events
// of the same round may still refer to it.
#pragma once

#include <cstdint>
#include <vector>

namespace etlnode::kubectl_local {

struct loop;

// Lifetime: from loop_watch_add to loop_watch_remove. The memory must stay valid until the end of the round.
struct loop_watch {
    int fd = -1; // -1 if not watched
    uint32_t events = 0;
    bool added = false; // a watch without events is removed from the set, because errors on it would cause a busy loop
    void (*on_event)(void *arg, uint32_t events) = nullptr;
    void *arg = nullptr;
};

struct loop_timer {
    bool armed = false;
    uint64_t at_ms = 0;
    void (*on_timer)(void *arg) = nullptr;
    void *arg = nullptr;
};

struct loop {
    int epoll = -1;
    bool stopped = false;
    std::vector<loop_timer *> timers; // all timers that were ever armed; there are few
    struct grave {
        void *memory;
        void (*free)(void *memory);
    };
    std::vector<grave> graves;
};

bool loop_open(loop &l);
void loop_close(loop &l);
void loop_run(loop &l); // runs until loop_stop; afterwards nothing calls back
void loop_stop(loop &l);

// `events` are epoll's. Level-triggered.
void loop_watch_add(loop &l, loop_watch &watch, int fd, uint32_t events);
void loop_watch_change(loop &l, loop_watch &watch, uint32_t events);
void loop_watch_remove(loop &l, loop_watch &watch); // does not close the descriptor

void loop_timer_arm(loop &l, loop_timer &timer, uint64_t after_ms);
void loop_timer_stop(loop_timer &timer);
void loop_timer_forget(loop &l, loop_timer &timer); // call before its memory is freed

void loop_free_later(loop &l, void *memory, void (*free)(void *memory));

} // namespace etlnode::kubectl_local
