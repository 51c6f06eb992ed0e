// SPDX-License-Identifier: MIT
// kube/kube_call.h: runs one kubectl child at a time, keeps its output, and counts how calls end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kube/kubectl.h"
#include "kube/kubectl_fault.h"
#include "port/proc.h"

namespace etlnode {

// How kubectl calls fare, and which right the node lacks to see its pods.
struct kube_health {
    bool kubectl_ok = true;
    std::string kubectl_error; // last failure; empty if ok
    uint64_t kubectl_calls = 0, kubectl_failures = 0, watch_restarts = 0;
    uint64_t watch_expiries = 0; // of these, ends with 410: the API server no longer has the watch's version, which is normal
    uint64_t calls_by_verb[kubectl_verb_count] = {};
    uint64_t failures_by_kind[kubectl_fault_count] = {};
    bool has_succeeded = false;
    uint64_t succeeded_ms = 0;           // when a call last succeeded, on the monotonic clock
    std::string list_right, watch_right; // what the Role must grant so that the node sees its pods; empty if nothing is missing
};
// The missing right without which the node does not see its pods, so that no start can succeed. Empty if nothing is missing.
inline const std::string &kube_missing_right(const kube_health &health)
{
    return health.list_right.empty() ? health.watch_right : health.list_right;
}

// Owned by a machine or by the registry. An accepted start is followed by exactly one on_end, a refused one by none.
struct kube_call {
    env *e = nullptr;
    kube_health *health = nullptr;
    void (*on_end)(void *arg) = nullptr;
    void *arg = nullptr;

    proc *child = nullptr;
    bool open = false; // started, and its end has not been handled: see kube_call_close
    kubectl_verb verb = kubectl_verb::list;
    // How the last call ended; kept until the next one starts.
    bool ok = false;
    bool refused = false;              // the child could not be started
    std::string out;                   // stdout, if the call collects it
    std::vector<std::string> warnings; // "Warning: ..." lines from the stderr of a successful call; at most warnings_max
    kubectl_fault fault = kubectl_fault::none;
    std::string missing_right; // what the Role must grant, if that is why the call failed
    std::string failure;       // a description: "exit code 1: ...", after `missing_right` if that is set
    uint64_t deadline_ms = 0;
};

// False if the child could not be started; `failure` says why.
bool kube_call_start(kube_call &call, kubectl_verb verb, proc_options options);
inline bool kube_call_is_running(const kube_call &call) { return call.child != nullptr; }
// Marks the call's end as handled. A machine calls this before it takes the event, also for a call that was refused.
inline void kube_call_close(kube_call &call) { call.open = false; }
// After this time an owner should check the call: its child's own deadline, and the time to kill it.
inline uint64_t kube_call_patience_ms(const proc_options &options) { return options.deadline_ms + options.kill_grace_ms + 1'000; }
// Asks the child to end. on_end still follows.
void kube_call_terminate(kube_call &call);

// Updates the health from the call that ended last.
void kube_health_note(const kube_call &call);
void kube_health_note_failure(kube_health &health, kubectl_fault fault, const std::string &failure);

} // namespace etlnode
