// SPDX-License-Identifier: MIT
// kubectl_local/loop.h: one epoll loop: descriptors, timers, and what must be freed once the current round is over.
//
// Single-threaded. A callback may watch, unwatch and arm anything; what it frees it hands to loop_free_later, because events of
// the same round may still name it.
#pragma once

#include <cstdint>
#include <vector>

namespace etlnode::kubectl_local {

struct loop;

// Lifetime: from loop_watch_add to loop_watch_remove; afterwards the memory must live until the round is over.
struct loop_watch {
    int fd = -1; // -1: not watched
    uint32_t events = 0;
    bool added = false; // a watch that wants nothing is not in the set: errors would spin it
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
    std::vector<loop_timer *> timers; // all that were ever armed; few
    struct grave {
        void *memory;
        void (*free)(void *memory);
    };
    std::vector<grave> graves;
};

bool loop_open(loop &l);
void loop_close(loop &l);
void loop_run(loop &l); // until loop_stop; then nothing calls back any more
void loop_stop(loop &l);

// `events` are epoll's; level-triggered.
void loop_watch_add(loop &l, loop_watch &watch, int fd, uint32_t events);
void loop_watch_change(loop &l, loop_watch &watch, uint32_t events);
void loop_watch_remove(loop &l, loop_watch &watch); // does not close the descriptor

void loop_timer_arm(loop &l, loop_timer &timer, uint64_t after_ms);
void loop_timer_stop(loop_timer &timer);
void loop_timer_forget(loop &l, loop_timer &timer); // before its memory goes

void loop_free_later(loop &l, void *memory, void (*free)(void *memory));

} // namespace etlnode::kubectl_local
