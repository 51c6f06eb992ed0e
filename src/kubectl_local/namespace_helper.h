// SPDX-License-Identifier: MIT
// kubectl_local/namespace_helper.h: the helper process that holds a pod's namespaces, and its protocol with the supervisor. For
// pod_namespaces.cc only.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sys/types.h>

#include "kubectl_local/pod_namespaces.h"

namespace etlnode::kubectl_local {

// The messages on the channel.
enum class helper_verb : uint8_t { ready, failed, map, socket, listen, address, guard };

struct helper_message {
    helper_verb verb = helper_verb::ready;
    int32_t sys = 0;      // errno of a failure
    uint32_t step = 0;    // the failed step, an index into step_texts
    uint32_t address = 0; // network byte order
    uint16_t port = 0;    // network byte order
    uint8_t prefix = 0;
};

inline constexpr size_t helper_sockets = 8;

struct helper_plan {
    user_mapping kind;
    uid_t uid; // of an ordinary user
    gid_t gid;
    const namespace_options *options;
};

// Runs in a child and never returns. Creates the namespaces, reports ready (or failed, with the step), then serves requests until the
// channel closes.
[[noreturn]] void namespace_helper(int channel, const helper_plan &plan);
// Writes a short file of /proc. False with errno.
bool namespace_write_text(const char *path, const char *text);

} // namespace etlnode::kubectl_local
