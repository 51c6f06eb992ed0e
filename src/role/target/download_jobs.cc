// SPDX-License-Identifier: MIT
// role/target/download_jobs.cc: the target's share of jobs that download: the objects that it owns.
//
// Owns     the names that are still to be fetched.
// Knows    job/download_order, download_items.cc.        Known by  shares.cc.
// Normal   names are taken in order. What is there from the same link is not fetched twice.
// Limits   download_items_default, copy_items_max.
#include <algorithm>
#include <memory>

#include "base/limits.h"
#include "job/download_order.h"
#include "port/fetch.h"
#include "role/target/downloads.h"
#include "role/target/moves.h"

namespace etlnode {

struct download_state {
    download_order order; // names: those that this target owns
    size_t next = 0;
};

static download_state &state_of(const share_run &run) { return *static_cast<download_state *>(run.state); }

static std::string open(share_run &run, const cJSON *options)
{
    target &t = *run.t;
    auto *state = new download_state;
    run.state = state;
    if (!fetch_is_possible(*t.e))
        return "this target cannot download";
    std::string wrong = download_order_read(options, state->order);
    std::erase_if(state->order.names, [&](const download_name &one) { return target_owner_elsewhere(t, run.bucket, one.name) != nullptr; });
    return wrong;
}

static void close(share_run &run) { delete &state_of(run); }

static size_t items_max(const share_run &run)
{
    uint64_t wanted = state_of(run).order.connections;
    return static_cast<size_t>(std::clamp<uint64_t>(wanted != 0 ? wanted : download_items_default, 1, copy_items_max));
}

// Of one object; together they keep to the job's limit.
static uint64_t rate_of(const share_run &run)
{
    uint64_t targets = 0, per_hour = state_of(run).order.bytes_per_hour;
    for (const cluster_node &node : run.t->document.nodes)
        targets += node.is_target ? 1 : 0;
    uint64_t rate = per_hour / 3600 / std::max<uint64_t>(targets, 1) / items_max(run);
    return per_hour == 0 ? 0 : std::max<uint64_t>(rate, 1);
}

static bool begin_next(share_run &run)
{
    download_state &state = state_of(run);
    if (state.next == state.order.names.size())
        return false;
    download_name &name = state.order.names[state.next++];
    download_wish wish = {.run = &run,
        .job = run.row.id,
        .bucket = run.bucket,
        .name = name.name,
        .link = std::move(name.link),
        .timeout_ms = state.order.timeout_ms,
        .rate = rate_of(run)};
    run.items.push_back(download_item_begin(*run.t, std::move(wish)));
    return true;
}

static void stop(void *item) { download_item_stop(*static_cast<download_item *>(item)); }
static share_progress progress(const void *item) { return download_item_progress(*static_cast<const download_item *>(item)); }
static bool has_all_begun(const share_run &run) { return state_of(run).next == state_of(run).order.names.size(); }

const share_kind share_kind_download = {
    .name = download_kind,
    .open = open,
    .close = close,
    .items_max = items_max,
    .begin_next = begin_next,
    .stop = stop,
    .progress = progress,
    .has_all_begun = has_all_begun,
};

} // namespace etlnode
