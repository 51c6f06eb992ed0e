// SPDX-License-Identifier: MIT
// role/target/pod_objects.cc: serves objects to pods, and takes what they put: /v1/etl/_object on the pod listener.
//
// Knows    store, transfer, etl, http.   Known by  routes.cc.
#include "base/text.h"
#include "codec/http_write.h"
#include "codec/url.h"
#include "role/target/objects.h"
#include "transfer/direct_put.h"
#include "transfer/pipeline.h"

namespace etlnode {

// GET|HEAD /v1/etl/_object/<etl>/<secret>/<object>. The object is a uname ("ais/@#/b/o") or "b/o", with slashes escaped or not. The query
// is ignored: old servers forward the client's, and it must never start a transform inside a transform.
static void serve_pod(target &t, exchange &x, const route_match &)
{
    const http_head &head = exchange_head(x);
    if (!lifecycle_has_joined(t.life) || t.etls == nullptr) {
        exchange_answer_error(x, error_code::not_ready, "the target has not joined its cluster yet");
        return;
    }
    if (std::string why = target_misfit_text(t); !why.empty()) {
        exchange_answer_error(x, error_code::not_ready, why);
        return;
    }
    std::string_view rest = head.path.substr(path_pod_object.size() + 1);
    size_t first = rest.find('/');
    size_t second = first == std::string_view::npos ? first : rest.find('/', first + 1);
    std::string decoded;
    if (second == std::string_view::npos || !url_decode(rest.substr(second + 1), decoded)) {
        exchange_answer_error(x, error_code::bad_request, "expected <AIS_TARGET_URL>/BUCKET/OBJECT or <AIS_TARGET_URL>/<escaped uname>");
        return;
    }
    std::string etl_id(rest.substr(0, first));
    const etl_definition *definition = target_definition_for_pod(t, etl_id);
    if (definition == nullptr) {
        exchange_answer_error(x, error_code::etl_not_found, "etl job " + text_escape(etl_id, 64) + " does not exist");
        return;
    }
    if (definition->secret.empty() || !text_equal_secret(definition->secret, rest.substr(first + 1, second - first - 1))) {
        exchange_answer_error(x, error_code::bad_request, "the secret in the URL is not that of etl job " + etl_id);
        return;
    }
    std::string_view object = decoded;
    while (object.starts_with('/'))
        object.remove_prefix(1);
    if (object.starts_with("ais/@#/"))
        object.remove_prefix(7);
    object_request r{&t, &x, {}, {}, true, etl_id};
    std::string_view bucket, name;
    if (!object_split_names(object, bucket, name)) {
        exchange_answer_error(x, error_code::bad_request, "expected <AIS_TARGET_URL>/BUCKET/OBJECT or <AIS_TARGET_URL>/<escaped uname>");
        return;
    }
    r.bucket = bucket;
    r.name = name;
    if (head.method == "PUT" && t.transfers != nullptr) {
        direct_put_serve(*t.transfers, x, etl_id, bucket, name);
        return;
    }
    const store_object *given = t.transfers != nullptr ? pipeline_find_given(*t.transfers, etl_id, bucket, name) : nullptr;
    if (given != nullptr) {
        object_answer_found(r, given);
        return;
    }
    if (!object_check_names(r))
        return;
    if (head.method != "GET" && head.method != "HEAD") {
        std::string headers;
        http_write_header(headers, "Allow", "GET, HEAD");
        exchange_answer_error(x, error_code::method_not_allowed, "pods may read objects", 0, std::move(headers));
        return;
    }
    object_serve_read(std::move(r));
}

static constexpr route pod_rows[] = {
    ROUTE("GET", "/v1/etl/_object/{etl}/{secret}/{object...}", serve_pod, "an object, for the pod of that ETL"),
    ROUTE("HEAD", "/v1/etl/_object/{etl}/{secret}/{object...}", serve_pod, "its properties"),
    ROUTE("PUT", "/v1/etl/_object/{etl}/{secret}/{object...}", serve_pod, "what the pod made, where a transfer has offered it a place"),
};
extern constinit const std::span<const route> target_pod_object_routes = pod_rows;

} // namespace etlnode
