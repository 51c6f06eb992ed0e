// SPDX-License-Identifier: MIT
// role/proxy/reverse.cc: GET /v1/reverse/daemon: a client asks one node through the proxy (source: AIStore ais/prxrev.go).
//
// Knows    http, control, daemon.        Known by  routes.cc.
// Normal   the header Ais-Node-Id names the node; the answer is that node's own to GET /v1/daemon with the same query.
// Fails    400 without the header, 404 for an unknown node, 503 if the target cannot be heard.
#include "base/limits.h"
#include "base/text.h"
#include "codec/url.h"
#include "node/api.h"
#include "role/proxy/request.h"

namespace etlnode {

static void on_answers(proxy_request &r, std::vector<broadcast_answer> answers)
{
    const broadcast_answer &one = answers[0];
    if (one.err) {
        error_code code = error_code::unavailable;
        std::string text = broadcast_failure_text(one, &code);
        proxy_request_fail(r, code, text);
        return;
    }
    answer a;
    a.status = one.status;
    std::string what;
    url_query_get(exchange_head(*r.x).query, "what", what);
    bool is_text = what == "log" && one.status == 200;
    a.content_type = is_text ? "text/plain; charset=utf-8" : "application/json; charset=utf-8";
    a.body = one.body;
    proxy_request_answer(r, std::move(a));
}

static void serve_reverse(proxy &p, exchange &x, const route_match &)
{
    const http_head &head = exchange_head(x);
    std::string id(http_head_get(head, "Ais-Node-Id"));
    if (id.empty()) {
        exchange_answer_error(x, error_code::bad_request, "missing node ID: the header Ais-Node-Id says which node is asked");
        return;
    }
    const cluster_node *node = document_find_node(proxy_document(p), id);
    if (node == nullptr) {
        exchange_answer_error(x, error_code::not_found,
            "node \"" + text_escape(id, node_id_size_max) + "\": node ID not present in Smap v" +
                std::to_string(proxy_document(p).version));
        return;
    }
    if (id == p.id) {
        proxy_serve_daemon(p, x);
        return;
    }
    if (node->is_target && proxy_target_is_silent(p, id)) {
        error_code code = error_code::unavailable;
        std::string why = proxy_unheard_text(p, id, code);
        exchange_answer_error(x, code, why);
        return;
    }
    broadcast_request request;
    request.target = std::string(path_daemon) + "?" + std::string(head.query);
    request.deadline_ms = etl_status_timeout_ms;
    proxy_request_broadcast<on_answers>(proxy_request_make<proxy_request>(p, x), {{node->id, node->url}}, request);
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/reverse/daemon", serve_reverse, "what the node of `Ais-Node-Id` answers to GET /v1/daemon"),
};
extern constinit const std::span<const route> proxy_reverse_routes = rows;

} // namespace etlnode
