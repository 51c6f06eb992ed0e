// SPDX-License-Identifier: MIT
// kube/kubectl_fault.h: what kind of failure a kubectl call ended with, and which right a refusal misses, from kubectl's own words.
//
// The words are those of kubectl 1.20 and 1.33 against an API server that refuses, throttles, breaks or is gone (test/unit/kube).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "port/proc.h"

namespace etlnode {

enum class kubectl_fault : uint8_t {
    none,
    not_started,       // there is no such program, or it cannot be run
    killed,            // by a signal that we did not send
    output,            // printed too much, or not what was asked for
    timeout,           // did not end in time, or its request did not
    unreachable,       // nobody answers: refused, reset, no route, no name
    too_many_requests, // 429
    server_error,      // 5xx
    expired,           // 410: the watch or the list is too old, a new one is not
    forbidden,         // by the roles of the account, an admission plugin or a quota
    already_exists,
    other, // whatever else the API server or kubectl refuses
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

// Of a call that ended. None when it ended well.
kubectl_fault kubectl_fault_of(const proc_result &result);
// The same call may do the next time: nothing is wrong with what was asked.
bool kubectl_fault_may_pass(kubectl_fault fault);

// "the Role needs verbs [create] on pods in namespace ns for system:serviceaccount:ns:sa", where `words` say that such a right is missing;
// else empty: other refusals (Pod Security, quotas, webhooks) are not the role's. `watches`: the call was the watch, whose
// refusal older kubectls tell without saying of whom and where.
std::string kubectl_missing_right(std::string_view words, bool watches);

} // namespace etlnode
