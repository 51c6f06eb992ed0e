// SPDX-License-Identifier: MIT
// kubectl_local/process_tree.h: finds the descendants of a process in /proc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <sys/types.h>

namespace etlnode::kubectl_local {

// Appends the children of all threads of `pid` while `out` has fewer than `count_max` entries. Returns the number of threads of `pid`; 0 if
// it has ended.
size_t process_add_children(pid_t pid, size_t count_max, std::vector<pid_t> &out);
// `root` and its descendants, at most `count_max`, root first. `out_threads` (may be null) counts their threads.
std::vector<pid_t> process_tree(pid_t root, size_t count_max, uint64_t *out_threads);

} // namespace etlnode::kubectl_local
