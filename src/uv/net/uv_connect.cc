// SPDX-License-Identifier: MIT
// uv/net/uv_connect.cc: outgoing connections: name resolution, one address after the other, and the end of the handshake.
//
// Owns     a net_connect_call, and the resolution of its name.
// Knows    uv_net.h.             Known by  uv_net.cc, uv_listen.cc (addresses).
// Normal   resolve a name, connect; the first event says that the connection stands, and the caller gets it in a later iteration.
// Fails    the next address is tried; the caller gets the last one's error. A socket that connected to itself counts as refused.
#include "uv/net/uv_net.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace etlnode {

struct net_connect_call {
    uv_world *world = nullptr;
    net_reach reach = net_reach::anywhere;
    net_on_connect on_connect = nullptr;
    void *arg = nullptr;
    uv_link link;
    struct uv_resolve *resolve = nullptr; // while the name is being resolved
    addrinfo *addresses = nullptr;        // of the resolved name
    addrinfo *next = nullptr;             // tried if the current one fails
    net_conn *conn = nullptr;             // connecting or connected
    error err;
};

struct uv_resolve {
    uv_getaddrinfo_t request;
    uv_world *world = nullptr;
    net_connect_call *call = nullptr; // null if the call was cancelled
};

// Addresses.

bool uv_address_as_v4(const uv_address &address, in_addr &out_v4)
{
    if (address.any.sa_family == AF_INET) {
        out_v4 = address.v4.sin_addr;
        return true;
    }
    if (!IN6_IS_ADDR_V4MAPPED(&address.v6.sin6_addr))
        return false;
    std::memcpy(&out_v4, &address.v6.sin6_addr.s6_addr[12], sizeof out_v4);
    return true;
}

static bool is_loopback(const uv_address &address)
{
    in_addr v4{};
    if (uv_address_as_v4(address, v4))
        return (ntohl(v4.s_addr) >> 24) == 127;
    return IN6_IS_ADDR_LOOPBACK(&address.v6.sin6_addr) != 0;
}

// Call this before the handshake, because a connection that has begun pacing keeps it. Accepted connections inherit it from their listener.
// Every kernel has Reno, and every user may choose it.
void uv_address_set_reach(int fd, const uv_address &address, net_reach reach)
{
    char control[16] = ""; // TCP_CA_NAME_MAX
    socklen_t size = sizeof control - 1;
    if (reach == net_reach::anywhere && !is_loopback(address))
        return;
    if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control, &size) == 0 && std::string_view(control).starts_with("bbr"))
        (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

bool uv_address_parse(const char *host, uint16_t port, uv_address &out_address, socklen_t &out_size)
{
    out_address = {};
    if (inet_pton(AF_INET, host, &out_address.v4.sin_addr) == 1) {
        out_address.v4.sin_family = AF_INET;
        out_address.v4.sin_port = htons(port);
        out_size = sizeof out_address.v4;
        return true;
    }
    out_address = {};
    if (inet_pton(AF_INET6, host, &out_address.v6.sin6_addr) == 1) {
        out_address.v6.sin6_family = AF_INET6;
        out_address.v6.sin6_port = htons(port);
        out_size = sizeof out_address.v6;
        return true;
    }
    return false;
}

// Calls.

static void end_call(net_connect_call *call)
{
    uv_link_remove(call->link);
    call->world->counts.connects--;
    if (call->addresses != nullptr)
        uv_freeaddrinfo(call->addresses);
    delete call;
}

static void complete_call(net_connect_call *call, error err)
{
    call->err = err;
    uv_link_remove(call->link);
    uv_link_add(call->world->call_done, call->link, call);
}

void uv_connect_complete(net_connect_call *call)
{
    net_on_connect on_connect = call->on_connect;
    void *arg = call->arg;
    net_conn *conn = call->conn;
    error err = call->err;
    if (conn != nullptr)
        conn->call = nullptr;
    end_call(call);
    on_connect(arg, err, conn);
}

static error connect_error(int errno_value) { return error_from_errno(errno_value, nullptr); }

// Returns 0 if the call continues or has succeeded.
static int try_address(net_connect_call *call, const sockaddr *address, socklen_t size)
{
    uv_world &w = *call->world;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    uv_address peer{};
    std::memcpy(&peer, address, std::min<size_t>(size, sizeof peer));
    uv_address_set_reach(fd, peer, call->reach);
    int result = 0;
    do {
        result = connect(fd, address, size);
    } while (result != 0 && errno == EINTR);
    if (result != 0 && errno != EINPROGRESS) {
        int failure = errno;
        close(fd);
        return failure;
    }
    net_conn *c = uv_conn_make(w, fd, peer);
    if (!uv_conn_watch(*c)) {
        int failure = errno;
        uv_conn_close(c);
        return failure;
    }
    c->call = call;
    call->conn = c;
    // Return here even if it connected at once: the first event reports that.
    return 0;
}

static void try_next_address(net_connect_call *call, int failure)
{
    while (call->next != nullptr) {
        addrinfo *info = call->next;
        call->next = info->ai_next;
        failure = try_address(call, info->ai_addr, static_cast<socklen_t>(info->ai_addrlen));
        if (failure == 0)
            return;
    }
    complete_call(call, connect_error(failure));
}

// A connect to a free port of the ephemeral range can connect to itself.
static bool is_own_end(const net_conn &c)
{
    uv_address own{};
    socklen_t size = sizeof own;
    if (getsockname(c.watch.fd, &own.any, &size) != 0 || own.any.sa_family != c.peer.any.sa_family)
        return false;
    if (own.any.sa_family == AF_INET)
        return own.v4.sin_port == c.peer.v4.sin_port && own.v4.sin_addr.s_addr == c.peer.v4.sin_addr.s_addr;
    return own.v6.sin6_port == c.peer.v6.sin6_port && std::memcmp(&own.v6.sin6_addr, &c.peer.v6.sin6_addr, sizeof own.v6.sin6_addr) == 0;
}

void uv_connect_event(net_conn *c, uint32_t events)
{
    net_connect_call *call = c->call;
    if (call->conn != c || (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0)
        return;
    int failure = 0;
    socklen_t size = sizeof failure;
    if (getsockopt(c->watch.fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
        failure = errno;
    if (failure == 0 && is_own_end(*c)) {
        failure = ECONNREFUSED;
        linger reset{1, 0};
        (void)setsockopt(c->watch.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    if (failure != 0) {
        call->conn = nullptr;
        uv_conn_close(c);
        try_next_address(call, failure);
        return;
    }
    c->sides[uv_readable].ready = (events & (EPOLLIN | EPOLLRDHUP)) != 0;
    c->sides[uv_readable].stays_ready = (events & EPOLLRDHUP) != 0;
    c->sides[uv_writable].ready = true;
    call->err = no_error;
    uv_connect_complete(call);
}

static void name_resolved(uv_getaddrinfo_t *request, int status, addrinfo *addresses)
{
    auto *resolve = static_cast<uv_resolve *>(request->data);
    uv_world &w = *resolve->world;
    net_connect_call *call = resolve->call;
    delete resolve;
    w.counts.jobs--;
    uv_dispatch_begin(w);
    if (call == nullptr) {
        if (addresses != nullptr)
            uv_freeaddrinfo(addresses);
    } else {
        call->resolve = nullptr;
        call->addresses = addresses;
        call->next = addresses;
        if (status != 0)
            complete_call(call, make_error(error_code::unreachable, "the host name cannot be resolved"));
        else
            try_next_address(call, EADDRNOTAVAIL);
    }
    uv_dispatch_end(w);
}

error uv_connect_start(
    env &e, const char *host, uint16_t port, net_reach reach, net_on_connect on_connect, void *arg, net_connect_call **out_call)
{
    uv_world &w = uv_world_of(e);
    *out_call = nullptr;
    if (host == nullptr || *host == '\0' || port == 0)
        return make_error(error_code::invalid_argument, "no address to connect to");
    auto *call = new net_connect_call;
    call->world = &w;
    call->reach = reach;
    call->on_connect = on_connect;
    call->arg = arg;
    uv_link_add(w.calls, call->link, call);
    w.counts.connects++;
    uv_address address;
    socklen_t size = 0;
    if (uv_address_parse(host, port, address, size)) {
        int failure = try_address(call, &address.any, size);
        if (failure != 0)
            complete_call(call, connect_error(failure));
    } else {
        auto *resolve = new uv_resolve;
        resolve->world = &w;
        resolve->call = call;
        resolve->request.data = resolve;
        addrinfo hints{};
        hints.ai_family = AF_UNSPEC;
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = AI_ADDRCONFIG;
        std::string service = std::to_string(port);
        int result = uv_getaddrinfo(&w.loop, &resolve->request, name_resolved, host, service.c_str(), &hints);
        if (result != 0) {
            delete resolve;
            end_call(call);
            return make_error(error_code::invalid_argument, "not a host name", -result);
        }
        w.counts.jobs++;
        call->resolve = resolve;
    }
    *out_call = call;
    return no_error;
}

void uv_connect_stop(net_connect_call *call)
{
    if (call->resolve != nullptr) {
        call->resolve->call = nullptr;
        (void)uv_cancel(reinterpret_cast<uv_req_t *>(&call->resolve->request)); // it may be running already; its result is then dropped
    }
    if (call->conn != nullptr) {
        call->conn->call = nullptr;
        uv_conn_close(call->conn);
    }
    end_call(call);
}

} // namespace etlnode
