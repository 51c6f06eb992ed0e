// SPDX-License-Identifier: MIT
// role/proxy/found.cc: objects at a target that belong to other targets though nothing moves: their names, and giving them away.
//
// Knows    broadcast, control.        Known by  routes.cc.
// Normal   the target answers with the names and how many there are; a change needs the number that the caller was shown.
// Fails    404 for an unknown target; 409 while objects move, or if the number differs; 503 for a silent target.
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/json_fields.h"
#include "codec/url.h"
#include "control/bucket_moves.h"
#include "role/proxy/request.h"
#include "role/shared/hints.h"

namespace etlnode {

struct found_request : proxy_request {
    std::string target;
};

static constexpr std::string_view path_node_found = "/v1/node/found";

// Null: the request has been answered.
static const cluster_node *find(found_request &r)
{
    proxy &p = *r.p;
    const cluster_node *node = document_find_node(proxy_document(p), r.target);
    if (node == nullptr || !node->is_target) {
        std::vector<std::string_view> names;
        for (const broadcast_peer &peer : proxy_target_peers(p))
            names.push_back(document_find_node(proxy_document(p), peer.id)->id);
        proxy_request_fail(r, error_code::not_found, "there is no target \"" + text_escape(r.target) + "\"" + hint_text(r.target, names));
        return nullptr;
    }
    if (proxy_target_is_silent(p, r.target)) {
        error_code code = error_code::unavailable;
        std::string why = proxy_unheard_text(p, r.target, code);
        proxy_request_fail(r, code, why);
        return nullptr;
    }
    return node;
}

static found_request *begin(proxy &p, exchange &x, const route_match &match)
{
    std::string id;
    if (!route_decode_arg(x, match.args[0], "target id", id))
        return nullptr;
    found_request &r = proxy_request_make<found_request>(p, x);
    r.target = std::move(id);
    return &r;
}

// False: the request has been answered.
static bool is_answered_well(found_request &r, const broadcast_answer &answer)
{
    if (broadcast_succeeded(answer))
        return true;
    error_code code = error_code::unavailable;
    std::string text = broadcast_failure_text(answer, &code);
    proxy_request_fail(r, code, text);
    return false;
}

// --- GET /v1/cluster/found/{target}

static void on_names(found_request &r, std::vector<broadcast_answer> answers)
{
    if (!is_answered_well(r, answers[0]))
        return;
    json_ptr tree;
    std::string where;
    if (json_parse(answers[0].body, tree, where))
        proxy_request_fail(r, error_code::internal, "target " + r.target + " answered with names that cannot be read");
    else
        proxy_request_answer_json(r, tree.get());
}

static void serve_names(proxy &p, exchange &x, const route_match &match)
{
    found_request *r = begin(p, x, match);
    const cluster_node *node = r != nullptr ? find(*r) : nullptr;
    if (node == nullptr)
        return;
    broadcast_request request;
    request.target = std::string(path_node_found) + "?";
    for (const char *key : {"after_bucket", "after_name", "count"}) {
        std::string value;
        if (url_query_get(exchange_head(x).query, key, value))
            request.target += std::string(key) + "=" + url_encode(value) + "&";
    }
    request.deadline_ms = list_timeout_ms;
    proxy_request_broadcast<on_names>(*r, {{node->id, node->url}}, request);
}

// --- POST /v1/cluster/found/{target}

static void on_taking(found_request &r, std::vector<broadcast_answer> answers)
{
    if (is_answered_well(r, answers[0]))
        proxy_request_answer(r, {});
}

static void on_body(found_request &r, std::string body)
{
    static constexpr json_field fields[] = {{"objects", json_field_kind::whole}};
    proxy &p = *r.p;
    json_ptr tree;
    std::string where;
    bool is_json = body.empty() || !json_parse(body, tree, where);
    std::string misfit = is_json ? json_fields_misfit(tree.get(), {}, fields) : "the body must be {\"objects\":N}: " + where;
    uint64_t shown = 0;
    if (misfit.empty() && !json_read_u64(tree.get(), "objects", shown))
        misfit = "objects: how many objects shall go to their owners?";
    if (!misfit.empty()) {
        proxy_request_fail(r, is_json ? error_code::bad_request : error_code::bad_json, misfit);
        return;
    }
    if (std::string odds = proxy_odds_text(p); !odds.empty()) {
        proxy_request_fail(r, error_code::diverged, odds);
        return;
    }
    if (!document_bucket_moves(proxy_document(p)).empty()) {
        proxy_request_fail(
            r, error_code::conflict, "a bucket gets another name, for which objects must stay where they are: etlctl job ls");
        return;
    }
    const cluster_node *node = find(r);
    if (node == nullptr)
        return;
    LOG(warn, "cluster", "target=%s objects=%llu peer=%s msg=\"what was found there goes to its owners\"", r.target.c_str(),
        static_cast<unsigned long long>(shown), exchange_peer(*r.x).c_str());
    broadcast_request request;
    request.method = "POST";
    request.target = std::string(path_node_found) + "?objects=" + std::to_string(shown);
    request.deadline_ms = etl_status_timeout_ms;
    proxy_request_broadcast<on_taking>(r, {{node->id, node->url}}, request);
}

static void serve_take(proxy &p, exchange &x, const route_match &match)
{
    if (found_request *r = begin(p, x, match))
        proxy_request_read<on_body>(*r, json_body_size_max);
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/cluster/found/{target}", serve_names,
        "objects at a target that belong to others though nothing moves; `?after_bucket=`, `?after_name=`, `?count=`"),
    ROUTE("POST", "/v1/cluster/found/{target}", serve_take, "gives them to their owners; body: `{\"objects\"}`, the number that was shown"),
};
extern constinit const std::span<const route> proxy_found_routes = rows;

} // namespace etlnode
