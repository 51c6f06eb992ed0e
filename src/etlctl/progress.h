// SPDX-License-Identifier: MIT
// etlctl/progress.h: a moving line on a terminal, or a line a second, on stderr.
//
// On a terminal it appears once a transfer has run for a second or moved 8 MiB, and is wiped at the end.
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
// Wipes the line; with --progress plain prints the last one.
void progress_end(progress &p);
// Wipes the line only, so that something else can be printed.
void progress_hide(progress &p);

} // namespace etlnode::etlctl
