// SPDX-License-Identifier: MIT
// kubectl_local/relay.h: carries connections between the host and a pod's network namespace.
//
// An orderly end of stream is passed on as a half-close. A reset, or the end of a container, becomes a reset on the other side, so that a
// truncated answer never looks complete. Back-pressure: at most one chunk waits in each direction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <netinet/in.h>

#include "kubectl_local/loop.h"
#include "kubectl_local/pod_namespaces.h"

namespace etlnode::kubectl_local {

inline constexpr size_t relay_chunk_size = 256 * 1024;
inline constexpr size_t relay_pairs_max = 4096; // above it the listener pauses

struct relay_pair;

struct relay {
    loop *l = nullptr;
    pod_namespaces *namespaces = nullptr;
    bool outward = false; // accepts inside the pod and connects on the host; otherwise the other way round
    struct sockaddr_in target = {};
    // Whether the process that serves inside is exiting. Called when a stream from inside ends.
    bool (*is_dying)(void *arg) = nullptr;
    void *arg = nullptr;
    loop_watch listener;
    loop_timer pause; // for a listener that ran out of descriptors
    std::vector<relay_pair *> pairs;
};

// Takes over the listener. Requires: l, box, target and is_dying are set; the relay has no listener.
void relay_start(relay &r, int listener);
// Closes the listener; existing connections continue.
void relay_stop_listening(relay &r);
// The container has ended: resets connections that are not complete.
void relay_container_ended(relay &r);
// Resets all connections.
void relay_close(relay &r);

} // namespace etlnode::kubectl_local
