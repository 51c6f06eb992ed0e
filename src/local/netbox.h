// SPDX-License-Identifier: MIT
// local/netbox.h: a pod's network namespace, held by a small helper process for as long as the pod lives.
//
// The helper makes the namespace (as an ordinary user: inside a user namespace of its own, in which we are root), brings loopback
// up and then only hands out sockets made inside, which any process can use. The pod's containers join the namespace before they
// start, so address and open listeners outlive a restart of the container. The helper ends with its channel or its parent.
//
// As root with iproute2 a veth pair joins host and pod (/30 from 10.231.0.0/13-like ranges, chosen free on this host); otherwise
// there is nothing but loopback inside and the supervisor relays. With nft the pod can answer over the veth but not call out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <sys/types.h>

struct netbox {
    pid_t helper = 0; // 0: not open, or the pod uses the host's network
    int channel = -1;
    int user_ns = -1; // -1: none of its own
    int net_ns = -1;
    bool veth = false;
    bool guarded = false;      // the pod cannot open connections over the veth
    std::string interface;     // the host's end of the veth
    std::string pod_address;   // of the veth
    std::vector<int> spares;   // sockets made ahead
};

// `uid` seeds names and addresses; `wished_address` (may be empty) is taken again if it is free. `want_veth` is a wish. On failure
// `out_text` says why, and what the machine lacks.
bool netbox_open(netbox &box, const std::string &uid, const std::string &wished_address, bool want_veth, std::string &out_text);
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

// For a child between fork and exec: moves it inside. Async-signal-safe.
bool netbox_enter(const netbox &box);

// The interface a pod with this uid has, and its removal should it have been left behind.
std::string netbox_interface_name(const std::string &uid);
void netbox_remove_interface(const std::string &name);
