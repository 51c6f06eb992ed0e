// SPDX-License-Identifier: MIT
// job/window.cc: which of a job's names wait, are in flight, and have ended.
#include "job/window.h"

#include "base/check.h"

namespace etlnode {

static window_slot &slot_of(job_window &w, uint64_t number)
{
    CHECK(number >= w.first && number - w.first < w.slots.size());
    return w.slots[static_cast<size_t>(number - w.first)];
}

const window_slot &window_slot_of(const job_window &w, uint64_t number) { return slot_of(const_cast<job_window &>(w), number); }

void window_add(job_window &w, index_row row, bool is_noted)
{
    window_slot slot;
    slot.row = std::move(row);
    slot.stage = is_noted ? window_stage::noted : window_stage::waiting;
    w.waiting += is_noted ? 0 : 1;
    w.slots.push_back(std::move(slot));
}

bool window_begin_next(job_window &w, uint64_t &out_number)
{
    if (w.waiting == 0)
        return false;
    size_t i = 0;
    while (w.slots[i].stage != window_stage::waiting)
        i++;
    w.slots[i].stage = window_stage::in_flight;
    w.slots[i].tries++;
    w.waiting--;
    w.in_flight++;
    out_number = w.first + i;
    return true;
}

void window_end(job_window &w, uint64_t number, job_outcome outcome, uint64_t bytes, ledger_failure failure)
{
    window_slot &slot = slot_of(w, number);
    CHECK(slot.stage == window_stage::in_flight);
    slot.stage = window_stage::ended;
    slot.outcome = outcome;
    w.in_flight--;
    w.unsaved++;
    w.bytes += bytes;
    switch (outcome) {
    case job_outcome::done: w.done++; break;
    case job_outcome::skipped: w.skipped++; break;
    case job_outcome::passed: break;
    case job_outcome::failed:
        w.failed++;
        failure.bucket = slot.row.bucket;
        failure.name = slot.row.name;
        failure.tries = slot.tries;
        w.failures.push_back(std::move(failure));
        break;
    }
}

uint64_t window_put_back(job_window &w, uint64_t number)
{
    window_slot &slot = slot_of(w, number);
    CHECK(slot.stage == window_stage::in_flight);
    slot.stage = window_stage::waiting;
    w.in_flight--;
    w.waiting++;
    return slot.tries;
}

void window_drop_waiting(job_window &w)
{
    // Behind the last one that is kept; those between kept ones only stop the cursor.
    while (!w.slots.empty() && w.slots.back().stage == window_stage::waiting)
        w.slots.pop_back();
    w.waiting = 0;
}

static bool has_ended(const window_slot &slot) { return slot.stage == window_stage::ended || slot.stage == window_stage::noted; }

void window_take(job_window &w, ledger_change &change)
{
    ledger_job &job = change.job;
    job.done += w.done;
    job.skipped += w.skipped;
    job.failed += w.failed;
    job.bytes += w.bytes;
    w.done = w.skipped = w.failed = w.bytes = 0;
    for (ledger_failure &failure : w.failures)
        change.failures.push_back(std::move(failure));
    w.failures.clear();
    while (!w.slots.empty() && has_ended(w.slots.front())) {
        job.cursor_bucket = w.slots.front().row.bucket;
        job.cursor_name = w.slots.front().row.name;
        w.slots.pop_front();
        w.first++;
    }
    for (window_slot &slot : w.slots) {
        if (slot.stage != window_stage::ended)
            continue;
        slot.stage = window_stage::noted;
        change.ahead.push_back({slot.row.bucket, slot.row.name, static_cast<uint8_t>(slot.outcome)});
    }
    w.unsaved = 0;
}

} // namespace etlnode
