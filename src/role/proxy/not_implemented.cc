// SPDX-License-Identifier: MIT
// role/proxy/not_implemented.cc: what AIStore serves and this node does not: 501, which its clients distinguish from a misspelled path.
//
// Known by  routes.cc.
#include "role/proxy/proxy.h"

namespace etlnode {

static void serve_not_implemented(proxy &, exchange &x, const route_match &match) { route_answer_not_implemented(x, *match.found); }

// --- routes

static constexpr route rows[] = {
    ROUTE("PATCH", "/v1/buckets/{bucket}", serve_not_implemented, "501: buckets have no properties to set"),
    ROUTE("PUT", "/v1/buckets/{bucket}", serve_not_implemented, "501: archives"),
    ROUTE("POST", "/v1/objects/{bucket}", serve_not_implemented, "501: promote and the like"),
    ROUTE("POST", "/v1/etl/build", serve_not_implemented, "501: transforms given as code"),
};
extern constinit const std::span<const route> proxy_not_implemented_routes = rows;

} // namespace etlnode
