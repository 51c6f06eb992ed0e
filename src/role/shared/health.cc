// SPDX-License-Identifier: MIT
// role/shared/health.cc: /v1/health and /v1/daemon.
//
// Knows    control, http.            Known by  proxy.cc, target.cc.
#include "role/shared/health.h"

#include "aistore/times.h"
#include "base/text.h"
#include "codec/url.h"

namespace etlnode {

void health_serve(exchange &x, const health_state &state)
{
    std::string_view query = exchange_head(x).query;
    std::string value;
    bool asks_ready = url_query_get(query, "readiness", value) && text_is_true(value);
    value.clear();
    bool asks_primary = url_query_get(query, "prr", value) && text_is_true(value);
    std::string headers = times_uptime_headers(state.node_uptime_ms, state.cluster_uptime_ms);
    if (asks_primary && !state.is_primary) {
        exchange_answer_error(x, error_code::unavailable, "this node is a target, not the primary proxy", 0, headers);
        return;
    }
    if ((asks_ready || asks_primary) && state.draining) {
        exchange_answer_error(x, error_code::stopping, "shutting down", 0, headers);
        return;
    }
    if ((asks_ready || asks_primary) && !state.ready) {
        exchange_answer_error(x, error_code::not_ready, state.not_ready_text, 0, headers);
        return;
    }
    answer a;
    a.headers = headers;
    if (asks_ready && state.details != nullptr) {
        a.content_type = "application/json";
        a.body = json_print(state.details);
    }
    exchange_answer(x, std::move(a));
}

void daemon_serve(exchange &x, const cluster_document &document)
{
    std::string what;
    bool given = url_query_get(exchange_head(x).query, "what", what);
    if (!given || what.empty()) {
        exchange_answer_error(x, error_code::bad_request, "the query must say what: ?what=smap");
        return;
    }
    if (what != "smap") {
        exchange_answer_error(x, error_code::not_implemented, "what=" + text_escape(what) + " is not implemented; there is: smap");
        return;
    }
    if (document.version == 0) {
        exchange_answer_error(x, error_code::not_ready, "this node has not got a cluster document yet");
        return;
    }
    json_ptr smap = document_smap(document);
    exchange_answer_json(x, smap.get());
}

} // namespace etlnode
