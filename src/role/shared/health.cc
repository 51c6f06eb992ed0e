// SPDX-License-Identifier: MIT
// role/shared/health.cc: /v1/health.
//
// Knows    http.            Known by  proxy.cc, target.cc.
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

} // namespace etlnode
