// SPDX-License-Identifier: MIT
// role/shared/daemon.cc: GET /v1/daemon?what=...: what a node says of itself and of its cluster, for AIStore's clients.
//
// Knows    aistore, http.            Known by  role/proxy/health.cc, role/target/health.cc.
#include "role/shared/daemon.h"

#include "aistore/cluster_config.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/url.h"

namespace etlnode {

static json_ptr smap(const node_facts &facts) { return document_smap(*facts.document); }
static json_ptr buckets(const node_facts &facts) { return node_buckets_json(*facts.document); }
static json_ptr config(const node_facts &facts)
{
    return cluster_config_json(*facts.document, facts.proxy_url, facts.capacity.out_of_space);
}

static json_ptr software(const node_facts &facts)
{
    json_ptr tree = json_object();
    json_add_text(tree.get(), "version", facts.capacity.version);
    json_add_text(tree.get(), "build_time", "");
    return tree;
}

// Nothing is measured of disks alone; the key is there for clients that add them up.
static json_ptr disks(const node_facts &) { return json_object(); }

static json_ptr snode(const node_facts &facts)
{
    json_ptr status = node_status_json(facts);
    return json_ptr(cJSON_DetachItemFromObject(status.get(), "snode"));
}

struct answer_row {
    std::string_view what;
    json_ptr (*make)(const node_facts &facts);
};
static constexpr answer_row answers[] = {
    {"smap", smap},
    {"node_status", node_status_json},
    {"mountpaths", node_mountpaths_json},
    {"sysinfo", node_sysinfo_json},
    {"metrics", node_metrics_json},
    {"config", config},
    {"bmd", buckets},
    {"software_version", software},
    {"node_stats", node_status_json},
    {"disk", disks},
    {"snode", snode},
};

static std::string names()
{
    std::string out = "log";
    for (const answer_row &row : answers)
        out.append(", ").append(row.what);
    return out;
}

// The last lines; there are no files of which `all` could be an archive.
static void serve_log(exchange &x)
{
    std::string severity, all;
    std::string_view query = exchange_head(x).query;
    url_query_get(query, "severity", severity);
    url_query_get(query, "all", all);
    log_level least = severity.starts_with("err") ? log_level::error : severity.starts_with("warn") ? log_level::warn : log_level::info;
    if (!severity.empty() && least == log_level::info && severity != "info") {
        exchange_answer_error(x, error_code::bad_request, "severity: expected info, warning or error");
        return;
    }
    if (all == "true") {
        exchange_answer_error(x, error_code::not_implemented,
            text_format(
                "all=true is not implemented: a node keeps the last %zu KiB of its log; leave it out to get them", log_recent_size / 1024));
        return;
    }
    exchange_answer_text(x, log_recent(least), "text/plain; charset=utf-8");
}

void daemon_serve(exchange &x, const node_facts &facts)
{
    std::string what;
    url_query_get(exchange_head(x).query, "what", what);
    if (what.empty()) {
        exchange_answer_error(x, error_code::bad_request, "the query must say what: ?what=smap");
        return;
    }
    if (what == "log") {
        serve_log(x);
        return;
    }
    for (const answer_row &row : answers) {
        if (row.what != what)
            continue;
        if (facts.document->version == 0)
            exchange_answer_error(x, error_code::not_ready, "this node has not got a cluster document yet");
        else
            exchange_answer_json(x, row.make(facts).get());
        return;
    }
    exchange_answer_error(x, error_code::not_implemented, "what=" + text_escape(what) + " is not implemented; there are: " + names());
}

} // namespace etlnode
