// SPDX-License-Identifier: MIT
// kubectl_local/cgroup.h: control groups of version 1 or 2 for a pod, below the group of this process or one of its parents.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace etlnode::kubectl_local {

enum class cgroup_kind : uint8_t { memory, cpu, pids };
inline constexpr const char *cgroup_names[] = {"memory", "cpu", "pids"};
inline constexpr size_t cgroup_kinds = 3;

struct cgroup_limits {
    uint64_t memory = 0; // bytes; 0 for no limit
    double cpu = 0;      // cores
    uint64_t tasks = 0;
};

// One directory for each controller (in version 2 the same one three times); empty if not available.
struct cgroup {
    std::string dirs[cgroup_kinds];
    bool is_v2 = false;
};

struct cgroup_place {
    std::string root = "/sys/fs/cgroup";
    std::string self = "/proc/self/cgroup";
};

// Creates the groups called `name`, or finds them. A group that cannot be created or joined stays empty.
void cgroup_open(cgroup &group, const cgroup_place &place, const std::string &name);
// Replaces the limits. If the kernel rejects a limit, its controller counts as unavailable.
void cgroup_set(cgroup &group, const cgroup_limits &limits);
// The files to which a process writes "0" to join.
std::vector<std::string> cgroup_join_files(const cgroup &group);
// The number of processes that the kernel has killed because memory ran out.
uint64_t cgroup_oom_kills(const cgroup &group);
void cgroup_remove(cgroup &group);

inline bool cgroup_has(const cgroup &group, cgroup_kind kind) { return !group.dirs[static_cast<size_t>(kind)].empty(); }

} // namespace etlnode::kubectl_local
