// SPDX-License-Identifier: MIT
// kubectl_local/usage.h: measures a running container from outside, for limits that the kernel does not enforce.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace etlnode::kubectl_local {

// Files without a directory entry that the container's processes hold open, or (visible to root only) have mapped.
struct held_files {
    struct removed_file {
        std::string place; // the location on this machine of its mount; without own mounts, of the file itself
        uint64_t bytes = 0;
    };
    std::vector<removed_file> removed;
    uint64_t memory = 0;                            // of memory files that never had a name (memfd_create)
    std::set<std::pair<dev_t, ino_t>> memory_files; // those files
    bool is_whole = true;                           // false if there are more than were inspected
};

inline constexpr size_t held_descriptors_max = 200'000; // descriptors inspected per measurement

// Of `command` and its descendants.
held_files usage_held(pid_t command);

struct process_use {
    uint64_t memory = 0; // bytes of its processes and of the memory behind its files
    uint64_t files = 0;  // the part of it that is behind files
    uint64_t tasks = 0;
};

// Of `command` and its descendants. `memory_dirs` are further places in memory, as paths of this process. A place that is not in memory
// does not count, and one memory counts once. If the simple sum exceeds `memory_limit`, pages that are shared by processes or with files
// are counted once.
process_use usage_of(pid_t command, const std::vector<std::string> &memory_dirs, const held_files &held, uint64_t memory_limit);

} // namespace etlnode::kubectl_local
