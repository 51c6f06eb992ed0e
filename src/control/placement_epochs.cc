// SPDX-License-Identifier: MIT
// control/placement_epochs.cc: what the tables of placement say about targets and objects. Pure.
//
// Knows    document.h, placement, codec.        Known by  placement_changes.cc, role.
// Limits   former_row_count_max.
#include "control/placement_epochs.h"

#include <algorithm>

#include "base/limits.h"
#include "control/document.h"
#include "control/placement.h"

namespace etlnode {

const std::string_view placement_state_names[6] = {"new", "joining", "active", "draining", "maintenance", "lost"};

static constexpr uint64_t first_epoch = 1; // also of documents from before epochs existed
static constexpr std::string_view standing_names[] = {"counts", "lost", "gone"};

bool cluster_node_is_placed(const cluster_node &node)
{
    return node.is_target && (node.flags & (node_flag_maintenance | node_flag_decommission)) == 0;
}

// --- the whole table

static bool counts(const placed_disk &target) { return target.standing == placed_standing::counts; }

static bool any_counts(const former_epoch &epoch) { return std::any_of(epoch.targets.begin(), epoch.targets.end(), counts); }

bool placement_is_moving(const cluster_placement &placement)
{
    return std::any_of(placement.former.begin(), placement.former.end(), any_counts);
}

uint64_t document_epoch(const cluster_document &document) { return std::max(document.placement.epoch, first_epoch); }

const placed_disk *placement_former_owner(const former_epoch &epoch, uint64_t uname_digest)
{
    const placed_disk *chosen = nullptr;
    uint64_t chosen_weight = 0;
    for (const placed_disk &target : epoch.targets) {
        uint64_t weight = placement_weight(uname_digest, target.digest);
        if (chosen == nullptr || weight > chosen_weight) {
            chosen = &target;
            chosen_weight = weight;
        }
    }
    return chosen;
}

bool placed_disk_is(const placed_disk &target, const cluster_node &node)
{
    return target.disk.empty() ? target.id == node.id : target.disk == node.disk;
}

const cluster_node *document_find_disk(const cluster_document &document, const placed_disk &target)
{
    for (const cluster_node &node : document.nodes) {
        if (node.is_target && placed_disk_is(target, node))
            return &node;
    }
    return nullptr;
}

static bool has_standing(const former_epoch &epoch, const cluster_node &node, placed_standing standing)
{
    return std::any_of(epoch.targets.begin(), epoch.targets.end(),
        [&](const placed_disk &target) { return target.standing == standing && placed_disk_is(target, node); });
}

static bool has_standing(const cluster_document &document, const cluster_node &node, placed_standing standing)
{
    const std::vector<former_epoch> &former = document.placement.former;
    return std::any_of(former.begin(), former.end(), [&](const former_epoch &epoch) { return has_standing(epoch, node, standing); });
}

std::vector<const cluster_node *> document_givers(const cluster_document &document)
{
    std::vector<const cluster_node *> givers;
    if (document.placement.former.empty())
        return givers;
    for (const cluster_node &node : document.nodes) {
        if (node.is_target && has_standing(document, node, placed_standing::counts))
            givers.push_back(&node);
    }
    return givers;
}

// Whether the node was placed when the last epoch settled: the table stayed the same in the epoch that this began.
static bool was_placed_at_settling(const cluster_document &document, const cluster_node &node)
{
    const cluster_placement &placement = document.placement;
    if (placement.epoch == placement.settled + 1)
        return cluster_node_is_placed(node);
    return std::any_of(placement.former.begin(), placement.former.end(), [&](const former_epoch &epoch) {
        return epoch.number == placement.settled + 1 && has_standing(epoch, node, placed_standing::counts);
    });
}

bool document_is_set_back(const cluster_document &document, const cluster_node &node, uint64_t stored)
{
    const cluster_placement &placement = document.placement;
    bool is_lost = false;
    for (const former_epoch &epoch : placement.former) {
        for (const placed_disk &target : epoch.targets) {
            if (target.standing != placed_standing::lost || !placed_disk_is(target, node))
                continue;
            is_lost = true;
            if (std::max(stored, first_epoch) < target.settled)
                return true;
        }
    }
    return !is_lost && std::max(stored, first_epoch) < placement.settled && was_placed_at_settling(document, node);
}

std::vector<placed_disk> document_lost_disks(const cluster_document &document)
{
    std::vector<placed_disk> lost;
    for (const former_epoch &epoch : document.placement.former) {
        for (const placed_disk &target : epoch.targets) {
            bool is_known = std::any_of(
                lost.begin(), lost.end(), [&](const placed_disk &one) { return one.disk == target.disk && one.id == target.id; });
            if (target.standing == placed_standing::lost && !is_known)
                lost.push_back(target);
        }
    }
    return lost;
}

// --- one object

bool document_may_decide(const cluster_document &document, uint64_t uname_digest, const cluster_node &self, uint64_t adopted)
{
    bool is_listed = false;
    for (const former_epoch &epoch : document.placement.former) {
        if (epoch.number < adopted)
            continue;
        const placed_disk *owner = placement_former_owner(epoch, uname_digest);
        if (owner == nullptr || !placed_disk_is(*owner, self))
            return false;
        is_listed = is_listed || epoch.number == adopted;
    }
    return is_listed;
}

std::vector<const cluster_node *> document_ask_set(const cluster_document &document, uint64_t uname_digest, const cluster_node &self,
    uint64_t since, std::span<const std::string> ended, bool &out_is_missing)
{
    std::vector<const cluster_node *> asked;
    out_is_missing = false;
    for (const former_epoch &epoch : document.placement.former) {
        const placed_disk *owner = epoch.number >= since ? placement_former_owner(epoch, uname_digest) : nullptr;
        if (owner == nullptr || !counts(*owner) || placed_disk_is(*owner, self))
            continue;
        if (std::find(ended.begin(), ended.end(), owner->disk) != ended.end())
            continue;
        const cluster_node *node = document_find_disk(document, *owner);
        if (node == nullptr)
            out_is_missing = true;
        else if (std::find(asked.begin(), asked.end(), node) == asked.end())
            asked.push_back(node);
    }
    return asked;
}

bool document_is_authoritative(const cluster_document &document, uint64_t uname_digest, const cluster_node &self, uint64_t tag)
{
    const std::vector<former_epoch> &former = document.placement.former;
    return std::none_of(former.begin(), former.end(), [&](const former_epoch &epoch) {
        const placed_disk *owner = epoch.number >= tag ? placement_former_owner(epoch, uname_digest) : nullptr;
        return owner != nullptr && counts(*owner) && !placed_disk_is(*owner, self);
    });
}

static bool is_lost(const placed_disk *owner) { return owner != nullptr && owner->standing == placed_standing::lost; }

bool document_has_lost_owner(const cluster_document &document, uint64_t uname_digest)
{
    const std::vector<former_epoch> &former = document.placement.former;
    return std::any_of(former.begin(), former.end(),
        [uname_digest](const former_epoch &epoch) { return is_lost(placement_former_owner(epoch, uname_digest)); });
}

uint64_t document_moved_tag(const cluster_document &document, uint64_t uname_digest, uint64_t row_tag)
{
    uint64_t tag = document_epoch(document);
    for (const former_epoch &epoch : document.placement.former) {
        if (epoch.number >= row_tag && epoch.number < tag && is_lost(placement_former_owner(epoch, uname_digest)))
            tag = epoch.number;
    }
    return tag;
}

uint64_t document_version_floor(const cluster_document &document) { return document.losses << 32; }

// --- states

placement_state document_placement_state(const cluster_document &document, const cluster_node &node)
{
    const std::vector<former_epoch> &former = document.placement.former;
    if (cluster_node_is_placed(node)) {
        bool is_joining = std::any_of(former.begin(), former.end(), [&](const former_epoch &epoch) {
            return !epoch.is_settled && any_counts(epoch) && !has_standing(epoch, node, placed_standing::counts);
        });
        return is_joining ? placement_state::joining : placement_state::active;
    }
    if (has_standing(document, node, placed_standing::counts))
        return placement_state::draining;
    if (has_standing(document, node, placed_standing::lost))
        return placement_state::lost;
    return node.want == node_want::placed ? placement_state::fresh : placement_state::maintenance;
}

bool placement_is_gone(const cluster_document &document, const cluster_node &node)
{
    return node.want == node_want::leave && document_placement_state(document, node) == placement_state::maintenance;
}

// --- JSON

json_ptr placement_report_print(const placement_report &report)
{
    json_ptr tree = json_object();
    json_add_u64_text(tree.get(), "adopted", report.adopted);
    json_add_u64_text(tree.get(), "settled", report.settled);
    json_add_bool(tree.get(), "etls_serve", report.etls_serve);
    return tree;
}

bool placement_report_parse(const cJSON *tree, placement_report &out_report)
{
    return tree == nullptr || (json_read_u64(tree, "adopted", out_report.adopted) && json_read_u64(tree, "settled", out_report.settled) &&
                                  json_read_bool(tree, "etls_serve", out_report.etls_serve));
}

static json_ptr row_print(const placed_disk &target)
{
    json_ptr row = json_object();
    json_add_text(row.get(), "id", target.id);
    if (!target.disk.empty())
        json_add_text(row.get(), "disk", target.disk);
    if (target.standing != placed_standing::counts)
        json_add_text(row.get(), "state", standing_names[static_cast<size_t>(target.standing)]);
    if (target.settled > 0)
        json_add_u64_text(row.get(), "settled", target.settled);
    return row;
}

json_ptr placement_print(const cluster_placement &placement)
{
    json_ptr tree = json_object();
    json_add_u64_text(tree.get(), "epoch", placement.epoch);
    json_add_u64_text(tree.get(), "settled", placement.settled);
    cJSON *former = json_add_array(tree.get(), "former");
    for (const former_epoch &epoch : placement.former) {
        json_ptr one = json_object();
        json_add_u64_text(one.get(), "epoch", epoch.number);
        json_add_bool(one.get(), "settled", epoch.is_settled);
        cJSON *targets = json_add_array(one.get(), "targets");
        for (const placed_disk &target : epoch.targets)
            json_append(targets, row_print(target));
        json_append(former, std::move(one));
    }
    return tree;
}

bool disk_id_is_good(std::string_view disk)
{
    auto good = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    return disk.size() == disk_id_size && std::all_of(disk.begin(), disk.end(), good);
}

static bool row_parse(const cJSON *tree, placed_disk &out_row)
{
    if (!json_read_text(tree, "id", node_id_size_max, out_row.id) || out_row.id.empty())
        return false;
    if (json_get(tree, "disk") != nullptr && (!json_read_text(tree, "disk", disk_id_size, out_row.disk) || !disk_id_is_good(out_row.disk)))
        return false;
    size_t standing = 0;
    if (json_get(tree, "state") != nullptr && !json_read_word(tree, "state", standing_names, standing))
        return false;
    if (json_get(tree, "settled") != nullptr && !json_read_u64(tree, "settled", out_row.settled))
        return false;
    out_row.standing = static_cast<placed_standing>(standing);
    out_row.digest = placement_digest(out_row.id);
    return true;
}

static bool epoch_parse(const cJSON *tree, former_epoch &out_epoch)
{
    const cJSON *targets = json_get(tree, "targets");
    if (!json_read_u64(tree, "epoch", out_epoch.number) || !json_read_bool(tree, "settled", out_epoch.is_settled) ||
        !cJSON_IsArray(targets) || targets->child == nullptr)
        return false;
    const cJSON *item = nullptr;
    cJSON_ArrayForEach(item, targets)
    {
        placed_disk row;
        if (!row_parse(item, row) || out_epoch.targets.size() >= target_count_max)
            return false;
        out_epoch.targets.push_back(std::move(row));
    }
    return true;
}

bool placement_parse(const cJSON *tree, cluster_placement &out_placement)
{
    if (tree == nullptr)
        return true;
    cluster_placement placement;
    const cJSON *former = json_get(tree, "former");
    if (!json_read_u64(tree, "epoch", placement.epoch) || !json_read_u64(tree, "settled", placement.settled) || !cJSON_IsArray(former) ||
        placement.epoch == 0)
        return false;
    uint64_t below = placement.epoch;
    size_t rows = 0;
    const cJSON *item = nullptr;
    cJSON_ArrayForEach(item, former)
    {
        former_epoch epoch;
        if (!epoch_parse(item, epoch) || epoch.number >= below) // newest first, each number once
            return false;
        below = epoch.number;
        rows += epoch.targets.size();
        if (rows > former_row_count_max)
            return false;
        placement.former.push_back(std::move(epoch));
    }
    out_placement = std::move(placement);
    return true;
}

} // namespace etlnode
