// SPDX-License-Identifier: MIT
// kube/kubectl_fault.h: classifies a failed kubectl call, and finds the missing right of a refusal, by kubectl's own words.
//
// The words are those of kubectl 1.20 and 1.33 with an API server that refuses, throttles, fails or is unreachable (test/unit/kube).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "port/proc.h"

namespace etlnode {

enum class kubectl_fault : uint8_t {
    none,
    not_started,       // the program does not exist or cannot be run
    killed,            // by a signal that we did not send
    output,            // the output is too large, or not what was requested
    timeout,           // the child or its request did not end in time
    unreachable,       // nothing answers: refused, reset, no route, no such name
    too_many_requests, // 429
    server_error,      // 5xx
    expired,           // 410: the watch or list is too old; a new one works
    forbidden,         // by the roles of the account, an admission plugin or a quota
    already_exists,
    other, // any other refusal of the API server or kubectl
};
inline constexpr std::string_view kubectl_fault_names[] = {
    "none",
    "not_started",
    "killed",
    "output",
    "timeout",
    "unreachable",
    "too_many_requests",
    "server_error",
    "expired",
    "forbidden",
    "already_exists",
    "other",
};
inline constexpr size_t kubectl_fault_count = sizeof kubectl_fault_names / sizeof *kubectl_fault_names;

// Classifies a call that has ended; none if it succeeded.
kubectl_fault kubectl_fault_of(const proc_result &result);
// Whether the same call may succeed later, because nothing is wrong with the request itself.
bool kubectl_fault_may_pass(kubectl_fault fault);

// "the Role needs verbs [create] on pods in namespace ns for system:serviceaccount:ns:sa" if `words` say that such a right is missing.
// Otherwise empty: other refusals (Pod Security, quotas, webhooks) are not the Role's. `watches`: the call was the watch, whose refusal
// older kubectls print without account and namespace.
std::string kubectl_missing_right(std::string_view words, bool watches);

} // namespace etlnode
