// SPDX-License-Identifier: MIT
// role/target/placement.cc: how a target takes up a new epoch of placement, and when it has settled in it.
//
// Owns     t.placement.
// Knows    control, port/index.        Known by  document.cc, heartbeat.cc.
// Normal   a document with a new epoch is in force for requests at once. The epoch is adopted when the document is durable and every change
//          of the index that was handed over before has completed: what this target answers then includes all that it will ever have
//          acknowledged under older epochs.
// Fails    an index that cannot commit: the epoch is not adopted, and the next document or heartbeat tries again.
#include <algorithm>

#include "base/log.h"
#include "control/member_machine.h"
#include "port/index.h"
#include "role/target/moves.h"

namespace etlnode {

// --- adopting

static void tell_proxy(target &t)
{
    if (t.membership != nullptr)
        member_beat_now(*t.membership);
}

static bool is_misfit(const target &t)
{
    const cluster_node *self = document_find_node(t.document, t.id);
    return self != nullptr && !self->disk.empty() && self->disk != t.disk;
}

std::string target_misfit_text(const target &t)
{
    if (!t.unfit.empty())
        return "target " + t.id + " serves nothing, because the proxy refuses its data directory: " + t.unfit;
    if (!is_misfit(t))
        return {};
    return "target " + t.id + " serves nothing: its data directory (" + t.disk + ") is not the one that the cluster knows under this id (" +
           document_find_node(t.document, t.id)->disk + ")";
}

static void adopt(target &t)
{
    target_placement &now = t.placement;
    uint64_t epoch = document_epoch(t.document);
    if (now.adopted == epoch || is_misfit(t) || now.completed != epoch || t.stored.version < now.since_version)
        return;
    now.adopted = epoch;
    LOG(info, "placement", "epoch=%llu msg=\"adopted\"", static_cast<unsigned long long>(epoch));
    std::vector<target_adoption_waiter> ready;
    ready.swap(now.waiters);
    for (const target_adoption_waiter &waiter : ready)
        clock_post(*t.e, waiter.on_adopted, waiter.arg);
    target_rebalance_look(t);
    tell_proxy(t);
}

// The index commits in the order of the calls. So when this change has completed, those before it have, too.
struct index_barrier {
    target *t;
    uint64_t epoch;
};

static void begin_barrier(target &t);

static void on_barrier(void *arg, error err, index_change &)
{
    index_barrier barrier = *static_cast<index_barrier *>(arg);
    delete static_cast<index_barrier *>(arg);
    target &t = *barrier.t;
    t.placement.has_barrier = false;
    if (err && err.code != error_code::object_not_found) {
        LOG(warn, "placement", "epoch=%llu error=\"%s\" msg=\"the index could not commit, so the epoch is not adopted yet\"",
            static_cast<unsigned long long>(barrier.epoch), error_text(err));
    } else {
        t.placement.completed = barrier.epoch;
        if (barrier.epoch == document_epoch(t.document))
            adopt(t);
        else
            begin_barrier(t); // another epoch came meanwhile
    }
    open_count_end(t.store_calls);
}

static void begin_barrier(target &t)
{
    t.placement.has_barrier = true;
    open_count_begin(t.store_calls);
    index_change empty; // the removal of a row that cannot exist
    empty.what = index_change::kind::remove;
    index_commit(*t.e, std::move(empty), on_barrier, new index_barrier{&t, document_epoch(t.document)});
}

void target_placement_loaded(target &t)
{
    uint64_t epoch = document_epoch(t.document);
    t.placement.adopted = is_misfit(t) ? 0 : epoch;
    t.placement.completed = epoch;
    t.placement.since_version = t.document.version;
    target_set_terms(t);
}

void target_placement_taken(target &t, uint64_t former_epoch)
{
    uint64_t epoch = document_epoch(t.document);
    if (epoch != former_epoch) {
        t.placement.since_version = t.document.version;
        t.placement.ended.clear();
        t.placement.clean = 0;
    }
    target_set_terms(t);
    if (t.placement.completed != epoch && !t.placement.has_barrier)
        begin_barrier(t);
}

void target_placement_stored(target &t) { adopt(t); }

bool target_has_adopted(const target &t) { return t.placement.adopted == document_epoch(t.document); }

bool target_may_decide(const target &t, uint64_t uname_digest)
{
    if (target_has_adopted(t))
        return true;
    const cluster_node *self = document_find_node(t.document, t.id);
    return self != nullptr && document_may_decide(t.document, uname_digest, *self, t.placement.adopted);
}

void target_wait_adopted(target &t, void (*on_adopted)(void *arg), void *arg)
{
    if (target_has_adopted(t)) {
        clock_post(*t.e, on_adopted, arg);
        return;
    }
    t.placement.waiters.push_back({on_adopted, arg});
    if (t.placement.completed != document_epoch(t.document) && !t.placement.has_barrier)
        begin_barrier(t); // the last one failed
}

void target_placement_stop(target &t)
{
    std::vector<target_adoption_waiter> all;
    all.swap(t.placement.waiters);
    for (const target_adoption_waiter &waiter : all)
        clock_post(*t.e, waiter.on_adopted, waiter.arg);
}

// --- settling

bool target_has_settled(const target &t)
{
    if (!target_has_adopted(t) || t.placement.clean != t.placement.adopted)
        return false;
    const cluster_node *self = document_find_node(t.document, t.id);
    if (self == nullptr || !cluster_node_is_placed(*self))
        return true;
    for (const cluster_node *giver : document_givers(t.document)) {
        const std::vector<std::string> &ended = t.placement.ended;
        if (giver->id != t.id && std::find(ended.begin(), ended.end(), giver->disk) == ended.end())
            return false;
    }
    return true;
}

static void tell_if_settled(target &t, bool before)
{
    if (!before && target_has_settled(t))
        tell_proxy(t);
}

void target_note_clean(target &t, uint64_t epoch)
{
    bool before = target_has_settled(t);
    if (epoch == t.placement.adopted)
        t.placement.clean = epoch;
    tell_if_settled(t, before);
}

void target_note_ended(target &t, uint64_t epoch, std::string_view disk)
{
    bool before = target_has_settled(t);
    std::vector<std::string> &ended = t.placement.ended;
    if (epoch == document_epoch(t.document) && std::find(ended.begin(), ended.end(), disk) == ended.end())
        ended.emplace_back(disk);
    tell_if_settled(t, before);
}

// A target gets objects when its pods can transform them.
static bool etls_serve(const target &t)
{
    for (const cluster_etl &etl : t.document.etls) {
        etl_view view;
        if (etl.stage == etl_stage::running && !(t.etls != nullptr && etl_registry_find(*t.etls, etl.id, view) && view.ready))
            return false;
    }
    return true;
}

placement_report target_placement_report(const target &t)
{
    return {.adopted = t.placement.adopted, .settled = target_has_settled(t) ? t.placement.adopted : 0, .etls_serve = etls_serve(t)};
}

} // namespace etlnode
