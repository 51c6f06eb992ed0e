// SPDX-License-Identifier: MIT
// test/sim/sim_link.h: one simulated TCP connection: its two ends, and what is under way between them.
#pragma once

#include <string>

#include "sim.h"

namespace etlnode {

inline constexpr size_t sim_window_max = 128 * 1024;
inline constexpr uint64_t sim_never = UINT64_MAX;

struct sim_way {                    // one direction
    std::string flying;             // sent but not arrived
    size_t window = sim_window_max; // the most bytes in flight or unread
    uint64_t arrival_us = 0;        // of the last segment; later ones do not overtake it
    uint64_t held_until_us = 0;
    uint64_t reset_at = sim_never; // bytes
    uint64_t carried = 0;          // bytes that have arrived
    bool is_dripping = false;
    bool fin_sent = false;
};

struct sim_link {
    sim_world *world = nullptr;
    uint64_t id = 0;
    std::string from, to;   // host names; `from` connected
    net_conn *ends[2] = {}; // null: closed. ends[0] connected
    sim_way ways[2];        // ways[i] starts at ends[i]
    bool is_reset = false;  // both ends know, or will know
    bool is_silent = false; // one end has lost its power
    size_t references = 0;  // by ends and events
};

struct net_conn {
    sim_host *host = nullptr;
    sim_link *link = nullptr;
    int end = 0;
    std::string in;   // received bytes
    size_t in_at = 0; // already read up to here
    bool fin_in = false, rst_in = false, peer_finished = false;
    bool resets = false; // net_reset_on_close
    std::string peer_name;
    struct {
        net_on_ready on_ready = nullptr;
        void *arg = nullptr;
        sim_event *event = nullptr;
    } sides[2];
};

inline sim_world &sim_conn_world(const net_conn &c) { return *c.host->sim; }
inline sim_way &sim_conn_way_out(net_conn &c) { return c.link->ways[c.end]; }
inline net_conn *sim_conn_peer(const net_conn &c) { return c.link->ends[1 - c.end]; }

inline size_t sim_conn_unread(const net_conn &c) { return c.in.size() - c.in_at; }

inline uint64_t sim_latency(sim_world &w) { return sim_between(w, 20, 400); }

struct sim_segment {
    sim_link *link = nullptr;
    int from = 0;
    enum class kind : uint8_t { data, fin, rst } what = kind::data;
    size_t size = 0;
};

// Takes away one of the references.
void sim_link_release(sim_link *link);
// What the peer's window still has room for.
size_t sim_conn_window_left(net_conn &c);
// Runs, after that delay, those waits of this end that are ready.
void sim_conn_wake(net_conn &c, uint64_t delay_us);
void sim_link_send(sim_link *link, int from, sim_segment::kind what, size_t size);
// Both ends learn of the reset, each in its own time.
void sim_link_reset(sim_link *link);

} // namespace etlnode
