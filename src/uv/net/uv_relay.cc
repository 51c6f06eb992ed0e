// SPDX-License-Identifier: MIT
// uv/net/uv_relay.cc: moves bytes from one socket to another, by splice through a pipe or by copies through a buffer.
//
// Owns     pipes: a pool of empty ones in the world; at most relay_pipes_max are open.
// Normal   fill from one side, flush to the other; an empty pipe returns to the pool.
// Fails    without a pipe, with a small pipe, or if a socket cannot splice, the relay copies. The caller sees no difference.
// Limits   relay_pipes_max, relay_pipe_size, stream_buffer_size.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "uv/net/uv_net.h"

namespace etlnode {

struct net_relay {
    uv_world *world = nullptr;
    uv_link link;
    uv_relay_pipe pipe;     // read_fd is -1 if the relay copies
    size_t pending = 0;     // bytes in the pipe or in the buffer
    char *buffer = nullptr; // allocated by the first copy
    size_t start = 0;       // where the pending bytes start in the buffer
};

static void close_pipe(uv_world &w, uv_relay_pipe &pipe)
{
    if (pipe.read_fd < 0)
        return;
    close(pipe.read_fd);
    close(pipe.write_fd);
    pipe.read_fd = pipe.write_fd = -1;
    w.counts.pipes--;
}

static bool take_pipe(uv_world &w, uv_relay_pipe &out_pipe)
{
    if (!w.pipes.empty()) {
        out_pipe = w.pipes.back();
        w.pipes.pop_back();
        return true;
    }
    if (w.counts.pipes >= relay_pipes_max)
        return false;
    int fds[2];
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0)
        return false;
    w.counts.pipes++;
    // EPERM if the user's share of pipe memory is used up. The actual size is checked below.
    (void)fcntl(fds[1], F_SETPIPE_SZ, static_cast<int>(relay_pipe_size));
    int size = fcntl(fds[1], F_GETPIPE_SZ);
    out_pipe = {fds[0], fds[1], size > 0 ? static_cast<size_t>(size) : 0};
    if (out_pipe.capacity >= stream_buffer_size)
        return true;
    if (!w.pipes_refused)
        LOG(info, "net", "size=%d pipes=%zu msg=\"the kernel grants only small pipes now; copying instead\"", size, w.counts.pipes);
    w.pipes_refused = true;
    close_pipe(w, out_pipe);
    return false;
}

static void give_pipe(uv_world &w, uv_relay_pipe &pipe, size_t pending)
{
    if (pipe.read_fd < 0)
        return;
    if (pending > 0 || w.freeing) {
        close_pipe(w, pipe);
        return;
    }
    w.pipes.push_back(pipe);
    pipe.read_fd = pipe.write_fd = -1;
}

net_relay *uv_relay_make(env &e)
{
    uv_world &w = uv_world_of(e);
    auto *r = new net_relay;
    r->world = &w;
    if (!w.copying)
        (void)take_pipe(w, r->pipe); // without a pipe the relay copies
    uv_link_add(w.relays, r->link, r);
    w.counts.relays++;
    return r;
}

// Copying.

static io_result fill_buffer(net_relay &r, net_conn *from, size_t max)
{
    if (r.buffer == nullptr) {
        r.buffer = static_cast<char *>(std::malloc(stream_buffer_size));
        CHECK(r.buffer != nullptr);
    }
    if (r.pending == 0)
        r.start = 0;
    size_t used = r.start + r.pending;
    if (used == stream_buffer_size)
        return {io_state::again, 0, no_error}; // pending > 0: the caller must flush first
    io_result result = uv_net_port.read(from, r.buffer + used, std::min(max, stream_buffer_size - used));
    if (result.state == io_state::done)
        r.pending += result.count;
    return result;
}

static io_result flush_buffer(net_relay &r, net_conn *to, bool more)
{
    iovec part{r.buffer + r.start, r.pending};
    io_result result = uv_net_port.write(to, {&part, 1}, more);
    if (result.state == io_state::done) {
        r.start += result.count;
        r.pending -= result.count;
    }
    return result;
}

// Splicing.

static io_result fill_pipe(net_relay &r, net_conn *from, size_t max)
{
    auto &side = from->sides[static_cast<size_t>(net_side::readable)];
    size_t want = uv_conn_allowance(*from, std::min(max, r.pipe.capacity - r.pending));
    if (!side.ready || want == 0)
        return {io_state::again, 0, no_error};
    ssize_t count = 0;
    do {
        count = splice(from->watch.fd, nullptr, r.pipe.write_fd, nullptr, want, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    } while (count < 0 && errno == EINTR);
    if (count > 0) {
        r.pending += static_cast<size_t>(count);
        return uv_conn_moved(*from, static_cast<size_t>(count));
    }
    if (count == 0)
        return uv_conn_ended(*from);
    switch (errno) {
    case EAGAIN:
        // Small pieces can fill a pipe before it holds many bytes. EAGAIN then says nothing about the socket.
        return r.pending > 0 ? io_result{io_state::again, 0, no_error} : uv_conn_exhausted(*from, net_side::readable);
    case EINVAL:
    case ENOSYS:
        if (r.pending > 0)
            return {io_state::again, 0, no_error};
        close_pipe(*r.world, r.pipe);
        return fill_buffer(r, from, max);
    default: return uv_conn_failed(*from, errno, "read");
    }
}

static io_result flush_pipe(net_relay &r, net_conn *to, bool more)
{
    auto &side = to->sides[static_cast<size_t>(net_side::writable)];
    size_t want = uv_conn_allowance(*to, r.pending);
    if (!side.ready || want == 0)
        return {io_state::again, 0, no_error};
    unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | (more || want < r.pending ? static_cast<unsigned>(SPLICE_F_MORE) : 0u);
    ssize_t count = 0;
    do {
        count = splice(r.pipe.read_fd, nullptr, to->watch.fd, nullptr, want, flags);
    } while (count < 0 && errno == EINTR);
    if (count > 0) {
        r.pending -= static_cast<size_t>(count);
        return uv_conn_sent(*to, static_cast<size_t>(count), want);
    }
    if (count < 0 && errno == EAGAIN)
        return uv_conn_exhausted(*to, net_side::writable);
    return uv_conn_failed(*to, count < 0 ? errno : EIO, "write");
}

// The port.

io_result uv_relay_fill(net_relay *relay, net_conn *from, size_t max)
{
    CHECK(!from->watch.closed);
    CHECK(max > 0);
    return relay->pipe.read_fd >= 0 ? fill_pipe(*relay, from, max) : fill_buffer(*relay, from, max);
}

io_result uv_relay_flush(net_relay *relay, net_conn *to, bool more)
{
    CHECK(!to->watch.closed);
    if (relay->pending == 0)
        return {io_state::done, 0, no_error};
    return relay->pipe.read_fd >= 0 ? flush_pipe(*relay, to, more) : flush_buffer(*relay, to, more);
}

size_t uv_relay_pending(const net_relay *relay) { return relay->pending; }

void uv_relay_free(net_relay *relay)
{
    uv_world &w = *relay->world;
    give_pipe(w, relay->pipe, relay->pending);
    std::free(relay->buffer);
    uv_link_remove(relay->link);
    w.counts.relays--;
    delete relay;
}

void uv_relay_end_all(uv_world &w)
{
    while (!uv_link_is_empty(w.relays))
        uv_relay_free(static_cast<net_relay *>(w.relays.next->owner));
}

} // namespace etlnode
