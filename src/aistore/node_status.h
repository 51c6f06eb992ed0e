// SPDX-License-Identifier: MIT
// aistore/node_status.h: what a node says of itself, as AIStore's clients read it (GET /v1/daemon?what=...). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "codec/json.h"
#include "control/capacity.h"
#include "control/document.h"
#include "port/proc.h"

namespace etlnode {

struct node_facts {
    const cluster_document *document = nullptr;
    std::string id;
    bool is_target = false;
    bool is_on_kubernetes = false;
    std::string pod_name; // on Kubernetes
    std::string data_dir;
    std::string proxy_url; // of the primary
    uint64_t uptime_ms = 0;
    node_capacity capacity;
    machine_load machine;
    std::vector<std::pair<const char *, uint64_t>> counts; // AIStore's names of statistics: "get.n", "put.size"
};

json_ptr node_status_json(const node_facts &facts);
json_ptr node_mountpaths_json(const node_facts &facts);
json_ptr node_sysinfo_json(const node_facts &facts);
// The kind of each name that node_status_json's tracker has.
json_ptr node_metrics_json(const node_facts &facts);
// All buckets with their properties.
json_ptr node_buckets_json(const cluster_document &document);

} // namespace etlnode
