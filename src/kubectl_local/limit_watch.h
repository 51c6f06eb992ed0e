// SPDX-License-Identifier: MIT
// kubectl_local/limit_watch.h: enforces the limits of a running container that the kernel does not enforce, by checking its usage
// periodically.
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

struct watched_place {
    std::string name; // its name in messages: EmptyDir volume "v"
    std::string dir;
    std::string limit_text;
    std::string source; // what sets the limit: a field of the spec, or this program
    uint64_t limit = 0; // 0 for no limit
};

struct limit_watch {
    loop *l = nullptr;
    // Usage exceeds a limit, so the container or the pod must end. `message` states the usage, the limit and what sets it.
    void (*on_memory)(void *arg, const std::string &message) = nullptr;
    void (*on_evict)(void *arg, const std::string &message) = nullptr;
    void *arg = nullptr;

    std::string pod_dir;
    std::string container;
    std::string field;                    // "spec.containers[0]"
    std::vector<watched_place> places;    // on disk
    std::vector<std::string> memory_dirs; // memory volumes, as paths of this process
    bool has_own_shm = true;              // whether /dev/shm is not a volume
    container_limits limits;
    bool sums_memory = false; // no control group counts it
    bool counts_tasks = false;
    pid_t command = 0;
    cgroup group;
    uint64_t oom_before = 0; // value of its counter when the container started
    uint64_t disk_next_ms = 0;
    held_files held; // from the latest disk check
    loop_timer timer;
};

// The parameters of the checks for a container that is about to start. The limits of `group` are already set. `unsandboxed`: nothing can be
// mounted, so memory of a fixed size is a directory on disk. `memory_root` is the root directory below which the pod's memory volumes are
// mounted.
struct limit_watch_setup {
    const pod_spec &spec;
    const container_spec &container;
    const std::string &pod_dir;
    const cgroup &group;
    bool unsandboxed;
    std::string memory_root;
};
void limit_watch_prepare(limit_watch &k, const limit_watch_setup &setup);
void limit_watch_start(limit_watch &k, pid_t command);
void limit_watch_stop(limit_watch &k);
// The message for a container that the kernel has killed because memory ran out.
std::string limit_watch_memory_text(const limit_watch &k);

} // namespace etlnode::kubectl_local
