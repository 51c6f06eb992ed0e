// SPDX-License-Identifier: MIT
// etl/etl_registry.h: the ETLs of one target: starts, stops and watches their pods; tells transfers where a pod listens.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "codec/json.h"
#include "etl/etl_definition.h"
#include "etl/pod_security.h"
#include "kube/kube_call.h"
#include "kube/kubectl.h"
#include "kube/kubectl_fault.h"
#include "node/api.h"
#include "port/env.h"

namespace etlnode {

struct etl_registry;
struct etl; // one start of an ETL on this target, driven by the machine in etl_machine.cc
// One ETL on this target, whichever start of it is the current one: what a read is resolved to, once. It may outlive the ETL, not the registry.
struct etl_ref;

struct etl_registry_options {
    std::vector<std::string> kubectl; // program and leading arguments
    bool kubectl_is_local = false;    // prefers the pod annotation that kubectl-local sets to status.podIP
    std::string node_name;            // K8S_HOST_NAME
    std::string cluster_id, target_id;
    std::string pod_url; // base URL under which pods reach this target's pod listener
    std::string owner_name, owner_uid;
    pod_security security = pod_security::baseline;
    std::string node_address;     // of the Kubernetes node as clients reach it; empty: the pod's hostIP
    bool require_framing = false; // of ETLs whose spec does not say
    // Called when an ETL's address, readiness or instance has changed, and when it ended by itself; posted, never inside a call below.
    // Lifetime of `ref`: the call, unless it is acquired.
    void (*on_change)(void *arg, etl_ref &ref) = nullptr;
    void *arg = nullptr;
};

enum class etl_phase : uint8_t { starting, serving, stopping, failed, gone };

// Where the container that serves now is reached.
struct etl_endpoint {
    std::string host; // of the pod
    uint16_t port = 0;
    std::string client_host; // where clients reach it themselves (hpull): the pod, or its port of the Kubernetes node
    uint16_t client_port = 0;
    std::string instance;     // names the running container: changes with every restart
    std::string witness_host; // where kubectl-local says whether that container lives; port 0 where there is none
    uint16_t witness_port = 0;

    bool operator==(const etl_endpoint &) const = default;
};

// What transfers and status pages see. Lifetime: until the loop's next turn.
struct etl_view {
    const etl_definition *definition = nullptr; // of the current start, without pod_json
    const etl_endpoint *endpoint = nullptr;
    etl_phase phase = etl_phase::starting;
    bool ready = false; // phase serving and the pod takes requests now
    std::string_view pod_name;
    std::string_view last_error;           // what the user is told when it failed
    uint64_t restarts = 0;                 // of the container, seen while serving
    std::span<const std::string> warnings; // that kubectl printed when it made the pod
    uint64_t readiness_changes = 0;        // the pod's Ready condition went or came while the same container served
};

etl_registry *etl_registry_make(env &e, const etl_registry_options &options);
// Starts the watch and the periodic list. Call once the cluster id is known.
void etl_registry_begin(etl_registry &registry);

// An ETL that this target should have.
struct etl_wanted {
    const etl_definition *definition = nullptr;
    // It is being started, and somebody waits for what comes of it: a failure is final, and kept. Else it is started by itself, which adopts a
    // pod that runs already, and tried again for ever.
    bool is_initializing = false;
};
// Reconciles what is with what should be: starts what is missing, stops what is not wanted any more, removes leftovers of this cluster and target
// (none before the first call).
void etl_registry_sync(etl_registry &registry, std::span<const etl_wanted> wanted);
// Completes once, when the start of that generation is decided: ok when its pod is Ready; etl_init_failed with `detail`: step, kubectl's own words,
// exit code, the pod's last log lines; canceled when it was stopped or abandoned. The pod of one that failed is being removed then, which goes on by itself.
// The pod is given `wait_timeout_ms` from now, whatever the definition says. One that has served, and does not now, is decided when it is Ready again, or
// fails after that time, and runs on.
void etl_registry_await_start(etl_registry &registry, std::string_view id, std::string_view generation_id, uint64_t wait_timeout_ms,
    void (*on_done)(void *arg, error err, const std::string &detail), void *arg);
// Nobody waits for that start any more: its pod is removed, and it is not begun again while it is wanted as initializing.
void etl_registry_abandon(etl_registry &registry, std::string_view id, std::string_view generation_id);
// Completes once, when the pods of what was stopped are gone (ok also when there were none), or with the reason why one could not be removed. The
// registry keeps trying to remove it then.
void etl_registry_await_gone(
    etl_registry &registry, std::string_view id, void (*on_done)(void *arg, error err, const std::string &detail), void *arg);
// Completes once with the last lines of the pod's log.
void etl_registry_logs(etl_registry &registry, std::string_view id, uint64_t since_s,
    void (*on_done)(void *arg, error err, const std::string &text), void *arg);

// By id, else by name where that is unambiguous; false when there is none.
bool etl_registry_find(const etl_registry &registry, std::string_view id_or_name, etl_view &out_view);
// The Pod as this target makes it, as JSON, for people: the secret in AIS_TARGET_URL is blotted out. Empty when there is none of that name.
std::string etl_registry_show_pod(const etl_registry &registry, std::string_view id_or_name);
void etl_registry_list(const etl_registry &registry, std::vector<etl_view> &out_views);

// By id, else by name where that is unambiguous; null when there is none. Each one is given back with etl_ref_release.
etl_ref *etl_registry_acquire(etl_registry &registry, std::string_view id_or_name);
etl_ref *etl_ref_acquire(etl_ref &ref);
void etl_ref_release(etl_ref &ref);
std::string_view etl_ref_id(const etl_ref &ref);
// False: the ETL is gone.
bool etl_ref_view(const etl_ref &ref, etl_view &out_view);
// A transfer found the pod refusing connections: not ready until the watch or a probe says otherwise.
void etl_ref_report_refused(etl_ref &ref);
// Requests of this node in flight to the pod; a stop waits until there are none (bounded) before it deletes.
void etl_ref_take_slot(etl_ref &ref);
void etl_ref_give_slot(etl_ref &ref);
size_t etl_ref_slots_taken(const etl_ref &ref);

// For /v1/health and /metrics: how kubectl fares, and how starts of ETLs ended (the first time each served, or failed).
struct etl_registry_health : kube_health {
    uint64_t starts_served = 0, starts_failed = 0;
};
const etl_registry_health &etl_registry_get_health(const etl_registry &registry);
// Without it the node does not see its pods: no start can succeed. Empty when nothing is missing.
inline const std::string &etl_registry_missing_right(const etl_registry_health &health) { return kube_missing_right(health); }

// Ends every child process and timer; pods stay (they are adopted after a restart). Completes once.
void etl_registry_shut_down(etl_registry &registry, void (*on_done)(void *arg), void *arg);
void etl_registry_free(etl_registry *registry);

} // namespace etlnode
