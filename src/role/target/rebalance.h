// SPDX-License-Identifier: MIT
// role/target/rebalance.h: a pass over this target's index that gives what belongs to other targets. For rebalance.cc and giving.cc.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "job/pace.h"
#include "port/ledger.h"
#include "role/target/moves.h"

namespace etlnode {

struct rebalance_delivery; // giving.cc: one batch, or one large object, on its way

// found.cc: objects that belong to other targets though nothing moves.
struct found_count {
    uint64_t objects = 0, bytes = 0;
    uint64_t epoch = 0;
    bool is_begun = false;
    bool is_bucket_over = false;
    bool is_reading = false; // a page of the index
    std::string bucket = {}, after = {};
};
struct found_objects {
    uint64_t objects = 0, bytes = 0;
    uint64_t epoch = 0;         // in which they were counted; 0: not yet
    bool is_taking = false;     // a pass gives them to their owners, or will
    bool is_recounting = false; // it has ended, and what is left is not counted yet
    bool is_stopped = false;
    std::string why; // it could not give all
    found_count counting;
    timer *wake = nullptr;
};

struct rebalance {
    target *t = nullptr;
    timer *wake = nullptr;
    bool is_running = false;
    bool is_stopped = false;
    bool is_resting = false; // within a pass, for the clients' sake or its rate's
    uint64_t epoch = 0;
    bool is_sweep = false;  // nothing moves: tombstones are dropped
    bool is_taking = false; // nothing moves: what was found goes to its owners (found.cc)
    std::string bucket, after;
    bool is_last_page = false;
    bool is_yielding = false; // clients are served here, or by an owner
    size_t page_size = 0;     // rows that the page in hand was asked for
    bool saw_any = false;     // something that belongs elsewhere
    bool has_failed = false;  // the pass must be repeated
    bool may_pass = false;    // for a reason that may pass by itself; otherwise somebody must repair or delete objects
    std::string why;          // of the last failure, for the log
    size_t open = 0;          // reads, deliveries and changes of this page
    uint64_t page_began_ms = 0;
    uint64_t page_bytes = 0;
    bool owner_serves_clients = false; // an owner said so while this page was given
    job_pace pace;
    uint64_t told_epoch = 0; // every placed target has heard that this target gave all in it
    // giving.cc
    size_t reads = 0; // of small contents
    std::vector<index_row> small, large;
    size_t large_open = 0;
    std::vector<rebalance_delivery *> large_going;       // to other targets
    std::map<std::string, rebalance_delivery *> filling; // by node
    std::map<std::string, std::string> full;             // node: why it takes nothing more in this pass
    // The job of this epoch, as the operator sees it: what was given, what failed in this pass, what it waits for.
    ledger_job row;
    std::vector<ledger_failure> failures; // not yet in the ledger
    std::string waiting;
    bool ledger_due = false; // the page that ends now has not been counted there
    found_objects found;
    uint64_t left = 0;     // damaged objects that moved without their content, since this process entered the epoch
    uint64_t ledgered = 0; // row.done + row.failed of the last change of the ledger
};

// Whether the pass still counts: its epoch is in force, and nobody has stopped or paused it.
bool rebalance_is_in_force(const rebalance &r);
// Something of this page began, or ended; the page ends with the last.
void rebalance_begin_one(rebalance &r);
void rebalance_end_one(rebalance &r);
// The pass is repeated later.
void rebalance_note_failure(rebalance &r, std::string why);
// An object that could not be given; it stays here, readable.
void rebalance_note_item_failure(rebalance &r, const index_row &row, int status, std::string why);
// A damaged object moved without its content. That does not keep the pass from being clean.
void rebalance_note_left(rebalance &r, const index_row &row, std::string what);

// giving.cc
// Gives the rows of r.small and begins with those of r.large.
void rebalance_give(rebalance &r);
// Begins more of r.large; false: none is left.
bool rebalance_give_large(rebalance &r);
// Ends those that are on their way.
void rebalance_cut_large(rebalance &r);

// found.cc
// Counts, if that is due and nothing moves.
void found_look(rebalance &r);
// Another epoch is in force. `has_none`: a whole pass in the one before has proved that there are none, and nothing moves.
void found_note_epoch(rebalance &r, bool has_none, uint64_t epoch);
// A pass has given them to their owners; `why`: not all of them.
void found_given(rebalance &r, const std::string &why);
void found_stop(rebalance &r);
bool found_is_known(const target &t);
// Whether the last count in this epoch found any.
bool found_any(const target &t);
// {"objects","bytes","taking","why"}; null: there is nothing to tell.
json_ptr found_report(const target &t);

// jobs.cc: the job of an epoch.
// Whether the ledger has been read.
bool target_knows_jobs(const target &t);
bool target_rebalance_is_paused(const target &t);
// Its row, with the counts of former runs of this process; without an id if the document has no such job.
ledger_job target_rebalance_row(const target &t, uint64_t epoch);

} // namespace etlnode
