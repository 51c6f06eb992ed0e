// SPDX-License-Identifier: MIT
// local/keeper.h: keeps the limits of a running container that the kernel does not keep: looks, and says when one is exceeded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "local/cgroup.h"
#include "local/pod_limits.h"
#include "local/loop.h"
#include "local/pod.h"

struct kept_volume {
    std::string name;
    std::string dir;
    std::string limit_text;
    uint64_t limit = 0; // 0: none
};

struct keeper {
    loop *l = nullptr;
    void (*on_memory)(void *arg) = nullptr; // more than the limit: the container has to end
    void (*on_evict)(void *arg, const std::string &message) = nullptr;
    void *arg = nullptr;

    std::string pod_dir;
    std::string container;
    std::vector<kept_volume> volumes; // on disk
    container_limits limits;
    bool sums_memory = false; // no control group does it
    bool counts_tasks = false;
    pid_t command = 0;
    cgroup group;
    uint64_t oom_before = 0; // its count when the container began
    uint64_t disk_next_ms = 0;
    loop_timer timer;
};

// What is looked at for a container that is about to start. `group` with its limits set.
void keeper_prepare(keeper &k, const pod_spec &spec, const container_spec &container, const std::string &pod_dir, const cgroup &group);
void keeper_start(keeper &k, pid_t command);
void keeper_stop(keeper &k);
