// SPDX-License-Identifier: MIT
// uv/uv_net.cc: listeners and connections: readiness, reads, writes, sendfile.
//
// Owns     one epoll descriptor (see uv_net.h), every socket of the node.
// Known by uv_relay.cc.
// Normal   accept or connect, wait, read and write until `again`, close.
// Fails    a reset keeps what had arrived readable, then every read says `failed`, even where the kernel, having told the error to
//          another call, would say "end".
// Limits   net_turn_bytes_max a connection and turn, accept_batch a listener and turn, pause_ms when descriptors run out.
#include "uv/uv_net.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "uv/uv_disk.h"

static constexpr int event_batch = 256;
static constexpr int accept_batch = 64;
static constexpr int listen_backlog = 4096;
static constexpr uint64_t pause_ms = 100;      // of accepting, when descriptors have run out
static constexpr uint64_t pause_log_ms = 10'000; // at most one line about it in this time
static constexpr size_t parts_max = 16;

struct net_listener {
    uv_watch watch;
    net_on_accept on_accept = nullptr;
    void *arg = nullptr;
    uint16_t port = 0;
    bool paused = false;    // by the owner
    bool exhausted = false; // no descriptors: waits for `retry`
    timer *retry = nullptr;
    uint64_t logged_ms = 0;
};

struct net_connect_call {
    uv_world *world = nullptr;
    net_reach reach = net_reach::anywhere;
    net_on_connect on_connect = nullptr;
    void *arg = nullptr;
    uv_link link;
    struct uv_resolve *resolve = nullptr; // while the name is being resolved
    addrinfo *addresses = nullptr;        // of a resolved name
    addrinfo *next = nullptr;             // tried when the current one fails
    net_conn *conn = nullptr;             // connecting or connected
    error err;
};

struct uv_resolve {
    uv_getaddrinfo_t request;
    uv_world *world = nullptr;
    net_connect_call *call = nullptr; // null: cancelled
};

// Connection state.

static constexpr size_t readable = static_cast<size_t>(net_side::readable);
static constexpr size_t writable = static_cast<size_t>(net_side::writable);

static bool can_complete(const net_conn &c, size_t side)
{
    return c.sides[side].on_ready != nullptr && c.sides[side].ready && (side == readable || c.prefetch == nullptr);
}

static void queue_ready(net_conn &c)
{
    if (!uv_link_is_empty(c.ready_link))
        return;
    uv_link_add(c.watch.world->ready, c.ready_link, &c);
}

// The flag may be older than the last read, which happened to take exactly what was there. Who waits wants to know for certain.
static void confirm_readable(net_conn &c)
{
    auto &side = c.sides[readable];
    if (side.on_ready == nullptr || !side.ready || side.stays_ready)
        return;
    char byte = 0;
    if (recv(c.watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0) {
        if (errno == EAGAIN)
            side.ready = false;
        else if (errno != EINTR)
            (void)uv_conn_failed(c, errno, "read"); // kept for the next read
    }
}

static void complete_waits(net_conn &c)
{
    for (size_t side : {readable, writable}) {
        if (c.watch.closed || !can_complete(c, side))
            continue;
        net_on_ready on_ready = c.sides[side].on_ready;
        c.sides[side].on_ready = nullptr;
        on_ready(c.sides[side].arg);
        uv_turn_drain(*c.watch.world);
    }
}

size_t uv_conn_allowance(net_conn &c, size_t size)
{
    if (c.turn != c.watch.world->turn) {
        c.turn = c.watch.world->turn;
        c.moved = 0;
    }
    return c.moved < net_turn_bytes_max ? std::min(size, net_turn_bytes_max - c.moved) : 0;
}

io_result uv_conn_moved(net_conn &c, size_t count)
{
    c.moved += count;
    return {io_state::done, count, no_error};
}

io_result uv_conn_sent(net_conn &c, size_t count, size_t want)
{
    // A file or a pipe may have given less, too, so the kernel is asked. It calls a side writable only when a good part of its buffer is free:
    // without that, every segment the peer has read would be refilled at once, 64 KiB a call.
    auto &side = c.sides[writable];
    if (count < want && !side.stays_ready) {
        pollfd asked{c.watch.fd, POLLOUT, 0};
        side.ready = poll(&asked, 1, 0) != 0; // when not, an event will come: asking has ordered it
    }
    return uv_conn_moved(c, count);
}

io_result uv_conn_exhausted(net_conn &c, net_side side)
{
    // EAGAIN from a side that was thought to have ended: it has not.
    auto &s = c.sides[static_cast<size_t>(side)];
    s.ready = s.stays_ready = false;
    return {io_state::again, 0, no_error};
}

io_result uv_conn_failed(net_conn &c, int errno_value, const char *what)
{
    // EPIPE is what writing says after somebody else was told the reason.
    if (c.failure == 0 || c.failure == EPIPE)
        c.failure = errno_value;
    else if (errno_value == EPIPE)
        errno_value = c.failure;
    return {io_state::failed, 0, error_from_errno(errno_value, what)};
}

io_result uv_conn_ended(net_conn &c)
{
    // EPIPE: the reset came after the peer's FIN, so the end is a real one.
    if (c.failure != 0 && c.failure != EPIPE && !c.peer_finished)
        return {io_state::failed, 0, error_from_errno(c.failure, "read")};
    c.peer_finished = true;
    return {io_state::end, 0, no_error};
}

static bool watch_add(uv_world &w, uv_watch &watch, uint32_t events)
{
    epoll_event event{};
    event.events = events;
    event.data.ptr = &watch;
    return epoll_ctl(w.epoll_fd, EPOLL_CTL_ADD, watch.fd, &event) == 0;
}

static void watch_close(uv_watch &watch)
{
    // Explicitly: a child between fork and exec keeps the socket registered.
    epoll_event unused{};
    (void)epoll_ctl(watch.world->epoll_fd, EPOLL_CTL_DEL, watch.fd, &unused);
    close(watch.fd);
    watch.fd = -1;
    watch.closed = true;
    uv_link_remove(watch.link);
    uv_link_add(watch.world->dead, watch.link, &watch);
    if (!watch.world->in_turn)
        uv_net_free_dead(*watch.world);
}

void uv_net_free_dead(uv_world &w)
{
    while (!uv_link_is_empty(w.dead)) {
        auto *watch = static_cast<uv_watch *>(w.dead.next->owner);
        uv_link_remove(watch->link);
        switch (watch->kind) {
        case uv_watch_kind::conn: delete reinterpret_cast<net_conn *>(watch); break;
        case uv_watch_kind::listener: delete reinterpret_cast<net_listener *>(watch); break;
        }
    }
}

static constexpr uint32_t conn_events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

static net_conn *new_conn(uv_world &w, int fd, const uv_address &peer)
{
    auto *c = new net_conn;
    c->watch.kind = uv_watch_kind::conn;
    c->watch.fd = fd;
    c->watch.world = &w;
    c->peer = peer;
    uv_link_add(w.conns, c->watch.link, c);
    w.counts.conns++;
    return c;
}

static void close_conn(net_conn *c)
{
    CHECK(!c->watch.closed);
    uv_link_remove(c->ready_link);
    if (c->prefetch != nullptr)
        uv_fetch_detach(c->prefetch, c);
    c->prefetch = nullptr;
    c->watch.world->counts.conns--;
    watch_close(c->watch);
}

// Connecting.

static void end_call(net_connect_call *call)
{
    uv_link_remove(call->link);
    call->world->counts.connects--;
    if (call->addresses != nullptr)
        uv_freeaddrinfo(call->addresses);
    delete call;
}

static void settle_call(net_connect_call *call, error err)
{
    call->err = err;
    uv_link_remove(call->link);
    uv_link_add(call->world->call_done, call->link, call);
}

static void tell_call(net_connect_call *call)
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

// The address as IPv4 where it is one, mapped or not.
static bool as_v4(const uv_address &address, in_addr &out_v4)
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
    if (as_v4(address, v4))
        return (ntohl(v4.s_addr) >> 24) == 127;
    return IN6_IS_ADDR_LOOPBACK(&address.v6.sin6_addr) != 0;
}

// Before the handshake: a connection that has begun to be paced stays so. Accepted ones have it of their listener. Reno is in every kernel and
// allowed to every user.
static void set_reach(int fd, const uv_address &address, net_reach reach)
{
    char control[16] = ""; // TCP_CA_NAME_MAX
    socklen_t size = sizeof control - 1;
    if (reach == net_reach::anywhere && !is_loopback(address))
        return;
    if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control, &size) == 0 && std::string_view(control).starts_with("bbr"))
        (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

// Returns 0 when the call goes on or has been settled with success.
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
    set_reach(fd, peer, call->reach);
    int result = 0;
    do {
        result = connect(fd, address, size);
    } while (result != 0 && errno == EINTR);
    if (result != 0 && errno != EINPROGRESS) {
        int failure = errno;
        close(fd);
        return failure;
    }
    net_conn *c = new_conn(w, fd, peer);
    if (!watch_add(w, c->watch, conn_events)) {
        int failure = errno;
        close_conn(c);
        return failure;
    }
    c->call = call;
    call->conn = c;
    // Even when connected at once: the first event says so.
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
    settle_call(call, connect_error(failure));
}

// A connect to a free port of the ephemeral range can meet itself.
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

static void connecting_event(net_conn *c, uint32_t events)
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
        close_conn(c);
        try_next_address(call, failure);
        return;
    }
    c->sides[readable].ready = (events & (EPOLLIN | EPOLLRDHUP)) != 0;
    c->sides[readable].stays_ready = (events & EPOLLRDHUP) != 0;
    c->sides[writable].ready = true;
    call->err = no_error;
    tell_call(call);
}

static void name_resolved(uv_getaddrinfo_t *request, int status, addrinfo *addresses)
{
    auto *resolve = static_cast<uv_resolve *>(request->data);
    uv_world &w = *resolve->world;
    net_connect_call *call = resolve->call;
    delete resolve;
    w.counts.jobs--;
    uv_turn_begin(w);
    if (call == nullptr) {
        if (addresses != nullptr)
            uv_freeaddrinfo(addresses);
    } else {
        call->resolve = nullptr;
        call->addresses = addresses;
        call->next = addresses;
        if (status != 0)
            settle_call(call, make_error(error_code::unreachable, "the host name cannot be resolved"));
        else
            try_next_address(call, EADDRNOTAVAIL);
    }
    uv_turn_end(w);
}

static bool parse_address(const char *host, uint16_t port, uv_address &out_address, socklen_t &out_size)
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

static error net_connect_start(env &e, const char *host, uint16_t port, net_reach reach, net_on_connect on_connect, void *arg, net_connect_call **out_call)
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
    if (parse_address(host, port, address, size)) {
        int failure = try_address(call, &address.any, size);
        if (failure != 0)
            settle_call(call, connect_error(failure));
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

static void net_connect_stop(net_connect_call *call)
{
    if (call->resolve != nullptr) {
        call->resolve->call = nullptr;
        (void)uv_cancel(reinterpret_cast<uv_req_t *>(&call->resolve->request)); // may be running already: then its answer is dropped
    }
    if (call->conn != nullptr) {
        call->conn->call = nullptr;
        close_conn(call->conn);
    }
    end_call(call);
}

// Listening.

static void apply_pause(net_listener &l)
{
    epoll_event event{};
    event.events = l.paused || l.exhausted ? 0u : static_cast<uint32_t>(EPOLLIN);
    event.data.ptr = &l.watch;
    CHECK(epoll_ctl(l.watch.world->epoll_fd, EPOLL_CTL_MOD, l.watch.fd, &event) == 0);
}

static void descriptors_back(void *arg)
{
    auto &l = *static_cast<net_listener *>(arg);
    l.exhausted = false;
    apply_pause(l);
}

static void descriptors_gone(net_listener &l, int errno_value)
{
    env &e = *l.watch.world->e;
    l.exhausted = true;
    apply_pause(l);
    if (l.retry == nullptr)
        l.retry = timer_make(e, descriptors_back, &l);
    timer_arm(e, l.retry, pause_ms);
    uint64_t now = clock_now_ms(e);
    if (l.logged_ms == 0 || now >= l.logged_ms + pause_log_ms) {
        LOG(warn, "net", "port=%u errno=%d msg=\"cannot accept, trying again in %u ms\"", l.port, errno_value, static_cast<unsigned>(pause_ms));
        l.logged_ms = now > 0 ? now : 1;
    }
}

static void accept_conns(net_listener &l)
{
    uv_world &w = *l.watch.world;
    for (int i = 0; i < accept_batch && !l.watch.closed && !l.paused; i++) {
        uv_address peer{};
        socklen_t size = sizeof peer;
        int fd = accept4(l.watch.fd, &peer.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            switch (errno) {
            case EAGAIN: return;
            case EMFILE:
            case ENFILE:
            case ENOBUFS:
            case ENOMEM: descriptors_gone(l, errno); return;
            default: continue; // the connection's own trouble; the next one may be fine
            }
        }
        // TCP_NODELAY and the congestion control are inherited from the listener.
        net_conn *c = new_conn(w, fd, peer);
        if (!watch_add(w, c->watch, conn_events)) {
            close_conn(c);
            descriptors_gone(l, errno);
            return;
        }
        // Most clients have sent something by now; if not, the first read finds out.
        c->sides[readable].ready = true;
        c->sides[writable].ready = true;
        l.on_accept(l.arg, c);
        uv_turn_drain(w);
    }
}

static error listen_start(env &e, const char *host, uint16_t port, net_reach reach, net_on_accept on_accept, void *arg, net_listener **out_listener)
{
    uv_world &w = uv_world_of(e);
    *out_listener = nullptr;
    uv_address address;
    socklen_t size = 0;
    if (host == nullptr || !parse_address(host, port, address, size))
        return make_error(error_code::invalid_argument, "not a numeric address");
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_from_errno(errno, "socket");
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    set_reach(fd, address, reach);
    if (bind(fd, &address.any, size) != 0 || listen(fd, listen_backlog) != 0) {
        int failure = errno;
        close(fd);
        switch (failure) {
        case EADDRINUSE: return make_error(error_code::in_use, "the port is in use by another process", failure);
        case EADDRNOTAVAIL: return make_error(error_code::unreachable, "the address is not one of this machine", failure);
        case EACCES: return make_error(error_code::permission, "no permission to listen on the port", failure);
        default: return error_from_errno(failure, "listen");
        }
    }
    auto *l = new net_listener;
    l->watch.kind = uv_watch_kind::listener;
    l->watch.fd = fd;
    l->watch.world = &w;
    l->on_accept = on_accept;
    l->arg = arg;
    size = sizeof address;
    if (getsockname(fd, &address.any, &size) == 0)
        l->port = ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
    uv_link_add(w.listeners, l->watch.link, l);
    w.counts.listeners++;
    if (!watch_add(w, l->watch, EPOLLIN)) {
        int failure = errno;
        w.counts.listeners--;
        watch_close(l->watch);
        return error_from_errno(failure, "cannot watch the listener");
    }
    *out_listener = l;
    return no_error;
}

static uint16_t listener_port(const net_listener *l) { return l->port; }

static void listener_pause(net_listener *l, bool paused)
{
    CHECK(!l->watch.closed);
    l->paused = paused;
    apply_pause(*l);
}

static void listener_close(net_listener *l)
{
    CHECK(!l->watch.closed);
    if (l->retry != nullptr)
        timer_free(*l->watch.world->e, l->retry);
    l->retry = nullptr;
    l->watch.world->counts.listeners--;
    watch_close(l->watch);
}

// Connections.

static io_result conn_read(net_conn *c, void *buffer, size_t size)
{
    CHECK(!c->watch.closed);
    CHECK(size > 0);
    if (!c->sides[readable].ready)
        return {io_state::again, 0, no_error};
    size_t want = uv_conn_allowance(*c, size);
    if (want == 0)
        return {io_state::again, 0, no_error};
    ssize_t count = 0;
    do {
        count = recv(c->watch.fd, buffer, want, 0);
    } while (count < 0 && errno == EINTR);
    if (count > 0) {
        // A short read has emptied the socket: what comes later brings a new event. Not so after the peer's FIN.
        if (static_cast<size_t>(count) < want && !c->sides[readable].stays_ready)
            c->sides[readable].ready = false;
        return uv_conn_moved(*c, static_cast<size_t>(count));
    }
    if (count == 0)
        return uv_conn_ended(*c);
    if (errno == EAGAIN)
        return uv_conn_exhausted(*c, net_side::readable);
    return uv_conn_failed(*c, errno, "read");
}

static io_result conn_write(net_conn *c, std::span<const iovec> parts, bool more)
{
    CHECK(!c->watch.closed);
    CHECK(parts.size() <= parts_max);
    if (!c->sides[writable].ready || uv_conn_allowance(*c, 1) == 0)
        return {io_state::again, 0, no_error};
    size_t want = 0;
    for (const iovec &part : parts)
        want += part.iov_len;
    if (want == 0)
        return {io_state::done, 0, no_error};
    int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    msghdr message{};
    message.msg_iov = const_cast<iovec *>(parts.data());
    message.msg_iovlen = parts.size();
    ssize_t count = 0;
    do {
        // The kernel has less to copy and to check for one part.
        count = parts.size() == 1 ? send(c->watch.fd, parts[0].iov_base, parts[0].iov_len, flags) : sendmsg(c->watch.fd, &message, flags);
    } while (count < 0 && errno == EINTR);
    if (count >= 0) {
        if (static_cast<size_t>(count) < want && !c->sides[writable].stays_ready)
            c->sides[writable].ready = false; // full: the kernel tells when a good part is free again
        return uv_conn_moved(*c, static_cast<size_t>(count));
    }
    if (errno == EAGAIN)
        return uv_conn_exhausted(*c, net_side::writable);
    return uv_conn_failed(*c, errno, "write");
}

static io_result send_copy(net_conn *c, int fd, uint64_t offset, size_t want)
{
    std::vector<char> &buffer = c->watch.world->scratch;
    ssize_t got = 0;
    do {
        got = pread(fd, buffer.data(), std::min(want, buffer.size()), static_cast<off_t>(offset));
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return {io_state::failed, 0, make_error(error_code::io, "read of the file to send", errno)};
    if (got == 0)
        return {io_state::failed, 0, make_error(error_code::end_of_stream, "the file is shorter than expected")};
    iovec part{buffer.data(), static_cast<size_t>(got)};
    return conn_write(c, {&part, 1}, false);
}

static io_result conn_send_file(net_conn *c, disk_file *file, uint64_t offset, size_t size)
{
    CHECK(!c->watch.closed);
    if (size == 0)
        return {io_state::done, 0, no_error};
    size_t want = uv_conn_allowance(*c, size);
    if (!c->sides[writable].ready || want == 0 || c->prefetch != nullptr)
        return {io_state::again, 0, no_error};
    error damage;
    size_t ready = uv_file_ready(*file, offset, want, damage);
    if (damage)
        return {io_state::failed, 0, damage};
    if (ready == 0) {
        c->prefetch = uv_file_fetch(*file, offset, std::min(size, net_turn_bytes_max), c);
        return {io_state::again, 0, no_error};
    }
    want = ready;
    int fd = uv_disk_file_descriptor(file);
    if (c->watch.world->copying)
        return send_copy(c, fd, offset, want);
    off_t at = static_cast<off_t>(offset);
    ssize_t count = 0;
    do {
        count = sendfile(c->watch.fd, fd, &at, want);
    } while (count < 0 && errno == EINTR);
    if (count > 0)
        return uv_conn_sent(*c, static_cast<size_t>(count), want);
    if (count == 0)
        return {io_state::failed, 0, make_error(error_code::end_of_stream, "the file is shorter than expected")};
    switch (errno) {
    case EAGAIN: return uv_conn_exhausted(*c, net_side::writable);
    case EINVAL:
    case ENOSYS: return send_copy(c, fd, offset, want); // a file system without it
    case EIO:
    case ENOMEM: return {io_state::failed, 0, make_error(error_code::io, "read of the file to send", errno)};
    default: return uv_conn_failed(*c, errno, "sendfile");
    }
}

void uv_fetch_finished(net_conn *c)
{
    c->prefetch = nullptr;
    if (can_complete(*c, writable))
        queue_ready(*c);
}

static void conn_wait(net_conn *c, net_side side, net_on_ready on_ready, void *arg)
{
    CHECK(!c->watch.closed);
    size_t i = static_cast<size_t>(side);
    CHECK(c->sides[i].on_ready == nullptr);
    CHECK(on_ready != nullptr);
    c->sides[i].on_ready = on_ready;
    c->sides[i].arg = arg;
    if (can_complete(*c, i))
        queue_ready(*c);
}

static void conn_wait_cancel(net_conn *c, net_side side)
{
    CHECK(!c->watch.closed);
    c->sides[static_cast<size_t>(side)].on_ready = nullptr;
}

static bool conn_is_waiting(const net_conn *c, net_side side) { return c->sides[static_cast<size_t>(side)].on_ready != nullptr; }

static void conn_half_close(net_conn *c)
{
    CHECK(!c->watch.closed);
    (void)shutdown(c->watch.fd, SHUT_WR); // fails only when the peer is gone, which reading will tell
}

static void conn_reset_on_close(net_conn *c)
{
    CHECK(!c->watch.closed);
    linger reset{1, 0};
    (void)setsockopt(c->watch.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

static std::string conn_peer(const net_conn *c)
{
    char host[INET6_ADDRSTRLEN] = "?";
    in_addr v4{};
    if (as_v4(c->peer, v4)) {
        inet_ntop(AF_INET, &v4, host, sizeof host);
        uint16_t port = c->peer.any.sa_family == AF_INET ? c->peer.v4.sin_port : c->peer.v6.sin6_port;
        return std::string(host) + ":" + std::to_string(ntohs(port));
    }
    inet_ntop(AF_INET6, &c->peer.v6.sin6_addr, host, sizeof host);
    return "[" + std::string(host) + "]:" + std::to_string(ntohs(c->peer.v6.sin6_port));
}

static bool conn_has_unread(net_conn *c, bool *out_end)
{
    CHECK(!c->watch.closed);
    *out_end = false;
    char byte = 0;
    ssize_t count = 0;
    do {
        count = recv(c->watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    } while (count < 0 && errno == EINTR);
    if (count > 0) {
        c->sides[readable].ready = true; // the event may still be on its way
        *out_end = c->failure != 0;
        return true;
    }
    if (count < 0 && errno == EAGAIN)
        return false;
    if (count < 0)
        (void)uv_conn_failed(*c, errno, "read");
    *out_end = true;
    return false;
}

// Events.

static void conn_event(net_conn *c, uint32_t events)
{
    if (c->call != nullptr) {
        connecting_event(c, events);
        return;
    }
    if ((events & EPOLLERR) != 0 && (c->failure == 0 || c->failure == EPIPE)) {
        int failure = 0;
        socklen_t size = sizeof failure;
        if (getsockopt(c->watch.fd, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 && failure != 0)
            c->failure = failure;
    }
    // After these no further event is certain, so the side counts as ready from now on: the next operation tells.
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
        c->sides[readable].ready = c->sides[readable].stays_ready = true;
    if ((events & (EPOLLHUP | EPOLLERR)) != 0)
        c->sides[writable].ready = c->sides[writable].stays_ready = true;
    if ((events & EPOLLIN) != 0)
        c->sides[readable].ready = true;
    if ((events & EPOLLOUT) != 0)
        c->sides[writable].ready = true;
    complete_waits(*c);
}

bool uv_net_wait(uv_world &w, int timeout_ms)
{
    epoll_event events[event_batch];
    int count = epoll_wait(w.epoll_fd, events, event_batch, timeout_ms);
    uv_update_time(&w.loop);
    if (count <= 0)
        return false;
    bool loop_ready = false;
    uv_turn_begin(w);
    w.turn++;
    for (int i = 0; i < count; i++) {
        auto *watch = static_cast<uv_watch *>(events[i].data.ptr);
        if (watch == nullptr) {
            loop_ready = true;
            continue;
        }
        if (watch->closed)
            continue; // by a completion of this very turn
        switch (watch->kind) {
        case uv_watch_kind::conn: conn_event(reinterpret_cast<net_conn *>(watch), events[i].events); break;
        case uv_watch_kind::listener: accept_conns(*reinterpret_cast<net_listener *>(watch)); break;
        }
        uv_turn_drain(w);
    }
    uv_turn_end(w);
    return loop_ready;
}

bool uv_net_wants_turn(const uv_world &w) { return !uv_link_is_empty(w.ready) || !uv_link_is_empty(w.call_done); }

void uv_net_run_turn(uv_world &w)
{
    w.turn++;
    // Only what was queued before this turn: a connection that is always ready must let the others go on.
    uv_link batch;
    uv_link_take(w.ready, batch);
    while (!uv_link_is_empty(batch)) {
        auto *c = static_cast<net_conn *>(batch.next->owner);
        uv_link_remove(c->ready_link);
        confirm_readable(*c);
        complete_waits(*c);
    }
    uv_link calls;
    uv_link_take(w.call_done, calls);
    while (!uv_link_is_empty(calls)) {
        tell_call(static_cast<net_connect_call *>(calls.next->owner));
        uv_turn_drain(w);
    }
}

error uv_net_begin(uv_world &w)
{
    w.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (w.epoll_fd < 0)
        return error_from_errno(errno, "epoll_create1");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = nullptr; // no uv_watch: libuv itself
    if (epoll_ctl(w.epoll_fd, EPOLL_CTL_ADD, uv_backend_fd(&w.loop), &event) != 0)
        return error_from_errno(errno, "epoll_ctl of the event loop");
    return no_error;
}

void uv_net_end_all(uv_world &w)
{
    while (!uv_link_is_empty(w.calls))
        net_connect_stop(static_cast<net_connect_call *>(w.calls.next->owner));
    while (!uv_link_is_empty(w.call_done))
        net_connect_stop(static_cast<net_connect_call *>(w.call_done.next->owner));
    while (!uv_link_is_empty(w.listeners))
        listener_close(static_cast<net_listener *>(w.listeners.next->owner));
    while (!uv_link_is_empty(w.conns))
        close_conn(static_cast<net_conn *>(w.conns.next->owner));
}

const net_port uv_net_port = {
    .listen = listen_start,
    .listener_port = listener_port,
    .listener_pause = listener_pause,
    .listener_close = listener_close,
    .connect = net_connect_start,
    .connect_cancel = net_connect_stop,
    .read = conn_read,
    .write = conn_write,
    .send_file = conn_send_file,
    .wait = conn_wait,
    .wait_cancel = conn_wait_cancel,
    .is_waiting = conn_is_waiting,
    .half_close = conn_half_close,
    .reset_on_close = conn_reset_on_close,
    .close = close_conn,
    .peer = conn_peer,
    .has_unread = conn_has_unread,
    .relay_make = uv_relay_make,
    .relay_fill = uv_relay_fill,
    .relay_drain = uv_relay_drain,
    .relay_pending = uv_relay_pending,
    .relay_free = uv_relay_free,
};
