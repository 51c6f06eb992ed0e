// SPDX-License-Identifier: MIT
// store/group_sync.cc: shares the fsyncs of a directory.
#include "store/group_sync.h"

#include <utility>

namespace etlnode {

static void start(group_sync &g);

static void synced(void *arg, error err)
{
    group_sync &g = *static_cast<group_sync *>(arg);
    std::vector<group_sync_wait> waits = std::exchange(g.current, {});
    g.running = false;
    if (!g.next.empty())
        start(g);
    // The last one may free the owner of `g`.
    for (const group_sync_wait &wait : waits)
        wait.on_done(wait.arg, err);
}

static void start(group_sync &g)
{
    g.running = true;
    g.current = std::exchange(g.next, {});
    disk_sync_dir(*g.e, g.path, synced, &g);
}

void group_sync_request(group_sync &g, disk_on_done on_done, void *arg)
{
    g.next.push_back({on_done, arg});
    if (!g.running)
        start(g);
}

} // namespace etlnode
