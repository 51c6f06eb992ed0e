// SPDX-License-Identifier: MIT
// transfer/pull.cc: counts what a pod reads of its object as progress of the transfers that wait for its answer.
//
// Knows    transfer_machine.h.         Known by  transfer_machine.cc, transfer_host.cc.
// It is unknown for which of several transfers of one object the pod reads, so the read counts for all of them.
#include "transfer/pull.h"

#include <algorithm>

#include "base/limits.h"
#include "transfer/transfer_machine.h"

namespace etlnode {

std::string pull_key(std::string_view etl_id, std::string_view bucket, std::string_view name)
{
    std::string key(etl_id);
    key += '/';
    key += bucket;
    key += '/';
    key += name;
    return key;
}

void pull_await(transfer &t)
{
    if (t.pulled != nullptr)
        return;
    auto [entry, is_first] = t.host->pulls.try_emplace(pull_key(t.etl_id, transfer_bucket_for_pod(t), t.name));
    entry->second.readers++;
    t.pulled = &*entry;
}

void pull_forget(transfer &t)
{
    if (t.pulled != nullptr && --t.pulled->second.readers == 0)
        t.host->pulls.erase(t.host->pulls.find(t.pulled->first));
    t.pulled = nullptr;
}

static void note(transfer_host &host, const std::string &key, uint64_t later_ms)
{
    auto found = host.pulls.find(key);
    if (found != host.pulls.end())
        found->second.progress_ms = clock_now_ms(*host.e) + later_ms;
}

void pull_note(transfer_host &host, const std::string &key) { note(host, key, 0); }

void pull_note_end(transfer_host &host, const std::string &key, uint64_t size, uint64_t elapsed_ms)
{
    uint64_t buffered = std::min<uint64_t>(size, socket_buffers_size_max);
    note(host, key,
        size > 0 ? static_cast<uint64_t>(static_cast<double>(elapsed_ms) * static_cast<double>(buffered) / static_cast<double>(size)) : 0);
}

} // namespace etlnode
