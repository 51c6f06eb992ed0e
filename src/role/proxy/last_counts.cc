// SPDX-License-Identifier: MIT
// role/proxy/last_counts.cc: what each target held when it was heard last, and how often its directory had changed; also as former
// processes of this proxy heard it.
//
// Owns     p.last_counts, the meta document "counts" and a timer.
// Knows    port/meta, codec.        Known by  register.cc, cluster.cc, membership.cc, proxy.cc.
// Normal   registrations note the counts; once a minute they are stored. Before a target is taken out, people see how much that loses. A
//          directory that has changed less often than it had is an older copy, and is refused.
// Fails    what cannot be read is unknown, until the target is heard; what cannot be stored is stored a minute later.
// Limits   last_counts_pause_ms.
#include <algorithm>

#include "base/limits.h"
#include "base/log.h"
#include "codec/json.h"
#include "port/meta.h"
#include "role/proxy/proxy.h"

namespace etlnode {

static constexpr const char *counts_document = "counts";

// --- JSON

// Of a node, or lost: that one may return.
static bool is_disk_known(const cluster_document &document, const std::string &disk)
{
    std::vector<placed_disk> lost = document_lost_disks(document);
    return std::any_of(document.nodes.begin(), document.nodes.end(), [&](const cluster_node &node) { return node.disk == disk; }) ||
           std::any_of(lost.begin(), lost.end(), [&](const placed_disk &one) { return one.disk == disk; });
}

static std::string print(const proxy &p)
{
    json_ptr tree = json_object();
    cJSON *rows = json_add_array(tree.get(), "targets");
    for (const auto &[id, count] : p.last_counts.targets) {
        if (document_find_node(proxy_document(p), id) == nullptr)
            continue;
        json_ptr row = json_object();
        json_add_text(row.get(), "id", id);
        json_add_u64_text(row.get(), "objects", count.objects);
        if (count.are_bytes_known)
            json_add_u64_text(row.get(), "bytes", count.bytes);
        json_add_u64_text(row.get(), "heard_ns", count.heard_ns);
        json_append(rows, std::move(row));
    }
    cJSON *disks = json_add_array(tree.get(), "disks");
    for (const auto &[disk, changes] : p.last_counts.changes) {
        if (!is_disk_known(proxy_document(p), disk))
            continue;
        json_ptr row = json_object();
        json_add_text(row.get(), "disk", disk);
        json_add_u64_text(row.get(), "changes", changes);
        json_append(disks, std::move(row));
    }
    return json_print(tree.get());
}

static void note_changes(proxy_last_counts &counts, const std::string &disk, uint64_t changes)
{
    uint64_t &highest = counts.changes[disk];
    highest = std::max(highest, changes);
}

// What was heard since the start is newer than what is read.
static void take(proxy &p, const std::string &text)
{
    json_ptr tree;
    std::string where;
    if (json_parse(text, tree, where))
        return;
    const cJSON *row = nullptr;
    cJSON_ArrayForEach(row, json_get(tree.get(), "targets"))
    {
        std::string id;
        proxy_last_count count;
        if (!json_read_text(row, "id", node_id_size_max, id) || !json_read_u64(row, "objects", count.objects) ||
            !json_read_u64(row, "heard_ns", count.heard_ns))
            continue;
        count.are_bytes_known = json_get(row, "bytes") != nullptr && json_read_u64(row, "bytes", count.bytes);
        if (document_find_node(proxy_document(p), id) != nullptr)
            p.last_counts.targets.try_emplace(id, count);
    }
    cJSON_ArrayForEach(row, json_get(tree.get(), "disks"))
    {
        std::string disk;
        uint64_t changes = 0;
        if (json_read_text(row, "disk", disk_id_size, disk) && json_read_u64(row, "changes", changes))
            note_changes(p.last_counts, disk, changes);
    }
}

// --- reading and storing

static void end_work(proxy &p)
{
    p.last_counts.is_busy = false;
    proxy_note_work_ended(&p);
}

static void on_read(void *arg, error err, uint64_t version, const std::string &text)
{
    proxy &p = *static_cast<proxy *>(arg);
    if (err)
        LOG(warn, "cluster", "error=\"%s\" msg=\"what targets held when they were heard last could not be read\"", error_text(err));
    p.last_counts.is_read = !err;
    p.last_counts.is_known = true;
    p.last_counts.version = version;
    if (!err && version > 0)
        take(p, text);
    end_work(p);
}

static void read(proxy &p)
{
    p.last_counts.is_busy = true;
    meta_read(*p.e, counts_document, on_read, &p);
}

static void on_stored(void *arg, error err)
{
    proxy &p = *static_cast<proxy *>(arg);
    if (err)
        LOG(warn, "cluster", "error=\"%s\" msg=\"what the targets hold could not be stored\"", error_text(err));
    p.last_counts.is_read = !err; // the stored version may be either
    p.last_counts.version += err ? 0 : 1;
    end_work(p);
}

static void on_due(void *arg)
{
    proxy &p = *static_cast<proxy *>(arg);
    proxy_last_counts &counts = p.last_counts;
    counts.is_due = false;
    if (counts.is_busy)
        return;
    if (!counts.is_read) {
        read(p);
        return;
    }
    counts.is_busy = true;
    meta_swap(*p.e, counts_document, counts.version, counts.version + 1, print(p), on_stored, &p);
}

void proxy_last_counts_begin(proxy &p)
{
    p.last_counts.due = timer_make(*p.e, on_due, &p);
    read(p);
}

void proxy_last_counts_stop(proxy &p)
{
    if (p.last_counts.due != nullptr)
        timer_free(*p.e, p.last_counts.due);
    p.last_counts.due = nullptr;
}

// --- for the rest of the proxy

void proxy_note_count(proxy &p, const cluster_node &node, const proxy_target &target, uint64_t changes)
{
    proxy_last_counts &counts = p.last_counts;
    const std::string &id = node.id;
    if (!node.disk.empty() && changes > 0)
        note_changes(counts, node.disk, changes);
    if (!target.is_count_known) {
        counts.targets.erase(id);
        return;
    }
    counts.targets[id] = {.objects = target.object_count,
        .bytes = target.capacity.bytes,
        .are_bytes_known = target.capacity.is_known,
        .heard_ns = clock_wall_ns(*p.e)};
    if (counts.due == nullptr || counts.is_due)
        return;
    counts.is_due = true;
    timer_arm(*p.e, counts.due, last_counts_pause_ms);
}

bool proxy_is_set_back(const proxy &p, const std::string &disk, uint64_t changes)
{
    auto found = p.last_counts.changes.find(disk);
    return found != p.last_counts.changes.end() && changes < found->second;
}

const proxy_last_count *proxy_last_count_of(const proxy &p, const std::string &id)
{
    auto found = p.last_counts.targets.find(id);
    return found != p.last_counts.targets.end() ? &found->second : nullptr;
}

} // namespace etlnode
