// SPDX-License-Identifier: MIT
// role/target/document.cc: the target's copy of the cluster document, which buckets and ETLs follow. The data directory keeps it.
//
// Owns     t.document, the storing of one copy at a time.
// Knows    control, store, etl, transfer, held_answers.cc.        Known by  target.cc, node_api.cc, heartbeat.cc.
// Normal   a newer document takes effect at once: removed buckets are emptied, and ETLs synchronized. Then it is stored and acknowledged.
// Fails    a document of another cluster, or an older one, is refused. After a storage error it is not acknowledged, so the proxy resends
//          it.
#include "codec/url.h"
#include "role/target/target.h"
#include "role/target/uploads.h"

#include <iterator>

#include "base/check.h"
#include "base/log.h"
#include "base/text.h"
#include "port/meta.h"
#include "transfer/transfer.h"

namespace etlnode {

// --- ETLs

static void on_etl_change(void *arg, etl_ref &ref)
{
    target &t = *static_cast<target *>(arg);
    if (t.transfers != nullptr)
        transfer_host_etl_changed(*t.transfers, ref);
}

static void note_failure(target &t, const transfer_report &report)
{
    etl_failure failure;
    failure.wall_ns = clock_wall_ns(*t.e);
    failure.object = "ais://" + std::string(report.bucket) + "/" + std::string(report.name);
    failure.status = report.status;
    failure.text = report.text;
    failure.request_id = report.request_id;
    failure.was_cut = report.outcome == transfer_outcome::cut;
    etl_failures_add(t.failures, std::string(report.etl_id), std::move(failure));
}

static void on_transfer_end(void *arg, const transfer_report &report)
{
    target &t = *static_cast<target *>(arg);
    if (report.etl_id.empty())
        return;
    if (report.outcome != transfer_outcome::ok && report.outcome != transfer_outcome::redirected && !report.client_gone)
        note_failure(t, report);
    etl_metrics &m = t.metrics.etls[std::string(report.etl_id)];
    switch (report.outcome) {
    case transfer_outcome::ok: m.requests_ok++; break;
    case transfer_outcome::redirected: m.requests_redirected++; break;
    case transfer_outcome::pod_error: m.requests_pod_error++; break;
    case transfer_outcome::client_error: m.requests_client_error++; break;
    case transfer_outcome::timeout: m.requests_timeout++; break;
    case transfer_outcome::unavailable: m.requests_unavailable++; break;
    case transfer_outcome::failed: m.requests_failed++; break;
    case transfer_outcome::cut: m.requests_cut++; break;
    }
    m.unframed += report.unframed;
    m.in_bytes += report.in_bytes;
    m.out_bytes += report.out_bytes;
    latency_add(m.latency, report.duration_ms);
}

// Called once the cluster is known, because pods carry its id.
static bool admits_interim(void *arg, const std::string &bucket, const std::string &name, std::string &out_why)
{
    return target_space_admits(*static_cast<target *>(arg), bucket, name, 0, out_why);
}

// Where pods put results. A pod of kubectl-local knows this target under this very address only if that is of the loopback interface.
static std::string direct_url_of(const target &t)
{
    url_base base;
    if (!url_parse_base(t.pod_url, base) || (t.options.kubectl_is_local && !base.host.starts_with("127.")))
        return {};
    return url_format_base(base.host, base.port);
}

void target_begin_etls(target &t)
{
    if (t.etls != nullptr)
        return;
    etl_registry_options options;
    options.kubectl = t.options.kubectl;
    options.kubectl_is_local = t.options.kubectl_is_local;
    options.node_name = t.options.node_name;
    options.cluster_id = t.document.uuid;
    options.target_id = t.id;
    options.pod_url = t.pod_url;
    options.owner_name = t.options.pod_name;
    options.owner_uid = t.options.pod_uid;
    options.security = t.options.security;
    options.node_address = t.options.node_address;
    options.require_framing = t.options.require_framing;
    options.on_change = on_etl_change;
    options.arg = &t;
    t.etls = etl_registry_make(*t.e, options);
    transfer_host_options transfers;
    transfers.node_id = t.id;
    transfers.pod_ready_wait_ms = t.options.pod_ready_wait_ms;
    transfers.on_end = on_transfer_end;
    transfers.on_none = target_note_work_ended;
    transfers.admits_interim = admits_interim;
    transfers.direct_url = direct_url_of(t);
    transfers.arg = &t;
    t.transfers = transfer_host_make(*t.e, *t.objects, *t.etls, transfers);
    etl_registry_begin(*t.etls);
}

bool target_runs_pods(const target &t)
{
    const cluster_node *self = document_find_node(t.document, t.id);
    return self == nullptr || t.document.placement.epoch == 0 ||
           document_placement_state(t.document, *self) != placement_state::maintenance;
}

void target_sync_etls(target &t)
{
    if (t.etls == nullptr || !t.was_accepted || lifecycle_is_draining(t.life))
        return;
    std::vector<etl_wanted> wanted;
    for (const cluster_etl &etl : t.document.etls) {
        if (etl.stage != etl_stage::aborted && target_runs_pods(t))
            wanted.push_back({&etl, etl.stage == etl_stage::initializing});
    }
    etl_registry_sync(*t.etls, wanted);
    for (auto it = t.metrics.etls.begin(); it != t.metrics.etls.end();) {
        const cluster_etl *etl = document_find_etl(t.document, it->first);
        bool keep = etl != nullptr && etl->id == it->first;
        if (!keep)
            t.failures.erase(it->first);
        it = keep ? std::next(it) : t.metrics.etls.erase(it);
    }
}

const etl_definition *target_definition_for_pod(const target &t, const std::string &etl_id)
{
    etl_view view;
    if (etl_registry_find(*t.etls, etl_id, view))
        return view.definition;
    const cluster_etl *known = t.was_accepted ? nullptr : document_find_etl(t.document, etl_id);
    return known != nullptr && known->stage != etl_stage::aborted ? known : nullptr;
}

// Starts that were in progress when this target ended: their callers have learnt that they failed.
void target_abandon_starts(target &t)
{
    for (const cluster_etl &etl : t.document.etls) {
        if (etl.stage == etl_stage::initializing)
            etl_registry_abandon(*t.etls, etl.id, etl.generation_id);
    }
}

// --- storing

static void release_waiters(target &t, error err)
{
    std::vector<target_waiter> ready;
    for (size_t i = 0; i < t.waiters.size();) {
        if (!err && t.waiters[i].version > t.stored.version) {
            i++;
            continue;
        }
        ready.push_back(t.waiters[i]);
        t.waiters.erase(t.waiters.begin() + static_cast<std::ptrdiff_t>(i));
    }
    for (const target_waiter &waiter : ready)
        waiter.on_stored(waiter.arg, err);
}

static void store_document(target &t);

struct document_swap {
    target *t;
    document_identity identity;
};

// Another version is stored, because an earlier swap that seemed to fail has succeeded: continue from it.
static void on_stored_version(void *arg, error err, uint64_t version, const std::string &text)
{
    target &t = *static_cast<target *>(arg);
    t.storing = false;
    cluster_document stored;
    if (!err)
        err = document_parse(text, stored);
    if (!err)
        t.stored = document_identify(stored);
    if (!err && version < t.document.version) {
        store_document(t);
        return;
    }
    release_waiters(t, err);
    target_note_work_ended(&t);
}

static void note_stored(target &t, const document_identity &identity)
{
    t.stored = identity;
    target_placement_stored(t);
    if (identity.version != t.document.version)
        return;
    t.document_text.clear();
    t.document_text.shrink_to_fit();
}

static void on_swap(void *arg, error err)
{
    document_swap swap = *static_cast<document_swap *>(arg);
    delete static_cast<document_swap *>(arg);
    target &t = *swap.t;
    if (err.code == error_code::conflict) {
        meta_read(*t.e, target_document_name, on_stored_version, &t);
        return;
    }
    t.storing = false;
    if (err)
        LOG(error, "cluster", "version=%llu error=\"%s\" msg=\"the cluster document could not be stored\"",
            static_cast<unsigned long long>(swap.identity.version), error_text(err));
    else
        note_stored(t, swap.identity);
    release_waiters(t, err);
    if (!err)
        store_document(t);
    target_note_work_ended(&t);
}

static void on_orphans_stored(target &t, error err)
{
    t.storing = false;
    if (err)
        release_waiters(t, err);
    else
        store_document(t);
    target_note_work_ended(&t);
}

// Called after the removals of buckets. After a crash in between, the old document is found, and the buckets are removed again.
static void store_document(target &t)
{
    if (t.storing || t.removals > 0 || !t.failed_removals.empty() || t.stored.version == t.document.version)
        return;
    t.storing = true;
    if (t.has_unstored_orphans) {
        target_orphans_store(t, on_orphans_stored);
        return;
    }
    meta_swap(*t.e, target_document_name, t.stored.version, t.document.version, t.document_text, on_swap,
        new document_swap{&t, document_identify(t.document)});
}

struct bucket_removal {
    target *t;
    std::string bucket;
};

static void on_removed(void *arg, error err)
{
    bucket_removal removal = std::move(*static_cast<bucket_removal *>(arg));
    delete static_cast<bucket_removal *>(arg);
    target &t = *removal.t;
    if (err) {
        LOG(error, "store", "bucket=%s error=\"%s\" msg=\"the objects of a removed bucket could not be removed\"",
            text_escape(removal.bucket).c_str(), error_text(err));
        t.failed_removals.push_back(removal.bucket);
    } else {
        t.emptying.erase(t.emptying.find(removal.bucket));
    }
    t.removals--;
    if (t.removals > 0)
        return;
    if (!t.failed_removals.empty()) // not acknowledged: the proxy pushes again, and target_wait_stored retries
        release_waiters(t, make_error(error_code::io, "the objects of a removed bucket could not be removed"));
    else
        store_document(t);
    target_note_work_ended(&t);
}

static void retry_removal(target &t, const std::string &bucket)
{
    t.removals++;
    store_remove_bucket(*t.objects, bucket, on_removed, new bucket_removal{&t, bucket});
}

// Until it is done, the bucket is closed, even if it is re-created meanwhile: a failed removal is retried and must find no new objects.
static void begin_removal(target &t, const std::string &bucket)
{
    t.emptying.insert(bucket);
    retry_removal(t, bucket);
}

bool target_has_bucket(void *arg, std::string_view bucket, uint64_t created_ns)
{
    const cluster_bucket *found = document_find_bucket(static_cast<target *>(arg)->document, bucket);
    return found != nullptr && found->created_ns == created_ns;
}

std::string target_emptying_text(const target &t, const std::string &bucket)
{
    return t.emptying.contains(bucket) ? "bucket \"ais://" + text_escape(bucket) + "\" on target " + t.id +
                                             ": the objects of the former bucket of that name are still being removed"
                                       : std::string();
}

std::string target_move_text(const target &t, std::string_view bucket, bool by_job)
{
    return t.bucket_moves.empty() ? std::string() : bucket_move_refusal(t.bucket_moves, bucket, by_job);
}

void target_wait_stored(target &t, void (*on_stored)(void *arg, error err), void *arg)
{
    t.waiters.push_back({t.document.version, on_stored, arg});
    std::vector<std::string> again;
    again.swap(t.failed_removals);
    for (const std::string &bucket : again)
        retry_removal(t, bucket);
    store_document(t);
    if (!t.storing && t.removals == 0)
        release_waiters(t, no_error);
}

// --- taking

// Delete the objects of every bucket that was destroyed, or destroyed and re-created, so that they do not appear in the new one.
static void remove_old_buckets(target &t, const cluster_document &next)
{
    for (const std::string &bucket : target_orphans_sort_out(t, next)) {
        LOG(info, "store", "bucket=%s msg=\"the bucket was removed; its objects are being removed\"", text_escape(bucket).c_str());
        begin_removal(t, bucket);
    }
}

void target_note_odds(target &t, const std::string &why)
{
    if (!why.empty() && t.odds.empty())
        LOG(error, "cluster", "reason=\"%s\" msg=\"the documents of the proxy and of this target do not go together\"",
            text_escape(why).c_str());
    t.odds = why;
}

void target_take_document(target &t, cluster_document document, std::string_view text)
{
    CHECK(document.version > t.document.version);
    remove_old_buckets(t, document);
    uint64_t former_epoch = document_epoch(t.document);
    t.document = std::move(document);
    t.document_text = text;
    t.odds.clear();
    target_begin_etls(t);
    target_sync_etls(t);
    target_sync_jobs(t);
    target_held_document_taken(t);
    target_orphans_count(t);
    target_review_uploads(t);
    target_placement_taken(t, former_epoch);
    if (!lifecycle_has_joined(t.life))
        LOG(info, "cluster", "cluster=%s version=%llu msg=\"the target has a cluster document and is ready\"", t.document.uuid.c_str(),
            static_cast<unsigned long long>(t.document.version));
    if (!lifecycle_has_joined(t.life))
        lifecycle_joined(t.life);
    store_document(t);
}

error target_take_document_text(target &t, std::string_view text, std::string &out_detail)
{
    cluster_document document;
    if (error err = document_parse(text, document)) {
        out_detail = std::string("the cluster document cannot be read: ") + error_text(err);
        return err;
    }
    if (t.document.version > 0 && document.uuid != t.document.uuid) {
        out_detail = "this target belongs to cluster " + t.document.uuid + ", the document is of cluster " + document.uuid +
                     "; a target with an empty data directory can join";
        return make_error(error_code::conflict);
    }
    switch (document_relate(document_identify(t.document), document)) {
    case document_relation::equal: t.odds.clear(); return no_error;
    case document_relation::ancestor: target_take_document(t, std::move(document), text); return no_error;
    case document_relation::newer:
    case document_relation::diverged: break;
    }
    document_identity theirs = document_identify(document);
    bool is_older = document_relate(theirs, t.document) == document_relation::ancestor;
    out_detail = "target " + t.id + " holds " + document_identity_text(document_identify(t.document)) +
                 " of the cluster document, the proxy " + document_identity_text(theirs) +
                 (is_older ? ": the proxy's data directory is older. It takes the newer document when it has heard every target that this "
                             "document names; if one of them is gone: etlctl cluster recover --without TARGET"
                           : ": they have diverged, one of the two data directories was restored or copied. To see how they differ, and to "
                             "choose: etlctl cluster recover");
    if (!is_older) // an older document may only have been overtaken; a proxy without a newer one refuses our registration
        target_note_odds(t, out_detail);
    return make_error(is_older ? error_code::newer_version : error_code::diverged);
}

// --- loading

struct target_load {
    target *t;
    void (*on_loaded)(target &t, error err, const std::string &detail);
};

static void on_read(void *arg, error err, uint64_t version, const std::string &text)
{
    target_load load = *static_cast<target_load *>(arg);
    delete static_cast<target_load *>(arg);
    target &t = *load.t;
    if (!err && version > 0)
        err = document_parse(text, t.document);
    if (err) {
        load.on_loaded(t, err, std::string("the cluster document in the data directory could not be read: ") + error_text(err));
        return;
    }
    t.stored = document_identify(t.document);
    target_placement_loaded(t);
    if (version > 0 && t.document.version != version) {
        load.on_loaded(t, make_error(error_code::corrupt), "the cluster document in the data directory has a version that is not its own");
        return;
    }
    target_orphans_load(t, load.on_loaded);
}

void target_document_load(target &t, void (*on_loaded)(target &t, error err, const std::string &detail))
{
    meta_read(*t.e, target_document_name, on_read, new target_load{&t, on_loaded});
}

} // namespace etlnode
