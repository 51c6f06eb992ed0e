// SPDX-License-Identifier: MIT
// etlctl/progress.cc: decides when and where progress is shown. format.cc makes its text.
#include "etlctl/progress.h"

#include <cstdio>

#include "base/limits.h"

namespace etlnode::etlctl {

static constexpr uint64_t quiet_ms = 1'000;
static constexpr uint64_t quiet_bytes = 8 * mib;
static constexpr uint64_t terminal_interval_ms = 100;
static constexpr uint64_t plain_interval_ms = 1'000;

void progress_start(progress &p, const session &s, std::string what, uint64_t objects_total, uint64_t bytes_total)
{
    p.mode = s.progress;
    p.terminal = s.err_is_tty && !s.http.verbose && !s.http.trace;
    if (p.mode == progress_mode::automatic && !p.terminal)
        p.mode = progress_mode::none;
    p.what = std::move(what);
    p.state = progress_state{};
    p.state.objects_total = objects_total;
    p.state.bytes_total = bytes_total;
    p.started_ms = session_clock_ms();
    p.shown_ms = p.started_ms;
}

static void show(progress &p)
{
    p.state.what = p.what;
    std::string line = format_progress(p.state);
    if (p.mode == progress_mode::plain)
        fprintf(stderr, "%s\n", line.c_str());
    else
        fprintf(stderr, "\r%s\x1b[K", line.c_str());
    p.line_open = p.mode == progress_mode::automatic;
}

void progress_tick(progress &p)
{
    if (p.mode == progress_mode::none)
        return;
    uint64_t now = session_clock_ms();
    p.state.elapsed_ms = now - p.started_ms;
    uint64_t interval = p.mode == progress_mode::plain ? plain_interval_ms : terminal_interval_ms;
    bool worth_it = p.mode == progress_mode::plain || p.state.elapsed_ms >= quiet_ms || p.state.bytes_done >= quiet_bytes;
    if (!worth_it || now - p.shown_ms < interval)
        return;
    p.shown_ms = now;
    show(p);
}

void progress_add(progress &p, uint64_t bytes)
{
    p.state.bytes_done += bytes;
    progress_tick(p);
}

void progress_hide(progress &p)
{
    if (p.line_open)
        fputs("\r\x1b[K", stderr);
    p.line_open = false;
}

void progress_end(progress &p)
{
    progress_hide(p);
    if (p.mode != progress_mode::plain)
        return;
    p.state.elapsed_ms = session_clock_ms() - p.started_ms;
    show(p);
}

} // namespace etlnode::etlctl
