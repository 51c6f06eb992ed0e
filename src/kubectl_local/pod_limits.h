// SPDX-License-Identifier: MIT
// kubectl_local/pod_limits.h: resource limits: those of the spec, those that always apply, and those that cannot be enforced here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codec/json.h"
#include "kubectl_local/cgroup.h"
#include "kubectl_local/pod.h"

namespace etlnode::kubectl_local {

inline constexpr uint64_t local_files_max = 16'384; // open in one process
inline constexpr uint64_t local_tasks_max = 2'048;  // processes and threads
// Memory behind /, /tmp, /run and the like, and a volume of memory; an eighth of the machine at most
inline constexpr uint64_t local_writable_max = 1ull << 30;
inline constexpr uint64_t local_memory_files_max = 200'000; // number of files in it
inline constexpr uint64_t local_shm_size = 64u << 20;       // the default of container engines

struct container_limits {
    uint64_t memory = 0;                     // bytes; 0 for no limit
    double cpu = 0;                          // cores
    uint64_t ephemeral = 0;                  // bytes
    std::string memory_text, ephemeral_text; // as written in the spec
};

container_limits limits_read(const cJSON *container);
// Bytes; 0 if there is no limit or it cannot be parsed.
uint64_t limits_bytes(const std::string &quantity);
// Formats bytes as a quantity: "20.5Mi".
std::string limits_text(uint64_t bytes);
uint64_t limits_writable(const container_limits &limits);
uint64_t limits_memory_volume(const pod_volume &volume, const container_limits &limits);

// Whether some container has a limit for memory or cpu.
bool limits_are_set(const cJSON *spec);
// Warnings about limits of the spec that this machine cannot enforce. `group` holds the available control groups.
std::vector<std::string> limits_warnings(const cJSON *spec, const cgroup &group);

} // namespace etlnode::kubectl_local
