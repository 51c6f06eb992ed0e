// SPDX-License-Identifier: MIT
// role/target/downloads.h: what comes from the web: jobs (download_jobs.cc), and each of their objects (download_items.cc).
#pragma once

#include <string>

#include "job/job_host.h"
#include "role/target/target.h"

namespace etlnode {

struct download_item; // frees itself after on_done

struct download_outcome {
    bool is_stopped = false;   // nothing is known of it
    bool is_elsewhere = false; // another target owns it
    job_outcome what = job_outcome::done;
    uint64_t bytes = 0;
    ledger_failure failure; // of a failed one
};

struct download_wish {
    std::string job; // its id
    std::string bucket, name, link;
    uint64_t timeout_ms = 0;                                                                    // 0: none
    uint64_t rate = 0;                                                                          // bytes a second; 0: as many as come
    void (*on_done)(void *arg, download_item *item, const download_outcome &outcome) = nullptr; // once, later
    void *arg = nullptr;
};
download_item *download_item_begin(target &t, download_wish wish);
// on_done follows soon. What is stored already is not given up.
void download_item_stop(download_item &item);

struct download_progress {
    std::string name;
    uint64_t bytes = 0;
    uint64_t total = 0; // 0: unknown
    uint64_t started_ns = 0;
    std::string waiting; // why it does not go on; empty: it does
};
download_progress download_item_progress(const download_item &item);

// Replaces what the ledger says of a job that runs here. False: none of that id downloads here.
bool target_download_report(const target &t, job_report &report);

} // namespace etlnode
