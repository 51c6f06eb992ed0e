// SPDX-License-Identifier: MIT
// role/target/moves.h: objects that move between targets: questions to former owners, and what each side answers. For this folder.
//
// While the cluster moves, the owner of an object asks its former owners before it answers or decides (docs/PROTOCOL.md, "Objects that
// move").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "control/moved_row.h"
#include "object/sink.h"
#include "role/target/target.h"

namespace etlnode {

// --- calls to another target (peer_documents.cc)

// A call to another target, with this cluster's secret. `target`: path and query.
call_options target_peer_call(const target &t, const cluster_node &node, std::string method, const std::string &target);
// Starts it. While the target closes, target_cut_peer_calls ends it (error canceled), because the peer may let it wait for long.
void target_start_peer_call(target &t, call_options options);
void target_cut_peer_calls(target &t);
// Path and query of a message about moves: which epoch this target is in, and which disk it has.
std::string target_message_target(const target &t, std::string_view path, uint64_t epoch);
// The two targets are in different epochs: this one's document goes there, or that one's comes here. Completes once, later; then the
// caller looks again.
void target_exchange_documents(target &t, const cluster_node &node, void (*on_done)(void *arg), void *arg);

// --- who owns an object

// The target that owns the object now, if it is another one; null: this target does.
const cluster_node *target_owner_elsewhere(const target &t, std::string_view bucket, std::string_view name);
// Whether a row with this tag here is the newest version without asking anyone. Requires: this target owns the object.
bool target_row_is_newest(const target &t, std::string_view bucket, std::string_view name, uint64_t tag);

// --- what is known of an object (lesson.cc)

struct lesson_wish {
    std::string bucket, name;
    bool wants_copy = false;  // a newer copy elsewhere is fetched and stored here
    std::string without_disk; // not asked
    // Of a copy that the caller has in hand: only a newer one is fetched. Version 0: it has none.
    uint64_t given_version = 0, given_tag = 0;
    uint64_t copy_size_max = UINT64_MAX; // a larger one stays where it is (lesson.best_at)
};
struct lesson {
    error err; // set: nothing is known; `text` says why, for the client
    std::string text;
    uint64_t epoch = 0;       // all below was so in this epoch, which is in force
    index_row here;           // row or tombstone of this target, without content; version 0: none
    index_row best;           // the newest one of all
    std::string best_at;      // the node that has it; empty: here
    uint64_t removed_max = 0; // of the bucket, at those who were asked
};
using lesson_on_learnt = void (*)(void *arg, const lesson &learnt);
// Requires: this target owns the object. Completes once, later. The row that was found here may change at once, so the caller decides in
// this very call, or with a lookup of its own.
void target_learn(target &t, lesson_wish wish, lesson_on_learnt on_learnt, void *arg);
// Path and query of the question for an object, in the epoch in force.
std::string lesson_question_target(const target &t, const std::string &bucket, const std::string &name, uint64_t created_ns);
// Why an object cannot be served while objects move, for the client.
std::string lesson_refusal(const target &t, const std::string &bucket, const std::string &name, const std::string &why);
// What the client hears when `giver` has the content and answers so.
error lesson_judge_giver(const std::string &giver, int status, std::string &out_why);
// What a new version must exceed.
uint64_t lesson_version_above(const target &t, const lesson &learnt);

// --- contents of objects that have not moved (unmoved.cc)

// Answers another target with the content, or with the part that its Range asks for. Takes over the hold of `object`.
void target_give_content(target &t, exchange &x, const store_object *object);

// --- new versions (gate.cc)

// Whether this target, which owns the object, must learn what others have before it answers a miss or makes a new version.
bool target_must_learn(const target &t, std::string_view bucket, std::string_view name);
// For uploads and kept results; `arg` is the target. `by_job`: a job stores the object, also into a bucket that it fills.
put_gate target_put_gate(bool by_job = false);
// Why a target without a lease (target_has_lease) refuses changes.
std::string target_lease_text(const target &t);
// The rows that are handed to the index from now on carry the epoch in force.
void target_set_terms(target &t);

// --- requests for objects (objects_moving.cc)

// Whether this target knows the placement in which another target sent the request on. If not, it has been answered.
bool target_knows_placement(target &t, exchange &x);
// Answers a client's request with the owner's address.
void target_send_on(const target &t, exchange &x, const cluster_node &owner);
// The URL at which the owner takes a client's write.
std::string target_address_at(const target &t, const cluster_node &owner, const std::string &bucket, const std::string &name);
// Answers a pod's read with the owner's object.
void target_forward_read(target &t, exchange &x, const cluster_node &owner, const std::string &bucket, const std::string &name);
// The newest copy of the object is here afterwards, or there is none (lesson.here).
void target_bring_here(target &t, const std::string &bucket, const std::string &name, lesson_on_learnt on_here, void *arg);
// DELETE, with a tombstone if other targets may still have a copy. `text`: of a failure that has one.
void target_delete_moving(target &t, const std::string &bucket, const std::string &name,
    void (*on_done)(void *arg, error err, const std::string &text), void *arg);

// --- giving (rebalance.cc)

// Something has changed that a pass may follow: an epoch was adopted, the target is ready.
void target_rebalance_look(target &t);
// The pass ends soon; what is in flight completes, and is counted in t.store_calls.
void target_rebalance_stop(target &t);
// Ends what the pass still waits for at other targets.
void target_rebalance_cut(target &t);
void target_rebalance_free(target &t);

} // namespace etlnode
