// SPDX-License-Identifier: MIT
// etl/kube_call.h: one kubectl child at a time, with what it said kept and the registry's health counted.
#pragma once

#include <string>

#include "etl/etl_registry.h"
#include "port/proc.h"

// Owned by a machine or by the registry. After an accepted start on_end comes once; after a refused one never.
struct kube_call {
    env *e = nullptr;
    etl_registry_health *health = nullptr;
    void (*on_end)(void *arg) = nullptr;
    void *arg = nullptr;

    bool may_be_cut = false;   // output that reached its limit is still good (log lines)

    proc *child = nullptr;
    // How the last call ended; kept until the next one starts.
    bool ok = false;
    bool refused = false;      // it never ran
    std::string out;           // stdout, where the call collects it
    std::string error_words;   // stderr
    std::string failure;       // in words: "exit code 1: ..."
    uint64_t deadline_ms = 0;
};

// False when the child could not be started: `failure` says why.
bool kube_call_start(kube_call &call, proc_options options);
inline bool kube_call_is_running(const kube_call &call) { return call.child != nullptr; }
// Asks the child to end; on_end still comes.
void kube_call_terminate(kube_call &call);

void kube_health_note(etl_registry_health &health, bool ok, const std::string &failure);
