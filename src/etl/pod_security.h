// SPDX-License-Identifier: MIT
// etl/pod_security.h: how much of the Pod Security standard "restricted" a target adds to the pods it makes (--pod-security).
#pragma once

#include <cstdint>
#include <string_view>

struct cJSON;

namespace etlnode {

// A spec's own words are never changed; what it does not say is filled in.
enum class pod_security : uint8_t {
    off,        // nothing is added
    baseline,   // no gain of privileges, no capabilities, the runtime's seccomp profile: an image that runs as root still starts
    restricted, // all that a namespace which enforces "restricted" asks for: also a user that is not root
};
inline constexpr std::string_view pod_security_names[] = {"off", "baseline", "restricted"};

// `pod_spec` is the Pod's spec.
void pod_security_fill(cJSON *pod_spec, pod_security level);

} // namespace etlnode
