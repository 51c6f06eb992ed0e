// SPDX-License-Identifier: MIT
// local/keeper.cc: keeps the limits of a running container that the kernel does not keep: looks, and says when one is exceeded.
//
// Owns     a timer.                 Knows  usage, tree, limits.       Known by  supervisor.
// Limits   memory four times a second; disk once a second, less often where a look takes long.
#include "local/keeper.h"

#include <algorithm>

#include <sys/statvfs.h>

#include "base/text.h"
#include "local/os.h"
#include "local/tree.h"
#include "local/usage.h"

static constexpr uint64_t memory_look_ms = 250;
static constexpr uint64_t disk_look_ms = 1'000;
static constexpr uint64_t disk_look_share = 20;           // a look that took 1 ms is not repeated within 20 ms
static constexpr uint64_t disk_low = 512u << 20;          // left on the disk of the pods' directory; a twentieth of it at most
static constexpr uint64_t disk_low_use_min = 16u << 20;   // a pod that holds less is not what fills it

void keeper_prepare(keeper &k, const pod_spec &spec, const container_spec &container, const std::string &pod_dir, const cgroup &group)
{
    k.pod_dir = pod_dir;
    k.container = container.name;
    k.limits = limits_read(container.object);
    k.sums_memory = k.limits.memory != 0 && !cgroup_has(group, cgroup_kind::memory);
    k.counts_tasks = !cgroup_has(group, cgroup_kind::pids);
    k.group = group;
    k.oom_before = cgroup_oom_kills(group);
    k.volumes.clear();
    for (const pod_volume &volume : spec.volumes)
        if (!volume.is_host && !volume.in_memory)
            k.volumes.push_back({volume.name, pod_dir + "/volumes/" + volume.name, volume.size_limit, limits_bytes(volume.size_limit)});
}

static uint64_t free_bytes(const std::string &dir, uint64_t &out_wanted)
{
    struct statvfs about;
    if (statvfs(dir.c_str(), &about) != 0) {
        out_wanted = 0;
        return 0;
    }
    out_wanted = std::min<uint64_t>(disk_low, static_cast<uint64_t>(about.f_blocks) * about.f_frsize / 20);
    return static_cast<uint64_t>(about.f_bavail) * about.f_frsize;
}

// True: said.
static bool look_at_disk(keeper &k)
{
    uint64_t total = 0;
    bool has_limit = k.limits.ephemeral != 0;
    for (const kept_volume &volume : k.volumes)
        has_limit = has_limit || volume.limit != 0;
    uint64_t wanted = 0;
    uint64_t left = free_bytes(k.pod_dir, wanted);
    bool is_low = left < wanted;
    if (!has_limit && !is_low)
        return false;
    for (const kept_volume &volume : k.volumes) {
        tree_use use = tree_measure(volume.dir);
        total += use.bytes;
        if (volume.limit != 0 && (use.bytes > volume.limit || !use.is_whole)) {
            k.on_evict(k.arg, text_format("Usage of EmptyDir volume \"%s\" exceeds the limit \"%s\". ", volume.name.c_str(), volume.limit_text.c_str()));
            return true;
        }
        if (k.limits.ephemeral != 0 && !use.is_whole)
            total += k.limits.ephemeral; // too deep or too much to be counted
    }
    if (k.limits.ephemeral != 0 && total > k.limits.ephemeral) {
        k.on_evict(k.arg, text_format("Pod ephemeral local storage usage exceeds the total limit of containers %s. ", k.limits.ephemeral_text.c_str()));
        return true;
    }
    if (is_low && total >= disk_low_use_min) {
        k.on_evict(k.arg, text_format("The node was low on resource: ephemeral-storage. Threshold quantity: %llu, available: %llu. Container %s was using %llu, request is 0, has larger consumption of ephemeral-storage. ",
                                      static_cast<unsigned long long>(wanted), static_cast<unsigned long long>(left), k.container.c_str(), static_cast<unsigned long long>(total)));
        return true;
    }
    return false;
}

static void on_look(void *arg)
{
    keeper &k = *static_cast<keeper *>(arg);
    if (k.command == 0)
        return;
    // The kernel may have taken one process of several, and left the rest without it: the container ends as a whole, as with version 2.
    if (k.limits.memory != 0 && cgroup_oom_kills(k.group) > k.oom_before) {
        k.on_memory(k.arg);
        return;
    }
    bool looks_inside = k.sums_memory || k.counts_tasks;
    if (looks_inside) {
        process_use use = usage_of(k.command, k.sums_memory ? k.limits.memory : 0);
        if (k.sums_memory && use.memory > k.limits.memory) {
            k.on_memory(k.arg);
            return;
        }
        if (k.counts_tasks && use.tasks > local_tasks_max) {
            k.on_evict(k.arg, text_format("Container %s has more than %llu processes and threads. ", k.container.c_str(), static_cast<unsigned long long>(local_tasks_max)));
            return;
        }
    }
    uint64_t now = os_now_ms();
    if (now >= k.disk_next_ms) {
        if (look_at_disk(k))
            return;
        uint64_t took = os_now_ms() - now;
        k.disk_next_ms = now + std::max(disk_look_ms, took * disk_look_share);
    }
    loop_timer_arm(*k.l, k.timer, k.limits.memory != 0 ? memory_look_ms : disk_look_ms);
}

void keeper_start(keeper &k, pid_t command)
{
    k.command = command;
    k.disk_next_ms = 0;
    k.timer.on_timer = on_look;
    k.timer.arg = &k;
    loop_timer_arm(*k.l, k.timer, k.limits.memory != 0 ? memory_look_ms : disk_look_ms);
}

void keeper_stop(keeper &k)
{
    k.command = 0;
    loop_timer_stop(k.timer);
}
