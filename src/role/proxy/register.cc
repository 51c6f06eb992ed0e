// SPDX-License-Identifier: MIT
// role/proxy/register.cc: POST /v1/node/register: targets join, return, and send heartbeats.
//
// Knows    control, http.        Known by  routes.cc.
// Normal   a known target is heard, and gets the document in the answer if it holds an older one. A new target is added to the document.
// Fails    409 for another cluster, a document that does not match ours, two targets with one id, or another disk under a known id.
// Limits   target_count_max, stranger_count_max.
#include "role/proxy/jobs.h"
#include "role/proxy/request.h"

#include <algorithm>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/json.h"
#include "codec/url.h"
#include "control/peer.h"
#include "control/placement.h"
#include "port/clock.h"
#include "role/shared/node_id.h"

namespace etlnode {

struct registration_request : proxy_request {
    cluster_node node;
    document_identity peer_document; // the document that it has stored
    bool is_peer_of_cluster = false; // it was in this cluster before
    uint64_t peer_started_ns = 0;    // 0: a target of a former version, which does not report it
    uint64_t peer_objects = 0;
    std::vector<proxy_orphan> peer_orphans;
    placement_report peer_placement;
    std::string why; // a refused change
    bool is_peer_count_known = false;
    bool is_change_count_known = false;
    uint64_t peer_changes = 0; // of its index
    node_capacity peer_capacity;
    std::vector<job_report> peer_jobs;
};

static void note_registered(registration_request &r)
{
    proxy_target &target = proxy_target_of(*r.p, r.node.id);
    target.object_count = r.peer_objects;
    target.is_count_known = r.is_peer_count_known;
    target.orphans = std::move(r.peer_orphans);
    target.capacity = r.peer_capacity;
    target.placement = r.peer_placement;
    proxy_note_count(*r.p, r.node, target, r.peer_changes);
    target.other_disk.clear();
    target.refusal.clear();
    target.is_ousted = false;
    target.jobs = std::move(r.peer_jobs);
    proxy_note_registered(target, r.peer_document.version);
    proxy_jobs_settle(*r.p);
}

static void answer_member(registration_request &r)
{
    proxy &p = *r.p;
    note_registered(r);
    p.counts.registrations++;
    answer a;
    if (r.peer_document.version == proxy_document(p).version) { // and equal: on_registration has compared them
        a.status = 204;
    } else {
        a.content_type = "application/json";
        a.body = p.documents.text;
    }
    proxy_request_answer(r, std::move(a));
    proxy_placement_check(p);
}

static bool may_hold_objects(const registration_request &r) { return !r.is_peer_count_known || r.peer_objects > 0; }

static bool is_lost_disk(const cluster_document &document, const cluster_node &node)
{
    std::vector<placed_disk> lost = document_lost_disks(document);
    return std::any_of(lost.begin(), lost.end(), [&](const placed_disk &one) { return placed_disk_is(one, node); });
}

// A new target joins when it is ready; one that was lost gives what it has. Without buckets there is nothing to wait for.
static error apply_new_member(registration_request &r, cluster_document &next)
{
    r.node.flags = node_flag_maintenance;
    cluster_node &node = document_put_node(next, r.node);
    placement_refusal refused;
    if (is_lost_disk(next, node)) {
        proxy_target_of(*r.p, r.node.id).member_version = next.version + 1; // until it holds that, it would serve what is older
        refused = placement_return(next, r.node.id);
    } else if (next.buckets.empty()) {
        std::string ids[] = {r.node.id};
        refused = placement_join(next, ids);
    } else if (!r.p->options.auto_activate) {
        node.want = node_want::maintenance;
    }
    r.why = refused.why;
    return refused.err;
}

static error apply_member(registration_request &r, cluster_document &next)
{
    if (cluster_node *known = document_find_node(next, r.node.id)) {
        known->url = r.node.url;
        if (known->disk.empty())
            known->disk = r.node.disk;
        return no_error;
    }
    size_t targets = 0;
    for (const cluster_node &node : next.nodes)
        targets += node.is_target ? 1 : 0;
    if (targets >= target_count_max)
        return make_error(error_code::conflict, "the cluster has as many targets as it may have");
    return apply_new_member(r, next);
}

static void on_member_stored(registration_request &r, error err)
{
    if (err) {
        r.p->counts.registrations_refused++;
        proxy_request_fail(r, err.code, r.why.empty() ? error_text(err) : r.why.c_str());
        return;
    }
    answer_member(r);
}

static void refuse_member(registration_request &r, error_code code, const std::string &text)
{
    r.p->counts.registrations_refused++;
    LOG(warn, "cluster", "peer=%s reason=\"%s\" msg=\"registration refused\"", exchange_peer(*r.x).c_str(), text_escape(text).c_str());
    proxy_request_fail(r, code, text);
}

static void refuse_stranger(registration_request &r, std::string_view uuid)
{
    proxy &p = *r.p;
    const std::string &own = proxy_document(p).uuid;
    if (p.strangers.size() < stranger_count_max || p.strangers.find(r.node.id) != p.strangers.end())
        p.strangers[r.node.id] = {
            .cluster = std::string(uuid), .peer = exchange_peer(*r.x), .url = r.node.url, .heard_ms = clock_now_ms(*p.e)};
    refuse_member(r, error_code::conflict,
        "target " + r.node.id + " belongs to cluster " + text_escape(uuid) + ", this is cluster " + own + ". If the proxy of " +
            text_escape(uuid) + " has lost its data directory: take its document from the targets (etlctl cluster recover --from " +
            r.node.url + "), their objects are untouched. If the target is to join this cluster: start it with an empty data directory");
}

static void refuse_lineage(registration_request &r, document_relation relation)
{
    bool is_newer = relation == document_relation::newer;
    std::string text = "target " + r.node.id + " holds " + document_identity_text(r.peer_document) +
                       " of the cluster document, the proxy " + document_identity_text(document_identify(proxy_document(*r.p)));
    text += is_newer
                ? ": the proxy's data directory is older. It takes the newer document when it has heard every target that this document "
                  "names; if one of them is gone: etlctl cluster recover --without TARGET"
                : ": they have diverged, one of the two data directories was restored or copied. To see how they differ, and to choose: "
                  "etlctl cluster recover";
    if (document_find_node(proxy_document(*r.p), r.node.id) != nullptr)
        proxy_note_odds(proxy_target_of(*r.p, r.node.id), text);
    if (is_newer)
        proxy_note_ahead(*r.p, r.node.id, r.node.url, text);
    else
        proxy_note_not_ahead(*r.p, r.node.id);
    refuse_member(r, is_newer ? error_code::newer_version : error_code::diverged, text);
}

// People see why the target does not take part. `shown`: the sentence for them.
static void note_refused(registration_request &r, const cluster_node &known, std::string shown)
{
    proxy_target &target = proxy_target_of(*r.p, known.id);
    target.refusal = std::move(shown);
    target.is_ousted = known.url == r.node.url;
}

// An empty directory under the id of one that holds objects would answer that they do not exist.
static void refuse_disk(registration_request &r, const cluster_node &known)
{
    if (is_lost_disk(proxy_document(*r.p), r.node)) {
        std::string why = "the data directory of target " + r.node.id + " (" + r.node.disk + ") was given up, and another one (" +
                          known.disk +
                          ") has its place. To get back what only this one holds, let the other one leave first: etlctl target drain " +
                          r.node.id + ", etlctl target rm " + r.node.id + ", stop it, and start this one when the other one is forgotten";
        note_refused(r, known, "it is refused: " + why);
        refuse_member(r, error_code::other_epoch, why);
        return;
    }
    note_refused(r, known,
        "it came back with another data directory, and is refused: start it with the former one, or give up what only that one held: "
        "etlctl target replace " +
            known.id);
    proxy_target_of(*r.p, r.node.id).other_disk = r.node.disk;
    refuse_member(r, error_code::other_epoch,
        "target " + r.node.id + " has another data directory (" + r.node.disk + ") than before (" + known.disk +
            "): start it with that one. If it is lost, give it up with what only it held: etlctl target replace " + r.node.id);
}

// Its directory was restored from a copy: a later epoch has settled with it, or its index had changed more often.
static bool is_set_back(const registration_request &r, const cluster_node &member)
{
    return document_is_set_back(proxy_document(*r.p), member, r.peer_placement.adopted) ||
           (r.is_change_count_known && proxy_is_set_back(*r.p, r.node.disk, r.peer_changes));
}

static std::string set_back_text(const registration_request &r)
{
    return "target " + r.node.id + " has an older state of its data directory (" + r.node.disk +
           "): it was restored or copied. What it holds may have been deleted since, so it cannot be used. Start the target with the "
           "newest state, or take it out with what only it held (etlctl target rm " +
           r.node.id + ") and start it with an empty directory";
}

// Why epochs of placement do not admit it; empty: they do.
static std::string misplacement(const registration_request &r, const cluster_node *known)
{
    const cluster_document &document = proxy_document(*r.p);
    cluster_node member = known != nullptr ? *known : r.node;
    if (known == nullptr)
        member.flags = node_flag_maintenance; // a new target has settled nothing
    if (is_set_back(r, member))
        return set_back_text(r);
    if (known != nullptr)
        return {};
    for (const cluster_node &node : document.nodes) {
        if (node.is_target && !r.node.disk.empty() && node.disk == r.node.disk)
            return "target " + r.node.id + " has the data directory of target " + node.id + ": start it under that id";
    }
    if (r.is_peer_of_cluster && may_hold_objects(r) && !is_lost_disk(document, r.node))
        return "target " + r.node.id + " has objects of this cluster from an earlier time (" +
               (r.is_peer_count_known ? text_format("%llu", static_cast<unsigned long long>(r.peer_objects))
                                      : std::string("an unknown number")) +
               "), which may have been overwritten or deleted since: start it with an empty data directory";
    return {};
}

static bool has_other_disk(const registration_request &r, const cluster_node &known)
{
    return !known.disk.empty() && !r.node.disk.empty() && known.disk != r.node.disk;
}

// The first field of a registration that is not a number; empty: all are valid. A target of a former version omits some.
static std::string wrong_number(const cJSON *tree)
{
    for (const char *key :
        {"document_version", "document_term", "document_tag", "document_digest", "object_count", "change_count", "started_ns"}) {
        bool is_right = json_get(tree, key) == nullptr || json_u64(tree, key, 0) == json_u64(tree, key, 1); // an unfit one is the fallback
        if (!is_right)
            return std::string(key) + ": expected a whole number";
    }
    return {};
}

// False: they are damaged.
static bool read_orphans(const cJSON *tree, std::vector<proxy_orphan> &out_orphans)
{
    const cJSON *list = json_get(tree, "orphans");
    if (list != nullptr && !cJSON_IsArray(list))
        return false;
    const cJSON *row = nullptr;
    cJSON_ArrayForEach(row, list)
    {
        proxy_orphan orphan;
        if (!json_read_text(row, "name", bucket_name_size_max, orphan.bucket.name) ||
            !json_read_u64(row, "created_ns", orphan.bucket.created_ns) || !json_read_u64(row, "objects", orphan.objects))
            return false;
        if (out_orphans.size() < orphans_reported_max)
            out_orphans.push_back(std::move(orphan));
    }
    return true;
}

static void admit_member(registration_request &r)
{
    proxy &p = *r.p;
    const cluster_document &document = proxy_document(p);
    const cluster_node *known = document_find_node(document, r.node.id);
    LOG(info, "cluster", "target=%s url=%s msg=\"%s\"", r.node.id.c_str(), text_escape(r.node.url).c_str(),
        known == nullptr           ? "a new target"
        : known->url != r.node.url ? "a target has a new URL"
                                   : "a target has told the id of its data directory");
    proxy_request_change<apply_member, on_member_stored>(r, false);
}

// Two processes with one id, one of them on a copy of the other's data directory, would alternate, and objects would go to either.
static void on_former(registration_request &r, std::vector<broadcast_answer> answers)
{
    const cluster_node *known = document_find_node(proxy_document(*r.p), r.node.id);
    json_ptr tree;
    std::string where;
    bool is_other = known != nullptr && broadcast_succeeded(answers[0]) && !json_parse(answers[0].body, tree, where) &&
                    json_text(tree.get(), "id") == r.node.id;
    uint64_t started_ns = is_other ? json_u64(tree.get(), "started_ns", 0) : 0;
    if (started_ns == 0 || started_ns == r.peer_started_ns) { // it is gone, or it is the same process under a second name
        admit_member(r);
        return;
    }
    refuse_member(r, error_code::conflict,
        "target " + r.node.id + " runs at " + known->url + " already: the target at " + text_escape(r.node.url) +
            " has a copy of its data directory. End one of the two, and start it with an empty directory if both are to be in the cluster");
}

// Its document goes together with ours.
static void judge_member(registration_request &r)
{
    const cluster_document &document = proxy_document(*r.p);
    const cluster_node *known = document_find_node(document, r.node.id);
    if (known != nullptr && !known->is_target) {
        refuse_member(r, error_code::conflict, "id " + r.node.id + " is the proxy's own");
        return;
    }
    if (known != nullptr && has_other_disk(r, *known)) {
        refuse_disk(r, *known);
        return;
    }
    if (std::string why = misplacement(r, known); !why.empty()) {
        if (known != nullptr)
            note_refused(r, *known, "it is refused: " + why);
        refuse_member(r, error_code::other_epoch, why);
        return;
    }
    bool tells_disk = known != nullptr && known->disk.empty() && !r.node.disk.empty();
    if (known != nullptr && known->url == r.node.url && !tells_disk) {
        answer_member(r);
        return;
    }
    if (known == nullptr || known->url == r.node.url || r.peer_started_ns == 0) {
        admit_member(r);
        return;
    }
    broadcast_request request;
    request.target = "/v1/node/status";
    request.deadline_ms = intra_call_timeout_ms / 2; // the target waits for that long
    proxy_request_broadcast<on_former>(r, {{known->id, known->url}}, request);
}

// What the target says of itself, except where it stands. False: the request has been answered.
static bool read_registration(registration_request &r, const cJSON *tree)
{
    auto refuse = [&](const std::string &why) {
        refuse_member(r, error_code::bad_json, "the registration of target " + r.node.id + ": " + why);
        return false;
    };
    if (std::string wrong = wrong_number(tree); !wrong.empty())
        return refuse(wrong);
    std::string where;
    if (capacity_parse(json_get(tree, "capacity"), r.peer_capacity, where))
        return refuse(where);
    if (!placement_report_parse(json_get(tree, "placement"), r.peer_placement))
        return refuse("placement: expected {\"adopted\",\"settled\",\"etls_serve\"}");
    const cJSON *jobs = json_get(tree, "jobs");
    if (jobs != nullptr && !job_reports_parse(jobs, r.peer_jobs))
        return refuse("jobs: one of them is damaged");
    if (!read_orphans(tree, r.peer_orphans))
        return refuse("orphans: expected [{\"name\",\"created_ns\",\"objects\"}]");
    r.node.digest = placement_digest(r.node.id);
    r.node.flags = 0;
    r.node.want = node_want::placed;
    r.peer_document = {.term = json_u64(tree, "document_term", 0),
        .tag = json_u64(tree, "document_tag", 0),
        .version = json_u64(tree, "document_version", 0),
        .digest = json_u64(tree, "document_digest", 0)};
    r.peer_objects = json_u64(tree, "object_count", 0);
    r.is_peer_count_known = json_get(tree, "object_count") != nullptr;
    r.is_change_count_known = json_get(tree, "change_count") != nullptr;
    r.peer_changes = json_u64(tree, "change_count", 0);
    r.peer_started_ns = json_u64(tree, "started_ns", 0);
    return true;
}

static void on_registration(registration_request &r, std::string body)
{
    proxy &p = *r.p;
    json_ptr tree;
    std::string where;
    error err = json_parse(body, tree, where);
    if (!err)
        err = node_parse(tree.get(), r.node);
    url_base base;
    if (err || !r.node.is_target || !node_id_is_good(r.node.id) || !url_parse_base(r.node.url, base)) {
        refuse_member(r, error_code::bad_json,
            "a registration is {\"id\",\"type\",\"url\",\"document_version\",\"object_count\"}: " +
                (where.empty() && err ? error_text(err) : where));
        return;
    }
    if (!read_registration(r, tree.get()))
        return;
    std::string_view uuid = json_text(tree.get(), "cluster");
    const cluster_document &document = proxy_document(p);
    if (!uuid.empty() && uuid != document.uuid) {
        refuse_stranger(r, uuid);
        return;
    }
    r.is_peer_of_cluster = !uuid.empty();
    if (json_get(tree.get(), "document_digest") == nullptr &&
        r.peer_document.version <= document.version) // a target of a former version: only its version is known
        r.peer_document = r.peer_document.version == document.version ? document_identify(document) : document_identity{};
    document_relation relation = document_relate(r.peer_document, document);
    bool is_stray = std::find(p.strays.begin(), p.strays.end(), r.peer_document) != p.strays.end();
    if (relation == document_relation::newer || relation == document_relation::diverged) {
        refuse_lineage(r, is_stray ? document_relation::diverged : relation);
        return;
    }
    proxy_note_not_ahead(p, r.node.id);
    proxy_adopt(p); // it may be the one that was missing
    judge_member(r);
}

static void serve_register(proxy &p, exchange &x, const route_match &)
{
    if ((!lifecycle_has_joined(p.life) && proxy_document(p).version == 0) || !p.last_counts.is_known) {
        exchange_answer_error(x, error_code::not_ready, "the proxy is starting");
        return;
    }
    if (!peer_admit(p.options.cluster_secret, x))
        return;
    proxy_request_read<on_registration>(proxy_request_make<registration_request>(p, x), json_body_size_max);
}

// --- routes

static constexpr route rows[] = {
    ROUTE_EARLY("POST", "/v1/node/register", serve_register, "a target registers, and says that it lives"),
};
extern constinit const std::span<const route> proxy_register_routes = rows;

} // namespace etlnode
