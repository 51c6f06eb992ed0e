// SPDX-License-Identifier: MIT
// kubectl_local/tree.h: measures directory trees that a pod has filled. Also implements os_remove_tree of os.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace etlnode::kubectl_local {

inline constexpr size_t tree_depth_max = 256;         // one descriptor each
inline constexpr uint64_t tree_files_max = 1'000'000; // the measurement stops there

struct tree_use {
    uint64_t bytes = 0; // as the file system counts them
    uint64_t files = 0;
    bool is_whole = true; // false if some entries could not be seen
};

// A missing directory counts as empty.
tree_use tree_measure(const std::string &path);

} // namespace etlnode::kubectl_local
