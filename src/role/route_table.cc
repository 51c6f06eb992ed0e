// SPDX-License-Identifier: MIT
// role/route_table.cc: every method and path that a node serves, and what serves it. docs/ROUTES.md is generated from it.
//
// Knows    proxy.h, target.h (their handlers).     Known by  route.cc.
#include "role/proxy/proxy.h"
#include "role/shared/route.h"
#include "role/target/target.h"

namespace etlnode {

// Rows of one pattern stand together; a pattern stands before the more general ones that match the same path.
static constexpr route rows[] = {
    {"GET", "/v1/health", route_listener::clients, proxy_serve_health, target_serve_health,
        "200; `?readiness=true` and, on the proxy, `?prr=true`: 503 until ready and while draining"},
    {"HEAD", "/v1/health", route_listener::clients, proxy_serve_health, target_serve_health, "as GET, without a body"},
    {"GET", "/v1/daemon", route_listener::clients, proxy_serve_daemon, target_serve_daemon, "`?what=smap`: the cluster map"},
    {"GET", "/v1/cluster", route_listener::clients, proxy_serve_cluster, nullptr,
        "`?what=cluster_config`, `?what=smap`, `?what=nodes`, `?what=backends`, `?what=remote`"},
    {"PUT", "/v1/cluster", route_listener::clients, proxy_serve_cluster_change, nullptr,
        "take a target out that will not come back; body: action `decommission-node`, value `{\"sid\"}`"},
    {"GET", "/metrics", route_listener::clients, proxy_serve_metrics, target_serve_metrics, "Prometheus text"},

    {"GET", "/v1/buckets", route_listener::clients, proxy_serve_buckets_list, nullptr, "list buckets"},
    {"GET", "/v1/buckets/{bucket}", route_listener::clients, proxy_serve_bucket_objects, nullptr,
        "list objects, one page; body: action `list`"},
    {"POST", "/v1/buckets/{bucket}", route_listener::clients, proxy_serve_bucket_post, nullptr,
        "create a bucket; body: action `create-bck`"},
    {"DELETE", "/v1/buckets/{bucket}", route_listener::clients, proxy_serve_bucket_delete, nullptr,
        "remove a bucket and its objects; body: action `destroy-bck`"},
    {"HEAD", "/v1/buckets/{bucket}", route_listener::clients, proxy_serve_bucket_head, nullptr, "properties in `Ais-Bucket-Props`"},
    {"PATCH", "/v1/buckets/{bucket}", route_listener::clients, proxy_serve_not_implemented, nullptr,
        "501: buckets have no properties to set"},
    {"PUT", "/v1/buckets/{bucket}", route_listener::clients, proxy_serve_not_implemented, nullptr, "501: archives"},
    {"GET", "/v1/buckets/{bucket}/{more...}", route_listener::clients, proxy_serve_bucket_path_too_long, nullptr, "400"},
    {"POST", "/v1/buckets/{bucket}/{more...}", route_listener::clients, proxy_serve_bucket_path_too_long, nullptr, "400"},
    {"DELETE", "/v1/buckets/{bucket}/{more...}", route_listener::clients, proxy_serve_bucket_path_too_long, nullptr, "400"},
    {"HEAD", "/v1/buckets/{bucket}/{more...}", route_listener::clients, proxy_serve_bucket_path_too_long, nullptr, "400"},

    {"GET", "/v1/objects/{bucket}/{object...}", route_listener::clients, proxy_serve_object, target_serve_object,
        "proxy: 301 to the object's target; target: content, or transformed with `?uuid=` or `?etl_name=`"},
    {"HEAD", "/v1/objects/{bucket}/{object...}", route_listener::clients, proxy_serve_object, target_serve_object,
        "proxy: 307; target: properties"},
    {"PUT", "/v1/objects/{bucket}/{object...}", route_listener::clients, proxy_serve_object, target_serve_object,
        "proxy: 307; target: store the object; with `?object_to=` keep a copy of it, or with `etl_name` too its transform, under another "
        "name"},
    {"DELETE", "/v1/objects/{bucket}/{object...}", route_listener::clients, proxy_serve_object, target_serve_object,
        "proxy: 307; target: remove the object"},
    {"PATCH", "/v1/objects/{bucket}/{object...}", route_listener::clients, proxy_serve_object, target_serve_object, "proxy: 307"},
    {"POST", "/v1/objects/{bucket}/{object...}", route_listener::clients, proxy_serve_object, target_serve_object, "proxy: 307"},
    {"GET", "/v1/objects/{bucket}", route_listener::clients, proxy_serve_object_missing, target_serve_object_missing,
        "400: no object name"},
    {"HEAD", "/v1/objects/{bucket}", route_listener::clients, proxy_serve_object_missing, target_serve_object_missing,
        "400: no object name"},
    {"PUT", "/v1/objects/{bucket}", route_listener::clients, proxy_serve_object_missing, target_serve_object_missing,
        "400: no object name"},
    {"DELETE", "/v1/objects/{bucket}", route_listener::clients, proxy_serve_object_missing, target_serve_object_missing,
        "400: no object name"},
    {"POST", "/v1/objects/{bucket}", route_listener::clients, proxy_serve_not_implemented, target_serve_not_implemented,
        "501: promote and the like"},

    {"POST", "/v1/etl/init", route_listener::clients, proxy_serve_etl_init_2020, nullptr,
        "start an ETL from a Pod spec (YAML or JSON body); 200 with its id as text"},
    {"POST", "/v1/etl/build", route_listener::clients, proxy_serve_not_implemented, nullptr, "501: transforms given as code"},
    {"GET", "/v1/etl/list", route_listener::clients, proxy_serve_etl_list_2020, nullptr, "`[{\"id\",\"name\",...}]`"},
    {"GET", "/v1/etl/logs/{id}", route_listener::clients, proxy_serve_etl_logs, nullptr, "the last log lines of its pods"},
    {"GET", "/v1/etl/logs/{id}/{target}", route_listener::clients, proxy_serve_etl_logs, nullptr, "of one target's pod"},
    {"DELETE", "/v1/etl/stop/{id}", route_listener::clients, proxy_serve_etl_delete, nullptr, "remove its pods and forget it"},

    {"PUT", "/v1/etl", route_listener::clients, proxy_serve_etl_init, nullptr,
        "start an ETL from an ETL spec or a Pod spec in JSON; 200 with a job id as text"},
    {"GET", "/v1/etl", route_listener::clients, proxy_serve_etl_list, nullptr, "all ETLs with stage and counters"},
    {"GET", "/v1/etl/{id}", route_listener::clients, proxy_serve_etl_show, nullptr, "one ETL: spec, stage, its pods"},
    {"DELETE", "/v1/etl/{id}", route_listener::clients, proxy_serve_etl_delete, nullptr, "remove its pods and forget it"},
    {"POST", "/v1/etl/{id}/start", route_listener::clients, proxy_serve_etl_start, nullptr,
        "start an ETL that was stopped; 200 with a job id as text"},
    {"POST", "/v1/etl/{id}/stop", route_listener::clients, proxy_serve_etl_stop, nullptr, "remove its pods, keep it as `Aborted`"},
    {"GET", "/v1/etl/{id}/logs", route_listener::clients, proxy_serve_etl_logs, nullptr, "the last log lines of its pods"},
    {"GET", "/v1/etl/{id}/logs/{target}", route_listener::clients, proxy_serve_etl_logs, nullptr, "of one target's pod"},
    {"GET", "/v1/etl/{id}/health", route_listener::clients, proxy_serve_etl_health, nullptr, "the phase of its pods"},
    {"GET", "/v1/etl/{id}/errors", route_listener::clients, proxy_serve_etl_errors, nullptr,
        "the last reads through it that failed, of all targets"},
    {"GET", "/v1/etl/{id}/metrics", route_listener::clients, proxy_serve_etl_metrics, nullptr, "404: see `/metrics` of the targets"},

    {"POST", "/v1/node/register", route_listener::clients, proxy_serve_node_register, nullptr,
        "a target registers, and says that it lives"},
    {"GET", "/v1/node/status", route_listener::clients, nullptr, target_serve_node_status,
        "how many objects it holds, which document it has"},
    {"PUT", "/v1/node/document", route_listener::clients, nullptr, target_serve_node_document, "the cluster document"},
    {"GET", "/v1/node/etl", route_listener::clients, nullptr, target_serve_node_etl_list, "its ETLs with counters"},
    {"GET", "/v1/node/etl/{id}", route_listener::clients, nullptr, target_serve_node_etl_show, "one of them"},
    {"GET", "/v1/node/etl/{id}/start", route_listener::clients, nullptr, target_serve_node_etl_start,
        "held until its start is decided: its pod is ready, or why it is not"},
    {"GET", "/v1/node/etl/{id}/gone", route_listener::clients, nullptr, target_serve_node_etl_gone,
        "held until the pods of what was stopped are gone"},
    {"GET", "/v1/node/etl/{id}/logs", route_listener::clients, nullptr, target_serve_node_etl_logs, "last log lines as text"},
    {"GET", "/v1/node/bucket/{bucket}", route_listener::clients, nullptr, target_serve_node_bucket_page, "a page of its objects"},
    {"DELETE", "/v1/node/bucket/{bucket}", route_listener::clients, nullptr, target_serve_node_bucket_drop, "remove its objects"},

    {"GET", "/v1/etl/_object/{etl}/{secret}/{object...}", route_listener::pods, nullptr, target_serve_pod,
        "an object, for the pod of that ETL"},
    {"HEAD", "/v1/etl/_object/{etl}/{secret}/{object...}", route_listener::pods, nullptr, target_serve_pod, "its properties"},
};

std::span<const route> route_table() { return rows; }

} // namespace etlnode
