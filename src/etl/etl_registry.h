// SPDX-License-Identifier: MIT
// etl/etl_registry.h: the ETLs of one target. It starts, stops and watches their pods, and says where a pod listens.
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
// One ETL on this target, whichever start of it is current. A read resolves its ETL to this once. It may outlive the ETL, but not the
// registry.
struct etl_ref;

struct etl_registry_options {
    std::vector<std::string> kubectl; // program and leading arguments
    bool kubectl_is_local = false;    // uses kubectl-local's pod annotation instead of status.podIP
    std::string node_name;            // K8S_HOST_NAME
    std::string cluster_id, target_id;
    std::string pod_url; // base URL under which pods reach this target's pod listener
    std::string owner_name, owner_uid;
    pod_security security = pod_security::baseline;
    std::string node_address;     // of the Kubernetes node as clients reach it; empty: the pod's hostIP
    bool require_framing = false; // the default for ETLs whose spec does not say
    // Posted, never called inside a call below, when an ETL's address, readiness or instance has changed, or when it ended by itself.
    // Lifetime of `ref`: the call, unless it is acquired.
    void (*on_change)(void *arg, etl_ref &ref) = nullptr;
    void *arg = nullptr;
};

enum class etl_phase : uint8_t { starting, serving, stopping, failed, gone };

// The addresses of the container that serves now.
struct etl_endpoint {
    std::string host; // of the pod
    uint16_t port = 0;
    std::string client_host; // where clients reach it directly (hpull): the pod, or its port on the Kubernetes node
    uint16_t client_port = 0;
    std::string instance;     // identifies the running container: changes with every restart
    std::string witness_host; // where kubectl-local says whether that container lives; port 0 if there is no witness
    uint16_t witness_port = 0;

    bool operator==(const etl_endpoint &) const = default;
};

// The view of transfers and status pages. Lifetime: until the loop's next iteration.
struct etl_view {
    const etl_definition *definition = nullptr; // of the current start, without pod_json
    const etl_endpoint *endpoint = nullptr;
    etl_phase phase = etl_phase::starting;
    bool ready = false; // the phase is serving, and the pod accepts requests now
    std::string_view pod_name;
    std::string_view last_error;           // the text for the user if it failed
    uint64_t restarts = 0;                 // of the container, observed while serving
    std::span<const std::string> warnings; // printed by kubectl when it created the pod
    uint64_t readiness_changes = 0;        // changes of the pod's Ready condition while the same container served
};

etl_registry *etl_registry_make(env &e, const etl_registry_options &options);
// Starts the watch and the periodic list. Call once the cluster id is known.
void etl_registry_begin(etl_registry &registry);

// An ETL that this target must have.
struct etl_wanted {
    const etl_definition *definition = nullptr;
    // It is being started, and a caller waits for the result: a failure is final and is kept. Otherwise it starts by itself, which adopts a
    // running pod and retries for ever.
    bool is_initializing = false;
};
// Makes the ETLs match `wanted`: starts missing ones, stops unwanted ones, and removes leftover pods of this cluster and target (none
// before the first call).
void etl_registry_sync(etl_registry &registry, std::span<const etl_wanted> wanted);
// Completes once, when the start of that generation is decided. ok: its pod is Ready. etl_init_failed: `detail` gives the step, kubectl's
// own words, the exit code and the pod's last log lines. canceled: it was stopped or abandoned. The pod of a failed start is then being
// removed. The pod has `wait_timeout_ms` from now, whatever the definition says. A start that has served but does not serve now is decided
// when it is Ready again; if that takes longer, the call fails, and the ETL runs on.
void etl_registry_await_start(etl_registry &registry, std::string_view id, std::string_view generation_id, uint64_t wait_timeout_ms,
    void (*on_done)(void *arg, error err, const std::string &detail), void *arg);
// No caller waits for that start any more: its pod is removed, and it is not started again while it is wanted as initializing.
void etl_registry_abandon(etl_registry &registry, std::string_view id, std::string_view generation_id);
// Completes once: ok when all pods of what was stopped are gone (also if there were none), or with the reason why one could not be removed.
// In that case the registry keeps trying.
void etl_registry_await_gone(
    etl_registry &registry, std::string_view id, void (*on_done)(void *arg, error err, const std::string &detail), void *arg);
// Completes once, with the last lines of the pod's log.
void etl_registry_logs(etl_registry &registry, std::string_view id, uint64_t since_s,
    void (*on_done)(void *arg, error err, const std::string &text), void *arg);

// Finds an ETL by id, or by name if that is unambiguous; false if there is none.
bool etl_registry_find(const etl_registry &registry, std::string_view id_or_name, etl_view &out_view);
// The Pod as this target creates it, as JSON, for people: the secret in AIS_TARGET_URL is masked. Empty if there is no such ETL.
std::string etl_registry_show_pod(const etl_registry &registry, std::string_view id_or_name);
void etl_registry_list(const etl_registry &registry, std::vector<etl_view> &out_views);

// Finds an ETL by id, or by name if that is unambiguous; null if there is none. Release each handle with etl_ref_release.
etl_ref *etl_registry_acquire(etl_registry &registry, std::string_view id_or_name);
etl_ref *etl_ref_acquire(etl_ref &ref);
void etl_ref_release(etl_ref &ref);
std::string_view etl_ref_id(const etl_ref &ref);
// False: the ETL no longer exists.
bool etl_ref_view(const etl_ref &ref, etl_view &out_view);
// A transfer reports that the pod refuses connections: it is not ready until the watch or a probe says otherwise.
void etl_ref_report_refused(etl_ref &ref);
// Counts this node's requests in flight to the pod. A stop waits (within bounds) until there are none, and then deletes the pod.
void etl_ref_take_slot(etl_ref &ref);
void etl_ref_give_slot(etl_ref &ref);
size_t etl_ref_slots_taken(const etl_ref &ref);

// For /v1/health and /metrics: how kubectl calls fare, and how starts of ETLs ended (each counts when it first served, or failed).
struct etl_registry_health : kube_health {
    uint64_t starts_served = 0, starts_failed = 0;
};
const etl_registry_health &etl_registry_get_health(const etl_registry &registry);
// The missing right without which the node does not see its pods, so that no start can succeed. Empty if nothing is missing.
inline const std::string &etl_registry_missing_right(const etl_registry_health &health) { return kube_missing_right(health); }

// Ends every child process and timer. Pods stay and are adopted after a restart. Completes once.
void etl_registry_shut_down(etl_registry &registry, void (*on_done)(void *arg), void *arg);
void etl_registry_free(etl_registry *registry);

} // namespace etlnode
