// SPDX-License-Identifier: MIT
// role/proxy/batches.cc: sends a get-batch to one of the targets, which collects the objects.
//
// Knows    control, http.        Known by  routes.cc.
// Normal   307 to a target that is not silent, another one each time. The head suffices for the answer; the http layer drops the body.
// Fails    404 bucket; 503 without such a target.
#include "role/proxy/request.h"

#include "codec/http_write.h"
#include "port/clock.h"
#include "role/shared/hints.h"
#include "store/object_name.h"

namespace etlnode {

static void redirect_batch(proxy &p, exchange &x, const route_match &match)
{
    const cluster_document &document = proxy_document(p);
    std::string bucket;
    if (match.arg_count > 0 && !route_decode_arg(x, match.args[0], "bucket name", bucket))
        return;
    if (!bucket.empty() && document_find_bucket(document, bucket) == nullptr) {
        exchange_answer_error(x, error_code::bucket_not_found, hint_bucket_missing(bucket, proxy_bucket_names(p)));
        return;
    }
    std::vector<const cluster_node *> present;
    for (const cluster_node &node : document.nodes) {
        if (node.is_target && !proxy_target_is_silent(p, node.id))
            present.push_back(&node);
    }
    if (present.empty()) {
        exchange_answer_error(x, error_code::unavailable, "no target is there that could collect the objects");
        return;
    }
    const cluster_node &node = *present[static_cast<size_t>(rng_below(p.e->random, present.size()))];
    const http_head &head = exchange_head(x);
    std::string query(head.query);
    query += (query.empty() ? "pid=" : "&pid=") + p.id + "&utm=" + std::to_string(clock_wall_ns(*p.e));
    answer a;
    a.status = 307;
    http_write_header(a.headers, "Location", node.url + std::string(head.path) + "?" + query);
    exchange_answer(x, std::move(a));
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/ml/moss", redirect_batch, "307 to a target: many objects in one archive"),
    ROUTE("GET", "/v1/ml/moss/{bucket}", redirect_batch, "the same; objects that name no bucket are in this one"),
};
extern constinit const std::span<const route> proxy_batch_routes = rows;

} // namespace etlnode
