// SPDX-License-Identifier: MIT
// uv/uv_clock.cc: timers on uv_timer_t, posts, and secrets from the kernel.
//
// Owns     timers: reusable slots. timer_free silences a timer; it is then kept for the next timer_make or freed in its close callback.
// Limits   at most spare_timers_max are kept; an armed timer costs one heap entry of the loop.
#include "uv/uv_world.h"

#include <cerrno>
#include <ctime>
#include <sys/random.h>

#include "base/check.h"

namespace etlnode {

static constexpr size_t spare_timers_max = 256;

struct timer {
    uv_timer_t handle;
    uv_world *world = nullptr;
    clock_callback on_fire = nullptr;
    void *arg = nullptr;
    uv_link link;
};

static uint64_t now_ms(env &e) { return uv_now(&uv_world_of(e).loop); }

static uint64_t boot_ms(env &)
{
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000u + static_cast<uint64_t>(now.tv_nsec) / 1'000'000u;
}

static uint64_t wall_ns(env &)
{
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

static void post(env &e, clock_callback run, void *arg)
{
    uv_world &w = uv_world_of(e);
    CHECK(run != nullptr);
    w.posts.push_back({run, arg}); // outside of a dispatch, the next round runs it before it waits
}

static timer *new_timer(uv_world &w)
{
    auto *t = new timer;
    CHECK(uv_timer_init(&w.loop, &t->handle) == 0);
    t->handle.data = t;
    t->world = &w;
    return t;
}

static timer *make_timer(env &e, clock_callback on_fire, void *arg)
{
    uv_world &w = uv_world_of(e);
    timer *t = nullptr;
    if (w.spare_timers.empty()) {
        t = new_timer(w);
    } else {
        t = w.spare_timers.back();
        w.spare_timers.pop_back();
    }
    t->on_fire = on_fire;
    t->arg = arg;
    uv_link_add(w.timers, t->link, t);
    w.counts.timers++;
    return t;
}

static void timer_fired(uv_timer_t *handle)
{
    auto *t = static_cast<timer *>(handle->data);
    uv_world &w = *t->world;
    uv_dispatch_begin(w);
    t->on_fire(t->arg); // may free the timer
    uv_dispatch_end(w);
}

static void arm_timer(timer *t, uint64_t delay_ms)
{
    CHECK(t->on_fire != nullptr);
    CHECK(uv_timer_start(&t->handle, timer_fired, delay_ms, 0) == 0);
}

static void stop_timer(timer *t) { uv_timer_stop(&t->handle); }
static bool is_timer_armed(const timer *t) { return uv_is_active(reinterpret_cast<const uv_handle_t *>(&t->handle)) != 0; }

static void close_timer(timer *t)
{
    uv_close(reinterpret_cast<uv_handle_t *>(&t->handle), [](uv_handle_t *handle) { delete static_cast<timer *>(handle->data); });
}

static void free_timer(timer *t)
{
    CHECK(t->on_fire != nullptr); // otherwise it was freed twice
    t->on_fire = nullptr;
    uv_link_remove(t->link);
    uv_world &w = *t->world;
    w.counts.timers--;
    // Keep it: every request needs a few, and closing a handle takes a round of the loop.
    if (w.spare_timers.size() < spare_timers_max && !w.freeing) {
        uv_timer_stop(&t->handle);
        w.spare_timers.push_back(t);
        return;
    }
    close_timer(t);
}

static std::string secret(env &, size_t size)
{
    static constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    static constexpr unsigned letters = sizeof alphabet - 1;
    static constexpr unsigned fair = 256 / letters * letters; // bytes from here on would favour the first letters
    std::string out;
    out.reserve(size);
    while (out.size() < size) {
        unsigned char bytes[64];
        ssize_t count = getrandom(bytes, sizeof bytes, 0);
        if (count < 0) {
            CHECK(errno == EINTR);
            continue;
        }
        for (ssize_t i = 0; i < count && out.size() < size; i++) {
            if (bytes[i] < fair)
                out.push_back(alphabet[bytes[i] % letters]);
        }
    }
    return out;
}

void uv_clock_end_all(uv_world &w)
{
    while (!uv_link_is_empty(w.timers))
        free_timer(static_cast<timer *>(w.timers.next->owner));
    for (timer *t : w.spare_timers)
        close_timer(t);
    w.spare_timers.clear();
}

const clock_port uv_clock_port = {
    .now_ms = now_ms,
    .boot_ms = boot_ms,
    .wall_ns = wall_ns,
    .post = post,
    .timer_make = make_timer,
    .timer_arm = arm_timer,
    .timer_stop = stop_timer,
    .timer_is_armed = is_timer_armed,
    .timer_free = free_timer,
    .secret = secret,
};

} // namespace etlnode
