// SPDX-License-Identifier: MIT
// kubectl_local/keeper.h: keeps the limits of a running container that the kernel does not keep: looks, and says when one is exceeded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kubectl_local/cgroup.h"
#include "kubectl_local/loop.h"
#include "kubectl_local/pod.h"
#include "kubectl_local/pod_limits.h"
#include "kubectl_local/usage.h"

namespace etlnode::kubectl_local {

struct kept_place {
    std::string said; // what a message calls it: EmptyDir volume "v"
    std::string dir;
    std::string limit_text;
    std::string source; // what sets the limit: a field of the spec, or this program
    uint64_t limit = 0; // 0: none
};

struct keeper {
    loop *l = nullptr;
    // More than a limit: the container, or the pod, has to end. `message` says what was used, what the limit is and what sets it.
    void (*on_memory)(void *arg, const std::string &message) = nullptr;
    void (*on_evict)(void *arg, const std::string &message) = nullptr;
    void *arg = nullptr;

    std::string pod_dir;
    std::string container;
    std::string field;                    // "spec.containers[0]"
    std::vector<kept_place> places;       // on disk
    std::vector<std::string> memory_dirs; // volumes of memory, as this process reaches them
    bool has_own_shm = true;              // no volume lies at /dev/shm
    container_limits limits;
    bool sums_memory = false; // no control group does it
    bool counts_tasks = false;
    pid_t command = 0;
    cgroup group;
    uint64_t oom_before = 0; // its count when the container began
    uint64_t disk_next_ms = 0;
    held_files held; // as of the last look at the disk
    loop_timer timer;
};

// What is looked at for a container that is about to start. `group` with its limits set. `unsandboxed`: what would be memory of a fixed size is on disk,
// where nothing can be mounted. `memory_root` is the root directory in which the pod's volumes of memory lie at their places.
struct keeper_wish {
    const pod_spec &spec;
    const container_spec &container;
    const std::string &pod_dir;
    const cgroup &group;
    bool unsandboxed;
    std::string memory_root;
};
void keeper_prepare(keeper &k, const keeper_wish &wish);
void keeper_start(keeper &k, pid_t command);
void keeper_stop(keeper &k);
// Why a container that the kernel has ended for want of memory was ended.
std::string keeper_memory_text(const keeper &k);

} // namespace etlnode::kubectl_local
