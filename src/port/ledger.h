// SPDX-License-Identifier: MIT
// port/ledger.h: what the jobs of one target have done: a durable row for each job, and every failure by name.
//
// A job's names have an order: bytewise by bucket, then by name. A name is counted if and only if it is at or below the job's cursor, or
// noted as finished ahead of it. Counts, cursor and notes change in one transaction, so each name counts exactly once, whatever crashes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "port/env.h"

namespace etlnode {

struct ledger_job {
    std::string id = {};
    std::string kind = {};
    std::string state = {};                           // the job layer's word
    uint64_t epoch = 0;                               // of the placement that the pass began in
    uint64_t pass = 0;                                // counts from 1
    std::string cursor_bucket = {}, cursor_name = {}; // every name up to here has an outcome; both empty: none has
    uint64_t done = 0, skipped = 0, failed = 0;
    uint64_t bytes = 0; // of the contents that were handled
    uint64_t started_ns = 0;
    uint64_t ended_ns = 0;  // 0: not ended
    std::string error = {}; // why it ended, or could not
};

// A name beyond the cursor that has its outcome.
struct ledger_ahead {
    std::string bucket = {}, name = {};
    uint8_t outcome = 0; // the job layer's number
};

struct ledger_failure {
    std::string bucket = {}, name = {};
    int status = 0; // HTTP
    std::string text = {};
    std::string request_id = {};
    uint64_t tries = 0;
};

struct ledger_change {
    ledger_job job = {};      // replaces the row as a whole
    bool begins_pass = false; // first, notes and failures of former passes are removed
    std::vector<ledger_ahead> ahead = {};
    std::vector<ledger_failure> failures = {}; // one that has the name already is replaced
};

struct ledger_loaded {
    ledger_job job = {};
    std::vector<ledger_ahead> ahead = {}; // in order
};

using ledger_on_loaded = void (*)(void *arg, error err, std::vector<ledger_loaded> jobs);
using ledger_on_failures = void (*)(void *arg, error err, std::vector<ledger_failure> failures);
using ledger_on_done = void (*)(void *arg, error err);

struct ledger_port {
    void (*load)(env &e, ledger_on_loaded on_loaded, void *arg);
    void (*change)(env &e, ledger_change change, ledger_on_done on_done, void *arg);
    void (*failures)(env &e, const std::string &job, const std::string &after_bucket, const std::string &after_name, size_t count,
        ledger_on_failures on_failures, void *arg);
    void (*remove)(env &e, std::vector<std::string> jobs, ledger_on_done on_done, void *arg);
};

// Every call completes exactly once and cannot be cancelled.

// All jobs, by id.
inline void ledger_load(env &e, ledger_on_loaded on_loaded, void *arg) { e.ledger->load(e, on_loaded, arg); }
// Durable on completion, as a whole or, after an error, not at all. Notes at or below the new cursor are removed. It keeps its order with
// the changes of the index (port/index.h).
inline void ledger_commit(env &e, ledger_change change, ledger_on_done on_done, void *arg)
{
    e.ledger->change(e, static_cast<ledger_change &&>(change), on_done, arg);
}
// At most `count` failures of the job in the order of their names, beyond (after_bucket, after_name); both empty: from the start.
inline void ledger_failures(env &e, const std::string &job, const std::string &after_bucket, const std::string &after_name, size_t count,
    ledger_on_failures on_failures, void *arg)
{
    e.ledger->failures(e, job, after_bucket, after_name, count, on_failures, arg);
}
// Forgets these jobs with everything about them. An unknown one is fine. Durable on completion.
inline void ledger_remove(env &e, std::vector<std::string> jobs, ledger_on_done on_done, void *arg)
{
    e.ledger->remove(e, static_cast<std::vector<std::string> &&>(jobs), on_done, arg);
}

} // namespace etlnode
