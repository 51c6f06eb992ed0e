// SPDX-License-Identifier: MIT
// port/env.h: the bundle that every init receives: the whole outside world, replaceable by a simulator.
//
// Rules of every port:
//   - A call that completes later never calls back before it returns. An accepted call completes exactly once. A refused call (it returned
//     an error) never completes, nor does a stopped, cancelled or closed one.
//   - Completions run on the loop thread, one after the other, never inside another completion.
//   - Handles (timer, net_conn, ...) are opaque pointers, valid until the call that ends them (free, close, or the single completion).
#pragma once

#include <cstdint>

#include "base/rng.h"

namespace etlnode {

struct clock_port;
struct proc_port;
struct net_port;
struct disk_port;
struct index_port;
struct ledger_port;
struct meta_port;
struct fetch_port;
struct folder_port;

struct env {
    const clock_port *clock = nullptr;
    const proc_port *proc = nullptr;
    const net_port *net = nullptr;
    const disk_port *disk = nullptr;
    const index_port *index = nullptr;
    const ledger_port *ledger = nullptr;
    const meta_port *meta = nullptr;
    const fetch_port *fetch = nullptr;   // may be null: this world has no web
    const folder_port *folder = nullptr; // may be null: it has no folders of others
    rng random;                          // ids, jitter
    uint64_t next_machine_id = 1;        // for machines whose module has no counter of its own; appears in traces
    void *impl = nullptr;                // private to the implementation
};

} // namespace etlnode
