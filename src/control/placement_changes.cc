// SPDX-License-Identifier: MIT
// control/placement_changes.cc: the changes of the table of placement. Each begins an epoch, or refuses and says what to do. Pure.
//
// Knows    document.h, placement_epochs.        Known by  role/proxy.
// Normal   the table in force becomes a former one; then the flags of the nodes, which are the table in force, change.
// Fails    the last placed target stays; so does a target that was heard; too many epochs must settle first.
// Limits   former_epoch_count_max, settled_epoch_count_max, former_row_count_max, target_lost_ms.
#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "control/document.h"
#include "control/placement.h"
#include "control/placement_epochs.h"

namespace etlnode {

static const placement_refusal accepted = {};
static constexpr uint64_t recovery_leap = 1'000; // more epochs than a proxy can begin that nobody has heard

static placement_refusal refusal(std::string why, error_code code = error_code::conflict) { return {make_error(code), std::move(why)}; }

static placement_refusal refuse_unknown(std::string_view id)
{
    return refusal("there is no target \"" + text_escape(id) + "\"", error_code::not_found);
}

static cluster_node *find_target(cluster_document &document, std::string_view id)
{
    cluster_node *node = document_find_node(document, id);
    return node != nullptr && node->is_target ? node : nullptr;
}

static bool is_last(const cluster_document &document, const cluster_node &node)
{
    return cluster_node_is_placed(node) && std::none_of(document.nodes.begin(), document.nodes.end(), [&](const cluster_node &other) {
        return other.id != node.id && cluster_node_is_placed(other);
    });
}

static void take_out(cluster_node &node, node_want want)
{
    node.want = want;
    node.flags |= node_flag_maintenance;
    node.flags = want == node_want::leave ? node.flags | node_flag_decommission : node.flags & ~node_flag_decommission;
}

static void put_in(cluster_node &node)
{
    node.want = node_want::placed;
    node.flags &= ~(node_flag_maintenance | node_flag_decommission);
}

static former_epoch table_in_force(const cluster_document &document)
{
    former_epoch table = {.number = document.placement.epoch, .is_settled = false, .targets = {}};
    for (const cluster_node &node : document.nodes) {
        if (cluster_node_is_placed(node))
            table.targets.push_back({.id = node.id, .disk = node.disk, .digest = node.digest});
    }
    return table;
}

static size_t rows_of(const cluster_placement &placement)
{
    size_t rows = 0;
    for (const former_epoch &epoch : placement.former)
        rows += epoch.targets.size();
    return rows;
}

static bool is_lost_row(const placed_disk &target) { return target.standing == placed_standing::lost; }

static bool has_lost(const former_epoch &epoch) { return std::any_of(epoch.targets.begin(), epoch.targets.end(), is_lost_row); }

// Why the table in force cannot become a former one. `excepted`: a target that is lost now, which need not have told its disk. A loss and a
// return are never refused for the number of epochs: nothing settles while a dead target is waited for, and a lost disk could prevent its
// own return for ever.
static placement_refusal check_epoch(const cluster_document &document, std::string_view excepted, bool is_urgent)
{
    const cluster_placement &placement = document.placement;
    size_t unsettled = 0;
    for (const former_epoch &epoch : placement.former)
        unsettled += epoch.is_settled ? 0 : 1;
    if (unsettled >= former_epoch_count_max && !is_urgent)
        return refusal("the targets were changed " + std::to_string(unsettled) +
                       " times and objects still move: wait until the rebalance has finished (etlctl cluster show), then try again");
    if ((placement.former.size() - unsettled >= settled_epoch_count_max && !is_urgent) ||
        rows_of(placement) + document.nodes.size() > former_row_count_max)
        return refusal("too many disks are lost: give some of them up first (etlctl target forget), or bring them back");
    for (const cluster_node &node : document.nodes) {
        if (cluster_node_is_placed(node) && node.disk.empty() && node.id != excepted)
            return refusal("target " + node.id +
                           " has not told the id of its data directory yet: start it with the version of the proxy, then try again");
    }
    return accepted;
}

// Objects of the buckets that there are lie in no older epoch: only lost disks keep a former table alive then.
static void drop_idle_epochs(cluster_document &document)
{
    if (document.buckets.empty())
        std::erase_if(document.placement.former, [](const former_epoch &epoch) { return !has_lost(epoch); });
}

static void begin_epoch(cluster_document &document)
{
    cluster_placement &placement = document.placement;
    former_epoch table = table_in_force(document);
    if (!table.targets.empty())
        placement.former.insert(placement.former.begin(), std::move(table));
    placement.epoch++;
    drop_idle_epochs(document);
}

void placement_begin(cluster_document &document)
{
    if (document.placement.epoch > 0)
        return;
    document.placement = {.epoch = 1, .settled = 1, .former = {}};
    for (cluster_node &node : document.nodes) {
        if (node.is_target && !cluster_node_is_placed(node))
            node.want = node_want::maintenance; // what it holds may be old: a person decides
    }
}

placement_refusal placement_join(cluster_document &document, std::span<const std::string> ids)
{
    bool is_change = false;
    for (const std::string &id : ids) {
        const cluster_node *node = find_target(document, id);
        if (node == nullptr)
            return refuse_unknown(id);
        if (node->disk.empty())
            return refusal(
                "target " + id + " has not told the id of its data directory yet: start it with the version of the proxy, then try again");
        is_change = is_change || !cluster_node_is_placed(*node);
    }
    if (!is_change)
        return accepted;
    if (placement_refusal no = check_epoch(document, {}, false); no.err)
        return no;
    begin_epoch(document);
    for (const std::string &id : ids)
        put_in(*find_target(document, id));
    return accepted;
}

placement_refusal placement_want(cluster_document &document, std::string_view id)
{
    cluster_node *node = find_target(document, id);
    if (node == nullptr)
        return refuse_unknown(id);
    node->want = node_want::placed;
    node->flags &= ~node_flag_decommission;
    return accepted;
}

placement_refusal placement_drain(cluster_document &document, std::string_view id, node_want want)
{
    cluster_node *node = find_target(document, id);
    if (node == nullptr)
        return refuse_unknown(id);
    if (!cluster_node_is_placed(*node)) {
        take_out(*node, want);
        return accepted;
    }
    if (is_last(document, *node))
        return refusal("target " + node->id + " is the last one that holds objects: add another target first, or activate one");
    if (placement_refusal no = check_epoch(document, {}, false); no.err)
        return no;
    begin_epoch(document);
    take_out(*node, want);
    return accepted;
}

static bool was_placed(const cluster_document &document, const cluster_node &node)
{
    const std::vector<former_epoch> &former = document.placement.former;
    return std::any_of(former.begin(), former.end(), [&](const former_epoch &epoch) {
        return std::any_of(epoch.targets.begin(), epoch.targets.end(),
            [&](const placed_disk &target) { return target.standing == placed_standing::counts && placed_disk_is(target, node); });
    });
}

static placement_refusal check_silence(const cluster_node &node, uint64_t silent_ms, const std::string &instead)
{
    if (silent_ms >= target_lost_ms)
        return accepted;
    return refusal("target " + node.id + " may still take writes: it can be taken out with its objects when it has been silent for " +
                   text_duration(target_lost_ms) + ", now it is " + text_duration(silent_ms / 1'000 * 1'000) + ". " + instead);
}

// Requires: the table in force is a former one already.
static void mark_lost(cluster_document &document, const cluster_node &node)
{
    for (former_epoch &epoch : document.placement.former) {
        for (placed_disk &target : epoch.targets) {
            if (!placed_disk_is(target, node))
                continue;
            target.standing = placed_standing::lost;
            target.settled = document.placement.settled;
        }
    }
    document.losses++;
}

placement_refusal placement_lose(cluster_document &document, std::string_view id, uint64_t silent_ms)
{
    const cluster_node *node = find_target(document, id);
    if (node == nullptr)
        return refuse_unknown(id);
    if (!cluster_node_is_placed(*node) && !was_placed(document, *node)) {
        document_remove_node(document, id); // it holds nothing
        return accepted;
    }
    if (is_last(document, *node))
        return refusal("target " + node->id +
                       " is the last one that holds objects: add another target first, or give it another disk (etlctl target replace " +
                       node->id + ")");
    if (placement_refusal no = check_silence(
            *node, silent_ms, "If it can still run, its objects need not be lost: start it, then etlctl target drain " + node->id);
        no.err)
        return no;
    if (placement_refusal no = check_epoch(document, node->id, true); no.err)
        return no;
    begin_epoch(document);
    mark_lost(document, *node);
    document_remove_node(document, id);
    return accepted;
}

placement_refusal placement_replace(cluster_document &document, std::string_view id, std::string_view disk, uint64_t silent_ms)
{
    cluster_node *node = find_target(document, id);
    if (node == nullptr)
        return refuse_unknown(id);
    if (node->disk == disk)
        return accepted;
    if (cluster_node_is_placed(*node) || was_placed(document, *node)) {
        if (placement_refusal no = check_silence(
                *node, silent_ms, "If the former directory still works, start the target with that one instead");
            no.err)
            return no;
        if (placement_refusal no = check_epoch(document, node->id, true); no.err)
            return no;
        begin_epoch(document);
        mark_lost(document, *node);
    }
    node->disk = disk;
    return accepted;
}

placement_refusal placement_return(cluster_document &document, std::string_view id)
{
    cluster_node *node = find_target(document, id);
    if (node == nullptr)
        return refuse_unknown(id);
    if (placement_refusal no = check_epoch(document, id, true); no.err)
        return no;
    begin_epoch(document);
    for (former_epoch &epoch : document.placement.former) {
        for (placed_disk &target : epoch.targets) {
            if (!is_lost_row(target) || !placed_disk_is(target, *node))
                continue;
            target.standing = placed_standing::counts;
            target.settled = 0;
            target.disk = node->disk;
        }
    }
    if (node->want == node_want::placed)
        put_in(*node);
    return accepted;
}

placement_refusal placement_settle(cluster_document &document)
{
    cluster_placement &placement = document.placement;
    if (!placement_is_moving(placement))
        return refusal("no objects move");
    std::erase_if(placement.former, [](const former_epoch &epoch) { return !has_lost(epoch); });
    for (former_epoch &epoch : placement.former) {
        epoch.is_settled = true;
        for (placed_disk &target : epoch.targets) {
            if (!is_lost_row(target))
                target.standing = placed_standing::gone;
        }
    }
    placement.settled = placement.epoch++;
    return accepted;
}

placement_refusal placement_forget(cluster_document &document, std::string_view disk)
{
    cluster_placement &placement = document.placement;
    std::vector<placed_disk> lost = document_lost_disks(document);
    bool is_known = std::any_of(lost.begin(), lost.end(), [disk](const placed_disk &target) { return target.disk == disk; });
    if (!is_known)
        return refusal("no lost target has the disk \"" + text_escape(disk) + "\"", error_code::not_found);
    if (placement_is_moving(placement))
        return refusal("objects still move: wait until the rebalance has finished (etlctl cluster show), then try again");
    for (former_epoch &epoch : placement.former) {
        for (placed_disk &target : epoch.targets) {
            if (target.disk != disk)
                continue;
            target.standing = placed_standing::gone;
            target.settled = 0;
        }
    }
    std::erase_if(placement.former, [](const former_epoch &epoch) { return !has_lost(epoch); });
    placement.epoch++;
    return accepted;
}

void placement_recover(cluster_document &document)
{
    if (document.placement.epoch == 0)
        return;
    begin_epoch(document);
    document.placement.epoch += recovery_leap - 1;
}

} // namespace etlnode
