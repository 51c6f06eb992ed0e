// SPDX-License-Identifier: MIT
// etlctl/progress.h: progress on stderr, as a line that is redrawn on a terminal or as one line per second.
//
// On a terminal it appears once a transfer has taken a second or moved 8 MiB. The end erases it.
#pragma once

#include <cstdint>
#include <string>

#include "etlctl/format.h"
#include "etlctl/session.h"

namespace etlnode::etlctl {

struct progress {
    progress_mode mode = progress_mode::none;
    bool terminal = false;
    std::string what;
    progress_state state;
    uint64_t started_ms = 0;
    uint64_t shown_ms = 0;
    bool line_open = false;
};

void progress_start(progress &p, const session &s, std::string what, uint64_t objects_total, uint64_t bytes_total);
void progress_add(progress &p, uint64_t bytes);
void progress_tick(progress &p);
// Erases the line; with --progress plain, prints a last one.
void progress_end(progress &p);
// Only erases the line, so that something else can be printed.
void progress_hide(progress &p);

} // namespace etlnode::etlctl
