// SPDX-License-Identifier: MIT
// aistore/node_status.cc: what a node says of itself, as AIStore's clients read it.
//
// Known by  role/shared/daemon.cc.
#include "aistore/node_status.h"

#include <algorithm>

#include "aistore/cluster_config.h"
#include "base/text.h"
#include "node/version.h"

namespace etlnode {

static constexpr uint64_t state_is_well = 6; // AIStore's flags of a node that has started in a cluster that has started

// The node's entry in the cluster map; an empty object if it has none yet.
static json_ptr entry_of(const node_facts &facts)
{
    json_ptr map = document_smap(*facts.document);
    const cJSON *entry = json_get(json_get(map.get(), facts.is_target ? "tmap" : "pmap"), facts.id.c_str());
    return entry != nullptr ? json_ptr(cJSON_Duplicate(entry, true)) : json_object();
}

static double percent_of(uint64_t part, uint64_t whole)
{
    return whole > 0 ? static_cast<double>(part) * 100 / static_cast<double>(whole) : 0;
}

json_ptr node_sysinfo_json(const node_facts &facts)
{
    const machine_load &machine = facts.machine;
    uint64_t used = machine.memory - std::min(machine.memory, machine.memory_available);
    double load = machine.processors > 0 ? machine.load[0] * 100 / machine.processors : 0;
    json_ptr tree = json_object();
    json_add_u64(tree.get(), "mem_used", used);
    json_add_u64(tree.get(), "mem_avail", machine.memory_available);
    cJSON_AddNumberToObject(tree.get(), "pct_mem_used", percent_of(used, machine.memory));
    cJSON_AddNumberToObject(tree.get(), "pct_cpu_used", std::min(load, 100.0));
    cJSON *average = json_add_object(tree.get(), "load_avg");
    cJSON_AddNumberToObject(average, "One", machine.load[0]);
    cJSON_AddNumberToObject(average, "Five", machine.load[1]);
    cJSON_AddNumberToObject(average, "Fifteen", machine.load[2]);
    return tree;
}

json_ptr node_mountpaths_json(const node_facts &facts)
{
    json_ptr tree = json_object();
    cJSON *available = json_add_array(tree.get(), "available");
    if (facts.is_target)
        json_append_text(available, facts.data_dir);
    json_add_array(tree.get(), "waiting_dd");
    json_add_array(tree.get(), "disabled");
    return tree;
}

static json_ptr capacity_tree(const node_facts &facts)
{
    const disk_space &disk = facts.capacity.disk;
    uint64_t percent = space_used_permille(disk) / 10;
    json_ptr tree = json_object();
    cJSON *path = json_add_object(json_add_object(tree.get(), "mountpaths"), facts.data_dir.c_str());
    json_add_text(path, "mountpath_label", "");
    cJSON *fs = json_add_object(path, "fs");
    json_add_text(fs, "Fs", "");
    json_add_text(fs, "FsType", "");
    json_add_text(fs, "FsID", text_format("%llu,0", static_cast<unsigned long long>(disk.id)));
    json_add_array(path, "disks");
    json_add_u64_text(path, "used", disk.used);
    json_add_u64_text(path, "avail", disk.free);
    json_add_u64(path, "pct_used", percent);
    bool is_full = space_judge(disk, facts.capacity.out_of_space) == space_state::full;
    json_add_text(tree.get(), "cs_err", is_full ? "out of space: the disk is used to " + space_used_text(disk) : std::string());
    json_add_u64_text(tree.get(), "total_used", disk.used);
    json_add_u64_text(tree.get(), "total_avail", disk.free);
    for (const char *key : {"pct_max", "pct_avg", "pct_min"})
        json_add_u64(tree.get(), key, percent);
    return tree;
}

static json_ptr cluster_tree(const node_facts &facts)
{
    const cluster_document &document = *facts.document;
    json_ptr tree = json_object();
    cJSON *smap = json_add_object(tree.get(), "smap");
    cJSON *primary = json_add_object(smap, "Primary");
    std::string primary_id;
    for (const cluster_node &node : document.nodes) {
        if (!node.is_target)
            primary_id = node.id;
    }
    json_add_text(primary, "pub_url", facts.proxy_url);
    json_add_text(primary, "control_url", facts.proxy_url);
    json_add_text(primary, "id", primary_id);
    json_add_text(smap, "uuid", document.uuid);
    json_add_u64_text(smap, "version", document.version);
    cJSON *buckets = json_add_object(tree.get(), "bmd");
    json_add_text(buckets, "uuid", document.uuid);
    json_add_u64_text(buckets, "version", document.version);
    for (const char *key : {"rmd", "config", "etlmd"})
        json_add_u64_text(json_add_object(tree.get(), key), "version", std::string_view(key) == "etlmd" ? document.version : 0);
    json_add_u64(tree.get(), "flags", state_is_well);
    return tree;
}

json_ptr node_status_json(const node_facts &facts)
{
    json_ptr tree = json_object();
    json_add_text(tree.get(), "status", "online");
    json_add_text(tree.get(), "deployment", facts.is_on_kubernetes ? "K8s" : "linux");
    // The dot at the end is AIStore's: its build number follows there. Without a version its command takes the node for one in maintenance.
    json_add_text(tree.get(), "ais_version", facts.capacity.version + ".");
    json_add_text(tree.get(), "build_time", "");
    json_add_text(tree.get(), "k8s_pod_name", facts.pod_name);
    json_add_tree(tree.get(), "snode", entry_of(facts));
    cJSON *tracker = json_add_object(tree.get(), "tracker");
    json_add_u64(tracker, "state.flags", state_is_well);
    json_add_u64(tracker, "up.ns.time", facts.uptime_ms * 1'000'000);
    for (const auto &[name, count] : facts.counts)
        json_add_u64(tracker, name, count);
    if (facts.is_target)
        json_add_tree(tree.get(), "capacity", capacity_tree(facts));
    json_add_tree(tree.get(), "cluster", cluster_tree(facts));
    json_add_tree(tree.get(), "sys_info", node_sysinfo_json(facts));
    json_add_u64_text(tree.get(), "smap_version", facts.document->version);
    return tree;
}

json_ptr node_metrics_json(const node_facts &facts)
{
    json_ptr tree = json_object();
    json_add_text(tree.get(), "state.flags", "gauge");
    json_add_text(tree.get(), "up.ns.time", "special");
    for (const auto &[name, count] : facts.counts) {
        std::string_view text = name;
        json_add_text(tree.get(), name, text.ends_with(".size") ? "size" : text.ends_with(".ns.total") ? "total" : "counter");
    }
    return tree;
}

json_ptr node_buckets_json(const cluster_document &document)
{
    json_ptr tree = json_object();
    cJSON *space = json_add_object(json_add_object(json_add_object(tree.get(), "providers"), "ais"), "@#");
    for (const cluster_bucket &bucket : document.buckets)
        json_add_tree(space, bucket.name.c_str(), cluster_config_bucket_json(bucket));
    json_add_text(tree.get(), "uuid", document.uuid);
    json_add_u64_text(tree.get(), "version", document.version);
    return tree;
}

} // namespace etlnode
