// SPDX-License-Identifier: MIT
// kubectl_local/stage.h: the files of a container, brought together before bubblewrap starts: each opened once, without following links out.
//
// bubblewrap takes paths and resolves them, as a user who may not be able to reach them, at a time when a pod can have laid links in its volumes.
// So the child that becomes bubblewrap first mounts what the container sees under one directory of a mount namespace of its own, from descriptors.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace etlnode::kubectl_local {

// Where everything appears; bubblewrap itself needs the directory, so every machine has it.
inline constexpr const char *stage_dir = "/tmp";

enum class stage_make : uint8_t { nothing, directory, file };

// Resolved beneath the one before: a link that leads out, absolute ones included, is an error.
struct stage_step {
    std::string path;
    stage_make make = stage_make::nothing; // when it is missing
    bool give_away = false;                // what is made belongs to the pod
};

struct stage_bind {
    std::string name; // below stage_dir
    std::string root; // opened as it is: ours, or a path that the machine's owner named
    std::vector<stage_step> steps;
    std::string wanted;   // what Kubernetes calls the type: Directory, File, ...; empty: any
    std::string volume;   // for messages; empty: not a volume
    bool map_ids = false; // files of root appear as the pod's root, where the file system can do it
};

struct stage_plan {
    std::vector<stage_bind> binds;
    uint64_t writable_bytes = 0; // of memory, for everything outside volumes
    uint64_t writable_files = 0;
    uint64_t shm_bytes = 0;
    uid_t owner = 0; // of what is writable, outside the pod
};

// Names below stage_dir of what the pod may write: the bases of /, /tmp and so on.
inline constexpr const char *stage_writable[] = {"root", "tmp", "run", "home", "var-tmp"};

// Where nothing can be mounted: the machine's path of each bind, found by the same rules. What a pod changes afterwards is not followed.
bool stage_resolve(const stage_plan &plan, std::vector<std::pair<std::string, std::string>> &out_paths, std::string &out_text);

// In the child, in its own mount namespace. `user_ns` for map_ids; -1: not possible. False: `out_text` says what and why.
bool stage_build(const stage_plan &plan, int user_ns, std::string &out_text);

} // namespace etlnode::kubectl_local
