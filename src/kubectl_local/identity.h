// SPDX-License-Identifier: MIT
// kubectl_local/identity.h: the users, groups and capabilities of a container, from the securityContext of the pod and the container.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codec/json.h"

namespace etlnode::kubectl_local {

struct container_identity {
    uint32_t user = 0; // as seen inside
    uint32_t group = 0;
    std::vector<uint32_t> groups; // supplementary groups
    bool has_fs_group = false;
    uint32_t fs_group = 0;
    std::vector<std::string> capabilities; // of a root process: "CAP_CHOWN" ...
    bool read_only_root = false;
};

// `spec` and `container` belong to an admitted pod.
container_identity identity_read(const cJSON *spec, const cJSON *container);
bool identity_is_root(const container_identity &who);

} // namespace etlnode::kubectl_local
