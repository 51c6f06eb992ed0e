// SPDX-License-Identifier: MIT
// port/clock.h: time, timers, and "later in this iteration of the loop".
#pragma once

#include <cstdint>
#include <string>

#include "port/env.h"

namespace etlnode {

struct timer; // opaque and reusable: made once, armed and stopped many times

using clock_callback = void (*)(void *arg);

struct clock_port {
    uint64_t (*now_ms)(env &e);
    uint64_t (*boot_ms)(env &e);
    uint64_t (*wall_ns)(env &e);
    void (*post)(env &e, clock_callback run, void *arg);
    timer *(*timer_make)(env &e, clock_callback on_fire, void *arg);
    void (*timer_arm)(timer *t, uint64_t delay_ms);
    void (*timer_stop)(timer *t);
    bool (*timer_is_armed)(const timer *t);
    void (*timer_free)(timer *t);
    std::string (*secret)(env &e, size_t size);
};

// Monotonic milliseconds, constant within one iteration of the loop.
inline uint64_t clock_now_ms(env &e) { return e.clock->now_ms(e); }
// Monotonic milliseconds that include the time in which the machine, or this process, was suspended. Read at each call.
inline uint64_t clock_boot_ms(env &e) { return e.clock->boot_ms(e); }
// Nanoseconds since 1970.
inline uint64_t clock_wall_ns(env &e) { return e.clock->wall_ns(e); }
// Calls `run(arg)` after the current completion has returned and before the loop waits again, in order of posting.
// Ensures: exactly one call. It cannot be cancelled, so `arg` must outlive it (free an object by posting its deletion).
inline void clock_post(env &e, clock_callback run, void *arg) { e.clock->post(e, run, arg); }

// Ensures: the timer is stopped. Lifetime: until timer_free.
inline timer *timer_make(env &e, clock_callback on_fire, void *arg) { return e.clock->timer_make(e, on_fire, arg); }
// Fires once, `delay_ms` from now (0: in the next iteration). Arming an armed timer moves it.
inline void timer_arm(env &e, timer *t, uint64_t delay_ms) { e.clock->timer_arm(t, delay_ms); }
inline void timer_stop(env &e, timer *t) { e.clock->timer_stop(t); }
inline bool timer_is_armed(env &e, const timer *t) { return e.clock->timer_is_armed(t); }
// The pointer is invalid at once, and the timer never fires again.
inline void timer_free(env &e, timer *t) { e.clock->timer_free(t); }

// `size` characters of [A-Za-z0-9] from the kernel's random generator (in the simulator: from the seed).
inline std::string clock_secret(env &e, size_t size) { return e.clock->secret(e, size); }

} // namespace etlnode
