// SPDX-License-Identifier: MIT
// control/destroyed.cc: which buckets were destroyed, and what a target does with the objects of a bucket that its document lacks.
//
// Knows    document.h.        Known by  role.
// Normal   a record of a destroyed bucket stays in the document until every target holds a version that contains it.
// Limits   document_destroyed_count_max: beyond that the oldest record goes. A target that never saw it then keeps orphans.
#include <algorithm>

#include "base/limits.h"
#include "control/document.h"
#include "control/placement_epochs.h"

namespace etlnode {

uint64_t document_stamp_bucket(cluster_document &document, uint64_t now_ns)
{
    uint64_t last = document.last_created_ns;
    for (const cluster_bucket &bucket : document.buckets) // documents of former versions do not note the last one
        last = std::max(last, bucket.created_ns);
    document.last_created_ns = std::max(now_ns, last + 1);
    return document.last_created_ns;
}

void document_record_destroyed(cluster_document &document, const cluster_bucket &bucket, uint64_t version)
{
    if (document.destroyed.size() >= document_destroyed_count_max)
        document.destroyed.erase(document.destroyed.begin());
    document.destroyed.push_back({.name = bucket.name, .created_ns = bucket.created_ns, .version = version});
    document.last_created_ns = std::max(document.last_created_ns, bucket.created_ns);
}

bool document_destroy_bucket(cluster_document &document, std::string_view name, uint64_t version)
{
    const cluster_bucket *bucket = document_find_bucket(document, name);
    if (bucket == nullptr)
        return false;
    document_record_destroyed(document, *bucket, version);
    return document_remove_bucket(document, name);
}

void document_forget_destroyed(cluster_document &document, uint64_t held_version)
{
    if (!document_lost_disks(document).empty()) // they may return
        return;
    std::erase_if(document.destroyed, [held_version](const cluster_destroyed &one) { return one.version <= held_version; });
}

bucket_fate document_bucket_fate(const cluster_document &next, const cluster_bucket &bucket)
{
    if (const cluster_bucket *now = document_find_bucket(next, bucket.name))
        return now->created_ns == bucket.created_ns ? bucket_fate::kept : bucket_fate::removed;
    auto is_of_it = [&](const cluster_destroyed &one) { return one.name == bucket.name && one.created_ns == bucket.created_ns; };
    return std::any_of(next.destroyed.begin(), next.destroyed.end(), is_of_it) ? bucket_fate::removed : bucket_fate::orphaned;
}

} // namespace etlnode
