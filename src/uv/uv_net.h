// SPDX-License-Identifier: MIT
// uv/uv_net.h: a connection from the inside, for uv_net.cc and uv_relay.cc.
//
// Sockets are watched edge-triggered by one epoll descriptor of our own, in which libuv's descriptor is one more (uv_env.cc, run_round). A connection is registered once
// and never changed, so a wait costs no system call; `ready` remembers what the kernel has told and is cleared when an operation finds
// that side exhausted. A flag that is clear therefore means: nothing since, and an event will come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <netinet/in.h>

#include "uv/uv_world.h"

enum class uv_watch_kind : uint8_t { conn, listener };

// First member of everything epoll events point to.
struct uv_watch {
    uv_watch_kind kind;
    bool closed = false; // the object is on the dead list
    int fd = -1;
    uv_world *world = nullptr;
    uv_link link;        // conns or listeners, then dead
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
        bool stays_ready = false; // the side has ended or failed: no event will ever come again
    } sides[2];
    bool peer_finished = false;   // its end has been read
    int failure = 0;              // first errno the socket reported
    uint64_t turn = 0;            // of `moved`
    size_t moved = 0;             // bytes in this turn, against net_turn_bytes_max
    uv_link ready_link;
    net_connect_call *call = nullptr;     // while connecting
    uv_fetch *prefetch = nullptr;  // the file content to send is being read from the disk or checked; writable is held back
    uv_address peer;
};

// Bytes the connection may still move in this turn, at most `size`; 0: let others go first (the side stays ready).
size_t uv_conn_allowance(net_conn &c, size_t size);
io_result uv_conn_moved(net_conn &c, size_t count);
// The kernel took `count` bytes of the `want` that sendfile or splice were to send.
io_result uv_conn_sent(net_conn &c, size_t count, size_t want);
// The kernel said EAGAIN.
io_result uv_conn_exhausted(net_conn &c, net_side side);
io_result uv_conn_failed(net_conn &c, int errno_value, const char *what);
// The kernel said 0: the peer's end, or what is left of a reset that another call was told about.
io_result uv_conn_ended(net_conn &c);

// A fetch (uv_disk.h) that this connection waits for is done.
void uv_fetch_finished(net_conn *c);

// uv_relay.cc
net_relay *uv_relay_make(env &e);
io_result uv_relay_fill(net_relay *relay, net_conn *from, size_t max);
io_result uv_relay_drain(net_relay *relay, net_conn *to, bool more);
size_t uv_relay_pending(const net_relay *relay);
void uv_relay_free(net_relay *relay);
