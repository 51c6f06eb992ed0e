// SPDX-License-Identifier: MIT
// role/proxy/health.cc: the proxy's /v1/health, /v1/daemon and /metrics.
//
// Knows    health, the document.            Known by  routes.cc.
#include "role/shared/health.h"
#include "codec/json.h"
#include "node/version.h"
#include "port/clock.h"
#include "port/proc.h"
#include "role/proxy/proxy.h"
#include "role/shared/daemon.h"

namespace etlnode {

static void serve_health(proxy &p, exchange &x, const route_match &)
{
    uint64_t uptime = clock_now_ms(*p.e) - p.started_ms;
    bool has_joined = lifecycle_has_joined(p.life);
    health_state state = {.is_primary = true,
        .ready = has_joined,
        .draining = lifecycle_is_draining(p.life),
        .node_uptime_ms = uptime,
        .cluster_uptime_ms = has_joined ? uptime : 0};
    json_ptr details;
    std::string odds = proxy_odds_text(p);
    if (!odds.empty()) {
        details = json_object();
        json_add_text(details.get(), "problem", odds);
        state.details = details.get();
        if (has_joined && (proxy_is_at_odds(p) || !p.ahead.empty())) {
            state.ready = false;
            state.not_ready_text = odds;
        }
    }
    health_serve(x, state);
}

uint64_t proxy_out_of_space(const proxy &p)
{
    uint64_t lowest = 0;
    for (const auto &[id, target] : p.targets) {
        uint64_t one = target.capacity.out_of_space;
        if (one != 0 && (lowest == 0 || one < lowest))
            lowest = one;
    }
    return lowest != 0 ? lowest : node_options{}.out_of_space;
}

void proxy_serve_daemon(proxy &p, exchange &x)
{
    node_facts facts;
    facts.document = &proxy_document(p);
    facts.id = p.id;
    facts.is_on_kubernetes = !p.options.pod_name.empty();
    facts.pod_name = p.options.pod_name;
    facts.data_dir = p.options.data_dir;
    facts.proxy_url = p.url;
    facts.uptime_ms = clock_now_ms(*p.e) - p.started_ms;
    facts.capacity.version = p.options.version.empty() ? NODE_VERSION : p.options.version;
    facts.capacity.out_of_space = proxy_out_of_space(p);
    facts.machine = proc_machine(*p.e);
    facts.counts = {{"get.redir.n", p.counts.redirects}, {"lst.n", p.counts.list_pages}};
    daemon_serve(x, facts);
}

static void serve_daemon(proxy &p, exchange &x, const route_match &) { proxy_serve_daemon(p, x); }

static void serve_metrics(proxy &p, exchange &x, const route_match &)
{
    exchange_answer_text(x, proxy_metrics_text(p), "text/plain; version=0.0.4; charset=utf-8");
}

// --- routes

static constexpr route rows[] = {
    ROUTE_EARLY("GET", "/v1/health", serve_health, "200; `?readiness=true` and `?prr=true`: 503 until ready and while draining"),
    ROUTE_EARLY("HEAD", "/v1/health", serve_health, "as GET, without a body"),
    ROUTE("GET", "/v1/daemon", serve_daemon,
        "`?what=smap`: the cluster map; `?what=node_status` and others: of this node, for AIStore's clients"),
    ROUTE_EARLY("GET", "/metrics", serve_metrics, "Prometheus text"),
};
extern constinit const std::span<const route> proxy_health_routes = rows;

} // namespace etlnode
