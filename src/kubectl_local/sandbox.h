// SPDX-License-Identifier: MIT
// kubectl_local/sandbox.h: whether this machine lets us make the namespaces that pods run in, and what happens where it does not.
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

enum class sandbox_wish : uint8_t { automatic, none };

struct sandbox_report {
    sandbox_kind kind = sandbox_kind::namespaces;
    std::string failure; // what could not be made, and the system's error; empty with `namespaces`
    std::string place;   // what says that we are in a container; empty: nothing does
    std::string text;    // one sentence for people: what holds here; with `refused` also what to do
};

// Tries it, in children of this process: never a guess from settings. What was found is kept in the state directory for as long as boot, user,
// rights, root directory and programs are the same, so the trial is made once.
sandbox_report sandbox_look(const local_state &state, sandbox_wish wish);

// --sandbox, or KUBECTL_LOCAL_SANDBOX where it is empty. False: `out_text` says what is allowed.
bool sandbox_parse_wish(const std::string &flag, sandbox_wish &out_wish, std::string &out_text);

// What an admitted pod asks for that only namespaces can give: the field. Empty: nothing.
std::string sandbox_find_need(const cJSON *pod);

// What was decided when the pod was made is kept with it.
inline constexpr std::string_view annotation_sandbox = "etlnode.local/sandbox";
bool sandbox_pod_is_unsandboxed(const cJSON *pod);
void sandbox_mark_pod(cJSON *pod, sandbox_kind kind);

} // namespace etlnode::kubectl_local
