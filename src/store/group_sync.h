// SPDX-License-Identifier: MIT
// store/group_sync.h: shares the fsyncs of one directory: one is in progress, and all requests that arrive meanwhile share the next one.
//
// Owned by the store and used by its puts. Knows port/disk. It waits for only one thing, so it is not a machine.
#pragma once

#include <string>
#include <vector>

#include "port/disk.h"

namespace etlnode {

struct group_sync_wait {
    disk_on_done on_done = nullptr;
    void *arg = nullptr;
};

struct group_sync {
    env *e = nullptr;
    std::string path;
    bool running = false;
    std::vector<group_sync_wait> current; // they arrived before the fsync in progress started
    std::vector<group_sync_wait> next;
};

// Completes once, after it returned. Every name created in the directory before this call is then durable. It cannot be cancelled.
// Requires: `g` outlives it.
void group_sync_request(group_sync &g, disk_on_done on_done, void *arg);

} // namespace etlnode
