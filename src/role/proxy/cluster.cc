// SPDX-License-Identifier: MIT
// role/proxy/cluster.cc: the state of the nodes, for people and their programs.
//
// Knows    control, http.          Known by  routes.cc.
#include "aistore/cluster_config.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/json.h"
#include "codec/url.h"
#include "node/version.h"
#include "port/clock.h"
#include "role/proxy/jobs.h"
#include "role/proxy/request.h"
#include "role/proxy/usage.h"
#include "role/shared/hints.h"

namespace etlnode {

// --- ?what=nodes: the state of the nodes, for people and their programs

static void add_capacity(cJSON *row, const node_capacity &capacity)
{
    if (!capacity.version.empty())
        json_add_text(row, "version", capacity.version);
    if (capacity.is_known)
        json_add_u64(row, "bytes", capacity.bytes);
    if (!capacity.is_disk_known)
        return;
    cJSON *disk = json_add_object(row, "disk");
    json_add_text(disk, "id", capacity.machine + ":" + std::to_string(capacity.disk.id)); // of targets that share one, the same
    json_add_u64(disk, "size", capacity.disk.size);
    json_add_u64(disk, "used", capacity.disk.used);
    json_add_u64(disk, "free", capacity.disk.free);
    cJSON_AddNumberToObject(disk, "used_percent", static_cast<double>(space_used_permille(capacity.disk)) / 10);
    json_add_u64(disk, "out_of_space", capacity.out_of_space);
    json_add_text(disk, "state", space_state_names[static_cast<size_t>(space_judge(capacity.disk, capacity.out_of_space))]);
}

// What people should know of a target's place; empty: nothing.
static std::string placement_text(const proxy &p, const cluster_node &node, placement_state state)
{
    switch (state) {
    case placement_state::fresh: {
        std::string obstacle = proxy_join_obstacle(p, proxy_document(p), node);
        return obstacle.empty() ? "it joins in a moment" : "it cannot join yet: " + obstacle;
    }
    case placement_state::joining: return "objects that belong to it now are still moving to it";
    case placement_state::draining: return "its objects are moving to other targets";
    case placement_state::maintenance:
        if (const proxy_target *seen = proxy_heard_target(p, node.id); seen != nullptr && seen->is_count_known && seen->object_count > 0)
            return "it holds objects from an earlier time, which may have been overwritten or deleted since; they are not served";
        return node.want == node_want::leave ? "it is empty and can be stopped; it is forgotten when it is silent"
                                             : "it is empty and gets no objects; to let it take some: etlctl target activate " + node.id;
    case placement_state::active:
    case placement_state::lost: break;
    }
    return {};
}

static json_ptr lost_rows(const cluster_document &document)
{
    json_ptr rows = json_array();
    for (const placed_disk &one : document_lost_disks(document)) {
        json_ptr row = json_object();
        json_add_text(row.get(), "id", one.id);
        json_add_text(row.get(), "disk", one.disk);
        json_append(rows.get(), std::move(row));
    }
    return rows;
}

// Nobody can reach its objects: it was not heard for a while, or another data directory has come in its place.
static bool is_away(const proxy &p, const std::string &id)
{
    auto found = p.targets.find(id);
    return proxy_target_is_silent(p, id) || (found != p.targets.end() && found->second.is_ousted);
}

// How many objects it holds and when that was; of one that was not heard since the start, as a former process noted it.
static void add_holdings(const proxy &p, cJSON *row, const cluster_node &node)
{
    const proxy_target *seen = proxy_heard_target(p, node.id);
    const proxy_last_count *last = proxy_last_count_of(p, node.id);
    uint64_t now_ns = clock_wall_ns(*p.e);
    if (is_away(p, node.id))
        json_add_u64(row, "silent_seconds", proxy_silent_ms(p, node.id) / 1000);
    if (seen != nullptr)
        json_add_u64(row, "heard_seconds", (clock_now_ms(*p.e) - seen->here.heard_ms) / 1000);
    else if (last != nullptr && last->heard_ns < now_ns)
        json_add_u64(row, "heard_seconds", (now_ns - last->heard_ns) / 1'000'000'000);
    if (last == nullptr)
        return;
    json_add_u64(row, "objects", last->objects);
    if (seen == nullptr && last->are_bytes_known)
        json_add_u64(row, "bytes", last->bytes);
}

static json_ptr node_row(const proxy &p, const cluster_node &node)
{
    json_ptr row = json_object();
    json_add_text(row.get(), "id", node.id);
    json_add_text(row.get(), "role", node.is_target ? "target" : "proxy");
    json_add_text(row.get(), "url", node.url);
    json_add_u64(row.get(), "flags", node.flags);
    json_add_bool(row.get(), "primary", node.id == p.id);
    std::string state = "active";
    std::string reason;
    const proxy_target *seen = node.is_target ? proxy_heard_target(p, node.id) : nullptr;
    if (node.is_target && is_away(p, node.id)) {
        state = "silent";
        reason = "its objects are unavailable until it is heard again";
    }
    if (node.is_target) {
        placement_state place = document_placement_state(proxy_document(p), node);
        bool may_hold = cluster_node_is_placed(node) || place == placement_state::draining;
        if (state != "silent" || !may_hold) {
            state = placement_state_names[static_cast<size_t>(place)];
            reason = placement_text(p, node, place);
        }
    }
    auto found = p.targets.find(node.id);
    if (found != p.targets.end() && !found->second.refusal.empty() && is_away(p, node.id))
        reason = found->second.refusal;
    if (node.is_target && found != p.targets.end() && !found->second.odds.empty()) {
        state = "diverged";
        reason = found->second.odds;
    }
    json_add_text(row.get(), "state", state);
    if (seen != nullptr && seen->placement.adopted > 0)
        json_add_u64(row.get(), "epoch", seen->placement.adopted);
    if (node.is_target)
        add_holdings(p, row.get(), node);
    if (node.id == p.id)
        json_add_text(row.get(), "version", p.options.version.empty() ? NODE_VERSION : p.options.version);
    else if (seen != nullptr)
        add_capacity(row.get(), seen->capacity);
    json_add_text(row.get(), "reason", reason);
    if (found != p.targets.end() && !found->second.orphans.empty()) {
        cJSON *orphans = json_add_array(row.get(), "orphans");
        for (const proxy_orphan &orphan : found->second.orphans) {
            json_ptr one = json_object();
            json_add_text(one.get(), "bucket", orphan.bucket.name);
            json_add_u64(one.get(), "objects", orphan.objects);
            json_append(orphans, std::move(one));
        }
    }
    return row;
}

static void serve_nodes(proxy &p, exchange &x)
{
    const cluster_document &document = proxy_document(p);
    json_ptr tree = json_object();
    json_add_text(tree.get(), "uuid", document.uuid);
    json_add_u64_text(tree.get(), "version", document.version);
    if (std::string behind = proxy_behind_text(p); !behind.empty())
        json_add_text(tree.get(), "behind", behind);
    cJSON *nodes = json_add_array(tree.get(), "nodes");
    for (const cluster_node &node : document.nodes)
        json_append(nodes, node_row(p, node));
    json_add_u64_text(tree.get(), "epoch", document_epoch(document));
    json_add_bool(tree.get(), "moving", placement_is_moving(document.placement));
    json_add_tree(tree.get(), "lost", lost_rows(document));
    cJSON *strangers = json_add_array(tree.get(), "strangers");
    uint64_t now = clock_now_ms(*p.e);
    for (const auto &[id, stranger] : p.strangers) {
        if (now - stranger.heard_ms > 2 * register_back_off_max_ms) // it has given up
            continue;
        json_ptr row = json_object();
        json_add_text(row.get(), "id", id);
        json_add_text(row.get(), "cluster", stranger.cluster);
        json_add_text(row.get(), "peer", stranger.peer);
        json_add_text(row.get(), "url", stranger.url);
        json_append(strangers, std::move(row));
    }
    exchange_answer_json(x, tree.get());
}

// --- handlers

static void serve_cluster(proxy &p, exchange &x, const route_match &)
{
    std::string what;
    bool given = url_query_get(exchange_head(x).query, "what", what);
    if (given && what == "cluster_config") {
        json_ptr tree = cluster_config_json(proxy_document(p), p.url, proxy_out_of_space(p));
        exchange_answer_json(x, tree.get());
        return;
    }
    if (given && what == "remote") { // clusters attached to this one
        json_ptr tree = json_object();
        json_add_tree(tree.get(), "a", json_ptr(cJSON_CreateNull()));
        json_add_u64(tree.get(), "ver", 0);
        exchange_answer_json(x, tree.get());
        return;
    }
    if (given && what == "backends") {
        json_ptr tree = json_array();
        exchange_answer_json(x, tree.get());
        return;
    }
    if (given && what == "smap") {
        exchange_answer_json(x, document_smap(proxy_document(p)).get());
        return;
    }
    if (given && what == "nodes") {
        serve_nodes(p, x);
        return;
    }
    if (given && what == "usage") {
        proxy_usage_serve(p, x);
        return;
    }
    if (given && proxy_job_query(p, x, what))
        return;
    exchange_answer_error(x, error_code::not_implemented,
        "what=" + text_escape(what) +
            " is not implemented; there are: cluster_config, smap, nodes, usage, backends, remote, status, status_all, running_all, "
            "qryxstats");
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/cluster", serve_cluster,
        "`?what=cluster_config`, `?what=smap`, `?what=nodes`, `?what=usage`, `?what=backends`, `?what=remote`; of jobs `?what=status`, "
        "`?what=status_all`, `?what=running_all`, `?what=qryxstats`"),
};
extern constinit const std::span<const route> proxy_cluster_routes = rows;

} // namespace etlnode
