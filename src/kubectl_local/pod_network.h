// SPDX-License-Identifier: MIT
// kubectl_local/pod_network.h: connections to and from a pod: its network namespace, its address, and the relays.
#pragma once

#include <string>

#include <netinet/in.h>

#include "kubectl_local/loop.h"
#include "kubectl_local/os.h"
#include "kubectl_local/pod.h"
#include "kubectl_local/pod_namespaces.h"
#include "kubectl_local/relay.h"

namespace etlnode::kubectl_local {

// Used without a network namespace: a container that connects to this address reaches this machine's loopback, even on one of its own
// ports.
inline constexpr const char *pod_network_host_loopback = "127.255.255.254";

struct pod_network {
    bool open = false;
    bool unsandboxed = false; // set before opening: no namespace, but an address of the pod's own (trace_net.cc)
    unsigned port_shift = 0;  // offset added to the container's ports below 1024, if we may not bind those
    std::string host_ip;
    std::string pod_ip;
    std::string address;       // "host:port" of the pod's first port; empty if it has none
    std::string target_url;    // replaces AIS_TARGET_URL in the container; empty to leave it unchanged
    pod_namespaces namespaces; // not open with hostNetwork
    relay inward;              // without a veth: from the host to the container's port
    relay outward;             // from the pod to the address in AIS_TARGET_URL
    struct sockaddr_in reserved = {};
    os_fd reservation;
};

// `target` is the URL that the pod may reach; empty for none. `old_address` is the address that an earlier supervisor used; it is reused if
// possible. `is_dying`: see relay. On failure `out_text` gives the reason, and nothing stays open.
bool pod_network_open(pod_network &n, loop &l, const pod_spec &spec, const std::string &target, const std::string &uid,
    const std::string &old_address, namespace_options options, bool (*is_dying)(void *arg), void *arg, std::string &out_text);
void pod_network_close(pod_network &n);
// The port at the pod's address under which one of the container's ports is reachable.
unsigned pod_network_port(const pod_network &n, unsigned port);

// Call when the container runs: connections are accepted from now on. Without a running container they are refused, as if nobody listened.
void pod_network_let_in(pod_network &n, const pod_spec &spec);
void pod_network_container_ended(pod_network &n);

} // namespace etlnode::kubectl_local
