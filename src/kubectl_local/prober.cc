// SPDX-License-Identifier: MIT
// kubectl_local/prober.cc: repeats the attempts of a startup, readiness or liveness probe during one container run.
#include "kubectl_local/prober.h"

#include <algorithm>

#include "kubectl_local/os.h"

namespace etlnode::kubectl_local {

static constexpr uint64_t quick_interval_min_ms = 10;
static constexpr uint64_t quick_interval_max_ms = 100;

static void try_again(void *arg)
{
    prober &p = *static_cast<prober *>(arg);
    if (p.running && !probe_is_running(p.once))
        probe_start(p.once, *p.spec, p.inside, p.address);
}

static uint64_t next_interval(const prober &p)
{
    bool is_quick = p.role != probe_role::liveness && !p.good;
    if (!is_quick)
        return p.spec->period_ms;
    uint64_t waited = os_now_ms() - p.begun_ms;
    return std::min(std::clamp(waited / 20, quick_interval_min_ms, quick_interval_max_ms), p.spec->period_ms);
}

// Fast attempts add to the failure count only at the rate of the probe's period.
static uint32_t failures_by_time(const prober &p)
{
    uint64_t waited = os_now_ms() - p.begun_ms;
    uint64_t delay = p.spec->initial_delay_ms;
    return waited < delay ? 0 : static_cast<uint32_t>((waited - delay) / p.spec->period_ms);
}

static void on_result(void *arg, bool good, const std::string &why)
{
    prober &p = *static_cast<prober *>(arg);
    if (!p.running)
        return;
    bool changed = false;
    p.successes = good ? p.successes + 1 : 0;
    p.failures = good ? 0 : p.failures + 1;
    if (!good)
        p.why = why;
    switch (p.role) {
    case probe_role::startup:
        changed = good || failures_by_time(p) >= p.spec->failure_threshold;
        p.good = good;
        break;
    case probe_role::readiness:
        changed = p.good ? p.failures >= p.spec->failure_threshold : p.successes >= p.spec->success_threshold;
        p.good = p.good != changed;
        if (changed && !p.good)
            p.begun_ms = os_now_ms();
        break;
    case probe_role::liveness:
        changed = p.failures >= p.spec->failure_threshold;
        p.good = !changed;
        break;
    }
    loop_timer_arm(*p.l, p.next, next_interval(p));
    if (changed)
        p.on_change(p.arg, p);
}

void prober_start(prober &p)
{
    p.once.l = p.l;
    p.once.on_result = on_result;
    p.once.arg = &p;
    p.next.on_timer = try_again;
    p.next.arg = &p;
    p.running = true;
    p.good = p.role == probe_role::liveness;
    p.successes = p.failures = 0;
    p.why.clear();
    p.begun_ms = os_now_ms();
    // Haste has no advantage for a liveness probe: its first attempt comes one period after the start.
    uint64_t first = p.spec->initial_delay_ms;
    if (p.role == probe_role::liveness && first == 0)
        first = p.spec->period_ms;
    loop_timer_arm(*p.l, p.next, first);
}

void prober_stop(prober &p)
{
    p.running = false;
    if (p.l == nullptr)
        return;
    loop_timer_stop(p.next);
    probe_stop(p.once);
}

} // namespace etlnode::kubectl_local
