// SPDX-License-Identifier: MIT
// kubectl_local/pod_namespaces.h: a pod's namespaces (users, network, mounts), held by a small helper process for the lifetime of the pod.
//
// The helper creates them: for an ordinary user, a user namespace in which that user is root; for root, one with a block of ids that
// nothing else uses. It brings loopback up, and then only hands out sockets created inside, which any process can use. The pod's containers
// join before they start. So addresses, open listeners and memory volumes survive a restart of the container. The helper exits when its
// channel closes, and takes the container with it.
//
// As root with iproute2, a veth pair connects host and pod. It uses a /30 network of 10.231.0.0 to 10.234.255.255 that is free on this
// host. Otherwise there is only loopback inside, and the supervisor relays connections. With nft the pod can answer over the veth but not
// open connections.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <sys/types.h>

#include "kubectl_local/users.h"

namespace etlnode::kubectl_local {

// The users that the pod runs as.
enum class user_mapping : uint8_t {
    root,     // the machine's users without their privileges, if root may not create a user namespace
    block,    // a block of ids of the pod's own, if root runs it
    own_user, // a single id: the ordinary user who runs kubectl-local
};

struct memory_volume {
    std::string path; // of a volume, in the pod's mount namespace
    uint64_t bytes = 0;
    uint64_t files = 0;
};

struct namespace_options {
    bool veth = true;
    bool host_network = false;
    user_block users; // for root; count 0 for none
    std::vector<memory_volume> memory;
    std::vector<std::pair<std::string, std::string>> sysctls; // net.*
};

struct pod_namespaces {
    pid_t helper = 0; // 0 if not open
    user_mapping kind = user_mapping::root;
    int channel = -1;
    int user_ns = -1; // -1 if the pod has none of its own
    int net_ns = -1;  // -1 for the host's
    int mnt_ns = -1;
    bool veth = false;
    bool guarded = false;    // the pod cannot open connections over the veth
    std::string interface;   // the host's end of the veth
    std::string pod_address; // of the veth
    std::vector<int> spares; // sockets created in advance
};

// `uid` seeds names and addresses. `preferred_address` (may be empty) is reused if it is free. `options.veth` and `options.users` are used
// if possible. On failure `out_text` gives the reason and what the machine lacks.
bool pod_namespaces_open(pod_namespaces &namespaces, const std::string &uid, const std::string &preferred_address,
    const namespace_options &options, std::string &out_text);
// Removes the interface and ends the helper. Sockets that were handed out stay valid until they are closed.
void pod_namespaces_close(pod_namespaces &namespaces);

// A non-blocking TCP socket inside the pod; -1 on failure.
int pod_namespaces_socket(pod_namespaces &namespaces);
// A non-blocking listener inside the pod; -1 with errno on failure.
int pod_namespaces_listen(pod_namespaces &namespaces, const struct sockaddr_in &address);

// A pod keeps its address from pod_namespaces_open until this call, even if everything that created it is gone. Until then the machine
// rejects packets to the address. Otherwise they would leave by the default route, with objects in them, and another machine could answer.
// May be called for any pod; does nothing without a veth address.
void pod_namespaces_release_address(const std::string &pod_address);

// For a child between fork and exec, in this order: joins a copy of the pod's mounts, in which it may mount; then the network and the user.
bool pod_namespaces_enter_mounts(const pod_namespaces &namespaces);
bool pod_namespaces_enter(const pod_namespaces &namespaces);
// Makes the helper kill this process when the supervisor ends, however that happens.
void pod_namespaces_guard(pod_namespaces &namespaces, pid_t container);

// The name of the interface of a pod with this uid, and the removal of a leftover interface.
std::string pod_namespaces_interface_name(const std::string &uid);
void pod_namespaces_remove_interface(const std::string &name);

} // namespace etlnode::kubectl_local
