// SPDX-License-Identifier: MIT
// kubectl_local/trace_net.cc: the network addresses of an unsandboxed container.
//
// Without a network namespace, every pod has a loopback address of its own. A socket bound to "all addresses" or to loopback is bound to
// that address instead. So two pods can both listen on port 80. A connection to loopback reaches the pod itself if it listens on that port,
// otherwise this machine.
#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/os.h"
#include "kubectl_local/pod_network.h"
#include "kubectl_local/trace_call.h"
#include "kubectl_local/trace_memory.h"

namespace etlnode::kubectl_local {

static constexpr size_t in6_size_min = 24;  // without the scope id, as old programs pass it
static constexpr size_t sockets_max = 1024; // that are remembered

union any_address {
    struct sockaddr plain;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_storage room;
};

static std::string socket_name(const trace_context &h)
{
    return os_read_link(text_format("/proc/%d/fd/%d", h.thread.tid, static_cast<int>(trace_get_arg(h.regs, 0))));
}

// An address takes two arguments: its location and its size.
static bool read_address(const trace_context &h, unsigned arg, any_address &out, size_t &out_size)
{
    memset(&out, 0, sizeof out);
    out_size = trace_get_arg(h.regs, arg + 1) & 0xffffffffu;
    return out_size >= sizeof(sa_family_t) && out_size <= sizeof out &&
           trace_read(h.thread.tid, trace_get_arg(h.regs, arg), &out, out_size);
}

static void put_address(trace_context &h, unsigned arg, const any_address &address, size_t size)
{
    uint64_t at = trace_to_scratch(h, &address, size);
    if (at == 0) {
        if (!h.lacks_scratch)
            trace_fail(h, EFAULT);
        return;
    }
    trace_set_arg(h.regs, arg, at);
    trace_set_arg(h.regs, arg + 1, size);
}

static bool is_own4(uint32_t address) { return address == INADDR_ANY || (address >> 24) == IN_LOOPBACKNET; }

// Whether the address means this machine in either family: all addresses, or loopback.
static bool is_own(const any_address &address)
{
    if (address.plain.sa_family == AF_INET)
        return is_own4(ntohl(address.in.sin_addr.s_addr));
    const struct in6_addr &six = address.in6.sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&six)) {
        uint32_t four;
        memcpy(&four, six.s6_addr + 12, sizeof four);
        return is_own4(ntohl(four));
    }
    return IN6_IS_ADDR_UNSPECIFIED(&six) || IN6_IS_ADDR_LOOPBACK(&six);
}

static uint32_t four_of(const any_address &address)
{
    uint32_t four = address.in.sin_addr.s_addr;
    if (address.plain.sa_family == AF_INET6)
        memcpy(&four, address.in6.sin6_addr.s6_addr + 12, sizeof four);
    return four;
}

static void set_four(any_address &address, const char *text)
{
    struct in_addr four = {};
    inet_pton(AF_INET, text, &four);
    if (address.plain.sa_family == AF_INET) {
        address.in.sin_addr = four;
        return;
    }
    static constexpr unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    memcpy(address.in6.sin6_addr.s6_addr, mapped, sizeof mapped);
    memcpy(address.in6.sin6_addr.s6_addr + 12, &four, sizeof four);
    address.in6.sin6_scope_id = 0;
}

// Both families have the port at the same offset.
static uint16_t port_of(const any_address &address) { return ntohs(address.in.sin_port); }
static void set_port(any_address &address, unsigned port) { address.in.sin_port = htons(static_cast<uint16_t>(port)); }

static unsigned shifted(const trace_context &h, unsigned port)
{
    return port != 0 && port < IPPORT_RESERVED ? port + h.state.view.port_shift : port;
}

// Sockets with a path.

static void put_socket_path(trace_context &h, unsigned arg, const any_address &address, size_t size, bool binds)
{
    size_t room = size - offsetof(struct sockaddr_un, sun_path);
    std::string name(address.un.sun_path, strnlen(address.un.sun_path, room));
    guest_path path;
    int error = trace_resolve(h, AT_FDCWD, name, !binds, path);
    if (error == 0 && binds && path.read_only)
        error = EROFS;
    any_address changed = {};
    changed.un.sun_family = AF_UNIX;
    std::string host = path.host;
    if (error == 0 && host.size() >= sizeof changed.un.sun_path) {
        // The path is too long for an address: go through a descriptor of ours.
        size_t slash = host.rfind('/');
        int &dir = h.state.socket_dirs[h.state.next_socket_dir++ % std::size(h.state.socket_dirs)];
        if (dir > 0)
            close(dir);
        dir = open(host.substr(0, slash).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
        host = text_format("/proc/%d/fd/%d%s", getpid(), dir, host.substr(slash).c_str());
        if (dir < 0 || host.size() >= sizeof changed.un.sun_path)
            error = ENAMETOOLONG;
    }
    if (error != 0) {
        trace_fail(h, error);
        return;
    }
    memcpy(changed.un.sun_path, host.c_str(), host.size() + 1);
    put_address(h, arg, changed, offsetof(struct sockaddr_un, sun_path) + host.size() + 1);
    if (h.state.socket_paths.size() >= sockets_max)
        h.state.socket_paths.clear();
    if (binds)
        h.state.socket_paths[socket_name(h)] = name;
}

// The kernel would return a path of this machine.
void trace_handle_socket_name(trace_context &h)
{
    auto found = h.state.socket_paths.empty() ? h.state.socket_paths.end() : h.state.socket_paths.find(socket_name(h));
    uint64_t size_at = trace_get_arg(h.regs, 2);
    socklen_t room = 0;
    if (found == h.state.socket_paths.end() || !trace_read(h.thread.tid, size_at, &room, sizeof room))
        return;
    struct sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    found->second.copy(address.sun_path, sizeof address.sun_path - 1);
    socklen_t size = static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + strlen(address.sun_path) + 1);
    if (trace_write(h.thread.tid, trace_get_arg(h.regs, 1), &address, std::min(room, size)) &&
        trace_write(h.thread.tid, size_at, &size, sizeof size))
        trace_answer(h, 0);
    else
        trace_fail(h, EFAULT);
}

static bool has_path(const any_address &address, size_t size)
{
    return address.plain.sa_family == AF_UNIX && size > offsetof(struct sockaddr_un, sun_path) && address.un.sun_path[0] != 0;
}

static bool is_inet(const any_address &address, size_t size)
{
    return (address.plain.sa_family == AF_INET && size >= sizeof address.in) ||
           (address.plain.sa_family == AF_INET6 && size >= in6_size_min);
}

void trace_handle_bind(trace_context &h)
{
    any_address address;
    size_t size = 0;
    if (!read_address(h, 1, address, size))
        return;
    if (has_path(address, size)) {
        put_socket_path(h, 1, address, size, true);
        return;
    }
    if (h.state.view.pod_address.empty() || !is_inet(address, size))
        return;
    uint16_t port = port_of(address);
    if (address.plain.sa_family == AF_INET6 && is_own(address) && h.state.v6_only.contains(socket_name(h))) {
        // IPv6 loopback has a single address, so two pods would collide there. Nobody connects to a pod that way, so any port will do.
        address.in6.sin6_addr = h.state.has_ipv6 ? in6addr_loopback : in6addr_any;
        set_port(address, 0);
        put_address(h, 1, address, size);
        return;
    }
    if (is_own(address))
        set_four(address, h.state.view.pod_address.c_str());
    if (port == 0)
        h.state.has_unknown_ports = true;
    else
        h.state.ports.insert(port);
    set_port(address, shifted(h, port));
    put_address(h, 1, address, size);
}

// Whether the container listens there. Asks the kernel if the container has let it choose ports.
static bool is_listening(const std::string &address, unsigned port)
{
    struct in_addr four = {};
    std::string table;
    inet_pton(AF_INET, address.c_str(), &four);
    std::string wanted = text_format(" %08X:%04X 00000000:0000 0A ", four.s_addr, port);
    std::string wanted6 = text_format("0000000000000000FFFF0000%08X:%04X ", four.s_addr, port);
    return (os_read_file("/proc/net/tcp", table) && table.find(wanted) != std::string::npos) ||
           (os_read_file("/proc/net/tcp6", table) && table.find(wanted6) != std::string::npos);
}

static void handle_destination(trace_context &h, unsigned arg)
{
    any_address address;
    size_t size = 0;
    if (!read_address(h, arg, address, size))
        return;
    if (has_path(address, size)) {
        put_socket_path(h, arg, address, size, false);
        return;
    }
    const std::string &own = h.state.view.pod_address;
    if (own.empty() || !is_inet(address, size))
        return;
    bool is_four = address.plain.sa_family == AF_INET || IN6_IS_ADDR_V4MAPPED(&address.in6.sin6_addr);
    struct in_addr pod = {};
    struct in_addr way = {};
    inet_pton(AF_INET, own.c_str(), &pod);
    inet_pton(AF_INET, pod_network_host_loopback, &way);
    uint16_t port = port_of(address);
    if (is_four && four_of(address) == way.s_addr) {
        set_four(address, "127.0.0.1");
        put_address(h, arg, address, size);
        return;
    }
    bool to_pod = is_four && four_of(address) == pod.s_addr;
    bool to_itself = to_pod ||
                     (is_own(address) && (h.state.ports.contains(port) || (h.state.has_unknown_ports && is_listening(own, port))));
    if (!to_itself)
        return;
    set_four(address, own.c_str());
    if (h.state.ports.contains(port))
        set_port(address, shifted(h, port));
    put_address(h, arg, address, size);
}

void trace_handle_connect(trace_context &h) { handle_destination(h, 1); }
void trace_handle_send(trace_context &h) { handle_destination(h, 4); }

void trace_handle_v6_only(trace_context &h)
{
    int on = 0;
    std::string name = socket_name(h);
    if (name.empty() || !trace_read(h.thread.tid, trace_get_arg(h.regs, 3), &on, sizeof on))
        return;
    if (h.state.v6_only.size() >= sockets_max)
        h.state.v6_only.clear(); // most of them belong to sockets that were closed long ago
    if (on != 0)
        h.state.v6_only.insert(name);
    else
        h.state.v6_only.erase(name);
}

} // namespace etlnode::kubectl_local
