// SPDX-License-Identifier: MIT
// kubectl_local/mount_tree.h: builds the mount tree of a container before bubblewrap starts. Each source is opened once, without following
// links out of it.
//
// bubblewrap takes paths and resolves them late, as a user who may not be able to reach them. By then a pod can have placed links in its
// volumes. So the child that becomes bubblewrap first mounts everything from descriptors, below one directory of its own mount namespace.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace etlnode::kubectl_local {

// The directory below which everything is mounted. bubblewrap itself needs it, so every machine has it.
inline constexpr const char *mount_tree_dir = "/tmp";

enum class mount_create : uint8_t { nothing, directory, file };

// Resolved beneath the preceding step. A link that leads out is an error, including an absolute one.
struct mount_step {
    std::string path;
    mount_create make = mount_create::nothing; // what to create if it is missing
    bool give_to_pod = false;                  // the pod owns what is created
};

struct mount_bind {
    std::string name; // below mount_tree_dir
    std::string root; // opened directly: ours, or a path that the machine's owner named
    std::vector<mount_step> steps;
    std::string wanted;   // Kubernetes' name of the type: Directory, File, ...; empty for any
    std::string volume;   // for messages; empty if it is not a volume
    bool map_ids = false; // files of root appear as the pod's root, if the file system supports it
};

struct mount_plan {
    std::vector<mount_bind> binds;
    uint64_t writable_bytes = 0; // of memory, for everything outside volumes
    uint64_t writable_files = 0;
    uint64_t shm_bytes = 0;
    uid_t owner = 0; // owner of writable files, as seen outside the pod
};

// Names below mount_tree_dir that the pod may write to, which become /, /tmp and so on.
inline constexpr const char *mount_tree_writable[] = {"root", "tmp", "run", "home", "var-tmp"};

// Where nothing can be mounted: resolves the machine's path of each bind by the same rules. Later changes by the pod have no effect on it.
bool mount_tree_resolve(const mount_plan &plan, std::vector<std::pair<std::string, std::string>> &out_paths, std::string &out_text);

// Call in the child, in its own mount namespace. `user_ns` is for map_ids; -1 if not possible. False with a reason in `out_text`.
bool mount_tree_build(const mount_plan &plan, int user_ns, std::string &out_text);

} // namespace etlnode::kubectl_local
