// SPDX-License-Identifier: MIT
// role/proxy/cluster.cc: the state of the nodes, and changes of the membership that a person requests, such as removing a lost target.
//
// Knows    control, http.          Known by  routes.cc.
#include "aistore/cluster_config.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/json.h"
#include "codec/url.h"
#include "port/clock.h"
#include "role/proxy/request.h"
#include "role/shared/health.h"
#include "role/shared/hints.h"

namespace etlnode {

struct removal_request : proxy_request {
    std::string target;
    uint64_t lost_count = 0; // of objects that are lost with the target
    bool is_lost_count_known = false;
};

static error apply_removal(removal_request &r, cluster_document &next)
{
    return document_depart(next, r.target) ? no_error : make_error(error_code::not_found);
}

static void fail_unknown(removal_request &r)
{
    std::vector<std::string_view> names;
    for (const cluster_node &node : proxy_document(*r.p).nodes) {
        if (node.is_target)
            names.push_back(node.id);
    }
    proxy_request_fail(r, error_code::not_found, "there is no target \"" + text_escape(r.target) + "\"" + hint_text(r.target, names));
}

static void on_removed(removal_request &r, error err)
{
    if (err.code == error_code::not_found) {
        fail_unknown(r);
        return;
    }
    if (err) {
        proxy_request_fail(r, err.code, error_text(err));
        return;
    }
    std::string lost = r.is_lost_count_known ? std::to_string(r.lost_count) : std::string("unknown");
    LOG(warn, "cluster",
        "target=%s objects=%s msg=\"removed from the cluster: what only it held is gone, unless it comes back with its data before "
        "anything changes\"",
        r.target.c_str(), lost.c_str());
    proxy_request_answer(r, {});
}

// What was observed of a target; null if this proxy has not heard from it since it started.
static const proxy_target *seen_target(const proxy &p, const std::string &id)
{
    auto found = p.targets.find(id);
    return found != p.targets.end() && presence_was_heard(found->second.here) ? &found->second : nullptr;
}

static void on_body(removal_request &r, std::string body)
{
    json_ptr tree;
    std::string action;
    if (!proxy_request_read_action(r, body, tree, action))
        return;
    if (action != "decommission-node") {
        proxy_request_fail(
            r, error_code::not_implemented, "action \"" + text_escape(action) + "\" is not implemented; there is: decommission-node");
        return;
    }
    r.target = json_text(json_get(tree.get(), "value"), "sid");
    const cluster_node *node = document_find_node(proxy_document(*r.p), r.target);
    if (node == nullptr || !node->is_target) {
        fail_unknown(r);
        return;
    }
    // Its objects would vanish while clients read them, and it would register again a moment later.
    if (!proxy_target_is_silent(*r.p, r.target)) {
        proxy_request_fail(r, error_code::conflict,
            "target " + r.target + " was heard a moment ago: stop it first; it can be taken out when it has been silent for " +
                text_duration(target_silent_ms));
        return;
    }
    // Only lose what the caller was shown.
    const proxy_target *seen = seen_target(*r.p, r.target);
    r.is_lost_count_known = seen != nullptr && seen->is_count_known;
    r.lost_count = r.is_lost_count_known ? seen->object_count : 0;
    const cJSON *value = json_get(tree.get(), "value");
    const cJSON *shown = json_get(value, "objects");
    uint64_t expected = json_u64(value, "objects", UINT64_MAX);
    if (shown != nullptr && expected == UINT64_MAX) {
        proxy_request_fail(
            r, error_code::bad_request, "value.objects: expected a whole number: how many objects the caller takes for lost");
        return;
    }
    if (shown != nullptr && !(r.is_lost_count_known && expected == r.lost_count)) {
        std::string holds = r.is_lost_count_known ? std::to_string(r.lost_count) + (r.lost_count == 1 ? " object" : " objects")
                                                  : std::string("an unknown number of objects");
        proxy_request_fail(r, error_code::conflict, "target " + r.target + " holds " + holds + ", not " + std::to_string(expected));
        return;
    }
    proxy_request_change<apply_removal, on_removed>(r, true);
}

// --- ?what=nodes: the state of the nodes, for people and their programs

static bool is_in_maintenance(const cluster_node &node) { return (node.flags & (node_flag_maintenance | node_flag_decommission)) != 0; }

std::string proxy_maintenance_text(const cluster_document &document, const cluster_node &node)
{
    for (const cluster_departure &departure : document.departures) {
        if (departure.id == node.id)
            return departure.is_missed ? "it was taken out, and before it came back something was written, deleted or destroyed"
                                       : "it was taken out and came back, but other targets are placed than when it was in";
    }
    return "it joined a cluster that holds objects, and there is no rebalance yet";
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
    const proxy_target *seen = node.is_target ? seen_target(p, node.id) : nullptr;
    if (node.is_target && proxy_target_is_silent(p, node.id)) {
        state = "silent";
        reason = "its objects are unavailable until it is heard again";
        if (seen != nullptr)
            json_add_u64(row.get(), "silent_seconds", (clock_now_ms(*p.e) - seen->here.heard_ms) / 1000);
    }
    if (is_in_maintenance(node)) {
        state = "maintenance";
        reason = proxy_maintenance_text(proxy_document(p), node);
    }
    auto found = p.targets.find(node.id);
    if (node.is_target && found != p.targets.end() && !found->second.odds.empty()) {
        state = "diverged";
        reason = found->second.odds;
    }
    json_add_text(row.get(), "state", state);
    if (seen != nullptr && seen->is_count_known)
        json_add_u64(row.get(), "objects", seen->object_count);
    json_add_text(row.get(), "reason", reason);
    return row;
}

static void serve_nodes(proxy &p, exchange &x)
{
    const cluster_document &document = proxy_document(p);
    json_ptr tree = json_object();
    json_add_text(tree.get(), "uuid", document.uuid);
    json_add_u64_text(tree.get(), "version", document.version);
    cJSON *nodes = json_add_array(tree.get(), "nodes");
    for (const cluster_node &node : document.nodes)
        json_append(nodes, node_row(p, node));
    cJSON *strangers = json_add_array(tree.get(), "strangers");
    uint64_t now = clock_now_ms(*p.e);
    for (const auto &[id, stranger] : p.strangers) {
        if (now - stranger.heard_ms > 2 * register_back_off_max_ms) // it has given up
            continue;
        json_ptr row = json_object();
        json_add_text(row.get(), "id", id);
        json_add_text(row.get(), "cluster", stranger.cluster);
        json_add_text(row.get(), "peer", stranger.peer);
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
        json_ptr tree = cluster_config_json(proxy_document(p), p.url);
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
        daemon_serve(x, proxy_document(p));
        return;
    }
    if (given && what == "nodes") {
        serve_nodes(p, x);
        return;
    }
    exchange_answer_error(x, error_code::not_implemented,
        "what=" + text_escape(what) + " is not implemented; there are: cluster_config, smap, nodes, backends, remote");
}

static void serve_cluster_change(proxy &p, exchange &x, const route_match &)
{
    proxy_request_read<on_body>(proxy_request_make<removal_request>(p, x), json_body_size_max);
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/cluster", serve_cluster, "`?what=cluster_config`, `?what=smap`, `?what=nodes`, `?what=backends`, `?what=remote`"),
    ROUTE("PUT", "/v1/cluster", serve_cluster_change,
        "take a target out that will not come back; body: action `decommission-node`, value `{\"sid\"}`"),
};
extern constinit const std::span<const route> proxy_cluster_routes = rows;

} // namespace etlnode
