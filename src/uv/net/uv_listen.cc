// SPDX-License-Identifier: MIT
// uv/net/uv_listen.cc: listeners: bind, accept, and a pause when the process has no descriptors left.
//
// Owns     a net_listener and its timer.
// Knows    uv_net.h.             Known by  uv_net.cc.
// Limits   accept_batch for each listener and iteration; pause_ms without descriptors.
#include "uv/net/uv_net.h"

#include <cerrno>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"

namespace etlnode {

static constexpr int accept_batch = 64;
static constexpr int listen_backlog = 4096;
static constexpr uint64_t pause_ms = 100;        // how long accepting pauses without descriptors
static constexpr uint64_t pause_log_ms = 10'000; // the minimum between two log lines about it

struct net_listener {
    uv_watch watch;
    net_on_accept on_accept = nullptr;
    void *arg = nullptr;
    uint16_t port = 0;
    bool paused = false;    // by the caller
    bool exhausted = false; // no descriptors left: waits for `retry`
    timer *retry = nullptr;
    uint64_t logged_ms = 0;
};

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
        LOG(warn, "net", "port=%u errno=%d msg=\"cannot accept, trying again in %u ms\"", l.port, errno_value,
            static_cast<unsigned>(pause_ms));
        l.logged_ms = now > 0 ? now : 1;
    }
}

void uv_listener_accept(uv_watch &watch)
{
    auto &l = reinterpret_cast<net_listener &>(watch);
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
            default: continue; // a problem of this connection only; the next one may be fine
            }
        }
        // An accepted socket inherits TCP_NODELAY and the congestion control from the listener.
        net_conn *c = uv_conn_make(w, fd, peer);
        if (!uv_conn_watch(*c)) {
            uv_conn_close(c);
            descriptors_gone(l, errno);
            return;
        }
        // Most clients have sent something by now; otherwise the first read finds out.
        c->sides[uv_readable].ready = true;
        c->sides[uv_writable].ready = true;
        l.on_accept(l.arg, c);
        uv_dispatch_run_posts(w);
    }
}

error uv_listener_start(
    env &e, const char *host, uint16_t port, net_reach reach, net_on_accept on_accept, void *arg, net_listener **out_listener)
{
    uv_world &w = uv_world_of(e);
    *out_listener = nullptr;
    uv_address address;
    socklen_t size = 0;
    if (host == nullptr || !uv_address_parse(host, port, address, size))
        return make_error(error_code::invalid_argument, "not a numeric address");
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_from_errno(errno, "socket");
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    uv_address_set_reach(fd, address, reach);
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
    if (!uv_watch_add(w, l->watch, EPOLLIN)) {
        int failure = errno;
        w.counts.listeners--;
        uv_watch_close(l->watch);
        return error_from_errno(failure, "cannot watch the listener");
    }
    *out_listener = l;
    return no_error;
}

uint16_t uv_listener_port(const net_listener *l) { return l->port; }

void uv_listener_pause(net_listener *l, bool paused)
{
    CHECK(!l->watch.closed);
    l->paused = paused;
    apply_pause(*l);
}

void uv_listener_close(net_listener *l)
{
    CHECK(!l->watch.closed);
    if (l->retry != nullptr)
        timer_free(*l->watch.world->e, l->retry);
    l->retry = nullptr;
    l->watch.world->counts.listeners--;
    uv_watch_close(l->watch);
}

void uv_listener_delete(uv_watch &watch) { delete reinterpret_cast<net_listener *>(&watch); }

} // namespace etlnode
