// SPDX-License-Identifier: MIT
// role/proxy/metrics.cc: the proxy's /metrics.
//
// Knows    metrics, metrics_page.        Known by  proxy.cc.
#include "port/clock.h"
#include "role/proxy/proxy.h"
#include "role/shared/metrics_page.h"

namespace etlnode {

static double as_double(uint64_t value) { return static_cast<double>(value); }

static void add_targets(const proxy &p, metrics_text &text)
{
    for (const cluster_node &node : proxy_document(p).nodes) {
        if (!node.is_target)
            continue;
        std::string labels;
        metrics_label(labels, "target", node.id);
        metrics_add(text, "etlnode_target_up", "gauge", "1 when the target was heard in time, 0 when it is silent.", labels,
            proxy_target_is_silent(p, node.id) ? 0 : 1);
    }
    for (const cluster_node &node : proxy_document(p).nodes) {
        if (!node.is_target)
            continue;
        std::string labels;
        metrics_label(labels, "target", node.id);
        metrics_add(text, "etlnode_target_maintenance", "gauge", "1 when the target takes no part in placement.", labels,
            (node.flags & node_flag_maintenance) != 0 ? 1 : 0);
    }
    for (const cluster_node &node : proxy_document(p).nodes) {
        auto seen = p.targets.find(node.id);
        if (!node.is_target || seen == p.targets.end())
            continue;
        std::string labels;
        metrics_label(labels, "target", node.id);
        metrics_add(text, "etlnode_target_document_version", "gauge", "The cluster document that the target is known to hold.", labels,
            as_double(seen->second.copy.held_version));
    }
}

static void add_etls(const proxy &p, metrics_text &text)
{
    for (const cluster_etl &etl : proxy_document(p).etls) {
        std::string labels;
        metrics_label(labels, "etl", etl.id);
        metrics_label(labels, "name", etl.name);
        metrics_label(labels, "stage", etl_stage_names[static_cast<size_t>(etl.stage)]);
        metrics_label(labels, "communication", etl_mode_names[static_cast<size_t>(etl.mode)]);
        metrics_add(text, "etlnode_etl", "gauge", "Always 1; one sample an ETL.", labels, 1);
    }
}

std::string proxy_metrics_text(proxy &p)
{
    metrics_text text;
    metrics_add_node(text, p.options, p.id, "proxy", lifecycle_is_ready(p.life), clock_now_ms(*p.e) - p.started_ms);
    metrics_server servers[] = {{"public", p.server}};
    metrics_add_servers(text, servers, 1);
    const cluster_document &document = proxy_document(p);
    metrics_add(text, "etlnode_document_version", "gauge", "Version of the cluster document.", {}, as_double(document.version));
    metrics_add(text, "etlnode_document_bytes", "gauge",
        "Size of the cluster document, which every change writes and sends to the targets.", {}, as_double(p.documents.text.size()));
    metrics_add(text, "etlnode_proxy_behind", "gauge", "1 while the proxy's document is older than that of a target, else 0.", {},
        p.ahead.empty() ? 0 : 1);
    metrics_add(text, "etlnode_buckets", "gauge", "Buckets.", {}, as_double(document.buckets.size()));
    add_targets(p, text);
    add_etls(p, text);
    metrics_add(
        text, "etlnode_redirects_total", "counter", "Requests for objects redirected to a target.", {}, as_double(p.counts.redirects));
    metrics_add(text, "etlnode_redirects_refused_total", "counter", "Requests for objects whose target could not take them.", {},
        as_double(p.counts.redirects_refused));
    metrics_add(text, "etlnode_list_pages_total", "counter", "Pages of object lists.", {}, as_double(p.counts.list_pages));
    metrics_add(
        text, "etlnode_registrations_total", "counter", "Registrations and heartbeats accepted.", {}, as_double(p.counts.registrations));
    metrics_add(
        text, "etlnode_registrations_refused_total", "counter", "Registrations refused.", {}, as_double(p.counts.registrations_refused));
    metrics_add(text, "etlnode_pushes_total", "counter", "Pushes of the cluster document to a target.", {}, as_double(p.counts.pushes));
    metrics_add(
        text, "etlnode_push_failures_total", "counter", "Pushes that failed and were repeated.", {}, as_double(p.counts.push_failures));
    metrics_add(text, "etlnode_etl_starts_total", "counter", "Starts of ETLs.", {}, as_double(p.counts.etl_inits));
    metrics_add(text, "etlnode_etl_start_failures_total", "counter", "Starts of ETLs that failed and were ended everywhere.", {},
        as_double(p.counts.etl_init_failures));
    metrics_add_machines(text);
    return text.out;
}

} // namespace etlnode
