// SPDX-License-Identifier: MIT
// etl/pod_security.h: how much of the Pod Security standard "restricted" a target adds to its pods (--pod-security).
#pragma once

#include <cstdint>
#include <string_view>

struct cJSON;

namespace etlnode {

// What a spec says is never changed; only what it leaves open is filled in.
enum class pod_security : uint8_t {
    off,        // nothing is added
    baseline,   // no privilege escalation, no capabilities, the runtime's seccomp profile: an image that runs as root still starts
    restricted, // everything that a namespace which enforces "restricted" requires, including a non-root user
};
inline constexpr std::string_view pod_security_names[] = {"off", "baseline", "restricted"};

// `pod_spec` is the Pod's spec.
void pod_security_fill(cJSON *pod_spec, pod_security level);

} // namespace etlnode
