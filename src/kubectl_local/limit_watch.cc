// SPDX-License-Identifier: MIT
// kubectl_local/limit_watch.cc: enforces the limits of a running container that the kernel does not enforce, by checking its usage
// periodically.
//
// Owns     a timer.                 Knows  usage, tree, limits.       Known by  supervisor.
// Limits   Memory is checked four times a second, disk once a second, or less often where a check takes long.
// Messages begin with the kubelet's words where it has any, followed by the usage and the limit.
#include "kubectl_local/limit_watch.h"

#include <algorithm>

#include <sys/statvfs.h>

#include "base/text.h"
#include "kubectl_local/allow.h"
#include "kubectl_local/os.h"
#include "kubectl_local/termination_message.h"
#include "kubectl_local/tree.h"

namespace etlnode::kubectl_local {

static constexpr uint64_t memory_check_ms = 250;
static constexpr uint64_t disk_check_ms = 1'000;
static constexpr uint64_t disk_check_share = 20;        // a check that took 1 ms is not repeated within 20 ms
static constexpr uint64_t disk_low = 512u << 20;        // low-space threshold of the pods' disk, capped at a twentieth of its size
static constexpr uint64_t disk_low_use_min = 16u << 20; // a smaller pod is not what fills the disk
static constexpr const char *own_bound = "a built-in limit of kubectl-local";

static std::string field_of(const limit_watch_setup &setup)
{
    for (size_t i = 0; i < setup.spec.init_containers.size(); i++)
        if (&setup.spec.init_containers[i] == &setup.container)
            return text_format("spec.initContainers[%zu]", i);
    return "spec.containers[0]";
}

static void add_volume(limit_watch &k, const pod_volume &volume, size_t index, bool is_memory_on_disk)
{
    watched_place place;
    place.name = text_format("EmptyDir volume \"%s\"", volume.name.c_str());
    place.dir = k.pod_dir + "/volumes/" + volume.name;
    place.limit_text = volume.size_limit;
    place.limit = limits_bytes(volume.size_limit);
    place.source = text_format("spec.volumes[%zu].emptyDir.sizeLimit", index);
    uint64_t bound = is_memory_on_disk ? limits_memory_volume(volume, k.limits) : place.limit;
    if (bound != place.limit) {
        bool is_by_memory = bound == k.limits.memory;
        place.limit = bound;
        place.limit_text = is_by_memory ? k.limits.memory_text : limits_text(bound);
        place.source = is_by_memory ? k.field + ".resources.limits.memory" : own_bound;
    }
    k.places.push_back(std::move(place));
}

void limit_watch_prepare(limit_watch &k, const limit_watch_setup &setup)
{
    k.pod_dir = setup.pod_dir;
    k.container = setup.container.name;
    k.field = field_of(setup);
    k.limits = limits_read(setup.container.object);
    k.sums_memory = k.limits.memory != 0 && !cgroup_has(setup.group, cgroup_kind::memory);
    k.counts_tasks = !cgroup_has(setup.group, cgroup_kind::pids);
    k.group = setup.group;
    k.oom_before = cgroup_oom_kills(setup.group);
    k.places.clear();
    k.memory_dirs.clear();
    k.held = held_files();
    size_t index = 0;
    for (const pod_volume &volume : setup.spec.volumes) {
        if (!volume.is_host && (!volume.in_memory || setup.unsandboxed))
            add_volume(k, volume, index, volume.in_memory);
        else if (!volume.is_host)
            k.memory_dirs.push_back(setup.memory_root + setup.pod_dir + "/volumes/" + volume.name);
        index++;
    }
    if (setup.unsandboxed) {
        uint64_t bound = limits_writable(k.limits);
        bool has_own_limit = bound == k.limits.ephemeral;
        k.places.push_back({"/tmp, /run and the other writable directories outside volumes", setup.pod_dir + "/view",
            has_own_limit ? k.limits.ephemeral_text : limits_text(bound),
            has_own_limit ? k.field + ".resources.limits.ephemeral-storage" : own_bound, bound});
    }
    if (setup.unsandboxed)
        k.places.push_back({"the termination message", termination_message_dir(setup.pod_dir), limits_text(termination_message_room),
            own_bound, termination_message_room});
    k.has_own_shm = std::none_of(setup.container.mounts.begin(), setup.container.mounts.end(), [](const pod_mount &mount) {
        std::string path;
        return allow_normalize(mount.path, path) && path == "/dev/shm";
    });
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

// A directory of the pod as it ends in every view of the file system: "/pods/NAMESPACE/NAME/volumes/v".
static std::string ending_of(const limit_watch &k, const std::string &dir)
{
    size_t at = k.pod_dir.size();
    for (int i = 0; i < 3 && at != std::string::npos && at > 0; i++)
        at = k.pod_dir.rfind('/', at - 1);
    return dir.substr(at == std::string::npos ? 0 : at);
}

static uint64_t removed_bytes(const limit_watch &k, const std::string &dir)
{
    std::string ending = ending_of(k, dir) + "/";
    uint64_t bytes = 0;
    for (const held_files::removed_file &file : k.held.removed)
        if ((file.place + "/").find(ending) != std::string::npos)
            bytes += file.bytes;
    return bytes;
}

static std::string used_text(uint64_t bytes, uint64_t removed, bool is_whole)
{
    if (!is_whole)
        return text_format("It holds %s, and more than can be counted: over %llu names, directories deeper than %zu or unreadable, "
                           "or over %zu open files",
            limits_text(bytes).c_str(), static_cast<unsigned long long>(tree_files_max), tree_depth_max, held_descriptors_max);
    if (removed == 0)
        return "It holds " + limits_text(bytes);
    return text_format(
        "It holds %s, %s of that in files that were removed and are still open", limits_text(bytes).c_str(), limits_text(removed).c_str());
}

// True if a limit was exceeded and reported.
static bool check_disk(limit_watch &k)
{
    uint64_t total = 0;
    uint64_t all_removed = 0;
    bool is_whole = true;
    bool has_limit = k.limits.ephemeral != 0 ||
                     std::any_of(k.places.begin(), k.places.end(), [](const watched_place &place) { return place.limit != 0; });
    uint64_t wanted = 0;
    uint64_t left = free_bytes(k.pod_dir, wanted);
    bool is_low = left < wanted;
    if (has_limit || is_low || k.sums_memory)
        k.held = usage_held(k.command);
    if (!has_limit && !is_low)
        return false;
    for (const watched_place &place : k.places) {
        tree_use use = tree_measure(place.dir);
        uint64_t removed = removed_bytes(k, place.dir);
        bool counted = use.is_whole && k.held.is_whole;
        total += use.bytes + removed;
        all_removed += removed;
        is_whole = is_whole && counted;
        if (place.limit != 0 && (use.bytes + removed > place.limit || !counted)) {
            k.on_evict(
                k.arg, text_format("Usage of %s exceeds the limit \"%s\". %s; the limit is %s. ", place.name.c_str(),
                           place.limit_text.c_str(), used_text(use.bytes + removed, removed, counted).c_str(), place.source.c_str()));
            return true;
        }
    }
    if (k.limits.ephemeral != 0 && (total > k.limits.ephemeral || !is_whole)) {
        k.on_evict(k.arg, text_format("Pod ephemeral local storage usage exceeds the total limit of containers %s. %s in volumes on disk; "
                                      "the limit is %s.resources.limits.ephemeral-storage. ",
                              k.limits.ephemeral_text.c_str(), used_text(total, all_removed, is_whole).c_str(), k.field.c_str()));
        return true;
    }
    if (is_low && total >= disk_low_use_min) {
        k.on_evict(k.arg, text_format("The node was low on resource: ephemeral-storage. Threshold quantity: %llu, available: %llu. "
                                      "Container %s was using %llu, request is 0, has larger consumption of ephemeral-storage. "
                                      "The disk is that of %s. ",
                              static_cast<unsigned long long>(wanted), static_cast<unsigned long long>(left), k.container.c_str(),
                              static_cast<unsigned long long>(total), k.pod_dir.c_str()));
        return true;
    }
    return false;
}

std::string limit_watch_memory_text(const limit_watch &k)
{
    return text_format("It needed more memory than %s.resources.limits.memory, %s", k.field.c_str(), k.limits.memory_text.c_str());
}

static void on_recheck(void *arg)
{
    limit_watch &k = *static_cast<limit_watch *>(arg);
    if (k.command == 0)
        return;
    // With version 1 the kernel may have killed only one of several processes. Then end the whole container, as with version 2.
    if (k.limits.memory != 0 && cgroup_oom_kills(k.group) > k.oom_before) {
        k.on_memory(k.arg, limit_watch_memory_text(k));
        return;
    }
    uint64_t now = os_now_ms();
    if (now >= k.disk_next_ms) {
        if (check_disk(k))
            return;
        uint64_t took = os_now_ms() - now;
        k.disk_next_ms = now + std::max(disk_check_ms, took * disk_check_share);
    }
    if (k.sums_memory || k.counts_tasks) {
        std::vector<std::string> dirs = k.memory_dirs;
        if (k.has_own_shm)
            dirs.push_back(os_root_of(k.command) + "/dev/shm/");
        process_use use = usage_of(k.command, dirs, k.held, k.sums_memory ? k.limits.memory : 0);
        if (k.sums_memory && use.memory > k.limits.memory) {
            k.on_memory(
                k.arg, text_format("It used %s of memory, %s of that in files (/tmp, /dev/shm, memory volumes and so on); the limit "
                                   "is %s.resources.limits.memory, %s",
                           limits_text(use.memory).c_str(), limits_text(use.files).c_str(), k.field.c_str(), k.limits.memory_text.c_str()));
            return;
        }
        if (k.counts_tasks && use.tasks > local_tasks_max) {
            k.on_evict(k.arg, text_format("Container %s has %llu processes and threads; the limit is %llu, %s. ", k.container.c_str(),
                                  static_cast<unsigned long long>(use.tasks), static_cast<unsigned long long>(local_tasks_max), own_bound));
            return;
        }
    }
    loop_timer_arm(*k.l, k.timer, k.limits.memory != 0 ? memory_check_ms : disk_check_ms);
}

void limit_watch_start(limit_watch &k, pid_t command)
{
    k.command = command;
    k.disk_next_ms = 0;
    k.timer.on_timer = on_recheck;
    k.timer.arg = &k;
    loop_timer_arm(*k.l, k.timer, k.limits.memory != 0 ? memory_check_ms : disk_check_ms);
}

void limit_watch_stop(limit_watch &k)
{
    k.command = 0;
    loop_timer_stop(k.timer);
}

} // namespace etlnode::kubectl_local
