// SPDX-License-Identifier: MIT
// role/proxy/backup.cc: gives the whole cluster document, with the secrets of its ETLs, and takes one back.
//
// Knows    gather.cc, control/recovery.        Known by  routes.cc.
// Normal   a restored document goes on in a term of its own, so that every target takes it.
// Fails    409 if a node holds a newer document of the backup's line: recovering that loses less. `force_old` then puts back the ETLs, and
//          the buckets that are missing; nodes and counters stay those of the newest document.
// Limits   document_size_max.
#include <algorithm>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/json.h"
#include "codec/url.h"
#include "control/peer.h"
#include "role/proxy/request.h"

namespace etlnode {

// --- GET /v1/cluster/backup

static void serve_backup(proxy &p, exchange &x, const route_match &)
{
    if (!peer_admit(p.options.cluster_secret, x))
        return;
    if (std::string behind = proxy_behind_text(p); !behind.empty()) {
        exchange_answer_error(x, error_code::diverged, "this would not be the newest document: " + behind);
        return;
    }
    answer a;
    a.content_type = "application/json";
    a.body = p.documents.text;
    exchange_answer(x, std::move(a));
}

// --- POST /v1/cluster/restore

struct restore_request : proxy_request {
    cluster_document backup;
    bool is_forced = false;
    std::string take; // whose bucket goes on if two have one name: "backup" or "newest"; empty: nobody has chosen
    document_identity before;
    cluster_document made;
};

static error apply_restore(restore_request &r, cluster_document &next)
{
    if (!(document_identify(next) == r.before))
        return make_error(error_code::conflict, "the proxy's own document was changed meanwhile");
    next = r.made;
    proxy_document_take_over(*r.p, next);
    return no_error;
}

static void on_restored_everywhere(void *arg)
{
    restore_request &r = *static_cast<restore_request *>(arg);
    json_ptr tree = json_object();
    json_add_text(tree.get(), "cluster", proxy_document(*r.p).uuid);
    json_add_u64(tree.get(), "version", proxy_document(*r.p).version);
    proxy_request_answer_json(r, tree.get());
}

static void on_restored(restore_request &r, error err)
{
    if (err) {
        proxy_request_fail(r, err.code, error_text(err));
        return;
    }
    proxy &p = *r.p;
    LOG(warn, "cluster", "cluster=%s version=%llu backup=%llu msg=\"a backup of the cluster document was restored\"",
        proxy_document(p).uuid.c_str(), static_cast<unsigned long long>(proxy_document(p).version),
        static_cast<unsigned long long>(r.backup.version));
    proxy_document_replaced(p);
    proxy_wait_pushed(p, on_restored_everywhere, &r);
}

static bool descends_from(const cluster_document &document, const cluster_document &old)
{
    return document_relate(document_identify(old), document) == document_relation::ancestor;
}

static void store_restored(restore_request &r, const std::vector<document_copy> &copies, size_t chosen)
{
    r.made = recovery_continue(copies, chosen, rng_next(r.p->e->random), recovery_kind::recovered);
    r.is_recovery = true;
    proxy_request_change<apply_restore, on_restored>(r, false);
}

// The newest document with the backup's ETLs and buckets.
static void force(restore_request &r, std::vector<document_copy> copies, size_t newest)
{
    restore_result result = recovery_restore(copies[newest].document, r.backup, r.take == "backup");
    if (!result.disputed.empty() && r.take.empty()) {
        std::string names;
        for (const std::string &name : result.disputed)
            names += (names.empty() ? "" : ", ") + text_escape(name);
        proxy_request_fail(r, error_code::conflict,
            "these buckets were destroyed and made again after the backup: " + names +
                ". Choose: --take newest keeps their objects, --take backup deletes them");
        return;
    }
    copies[newest].document = std::move(result.document);
    store_restored(r, copies, newest);
}

// Without copies of the cluster, nothing contradicts the backup.
static void decide(restore_request &r, std::vector<document_copy> copies)
{
    const document_copy *newer = nullptr;
    bool has_diverged = false;
    for (const document_copy &copy : copies) {
        bool is_newer = descends_from(copy.document, r.backup);
        newer = is_newer ? &copy : newer;
        has_diverged = has_diverged || (!is_newer && !descends_from(r.backup, copy.document) &&
                                           !(document_identify(copy.document) == document_identify(r.backup)));
    }
    if (!r.is_forced && (newer != nullptr || has_diverged)) {
        proxy_request_fail(r, error_code::diverged,
            newer != nullptr
                ? "node " + newer->holders[0] + " holds " + document_identity_text(document_identify(newer->document)) +
                      ", which descends from the backup's " + document_identity_text(document_identify(r.backup)) +
                      ": etlctl cluster recover loses nothing. To put back the backup's ETLs and buckets all the same: --force-old"
                : "the documents of the nodes have diverged from the backup: etlctl cluster recover shows how");
        return;
    }
    recovery_choice choice = recovery_choose(copies, {});
    if (newer == nullptr && !has_diverged) {
        copies.push_back({.document = r.backup, .holders = {}});
        store_restored(r, copies, copies.size() - 1);
    } else if (choice.chosen == SIZE_MAX) {
        proxy_request_fail(r, error_code::diverged, choice.problem + " first: etlctl cluster recover");
    } else {
        force(r, std::move(copies), choice.chosen);
    }
}

static void on_copies(void *arg, document_gather &g)
{
    restore_request &r = *static_cast<restore_request *>(arg);
    if (g.is_stopped) {
        proxy_request_fail(r, error_code::stopping, error_code_text(error_code::stopping));
        return;
    }
    const cluster_document &own = proxy_document(*r.p);
    r.before = document_identify(own);
    if (own.uuid == r.backup.uuid)
        g.copies.push_back({.document = own, .holders = {r.p->id}});
    decide(r, std::move(g.copies));
}

static void on_body(restore_request &r, std::string body)
{
    proxy &p = *r.p;
    if (error err = document_parse(body, r.backup)) {
        proxy_request_fail(r, error_code::bad_request, std::string("this is no backup of a cluster document: ") + error_text(err));
        return;
    }
    const cluster_document &own = proxy_document(p);
    if (own.uuid != r.backup.uuid && !proxy_target_peers(p).empty()) {
        proxy_request_fail(r, error_code::conflict,
            "the backup is of cluster " + text_escape(r.backup.uuid) + ", and this proxy serves cluster " + own.uuid +
                ", which has targets of its own: start a proxy with an empty data directory");
        return;
    }
    if (!p.starts.empty()) {
        proxy_request_fail(r, error_code::conflict, "an ETL is being started: try again when that has ended");
        return;
    }
    std::vector<std::string> urls;
    for (const cluster_document *document : {&own, static_cast<const cluster_document *>(&r.backup)}) {
        for (const cluster_node &node : document->nodes) {
            if (node.is_target)
                urls.push_back(node.url);
        }
    }
    for (const auto &[id, stranger] : p.strangers)
        urls.push_back(stranger.url);
    for (const auto &[id, ahead] : p.ahead)
        urls.push_back(ahead.url);
    if (urls.empty()) {
        r.before = document_identify(own);
        std::vector<document_copy> copies;
        if (own.uuid == r.backup.uuid)
            copies.push_back({.document = own, .holders = {p.id}});
        decide(r, std::move(copies));
    } else if (!proxy_gather_begin(p, std::move(urls), r.backup.uuid, on_copies, &r)) {
        proxy_request_fail(r, error_code::conflict, "the nodes are being asked for their documents already: try again in a moment");
    }
}

static void serve_restore(proxy &p, exchange &x, const route_match &)
{
    if (!peer_admit(p.options.cluster_secret, x))
        return;
    std::string forced, take;
    url_query_get(exchange_head(x).query, "force_old", forced);
    url_query_get(exchange_head(x).query, "take", take);
    if (!take.empty() && take != "backup" && take != "newest") {
        exchange_answer_error(x, error_code::bad_request, "take=" + text_escape(take) + ": there are backup and newest");
        return;
    }
    restore_request &r = proxy_request_make<restore_request>(p, x);
    r.is_forced = text_is_true(forced);
    r.take = take;
    proxy_request_read<on_body>(r, document_size_max);
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/cluster/backup", serve_backup, "the whole cluster document, with secrets"),
    ROUTE("POST", "/v1/cluster/restore", serve_restore, "takes such a document back; `?force_old=true`, `?take=backup|newest`"),
};
extern constinit const std::span<const route> proxy_backup_routes = rows;

} // namespace etlnode
