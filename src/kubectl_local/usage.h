// SPDX-License-Identifier: MIT
// kubectl_local/usage.h: what a running container uses, as seen from outside: for limits that the kernel does not keep for us.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace etlnode::kubectl_local {

// Files that no directory shows, held open by the processes of a container, or, where root looks, mapped by them.
struct held_files {
    struct removed_file {
        std::string place; // where its mount, or without mounts of its own the file itself, lies on this machine
        uint64_t bytes = 0;
    };
    std::vector<removed_file> removed;
    uint64_t memory = 0;                            // of files of memory that never had a name (memfd_create)
    std::set<std::pair<dev_t, ino_t>> memory_files; // which they are
    bool is_whole = true;                           // false: there are more than are looked at
};

inline constexpr size_t held_look_max = 200'000; // descriptors of one look

// Of `command` and everything below it.
held_files usage_held(pid_t command);

struct process_use {
    uint64_t memory = 0; // bytes of its processes and of the memory behind its files
    uint64_t files = 0;  // the part of it that is behind files
    uint64_t tasks = 0;
};

// Of `command` and everything below it. `memory_dirs`: more places that are memory, as this process reaches them; a place that is none does not count, and what is one
// memory counts once. Pages that several processes share, or that a file has too, count once where that decides: when the plain sum is above `memory_limit`.
process_use usage_of(pid_t command, const std::vector<std::string> &memory_dirs, const held_files &held, uint64_t memory_limit);

} // namespace etlnode::kubectl_local
