// SPDX-License-Identifier: MIT
// role/target/shares.h: the target's share of jobs that bring objects in: from the web (download_jobs.cc), from folders (promote_jobs.cc).
//
// The frame keeps the row in the ledger, the failures, and the number of items in flight. A kind begins items.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "codec/json.h"
#include "job/job_host.h"
#include "role/target/target.h"

namespace etlnode {

struct share_outcome {
    bool is_stopped = false;   // nothing is known of it
    bool is_elsewhere = false; // another target does it
    job_outcome what = job_outcome::done;
    uint64_t bytes = 0;
    ledger_failure failure = {}; // of a failed one
};

struct share_progress {
    std::string name = {};
    uint64_t bytes = 0;
    uint64_t total = 0; // 0: unknown
    uint64_t started_ns = 0;
    std::string waiting = {}; // why it does not go on; empty: it does
};

struct finished_share {
    share_progress progress;
    uint64_t ended_ns = 0;
};

struct share_kind;

struct share_run {
    target *t = nullptr;
    const share_kind *kind = nullptr;
    void *state = nullptr; // the kind's
    ledger_job row;
    std::string bucket;
    std::vector<void *> items; // in flight
    std::deque<finished_share> finished;
    std::vector<ledger_failure> failures; // not in the ledger yet
    std::string error;                    // set by the kind: the share fails as a whole
    bool is_waiting = false;              // set by the kind: share_go_on follows, whatever happens
    bool is_saving = false, is_begun = false;
    bool is_cancelled = false;
    bool is_paused = false; // the target ends
};

struct share_kind {
    const char *name;
    // Sets run.state. Returns why the share cannot be done; empty: it can. `options`: with the whole list of names.
    std::string (*open)(share_run &run, const cJSON *options);
    void (*close)(share_run &run);
    size_t (*items_max)(const share_run &run);
    // Begins an item and adds it to run.items; it ends later, never inside this call, by share_item_ended. False: none begins now.
    bool (*begin_next)(share_run &run);
    void (*stop)(void *item); // it ends soon
    share_progress (*progress)(const void *item);
    bool (*has_all_begun)(const share_run &run);
};

// The run may be gone when this returns.
void share_item_ended(share_run &run, void *item, const share_outcome &outcome);
// What the run waited for has come. It may be gone when this returns. Meanwhile the kind counts the wait in t.store_calls.
void share_go_on(share_run &run);
bool share_is_stopping(const share_run &run);
// Whether the failure lies at this node or another one of the cluster, and is waited for without end.
bool share_lies_here(error_code code);
// Replaces what the ledger says of a job that runs here. False: none of that id does.
bool target_share_report(const target &t, job_report &report);

extern const share_kind share_kind_download, share_kind_promote;

} // namespace etlnode
