// SPDX-License-Identifier: MIT
// test/sim/sim_kube.h: kubectl, the API server and the kubelets of the simulated cluster, and the containers that they run.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "codec/json.h"
#include "sim.h"

namespace etlnode {

// How a container of the workload behaves, encoded in the image's name "sim/<framing>-<manners>".
struct sim_manners {
    enum class framing : uint8_t { length, chunked, by_close } frames = framing::length;
    bool only_post = false, only_put = false; // answers 405 (501 for post) to the other method
    bool is_hostile = false;                  // misbehaves as faults are drawn; healed at the end
    unsigned unread_every = 0;  // of so many pushed objects it leaves one body unread, and later takes it for a request; 0: never
    bool ends_with_fin = false; // a dying container closes its connections instead of resetting them
};
std::string sim_manners_image(const sim_manners &manners);
sim_manners sim_manners_read(std::string_view image);

struct sim_server; // sim_pod.cc: a running container

struct sim_pod {
    sim_kube *kube = nullptr;
    std::string name, uid, cluster, target, etl, image;
    json_ptr base; // as created
    std::string ip;
    uint16_t port = 0;
    std::string target_url; // AIS_TARGET_URL
    sim_manners manners;
    uint64_t version = 0; // resourceVersion
    enum class phase : uint8_t { pending, pulling, starting, running, backing_off, stopping, evicted } at = phase::pending;
    bool ready = false;
    bool terminating = false;
    bool has_ended_before = false;
    int last_exit = 0;
    const char *last_reason = "Error";
    uint64_t restarts = 0;
    uint64_t containers = 0; // how often a container was started
    bool is_stuck = false;   // stays pending, lacks its image, never becomes ready, or hangs in delete, until healed
    sim_fault stuck_by = sim_fault::count;
    sim_event *next = nullptr; // the kubelet's next step
    sim_event *flap = nullptr;
    sim_server *server = nullptr;
    std::vector<std::string> history; // earlier events, for a watch that replays one
    std::string port_mark;            // label etlnode/node-port
};

// A NodePort Service of one pod. It is removed together with its owner.
struct sim_service {
    std::string owner_uid, port_mark;
    uint16_t port = 0; // of the machine, from 30000 on
    uint16_t target_port = 0;
};

struct sim_kube {
    sim_world *world = nullptr;
    std::map<std::string, std::unique_ptr<sim_pod>> pods;
    uint64_t version = 100;
    std::vector<proc *> watches;
    std::map<std::string, sim_service> services;
    uint16_t next_port = 30'000;
};

inline constexpr const char *sim_machine_network = "10.3."; // the network of the Kubernetes nodes' own addresses, where node ports are
// The Kubernetes node that runs this target's pods.
std::string sim_machine_address(const std::string &target_id);
// If something listens on a node port, replaces the address by that of the pod behind it. Otherwise leaves it unchanged.
void sim_kube_route(sim_kube &kube, std::string &address, uint16_t &port);

sim_kube *sim_kube_make(sim_world &w);
// Requires: no pod is left.
void sim_kube_free(sim_kube *kube);
// Everything that hangs continues: images exist, pods are scheduled, deletes end, containers become Ready.
void sim_kube_heal(sim_kube &kube);
// This target's machine has lost its power: its containers ended and start again.
void sim_kube_power_lost(sim_kube &kube, const std::string &target_id);
// The container ends by itself; the kubelet sees `exit_code`.
void sim_pod_crash(sim_pod &pod, int exit_code, const char *reason);
// A foreign client deletes a pod, or the kubelet ends one for good.
void sim_kube_delete_any(sim_kube &kube);
void sim_kube_evict_any(sim_kube &kube);
// Removes whatever of the pods would disturb a leak check.
void sim_kube_clear(sim_kube &kube);

// --- for sim_kubectl.cc

inline sim_world &sim_pod_world(const sim_pod &pod) { return *pod.kube->world; }
// The pod as kubectl prints it.
json_ptr sim_pod_print(const sim_pod &pod);
// The kubelet's next step with it comes after that delay.
void sim_pod_schedule(sim_pod &pod, uint64_t delay_us);
void sim_pod_get_stuck(sim_pod &pod, sim_fault fault);

// --- sim_kubectl.cc

// Tells the watches that the pod has changed.
void sim_pod_emit(sim_pod &pod, const char *type);
// The pod is gone: who waits for its removal is answered.
void sim_kube_release_deletes(sim_world &w, const std::string &name);

// --- sim_pod.cc

sim_server *sim_server_start(sim_pod &pod);
// The process is gone, with its listener and its connections.
void sim_server_end(sim_server *server, bool with_fin);

} // namespace etlnode
