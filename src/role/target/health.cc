// SPDX-License-Identifier: MIT
// role/target/health.cc: the target's /v1/health, /v1/daemon and /metrics.
//
// Knows    health, etl.            Known by  routes.cc.
#include "role/shared/health.h"
#include "codec/json.h"
#include "port/clock.h"
#include "port/proc.h"
#include "role/shared/daemon.h"
#include "role/target/rebalance.h"

namespace etlnode {

static json_ptr kubectl_details(const target &t, const etl_registry_health &health)
{
    json_ptr out = json_object();
    cJSON *kubectl = json_add_object(out.get(), "kubectl");
    json_add_bool(kubectl, "ok", health.kubectl_ok);
    json_add_u64(kubectl, "calls", health.kubectl_calls);
    cJSON *failures = json_add_object(kubectl, "failures");
    for (size_t i = 0; i < kubectl_fault_count; i++) {
        if (health.failures_by_kind[i] > 0)
            json_add_u64(failures, std::string(kubectl_fault_names[i]).c_str(), health.failures_by_kind[i]);
    }
    json_add_text(kubectl, "last_error", health.kubectl_error);
    if (health.has_succeeded)
        json_add_u64(kubectl, "seconds_since_success", (clock_now_ms(*t.e) - health.succeeded_ms) / 1000);
    else
        cJSON_AddNullToObject(kubectl, "seconds_since_success");
    json_add_u64(kubectl, "watch_restarts", health.watch_restarts);
    if (!t.options.sandbox.empty()) {
        json_add_text(kubectl, "sandbox", t.options.sandbox);
        json_add_text(kubectl, "sandbox_message", t.options.sandbox_message);
    }
    return out;
}

// If kubectl fails for a while, the target stays ready: objects and running pods are still served. But lacking permission to see its pods
// is a deployment error: report not ready, so that the rollout stops.
static void serve_health(target &t, exchange &x, const route_match &)
{
    uint64_t uptime = clock_now_ms(*t.e) - t.started_ms;
    bool has_joined = lifecycle_has_joined(t.life);
    health_state state = {.is_primary = false,
        .ready = has_joined,
        .draining = lifecycle_is_draining(t.life),
        .not_ready_text = "the target has not joined its cluster yet",
        .node_uptime_ms = uptime,
        .cluster_uptime_ms = has_joined ? uptime : 0};
    json_ptr details;
    if (t.etls != nullptr) {
        const etl_registry_health &health = etl_registry_get_health(*t.etls);
        details = kubectl_details(t, health);
        state.details = details.get();
        const std::string &right = etl_registry_missing_right(health);
        if (has_joined && !right.empty()) {
            state.ready = false;
            state.not_ready_text = "the target cannot see its pods: " + right;
        }
    }
    if (json_ptr found = found_report(t); found != nullptr) {
        details = details != nullptr ? std::move(details) : json_object();
        json_add_tree(details.get(), "found", std::move(found));
        state.details = details.get();
    }
    for (const std::string *problem : {&t.odds, &t.unfit}) { // what the proxy refuses
        if (!state.ready || problem->empty())
            continue;
        state.ready = false;
        state.not_ready_text = *problem;
    }
    health_serve(x, state);
}

static void add_counts(const target &t, node_facts &facts)
{
    const object_metrics &m = t.metrics;
    uint64_t transforms = 0;
    uint64_t transformed = 0;
    for (const auto &[id, one] : m.etls) {
        transforms += one.requests_ok + one.requests_redirected;
        transformed += one.out_bytes;
    }
    facts.counts = {{"get.n", m.get_count}, {"get.size", m.get_bytes}, {"put.n", m.put_count}, {"put.size", m.put_bytes},
        {"head.n", m.head_count}, {"del.n", m.delete_count}, {"lst.n", m.list_count}, {"err.get.n", m.get_errors},
        {"err.put.n", m.put_errors}, {"err.del.n", m.delete_errors}, {"etl.inline.n", transforms}, {"etl.inline.size", transformed}};
}

static void serve_daemon(target &t, exchange &x, const route_match &)
{
    node_facts facts;
    facts.document = &t.document;
    facts.id = t.id;
    facts.is_target = true;
    facts.is_on_kubernetes = !t.options.pod_name.empty();
    facts.pod_name = t.options.pod_name;
    facts.data_dir = t.options.data_dir;
    facts.proxy_url = t.options.proxy_url;
    facts.uptime_ms = clock_now_ms(*t.e) - t.started_ms;
    facts.capacity = target_capacity(t);
    facts.machine = proc_machine(*t.e);
    add_counts(t, facts);
    daemon_serve(x, facts);
}

static void serve_metrics(target &t, exchange &x, const route_match &)
{
    exchange_answer_text(x, target_metrics_text(t), "text/plain; version=0.0.4; charset=utf-8");
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/health", serve_health, "200; `?readiness=true`: 503 until ready and while draining"),
    ROUTE("HEAD", "/v1/health", serve_health, "as GET, without a body"),
    ROUTE("GET", "/v1/daemon", serve_daemon,
        "`?what=smap`: the cluster map; `?what=node_status` and others: of this node, for AIStore's clients"),
    ROUTE("GET", "/metrics", serve_metrics, "Prometheus text"),
};
extern constinit const std::span<const route> target_health_routes = rows;

} // namespace etlnode
