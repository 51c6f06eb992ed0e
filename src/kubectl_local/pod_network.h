// SPDX-License-Identifier: MIT
// kubectl_local/pod_network.h: how connections reach a pod and leave it: the namespace, the address to use, the relays.
#pragma once

#include <string>

#include <netinet/in.h>

#include "kubectl_local/loop.h"
#include "kubectl_local/netbox.h"
#include "kubectl_local/os.h"
#include "kubectl_local/pod.h"
#include "kubectl_local/relay.h"

namespace etlnode::kubectl_local {

// Where no network namespace can be made: what a container connects to here is this machine's loopback, even on a port of its own.
inline constexpr const char *pod_network_way_address = "127.255.255.254";

struct pod_network {
    bool open = false;
    bool unsandboxed = false; // set before it is opened: no namespace, but an address of the pod's own (trace_net.cc)
    unsigned port_shift = 0;  // what the container's ports below 1024 are moved by, where we may not have those
    std::string host_ip;
    std::string pod_ip;
    std::string address;    // "host:port" for the pod's first port; empty without one
    std::string target_url; // what AIS_TARGET_URL becomes in the container; empty: as it is
    netbox box;             // not open with hostNetwork
    relay inward;           // without a veth: host to the container's port
    relay outward;          // pod to what AIS_TARGET_URL names
    struct sockaddr_in reserved = {};
    os_fd reservation;
};

// `way` is the URL that the pod may reach, empty: none. `old_address` is the address of an earlier supervisor, taken again where possible. `is_dying` as in relay. On failure `out_text`
// says why; nothing is open then.
bool pod_network_open(pod_network &n, loop &l, const pod_spec &spec, const std::string &way, const std::string &uid,
    const std::string &old_address, netbox_wish wish, bool (*is_dying)(void *arg), void *arg, std::string &out_text);
void pod_network_close(pod_network &n);
// Where one of the container's ports is found at the pod's address.
unsigned pod_network_port(const pod_network &n, unsigned port);

// The container runs: connections may come. While none runs they are refused, as they are where nobody listens.
void pod_network_let_in(pod_network &n, const pod_spec &spec);
void pod_network_container_ended(pod_network &n);

} // namespace etlnode::kubectl_local
