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

// What an ETL needs from its registry. Lifetime: must outlive its ETLs.
struct etl_host : pod_world {
    void (*on_step)(void *arg, etl &m) = nullptr; // called after every step of the ETL or of its pod; must not step a machine
    void *arg = nullptr;
};

// All starts of one id on this target.
struct etl_ref {
    etl_registry *registry = nullptr;
    std::string id;
    std::vector<etl *> starts; // in the order of creation; the last one is current
    size_t slots_taken = 0;    // requests in flight to the pod
    size_t holders = 0;        // handles acquired and not released
};

// What transfers last received about it.
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
        awaiting_relaunch, // a pod of it serves, or has served
        awaiting_idle,
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
        became_idle,
        deadline,
        stop,
    };
    sm_core sm;

    const etl_host *host = nullptr;
    etl_ref *ref = nullptr;
    etl_definition definition;        // without pod_json
    json_ptr users_pod;               // pod_json as a tree
    const etl *predecessor = nullptr; // an earlier start of the same id whose pod still exists
    pod_plan plan;
    pod_record record;

    pod_machine *pod = nullptr; // the current one; kept after its end until the next one is created
    timer *deadline_timer = nullptr;
    // Of the callers that wait for this start, whose failure is then final. 0: no caller waits, and it retries for ever.
    uint64_t start_deadline_ms = 0;
    back_off relaunch;
    uint64_t pause_ms = 0;         // before the next pod is created
    uint64_t serving_since_ms = 0; // 0: no pod has served since the last one ended
    uint64_t delete_failures = 0;
    std::string failure; // why the start failed, for the user, with the pod's last log lines

    etl_report reported; // the registry's
};

// `id` appears in traces. The machine rests in `received`.
etl *etl_make(const etl_host &host, etl_ref &ref, const etl_definition &definition, uint64_t id);
// Requires: a final state, or received.
void etl_free(etl *m);

// Starts it, or lets callers that wait until `deadline_ms` join a start in progress. 0: no caller waits; only for the first call.
void etl_start(etl &m, uint64_t deadline_ms);
// No caller waits any more: failures from now on are retried.
void etl_keep_trying(etl &m);
// Removes its pod and ends, after waiting (within bounds) for requests in flight.
void etl_stop(etl &m);
// The node ends: stops children and timers; the pod stays.
void etl_shut_down(etl &m);
// The watch has reported something about its pod, or about all pods.
void etl_recheck_pod(etl &m);
// A transfer found that its pod refuses connections.
void etl_report_refused(etl &m);
// For the events became_idle and predecessor_gone. Like all functions above, it must not be called from on_step.
void etl_send(etl &m, etl::event event);

bool etl_is_final(const etl &m);
bool etl_is_stopping(const etl &m); // it was stopped and is ending
// A caller may join it: it serves, or will serve.
bool etl_can_be_joined(const etl &m);
// A caller waits for this start.
bool etl_is_awaited(const etl &m);
// A pod of it has been Ready, and another one will follow.
bool etl_has_served(const etl &m);
// A pod of it exists, or may exist.
bool etl_has_pod(const etl &m);
// Why its pod could not be removed; empty if it could, or if nothing was tried.
std::string etl_delete_error(const etl &m);
// Whether the start is decided. If so, returns ok (the pod is Ready now) or an error, and the text for the user.
bool etl_start_is_decided(const etl &m, error &out_err, std::string &out_text);
// The text for a caller that joined an ETL whose pod did not come back in time.
std::string etl_start_missed_text(const etl &m);
etl_phase etl_phase_of(const etl &m);
etl_view etl_view_of(const etl &m);
// The Pod as it is created, as JSON, without the secret.
std::string etl_pod_shown(const etl &m);
// This machine is responsible for the pod: it runs it, or is about to remove it.
bool etl_claims_pod(const etl &m, const pod_status &pod);

sm_view etl_machine_view();

} // namespace etlnode
