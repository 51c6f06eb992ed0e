// SPDX-License-Identifier: MIT
// test/sim/sim_cluster.cc: the daemon's own objects on simulated hosts.
#include "sim_cluster.h"

#include <algorithm>

#include "base/text.h"
#include "control/placement_epochs.h"
#include "role/proxy/proxy.h"
#include "role/target/target.h"
#include "sim_rows.h"

namespace etlnode {

static sim_node *add_node(sim_cluster &c)
{
    size_t at = c.nodes.size();
    auto *node = new sim_node;
    node->world = c.world;
    node->is_target = at > 0;
    node->name = at == 0 ? "proxy" : text_format("target%zu", at);
    node->image = memory_empty();
    node_options &o = node->options;
    o.is_target = node->is_target;
    o.listen_host = text_format("10.0.0.%zu", at + 1);
    o.listen_port = 8080;
    o.data_dir = "/data";
    o.cluster_secret = "the secret of the simulated cluster";
    o.version = "sim";
    o.proxy_url = "http://10.0.0.1:8080";
    o.pod_listen_port = 8081;
    o.kubectl = {"kubectl"};
    o.node_name = text_format("node%zu", at);
    c.nodes.push_back(node);
    return node;
}

sim_cluster *sim_cluster_make(sim_world &w, size_t targets)
{
    auto *c = new sim_cluster;
    c->world = &w;
    for (size_t i = 0; i <= targets; i++)
        add_node(*c);
    return c;
}

sim_node *sim_cluster_add_target(sim_cluster &c) { return add_node(c); }

static void on_ready(void *arg, error err, const std::string &detail)
{
    auto *host = static_cast<sim_host *>(arg);
    host->is_started = true;
    host->has_failed = static_cast<bool>(err);
    if (err)
        sim_note(*host->sim, "%s cannot start: %s", host->name.c_str(), detail.c_str());
}

void sim_node_start(sim_node &node)
{
    sim_world &w = *node.world;
    CHECK(node.host == nullptr);
    if (node.restart != nullptr)
        sim_cancel(w, node.restart);
    node.restart = nullptr;
    sim_note(w, "%s starts", node.name.c_str());
    sim_host *host = sim_host_make(
        w, node.is_target ? sim_host_kind::target : sim_host_kind::proxy, node.name, node.options.listen_host, node.image);
    node.host = host;
    if (node.is_target)
        sim_rows_watch(*host);
    sim_net_power_back(w, node.name);
    error err = node.is_target ? target_start(host->e, node.options, on_ready, host, &host->as_target)
                               : proxy_start(host->e, node.options, on_ready, host, &host->as_proxy);
    CHECK(!err);
    sim_settle(host);
}

static void on_restart(void *arg)
{
    auto *node = static_cast<sim_node *>(arg);
    node->restart = nullptr;
    sim_node_start(*node);
}

static void on_drained(void *arg) { static_cast<sim_host *>(arg)->wants_free = true; }

// Ends what was started, as the daemon ends it. The host is freed when that is done.
static void wind_up(sim_host *host)
{
    if (host->is_started && host->has_failed) {
        host->wants_free = true;
        return;
    }
    if (host->as_target != nullptr)
        target_drain(*host->as_target, on_drained, host);
    else
        proxy_drain(*host->as_proxy, on_drained, host);
    sim_settle(host);
}

// Counts what the torn disk has lost, under the names of the faults that this represents.
static void count_losses(sim_world &w, const memory_image &before, const memory_image &after)
{
    if (!before.unsynced.empty())
        sim_count_hit(w, sim_fault::disk_rename_lost);
    for (const auto &[id, node] : before.nodes) {
        auto found = after.nodes.find(id);
        if (!node.is_dir && found != after.nodes.end() && found->second.data != node.data) {
            sim_count_hit(w, sim_fault::disk_torn_write);
            return;
        }
    }
}

void sim_node_crash(sim_node &node, memory_crash kind, uint64_t down_us)
{
    sim_world &w = *node.world;
    sim_host *host = node.host;
    if (host == nullptr || node.is_leaving)
        return;
    static const char *const words[] = {"is killed", "loses its power", "loses its power while it writes"};
    sim_note(w, "%s %s", node.name.c_str(), words[static_cast<size_t>(kind)]);
    std::string id = sim_node_id(node);
    node.image = memory_take(*host, kind);
    if (kind != memory_crash::killed)
        count_losses(w, host->now, node.image);
    node.host = nullptr;
    sim_host_cut_off(host, kind != memory_crash::killed);
    host->name += "+";
    if (kind != memory_crash::killed && node.is_target)
        sim_kube_power_lost(*w.kube, id);
    wind_up(host);
    node.restart = sim_after(w, nullptr, down_us, on_restart, &node);
}

void sim_node_drain(sim_node &node, uint64_t down_us)
{
    sim_world &w = *node.world;
    if (node.host == nullptr || !node.host->is_started || node.host->has_failed || node.is_leaving)
        return;
    sim_note(w, "%s gets SIGTERM", node.name.c_str());
    node.is_leaving = true;
    node.leave_by_us = std::max(w.now_us, node.host->paused_until_us) + 60'000'000;
    node.down_us = down_us;
    wind_up(node.host);
}

// As if the process had ended: its host is an orphan from now on, and its disk waits for the next host.
static void leave(sim_node &node)
{
    sim_host *host = node.host;
    node.image = memory_take(*host, memory_crash::killed);
    node.host = nullptr;
    node.is_leaving = false;
    sim_host_cut_off(host, false);
    host->name += "-";
}

static bool is_empty(const sim_host &host)
{
    return host.open_files == 0 && host.clock.timers == 0 && host.todo.empty() && host.done.empty() && host.clock.posts.empty() &&
           host.conns.empty() && host.connects.empty() && host.listeners.empty() && host.children.empty() && host.relays == 0;
}

static void bury(sim_world &w)
{
    for (size_t i = 0; i < w.hosts.size(); i++) {
        sim_host *host = w.hosts[i];
        if (!host->is_orphan || !host->wants_free)
            continue;
        if (host->as_proxy != nullptr)
            proxy_free(host->as_proxy);
        if (host->as_target != nullptr)
            target_free(host->as_target);
        host->as_proxy = nullptr;
        host->as_target = nullptr;
        sim_settle(host);
        if (!is_empty(*host))
            continue; // wait for the disk's last operations
        sim_host_free(host);
        i--;
    }
}

void sim_cluster_pass(sim_cluster &c, uint64_t until_us)
{
    while (sim_step(*c.world, until_us))
        sim_cluster_tend(c);
}

void sim_cluster_tend(sim_cluster &c)
{
    sim_world &w = *c.world;
    for (sim_node *node : c.nodes) {
        if (node->id.empty())
            node->id = sim_node_id(*node);
        // A node whose start failed is started again by its supervisor.
        if (node->host != nullptr && node->host->has_failed && !node->is_leaving)
            sim_node_crash(*node, memory_crash::killed, 1'000'000);
        if (!node->is_leaving)
            continue;
        if (!node->host->wants_free && w.now_us > node->leave_by_us) {
            sim_fail(w, "%s did not drain within 60 s of SIGTERM", node->name.c_str());
            node->leave_by_us = UINT64_MAX;
        }
        if (node->host->wants_free) {
            leave(*node);
            node->restart = sim_after(w, nullptr, node->down_us, on_restart, node);
        }
    }
    bury(w);
    sim_rows_look(c);
}

bool sim_cluster_is_up(const sim_cluster &c)
{
    for (const sim_node *node : c.nodes) {
        if (node->host == nullptr || !node->host->is_started || node->host->has_failed)
            return false;
    }
    return true;
}

bool sim_cluster_end(sim_cluster &c)
{
    sim_world &w = *c.world;
    for (size_t i = c.nodes.size(); i-- > 0;) {
        sim_node &node = *c.nodes[i];
        if (node.restart != nullptr)
            sim_cancel(w, node.restart);
        node.restart = nullptr;
        if (node.host == nullptr)
            continue;
        if (!node.is_leaving)
            wind_up(node.host);
        uint64_t until = w.now_us + 60'000'000;
        while (!node.host->wants_free && sim_step(w, until))
            continue;
        if (!node.host->wants_free) {
            sim_fail(w, "%s did not drain", node.name.c_str());
            return false;
        }
        node.image = memory_take(*node.host, memory_crash::killed);
        node.host->is_orphan = true; // nothing is cut off, so that anything it left open is found
        node.host = nullptr;
        node.is_leaving = false;
    }
    uint64_t until = w.now_us + 200'000'000;
    bool has_orphans = true;
    do {
        bury(w);
        has_orphans = false;
        for (sim_host *host : w.hosts)
            has_orphans = has_orphans || host->is_orphan;
    } while (has_orphans && sim_step(w, until));
    for (sim_host *host : w.hosts) {
        if (host->is_orphan)
            sim_fail(w,
                "%s has left something: files=%zu timers=%zu tasks=%zu conns=%zu connects=%zu listeners=%zu children=%zu relays=%zu",
                host->name.c_str(), host->open_files, host->clock.timers, host->todo.size() + host->done.size(), host->conns.size(),
                host->connects.size(), host->listeners.size(), host->children.size(), host->relays);
    }
    return !has_orphans;
}

void sim_cluster_free(sim_cluster *c)
{
    for (sim_node *node : c->nodes)
        delete node;
    delete c;
}

std::string sim_node_id(const sim_node &node)
{
    if (node.host == nullptr)
        return "";
    if (node.host->as_target != nullptr)
        return node.host->as_target->id;
    return node.host->as_proxy != nullptr ? node.host->as_proxy->id : "";
}

const memory_image &sim_node_disk(const sim_node &node) { return node.host != nullptr ? node.host->now : node.image; }

sim_node *sim_cluster_find(const sim_cluster &c, const std::string &id)
{
    for (sim_node *node : c.nodes) {
        if (node->id == id)
            return node;
    }
    return nullptr;
}

bool sim_cluster_is_given_up(const sim_cluster &c, const sim_node &node)
{
    const cluster_document *document = sim_cluster_document(c);
    const target *t = node.host != nullptr ? node.host->as_target : nullptr;
    std::vector<placed_disk> lost = document != nullptr && t != nullptr ? document_lost_disks(*document) : std::vector<placed_disk>{};
    return std::any_of(lost.begin(), lost.end(), [t](const placed_disk &one) { return one.disk == t->disk; });
}

const cluster_document *sim_cluster_document(const sim_cluster &c)
{
    const sim_host *host = c.nodes[0]->host;
    bool is_up = host != nullptr && host->is_started && !host->has_failed && host->as_proxy != nullptr;
    return is_up ? &proxy_document(*host->as_proxy) : nullptr;
}

} // namespace etlnode
