// SPDX-License-Identifier: MIT
// job/window.h: the names that a job has planned and not yet put behind its cursor, in order, with what became of each. Pure.
//
// Items end in any order. The cursor passes a name when it and all before have an outcome; those that ended beyond it are noted as ahead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "port/index.h"
#include "port/ledger.h"

namespace etlnode {

// The numbers are stored.
enum class job_outcome : uint8_t {
    done = 0,
    skipped = 1,
    failed = 2,
    passed = 3, // only looked at: it counts as nothing
};

enum class window_stage : uint8_t { waiting, in_flight, ended, noted }; // noted: ended, and in the ledger

struct window_slot {
    index_row row; // bucket and name, and whatever else the plan knew
    window_stage stage = window_stage::waiting;
    job_outcome outcome = job_outcome::done;
    uint64_t tries = 0;
};

struct job_window {
    std::deque<window_slot> slots;
    uint64_t first = 0; // the number of slots.front(); slots have consecutive numbers
    size_t waiting = 0, in_flight = 0;
    size_t unsaved = 0; // ended, and not taken by window_take
    // Of those:
    uint64_t done = 0, skipped = 0, failed = 0, bytes = 0;
    std::vector<ledger_failure> failures;
};

// The next name of the plan. `is_noted`: the ledger says already that it has ended.
void window_add(job_window &w, index_row row, bool is_noted);
// The first waiting item is in flight from now on; false if none waits.
bool window_begin_next(job_window &w, uint64_t &out_number);
// Lifetime: until the next call.
const window_slot &window_slot_of(const job_window &w, uint64_t number);
// The item has ended. `failure`: of a failed one; name and tries are filled in here.
void window_end(job_window &w, uint64_t number, job_outcome outcome, uint64_t bytes, ledger_failure failure);
// The item waits again. Returns how often it has been tried.
uint64_t window_put_back(job_window &w, uint64_t number);
// The items in flight stay where they are, and the waiting ones are forgotten.
void window_drop_waiting(job_window &w);
// Adds everything unsaved to `change`: counts and cursor of its row, notes and failures.
void window_take(job_window &w, ledger_change &change);

} // namespace etlnode
