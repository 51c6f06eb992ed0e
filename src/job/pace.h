// SPDX-License-Identifier: MIT
// job/pace.h: how fast a job may go, and how much less while clients are served. Pure.
#pragma once

#include <cstddef>
#include <cstdint>

namespace etlnode {

struct job_pace {
    uint64_t rate = 0;   // bytes a second
    uint64_t due_us = 0; // when everything taken so far may have been read
};

// Takes `bytes`, and returns how many milliseconds to wait before the next ones. `is_busy`: clients are served at this moment, so the job
// leaves them most of the disk. Short waits are saved up, because a timer costs more than they do.
uint64_t job_pace_take(job_pace &pace, uint64_t now_ms, uint64_t bytes, bool is_busy);

// How many of `items` a job keeps in flight while clients are served: at least one, so that it goes on.
size_t job_items_beside_clients(size_t items);

} // namespace etlnode
