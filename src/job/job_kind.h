// SPDX-License-Identifier: MIT
// job/job_kind.h: what a kind of job is: a row of kinds/kinds.cc and a file beside it.
//
// The frame plans the names, keeps the window and the ledger, waits and resumes. A kind only handles one item. It may gather items that
// are in flight, for example into one batch for each destination, and end them together. What an item does must be repeatable: after a
// crash the items that had no outcome in the ledger are handled again. A destination must be durable before job_item_ended.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "codec/json.h"
#include "job/pace.h"
#include "job/window.h"
#include "store/store.h"

namespace etlnode {

struct job;
struct job_item;

// One object that is kept under another name, here or on the target that the placement names, unchanged or through an ETL.
struct job_copy {
    std::string job_id;
    std::string bucket, name; // of the source
    uint64_t version = 0;     // as planned
    uint64_t checksum = 0;    // likewise
    std::string to_bucket, to_name;
    std::string etl;                   // empty: unchanged
    std::vector<std::string> pipeline; // the ETLs behind it
    std::string etl_args;              // for the ETL; empty: none
    bool is_dry = false;               // the result is not kept
    bool is_forced = false;            // also if the destination was made from this very source in this very way
    job_item *item = nullptr;
    // Once, later. `err` is set: it failed, and `text` says why; `stopping`: copy_stop was called.
    void (*on_done)(job_item &item, error err, const std::string &text, job_outcome outcome, uint64_t bytes) = nullptr;
};

// An object that a job made, and that is to go if what it was made from is gone.
struct job_follow {
    std::string bucket, name;           // of the object
    uint64_t version = 0;               // as planned: a later one stays
    std::string from_bucket, from_name; // of the source
    bool is_dry = false;                // it stays nevertheless
    job_item *item = nullptr;
    // Once, later. done: it is gone; passed: its source is there, or it was changed meanwhile.
    void (*on_done)(job_item &item, error err, const std::string &text, job_outcome outcome) = nullptr;
};

// What the target lends to its jobs.
struct job_tools {
    env *e = nullptr;
    store *objects = nullptr;
    // The smallest name of a bucket of the cluster that is greater than `after`; false if there is none.
    bool (*next_bucket)(void *arg, const std::string &after, std::string &out_bucket) = nullptr;
    // Of the placement in force; 0: objects move. A pass counts only if it lay wholly in one in which nothing moves.
    uint64_t (*epoch)(void *arg) = nullptr;
    // Begins a copy, and returns what `stop_copy` takes until on_done.
    void *(*begin_copy)(void *arg, job_copy copy) = nullptr;
    void (*stop_copy)(void *copy) = nullptr;
    void (*follow)(void *arg, job_follow wanted) = nullptr;
    // Deletes an object as a client does. on_done is called once, later.
    void (*remove)(void *arg, const std::string &bucket, const std::string &name, job_item &item,
        void (*on_done)(job_item &item, error err, const std::string &text)) = nullptr;
    // Clients are served at this moment; jobs leave them most of the disk.
    bool (*is_busy)(void *arg) = nullptr;
    // Clients ask for objects. Then a job keeps only a part of its items in flight (job_items_beside_clients). Null: none ever do.
    bool (*serves_clients)(void *arg) = nullptr;
    void *arg = nullptr;
};

// The job as the cluster's document asks for it.
struct job_order {
    std::string id = {};
    std::string kind = {};
    std::string bucket = {}; // empty: all
    std::string prefix = {};
    std::string options = {}; // a JSON object
    std::string names = {};   // a JSON array, which takes the place of an empty "objnames" in `options`; empty: there is none
    std::string failure = {}; // why the names cannot be had: it fails here
    bool is_waiting = false;  // for its names
    bool is_cancelled = false;
    bool is_over = false;     // on all targets: nothing begins any more
    bool is_external = false; // the target does it outside this frame, and keeps its row in the ledger
};

// One item in flight. The frame owns it; it lives until it has ended.
struct job_item {
    job *owner = nullptr;
    uint64_t number = 0;
    void *work = nullptr; // the kind's
};

struct job_kind {
    const char *name;
    size_t items_max;    // in flight at a time
    uint64_t epochs;     // 0: a pass counts whatever the placement does meanwhile; 1: it must lie in one epoch
    const char *summary; // for help
    // The first change of the ledger is stored before anything is read: what was handed to the index before is in the plan then.
    bool waits_for_index = false;
    // The target does it outside the frame, and keeps its row in the ledger. Only check_options is set.
    bool is_external = false;
    // What is wrong with the options; empty: nothing. Called at the proxy, before the job is stored, and at every target.
    std::string (*check_options)(const cJSON *options);
    // Takes what it needs of the options. Called before the first item, also after a restart.
    void (*open)(job &j, const cJSON *options) = nullptr;
    void (*close)(job &j) = nullptr;
    // Whether the job handles the object at all; null: all that the plan finds.
    bool (*selects)(const job &j, const index_row &row) = nullptr;
    // Begins an item. It ends later, never inside this call, by one of the three functions below.
    void (*begin)(job_item &item) = nullptr;
    // The item shall end soon: by job_item_stopped if it has no outcome yet.
    void (*stop)(job_item &item) = nullptr;
};

const job_tools &job_tools_of(const job_item &item);
// The kind's own, between open and close.
void *job_state_of(const job_item &item);
const job_order &job_order_of(const job_item &item);
const index_row &job_item_row(const job_item &item);

// Exactly one of these ends an item; it is invalid afterwards.
void job_item_ended(job_item &item, job_outcome outcome, uint64_t bytes);
// What lies at this node or another one (no_space, unavailable, not_ready, overloaded) is tried again until it passes. Another failure that
// may pass (error_is_retryable) is tried again some times; the other kinds, and the last try, are the outcome.
void job_item_failed(job_item &item, error err, std::string text, uint64_t bytes);
void job_item_stopped(job_item &item);

} // namespace etlnode
