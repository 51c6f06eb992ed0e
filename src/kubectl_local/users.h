// SPDX-License-Identifier: MIT
// kubectl_local/users.h: the block of user ids of a pod that root runs: nobody else on this machine has them.
//
// Inside the pod they are 0, 1, 2 ...; outside they own its processes and what it writes, and may do nothing else.
#pragma once

#include <cstdint>
#include <string>

namespace etlnode::kubectl_local {

struct user_block {
    uint32_t base = 0;  // what 0 is outside
    uint32_t count = 0; // 0: none, the pod's ids are the machine's
};

// Chooses one for the pod whose directory this is, or finds the one it has already; the choice is kept there, and known to every kubectl-local
// of this machine. False with `out_text`: this process may not give any away.
bool users_choose(const std::string &pod_dir, user_block &out_block, std::string &out_text);
// The block that was chosen for the pod, if one was.
bool users_find(const std::string &pod_dir, user_block &out_block);
// A block within [first, end) of the ids that `map` (as /proc/self/uid_map has it) names and no line of `taken` ("BASE DIR") holds; for tests.
bool users_pick(const std::string &map, const std::string &reserved, uint32_t seed, user_block &out_block);

} // namespace etlnode::kubectl_local
