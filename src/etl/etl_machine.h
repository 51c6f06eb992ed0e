// SPDX-License-Identifier: MIT
// etl/etl_machine.h: one start of one ETL on this target, from an accepted definition to a removed pod. Used by etl_registry.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "etl/etl_registry.h"
#include "etl/kube_call.h"
#include "etl/watch_machine.h"
#include "port/clock.h"
#include "port/net.h"
#include "sm/sm.h"
#include "sm/sm_render.h"

// What an ETL needs of its registry. Lifetime: longer than its ETLs.
struct etl_host {
    env *e = nullptr;
    const etl_registry_options *options = nullptr;
    watch *pods = nullptr;
    etl_registry_health *health = nullptr;
    void (*on_step)(void *arg, etl &m) = nullptr;                 // after every step; must not step a machine
    void *arg = nullptr;
};

// All starts of one id on this target.
struct etl_ref {
    etl_registry *registry = nullptr;
    std::string id;
    std::vector<etl *> starts;  // in order of their making: the last one is the current one
    size_t slots_taken = 0;     // requests in flight to the pod
    size_t holders = 0;         // acquired and not released
};

// What transfers were last told of it.
struct etl_report {
    etl_phase phase = etl_phase::gone;
    bool ready = false;
    etl_endpoint endpoint;

    bool operator==(const etl_report &) const = default;
};

// What is to become of the pod that is being removed.
enum class etl_goal : uint8_t {
    run,  // another one is made
    fail, // none: the start has failed
    stop, // none: it was asked to stop
};

struct etl {
    enum class state : uint8_t {
        received, awaiting_turn, awaiting_list, launching, awaiting_create_retry, cancelling, awaiting_ready, exposing, reading_port, awaiting_expose_retry,
        awaiting_port, fetching_logs, serving, awaiting_return, probing, draining, deleting, awaiting_delete_retry, awaiting_relaunch, failed, closing, stopped, closed,
    };
    enum class event : uint8_t {
        start, restore, turn, kubectl_ok, kubectl_failed, pod_changed, refused, probe_ok, probe_failed, drained, deadline, stop, shut_down,
    };
    sm_core sm;

    const etl_host *host = nullptr;
    etl_ref *ref = nullptr;
    etl_definition definition;        // without pod_json
    json_ptr pod;                     // what was pod_json
    const etl *predecessor = nullptr; // an earlier start of the same id whose pod is still there
    std::string target_url;           // AIS_TARGET_URL of the pod
    std::string pod_name;
    std::string launch_id;            // of the pod we believe in: tells it from an earlier one of the same name
    uint64_t grace_s = 0;

    // Resources.
    kube_call call;
    bool call_open = false;           // a kubectl call whose end has not been handled yet
    timer *alarm = nullptr;
    net_connect_call *probe = nullptr;
    bool probe_open = false;
    bool pod_may_exist = false;       // set before create starts, cleared when a delete succeeded or the pod was seen to be gone

    bool asked = false;               // somebody waits for this start: its failure is final. Else it keeps trying
    uint64_t start_deadline_ms = 0;   // of an asked start
    uint64_t created_stamp = 0;       // watch_take_stamp when create had succeeded
    bool seen = false;                // the watch has told of our pod
    bool name_was_taken = false;      // a leftover of our name has been replaced in this start
    bool failure_counted = false;     // in etl_registry_health::starts_failed
    bool previous_logs = false;       // of the log call under way
    etl_goal goal = etl_goal::run;
    bool relaunch_at_once = false;
    bool served = false;              // it was Ready once
    uint64_t serving_since_ms = 0;
    bool suspected = false;           // it refused a connection since it was Ready
    uint64_t relaunch_delay_ms = 0;
    uint64_t create_attempts = 0;     // of this launch
    uint64_t create_delay_ms = 0;
    uint16_t node_port = 0;           // of this launch's pod, where one is asked for; 0: not known yet
    uint64_t expose_delay_ms = 0;
    bool port_answers = false;        // it was seen to, or waited for long enough
    uint64_t port_until_ms = 0;
    uint64_t delete_delay_ms = 0;
    uint64_t probe_delay_ms = 0;
    uint64_t delete_failures = 0;

    etl_endpoint endpoint;            // of the pod, while it serves
    uint64_t restart_count = 0;
    uint64_t restarts = 0;            // seen while serving
    bool passes_probe = false;        // as last told, while it serves
    uint64_t readiness_changes = 0;   // of passes_probe, while serving

    std::string failure;              // why the start failed, for the user, with the pod's last words
    std::string delete_error;         // of the last attempt to remove the pod
    std::string trouble;              // what is wrong now, while it goes on

    // Of the registry.
    std::vector<std::string> warnings; // of kubectl, when the pod was created
    etl_report reported;
};

// `id` shows up in traces. The machine rests in `received`.
etl *etl_make(const etl_host &host, etl_ref &ref, const etl_definition &definition, uint64_t id);
// Requires: a final state, or received.
void etl_free(etl *m);

// Every event goes through here. Not to be called from on_step.
void etl_send(etl &m, etl::event event);

bool etl_is_final(const etl &m);
bool etl_is_stopping(const etl &m); // on its way out, asked for
// A start may join it: it serves or is on its way there.
bool etl_can_be_joined(const etl &m);
// The start it was asked for: has it been decided? Then ok or not, and the text for the user. Ok means that the pod is Ready now.
bool etl_start_is_decided(const etl &m, error &out_err, std::string &out_text);
// What is told to a start that joined an ETL whose pod did not come back in time.
std::string etl_start_missed_text(const etl &m);
etl_phase etl_phase_of(const etl &m);
etl_view etl_view_of(const etl &m);
const char *etl_state_name(const etl &m);
// The Pod as it is created, as JSON, without the secret.
std::string etl_pod_shown(const etl &m);
// This pod is that machine's business: it runs it, or is about to remove it.
bool etl_claims_pod(const etl &m, const pod_status &pod);

sm_view etl_machine_view();
