// SPDX-License-Identifier: MIT
// etl/kube_call.h: one kubectl child at a time, with what it said kept and the registry's health counted.
#pragma once

#include <string>
#include <vector>

#include "etl/etl_registry.h"
#include "kube/kubectl.h"
#include "kube/kubectl_fault.h"
#include "port/proc.h"

// Owned by a machine or by the registry. After an accepted start on_end comes once; after a refused one never.
struct kube_call {
    env *e = nullptr;
    etl_registry_health *health = nullptr;
    void (*on_end)(void *arg) = nullptr;
    void *arg = nullptr;

    proc *child = nullptr;
    kubectl_verb verb = kubectl_verb::list;
    // How the last call ended; kept until the next one starts.
    bool ok = false;
    bool refused = false;      // it never ran
    std::string out;           // stdout, where the call collects it
    std::vector<std::string> warnings; // lines "Warning: ..." on stderr, of a call that was ok; warnings_max at most
    kubectl_fault fault = kubectl_fault::none;
    std::string missing_right; // what the Role lacks, where that is why
    std::string failure;       // in words: "exit code 1: ...", behind `missing_right` where there is one
    uint64_t deadline_ms = 0;
};

// False when the child could not be started: `failure` says why.
bool kube_call_start(kube_call &call, kubectl_verb verb, proc_options options);
inline bool kube_call_is_running(const kube_call &call) { return call.child != nullptr; }
// Asks the child to end; on_end still comes.
void kube_call_terminate(kube_call &call);

// How kubectl fares, by the call that ended last.
void kube_health_note(const kube_call &call);
void kube_health_note_failure(etl_registry_health &health, kubectl_fault fault, const std::string &failure);
