// SPDX-License-Identifier: MIT
// role/target/node_api.cc: the proxy's requests to a target: the document, states of ETLs, buckets (/v1/node/...).
//
// Owns     one node_request for each request in progress.
// Knows    etl, store, http, control.        Known by  routes.cc.
// Normal   it answers at once, or when the requested state is reached: the document is stored, or a bucket is empty.
// Fails    401/403 for callers outside the cluster; an older document, or one of another cluster, is refused.
// Limits   json_body_size_max, call_answer_size_max for documents.
#include "role/target/target.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/json.h"
#include "codec/url.h"
#include "control/peer.h"
#include "port/meta.h"
#include "transfer/modes/modes.h"

namespace etlnode {

struct node_request {
    target *t = nullptr;
    exchange *x = nullptr; // null once answered
};

static node_request *make_request(target &t, exchange &x)
{
    open_count_begin(t.requests);
    return new node_request{&t, &x};
}

static exchange &take_exchange(node_request &r)
{
    CHECK(r.x != nullptr);
    exchange &x = *r.x;
    r.x = nullptr;
    exchange_on_gone(x, nullptr, nullptr, false);
    return x;
}

static void end_request(node_request *r)
{
    CHECK(r->x == nullptr);
    open_count_end(r->t->requests);
    delete r;
}

static void fail_request(node_request *r, error_code code, std::string_view text)
{
    exchange_answer_error(take_exchange(*r), code, text);
    end_request(r);
}

static void answer_done(node_request *r)
{
    answer a;
    a.status = 204;
    exchange_answer(take_exchange(*r), std::move(a));
    end_request(r);
}

bool target_admit_peer(target &t, exchange &x, const route_match &match, std::string &out_name)
{
    return peer_admit(t.options.cluster_secret, x) && (match.arg_count == 0 || route_decode_arg(x, match.args[0], "name", out_name));
}

static bool has_etls(target &t, exchange &x)
{
    if (lifecycle_is_draining(t.life)) {
        exchange_answer_error(x, error_code::stopping, "the target is shutting down");
        return false;
    }
    if (t.etls != nullptr && t.was_accepted)
        return true;
    exchange_answer_error(x, error_code::not_ready,
        t.etls == nullptr ? "the target has no cluster document yet" : "the proxy has not accepted the target since it started");
    return false;
}

// --- PUT /v1/node/document

static void on_document_stored(void *arg, error err)
{
    node_request *r = static_cast<node_request *>(arg);
    if (err) {
        fail_request(r, err.code, std::string("the cluster document could not be stored: ") + error_text(err));
        return;
    }
    answer_done(r);
}

static void on_document_body(void *arg, error err, std::string body)
{
    node_request *r = static_cast<node_request *>(arg);
    if (err) {
        fail_request(r, err.code, error_text(err));
        return;
    }
    std::string detail;
    if (error refused = target_take_document_text(*r->t, body, detail)) {
        LOG(error, "cluster", "peer=%s reason=\"%s\" msg=\"a cluster document was refused\"", exchange_peer(*r->x).c_str(),
            text_escape(detail).c_str());
        fail_request(r, refused.code, detail);
        return;
    }
    target_wait_stored(*r->t, on_document_stored, r);
}

static void serve_document(target &t, exchange &x, const route_match &match)
{
    std::string none;
    if (target_admit_peer(t, x, match, none))
        exchange_read_all(x, document_size_max, on_document_body, make_request(t, x));
}

// --- GET /v1/node/document

static void on_document_read(void *arg, error err, uint64_t version, const std::string &text)
{
    node_request *r = static_cast<node_request *>(arg);
    if (err || version == 0) {
        fail_request(r, err ? err.code : error_code::not_found, err ? error_text(err) : "this target has no cluster document");
        return;
    }
    answer a;
    a.content_type = "application/json";
    a.body = text;
    exchange_answer(take_exchange(*r), std::move(a));
    end_request(r);
}

static void serve_document_copy(target &t, exchange &x, const route_match &match)
{
    std::string none;
    if (target_admit_peer(t, x, match, none))
        meta_read(*t.e, target_document_name, on_document_read, make_request(t, x));
}

// --- ETLs

std::string target_address_text(const etl_endpoint &endpoint)
{
    return endpoint.host.empty() ? std::string() : endpoint.host + ":" + std::to_string(endpoint.port);
}

static void on_logs(void *arg, error err, const std::string &text)
{
    node_request *r = static_cast<node_request *>(arg);
    if (err) {
        fail_request(r, err.code, text.empty() ? std::string_view(error_text(err)) : std::string_view(text));
        return;
    }
    exchange_answer_text(take_exchange(*r), text);
    end_request(r);
}

static void serve_etl_logs(target &t, exchange &x, const route_match &match)
{
    std::string id;
    if (!target_admit_peer(t, x, match, id) || !has_etls(t, x))
        return;
    const cluster_etl *known = document_find_etl(t.document, id);
    etl_view view;
    if (known != nullptr && known->stage == etl_stage::aborted && !etl_registry_find(*t.etls, id, view)) {
        exchange_answer_error(x, error_code::etl_not_found, "target " + t.id + ": etl job " + known->id + " has no pod: it is stopped");
        return;
    }
    std::string since;
    uint64_t since_s = 0;
    if (url_query_get(exchange_head(x).query, query_since, since))
        text_parse_u64(since, since_s); // the proxy has checked it
    etl_registry_logs(*t.etls, id, since_s, on_logs, make_request(t, x));
}

// --- states

static constexpr std::string_view phase_names[] = {"starting", "serving", "stopping", "failed", "gone"};

static json_ptr status_json(const target &t, const etl_view &view)
{
    json_ptr tree = json_object();
    const etl_definition &definition = *view.definition;
    json_add_text(tree.get(), "id", definition.id);
    json_add_text(tree.get(), "name", definition.name);
    json_add_text(tree.get(), "target_id", t.id);
    json_add_text(tree.get(), "phase", phase_names[static_cast<size_t>(view.phase)]);
    json_add_bool(tree.get(), "ready", view.ready);
    json_add_text(tree.get(), "pod_name", view.pod_name);
    json_add_text(tree.get(), "address", target_address_text(*view.endpoint));
    json_add_text(tree.get(), "hpull_address", client_address_names[static_cast<size_t>(definition.hpull_address)]);
    json_add_text(tree.get(), "client_url",
        transfer_mode_of(definition.mode).location != nullptr && !view.endpoint->client_host.empty()
            ? url_format_base(view.endpoint->client_host, view.endpoint->client_port)
            : std::string());
    json_add_text(tree.get(), "generation_id", definition.generation_id);
    json_add_u64(tree.get(), "restarts", view.restarts);
    json_add_text(tree.get(), "last_error", view.last_error);
    auto counted = t.metrics.etls.find(definition.id);
    const etl_metrics none;
    const etl_metrics &m = counted != t.metrics.etls.end() ? counted->second : none;
    json_add_u64(tree.get(), "obj_count", m.requests_ok + m.requests_redirected);
    json_add_u64(tree.get(), "in_bytes", m.in_bytes);
    json_add_u64(tree.get(), "out_bytes", m.out_bytes);
    auto failed = t.failures.find(definition.id);
    json_add_u64(tree.get(), "errors", failed != t.failures.end() ? failed->second.count : 0);
    json_add_u64(tree.get(), "unframed", m.unframed);
    return tree;
}

static void serve_etl_list(target &t, exchange &x, const route_match &match)
{
    std::string none;
    if (!target_admit_peer(t, x, match, none))
        return;
    json_ptr list = json_array();
    std::vector<etl_view> views;
    if (t.etls != nullptr)
        etl_registry_list(*t.etls, views);
    for (const etl_view &view : views)
        json_append(list.get(), status_json(t, view));
    exchange_answer_json(x, list.get());
}

static void serve_etl_show(target &t, exchange &x, const route_match &match)
{
    std::string id;
    if (!target_admit_peer(t, x, match, id) || !has_etls(t, x))
        return;
    etl_view view;
    if (!etl_registry_find(*t.etls, id, view)) {
        exchange_answer_error(x, error_code::etl_not_found, "etl job " + text_escape(id) + " does not exist on this target");
        return;
    }
    json_ptr tree = status_json(t, view);
    std::string asks;
    if (url_query_get(exchange_head(x).query, "pod", asks) && text_is_true(asks))
        json_add_text(tree.get(), "pod", etl_registry_show_pod(*t.etls, id));
    if (url_query_get(exchange_head(x).query, "failures", asks) && text_is_true(asks))
        json_add_tree(tree.get(), "failures", etl_failures_json(t.failures, view.definition->id));
    exchange_answer_json(x, tree.get());
}

static void serve_status(target &t, exchange &x, const route_match &match)
{
    std::string none;
    if (!target_admit_peer(t, x, match, none))
        return;
    json_ptr tree = json_object();
    json_add_text(tree.get(), "id", t.id);
    json_add_text(tree.get(), "cluster", t.document.uuid);
    json_add_text(tree.get(), "url", t.url);
    json_add_u64(tree.get(), "document_version", t.document.version);
    json_add_text(tree.get(), "stored_document", document_identity_print(t.stored));
    if (!t.orphans.empty())
        json_add_tree(tree.get(), "orphans", target_orphans_json(t));
    json_add_u64(tree.get(), "object_count", t.objects != nullptr ? store_object_count(*t.objects) : 0);
    json_add_bool(tree.get(), "ready", lifecycle_is_ready(t.life));
    json_add_u64_text(tree.get(), "started_ns", t.started_ns);
    exchange_answer_json(x, tree.get());
}

// --- DELETE /v1/node/bucket/<bucket>

static void on_bucket_dropped(void *arg, error err)
{
    node_request *r = static_cast<node_request *>(arg);
    if (err) {
        fail_request(r, err.code, error_text(err));
        return;
    }
    answer_done(r);
}

static void serve_bucket_drop(target &t, exchange &x, const route_match &match)
{
    std::string bucket;
    if (!target_admit_peer(t, x, match, bucket))
        return;
    if (document_find_bucket(t.document, bucket) != nullptr) {
        // It may have been re-created since. Only a document without it, or with a new bucket of that name, removes objects.
        exchange_answer_error(x, error_code::conflict, "the bucket is in the cluster document of this target");
        return;
    }
    store_remove_bucket(*t.objects, bucket, on_bucket_dropped, make_request(t, x));
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/node/status", serve_status, "how many objects it holds, which document it has"),
    ROUTE("PUT", "/v1/node/document", serve_document, "the cluster document"),
    ROUTE("GET", "/v1/node/document", serve_document_copy, "the cluster document as it lies in the data directory, byte for byte"),
    ROUTE("GET", "/v1/node/etl", serve_etl_list, "its ETLs with counters"),
    ROUTE("GET", "/v1/node/etl/{id}", serve_etl_show, "one of them"),
    ROUTE("GET", "/v1/node/etl/{id}/logs", serve_etl_logs, "last log lines as text"),
    ROUTE("DELETE", "/v1/node/bucket/{bucket}", serve_bucket_drop, "remove its objects"),
};
extern constinit const std::span<const route> target_node_routes = rows;

} // namespace etlnode
