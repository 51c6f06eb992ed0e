// SPDX-License-Identifier: MIT
// kubectl_local/cgroup.h: control groups for a pod, where this process may make them: version 1 or 2, below the group it runs in or one above it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace etlnode::kubectl_local {

enum class cgroup_kind : uint8_t { memory, cpu, pids };
inline constexpr const char *cgroup_names[] = {"memory", "cpu", "pids"};
inline constexpr size_t cgroup_kinds = 3;

struct cgroup_limits {
    uint64_t memory = 0; // bytes; 0: none
    double cpu = 0;      // cores
    uint64_t tasks = 0;
};

// One directory for each kind (version 2: the same three times); empty: not to be had here.
struct cgroup {
    std::string dirs[cgroup_kinds];
    bool is_v2 = false;
};

struct cgroup_place {
    std::string root = "/sys/fs/cgroup";
    std::string self = "/proc/self/cgroup";
};

// Makes the groups called `name`, or finds them. What cannot be made, or not joined, stays empty.
void cgroup_open(cgroup &group, const cgroup_place &place, const std::string &name);
// Replaces the limits. A limit that the kernel does not take makes its kind count as not to be had.
void cgroup_set(cgroup &group, const cgroup_limits &limits);
// What a process writes "0" to, to join.
std::vector<std::string> cgroup_join_files(const cgroup &group);
// How many processes the kernel has ended for want of memory.
uint64_t cgroup_oom_kills(const cgroup &group);
void cgroup_remove(cgroup &group);

inline bool cgroup_has(const cgroup &group, cgroup_kind kind) { return !group.dirs[static_cast<size_t>(kind)].empty(); }

} // namespace etlnode::kubectl_local
