// SPDX-License-Identifier: MIT
// kubectl_local/loop.cc: one epoll loop: descriptors, timers, and deferred frees.
#include "kubectl_local/loop.h"

#include <algorithm>
#include <cerrno>

#include <sys/epoll.h>
#include <unistd.h>

#include "base/check.h"
#include "kubectl_local/os.h"

namespace etlnode::kubectl_local {

bool loop_open(loop &l)
{
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    return l.epoll >= 0;
}

static void free_graves(loop &l)
{
    std::vector<loop::grave> graves;
    graves.swap(l.graves);
    for (const loop::grave &grave : graves)
        grave.free(grave.memory);
}

void loop_close(loop &l)
{
    free_graves(l);
    if (l.epoll >= 0)
        close(l.epoll);
    l.epoll = -1;
}

static void apply(loop &l, loop_watch &watch)
{
    struct epoll_event event = {};
    event.events = watch.events;
    event.data.ptr = &watch;
    int operation = watch.events == 0 ? EPOLL_CTL_DEL : watch.added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (operation == EPOLL_CTL_DEL && !watch.added)
        return;
    // Regular files cannot be polled, and no caller passes one.
    CHECK(epoll_ctl(l.epoll, operation, watch.fd, &event) == 0);
    watch.added = watch.events != 0;
}

void loop_watch_add(loop &l, loop_watch &watch, int fd, uint32_t events)
{
    CHECK(watch.fd == -1);
    CHECK(watch.on_event != nullptr);
    watch.fd = fd;
    watch.events = events;
    watch.added = false;
    apply(l, watch);
}

void loop_watch_change(loop &l, loop_watch &watch, uint32_t events)
{
    if (watch.fd == -1 || watch.events == events)
        return;
    watch.events = events;
    apply(l, watch);
}

void loop_watch_remove(loop &l, loop_watch &watch)
{
    if (watch.fd == -1)
        return;
    watch.events = 0;
    apply(l, watch);
    watch.fd = -1;
}

void loop_timer_arm(loop &l, loop_timer &timer, uint64_t after_ms)
{
    CHECK(timer.on_timer != nullptr);
    timer.at_ms = os_now_ms() + after_ms;
    timer.armed = true;
    if (std::find(l.timers.begin(), l.timers.end(), &timer) == l.timers.end())
        l.timers.push_back(&timer);
}

void loop_timer_stop(loop_timer &timer) { timer.armed = false; }

void loop_timer_forget(loop &l, loop_timer &timer)
{
    timer.armed = false;
    std::erase(l.timers, &timer);
}

void loop_free_later(loop &l, void *memory, void (*free)(void *memory)) { l.graves.push_back({memory, free}); }

static int next_timeout(const loop &l)
{
    uint64_t now = os_now_ms();
    uint64_t nearest = UINT64_MAX;
    for (const loop_timer *timer : l.timers)
        if (timer->armed)
            nearest = std::min(nearest, timer->at_ms > now ? timer->at_ms - now : 0);
    return nearest == UINT64_MAX ? -1 : static_cast<int>(std::min<uint64_t>(nearest, 3'600'000));
}

static void run_timers(loop &l)
{
    uint64_t now = os_now_ms();
    std::vector<loop_timer *> due;
    for (loop_timer *timer : l.timers)
        if (timer->armed && timer->at_ms <= now)
            due.push_back(timer);
    for (loop_timer *timer : due) {
        if (l.stopped)
            return;
        // An earlier timer of this round may have stopped, re-armed or forgotten it.
        bool known = std::find(l.timers.begin(), l.timers.end(), timer) != l.timers.end();
        if (!known || !timer->armed || timer->at_ms > now)
            continue;
        timer->armed = false;
        timer->on_timer(timer->arg);
    }
}

void loop_run(loop &l)
{
    while (!l.stopped) {
        struct epoll_event events[64];
        int n = epoll_wait(l.epoll, events, 64, next_timeout(l));
        CHECK(n >= 0 || errno == EINTR);
        for (int i = 0; i < n && !l.stopped; i++) {
            loop_watch *watch = static_cast<loop_watch *>(events[i].data.ptr);
            if (watch->fd != -1 && watch->added)
                watch->on_event(watch->arg, events[i].events);
        }
        if (!l.stopped)
            run_timers(l);
        free_graves(l);
    }
}

void loop_stop(loop &l) { l.stopped = true; }

} // namespace etlnode::kubectl_local
