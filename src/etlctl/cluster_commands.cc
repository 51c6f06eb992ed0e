// SPDX-License-Identifier: MIT
// etlctl/cluster_commands.cc: cluster show, cluster health, target ls, version.
#include "etlctl/commands.h"

#include <algorithm>
#include <ctime>

#include "base/text.h"
#include "etlctl/format.h"
#include "node/api.h"
#include "node/version.h"

namespace etlnode::etlctl {

// Bits of a node's `flags` in the cluster map.
static constexpr uint64_t node_flag_maintenance = 1u << 2;
static constexpr uint64_t node_flag_decommission = 1u << 3;
static constexpr uint64_t health_timeout_ms = 5'000; // one node

static constexpr column node_columns[] = {
    {"ID", "id", cell_kind::text, false},
    {"ROLE", "role", cell_kind::text, false},
    {"STATE", "state", cell_kind::text, false},
    {"URL", "url", cell_kind::text, false},
    {"PRIMARY", "primary", cell_kind::text, true},
    {"SANDBOX", "sandbox", cell_kind::text, true},
    {"VERSION", "version", cell_kind::text, true},
    {"EPOCH", "epoch", cell_kind::count, true},
    {"OBJECTS", "objects", cell_kind::count, true},
    {"BYTES", "bytes", cell_kind::bytes, true},
    {"FOUND", "found", cell_kind::count, true},
    {"DISK FREE", "diskFree", cell_kind::bytes, true},
    {"USED%", "usedPercent", cell_kind::count, true},
};

static failure fetch_map(session &s, uint64_t timeout_ms, json_ptr &out_map)
{
    http_request request = session_request(s, "GET", session_url(s, path_daemon) + "?what=smap", timeout_ms);
    return fetch_json(s, request, "cannot read the cluster map", {}, cJSON_Object, out_map);
}

static json_ptr node_item(const cJSON *node, const char *role, std::string_view primary)
{
    uint64_t flags = json_u64(node, "flags", 0);
    const char *state = (flags & node_flag_decommission) != 0  ? "decommissioned"
                        : (flags & node_flag_maintenance) != 0 ? "maintenance"
                                                               : "active";
    json_ptr item = json_object();
    json_add_text(item.get(), "id", json_text(node, "daemon_id"));
    json_add_text(item.get(), "role", role);
    json_add_text(item.get(), "state", state);
    output_add_text(item.get(), "url", json_text(json_get(node, "public_net"), "direct_url"));
    json_add_bool(item.get(), "primary", json_text(node, "daemon_id") == primary);
    return item;
}

// Proxies first, each kind by id.
static std::vector<json_ptr> nodes_of(const cJSON *map, bool proxies, bool targets)
{
    std::string_view primary = json_text(json_get(map, "proxy_si"), "daemon_id");
    std::vector<json_ptr> out;
    struct {
        const char *key;
        const char *role;
        bool wanted;
    } kinds[] = {{"pmap", "proxy", proxies}, {"tmap", "target", targets}};
    for (const auto &kind : kinds) {
        size_t first = out.size();
        const cJSON *node = nullptr;
        if (kind.wanted)
            cJSON_ArrayForEach(node, json_get(map, kind.key)) out.push_back(node_item(node, kind.role, primary));
        std::sort(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(),
            [](const json_ptr &a, const json_ptr &b) { return json_text(a.get(), "id") < json_text(b.get(), "id"); });
    }
    return out;
}

// The number, or null if there is none.
static void add_number(cJSON *item, const char *key, const cJSON *from, const char *from_key)
{
    const cJSON *number = json_get(from, from_key);
    if (number != nullptr)
        cJSON_AddItemToObject(item, key, cJSON_Duplicate(number, true));
    else
        cJSON_AddNullToObject(item, key);
}

// The targets with objects of others, for sentences below the table.
struct found_notes {
    std::vector<std::pair<std::string, json_ptr>> targets;
};

static void note_found(found_notes &notes, const cJSON *item, const cJSON *health)
{
    const cJSON *found = json_get(health, "found");
    if (found != nullptr)
        notes.targets.emplace_back(format_message(json_text(item, "id")), json_ptr(cJSON_Duplicate(found, true)));
}

// Adds how the target's pods are sandboxed: "namespaces", "none" or "refused", and how many objects of others it has. Adds null for a
// proxy, on Kubernetes, and when the node does not answer.
static void add_from_health(session &s, cJSON *item, found_notes &notes)
{
    http_reply reply;
    json_ptr health;
    std::string where;
    if (json_text(item, "role") == "target") {
        std::string url = std::string(json_text(item, "url")) + std::string(path_health) + "?readiness=true";
        http_perform(s.http, session_request(s, "GET", url, health_timeout_ms), reply);
        if (!session_failure(s, reply, {}))
            (void)json_parse(reply.body, health, where);
    }
    output_add_text(item, "sandbox", json_text(json_get(health.get(), "kubectl"), "sandbox"));
    add_number(item, "found", json_get(health.get(), "found"), "objects");
    note_found(notes, item, health.get());
}

// Fetches the state of the nodes as the proxy sees it. `out_nodes` stays empty when the server does not offer it: a target, an older
// version, AIStore.
failure fetch_nodes(session &s, json_ptr &out_nodes)
{
    http_request request = session_request(s, "GET", session_url(s, path_cluster) + "?what=nodes", control_timeout_ms);
    failure f = fetch_json(s, request, "cannot read the state of the nodes", {}, cJSON_Object, out_nodes);
    if (f.status == 0 && f.exit != exit_code::ok)
        return f;
    if (f || !cJSON_IsArray(json_get(out_nodes.get(), "nodes")))
        out_nodes.reset();
    return {};
}

json_ptr node_state_item(const cJSON *node, bool for_people)
{
    std::string state(json_text(node, "state"));
    bool is_silent = json_get(node, "silent_seconds") != nullptr;
    std::string since = is_silent ? format_seconds(json_u64(node, "silent_seconds", 0)) : std::string();
    if (for_people && is_silent)
        state += state == "silent" ? " " + since : ", silent " + since;
    json_ptr item = json_object();
    json_add_text(item.get(), "id", json_text(node, "id"));
    json_add_text(item.get(), "role", json_text(node, "role"));
    json_add_text(item.get(), "state", state);
    output_add_text(item.get(), "url", json_text(node, "url"));
    json_add_bool(item.get(), "primary", json_bool(node, "primary", false));
    output_add_text(item.get(), "version", json_text(node, "version"));
    add_number(item.get(), "epoch", node, "epoch");
    add_number(item.get(), "objects", node, "objects");
    add_number(item.get(), "bytes", node, "bytes");
    const cJSON *disk = json_get(node, "disk");
    add_number(item.get(), "diskSize", disk, "size");
    add_number(item.get(), "diskUsed", disk, "used");
    add_number(item.get(), "diskFree", disk, "free");
    add_number(item.get(), "usedPercent", disk, "used_percent");
    add_number(item.get(), "outOfSpace", disk, "out_of_space");
    output_add_text(item.get(), "diskState", json_text(disk, "state"));
    if (is_silent && !for_people)
        json_add_u64(item.get(), "silentSeconds", json_u64(node, "silent_seconds", 0));
    if (!json_text(node, "reason").empty())
        json_add_text(item.get(), "reason", json_text(node, "reason"));
    return item;
}

static std::vector<json_ptr> nodes_of_states(const cJSON *nodes, bool proxies, bool for_people)
{
    std::vector<json_ptr> items;
    for (const char *role : {"proxy", "target"}) {
        const cJSON *node = nullptr;
        cJSON_ArrayForEach(node, json_get(nodes, "nodes"))
        {
            if (json_text(node, "role") == role && (proxies || json_text(node, "role") != "proxy"))
                items.push_back(node_state_item(node, for_people));
        }
    }
    return items;
}

// ", and its 12 objects are in no list"; empty: it holds none
static std::string unlisted_text(const cJSON *node)
{
    if (json_get(node, "objects") == nullptr)
        return ", and an unknown number of its objects is in no list";
    uint64_t count = json_u64(node, "objects", 0);
    return count == 0
               ? std::string()
               : text_format(", and its %llu object%s in no list", static_cast<unsigned long long>(count), count == 1 ? " is" : "s are");
}

static void print_orphans(const session &s, const cJSON *node)
{
    const cJSON *orphan = nullptr;
    cJSON_ArrayForEach(orphan, json_get(node, "orphans"))
    {
        std::string bucket = format_message(json_text(orphan, "bucket"));
        fprintf(stderr,
            "%s: target %s keeps %llu object%s of a bucket %s that the cluster does not know any more; they are not served. To delete "
            "them: "
            "%s bucket rm %s --yes\n",
            s.program.c_str(), format_message(json_text(node, "id")).c_str(),
            static_cast<unsigned long long>(json_u64(orphan, "objects", 0)), json_u64(orphan, "objects", 0) == 1 ? "" : "s", bucket.c_str(),
            s.program.c_str(), bucket.c_str());
    }
}

// Objects that belong to other targets though nothing moves. `found`: as the target says in its health, or null.
static void print_found(const session &s, const std::string &id, const cJSON *found)
{
    uint64_t count = json_u64(found, "objects", 0);
    if (count == 0)
        return;
    std::string why = format_message(json_text(found, "why"));
    fprintf(stderr,
        "%s: target %s has %s object%s (%s) that belong%s to other targets, though nothing moves%s. They are kept, and not served. To see "
        "them, and to give them to their owners: %s target found %s\n",
        s.program.c_str(), id.c_str(), format_count(count).c_str(), count == 1 ? "" : "s", format_size(json_u64(found, "bytes", 0)).c_str(),
        count == 1 ? "s" : "", why.empty() ? "" : (" (" + why + ")").c_str(), s.program.c_str(), id.c_str());
}

// "its disk is used to 96.1%, and from 95% it stores nothing: ..."
static void print_disk_problem(const session &s, const std::string &id, const cJSON *disk)
{
    std::string_view state = json_text(disk, "state");
    if (state != "full" && state != "low")
        return;
    const cJSON *used = json_get(disk, "used_percent");
    std::string percent = used != nullptr ? json_print(used) : std::string("?");
    auto limit = static_cast<unsigned long long>(json_u64(disk, "out_of_space", 0));
    if (state == "full")
        fprintf(stderr,
            "%s: target %s stores nothing: its disk is used to %s%%, the limit is %llu%% (--out-of-space). Reads and deletes go on; remove "
            "objects, or give it more room\n",
            s.program.c_str(), id.c_str(), percent.c_str(), limit);
    else
        fprintf(stderr, "%s: target %s is nearly full: its disk is used to %s%%, from %llu%% (--out-of-space) it stores nothing\n",
            s.program.c_str(), id.c_str(), percent.c_str(), limit);
}

// What moves, and which targets were removed with their objects.
static void print_placement(const session &s, const cJSON *nodes)
{
    auto epoch = static_cast<unsigned long long>(json_u64(nodes, "epoch", 0));
    if (json_bool(nodes, "moving", false))
        fprintf(stderr, "%s: objects are moving between targets (epoch %llu). To see how far they are: %s job show g%llu\n",
            s.program.c_str(), epoch, s.program.c_str(), epoch);
    const cJSON *lost = nullptr;
    cJSON_ArrayForEach(lost, json_get(nodes, "lost"))
    {
        std::string id = format_message(json_text(lost, "id"));
        fprintf(stderr,
            "%s: target %s was removed with its objects (data directory %s). If it comes back, so do they; to give them up for good: %s "
            "target forget %s\n",
            s.program.c_str(), id.c_str(), format_message(json_text(lost, "disk")).c_str(), s.program.c_str(), id.c_str());
    }
}

void print_node_problems(const session &s, const cJSON *nodes)
{
    print_placement(s, nodes);
    if (std::string_view behind = json_text(nodes, "behind"); !behind.empty())
        fprintf(stderr, "%s: %s\n", s.program.c_str(), format_message(behind).c_str());
    const cJSON *node = nullptr;
    cJSON_ArrayForEach(node, json_get(nodes, "nodes"))
    {
        print_orphans(s, node);
        std::string_view state = json_text(node, "state");
        std::string id = format_message(json_text(node, "id"));
        std::string reason = format_message(json_text(node, "reason"));
        if (state == "maintenance")
            fprintf(stderr, "%s: target %s is in maintenance%s: %s\n", s.program.c_str(), id.c_str(), unlisted_text(node).c_str(),
                reason.c_str());
        else if (state == "diverged" || state == "silent" ||
                 ((state == "new" || state == "joining" || state == "draining") && !reason.empty()))
            fprintf(stderr, "%s: target %s is %s: %s\n", s.program.c_str(), id.c_str(), std::string(state).c_str(), reason.c_str());
        else
            print_disk_problem(s, id, json_get(node, "disk"));
    }
    const cJSON *strangers = json_get(nodes, "strangers");
    if (cJSON_GetArraySize(strangers) == 0)
        return;
    std::string cluster = format_message(json_text(cJSON_GetArrayItem(strangers, 0), "cluster"));
    int count = cJSON_GetArraySize(strangers);
    std::string url = format_message(json_text(cJSON_GetArrayItem(strangers, 0), "url"));
    fprintf(stderr,
        "%s: %d target%s of another cluster (%s) want%s to register here. If the proxy has lost its data directory, take the cluster's "
        "document from them, their objects are untouched: %s cluster recover --from %s. If they are to join this cluster: start them with "
        "empty data directories\n",
        s.program.c_str(), count, count == 1 ? "" : "s", cluster.c_str(), count == 1 ? "s" : "", s.program.c_str(),
        url.empty() ? "URL" : url.c_str());
}

// For scripts: what belongs to the cluster as a whole. Targets of another cluster are not nodes of this one.
static json_ptr beside_nodes(const cJSON *nodes)
{
    json_ptr out = json_object();
    if (json_get(nodes, "epoch") != nullptr)
        json_add_u64(out.get(), "epoch", json_u64(nodes, "epoch", 0));
    for (const char *key : {"moving", "lost"}) {
        if (json_get(nodes, key) != nullptr)
            cJSON_AddItemToObject(out.get(), key, cJSON_Duplicate(json_get(nodes, key), true));
    }
    cJSON *list = json_add_array(out.get(), "strangers");
    const cJSON *stranger = nullptr;
    cJSON_ArrayForEach(stranger, json_get(nodes, "strangers"))
    {
        json_ptr row = json_object();
        json_add_text(row.get(), "id", json_text(stranger, "id"));
        output_add_text(row.get(), "cluster", json_text(stranger, "cluster"));
        output_add_text(row.get(), "peer", json_text(stranger, "peer"));
        output_add_text(row.get(), "url", json_text(stranger, "url"));
        json_append(list, std::move(row));
    }
    return out;
}

static void print_found_notes(const session &s, const found_notes &notes)
{
    for (const auto &[id, found] : notes.targets)
        print_found(s, id, found.get());
}

static exit_code list_nodes(session &s, bool proxies)
{
    list_printer list = session_list(s, "Node", node_columns, "id");
    failure f = session_check_list(s, list);
    json_ptr nodes;
    json_ptr map;
    if (!f)
        f = fetch_nodes(s, nodes);
    if (!f && nodes == nullptr)
        f = fetch_map(s, control_timeout_ms, map);
    if (f)
        return session_fail(s, f);
    bool for_people = s.format == output_format::table || s.format == output_format::wide;
    found_notes notes;
    std::vector<json_ptr> items = map != nullptr ? nodes_of(map.get(), proxies, true) : nodes_of_states(nodes.get(), proxies, for_people);
    for (json_ptr &item : items) {
        if (s.format == output_format::wide)
            // This sends a request to every target, so only the wide output asks.
            add_from_health(s, item.get(), notes);
        list_add(list, std::move(item));
    }
    if (nodes != nullptr)
        list.siblings = beside_nodes(nodes.get());
    list_end(list);
    f = session_flush(s);
    if (for_people && nodes != nullptr)
        print_node_problems(s, nodes.get());
    print_found_notes(s, notes);
    return f ? session_fail(s, f) : exit_code::ok;
}

exit_code command_target_ls(session &s) { return list_nodes(s, false); }

exit_code command_cluster_show(session &s) { return list_nodes(s, true); }

// ---- health

static constexpr column health_columns[] = {
    {"ID", "id", cell_kind::text, false},
    {"ROLE", "role", cell_kind::text, false},
    {"STATUS", "status", cell_kind::text, false},
    {"UPTIME", "uptime", cell_kind::text, false},
    {"LATENCY", "latency", cell_kind::text, false},
    {"URL", "url", cell_kind::text, true},
    {"PROBLEM", "problem", cell_kind::text, true},
};

static uint64_t now_us()
{
    struct timespec now = {};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

// True when the node is well. Table columns are texts; scripts get seconds.
static bool add_health(session &s, cJSON *item, bool for_people, found_notes &notes)
{
    std::string url(json_text(item, "url"));
    http_reply reply;
    uint64_t started = now_us();
    http_perform(s.http, session_request(s, "GET", url + std::string(path_health) + "?readiness=true", health_timeout_ms), reply);
    uint64_t took_us = now_us() - started;
    failure f = session_failure(s, reply, {});
    bool well = !f;
    json_ptr health;
    std::string where;
    if (well && !json_parse(reply.body, health, where))
        note_found(notes, item, health.get());
    std::string status = well ? "ok" : f.status == 0 ? "unreachable" : "unwell";
    std::string problem = f.message;
    // The target itself is well, but the proxy may still not be able to use it.
    std::string state(json_text(item, "state"));
    bool is_useless = state == "diverged" || (state == "silent" && well);
    if (is_useless) {
        status = state;
        problem = state == "silent" ? "the proxy gets no heartbeat from it: " + std::string(json_text(item, "reason"))
                                    : std::string(json_text(item, "reason"));
    }
    bool may_be_away = state == "maintenance" && !well; // it holds nothing, and may be stopped for as long as its operator likes
    if (may_be_away) {
        status = state;
        problem.clear();
    }
    json_add_text(item, "status", status);
    uint64_t uptime_ns = 0;
    bool has_uptime = well && text_parse_u64(http_header(reply, header_node_uptime), uptime_ns);
    if (for_people) {
        output_add_text(item, "uptime", has_uptime ? format_seconds(uptime_ns / 1'000'000'000) : std::string());
        output_add_text(item, "latency", well ? text_format("%.1fms", static_cast<double>(took_us) / 1000) : std::string());
    } else {
        if (has_uptime)
            json_add_u64(item, "uptime", uptime_ns / 1'000'000'000);
        else
            cJSON_AddNullToObject(item, "uptime");
        if (well)
            cJSON_AddNumberToObject(item, "latency", static_cast<double>(took_us) / 1e6);
        else
            cJSON_AddNullToObject(item, "latency");
    }
    output_add_text(item, "problem", problem);
    return (well && !is_useless) || may_be_away;
}

exit_code command_cluster_health(session &s)
{
    list_printer list = session_list(s, "NodeHealth", health_columns, "id");
    failure f = session_check_list(s, list);
    json_ptr states;
    json_ptr map;
    if (!f)
        f = fetch_nodes(s, states);
    if (!f && states == nullptr)
        f = fetch_map(s, control_timeout_ms, map);
    if (f)
        return session_fail(s, f);
    bool for_people = s.format == output_format::table || s.format == output_format::wide;
    std::vector<json_ptr> nodes = states != nullptr ? nodes_of_states(states.get(), true, false) : nodes_of(map.get(), true, true);
    found_notes notes;
    std::string unwell;
    size_t targets = 0;
    for (json_ptr &node : nodes) {
        targets += json_text(node.get(), "role") == "target" ? 1 : 0;
        if (!add_health(s, node.get(), for_people, notes))
            unwell += (unwell.empty() ? "" : ", ") + std::string(json_text(node.get(), "id"));
        list_add(list, std::move(node));
    }
    if (states != nullptr)
        list.siblings = beside_nodes(states.get());
    list_end(list);
    f = session_flush(s);
    if (for_people && states != nullptr)
        print_node_problems(s, states.get());
    if (for_people)
        print_found_notes(s, notes);
    if (!f && !unwell.empty())
        f = failure_make(exit_code::unavailable, {},
            (unwell.find(',') == std::string::npos ? "a node is not well: " : "nodes are not well: ") + unwell,
            s.format == output_format::table ? "etlctl cluster health -o wide" : "");
    else if (!f && targets == 0)
        f = failure_make(exit_code::unavailable, {}, "the cluster has no target, so objects cannot be stored",
            "start a target: etlnode --role target --proxy " + s.endpoint);
    return f ? session_fail(s, f) : exit_code::ok;
}

std::vector<std::string> target_ids(session &s)
{
    std::vector<std::string> out;
    json_ptr map;
    failure f = fetch_map(s, 0, map);
    if (!f)
        for (const json_ptr &node : nodes_of(map.get(), false, true))
            out.emplace_back(json_text(node.get(), "id"));
    return out;
}

// ---- version

static constexpr column version_columns[] = {
    {"CLIENT", "client", cell_kind::text, false},
    {"SERVER", "server", cell_kind::text, false},
    {"ENDPOINT", "endpoint", cell_kind::text, false},
};

// The version label of etlnode_build_info in the node's metrics; empty when there is none.
static std::string metrics_version(std::string_view metrics)
{
    static constexpr std::string_view name = "\netlnode_build_info{";
    static constexpr std::string_view label = "version=\"";
    size_t line = metrics.find(name);
    if (line == std::string_view::npos)
        return {};
    metrics.remove_prefix(line + name.size());
    metrics = metrics.substr(0, metrics.find('\n'));
    size_t start = metrics.find(label);
    if (start == std::string_view::npos)
        return {};
    start += label.size();
    return std::string(metrics.substr(start, metrics.find('"', start) - start));
}

// "etlnode/0.1.0" from the Server header, otherwise from the metrics; empty when the server reports neither.
static std::string server_version(session &s, const http_reply &reply)
{
    static constexpr std::string_view ours = "etlnode/";
    std::string_view server = http_header(reply, "Server");
    if (server.starts_with(ours))
        return std::string(server.substr(ours.size(), server.find(' ') - ours.size()));
    http_reply metrics;
    failure f = session_perform(s, session_request(s, "GET", session_url(s, path_metrics), health_timeout_ms), "", {}, metrics);
    return f ? std::string() : metrics_version(metrics.body);
}

static std::string_view major_minor(std::string_view version)
{
    size_t dot = version.find('.');
    return dot == std::string_view::npos ? version : version.substr(0, version.find('.', dot + 1));
}

exit_code command_version(session &s)
{
    json_ptr item = json_object();
    json_add_text(item.get(), "client", NODE_VERSION);
    json_add_text(item.get(), "protocol", "v1");
    json_add_text(item.get(), "compiler",
#if defined(__clang__)
        "clang " __clang_version__
#else
        "gcc " __VERSION__
#endif
    );
    failure f;
    std::string server;
    bool answered = false;
    if (!s.opt.client) {
        http_reply reply;
        f = session_perform(s, session_request(s, "GET", session_url(s, path_health), health_timeout_ms),
            "cannot ask the server for its version", {}, reply);
        // A node that is still starting answers 503, but its headers carry the version.
        answered = reply.outcome == http_outcome::answered;
        server = answered ? server_version(s, reply) : std::string();
        output_add_text(item.get(), "server", server);
        json_add_text(item.get(), "endpoint", s.endpoint);
    }
    std::span<const column> columns = version_columns;
    item_print(stdout, s.format, "Version", s.opt.client ? columns.first(1) : columns, "client", item.get());
    if (!server.empty() && major_minor(server) != major_minor(NODE_VERSION))
        fprintf(stderr, "%s: warning: the server has version %s, this program %s\n", s.program.c_str(), format_message(server).c_str(),
            NODE_VERSION);
    if (answered)
        f = {};
    failure flushed = session_flush(s);
    if (!f)
        f = flushed;
    return f ? session_fail(s, f) : exit_code::ok;
}

} // namespace etlnode::etlctl
