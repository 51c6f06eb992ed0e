// SPDX-License-Identifier: MIT
// kubectl_local/relay.h: carries connections between the host and a pod's network namespace.
//
// A plain end of stream is passed on as a half-close. A reset, and the end of a container, become a reset on the other side, so
// that a cut answer never looks like a complete one. Back-pressure: at most one chunk waits per direction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <netinet/in.h>

#include "kubectl_local/loop.h"
#include "kubectl_local/netbox.h"

namespace etlnode::kubectl_local {

inline constexpr size_t relay_chunk_size = 256 * 1024;
inline constexpr size_t relay_pairs_max = 4096; // above it the listener rests

struct relay_pair;

struct relay {
    loop *l = nullptr;
    netbox *box = nullptr;
    bool outward = false; // accepts inside the pod and connects on the host; otherwise the other way round
    struct sockaddr_in target = {};
    // Whether the process that serves inside is on its way out; asked when a stream from inside ends.
    bool (*is_dying)(void *arg) = nullptr;
    void *arg = nullptr;
    loop_watch listener;
    loop_timer rest; // of a listener that ran out of descriptors
    std::vector<relay_pair *> pairs;
};

// Takes the listener over. Requires: l, box, target, is_dying are set; the relay has no listener.
void relay_start(relay &r, int listener);
// Closes the listener; connections that live go on.
void relay_stop_listening(relay &r);
// The container has ended: resets what was not complete yet.
void relay_container_ended(relay &r);
// Resets everything.
void relay_close(relay &r);

} // namespace etlnode::kubectl_local
