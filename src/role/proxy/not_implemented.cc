// SPDX-License-Identifier: MIT
// role/proxy/not_implemented.cc: what AIStore serves and this node does not: 501, which its clients distinguish from a misspelled path.
//
// Known by  routes.cc.
#include "base/text.h"
#include "codec/json.h"
#include "codec/url.h"
#include "role/proxy/proxy.h"

namespace etlnode {

static void serve_not_implemented(proxy &, exchange &x, const route_match &match) { route_answer_not_implemented(x, *match.found); }

// A list of jobs. One that is asked for by its id does not exist.
static void serve_none(proxy &, exchange &x, const route_match &)
{
    std::string id;
    for (const char *key : {"id", "uuid"}) {
        if (!url_query_get(exchange_head(x).query, key, id) || id.empty())
            continue;
        exchange_answer_error(x, error_code::not_found, "job \"" + text_escape(id, 100) + "\" does not exist");
        return;
    }
    exchange_answer_json(x, json_array().get());
}

// --- routes

static constexpr route rows[] = {
    ROUTE("POST", "/v1/etl/build", serve_not_implemented, "501: transforms given as code"),
    ROUTE("GET", "/v1/sort", serve_none, "`[]`: there are no dsort jobs"),
    ROUTE("POST", "/v1/sort", serve_not_implemented, "501: dsort"),
    ROUTE("DELETE", "/v1/sort", serve_not_implemented, "501: dsort"),
    ROUTE("DELETE", "/v1/sort/{more...}", serve_not_implemented, "501: dsort"),
    ROUTE("PUT", "/v1/cluster/set-config", serve_not_implemented, "501: the options of each node are its configuration"),
    ROUTE("PUT", "/v1/cluster/reset-config", serve_not_implemented, "501: likewise"),
    ROUTE("PUT", "/v1/cluster/proxy/{id}", serve_not_implemented, "501: there is one proxy"),
};
extern constinit const std::span<const route> proxy_not_implemented_routes = rows;

} // namespace etlnode
