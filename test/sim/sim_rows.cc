// SPDX-License-Identifier: MIT
// test/sim/sim_rows.cc: the rules for rows on several disks.
#include "sim_rows.h"

#include <algorithm>

#include "base/text.h"
#include "control/placement.h"
#include "control/placement_epochs.h"
#include "role/target/target.h"

namespace etlnode {

static constexpr const char *watched_bucket = "b";

// What was committed as one version of an object.
struct sim_commit {
    uint64_t checksum = 0;
    bool is_tombstone = false;
};

struct sim_rows {
    sim_cluster *cluster = nullptr;
    std::map<std::string, std::map<uint64_t, sim_commit>> commits; // by name and version
    uint64_t epoch_max = 0;                                        // of the proxy's document
};

sim_rows *sim_rows_make(sim_cluster &c)
{
    auto *r = new sim_rows;
    r->cluster = &c;
    c.world->rows = r;
    return r;
}

void sim_rows_free(sim_rows *r)
{
    r->cluster->world->rows = nullptr;
    delete r;
}

static unsigned long long number(uint64_t value) { return value; }

static sim_node *node_of(const sim_rows &r, const sim_host &host)
{
    for (sim_node *node : r.cluster->nodes) {
        if (node->host == &host)
            return node;
    }
    return nullptr;
}

uint64_t sim_rows_version(const memory_image &disk, const std::string &bucket, const std::string &name)
{
    uint64_t version = 0;
    if (auto row = disk.rows.find({bucket, name}); row != disk.rows.end())
        version = row->second.version;
    if (auto row = disk.tombstones.find({bucket, name}); row != disk.tombstones.end())
        version = std::max(version, row->second.version);
    return version;
}

// --- one decider at a time

// The latest epoch in which the node has answered.
static uint64_t adopted_by(const sim_node &node)
{
    bool is_up = node.host != nullptr && node.host->as_target != nullptr;
    return is_up ? std::max(node.adopted_max, node.host->as_target->placement.adopted) : node.adopted_max;
}

// The former owners of the object that must have adopted the epoch of the commit, because they were asked.
static void judge_deciders(const sim_rows &r, const sim_node &node, const index_change &change)
{
    sim_world &w = *r.cluster->world;
    const target &t = *node.host->as_target;
    const cluster_node *self = document_find_node(t.document, t.id);
    const cluster_bucket *bucket = document_find_bucket(t.document, watched_bucket);
    bool is_in_force = change.row.tag == document_epoch(t.document); // otherwise the epoch has changed since the index got the change
    if (self == nullptr || bucket == nullptr || !is_in_force)
        return;
    bool is_missing = false;
    for (const cluster_node *former : document_ask_set(t.document, placement_uname_digest(watched_bucket, change.row.name), *self,
             bucket->created_epoch, t.placement.ended, is_missing)) {
        const sim_node *other = sim_cluster_find(*r.cluster, former->id);
        if (other != nullptr && adopted_by(*other) < change.row.tag)
            sim_fail(w, "%s commits %s in epoch %llu, but %s, which owned it, has adopted only %llu", node.name.c_str(),
                change.row.name.c_str(), number(change.row.tag), other->name.c_str(), number(adopted_by(*other)));
    }
    if (is_missing)
        sim_fail(w, "%s commits %s in epoch %llu, but a former owner is in no document", node.name.c_str(), change.row.name.c_str(),
            number(change.row.tag));
}

static void judge_commit(sim_rows &r, const sim_node &node, const index_change &change)
{
    sim_world &w = *r.cluster->world;
    auto &versions = r.commits[change.row.name];
    bool is_late = node.is_lost; // what a target still commits after it was given up is acknowledged to nobody, and never wins
    if (!is_late && !versions.empty() && change.row.version <= versions.rbegin()->first)
        sim_fail(w, "%s commits %s as version %llu, but there was %llu before", node.name.c_str(), change.row.name.c_str(),
            number(change.row.version), number(versions.rbegin()->first));
    versions[change.row.version] = {change.row.checksum, change.row.is_tombstone};
    if (!is_late)
        judge_deciders(r, node, change);
}

static void judge_copy(sim_rows &r, const sim_node &node, const index_change &change)
{
    const auto &versions = r.commits[change.row.name];
    auto found = versions.find(change.row.version);
    bool is_known = found != versions.end() && found->second.is_tombstone == change.row.is_tombstone &&
                    (change.row.is_tombstone || found->second.checksum == change.row.checksum);
    if (!is_known)
        sim_fail(*r.cluster->world, "%s takes a copy of %s, version %llu, which nobody committed like this", node.name.c_str(),
            change.row.name.c_str(), number(change.row.version));
}

// Another disk must have what is removed as given away, or something newer. A lost one counts: the giver need not know yet.
static void judge_removal(const sim_rows &r, const sim_node &node, const index_change &change)
{
    for (const sim_node *other : r.cluster->nodes) {
        if (other != &node && sim_rows_version(sim_node_disk(*other), watched_bucket, change.row.name) >= change.before.version)
            return;
    }
    sim_fail(*r.cluster->world, "%s removes %s, version %llu, as given away, but no other disk has it", node.name.c_str(),
        change.row.name.c_str(), number(change.before.version));
}

static void on_row_changed(memory_world &world, const index_change &change)
{
    auto &host = static_cast<sim_host &>(world);
    sim_rows *r = host.sim->rows;
    if (r == nullptr || host.is_orphan || change.row.bucket != watched_bucket)
        return;
    const sim_node *node = node_of(*r, host);
    if (node == nullptr || host.as_target == nullptr)
        return;
    sim_note(*host.sim, "%s: row %s, change %d%s, version %llu, before %llu, tag %llu", node->name.c_str(), change.row.name.c_str(),
        static_cast<int>(change.what), change.leaves_tombstone ? " with tombstone" : "", number(change.row.version),
        number(change.before.version), number(change.row.tag));
    switch (change.what) {
    case index_change::kind::put: judge_commit(*r, *node, change); break;
    case index_change::kind::put_moved: judge_copy(*r, *node, change); break;
    case index_change::kind::remove:
        if (change.leaves_tombstone)
            judge_commit(*r, *node, change);
        else if (change.is_moved)
            judge_removal(*r, *node, change);
        break;
    case index_change::kind::drop_tombstone:
        if (change.is_moved)
            judge_removal(*r, *node, change);
        break;
    case index_change::kind::remove_bucket:
    case index_change::kind::raise_removed: break;
    }
}

void sim_rows_watch(sim_host &host) { host.on_row_changed = on_row_changed; }

// --- epochs

void sim_rows_look(sim_cluster &c)
{
    sim_world &w = *c.world;
    for (sim_node *node : c.nodes) {
        const target *t = node->host != nullptr ? node->host->as_target : nullptr;
        if (t == nullptr || !node->host->is_started || node->host->has_failed || t->document.version == 0 || node->is_set_back ||
            !target_misfit_text(*t).empty())
            continue;
        std::pair<uint64_t, uint64_t> stored{t->stored.term, t->stored.version};
        if (stored < node->stored_max)
            sim_fail(w, "%s is back at version %llu of the document, it had %llu before", node->name.c_str(), number(stored.second),
                number(node->stored_max.second));
        node->stored_max = stored;
        if (t->placement.adopted < node->adopted_max)
            sim_fail(w, "%s is back in epoch %llu, it was in %llu before", node->name.c_str(), number(t->placement.adopted),
                number(node->adopted_max));
        node->adopted_max = std::max(node->adopted_max, t->placement.adopted);
    }
    const cluster_document *document = sim_cluster_document(c);
    if (document == nullptr || w.rows == nullptr)
        return;
    sim_node &proxy = *c.nodes[0];
    if (proxy.is_set_back && document->placement.epoch < w.rows->epoch_max)
        return; // until it has heard its targets
    proxy.is_set_back = false;
    if (document->placement.epoch < w.rows->epoch_max)
        sim_fail(w, "the proxy is back in epoch %llu, it was in %llu before", number(document->placement.epoch), number(w.rows->epoch_max));
    w.rows->epoch_max = std::max(w.rows->epoch_max, document->placement.epoch);
}

// --- the end

void sim_rows_audit(sim_cluster &c)
{
    sim_world &w = *c.world;
    const cluster_document *document = sim_cluster_document(c);
    if (document == nullptr) {
        sim_fail(w, "the proxy is down at the end");
        return;
    }
    for (const former_epoch &epoch : document->placement.former) {
        bool is_of_lost = std::any_of(
            epoch.targets.begin(), epoch.targets.end(), [](const placed_disk &one) { return one.standing == placed_standing::lost; });
        if (!is_of_lost)
            sim_fail(w, "epoch %llu is still a former one", number(epoch.number));
    }
    const document_identity *first = nullptr; // all have one and the same document
    for (const sim_node *node : c.nodes) {
        if (!node->is_target || node->host == nullptr)
            continue;
        const document_identity &stored = node->host->as_target->stored;
        if (stored.version != document->version || (first != nullptr && stored != *first))
            sim_fail(w, "%s has another document than the proxy", node->name.c_str());
        first = &stored;
    }
    bool has_lost = !document_lost_disks(*document).empty();
    for (const sim_node *node : c.nodes) {
        if (!node->is_target)
            continue;
        const memory_image &disk = sim_node_disk(*node);
        for (const auto &[key, row] : disk.rows) {
            const cluster_node *owner = document_place(*document, key.first, key.second);
            if (owner == nullptr || owner->id != node->id)
                sim_fail(w, "%s/%s lies on %s, but belongs to %s", key.first.c_str(), key.second.c_str(), node->name.c_str(),
                    owner != nullptr ? owner->id.c_str() : "nobody");
        }
        if (!disk.tombstones.empty() && !has_lost)
            sim_fail(w, "%s has %zu tombstones, and nothing moves", node->name.c_str(), disk.tombstones.size());
    }
}

} // namespace etlnode
