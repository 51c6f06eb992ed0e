// SPDX-License-Identifier: MIT
// kubectl_local/relay.cc: carries connections between the host and a pod's network namespace.
#include "kubectl_local/relay.h"

#include <algorithm>
#include <cerrno>
#include <string>

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

namespace etlnode::kubectl_local {

static constexpr uint64_t relay_rest_ms = 100;

struct relay_end {
    relay_pair *pair = nullptr;
    loop_watch watch;
    int fd = -1;
    bool ended = false;        // we have read its end of stream
    bool shut = false;         // we have passed the other side's end of stream to it
    bool refuses_data = false; // it accepts no more data; what it sent earlier may still be readable
    std::string waiting;       // read from the other side, not yet written to this one
    size_t taken = 0;          // bytes of `waiting` already written
};

struct relay_pair {
    relay *owner = nullptr;
    relay_end ends[2]; // the accepted one, then the connected one
    bool connecting = true;
    bool closed = false;
};

static relay_end &other_end(relay_end &end) { return &end.pair->ends[0] == &end ? end.pair->ends[1] : end.pair->ends[0]; }
static bool is_inside(const relay_end &end) { return (&end == &end.pair->ends[0]) == end.pair->owner->outward; }

static void free_pair(void *memory) { delete static_cast<relay_pair *>(memory); }

static void listen_again(relay &r)
{
    if (r.listener.fd != -1)
        loop_watch_change(*r.l, r.listener, r.pairs.size() < relay_pairs_max ? static_cast<uint32_t>(EPOLLIN) : 0);
}

static void end_pair(relay_pair *pair, bool reset)
{
    if (pair->closed)
        return;
    pair->closed = true;
    relay &r = *pair->owner;
    for (relay_end &end : pair->ends) {
        if (end.fd < 0)
            continue;
        loop_watch_remove(*r.l, end.watch);
        if (reset) {
            struct linger now = {1, 0};
            setsockopt(end.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        }
        close(end.fd);
    }
    std::erase(r.pairs, pair);
    loop_free_later(*r.l, pair, free_pair);
    listen_again(r);
}

static void set_interest(relay_pair *pair)
{
    relay &r = *pair->owner;
    if (pair->connecting) {
        loop_watch_change(*r.l, pair->ends[0].watch, 0);
        loop_watch_change(*r.l, pair->ends[1].watch, EPOLLOUT);
        return;
    }
    for (relay_end &end : pair->ends) {
        relay_end &other = other_end(end);
        uint32_t events = 0;
        if (!end.ended && other.waiting.empty())
            events |= EPOLLIN;
        if (!end.waiting.empty())
            events |= EPOLLOUT;
        loop_watch_change(*r.l, end.watch, events);
    }
}

// A write to `end` failed. A server may answer early and close: read its answer to the end before passing on the reset. False if the pair
// is gone.
static bool stop_writing(relay_end &end)
{
    end.waiting.clear();
    end.taken = 0;
    end.refuses_data = true;
    other_end(end).ended = true;
    if (!end.ended)
        return true;
    end_pair(end.pair, true);
    return false;
}

// Writes pending data to `end`. False if the pair is gone.
static bool flush(relay_end &end)
{
    while (end.taken < end.waiting.size()) {
        ssize_t n = send(end.fd, end.waiting.data() + end.taken, end.waiting.size() - end.taken, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n < 0)
            return stop_writing(end);
        end.taken += static_cast<size_t>(n);
    }
    end.waiting.clear();
    end.taken = 0;
    relay_end &other = other_end(end);
    if (other.ended && !end.shut && !end.refuses_data) {
        shutdown(end.fd, SHUT_WR);
        end.shut = true;
        if (end.ended && other.shut && other.waiting.empty()) {
            end_pair(end.pair, false);
            return false;
        }
    }
    return true;
}

static void read_from(relay_end &end)
{
    static char chunk[relay_chunk_size]; // safe because there is one loop in one thread
    relay_end &other = other_end(end);
    relay &r = *end.pair->owner;
    ssize_t n = recv(end.fd, chunk, sizeof chunk, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        end_pair(end.pair, true);
        return;
    }
    if (n == 0) {
        // The kernel closes the sockets of an exiting process only after marking it. This distinguishes the end of an answer from a crash.
        if (end.refuses_data || (is_inside(end) && r.is_dying(r.arg))) {
            end_pair(end.pair, true);
            return;
        }
        end.ended = true;
        flush(other);
        return;
    }
    ssize_t sent;
    do
        sent = send(other.fd, chunk, static_cast<size_t>(n), MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN) {
        stop_writing(other);
        return;
    }
    if (sent < n)
        other.waiting.assign(chunk + std::max<ssize_t>(sent, 0), static_cast<size_t>(n - std::max<ssize_t>(sent, 0)));
}

static void on_end(void *arg, uint32_t events)
{
    relay_end &end = *static_cast<relay_end *>(arg);
    relay_pair *pair = end.pair;
    if (pair->connecting) {
        int failed = 0;
        socklen_t size = sizeof failed;
        if (getsockopt(end.fd, SOL_SOCKET, SO_ERROR, &failed, &size) != 0 || failed != 0) {
            end_pair(pair, true);
            return;
        }
        pair->connecting = false;
        set_interest(pair);
        return;
    }
    if ((events & EPOLLOUT) != 0 && !flush(end))
        return;
    // The read reports an error, after the data that was still readable.
    bool wants = !end.ended && other_end(end).waiting.empty();
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && wants)
        read_from(end);
    else if ((events & EPOLLERR) != 0)
        end_pair(pair, true);
    if (!pair->closed)
        set_interest(pair);
}

static void on_listener(void *arg, uint32_t)
{
    relay &r = *static_cast<relay *>(arg);
    int accepted = accept4(r.listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted < 0) {
        // Without free descriptors the listener would cause a busy loop, so it pauses. Any other error concerns a single connection that is
        // already gone.
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            loop_watch_change(*r.l, r.listener, 0);
            loop_timer_arm(*r.l, r.pause, relay_rest_ms);
        }
        return;
    }
    int connected = r.outward ? socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) : pod_namespaces_socket(*r.namespaces);
    relay_pair *pair = new relay_pair;
    pair->owner = &r;
    int fds[2] = {accepted, connected};
    for (size_t i = 0; i < 2; i++) {
        relay_end &end = pair->ends[i];
        end.pair = pair;
        end.fd = fds[i];
        end.watch.on_event = on_end;
        end.watch.arg = &end;
        int one = 1;
        if (end.fd >= 0) {
            setsockopt(end.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            loop_watch_add(*r.l, end.watch, end.fd, 0);
        }
    }
    r.pairs.push_back(pair);
    listen_again(r);
    if (connected < 0) {
        end_pair(pair, true);
        return;
    }
    int rc = connect(connected, reinterpret_cast<const struct sockaddr *>(&r.target), sizeof r.target);
    if (rc != 0 && errno != EINPROGRESS) {
        end_pair(pair, true);
        return;
    }
    pair->connecting = rc != 0;
    set_interest(pair);
}

static void on_rested(void *arg) { listen_again(*static_cast<relay *>(arg)); }

void relay_start(relay &r, int listener)
{
    CHECK(r.l != nullptr);
    CHECK(r.is_dying != nullptr);
    r.pause.on_timer = on_rested;
    r.pause.arg = &r;
    r.listener.on_event = on_listener;
    r.listener.arg = &r;
    loop_watch_add(*r.l, r.listener, listener, EPOLLIN);
    listen_again(r);
}

void relay_stop_listening(relay &r)
{
    if (r.listener.fd == -1)
        return;
    int fd = r.listener.fd;
    loop_timer_stop(r.pause);
    loop_watch_remove(*r.l, r.listener);
    close(fd);
}

void relay_container_ended(relay &r)
{
    std::vector<relay_pair *> pairs = r.pairs;
    for (relay_pair *pair : pairs) {
        relay_end &inside = r.outward ? pair->ends[0] : pair->ends[1];
        if (!inside.ended)
            end_pair(pair, true);
    }
}

void relay_close(relay &r)
{
    relay_stop_listening(r);
    loop_timer_forget(*r.l, r.pause);
    std::vector<relay_pair *> pairs = r.pairs;
    for (relay_pair *pair : pairs)
        end_pair(pair, true);
}

} // namespace etlnode::kubectl_local
