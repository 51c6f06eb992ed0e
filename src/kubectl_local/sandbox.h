// SPDX-License-Identifier: MIT
// kubectl_local/sandbox.h: finds out whether this machine allows the namespaces that pods run in, and decides what to do if not.
#pragma once

#include <string>

#include "codec/json.h"
#include "kubectl_local/state.h"

namespace etlnode::kubectl_local {

enum class sandbox_kind : uint8_t {
    namespaces, // pods are sandboxed
    none,       // pods run unsandboxed (tracer.h)
    refused,    // pods cannot run
};
inline constexpr const char *sandbox_kind_names[] = {"namespaces", "none", "refused"};

enum class sandbox_mode : uint8_t { automatic, none };

struct sandbox_report {
    sandbox_kind kind = sandbox_kind::namespaces;
    std::string failure; // what could not be created, and the system's error; empty with `namespaces`
    std::string place;   // the evidence for running in a container; empty without any
    std::string text;    // a sentence for people: the situation here; with `refused` also what to do
};

// Tries to create namespaces in child processes instead of guessing from settings. The result is cached in the state directory while boot,
// user, rights, root directory and programs stay the same, so the trial runs once.
sandbox_report sandbox_detect(const local_state &state, sandbox_mode mode);

// Parses --sandbox, or KUBECTL_LOCAL_SANDBOX if the flag is empty. False with the allowed values in `out_text`.
bool sandbox_parse_mode(const std::string &flag, sandbox_mode &out_mode, std::string &out_text);

// The field of an admitted pod that requires namespaces; empty if there is none.
std::string sandbox_find_need(const cJSON *pod);

// The decision made at creation is stored with the pod.
inline constexpr std::string_view annotation_sandbox = "etlnode.local/sandbox";
bool sandbox_pod_is_unsandboxed(const cJSON *pod);
void sandbox_mark_pod(cJSON *pod, sandbox_kind kind);

} // namespace etlnode::kubectl_local
