// SPDX-License-Identifier: MIT
// kube/kube_call.h: one kubectl child at a time, with what it said kept, and how kubectl fares counted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kube/kubectl.h"
#include "kube/kubectl_fault.h"
#include "port/proc.h"

namespace etlnode {

// How kubectl fares, and what the node lacks to see its pods.
struct kube_health {
    bool kubectl_ok = true;
    std::string kubectl_error; // last failure, empty when ok
    uint64_t kubectl_calls = 0, kubectl_failures = 0, watch_restarts = 0;
    uint64_t watch_expiries = 0; // of these: the API server had forgotten where the watch was (410), which is its good right
    uint64_t calls_by_verb[kubectl_verb_count] = {};
    uint64_t failures_by_kind[kubectl_fault_count] = {};
    bool has_succeeded = false;
    uint64_t succeeded_ms = 0;           // when a call last did what it was asked to do, on the monotonic clock
    std::string list_right, watch_right; // what the Role lacks for the node to see its pods, empty when nothing
};
// Without it the node does not see its pods: no start can succeed. Empty when nothing is missing.
inline const std::string &kube_missing_right(const kube_health &health)
{
    return health.list_right.empty() ? health.watch_right : health.list_right;
}

// Owned by a machine or by the registry. After an accepted start on_end comes once; after a refused one never.
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
    bool refused = false;              // it never ran
    std::string out;                   // stdout, where the call collects it
    std::vector<std::string> warnings; // lines "Warning: ..." on stderr, of a call that was ok; warnings_max at most
    kubectl_fault fault = kubectl_fault::none;
    std::string missing_right; // what the Role lacks, where that is why
    std::string failure;       // in words: "exit code 1: ...", behind `missing_right` where there is one
    uint64_t deadline_ms = 0;
};

// False when the child could not be started: `failure` says why.
bool kube_call_start(kube_call &call, kubectl_verb verb, proc_options options);
inline bool kube_call_is_running(const kube_call &call) { return call.child != nullptr; }
// Its end has been handled. A machine says so before it takes the event, also of a call that was refused.
inline void kube_call_close(kube_call &call) { call.open = false; }
// When to ask what became of a call: after its child's own deadline, and the time that it takes to kill it.
inline uint64_t kube_call_patience_ms(const proc_options &options) { return options.deadline_ms + options.kill_grace_ms + 1'000; }
// Asks the child to end; on_end still comes.
void kube_call_terminate(kube_call &call);

// How kubectl fares, by the call that ended last.
void kube_health_note(const kube_call &call);
void kube_health_note_failure(kube_health &health, kubectl_fault fault, const std::string &failure);

} // namespace etlnode
