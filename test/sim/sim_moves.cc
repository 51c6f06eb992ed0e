// SPDX-License-Identifier: MIT
// test/sim/sim_moves.cc: joins, drains and losses, drawn from the seed, and nodes that end in the middle of what follows.
//
// Normal   each event is an occasion of one fault at a drawn time. The clients work harder for a moment after each, because objects move
//          fast. Nodes are cut while the cluster moves, if it does within a while.
#include "sim_moves.h"

#include <algorithm>

#include "base/text.h"
#include "control/placement_epochs.h"
#include "role/proxy/proxy.h"
#include "sim_losses.h"
#include "sim_replays.h"

namespace etlnode {

static constexpr uint64_t second = 1'000'000;
static constexpr size_t targets_max = 6;
static constexpr size_t burst = 12; // requests of clients after a change

struct sim_moves {
    sim_world *w = nullptr;
    sim_cluster *cluster = nullptr;
    sim_load *load = nullptr;
    rng random;
    sim_losses *losses = nullptr;
    sim_replays *replays = nullptr;
    bool enabled[sim_fault_count] = {};
};

struct move_event {
    sim_moves *m = nullptr;
    sim_fault what = sim_fault::count;
    std::string id; // of the target, if it is chosen
    size_t tries = 0;
};

static uint64_t below(sim_moves &m, uint64_t bound) { return rng_below(m.random, bound); }
static uint64_t between(sim_moves &m, uint64_t low, uint64_t high) { return low + below(m, high - low + 1); }

static void on_event(void *arg);

static void later(sim_moves &m, uint64_t delay_us, move_event event)
{
    event.m = &m;
    (void)sim_after(*m.w, nullptr, delay_us, on_event, new move_event(std::move(event)));
}

static bool is_moving(const sim_moves &m)
{
    const cluster_document *document = sim_cluster_document(*m.cluster);
    return document != nullptr && placement_is_moving(document->placement);
}

// --- what the operator asks for

static void ask(sim_moves &m, const char *action, const std::string &id)
{
    sim_note(*m.w, "operator: %s of %s", action, id.c_str());
    sim_load_member(*m.load, text_format(R"({"action":"%s","value":{"sid":"%s"}})", action, id.c_str()), nullptr, nullptr);
}

// One of the targets that are placed, or of those that are not; empty: there is none.
static std::string draw_target(sim_moves &m, bool is_placed)
{
    std::vector<std::string> ids;
    const cluster_document *document = sim_cluster_document(*m.cluster);
    if (document == nullptr)
        return {};
    for (const cluster_node &node : document->nodes) {
        if (node.is_target && cluster_node_is_placed(node) == is_placed)
            ids.push_back(node.id);
    }
    return ids.empty() ? std::string() : ids[static_cast<size_t>(below(m, ids.size()))];
}

static void join(sim_moves &m)
{
    if (m.cluster->nodes.size() <= targets_max)
        sim_node_start(*sim_cluster_add_target(*m.cluster));
}

static bool is_silent(const sim_moves &m, const std::string &id)
{
    const cluster_document *document = sim_cluster_document(*m.cluster);
    return document == nullptr || proxy_target_is_silent(*m.cluster->nodes[0]->host->as_proxy, id);
}

// To decommission a silent target gives it up with what it holds; that is sim_losses.cc.
static void drain(sim_moves &m, const std::string &id)
{
    if (!id.empty())
        ask(m, below(m, 3) == 0 && !is_silent(m, id) ? "decommission-node" : "start-maintenance", id);
}

static void activate(sim_moves &m, const std::string &id)
{
    if (!id.empty())
        ask(m, "stop-maintenance", id);
}

// Drained and activated again, often before anything has moved.
static void flip(sim_moves &m)
{
    std::string id = draw_target(m, true);
    drain(m, id);
    uint64_t delay = below(m, 2) == 0 ? between(m, 100, 20'000) : between(m, 20'000, 3 * second);
    if (!id.empty())
        later(m, delay, {nullptr, sim_fault::member_activate, id, 0});
}

static void two_at_once(sim_moves &m)
{
    drain(m, draw_target(m, true));
    switch (below(m, 3)) {
    case 0: join(m); break;
    case 1: activate(m, draw_target(m, false)); break;
    default: drain(m, draw_target(m, true)); break;
    }
}

// --- what happens meanwhile

static void cut(sim_moves &m, sim_node &node)
{
    uint64_t down_us = below(m, 2) == 0 ? between(m, 10'000, 500'000) : between(m, 500'000, 20 * second);
    sim_node_crash(node, static_cast<memory_crash>(below(m, 3)), down_us);
}

// Between two targets everything is late.
static void hold_peers(sim_moves &m)
{
    sim_node &a = *m.cluster->nodes[static_cast<size_t>(between(m, 1, m.cluster->nodes.size() - 1))];
    sim_node &b = *m.cluster->nodes[static_cast<size_t>(between(m, 1, m.cluster->nodes.size() - 1))];
    static constexpr uint64_t longest[] = {100'000, second, 20 * second, 60 * second};
    if (&a != &b)
        sim_net_hold_pair(*m.w, a.name, b.name, m.w->now_us + between(m, 1'000, longest[below(m, std::size(longest))]));
}

// The proxy's document, and its answers, come late.
static void hold_document(sim_moves &m)
{
    sim_node &node = *m.cluster->nodes[static_cast<size_t>(between(m, 1, m.cluster->nodes.size() - 1))];
    static constexpr uint64_t longest[] = {100'000, second, 20 * second, 60 * second};
    sim_net_hold_pair(*m.w, "proxy", node.name, m.w->now_us + between(m, 10'000, longest[below(m, std::size(longest))]));
}

static void on_disk_freed(void *arg)
{
    if (sim_host *host = static_cast<sim_node *>(arg)->host)
        host->space = disk_space(memory_world{}.space);
}

static void fill_disk(sim_moves &m)
{
    sim_node &node = *m.cluster->nodes[static_cast<size_t>(between(m, 1, m.cluster->nodes.size() - 1))];
    if (node.host == nullptr)
        return;
    node.host->space.used = node.host->space.size;
    node.host->space.free = 0;
    (void)sim_after(*m.w, nullptr, between(m, second, 30 * second), on_disk_freed, &node);
}

static void lose(sim_moves &m, sim_loss_kind kind)
{
    std::string id = draw_target(m, true);
    if (sim_node *node = sim_cluster_find(*m.cluster, id); node != nullptr && !id.empty())
        sim_losses_begin(*m.losses, *node, kind);
}

static void on_client(void *arg)
{
    sim_load &load = *static_cast<sim_load *>(arg);
    if (load.world->faults_on)
        sim_load_touch(load);
}

static void begin_burst(sim_moves &m)
{
    uint64_t length = below(m, 2) == 0 ? 30'000 : 2 * second;
    for (size_t i = 0; i < burst; i++)
        (void)sim_after(*m.w, nullptr, below(m, length), on_client, m.load);
}

// Cuts come while objects move: they wait for that, but not for ever.
static bool must_wait(sim_moves &m, const move_event &event)
{
    bool is_cut = event.what == sim_fault::member_cut_while_moving || event.what == sim_fault::member_proxy_cut_while_moving;
    if (!is_cut || is_moving(m) || event.tries >= 2'000)
        return false;
    move_event again = event;
    again.tries++;
    later(m, between(m, 1'000, 20'000), std::move(again));
    return true;
}

static void on_event(void *arg)
{
    move_event event = std::move(*static_cast<move_event *>(arg));
    delete static_cast<move_event *>(arg);
    sim_moves &m = *event.m;
    sim_world &w = *m.w;
    if (!w.faults_on || must_wait(m, event))
        return;
    sim_count_hit(w, event.what);
    switch (event.what) {
    case sim_fault::member_join: join(m); break;
    case sim_fault::member_drain: drain(m, draw_target(m, true)); break;
    case sim_fault::member_activate: activate(m, event.id.empty() ? draw_target(m, false) : event.id); break;
    case sim_fault::member_flip: flip(m); break;
    case sim_fault::member_two_at_once: two_at_once(m); break;
    case sim_fault::member_cut_while_moving:
        cut(m, *m.cluster->nodes[static_cast<size_t>(between(m, 1, m.cluster->nodes.size() - 1))]);
        break;
    case sim_fault::member_proxy_cut_while_moving: cut(m, *m.cluster->nodes[0]); break;
    case sim_fault::member_peers_held: hold_peers(m); break;
    case sim_fault::member_document_held: hold_document(m); break;
    case sim_fault::member_disk_full: fill_disk(m); break;
    case sim_fault::member_lost: lose(m, sim_loss_kind::down); break;
    case sim_fault::member_paused_and_lost: lose(m, sim_loss_kind::paused); break;
    case sim_fault::member_replaced: lose(m, sim_loss_kind::replaced); break;
    default: CHECK(false);
    }
    begin_burst(m);
}

static bool is_loss(sim_fault fault)
{
    return fault == sim_fault::member_lost || fault == sim_fault::member_paused_and_lost || fault == sim_fault::member_replaced;
}

// A loss needs 70 s of silence.
uint64_t sim_moves_length(sim_moves &m, uint64_t length_us)
{
    bool has_loss = false;
    for (size_t i = static_cast<size_t>(sim_fault::member_join); i < sim_fault_count; i++) {
        auto fault = static_cast<sim_fault>(i);
        m.enabled[i] = below(m, is_loss(fault) ? 6 : 2) == 0;
        has_loss = has_loss || (m.enabled[i] && is_loss(fault));
    }
    return has_loss ? std::max(length_us, between(m, 90 * second, 150 * second)) : length_us;
}

void sim_moves_plan(sim_moves &m, uint64_t until_us)
{
    if (m.enabled[static_cast<size_t>(sim_fault::member_call_doubled)])
        m.replays = sim_replays_make(*m.cluster, *m.load->clients, m.random);
    uint64_t length = until_us - m.w->now_us;
    for (size_t i = static_cast<size_t>(sim_fault::member_join); i < sim_fault_count; i++) {
        auto fault = static_cast<sim_fault>(i);
        if (!m.enabled[i] || fault == sim_fault::member_call_doubled)
            continue;
        for (uint64_t n = is_loss(fault) ? 1 : between(m, 1, 4); n > 0; n--)
            later(m, below(m, is_loss(fault) ? length / 5 : length), {nullptr, fault, {}, 0});
    }
}

// --- the end

static bool has_settled(const sim_moves &m)
{
    if (!sim_cluster_is_up(*m.cluster) || is_moving(m))
        return false;
    // A target that is ready to join has joined.
    const cluster_document *document = sim_cluster_document(*m.cluster);
    return std::none_of(document->nodes.begin(), document->nodes.end(),
        [&](const cluster_node &node) { return node.is_target && node.want == node_want::placed && !cluster_node_is_placed(node); });
}

bool sim_moves_settle(sim_moves &m, uint64_t limit_us)
{
    sim_world &w = *m.w;
    const cluster_document *document = sim_cluster_document(*m.cluster);
    std::vector<std::string> out;
    for (const cluster_node &node : document != nullptr ? document->nodes : std::vector<cluster_node>{}) {
        if (node.is_target && node.want != node_want::placed && below(m, 2) == 0)
            out.push_back(node.id);
    }
    for (const std::string &id : out)
        activate(m, id);
    for (uint64_t until = w.now_us + limit_us; w.now_us < until;) {
        sim_cluster_pass(*m.cluster, w.now_us + second);
        if (m.load->in_flight == 0 && has_settled(m) && sim_losses_are_over(*m.losses))
            return true;
    }
    sim_fail(w, "objects still move %llu s after everything was healed", static_cast<unsigned long long>(limit_us / second));
    return false;
}

sim_moves *sim_moves_make(sim_cluster &c, sim_load &l)
{
    auto *m = new sim_moves;
    m->w = c.world;
    m->cluster = &c;
    m->load = &l;
    m->random.state = m->w->seed * 0xbf58476d1ce4e5b9ull + 1;
    m->losses = sim_losses_make(c, l, m->random);
    return m;
}

void sim_moves_free(sim_moves *m)
{
    sim_losses_free(m->losses);
    if (m->replays != nullptr)
        sim_replays_free(m->replays);
    delete m;
}

} // namespace etlnode
