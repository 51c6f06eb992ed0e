// SPDX-License-Identifier: MIT
// port/env.h: the bundle handed to every init: the whole outside world, replaceable by a simulator.
//
// Rules of every port:
//   - Calls that complete later never call back before they return; an accepted call completes exactly once; a refused call (it
//     returned an error) never; a stopped, cancelled or closed one never.
//   - Completions run on the loop thread, one after the other, never inside another completion.
//   - Handles (timer, net_conn, ...) are opaque pointers, valid until the call that ends them (free, close, or the one completion).
#pragma once

#include <cstdint>

#include "base/rng.h"

namespace etlnode {

struct clock_port;
struct proc_port;
struct net_port;
struct disk_port;
struct index_port;
struct meta_port;

struct env {
    const clock_port *clock = nullptr;
    const proc_port *proc = nullptr;
    const net_port *net = nullptr;
    const disk_port *disk = nullptr;
    const index_port *index = nullptr;
    const meta_port *meta = nullptr;
    rng random;                   // ids, jitter
    uint64_t next_machine_id = 1; // of machines whose module has no counter of its own: seen in traces
    void *impl = nullptr;         // the implementation's own
};

} // namespace etlnode
