// SPDX-License-Identifier: MIT
// control/placement_epochs.h: which targets were placed in which epoch, what follows for one object, and how the table changes. Pure.
//
// Every change of the placed targets begins an epoch; no number is used twice. The table of the epoch in force is the flags of the nodes.
// The tables since the last settled epoch are `former`, because their targets may still hold objects that belong elsewhere now.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "codec/json.h"

namespace etlnode {

struct cluster_document;
struct cluster_node;

// What the operator wants of a target. The flags say what is in force: a target that is to be placed waits for its ETLs.
enum class node_want : uint8_t {
    placed,
    maintenance, // out until `target activate`
    leave,       // out for good: forgotten once it is empty and silent
};

// What a former epoch still says about one of its targets.
enum class placed_standing : uint8_t {
    counts, // it may hold objects that belong elsewhere now
    lost,   // it was taken out with its objects; it counts again when it returns
    gone,   // it holds none, or they were given up
};

// One target in the table of a former epoch.
struct placed_disk {
    std::string id;      // of its node at that time
    std::string disk;    // empty: it was lost before the node told it
    uint64_t digest = 0; // placement_digest(id)
    placed_standing standing = placed_standing::counts;
    uint64_t settled = 0; // of a lost one: the epoch that had settled last when it was lost
};

struct former_epoch {
    uint64_t number = 0;
    bool is_settled = false; // kept for the disks that were lost when it settled
    std::vector<placed_disk> targets;
};

struct cluster_placement {
    uint64_t epoch = 0; // 0: the document is from before epochs existed
    uint64_t settled = 0;
    std::vector<former_epoch> former; // newest first
};

// Lower case letters and digits, disk_id_size of them.
bool disk_id_is_good(std::string_view disk);

// --- questions about the whole table

// Whether the epoch in force gives objects to the node.
bool cluster_node_is_placed(const cluster_node &node);

// Whether a target of a former epoch counts.
bool placement_is_moving(const cluster_placement &placement);
// The epoch in force; documents from before epochs existed are in epoch 1.
uint64_t document_epoch(const cluster_document &document);
// The target that a former table names for an object; null if that table is empty.
const placed_disk *placement_former_owner(const former_epoch &epoch, uint64_t uname_digest);
// Whether the table's target is this node's disk.
bool placed_disk_is(const placed_disk &target, const cluster_node &node);
// The node that has the target's disk now; null: none.
const cluster_node *document_find_disk(const cluster_document &document, const placed_disk &target);
// The nodes whose disks count in a former epoch: they give, and each placed target waits for their `end`. Each once, by id.
std::vector<const cluster_node *> document_givers(const cluster_document &document);
// Whether a disk that has stored no later epoch than `stored` was set back, by a restored copy for example: it took part in settling a
// later one. What it holds may have been deleted since.
bool document_is_set_back(const cluster_document &document, const cluster_node &node, uint64_t stored);
// Disks that are lost: each once, newest epoch first.
std::vector<placed_disk> document_lost_disks(const cluster_document &document);

// --- questions about one object; `self` is the target that answers, `uname_digest` is placement_uname_digest(bucket, name)

// The former owners that must be asked about an object, each once: those that count in epochs >= `since`, without `self` and those that
// sent `end` (their disks). `since` is the bucket's created_epoch; or, for a row, also at least its tag. An owner that no node has now is
// reported by `out_is_missing`: then nothing can be said about the object.
std::vector<const cluster_node *> document_ask_set(const cluster_document &document, uint64_t uname_digest, const cluster_node &self,
    uint64_t since, std::span<const std::string> ended, bool &out_is_missing);
// Whether a row with this tag at its current owner is the newest without asking anyone.
bool document_is_authoritative(const cluster_document &document, uint64_t uname_digest, const cluster_node &self, uint64_t tag);
// Whether a target that has adopted `adopted`, but not yet the epoch in force, may answer for an object: it has owned it ever since.
bool document_may_decide(const cluster_document &document, uint64_t uname_digest, const cluster_node &self, uint64_t adopted);
// Whether a lost disk owned the object in a former epoch. Its delete then leaves a tombstone.
bool document_has_lost_owner(const cluster_document &document, uint64_t uname_digest);
// The tag of a row that is moved to its current owner: the epoch in force; but if a lost disk owned the object in a former epoch >= the
// row's tag, the smallest such epoch, so that the disk is asked again when it is back.
uint64_t document_moved_tag(const cluster_document &document, uint64_t uname_digest, uint64_t row_tag);
// New versions are greater than this.
uint64_t document_version_floor(const cluster_document &document);

// --- states, which are derived and never stored

enum class placement_state : uint8_t {
    fresh,       // shown as "new": not placed, and in no former epoch
    joining,     // placed, but not in every former epoch that counts
    active,      // placed
    draining,    // not placed, and it counts in a former epoch
    maintenance, // not placed, because the operator wants so, and empty
    lost,        // its disk is lost
};
extern const std::string_view placement_state_names[6];
placement_state document_placement_state(const cluster_document &document, const cluster_node &node);

// --- changes. Each begins an epoch, or refuses with `conflict` or `not_found`, changes nothing, and says in `out_why` what to do.

struct placement_refusal {
    error err;
    std::string why;
};

// Gives a document from before epochs existed epoch 1, settled, with the targets that are not in maintenance. Harmless for others.
void placement_begin(cluster_document &document);
// Places these targets. Those that are placed already make no difference; if none is left, nothing changes.
placement_refusal placement_join(cluster_document &document, std::span<const std::string> ids);
// The operator wants the target to be placed. It joins when it is ready, and stays where it is until then.
placement_refusal placement_want(cluster_document &document, std::string_view id);
// Takes a target out of the table; `want` is maintenance or leave. It gives what it holds. Refuses the last placed target.
placement_refusal placement_drain(cluster_document &document, std::string_view id, node_want want);
// A silent target will not come back: its disk is lost in every former epoch, and the node is removed.
placement_refusal placement_lose(cluster_document &document, std::string_view id, uint64_t silent_ms);
// The node's disk is lost, and another one takes its place in one epoch.
placement_refusal placement_replace(cluster_document &document, std::string_view id, std::string_view disk, uint64_t silent_ms);
// The disk of this node is lost, and it is back: it is a former owner again. If the node wants to be placed, it joins in the same epoch.
placement_refusal placement_return(cluster_document &document, std::string_view id);
// Every giver and every placed target has reported `settled` for the epoch in force.
placement_refusal placement_settle(cluster_document &document);
// A lost disk will never come back: what it held is given up. Refused while the cluster moves.
placement_refusal placement_forget(cluster_document &document, std::string_view disk);
// After a recovery of the cluster: a number that no target can have seen, with the present table as a former one. Nothing changes in a
// document from before epochs existed.
void placement_recover(cluster_document &document);
// A target that left and holds nothing more may be removed from the document.
bool placement_is_gone(const cluster_document &document, const cluster_node &node);

// --- the field "placement" of a heartbeat

struct placement_report {
    uint64_t adopted = 0; // epoch in which the target answers and decides
    uint64_t settled = 0; // epoch in which nothing is left to give or to take; 0: objects may still move
    bool etls_serve = false;
};

json_ptr placement_report_print(const placement_report &report);
// False: damaged. `tree` null: none.
bool placement_report_parse(const cJSON *tree, placement_report &out_report);

// --- the document's field "placement"

json_ptr placement_print(const cluster_placement &placement);
// False: damaged. `tree` null: none, which is epoch 0.
bool placement_parse(const cJSON *tree, cluster_placement &out_placement);

} // namespace etlnode
