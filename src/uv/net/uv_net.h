// SPDX-License-Identifier: MIT
// uv/net/uv_net.h: a connection's internals, for uv_net.cc, uv_connect.cc, uv_listen.cc and uv_relay.cc.
//
// Sockets are watched edge-triggered by an epoll descriptor of our own, and libuv's descriptor is one of those it watches (uv_env.cc,
// run_round). A connection is registered once and its registration never changes, so that a wait costs no system call. `ready` remembers
// what the kernel reported, and is cleared when an operation exhausts that side. A clear flag therefore means: an event will come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <netinet/in.h>
#include <sys/socket.h>

#include "uv/uv_world.h"

namespace etlnode {

enum class uv_watch_kind : uint8_t { conn, listener };

// First member of every object that epoll events point to.
struct uv_watch {
    uv_watch_kind kind;
    bool closed = false; // the object is on the list of the dead
    int fd = -1;
    uv_world *world = nullptr;
    uv_link link; // in the list of connections or listeners, later of the dead
};

union uv_address {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
};

struct uv_fetch;

struct net_conn {
    uv_watch watch;
    struct {
        net_on_ready on_ready = nullptr;
        void *arg = nullptr;
        bool ready = false;
        bool stays_ready = false; // the side has ended or failed: no further event will come
    } sides[2];
    bool peer_finished = false; // its FIN has been read
    int failure = 0;            // the first errno that the socket reported
    uint64_t iteration = 0;     // the iteration that `moved` counts for
    size_t moved = 0;           // bytes moved in this iteration, limited by net_iteration_bytes_max
    uv_link ready_link;
    net_connect_call *call = nullptr; // while connecting
    uv_fetch *prefetch = nullptr;     // set while the file content to send is being read or verified; writable is withheld
    uv_address peer;
};

// How many bytes, at most `size`, the connection may still move in this iteration. 0: other connections go first (the side stays ready).
size_t uv_conn_allowance(net_conn &c, size_t size);
io_result uv_conn_moved(net_conn &c, size_t count);
// The kernel took `count` of the `want` bytes that sendfile or splice were given.
io_result uv_conn_sent(net_conn &c, size_t count, size_t want);
// The kernel returned EAGAIN.
io_result uv_conn_exhausted(net_conn &c, net_side side);
io_result uv_conn_failed(net_conn &c, int errno_value, const char *what);
// The kernel returned 0: the peer's FIN, or the remains of a reset that another call has already reported.
io_result uv_conn_ended(net_conn &c);

inline constexpr size_t uv_readable = static_cast<size_t>(net_side::readable);
inline constexpr size_t uv_writable = static_cast<size_t>(net_side::writable);

bool uv_watch_add(uv_world &w, uv_watch &watch, uint32_t events);
// Closes the descriptor. The object joins the dead and is freed at the end of the dispatch.
void uv_watch_close(uv_watch &watch);
net_conn *uv_conn_make(uv_world &w, int fd, const uv_address &peer);
// Starts the flow of events. On failure it returns false and sets errno, and the caller closes the connection.
bool uv_conn_watch(net_conn &c);
void uv_conn_close(net_conn *c);

// uv_connect.cc
// Parses a numeric address; false if it is not one.
bool uv_address_parse(const char *host, uint16_t port, uv_address &out_address, socklen_t &out_size);
// The IPv4 address, also of a mapped one; false for any other address.
bool uv_address_as_v4(const uv_address &address, in_addr &out_v4);
void uv_address_set_reach(int fd, const uv_address &address, net_reach reach);
error uv_connect_start(
    env &e, const char *host, uint16_t port, net_reach reach, net_on_connect on_connect, void *arg, net_connect_call **out_call);
void uv_connect_stop(net_connect_call *call);
// Handles an event of a connection that has a `call`.
void uv_connect_event(net_conn *c, uint32_t events);
// Reports the result of a call, and ends the call.
void uv_connect_complete(net_connect_call *call);

// uv_listen.cc
error uv_listener_start(
    env &e, const char *host, uint16_t port, net_reach reach, net_on_accept on_accept, void *arg, net_listener **out_listener);
uint16_t uv_listener_port(const net_listener *l);
void uv_listener_pause(net_listener *l, bool paused);
void uv_listener_close(net_listener *l);
void uv_listener_accept(uv_watch &watch);
void uv_listener_delete(uv_watch &watch);

// The fetch (uv_disk.h) that this connection waits for has finished.
void uv_fetch_finished(net_conn *c);

// uv_relay.cc
net_relay *uv_relay_make(env &e);
io_result uv_relay_fill(net_relay *relay, net_conn *from, size_t max);
io_result uv_relay_flush(net_relay *relay, net_conn *to, bool more);
size_t uv_relay_pending(const net_relay *relay);
void uv_relay_free(net_relay *relay);

} // namespace etlnode
