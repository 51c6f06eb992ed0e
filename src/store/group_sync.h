// SPDX-License-Identifier: MIT
// store/group_sync.h: one directory, synced for many: one fsync under way, whoever comes meanwhile shares the next one.
//
// Owned by the store; asked by its puts. Knows port/disk. It waits for one thing only, so it is no machine.
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
    std::vector<group_sync_wait> current; // these began to wait before the fsync under way was started
    std::vector<group_sync_wait> next;
};

// Completes once, after it returned: every name made in the directory before this call is durable then. No cancel. Requires: `g` outlives it.
void group_sync_request(group_sync &g, disk_on_done on_done, void *arg);

} // namespace etlnode
