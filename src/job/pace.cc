// SPDX-License-Identifier: MIT
// job/pace.cc: the pace of a job.
#include "job/pace.h"

#include <algorithm>

#include "base/limits.h"

namespace etlnode {

static constexpr uint64_t pause_min_ms = 5;
static constexpr uint64_t busy_factor = 4;      // how much slower a job goes while clients are served
static constexpr uint64_t item_cost = 4 * 1024; // bytes that each piece costs beyond its size: its row is read, too

uint64_t job_pace_take(job_pace &pace, uint64_t now_ms, uint64_t bytes, bool is_busy)
{
    if (pace.rate == 0)
        return 0;
    uint64_t now_us = now_ms * 1000;
    uint64_t cost = (bytes + item_cost) * (is_busy ? busy_factor : 1);
    pace.due_us = std::max(pace.due_us, now_us) + cost * 1'000'000 / pace.rate;
    uint64_t wait_ms = (pace.due_us - now_us) / 1000;
    return wait_ms < pause_min_ms ? 0 : wait_ms;
}

size_t job_items_beside_clients(size_t items) { return std::max<size_t>(items / beside_clients_part, 1); }

} // namespace etlnode
