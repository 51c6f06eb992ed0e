// SPDX-License-Identifier: MIT
// kubectl_local/identity.h: who a container runs as: users, groups and capabilities, from the pod's and the container's securityContext.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codec/json.h"

namespace etlnode::kubectl_local {

struct container_identity {
    uint32_t user = 0; // inside
    uint32_t group = 0;
    std::vector<uint32_t> groups; // further ones
    bool has_fs_group = false;
    uint32_t fs_group = 0;
    std::vector<std::string> capabilities; // of a process of root: "CAP_CHOWN" ...
    bool read_only_root = false;
};

// `spec` and `container` are parts of an admitted pod.
container_identity identity_read(const cJSON *spec, const cJSON *container);
bool identity_is_root(const container_identity &who);

} // namespace etlnode::kubectl_local
