// SPDX-License-Identifier: MIT
// kubectl_local/netbox.h: a pod's namespaces (users, network, mounts), held by a small helper process for as long as the pod lives.
//
// The helper makes them (as an ordinary user: a user namespace in which we are root; as root: one with a block of ids that nobody else
// has), brings loopback up and then only hands out sockets made inside, which any process can use. The pod's containers join before they
// start, so address, open listeners and volumes of memory outlive a restart of the container. The helper ends with its channel, and takes
// the container along.
//
// As root with iproute2 a veth pair joins host and pod (/30 from 10.231.0.0/13-like ranges, chosen free on this host); otherwise
// there is nothing but loopback inside and the supervisor relays. With nft the pod can answer over the veth but not call out.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <sys/types.h>

#include "kubectl_local/users.h"

namespace etlnode::kubectl_local {

// Whose users the pod has.
enum class netbox_kind : uint8_t {
    root,     // the machine's, without their rights: where root may not make a user namespace
    block,    // a block of ids of its own, for root
    own_user, // one id: whoever runs kubectl-local, an ordinary user
};

struct netbox_memory {
    std::string path; // of a volume, in the pod's mount namespace
    uint64_t bytes = 0;
    uint64_t files = 0;
};

struct netbox_wish {
    bool veth = true;
    bool host_network = false;
    user_block users; // for root; count 0: none
    std::vector<netbox_memory> memory;
    std::vector<std::pair<std::string, std::string>> sysctls; // net.*
};

struct netbox {
    pid_t helper = 0; // 0: not open
    netbox_kind kind = netbox_kind::root;
    int channel = -1;
    int user_ns = -1; // -1: none of its own
    int net_ns = -1;  // -1: the host's
    int mnt_ns = -1;
    bool veth = false;
    bool guarded = false;    // the pod cannot open connections over the veth
    std::string interface;   // the host's end of the veth
    std::string pod_address; // of the veth
    std::vector<int> spares; // sockets made ahead
};

// `uid` seeds names and addresses; `wished_address` (may be empty) is taken again if it is free. `wish.veth` and `wish.users` are wishes.
// On failure `out_text` says why, and what the machine lacks.
bool netbox_open(netbox &box, const std::string &uid, const std::string &wished_address, const netbox_wish &wish, std::string &out_text);
// Removes the interface, ends the helper. Sockets handed out stay valid until closed.
void netbox_close(netbox &box);

// A non-blocking TCP socket inside; -1 on failure.
int netbox_socket(netbox &box);
// A non-blocking listener inside; -1 with errno on failure.
int netbox_listen(netbox &box, const struct sockaddr_in &address);

// An address stays with its pod from netbox_open on, also when everything that made it is gone: until this is called the machine refuses what is
// sent there. Otherwise it would leave by the default route, objects and all, and a stranger could answer. For any pod; without an address of a veth
// there is nothing to do.
void netbox_release_address(const std::string &pod_address);

// For a child between fork and exec, in this order: a copy of the pod's mounts, in which it may mount; then the network and the user.
bool netbox_enter_mounts(const netbox &box);
bool netbox_enter(const netbox &box);
// The helper ends this process when the supervisor ends, however that happens.
void netbox_guard(netbox &box, pid_t container);

// The interface a pod with this uid has, and its removal should it have been left behind.
std::string netbox_interface_name(const std::string &uid);
void netbox_remove_interface(const std::string &name);

} // namespace etlnode::kubectl_local
