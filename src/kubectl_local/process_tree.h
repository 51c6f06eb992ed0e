// SPDX-License-Identifier: MIT
// kubectl_local/process_tree.h: who descends from a process, as /proc tells it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <sys/types.h>

namespace etlnode::kubectl_local {

// Appends the children of all threads of `pid`, as long as `out` has fewer than `count_max`. Returns how many threads `pid` has; 0: it has gone.
size_t process_add_children(pid_t pid, size_t count_max, std::vector<pid_t> &out);
// `root` and all below it, at most `count_max`, root first. `out_threads` (may be null) counts their threads.
std::vector<pid_t> process_tree(pid_t root, size_t count_max, uint64_t *out_threads);

} // namespace etlnode::kubectl_local
