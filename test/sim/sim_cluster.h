// SPDX-License-Identifier: MIT
// test/sim/sim_cluster.h: the nodes of the simulated cluster: started, crashed, restarted, ended.
#pragma once

#include "control/document.h"
#include "sim.h"
#include "sim_kube.h"

namespace etlnode {

// Where a node runs: the machine, and the process that runs there now.
struct sim_node {
    sim_world *world = nullptr;
    bool is_target = false;
    std::string name;
    node_options options;
    sim_host *host = nullptr;                 // null: down
    memory_image image;                       // of its disk, while the node is down
    std::string id;                           // of the node, from its first start on
    uint64_t adopted_max = 0;                 // the latest epoch of placement in which it answered
    std::pair<uint64_t, uint64_t> stored_max; // of its document: term and version
    bool is_set_back = false;                 // its disk is an old copy: what is known of it may go back
    bool is_lost = false;                     // it is being taken out with what it holds, or was, and is not back
    sim_event *restart = nullptr;
    bool is_leaving = false; // it received SIGTERM
    uint64_t leave_by_us = 0;
    uint64_t down_us = 0; // after its end
};

struct sim_cluster {
    sim_world *world = nullptr;
    std::vector<sim_node *> nodes; // the proxy first
};

sim_cluster *sim_cluster_make(sim_world &w, size_t targets);
// One more target, with an empty disk. It is not started.
sim_node *sim_cluster_add_target(sim_cluster &c);
// Runs everything up to that time.
void sim_cluster_pass(sim_cluster &c, uint64_t until_us);
void sim_node_start(sim_node &node);
// The process ends now, as `kind` says, and starts again after `down_us`.
void sim_node_crash(sim_node &node, memory_crash kind, uint64_t down_us);
// Sends SIGTERM, and starts the node again `down_us` after it has ended.
void sim_node_drain(sim_node &node, uint64_t down_us);
// Ends every node in order, and what crashed nodes left. False if something did not end in time (reported as a broken promise).
bool sim_cluster_end(sim_cluster &c);
void sim_cluster_free(sim_cluster *c);
// Call after every step: restarts drained nodes, and frees orphans whose daemons have ended.
void sim_cluster_tend(sim_cluster &c);
// Every node is running and has started.
bool sim_cluster_is_up(const sim_cluster &c);
std::string sim_node_id(const sim_node &node);
// Its disk now, whether it is up or down.
const memory_image &sim_node_disk(const sim_node &node);
// Null: no node has this id.
sim_node *sim_cluster_find(const sim_cluster &c, const std::string &id);
// The proxy has given up what the target's disk holds, and it is not back.
bool sim_cluster_is_given_up(const sim_cluster &c, const sim_node &node);
// The proxy's document; null while it is down.
const cluster_document *sim_cluster_document(const sim_cluster &c);

} // namespace etlnode
