// SPDX-License-Identifier: MIT
// test/sim/sim_link.cc: bytes on their way between two hosts, which arrive in order after a while, or never.
//
// Fails    by faults of the area `link`. After a reset, what had arrived stays readable. Data for a closed end causes RST.
#include "sim_link.h"

#include <algorithm>

namespace etlnode {

void sim_link_release(sim_link *link)
{
    CHECK(link->references > 0);
    if (--link->references > 0)
        return;
    std::erase(link->world->links, link);
    delete link;
}

// --- readiness

size_t sim_conn_window_left(net_conn &c)
{
    sim_way &way = sim_conn_way_out(c);
    net_conn *peer = sim_conn_peer(c);
    size_t used = way.flying.size() + (peer != nullptr ? sim_conn_unread(*peer) : 0);
    return used < way.window ? way.window - used : 0;
}

static bool is_ready(net_conn &c, size_t side)
{
    if (c.rst_in)
        return true;
    return side == static_cast<size_t>(net_side::readable) ? sim_conn_unread(c) > 0 || c.fin_in : sim_conn_window_left(c) > 0;
}

static void on_side(net_conn &c, size_t side)
{
    c.sides[side].event = nullptr;
    if (c.sides[side].on_ready == nullptr || !is_ready(c, side))
        return;
    net_on_ready on_ready = c.sides[side].on_ready;
    c.sides[side].on_ready = nullptr;
    on_ready(c.sides[side].arg);
}

static void on_readable(void *arg) { on_side(*static_cast<net_conn *>(arg), 0); }
static void on_writable(void *arg) { on_side(*static_cast<net_conn *>(arg), 1); }

void sim_conn_wake(net_conn &c, uint64_t delay_us)
{
    for (size_t side : {0u, 1u}) {
        auto &s = c.sides[side];
        if (s.on_ready != nullptr && s.event == nullptr && is_ready(c, side))
            s.event = sim_after(sim_conn_world(c), c.host, delay_us, side == 0 ? on_readable : on_writable, &c);
    }
}

// --- segments

static void reset_end(net_conn *c)
{
    if (c == nullptr || c->rst_in)
        return;
    c->rst_in = true;
    sim_conn_wake(*c, 0);
}

void sim_link_reset(sim_link *link)
{
    link->is_reset = true;
    link->ways[0].flying.clear();
    link->ways[1].flying.clear();
    reset_end(link->ends[0]);
    reset_end(link->ends[1]);
}

static void arrive_data(sim_link *link, int from, size_t size)
{
    sim_way &way = link->ways[from];
    net_conn *to = link->ends[1 - from];
    size = std::min(size, way.flying.size());
    if (to == nullptr) { // nothing listens any more: the sender gets an error
        way.flying.clear();
        if (!link->is_silent)
            sim_link_reset(link);
        return;
    }
    if (way.carried + size >= way.reset_at) {
        size = static_cast<size_t>(way.reset_at - way.carried);
        to->in.append(way.flying, 0, size);
        sim_note(*link->world, "link %llu is reset at byte %llu", static_cast<unsigned long long>(link->id),
            static_cast<unsigned long long>(way.reset_at));
        sim_link_reset(link);
        return;
    }
    if (to->in_at == to->in.size()) {
        to->in.clear();
        to->in_at = 0;
    }
    to->in.append(way.flying, 0, size);
    sim_world &w = *link->world;
    if (from == 0 && w.on_carried != nullptr)
        w.on_carried(w.carried_arg, *link, std::string_view(way.flying).substr(0, size));
    way.flying.erase(0, size);
    way.carried += size;
    sim_conn_wake(*to, 0);
}

static void on_segment(void *arg)
{
    auto *s = static_cast<sim_segment *>(arg);
    sim_link *link = s->link;
    sim_world &w = *link->world;
    sim_way &way = link->ways[s->from];
    if (way.held_until_us > w.now_us && !link->is_reset && !link->is_silent) { // in order: everything behind it waits
        way.arrival_us = std::max(way.arrival_us, way.held_until_us);
        (void)sim_after(w, nullptr, way.held_until_us - w.now_us, on_segment, s);
        return;
    }
    if (!link->is_silent && (!link->is_reset || s->what == sim_segment::kind::rst)) {
        switch (s->what) {
        case sim_segment::kind::data: arrive_data(link, s->from, s->size); break;
        case sim_segment::kind::fin:
            if (net_conn *to = link->ends[1 - s->from]) {
                to->fin_in = true;
                sim_conn_wake(*to, 0);
            }
            break;
        case sim_segment::kind::rst: sim_link_reset(link); break;
        }
    }
    delete s;
    sim_link_release(link);
}

void sim_link_send(sim_link *link, int from, sim_segment::kind what, size_t size)
{
    sim_world &w = *link->world;
    sim_way &way = link->ways[from];
    if (link->is_silent)
        return;
    uint64_t at = w.now_us + sim_latency(w);
    if (sim_chance(w, 15)) {
        if (sim_hit(w, sim_fault::link_drop)) // retransmitted after a while
            at += sim_between(w, 200'000, 2'000'000);
        else if (sim_hit(w, sim_fault::link_delay))
            at += sim_between(w, 1'000, 300'000);
    }
    if (way.is_dripping && what == sim_segment::kind::data)
        at += 20'000;
    way.arrival_us = std::max(way.arrival_us, at);
    link->references++;
    (void)sim_after(w, nullptr, way.arrival_us - w.now_us, on_segment, new sim_segment{link, from, what, size});
}

// --- control by the world

void sim_net_hold(sim_world &w, const std::string &from, const std::string &to, uint64_t until_us)
{
    for (sim_link *link : w.links) {
        if (link->from == from && link->to == to)
            link->ways[0].held_until_us = std::max(link->ways[0].held_until_us, until_us);
        if (link->from == to && link->to == from)
            link->ways[1].held_until_us = std::max(link->ways[1].held_until_us, until_us);
    }
}

void sim_net_hold_pair(sim_world &w, const std::string &a, const std::string &b, uint64_t until_us)
{
    w.held_pairs[std::minmax(a, b)] = until_us;
    sim_net_hold(w, a, b, until_us);
    sim_net_hold(w, b, a, until_us);
}

void sim_net_power_back(sim_world &w, const std::string &name)
{
    for (sim_link *link : w.links) {
        if (link->is_silent && (link->from == name || link->to == name))
            sim_link_reset(link);
    }
}

void sim_net_hold_calls(sim_world &w, const std::string &caller, const std::string &called, sim_call_half half, uint64_t until_us)
{
    w.held_calls[static_cast<size_t>(half)][{caller, called}] = until_us;
    for (sim_link *link : w.links) {
        if (link->from == caller && link->to == called)
            link->ways[static_cast<size_t>(half)].held_until_us = until_us;
    }
}

void sim_net_break(sim_world &w)
{
    w.held_pairs.clear();
    for (auto &held : w.held_calls)
        held.clear();
    for (sim_link *link : w.links) {
        bool is_troubled = link->is_silent;
        for (sim_way &way : link->ways) {
            is_troubled = is_troubled || way.is_dripping || way.held_until_us > w.now_us || way.reset_at != sim_never;
            way.is_dripping = false;
            way.held_until_us = 0;
            way.reset_at = sim_never;
        }
        if (is_troubled)
            sim_link_reset(link);
    }
}

} // namespace etlnode
