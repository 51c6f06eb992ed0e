// SPDX-License-Identifier: MIT
// control/etl_rollout_machine.h: starts one ETL on all targets: stores it, waits for the targets' reports, stores the result.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "port/clock.h"
#include "sm/sm.h"
#include "sm/sm_render.h"

namespace etlnode {

struct etl_rollout;

// What the machine asks of the proxy. Each store_* and await_* completes exactly once, later, through the function named beside it, or
// never after cancel_await.
struct etl_rollout_world {
    void (*store_initializing)(void *arg, etl_rollout &m) = nullptr; // etl_rollout_stored
    void (*await_start)(void *arg, etl_rollout &m) = nullptr;        // etl_rollout_started: the targets report how their starts ended
    void (*store_running)(void *arg, etl_rollout &m) = nullptr;      // etl_rollout_stored
    void (*store_ended)(
        void *arg, etl_rollout &m) = nullptr; // etl_rollout_stored: removed from the document, or aborted (etl_rollout.is_restart)
    void (*await_removal)(void *arg, etl_rollout &m) = nullptr; // etl_rollout_removed: the targets report that the pods are gone
    void (*cancel_await)(void *arg, etl_rollout &m) = nullptr;
    void (*answer_running)(void *arg, etl_rollout &m) = nullptr; // at most one of the two answers
    void (*answer_failure)(void *arg, etl_rollout &m) = nullptr; // failure, failure_text
    void (*on_end)(void *arg, etl_rollout &m) = nullptr;         // the machine is final; posted, may free it
    void *arg = nullptr;
};

enum class etl_rollout_goal : uint8_t {
    run,  // run it everywhere
    end,  // no caller wants it any more: end it as soon as possible
    stop, // end it because the proxy shuts down: what cannot be stored now is left to the proxy's next start
};

struct etl_rollout {
    enum class state : uint8_t {
        idle,
        storing_initializing,
        awaiting_targets,
        storing_running,
        storing_end,
        awaiting_store_retry,
        awaiting_removal,
        ended
    };
    enum class event : uint8_t { begin, stored, store_failed, all_serve, target_failed, removed, caller_gone, deadline, stop };
    sm_core sm;
    env *e = nullptr;
    etl_rollout_world world;
    timer *deadline_timer = nullptr;

    std::string id;
    uint64_t wait_timeout_ms = 0; // for the pods to become Ready
    // On the monotonic clock: the caller is answered by then, even if pods of a failed start still exist; 0: when they are gone.
    uint64_t answer_at_ms = 0;
    bool is_restart = false; // POST /v1/etl/<id>/start: a failure leaves it Aborted instead of removing it

    uint64_t began_ms = 0;
    uint64_t remove_until_ms = 0; // when to stop waiting for the removal
    etl_rollout_goal goal = etl_rollout_goal::run;
    bool caller_waits = true;                // not answered yet, and still connected
    bool has_pods = false;                   // targets may have pods that the document does not request, or should not
    bool storing = false, calling = false;   // what is in progress
    error_code store_error = error_code::ok; // of the last change
    error_code failure = error_code::ok;     // the first one
    std::string failure_text;
};

// Takes a machine whose fields up to is_restart are set. The caller keeps the memory until on_end.
void etl_rollout_begin(etl_rollout &m);
// etl_not_found: the document no longer contains this start.
void etl_rollout_stored(etl_rollout &m, error err, std::string_view text);
// `code` ok: every target serves. Otherwise it is the first failure, and `text` describes it for the user.
void etl_rollout_started(etl_rollout &m, error_code code, std::string_view text);
// `late` names, for the user, the targets whose pods are not gone yet; empty: all are gone.
void etl_rollout_removed(etl_rollout &m, std::string_view late);
void etl_rollout_caller_gone(etl_rollout &m);
// The proxy shuts down.
void etl_rollout_stop(etl_rollout &m);

sm_view etl_rollout_machine_view();

} // namespace etlnode
