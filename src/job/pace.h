// SPDX-License-Identifier: MIT
// job/pace.h: how fast a job may read: so many bytes a second, and a part of that while clients are served. Pure.
#pragma once

#include <cstdint>

namespace etlnode {

struct job_pace {
    uint64_t rate = 0;   // bytes a second
    uint64_t due_us = 0; // when everything taken so far may have been read
};

// Takes `bytes`, and returns how many milliseconds to wait before the next ones. `is_busy`: clients are served at this moment, so the job
// leaves them most of the disk. Short waits are saved up, because a timer costs more than they do.
uint64_t job_pace_take(job_pace &pace, uint64_t now_ms, uint64_t bytes, bool is_busy);

} // namespace etlnode
