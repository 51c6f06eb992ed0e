// SPDX-License-Identifier: MIT
// job/job_machine.h: one target's share of one job: plan, window, ledger.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "job/job_kind.h"
#include "job/plan.h"
#include "job/window.h"
#include "port/clock.h"
#include "port/ledger.h"
#include "sm/sm.h"
#include "sm/sm_news.h"
#include "sm/sm_render.h"

namespace etlnode {

inline constexpr const char *job_running = "running";
inline constexpr const char *job_done = "done";
inline constexpr const char *job_cancelled = "cancelled";
inline constexpr const char *job_failed = "failed"; // the job as a whole: this target cannot do it

// What the host hears, once.
enum class job_news : uint8_t {
    over,   // done or cancelled, and the ledger says so
    paused, // by job_stop: the next start of the target resumes it
};

struct job {
    enum class state : uint8_t { idle, running, resting, cancelling, finishing, awaiting_ledger, stopping, ended };
    enum class event : uint8_t { begin, page, page_failed, item, again, stored, not_stored, drained, deadline, cancel, stop };
    sm_core sm;
    job_tools tools;
    const job_kind *kind = nullptr;
    job_order order;
    timer *deadline_timer = nullptr;

    job_plan plan;
    job_window window;
    std::set<std::pair<std::string, std::string>> noted; // ahead of the cursor when the job was resumed, and not planned again yet
    std::vector<std::unique_ptr<job_item>> items;        // in flight
    void *state_of_kind = nullptr;
    size_t items_max = 0;    // in flight; 0: the kind's
    std::string also_bucket; // set by the kind: objects of this one are handled, too
    size_t items_now = 0;    // it begins with few and takes one more with each that ends: what they go to may have just begun, too

    bool paging = false;
    bool saving = false;
    uint64_t unsaved_since_ms = 0; // when the first unsaved item ended
    ledger_job row;                // as the ledger will have it after `change`
    ledger_change change;          // what a failed or running commit contains, except its row
    ledger_job stored;             // as the ledger has it
    std::string waiting;           // why it rests, for people; empty: it does not

    sm_news<job_news> news;
    void (*on_news)(void *arg, job &j) = nullptr; // take them from `news`; may free the job if it was `ended`
    void *arg = nullptr;
};

// Requires: tools, kind, order, on_news and arg are set; for a job that the ledger knows also `row`. `ahead`: what the ledger noted.
void job_begin(job &j, const std::vector<ledger_ahead> &ahead);
// No new items; those in flight are stopped. Then it is over.
void job_cancel(job &j);
// The target ends: the same, but the ledger keeps it as running.
void job_stop(job &j);
bool job_is_ended(const job &j);

sm_view job_machine_view();

} // namespace etlnode
