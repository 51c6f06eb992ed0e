// SPDX-License-Identifier: MIT
// kubectl_local/pod_network.cc: connections to and from a pod: its network namespace, its address, and the relays.
#include "kubectl_local/pod_network.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/target_url.h"

namespace etlnode::kubectl_local {

static void log_text(const std::string &text) { fprintf(stderr, "%s %s\n", os_time_text_ns().c_str(), text.c_str()); }

static std::string ip_text(const struct sockaddr_in &address)
{
    char text[INET_ADDRSTRLEN] = "";
    inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
    return text;
}

static int bound_socket(const struct sockaddr_in &address)
{
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool done = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
                bind(fd, reinterpret_cast<const struct sockaddr *>(&address), sizeof address) == 0;
    if (!done && fd >= 0) {
        close(fd);
        return -1;
    }
    return fd;
}

// Reserves a loopback address for the pod and a port that the kernel chooses. The reservation keeps the port while no container runs.
// Nobody listens then, so connections are refused, as they should be.
static bool reserve_address(pod_network &n, const std::string &old)
{
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    size_t colon = old.find(':');
    uint64_t port = 0;
    bool had = colon != std::string::npos && old.starts_with("127.") && text_parse_u64(std::string_view(old).substr(colon + 1), port) &&
               port <= 65535 && inet_pton(AF_INET, old.substr(0, colon).c_str(), &address.sin_addr) == 1;
    address.sin_port = htons(static_cast<uint16_t>(port));
    if (had)
        n.reservation.reset(bound_socket(address));
    for (int i = 0; i < 16 && n.reservation.fd < 0; i++) {
        uint64_t random = 0;
        text_parse_hex_u64(os_random_hex(6), random);
        address.sin_addr.s_addr = htonl((127u << 24) | (64u << 16) | (static_cast<uint32_t>(random) & 0x3fffff) | 1u);
        address.sin_port = 0;
        n.reservation.reset(bound_socket(address));
    }
    socklen_t size = sizeof n.reserved;
    return n.reservation.fd >= 0 && getsockname(n.reservation.fd, reinterpret_cast<struct sockaddr *>(&n.reserved), &size) == 0;
}

static bool resolve(const std::string &host, struct sockaddr_in &out)
{
    struct addrinfo hints = {};
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    struct addrinfo *found = nullptr;
    if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0 || found == nullptr)
        return false;
    memcpy(&out.sin_addr, &reinterpret_cast<struct sockaddr_in *>(found->ai_addr)->sin_addr, sizeof out.sin_addr);
    freeaddrinfo(found);
    return true;
}

// Opens the pod's only way out: the address in `url` exists on the pod's loopback and is relayed to the real one.
static void open_target_relay(pod_network &n, loop &l, const pod_spec &spec, const std::string &url, bool (*is_dying)(void *arg), void *arg)
{
    target_url parts;
    if (url.empty())
        return;
    struct sockaddr_in target = {};
    target.sin_family = AF_INET;
    if (!target_url_split(url, parts) || !resolve(parts.host, target)) {
        log_text("AIS_TARGET_URL is not http://host[:port]/... with a host that resolves to IPv4: the pod cannot reach it");
        return;
    }
    target.sin_port = htons(parts.port);
    bool is_loopback = (ntohl(target.sin_addr.s_addr) >> 24) == 127;
    struct sockaddr_in inside = target;
    if (!is_loopback)
        inside.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // Keep the container's own port free.
    uint16_t port = parts.port;
    while (std::find(spec.container.ports.begin(), spec.container.ports.end(), port) != spec.container.ports.end())
        port = port < 61'000 ? 61'000 : static_cast<uint16_t>(port + 1);
    inside.sin_port = htons(port);
    int listener = pod_namespaces_listen(n.namespaces, inside);
    if (listener < 0) {
        log_text(text_format("listening on %s:%u inside the pod: %s", ip_text(inside).c_str(), port, strerror(errno)));
        return;
    }
    n.outward.l = &l;
    n.outward.namespaces = &n.namespaces;
    n.outward.outward = true;
    n.outward.target = target;
    n.outward.is_dying = is_dying;
    n.outward.arg = arg;
    relay_start(n.outward, listener);
    if (!is_loopback || port != parts.port)
        n.target_url = text_format("http://%s:%u", ip_text(inside).c_str(), port) + parts.rest;
}

// Only loopback exists inside, so the host reaches the container through the supervisor.
static bool open_relay(pod_network &n, loop &l, uint16_t port, const std::string &old_address, bool (*is_dying)(void *arg), void *arg)
{
    if (!reserve_address(n, old_address))
        return false;
    n.pod_ip = ip_text(n.reserved);
    if (port != 0)
        n.address = text_format("%s:%u", n.pod_ip.c_str(), ntohs(n.reserved.sin_port));
    n.inward.l = &l;
    n.inward.namespaces = &n.namespaces;
    n.inward.target.sin_family = AF_INET;
    n.inward.target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    n.inward.target.sin_port = htons(port);
    n.inward.is_dying = is_dying;
    n.inward.arg = arg;
    return true;
}

// Without a namespace, the container's ports are on a loopback address that no other pod has.

static constexpr uint16_t claim_port = 65'521; // stays bound for the pod's lifetime, to mark the address as taken
static constexpr unsigned shift_of_low_ports = 40'000;

static int claim_address(const std::string &text)
{
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(claim_port);
    int fd = inet_pton(AF_INET, text.c_str(), &address.sin_addr) == 1 ? socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (fd >= 0 && bind(fd, reinterpret_cast<const struct sockaddr *>(&address), sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool may_bind_low_ports()
{
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl((127u << 24) | (64u << 16) | static_cast<uint32_t>(getpid() & 0xffff));
    address.sin_port = htons(80);
    os_fd fd(bound_socket(address));
    return fd.fd >= 0 || errno != EACCES;
}

static bool open_own_address(pod_network &n, const pod_spec &spec, const std::string &url, const std::string &old)
{
    n.port_shift = may_bind_low_ports() ? 0 : shift_of_low_ports;
    std::string address = old.substr(0, old.find(':'));
    if (address.starts_with("127."))
        n.reservation.reset(claim_address(address));
    for (int i = 0; i < 64 && n.reservation.fd < 0; i++) {
        uint64_t random = 0;
        text_parse_hex_u64(os_random_hex(6), random);
        struct sockaddr_in candidate = {};
        candidate.sin_addr.s_addr = htonl((127u << 24) | (64u << 16) | (static_cast<uint32_t>(random) & 0x3fffff) | 1u);
        address = ip_text(candidate);
        n.reservation.reset(claim_address(address));
    }
    if (n.reservation.fd < 0)
        return false;
    n.pod_ip = address;
    if (!spec.container.ports.empty())
        n.address = text_format("%s:%u", address.c_str(), pod_network_port(n, spec.container.ports[0]));
    // Loopback is the machine's own here. AIS_TARGET_URL works unchanged, unless the container itself listens on that port.
    target_url parts;
    struct sockaddr_in target = {};
    bool is_shared = target_url_split(url, parts) && resolve(parts.host, target) && (ntohl(target.sin_addr.s_addr) >> 24) == 127 &&
                     std::find(spec.container.ports.begin(), spec.container.ports.end(), parts.port) != spec.container.ports.end();
    if (is_shared)
        n.target_url = text_format("http://%s:%u", pod_network_host_loopback, parts.port) + parts.rest;
    return true;
}

unsigned pod_network_port(const pod_network &n, unsigned port) { return port < IPPORT_RESERVED ? port + n.port_shift : port; }

bool pod_network_open(pod_network &n, loop &l, const pod_spec &spec, const std::string &target, const std::string &uid,
    const std::string &old_address, namespace_options options, bool (*is_dying)(void *arg), void *arg, std::string &out_text)
{
    uint16_t port = spec.container.ports.empty() ? 0 : spec.container.ports[0];
    n.host_ip = "127.0.0.1";
    if (n.unsandboxed && !spec.host_network) {
        n.open = open_own_address(n, spec, target, old_address);
        if (!n.open)
            out_text = text_format("no loopback address for the pod: %s", strerror(errno));
        return n.open;
    }
    const char *network = getenv("KUBECTL_LOCAL_NETWORK");
    options.veth = network == nullptr || std::string_view(network) != "relay";
    options.host_network = spec.host_network;
    n.open = n.unsandboxed || pod_namespaces_open(n.namespaces, uid, old_address.substr(0, old_address.find(':')), options, out_text);
    if (!n.open)
        return false;
    if (spec.host_network) {
        n.pod_ip = n.host_ip;
        if (port != 0)
            n.address = text_format("127.0.0.1:%u", port);
        return true;
    }
    if (n.namespaces.veth) {
        n.pod_ip = n.namespaces.pod_address;
        if (port != 0)
            n.address = text_format("%s:%u", n.pod_ip.c_str(), port);
        if (!n.namespaces.guarded)
            log_text("nft is missing or failed: the pod can reach what listens on all addresses of this machine");
    } else if (!open_relay(n, l, port, old_address, is_dying, arg)) {
        out_text = text_format("no loopback address for the pod: %s", strerror(errno));
        pod_network_close(n);
        return false;
    }
    open_target_relay(n, l, spec, target, is_dying, arg);
    return true;
}

void pod_network_close(pod_network &n)
{
    if (n.outward.l != nullptr)
        relay_close(n.outward);
    if (n.inward.l != nullptr)
        relay_close(n.inward);
    n.reservation.reset(-1);
    pod_namespaces_close(n.namespaces);
    n.open = false;
}

void pod_network_let_in(pod_network &n, const pod_spec &spec)
{
    if (n.inward.l == nullptr || spec.container.ports.empty() || n.inward.listener.fd != -1)
        return;
    int fd = bound_socket(n.reserved);
    if (fd >= 0 && listen(fd, 512) == 0) {
        relay_start(n.inward, fd);
        return;
    }
    log_text(text_format("listening on %s: %s", ip_text(n.reserved).c_str(), strerror(errno)));
    if (fd >= 0)
        close(fd);
}

void pod_network_container_ended(pod_network &n)
{
    if (n.inward.l != nullptr) {
        relay_stop_listening(n.inward);
        relay_container_ended(n.inward);
    }
    if (n.outward.l != nullptr)
        relay_container_ended(n.outward);
}

} // namespace etlnode::kubectl_local
