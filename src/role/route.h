// SPDX-License-Identifier: MIT
// role/route.h: every method and path that a node serves, declared once: dispatch, 405 with Allow, and the table in docs/PROTOCOL.md.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

inline constexpr uint8_t route_proxy = 1;
inline constexpr uint8_t route_target = 2;
inline constexpr uint8_t route_both = route_proxy | route_target;

enum class route_listener : uint8_t { clients, pods };

// One handler each; a role lists the function for each of its handlers (proxy.cc, target.cc).
enum class route_id : uint8_t {
    health, daemon, cluster, cluster_change, metrics,
    buckets_list, bucket_objects, bucket_post, bucket_delete, bucket_head, bucket_patch, bucket_path_too_long,
    object, object_missing, bucket_action,
    etl_init_2020, etl_build, etl_list_2020, etl_stop_2020,
    etl_init, etl_list, etl_show, etl_delete, etl_start, etl_stop, etl_logs, etl_health, etl_errors, etl_metrics,
    node_register, node_status, node_document, node_etl_start, node_etl_list, node_etl_show, node_etl_logs, node_etl_stop,
    node_bucket_page, node_bucket_drop,
    pod_object,
};

struct route {
    const char *method;
    const char *pattern; // "{name}" is one segment, "{name...}" the rest of the path, slashes included
    uint8_t roles;
    route_listener listener;
    route_id id;
    const char *handler; // its function's name, for the table
    const char *summary;
};

// Rows of one pattern stand together; a pattern stands before the more general ones that match the same path.
inline constexpr route routes[] = {
    {"GET", "/v1/health", route_both, route_listener::clients, route_id::health, "serve_health", "200; `?readiness=true` and, on the proxy, `?prr=true`: 503 until ready and while draining"},
    {"HEAD", "/v1/health", route_both, route_listener::clients, route_id::health, "serve_health", "as GET, without a body"},
    {"GET", "/v1/daemon", route_both, route_listener::clients, route_id::daemon, "serve_daemon", "`?what=smap`: the cluster map"},
    {"GET", "/v1/cluster", route_proxy, route_listener::clients, route_id::cluster, "serve_cluster", "`?what=cluster_config`, `?what=smap`, `?what=nodes`, `?what=backends`, `?what=remote`"},
    {"PUT", "/v1/cluster", route_proxy, route_listener::clients, route_id::cluster_change, "proxy_serve_cluster_change", "take a target out that will not come back; body: action `decommission-node`, value `{\"sid\"}`"},
    {"GET", "/metrics", route_both, route_listener::clients, route_id::metrics, "serve_metrics", "Prometheus text"},

    {"GET", "/v1/buckets", route_proxy, route_listener::clients, route_id::buckets_list, "serve_buckets_list", "list buckets"},
    {"GET", "/v1/buckets/{bucket}", route_proxy, route_listener::clients, route_id::bucket_objects, "serve_bucket_objects", "list objects, one page; body: action `list`"},
    {"POST", "/v1/buckets/{bucket}", route_proxy, route_listener::clients, route_id::bucket_post, "serve_bucket_post", "create a bucket; body: action `create-bck`"},
    {"DELETE", "/v1/buckets/{bucket}", route_proxy, route_listener::clients, route_id::bucket_delete, "serve_bucket_delete", "remove a bucket and its objects; body: action `destroy-bck`"},
    {"HEAD", "/v1/buckets/{bucket}", route_proxy, route_listener::clients, route_id::bucket_head, "serve_bucket_head", "properties in `Ais-Bucket-Props`"},
    {"PATCH", "/v1/buckets/{bucket}", route_proxy, route_listener::clients, route_id::bucket_patch, "serve_not_implemented", "501: buckets have no properties to set"},
    {"PUT", "/v1/buckets/{bucket}", route_proxy, route_listener::clients, route_id::bucket_patch, "serve_not_implemented", "501: archives"},
    {"GET", "/v1/buckets/{bucket}/{more...}", route_proxy, route_listener::clients, route_id::bucket_path_too_long, "serve_bucket_path_too_long", "400"},
    {"POST", "/v1/buckets/{bucket}/{more...}", route_proxy, route_listener::clients, route_id::bucket_path_too_long, "serve_bucket_path_too_long", "400"},
    {"DELETE", "/v1/buckets/{bucket}/{more...}", route_proxy, route_listener::clients, route_id::bucket_path_too_long, "serve_bucket_path_too_long", "400"},
    {"HEAD", "/v1/buckets/{bucket}/{more...}", route_proxy, route_listener::clients, route_id::bucket_path_too_long, "serve_bucket_path_too_long", "400"},

    {"GET", "/v1/objects/{bucket}/{object...}", route_both, route_listener::clients, route_id::object, "serve_object", "proxy: 301 to the object's target; target: content, or transformed with `?uuid=` or `?etl_name=`"},
    {"HEAD", "/v1/objects/{bucket}/{object...}", route_both, route_listener::clients, route_id::object, "serve_object", "proxy: 307; target: properties"},
    {"PUT", "/v1/objects/{bucket}/{object...}", route_both, route_listener::clients, route_id::object, "serve_object", "proxy: 307; target: store the object"},
    {"DELETE", "/v1/objects/{bucket}/{object...}", route_both, route_listener::clients, route_id::object, "serve_object", "proxy: 307; target: remove the object"},
    {"PATCH", "/v1/objects/{bucket}/{object...}", route_both, route_listener::clients, route_id::object, "serve_object", "proxy: 307"},
    {"POST", "/v1/objects/{bucket}/{object...}", route_both, route_listener::clients, route_id::object, "serve_object", "proxy: 307"},
    {"GET", "/v1/objects/{bucket}", route_both, route_listener::clients, route_id::object_missing, "serve_object_missing", "400: no object name"},
    {"HEAD", "/v1/objects/{bucket}", route_both, route_listener::clients, route_id::object_missing, "serve_object_missing", "400: no object name"},
    {"PUT", "/v1/objects/{bucket}", route_both, route_listener::clients, route_id::object_missing, "serve_object_missing", "400: no object name"},
    {"DELETE", "/v1/objects/{bucket}", route_both, route_listener::clients, route_id::object_missing, "serve_object_missing", "400: no object name"},
    {"POST", "/v1/objects/{bucket}", route_both, route_listener::clients, route_id::bucket_action, "serve_not_implemented", "501: promote and the like"},

    {"POST", "/v1/etl/init", route_proxy, route_listener::clients, route_id::etl_init_2020, "serve_etl_init_2020", "start an ETL from a Pod spec (YAML or JSON body); 200 with its id as text"},
    {"POST", "/v1/etl/build", route_proxy, route_listener::clients, route_id::etl_build, "serve_not_implemented", "501: transforms given as code"},
    {"GET", "/v1/etl/list", route_proxy, route_listener::clients, route_id::etl_list_2020, "serve_etl_list_2020", "`[{\"id\",\"name\",...}]`"},
    {"GET", "/v1/etl/logs/{id}", route_proxy, route_listener::clients, route_id::etl_logs, "serve_etl_logs", "the last log lines of its pods"},
    {"GET", "/v1/etl/logs/{id}/{target}", route_proxy, route_listener::clients, route_id::etl_logs, "serve_etl_logs", "of one target's pod"},
    {"DELETE", "/v1/etl/stop/{id}", route_proxy, route_listener::clients, route_id::etl_stop_2020, "serve_etl_stop_2020", "remove its pods and forget it"},

    {"PUT", "/v1/etl", route_proxy, route_listener::clients, route_id::etl_init, "serve_etl_init", "start an ETL from an ETL spec or a Pod spec in JSON; 200 with a job id as text"},
    {"GET", "/v1/etl", route_proxy, route_listener::clients, route_id::etl_list, "serve_etl_list", "all ETLs with stage and counters"},
    {"GET", "/v1/etl/{id}", route_proxy, route_listener::clients, route_id::etl_show, "serve_etl_show", "one ETL: spec, stage, its pods"},
    {"DELETE", "/v1/etl/{id}", route_proxy, route_listener::clients, route_id::etl_delete, "serve_etl_delete", "remove its pods and forget it"},
    {"POST", "/v1/etl/{id}/start", route_proxy, route_listener::clients, route_id::etl_start, "serve_etl_start", "start an ETL that was stopped; 200 with a job id as text"},
    {"POST", "/v1/etl/{id}/stop", route_proxy, route_listener::clients, route_id::etl_stop, "serve_etl_stop", "remove its pods, keep it as `Aborted`"},
    {"GET", "/v1/etl/{id}/logs", route_proxy, route_listener::clients, route_id::etl_logs, "serve_etl_logs", "the last log lines of its pods"},
    {"GET", "/v1/etl/{id}/logs/{target}", route_proxy, route_listener::clients, route_id::etl_logs, "serve_etl_logs", "of one target's pod"},
    {"GET", "/v1/etl/{id}/health", route_proxy, route_listener::clients, route_id::etl_health, "serve_etl_health", "the phase of its pods"},
    {"GET", "/v1/etl/{id}/errors", route_proxy, route_listener::clients, route_id::etl_errors, "serve_etl_errors", "the last reads through it that failed, of all targets"},
    {"GET", "/v1/etl/{id}/metrics", route_proxy, route_listener::clients, route_id::etl_metrics, "serve_etl_metrics", "404: see `/metrics` of the targets"},

    {"POST", "/v1/node/register", route_proxy, route_listener::clients, route_id::node_register, "serve_node_register", "a target registers, and says that it lives"},
    {"GET", "/v1/node/status", route_target, route_listener::clients, route_id::node_status, "serve_node_status", "how many objects it holds, which document it has"},
    {"PUT", "/v1/node/document", route_target, route_listener::clients, route_id::node_document, "serve_node_document", "the cluster document"},
    {"POST", "/v1/node/etl", route_target, route_listener::clients, route_id::node_etl_start, "serve_node_etl_start", "start an ETL; answers when its pod is ready"},
    {"GET", "/v1/node/etl", route_target, route_listener::clients, route_id::node_etl_list, "serve_node_etl_list", "its ETLs with counters"},
    {"GET", "/v1/node/etl/{id}", route_target, route_listener::clients, route_id::node_etl_show, "serve_node_etl_show", "one of them"},
    {"DELETE", "/v1/node/etl/{id}", route_target, route_listener::clients, route_id::node_etl_stop, "serve_node_etl_stop", "stop it; answers when its pod is gone"},
    {"GET", "/v1/node/etl/{id}/logs", route_target, route_listener::clients, route_id::node_etl_logs, "serve_node_etl_logs", "last log lines as text"},
    {"GET", "/v1/node/bucket/{bucket}", route_target, route_listener::clients, route_id::node_bucket_page, "serve_node_bucket_page", "a page of its objects"},
    {"DELETE", "/v1/node/bucket/{bucket}", route_target, route_listener::clients, route_id::node_bucket_drop, "serve_node_bucket_drop", "remove its objects"},

    {"GET", "/v1/etl/_object/{etl}/{secret}/{object...}", route_target, route_listener::pods, route_id::pod_object, "target_serve_pod", "an object, for the pod of that ETL"},
    {"HEAD", "/v1/etl/_object/{etl}/{secret}/{object...}", route_target, route_listener::pods, route_id::pod_object, "target_serve_pod", "its properties"},
};

inline constexpr size_t route_args_max = 4;

// Lifetime: views point into the path.
struct route_match {
    const route *found = nullptr;                       // null: see `allow`
    std::array<std::string_view, route_args_max> args{}; // what stood for the pattern's names, raw (percent-encoded), in order
    size_t arg_count = 0;
    std::string allow;                                  // not found, but the path exists: the methods it has ("GET, PUT")
};

// One trailing slash is ignored, except inside "{name...}".
route_match route_find(uint8_t role, route_listener listener, std::string_view method, std::string_view path);

// The table in Markdown, for docs/PROTOCOL.md.
std::string route_table_text();
