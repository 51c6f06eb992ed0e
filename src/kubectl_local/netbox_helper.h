// SPDX-License-Identifier: MIT
// kubectl_local/netbox_helper.h: the process that holds a pod's namespaces, and what goes between it and the supervisor. For netbox.cc only.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sys/types.h>

#include "kubectl_local/netbox.h"

namespace etlnode::kubectl_local {

// What goes through the channel.
enum class helper_verb : uint8_t { ready, failed, map, socket, listen, address, guard };

struct helper_message {
    helper_verb verb = helper_verb::ready;
    int32_t sys = 0;      // errno of a failure
    uint32_t step = 0;    // which step failed, an index into step_texts
    uint32_t address = 0; // network byte order
    uint16_t port = 0;    // network byte order
    uint8_t prefix = 0;
};

inline constexpr size_t helper_sockets = 8;

struct helper_plan {
    netbox_kind kind;
    uid_t uid; // of an ordinary user
    gid_t gid;
    const netbox_wish *wish;
};

// In a child, which never returns: makes the namespaces, says ready (or failed, with the step), then answers until the channel ends.
[[noreturn]] void netbox_helper(int channel, const helper_plan &plan);
// Writes a short file of /proc; false with errno.
bool netbox_write_text(const char *path, const char *text);

} // namespace etlnode::kubectl_local
