// SPDX-License-Identifier: MIT
// kubectl_local/users.h: the block of user ids of a pod that root runs, which nothing else on this machine uses.
//
// Inside the pod they are 0, 1, 2 ... Outside they own its processes and files, and have no other rights.
#pragma once

#include <cstdint>
#include <string>

namespace etlnode::kubectl_local {

struct user_block {
    uint32_t base = 0;  // the outside id of 0
    uint32_t count = 0; // 0 if the pod uses the machine's ids
};

// Chooses a block for the pod with this directory, or finds the one that it already has. The choice is stored in the directory, and known
// to every kubectl-local of this machine. False with `out_text` if this process may not assign ids.
bool users_choose(const std::string &pod_dir, user_block &out_block, std::string &out_text);
// The block that was chosen for the pod, if any.
bool users_find(const std::string &pod_dir, user_block &out_block);
// A block within [first, end) that `map` (in the form of /proc/self/uid_map) contains and that no line of `taken` ("BASE DIR") uses; for
// tests.
bool users_pick(const std::string &map, const std::string &reserved, uint32_t seed, user_block &out_block);

} // namespace etlnode::kubectl_local
