// SPDX-License-Identifier: MIT
// test/sim/sim.h: the simulator's world: hosts, one virtual time for all of them, a queue of events, and faults drawn from the seed.
//
// A host has the ports of port/*.h: clock, disk, index and documents from test/lib/memory_world.h, the network from sim_net.cc, and child
// processes from sim_kubectl.cc. The daemon's own objects (proxy_start, target_start) run on hosts. Clients and pods are also hosts, with
// scripts of their own. Nothing happens outside sim_step: the same seed gives the same run, which trace_hash proves.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "memory_world.h"
#include "port/net.h"
#include "port/proc.h"
#include "role/shared/node.h"

namespace etlnode {

enum class sim_fault : uint8_t {
#define FAULT(area, name, chance) area##_##name,
#include "faults.def"
#undef FAULT
    count,
};
inline constexpr size_t sim_fault_count = static_cast<size_t>(sim_fault::count);
extern const char *const sim_fault_names[sim_fault_count];

struct sim_world;
struct sim_kube;
struct sim_host;
struct sim_rows;

// Something that happens on a host at a certain time. Pausing the host postpones it.
struct sim_event {
    uint64_t at_us = 0;
    uint64_t order = 0;
    sim_host *host = nullptr; // null: it belongs to the world
    clock_callback run = nullptr;
    void *arg = nullptr;
};
struct sim_event_sooner {
    bool operator()(const sim_event *a, const sim_event *b) const { return std::tie(a->at_us, a->order) < std::tie(b->at_us, b->order); }
};

enum class sim_host_kind : uint8_t { proxy, target, client, pod };

// One process on one machine. A crash leaves the old host behind as an orphan, cut off from everything. Its daemon is drained and freed so
// that nothing leaks. A restart is a new host that begins with the image of the crashed one.
struct sim_host : memory_world {
    sim_world *sim = nullptr;
    sim_host_kind kind = sim_host_kind::client;
    std::string name, address;
    uint64_t paused_until_us = 0;
    bool is_orphan = false;  // crashed: nothing that it does is visible
    bool wants_free = false; // an orphan whose daemon is gone
    uint16_t next_port = 40'000;
    sim_event *disk_event = nullptr;
    uint64_t slow_disk_until_us = 0;
    uint64_t no_descriptors_until_us = 0;
    bool has_planned_faults = false; // a test sets its `faults`; none are drawn
    std::vector<net_listener *> listeners;
    std::vector<net_connect_call *> connects;
    std::vector<net_conn *> conns;
    std::vector<proc *> children;
    size_t relays = 0;

    proxy *as_proxy = nullptr;
    target *as_target = nullptr;
    bool is_started = false; // on_ready was called
    bool has_failed = false; // with an error
};

struct sim_link; // sim_link.h: one connection

struct sim_world {
    uint64_t seed = 0;
    rng random;
    uint64_t now_us = 0;
    uint64_t next_order = 1;
    uint64_t next_id = 1;
    uint64_t steps = 0;
    uint64_t steps_now = 0; // since time last moved
    uint64_t trace_hash = 0;
    std::set<sim_event *, sim_event_sooner> events;
    std::vector<sim_host *> hosts; // all of them, including orphans
    std::vector<sim_link *> links;
    std::map<std::pair<std::string, std::string>, uint64_t> held_pairs;    // names of hosts, in order: until when
    std::map<std::pair<std::string, std::string>, uint64_t> held_calls[2]; // by caller and called: requests, and answers
    sim_kube *kube = nullptr;
    sim_rows *rows = nullptr; // sim_rows.h
    // Bytes have arrived from the end that connected. Null: nobody listens.
    void (*on_carried)(void *arg, sim_link &link, std::string_view bytes) = nullptr;
    void *carried_arg = nullptr;

    bool enabled[sim_fault_count] = {}; // drawn for this run
    bool certain[sim_fault_count] = {}; // happens at every opportunity, for tests of a single fault
    bool faults_on = false;
    uint64_t hits[sim_fault_count] = {};
    bool is_verbose = false;
    bool documents_apart = false;      // of the disks of all hosts (memory_world.h)
    std::vector<std::string> failures; // found by the audit
};

inline sim_host &sim_host_of(env &e) { return static_cast<sim_host &>(memory_of(e)); }

sim_world *sim_make(uint64_t seed);
// Requires: every host is gone.
void sim_free(sim_world *w);

sim_host *sim_host_make(sim_world &w, sim_host_kind kind, const std::string &name, const std::string &address, const memory_image &image);
// Requires: nothing of it is left open.
void sim_host_free(sim_host *host);
// The process is gone: its connections break, listeners and children end. With `silently` the peers are not notified, as after a power
// loss.
void sim_host_cut_off(sim_host *host, bool silently);

// --- events

sim_event *sim_after(sim_world &w, sim_host *host, uint64_t delay_us, clock_callback run, void *arg);
void sim_cancel(sim_world &w, sim_event *event);
// Runs the next event. If there is none at or before `until_us`, sets the time to `until_us` and returns false.
bool sim_step(sim_world &w, uint64_t until_us);
// Call after changing a host from outside an event: runs what it posted, and its disk.
void sim_settle(sim_host *host);

// Whether targets come and go in this run: in one of eight groups of sixteen seeds, because such a run takes three times as long.
inline bool sim_moves_in(const sim_world &w) { return w.seed / 16 % 8 == 1; }

// --- chance

inline uint64_t sim_below(sim_world &w, uint64_t bound) { return rng_below(w.random, bound); }
inline uint64_t sim_between(sim_world &w, uint64_t low, uint64_t high) { return low + rng_below(w.random, high - low + 1); }
inline bool sim_chance(sim_world &w, uint64_t thousandths) { return rng_below(w.random, 1000) < thousandths; }
// Whether the fault happens on this occasion. Counts it.
bool sim_hit(sim_world &w, sim_fault fault);
// Counts a fault whose occasion was drawn by the caller.
void sim_count_hit(sim_world &w, sim_fault fault);

// --- what happened

// Adds to the trace hash; printed in a verbose run.
[[gnu::format(printf, 2, 3)]] void sim_note(sim_world &w, const char *format, ...);
void sim_hash(sim_world &w, uint64_t value);
// Reports a broken promise.
[[gnu::format(printf, 2, 3)]] void sim_fail(sim_world &w, const char *format, ...);

// --- sim_net.cc

extern const net_port sim_net_port;
void sim_net_cut_off(sim_host *host, bool silently);
size_t sim_net_open_conns(const sim_host &host);

// --- sim_link.cc

// Both directions between two hosts are held back until that time, also on connections that are made meanwhile.
void sim_net_hold_pair(sim_world &w, const std::string &a, const std::string &b, uint64_t until_us);

// On connections that `caller` makes, and has made, to `called`: requests, or their answers, are held back until that time.
enum class sim_call_half : uint8_t { request, answer };
void sim_net_hold_calls(sim_world &w, const std::string &caller, const std::string &called, sim_call_half half, uint64_t until_us);

// Ends all faults of links: links that have one are reset.
void sim_net_break(sim_world &w);
// A machine that is back after a power loss does not know its old connections, and answers them with RST.
void sim_net_power_back(sim_world &w, const std::string &name);
// Holds back bytes from `from` to `to` until that time.
void sim_net_hold(sim_world &w, const std::string &from, const std::string &to, uint64_t until_us);

// --- sim_kubectl.cc

extern const proc_port sim_proc_port;
void sim_proc_cut_off(sim_host *host);

} // namespace etlnode
