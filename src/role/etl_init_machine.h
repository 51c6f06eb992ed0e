// SPDX-License-Identifier: MIT
// role/etl_init_machine.h: the proxy's part of starting an ETL: store it, start it on all targets, commit, or roll back everywhere.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "port/clock.h"
#include "sm/sm.h"
#include "sm/sm_render.h"

struct etl_init;

// What the machine asks of the proxy. Each store_*, start_* and remove_* completes exactly once, later, through the function named
// beside it; the two cancels make that never.
struct etl_init_world {
    void (*store_initializing)(void *arg, etl_init &m) = nullptr;  // etl_init_stored
    void (*start_on_targets)(void *arg, etl_init &m) = nullptr;    // etl_init_started
    void (*cancel_start)(void *arg, etl_init &m) = nullptr;
    void (*store_running)(void *arg, etl_init &m) = nullptr;       // etl_init_stored
    void (*remove_from_targets)(void *arg, etl_init &m) = nullptr; // etl_init_removed
    void (*cancel_remove)(void *arg, etl_init &m) = nullptr;
    void (*store_ended)(void *arg, etl_init &m) = nullptr;         // etl_init_stored: out of the document, or aborted (etl_init.is_restart)
    void (*answer_running)(void *arg, etl_init &m) = nullptr;      // at most one of the two answers
    void (*answer_failure)(void *arg, etl_init &m) = nullptr;      // failure, failure_text
    void (*on_end)(void *arg, etl_init &m) = nullptr;              // the machine is final; posted, may free it
    void *arg = nullptr;
};

struct etl_init {
    enum class state : uint8_t { idle, storing_initializing, awaiting_targets, storing_running, rolling_back, storing_end, awaiting_store_retry, ended };
    enum class event : uint8_t { begin, stored, store_failed, all_serve, target_failed, removed, caller_gone, deadline, stop };
    sm_core sm;
    env *e = nullptr;
    etl_init_world world;
    timer *clock = nullptr;

    std::string id;
    std::string generation_id;
    uint64_t wait_timeout_ms = 0; // for the pods to get Ready
    uint64_t answer_at_ms = 0;    // the caller is answered by then, on the monotonic clock, also while a failed start is still rolled back; 0: when that is done
    bool is_restart = false;      // POST /v1/etl/<id>/start: a failure leaves it Aborted instead of forgotten

    uint64_t began_ms = 0;
    bool caller_waits = true;     // not answered yet, and still there
    bool is_abandoned = false;    // nobody wants it any more: end it as soon as possible
    bool may_be_stored = false;   // the document may hold it as initializing
    bool is_stopping = false;     // the proxy shuts down
    uint64_t remove_until_ms = 0; // when the removal is given up
    bool is_gone = false;         // the document does not hold it any more
    bool storing = false, starting = false, removing = false; // what is under way
    error_code failure = error_code::ok; // the first one
    std::string failure_text;
};

// Takes a machine whose fields up to is_restart are set; the caller keeps the memory until on_end.
void etl_init_begin(etl_init &m);
void etl_init_stored(etl_init &m, error err, std::string_view text);
// `code` ok: every target serves; else the first failure, in words for the user.
void etl_init_started(etl_init &m, error_code code, std::string_view text);
void etl_init_removed(etl_init &m);
void etl_init_caller_gone(etl_init &m);
// The proxy shuts down.
void etl_init_stop(etl_init &m);

sm_view etl_init_machine_view();
