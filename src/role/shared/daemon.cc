// SPDX-License-Identifier: MIT
// role/shared/daemon.cc: GET /v1/daemon?what=...: what a node says of itself and of its cluster, for AIStore's clients.
//
// Knows    aistore, http.            Known by  role/proxy/health.cc, role/target/health.cc.
#include "role/shared/daemon.h"

#include "aistore/cluster_config.h"
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
};

static std::string names()
{
    std::string out;
    for (const answer_row &row : answers)
        out.append(out.empty() ? "" : ", ").append(row.what);
    return out;
}

void daemon_serve(exchange &x, const node_facts &facts)
{
    std::string what;
    url_query_get(exchange_head(x).query, "what", what);
    if (what.empty()) {
        exchange_answer_error(x, error_code::bad_request, "the query must say what: ?what=smap");
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
