// SPDX-License-Identifier: MIT
// uv/net/uv_net.cc: connections (readiness, reads, writes, sendfile), and the events of all sockets.
//
// Owns     an epoll descriptor (see uv_net.h), and every socket of the node.
// Known by uv_connect.cc, uv_listen.cc, uv_relay.cc.
// Normal   accept or connect, wait, read and write until `again`, close.
// Fails    after a reset, what had arrived can still be read; then every read returns `failed`. This holds even where the kernel would
//          return "end", because it has reported the error to another call.
// Limits   net_iteration_bytes_max for each connection and iteration.
#include "uv/net/uv_net.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/limits.h"
#include "uv/uv_disk.h"

namespace etlnode {

static constexpr int event_batch = 256;
static constexpr size_t parts_max = 16;

// Connection state.

static constexpr size_t readable = uv_readable;
static constexpr size_t writable = uv_writable;

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

// The flag may be out of date if the last read took exactly all bytes. A waiting caller needs a reliable answer, so ask the kernel.
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
        uv_dispatch_run_posts(*c.watch.world);
    }
}

size_t uv_conn_allowance(net_conn &c, size_t size)
{
    if (c.iteration != c.watch.world->iteration) {
        c.iteration = c.watch.world->iteration;
        c.moved = 0;
    }
    return c.moved < net_iteration_bytes_max ? std::min(size, net_iteration_bytes_max - c.moved) : 0;
}

io_result uv_conn_moved(net_conn &c, size_t count)
{
    c.moved += count;
    return {io_state::done, count, no_error};
}

io_result uv_conn_sent(net_conn &c, size_t count, size_t want)
{
    // A short sendfile/splice does not prove that the socket is full, so ask poll(). It reports writable only if a large part of the buffer
    // is free, which avoids refilling it 64 KiB at a time, once for every segment that the peer has read.
    auto &side = c.sides[writable];
    if (count < want && !side.stays_ready) {
        pollfd asked{c.watch.fd, POLLOUT, 0};
        side.ready = poll(&asked, 1, 0) != 0; // if not ready, an event will come: poll() has armed it
    }
    return uv_conn_moved(c, count);
}

io_result uv_conn_exhausted(net_conn &c, net_side side)
{
    // EAGAIN on a side marked as ended: it has not ended.
    auto &s = c.sides[static_cast<size_t>(side)];
    s.ready = s.stays_ready = false;
    return {io_state::again, 0, no_error};
}

io_result uv_conn_failed(net_conn &c, int errno_value, const char *what)
{
    // EPIPE is what a write reports once another call has received the real reason.
    if (c.failure == 0 || c.failure == EPIPE)
        c.failure = errno_value;
    else if (errno_value == EPIPE)
        errno_value = c.failure;
    return {io_state::failed, 0, error_from_errno(errno_value, what)};
}

io_result uv_conn_ended(net_conn &c)
{
    // EPIPE: the reset came after the peer's FIN, so this is a real end.
    if (c.failure != 0 && c.failure != EPIPE && !c.peer_finished)
        return {io_state::failed, 0, error_from_errno(c.failure, "read")};
    c.peer_finished = true;
    return {io_state::end, 0, no_error};
}

bool uv_watch_add(uv_world &w, uv_watch &watch, uint32_t events)
{
    epoll_event event{};
    event.events = events;
    event.data.ptr = &watch;
    return epoll_ctl(w.epoll_fd, EPOLL_CTL_ADD, watch.fd, &event) == 0;
}

void uv_watch_close(uv_watch &watch)
{
    // Remove it explicitly: a child between fork and exec keeps the socket registered.
    epoll_event unused{};
    (void)epoll_ctl(watch.world->epoll_fd, EPOLL_CTL_DEL, watch.fd, &unused);
    close(watch.fd);
    watch.fd = -1;
    watch.closed = true;
    uv_link_remove(watch.link);
    uv_link_add(watch.world->dead, watch.link, &watch);
    if (!watch.world->in_dispatch)
        uv_net_free_dead(*watch.world);
}

void uv_net_free_dead(uv_world &w)
{
    while (!uv_link_is_empty(w.dead)) {
        auto *watch = static_cast<uv_watch *>(w.dead.next->owner);
        uv_link_remove(watch->link);
        switch (watch->kind) {
        case uv_watch_kind::conn: delete reinterpret_cast<net_conn *>(watch); break;
        case uv_watch_kind::listener: uv_listener_delete(*watch); break;
        }
    }
}

net_conn *uv_conn_make(uv_world &w, int fd, const uv_address &peer)
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

bool uv_conn_watch(net_conn &c) { return uv_watch_add(*c.watch.world, c.watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET); }

void uv_conn_close(net_conn *c)
{
    CHECK(!c->watch.closed);
    uv_link_remove(c->ready_link);
    if (c->prefetch != nullptr)
        uv_fetch_detach(c->prefetch, c);
    c->prefetch = nullptr;
    c->watch.world->counts.conns--;
    uv_watch_close(c->watch);
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
        // A short read has emptied the socket: later bytes cause a new event. After the peer's FIN that is not so.
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
        // With a single part, send() copies and checks less than sendmsg().
        count = parts.size() == 1 ? send(c->watch.fd, parts[0].iov_base, parts[0].iov_len, flags) : sendmsg(c->watch.fd, &message, flags);
    } while (count < 0 && errno == EINTR);
    if (count >= 0) {
        if (static_cast<size_t>(count) < want && !c->sides[writable].stays_ready)
            c->sides[writable].ready = false; // full: an event comes when a large part is free again
        return uv_conn_moved(*c, static_cast<size_t>(count));
    }
    if (errno == EAGAIN)
        return uv_conn_exhausted(*c, net_side::writable);
    return uv_conn_failed(*c, errno, "write");
}

static io_result send_copy(net_conn *c, int fd, uint64_t offset, size_t want)
{
    char *buffer = c->watch.world->scratch.get();
    ssize_t got = 0;
    do {
        got = pread(fd, buffer, std::min(want, stream_buffer_size), static_cast<off_t>(offset));
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return {io_state::failed, 0, make_error(error_code::io, "read of the file to send", errno)};
    if (got == 0)
        return {io_state::failed, 0, make_error(error_code::end_of_stream, "the file is shorter than expected")};
    iovec part{buffer, static_cast<size_t>(got)};
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
        c->prefetch = uv_file_fetch(*file, offset, std::min(size, net_iteration_bytes_max), c);
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
    case ENOSYS: return send_copy(c, fd, offset, want); // this file system does not support it
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
    (void)shutdown(c->watch.fd, SHUT_WR); // fails only if the peer is gone, which the next read reports
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
    if (uv_address_as_v4(c->peer, v4)) {
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
        uv_connect_event(c, events);
        return;
    }
    if ((events & EPOLLERR) != 0 && (c->failure == 0 || c->failure == EPIPE)) {
        int failure = 0;
        socklen_t size = sizeof failure;
        if (getsockopt(c->watch.fd, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 && failure != 0)
            c->failure = failure;
    }
    // After these flags no further event is certain. The side counts as ready from now on, and the next operation finds out what happened.
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
    uv_dispatch_begin(w);
    w.iteration++;
    for (int i = 0; i < count; i++) {
        auto *watch = static_cast<uv_watch *>(events[i].data.ptr);
        if (watch == nullptr) {
            loop_ready = true;
            continue;
        }
        if (watch->closed)
            continue; // closed by a completion of this dispatch
        switch (watch->kind) {
        case uv_watch_kind::conn: conn_event(reinterpret_cast<net_conn *>(watch), events[i].events); break;
        case uv_watch_kind::listener: uv_listener_accept(*watch); break;
        }
        uv_dispatch_run_posts(w);
    }
    uv_dispatch_end(w);
    return loop_ready;
}

bool uv_net_wants_iteration(const uv_world &w) { return !uv_link_is_empty(w.ready) || !uv_link_is_empty(w.call_done); }

void uv_net_run_iteration(uv_world &w)
{
    w.iteration++;
    // Serve only what was queued before this iteration: a connection that is always ready must not starve the others.
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
        uv_connect_complete(static_cast<net_connect_call *>(calls.next->owner));
        uv_dispatch_run_posts(w);
    }
}

error uv_net_begin(uv_world &w)
{
    w.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (w.epoll_fd < 0)
        return error_from_errno(errno, "epoll_create1");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = nullptr; // null instead of a uv_watch: libuv itself
    if (epoll_ctl(w.epoll_fd, EPOLL_CTL_ADD, uv_backend_fd(&w.loop), &event) != 0)
        return error_from_errno(errno, "epoll_ctl of the event loop");
    return no_error;
}

void uv_net_end_all(uv_world &w)
{
    while (!uv_link_is_empty(w.calls))
        uv_connect_stop(static_cast<net_connect_call *>(w.calls.next->owner));
    while (!uv_link_is_empty(w.call_done))
        uv_connect_stop(static_cast<net_connect_call *>(w.call_done.next->owner));
    while (!uv_link_is_empty(w.listeners))
        uv_listener_close(static_cast<net_listener *>(w.listeners.next->owner));
    while (!uv_link_is_empty(w.conns))
        uv_conn_close(static_cast<net_conn *>(w.conns.next->owner));
}

const net_port uv_net_port = {
    .listen = uv_listener_start,
    .listener_port = uv_listener_port,
    .listener_pause = uv_listener_pause,
    .listener_close = uv_listener_close,
    .connect = uv_connect_start,
    .connect_cancel = uv_connect_stop,
    .read = conn_read,
    .write = conn_write,
    .send_file = conn_send_file,
    .wait = conn_wait,
    .wait_cancel = conn_wait_cancel,
    .is_waiting = conn_is_waiting,
    .half_close = conn_half_close,
    .reset_on_close = conn_reset_on_close,
    .close = uv_conn_close,
    .peer = conn_peer,
    .has_unread = conn_has_unread,
    .relay_make = uv_relay_make,
    .relay_fill = uv_relay_fill,
    .relay_flush = uv_relay_flush,
    .relay_pending = uv_relay_pending,
    .relay_free = uv_relay_free,
};

} // namespace etlnode
