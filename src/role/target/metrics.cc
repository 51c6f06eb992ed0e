// SPDX-License-Identifier: MIT
// role/target/metrics.cc: the target's /metrics.
//
// Knows    metrics, metrics_page, store, etl, transfer.        Known by  target.cc.
#include <algorithm>

#include "base/limits.h"
#include "port/clock.h"
#include "role/shared/metrics_page.h"
#include "role/target/rebalance.h"
#include "transfer/transfer.h"

namespace etlnode {

static double as_double(uint64_t value) { return static_cast<double>(value); }

static std::string one_label(const char *key, std::string_view value)
{
    std::string labels;
    metrics_label(labels, key, value);
    return labels;
}

static void add_objects(const target &t, metrics_text &text)
{
    const object_metrics &m = t.metrics;
    const char *requests = "etlnode_object_requests_total";
    const char *requests_help = "Requests for objects, by operation.";
    metrics_add(text, requests, "counter", requests_help, one_label("op", "get"), as_double(m.get_count));
    metrics_add(text, requests, "counter", requests_help, one_label("op", "put"), as_double(m.put_count));
    metrics_add(text, requests, "counter", requests_help, one_label("op", "head"), as_double(m.head_count));
    metrics_add(text, requests, "counter", requests_help, one_label("op", "delete"), as_double(m.delete_count));
    metrics_add(text, requests, "counter", requests_help, one_label("op", "list"), as_double(m.list_count));
    const char *errors = "etlnode_object_errors_total";
    const char *errors_help = "Requests for objects that failed, by operation.";
    metrics_add(text, errors, "counter", errors_help, one_label("op", "get"), as_double(m.get_errors));
    metrics_add(text, errors, "counter", errors_help, one_label("op", "put"), as_double(m.put_errors));
    metrics_add(text, errors, "counter", errors_help, one_label("op", "delete"), as_double(m.delete_errors));
    const char *bytes = "etlnode_object_bytes_total";
    const char *bytes_help = "Bytes of objects, by operation.";
    metrics_add(text, bytes, "counter", bytes_help, one_label("op", "get"), as_double(m.get_bytes));
    metrics_add(text, bytes, "counter", bytes_help, one_label("op", "put"), as_double(m.put_bytes));
}

// The largest buckets each have samples of their own; those of the others are one sample, so that many buckets do not make many series.
static void add_buckets(target &t, metrics_text &text)
{
    if (t.objects == nullptr)
        return;
    using entry = index_usage_map::value_type;
    std::vector<const entry *> buckets;
    for (const entry &one : store_bucket_usage(*t.objects))
        buckets.push_back(&one);
    std::stable_sort(buckets.begin(), buckets.end(), [](const entry *a, const entry *b) { return a->second.bytes > b->second.bytes; });
    size_t shown = std::min(buckets.size(), metrics_buckets_max);
    index_usage others;
    for (size_t i = shown; i < buckets.size(); i++) {
        others.objects += buckets[i]->second.objects;
        others.bytes += buckets[i]->second.bytes;
    }
    struct family {
        const char *name, *help;
        uint64_t index_usage::*field;
    };
    static constexpr family families[] = {
        {"etlnode_bucket_objects", "Objects of a bucket on this target; \"(others)\": of all buckets without a sample of their own.",
            &index_usage::objects},
        {"etlnode_bucket_bytes", "Bytes of a bucket on this target; \"(others)\": of all buckets without a sample of their own.",
            &index_usage::bytes},
    };
    for (const family &f : families) {
        for (size_t i = 0; i < shown; i++)
            metrics_add(text, f.name, "gauge", f.help, one_label("bucket", buckets[i]->first), as_double(buckets[i]->second.*f.field));
        if (shown < buckets.size())
            metrics_add(text, f.name, "gauge", f.help, one_label("bucket", "(others)"), as_double(others.*f.field));
    }
}

static void add_disk(const target &t, metrics_text &text)
{
    const target_space &space = t.space;
    if (space.is_known) {
        metrics_add(
            text, "etlnode_disk_size_bytes", "gauge", "Size of the file system of the data directory.", {}, as_double(space.last.size));
        metrics_add(text, "etlnode_disk_used_bytes", "gauge", "Used bytes of it, whoever uses them.", {}, as_double(space.last.used));
        metrics_add(text, "etlnode_disk_free_bytes", "gauge", "Bytes of it that the node may still write.", {}, as_double(space.last.free));
        metrics_add(text, "etlnode_disk_nearly_full", "gauge", "1 from 5 percentage points below --out-of-space, else 0.", {},
            space.state == space_state::ok ? 0 : 1);
        metrics_add(text, "etlnode_disk_full", "gauge", "1 while writes are refused because the disk is used to --out-of-space, else 0.",
            {}, space.state == space_state::full ? 1 : 0);
    }
    metrics_add(text, "etlnode_disk_refused_total", "counter", "Writes refused because the disk is used to --out-of-space.", {},
        as_double(space.refused));
}

static void add_store(target &t, metrics_text &text)
{
    if (t.objects == nullptr)
        return;
    const store_counts &c = store_count(*t.objects);
    metrics_add(text, "etlnode_orphan_objects", "gauge",
        "Objects of buckets that the cluster document does not name: kept, but not served.", {}, as_double(target_orphans_objects(t)));
    if (found_is_known(t))
        metrics_add(text, "etlnode_found_objects", "gauge",
            "Objects that belong to other targets though nothing moves: kept, but not served (etlctl target found).", {},
            as_double(t.giving->found.objects));
    metrics_add(text, "etlnode_store_objects", "gauge", "Objects that this target holds.", {}, as_double(store_object_count(*t.objects)));
    metrics_add(text, "etlnode_store_bytes", "gauge", "Bytes of these objects.", {}, as_double(store_byte_count(*t.objects)));
    metrics_add(text, "etlnode_store_cache_total", "counter", "Lookups of the cache of hot entries.", one_label("result", "hit"),
        as_double(c.hits));
    metrics_add(text, "etlnode_store_cache_total", "counter", "Lookups of the cache of hot entries.", one_label("result", "miss"),
        as_double(c.misses));
    metrics_add(text, "etlnode_store_puts_total", "counter", "Objects stored.", {}, as_double(c.puts));
    metrics_add(text, "etlnode_store_put_bytes_total", "counter", "Bytes of objects stored.", {}, as_double(c.put_bytes));
    metrics_add(text, "etlnode_store_put_failures_total", "counter", "Objects that could not be stored.", {}, as_double(c.put_failures));
    metrics_add(text, "etlnode_store_removed_total", "counter", "Objects removed.", {}, as_double(c.removed));
    metrics_add(text, "etlnode_store_damaged_total", "counter",
        "Blocks of contents, and small contents, that were found damaged, each time.", {}, as_double(c.damaged));
    metrics_add(text, "etlnode_store_garbage_files", "gauge", "Content files that wait to be removed.", {}, as_double(c.garbage_pending));
}

static const cluster_etl *document_etl(const target &t, std::string_view id)
{
    const cluster_etl *etl = document_find_etl(t.document, id);
    return etl != nullptr && etl->id == id ? etl : nullptr;
}

static void add_pods(const target &t, metrics_text &text)
{
    if (t.etls == nullptr)
        return;
    static constexpr std::string_view phases[] = {"starting", "serving", "stopping", "failed", "gone"};
    std::vector<etl_view> views;
    etl_registry_list(*t.etls, views);
    for (const etl_view &view : views) {
        const cluster_etl *etl = document_etl(t, view.definition->id);
        std::string labels = one_label("etl", view.definition->id);
        metrics_label(labels, "name", view.definition->name);
        metrics_label(labels, "stage", etl_stage_names[static_cast<size_t>(etl != nullptr ? etl->stage : etl_stage::initializing)]);
        metrics_label(labels, "phase", phases[static_cast<size_t>(view.phase)]);
        metrics_label(labels, "communication", etl_mode_names[static_cast<size_t>(view.definition->mode)]);
        metrics_add(text, "etlnode_etl", "gauge", "Always 1; one sample an ETL.", labels, 1);
    }
    for (const etl_view &view : views)
        metrics_add(text, "etlnode_etl_pod_ready", "gauge", "1 when the ETL's pod takes requests, else 0.",
            one_label("etl", view.definition->id), view.ready ? 1 : 0);
    for (const etl_view &view : views)
        metrics_add(text, "etlnode_etl_restarts_total", "counter", "Restarts of the ETL's container while it served.",
            one_label("etl", view.definition->id), as_double(view.restarts));
    for (const etl_view &view : views)
        metrics_add(text, "etlnode_etl_readiness_changes_total", "counter",
            "Times that the ETL's pod became Ready or not Ready while its container served.", one_label("etl", view.definition->id),
            as_double(view.readiness_changes));
    const etl_registry_health &health = etl_registry_get_health(*t.etls);
    const char *starts = "etlnode_etl_starts_total";
    const char *starts_help = "Starts of ETLs on this target, by how they ended.";
    metrics_add(text, starts, "counter", starts_help, one_label("result", "served"), as_double(health.starts_served));
    metrics_add(text, starts, "counter", starts_help, one_label("result", "failed"), as_double(health.starts_failed));
}

static void add_transfers(const target &t, metrics_text &text)
{
    for (const auto &[id, m] : t.metrics.etls) {
        struct row {
            const char *outcome;
            uint64_t count;
        };
        const row outcomes[] = {{"ok", m.requests_ok}, {"redirected", m.requests_redirected}, {"client_error", m.requests_client_error},
            {"timeout", m.requests_timeout}, {"unavailable", m.requests_unavailable}, {"pod_error", m.requests_pod_error},
            {"failed", m.requests_failed}, {"cut", m.requests_cut}};
        for (const row &one : outcomes) {
            std::string labels = one_label("etl", id);
            metrics_label(labels, "outcome", one.outcome);
            metrics_add(text, "etlnode_etl_requests_total", "counter", "Transformed reads, by outcome.", labels, as_double(one.count));
        }
    }
    for (const auto &[id, m] : t.metrics.etls)
        metrics_add(text, "etlnode_etl_unframed_total", "counter",
            "Answers of the ETL's pod with neither Content-Length nor chunks: they end by closing.", one_label("etl", id),
            as_double(m.unframed));
    for (const auto &[id, m] : t.metrics.etls)
        metrics_add(
            text, "etlnode_etl_input_bytes_total", "counter", "Bytes sent to the ETL's pod.", one_label("etl", id), as_double(m.in_bytes));
    for (const auto &[id, m] : t.metrics.etls)
        metrics_add(text, "etlnode_etl_output_bytes_total", "counter", "Bytes that the ETL's pod returned.", one_label("etl", id),
            as_double(m.out_bytes));
    for (const auto &[id, m] : t.metrics.etls)
        metrics_add_histogram(text, "etlnode_etl_duration_seconds", "Duration of transformed reads.", one_label("etl", id), m.latency);
    metrics_add(text, "etlnode_pod_unsolicited_total", "counter", "Times that a pod sent bytes which no request had asked for.", {},
        as_double(t.transfers != nullptr ? transfer_host_unsolicited(*t.transfers) : 0));
    metrics_add(text, "etlnode_transfers_in_flight", "gauge", "Transformed reads under way.", {},
        as_double(t.transfers != nullptr ? transfer_host_in_flight(*t.transfers) : 0));
}

static void add_kubectl(const target &t, metrics_text &text)
{
    if (t.etls == nullptr)
        return;
    const etl_registry_health &health = etl_registry_get_health(*t.etls);
    metrics_add(
        text, "etlnode_kubectl_up", "gauge", "1 when kubectl did what it was last asked to do, else 0.", {}, health.kubectl_ok ? 1 : 0);
    for (size_t i = 0; i < kubectl_verb_count; i++)
        metrics_add(text, "etlnode_kubectl_calls_total", "counter", "Runs of kubectl, by what it was asked to do.",
            one_label("verb", kubectl_verb_names[i]), as_double(health.calls_by_verb[i]));
    for (size_t i = 1; i < kubectl_fault_count; i++)
        metrics_add(text, "etlnode_kubectl_failures_total", "counter", "Runs of kubectl that failed, by the kind of failure.",
            one_label("kind", kubectl_fault_names[i]), as_double(health.failures_by_kind[i]));
    if (health.has_succeeded)
        metrics_add(text, "etlnode_kubectl_success_age_seconds", "gauge", "Time since kubectl last did what it was asked to do.", {},
            as_double((clock_now_ms(*t.e) - health.succeeded_ms) / 1000));
    metrics_add(text, "etlnode_kubectl_watch_restarts_total", "counter", "Times the watch of pods ended and was started again.", {},
        as_double(health.watch_restarts));
    metrics_add(text, "etlnode_kubectl_watch_expiries_total", "counter",
        "Of these: the API server had forgotten where the watch was (410).", {}, as_double(health.watch_expiries));
    metrics_add(text, "etlnode_kubectl_right_missing", "gauge",
        "1 when the Role lacks a right without which the target cannot see its pods, else 0.", {},
        etl_registry_missing_right(health).empty() ? 0 : 1);
}

std::string target_metrics_text(target &t)
{
    metrics_text text;
    metrics_add_node(text, t.options, t.id, "target", lifecycle_is_ready(t.life), clock_now_ms(*t.e) - t.started_ms);
    metrics_server servers[] = {{"public", t.public_server}, {"pods", t.pod_server}};
    metrics_add_servers(text, servers, 2);
    metrics_add(text, "etlnode_document_version", "gauge", "Version of the cluster document.", {}, as_double(t.document.version));
    add_objects(t, text);
    add_store(t, text);
    add_buckets(t, text);
    add_disk(t, text);
    add_pods(t, text);
    add_transfers(t, text);
    add_kubectl(t, text);
    metrics_add_machines(text);
    return text.out;
}

} // namespace etlnode
