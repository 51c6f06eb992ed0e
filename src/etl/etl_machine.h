// SPDX-License-Identifier: MIT
// etl/etl_machine.h: one start of one ETL on this target, from an accepted definition until its last pod is gone. Used by etl_registry.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/back_off.h"
#include "etl/etl_registry.h"
#include "etl/pod_facts.h"
#include "etl/pod_machine.h"
#include "port/clock.h"
#include "sm/sm.h"
#include "sm/sm_render.h"

namespace etlnode {

// What an ETL needs of its registry. Lifetime: longer than its ETLs.
struct etl_host : pod_world {
    void (*on_step)(void *arg, etl &m) = nullptr; // after every step of it or of its pod; must not step a machine
    void *arg = nullptr;
};

// All starts of one id on this target.
struct etl_ref {
    etl_registry *registry = nullptr;
    std::string id;
    std::vector<etl *> starts; // in order of their making: the last one is the current one
    size_t slots_taken = 0;    // requests in flight to the pod
    size_t holders = 0;        // acquired and not released
};

// What transfers were last told of it.
struct etl_report {
    etl_phase phase = etl_phase::gone;
    bool ready = false;
    etl_endpoint endpoint;

    bool operator==(const etl_report &) const = default;
};

struct etl {
    enum class state : uint8_t {
        received,
        awaiting_predecessor,
        starting,
        clearing,
        awaiting_retry, // no pod of it has served yet
        serving,
        awaiting_return,
        relaunching,
        replacing,
        awaiting_relaunch, // one has, or did
        draining,
        stopping,
        failing,
        stuck,
        failed,
        stopped,
    };
    enum class event : uint8_t {
        start,
        predecessor_gone,
        pod_ready,
        pod_down,
        pod_failed,
        pod_unusable,
        pod_name_taken,
        pod_stuck,
        pod_ended,
        drained,
        deadline,
        stop,
    };
    sm_core sm;

    const etl_host *host = nullptr;
    etl_ref *ref = nullptr;
    etl_definition definition;        // without pod_json
    json_ptr users_pod;               // what was pod_json
    const etl *predecessor = nullptr; // an earlier start of the same id whose pod is still there
    pod_plan plan;
    pod_record record;

    pod_machine *pod = nullptr; // the current one; kept when it has ended, until the next one is made
    timer *deadline_timer = nullptr;
    uint64_t start_deadline_ms = 0; // of the callers that wait for this start: a failure is final. 0: nobody waits, it tries again for ever
    back_off relaunch;
    uint64_t pause_ms = 0;         // before the next pod is made
    uint64_t serving_since_ms = 0; // 0: not since the last pod ended
    uint64_t delete_failures = 0;
    std::string failure; // why the start failed, for the user, with the pod's last words

    etl_report reported; // of the registry
};

// `id` shows up in traces. The machine rests in `received`.
etl *etl_make(const etl_host &host, etl_ref &ref, const etl_definition &definition, uint64_t id);
// Requires: a final state, or received.
void etl_free(etl *m);

// Starts it, or joins callers that wait until `deadline_ms` to a start that is under way. 0: nobody waits; only to begin with.
void etl_start(etl &m, uint64_t deadline_ms);
// Nobody waits any more: what fails from now on is tried again.
void etl_keep_trying(etl &m);
// Removes its pod and ends; requests in flight are waited for, within bounds.
void etl_stop(etl &m);
// The node ends: children and timers go, the pod stays.
void etl_shut_down(etl &m);
// The watch has told something of its pod, or of all pods.
void etl_recheck_pod(etl &m);
// A transfer found its pod refusing connections.
void etl_report_refused(etl &m);
// For drained and predecessor_gone. Not to be called from on_step, like all functions above.
void etl_send(etl &m, etl::event event);

bool etl_is_final(const etl &m);
bool etl_is_stopping(const etl &m); // on its way out, asked for
// A start may join it: it serves or is on its way there.
bool etl_can_be_joined(const etl &m);
// Somebody waits for this start.
bool etl_is_awaited(const etl &m);
// A pod of it has been Ready, and another one will be.
bool etl_has_served(const etl &m);
// A pod of it exists, or may exist.
bool etl_has_pod(const etl &m);
// Why its pod could not be removed; empty: it could, or nobody has tried.
std::string etl_delete_error(const etl &m);
// The start it was asked for: has it been decided? Then ok or not, and the text for the user. Ok means that the pod is Ready now.
bool etl_start_is_decided(const etl &m, error &out_err, std::string &out_text);
// What is told to a start that joined an ETL whose pod did not come back in time.
std::string etl_start_missed_text(const etl &m);
etl_phase etl_phase_of(const etl &m);
etl_view etl_view_of(const etl &m);
// The Pod as it is created, as JSON, without the secret.
std::string etl_pod_shown(const etl &m);
// This pod is that machine's business: it runs it, or is about to remove it.
bool etl_claims_pod(const etl &m, const pod_status &pod);

sm_view etl_machine_view();

} // namespace etlnode
