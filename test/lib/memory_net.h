// SPDX-License-Identifier: MIT
// test/lib/memory_net.h: the network of a memory world. The node has one end of each connection, and the test controls the other end.
//
// Bytes arrive when the test sends them, and leave when the test takes them. Readiness is posted, so nothing calls back inside a call.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/limits.h"
#include "memory_world.h"
#include "port/net.h"

namespace etlnode {

// One connection, as the test sees it. It stays until the net is freed.
struct net_conn {
    memory_world *world = nullptr;
    std::string address;                                            // the node connected to it; empty: a client of the node
    std::string in;                                                 // sent by the test, not read by the node
    std::string out;                                                // written by the node, not taken by the test
    size_t room = SIZE_MAX;                                         // what may stand in `out`
    bool is_finished = false, is_broken = false;                    // by the test
    bool is_half_closed = false, resets = false, is_closed = false; // by the node
    struct {
        net_on_ready on_ready = nullptr;
        void *arg = nullptr;
        bool is_posted = false;
    } sides[2];
};

struct net_listener {
    net_on_accept on_accept = nullptr;
    void *arg = nullptr;
};

struct net_connect_call {
    net_conn *conn = nullptr;
    net_on_connect on_connect = nullptr;
    void *arg = nullptr;
    bool is_canceled = false;
};

struct net_relay {
    std::string bytes;
};

struct memory_net {
    memory_world *world = nullptr;
    std::vector<std::unique_ptr<net_conn>> conns; // oldest first
    net_listener listener;                        // the last one
    error connect_err;                            // set: connects fail with it
    bool holds_connects = false;                  // they are neither answered nor refused
    size_t relays = 0, connects = 0;              // under way
};

inline memory_net *memory_net_of_now = nullptr; // there is one at a time

// --- readiness

inline bool wire_is_ready(const net_conn &c, size_t side)
{
    if (c.is_broken)
        return true;
    return side == 0 ? !c.in.empty() || c.is_finished : c.out.size() < c.room;
}

template <size_t side> void wire_on_posted(void *arg)
{
    auto &c = *static_cast<net_conn *>(arg);
    auto &s = c.sides[side];
    s.is_posted = false;
    if (s.on_ready == nullptr || c.is_closed || !wire_is_ready(c, side))
        return;
    net_on_ready on_ready = s.on_ready;
    s.on_ready = nullptr;
    on_ready(s.arg);
}

inline void wire_wake(net_conn &c)
{
    for (size_t side : {0u, 1u}) {
        auto &s = c.sides[side];
        if (s.on_ready == nullptr || s.is_posted || !wire_is_ready(c, side))
            continue;
        s.is_posted = true;
        clock_post(c.world->e, side == 0 ? wire_on_posted<0> : wire_on_posted<1>, &c);
    }
}

// --- the test's hand

inline void wire_send(net_conn &c, std::string_view bytes)
{
    c.in += bytes;
    wire_wake(c);
}

// Everything has been sent.
inline void wire_finish(net_conn &c)
{
    c.is_finished = true;
    wire_wake(c);
}

// What had arrived stays readable.
inline void wire_break(net_conn &c)
{
    c.is_broken = true;
    wire_wake(c);
}

inline std::string wire_take(net_conn &c)
{
    std::string out;
    out.swap(c.out);
    wire_wake(c);
    return out;
}

inline void wire_on_accept(void *arg)
{
    memory_net &net = *memory_net_of_now;
    net.listener.on_accept(net.listener.arg, static_cast<net_conn *>(arg));
}

inline net_conn &wire_make(memory_net &net, std::string address)
{
    net.conns.push_back(std::make_unique<net_conn>());
    net_conn &c = *net.conns.back();
    c.world = net.world;
    c.address = std::move(address);
    return c;
}

// A client connects to the node.
inline net_conn &wire_open(memory_net &net)
{
    net_conn &c = wire_make(net, {});
    clock_post(net.world->e, wire_on_accept, &c);
    return c;
}

// --- the port

inline void wire_on_connected(void *arg)
{
    auto *call = static_cast<net_connect_call *>(arg);
    memory_net &net = *memory_net_of_now;
    net.connects--;
    if (!call->is_canceled && net.connect_err)
        call->conn->is_closed = true;
    if (!call->is_canceled)
        call->on_connect(call->arg, net.connect_err, net.connect_err ? nullptr : call->conn);
    delete call;
}

inline error wire_connect(
    env &e, const char *host, uint16_t port, net_reach, net_on_connect on_connect, void *arg, net_connect_call **out_call)
{
    memory_net &net = *memory_net_of_now;
    auto *call = new net_connect_call{&wire_make(net, std::string(host) + ":" + std::to_string(port)), on_connect, arg};
    net.connects++;
    if (!net.holds_connects)
        clock_post(e, wire_on_connected, call);
    *out_call = call;
    return no_error;
}

inline void wire_connect_cancel(net_connect_call *call)
{
    call->is_canceled = true;
    call->conn->is_closed = true;
    if (memory_net_of_now->holds_connects)
        wire_on_connected(call);
}

inline io_result wire_read(net_conn *c, void *buffer, size_t size)
{
    CHECK(!c->is_closed);
    if (c->in.empty()) {
        if (c->is_broken)
            return {io_state::failed, 0, make_error(error_code::reset)};
        return {c->is_finished ? io_state::end : io_state::again, 0, no_error};
    }
    size_t count = std::min(size, c->in.size());
    std::memcpy(buffer, c->in.data(), count);
    c->in.erase(0, count);
    return {io_state::done, count, no_error};
}

inline io_result wire_write_bytes(net_conn &c, std::string_view bytes)
{
    CHECK(!c.is_closed && !c.is_half_closed);
    if (c.is_broken)
        return {io_state::failed, 0, make_error(error_code::reset)};
    size_t count = std::min(bytes.size(), c.out.size() < c.room ? c.room - c.out.size() : 0);
    if (count == 0 && !bytes.empty())
        return {io_state::again, 0, no_error};
    c.out += bytes.substr(0, count);
    return {io_state::done, count, no_error};
}

inline io_result wire_write(net_conn *c, std::span<const iovec> parts, bool)
{
    std::string bytes;
    for (const iovec &part : parts)
        bytes.append(static_cast<const char *>(part.iov_base), part.iov_len);
    return wire_write_bytes(*c, bytes);
}

inline io_result wire_send_file(net_conn *c, disk_file *file, uint64_t offset, size_t size)
{
    const std::string &data = c->world->now.nodes[file->node].data;
    if (offset >= data.size())
        return {io_state::failed, 0, make_error(error_code::end_of_stream, "the file is shorter than expected")};
    if (!memory_check(*file, data, offset))
        return {io_state::failed, 0, make_error(error_code::corrupt)};
    size = static_cast<size_t>(std::min<uint64_t>(size, content_block_size - offset % content_block_size));
    return wire_write_bytes(*c, std::string_view(data).substr(static_cast<size_t>(offset), size));
}

inline void wire_wait(net_conn *c, net_side side, net_on_ready on_ready, void *arg)
{
    auto &s = c->sides[static_cast<size_t>(side)];
    CHECK(!c->is_closed && s.on_ready == nullptr);
    s.on_ready = on_ready;
    s.arg = arg;
    wire_wake(*c);
}

inline void wire_close(net_conn *c)
{
    CHECK(!c->is_closed);
    c->is_closed = true;
    c->sides[0].on_ready = c->sides[1].on_ready = nullptr;
}

inline bool wire_has_unread(net_conn *c, bool *out_end)
{
    *out_end = c->is_broken || (c->is_finished && c->in.empty());
    return !c->in.empty();
}

inline io_result wire_relay_fill(net_relay *relay, net_conn *from, size_t max)
{
    size_t count = std::min(max, relay_pipe_size - relay->bytes.size());
    if (count == 0)
        return {io_state::again, 0, no_error};
    std::string bytes(count, '\0');
    io_result got = wire_read(from, bytes.data(), count);
    relay->bytes.append(bytes, 0, got.count);
    return got;
}

inline io_result wire_relay_flush(net_relay *relay, net_conn *to, bool)
{
    io_result sent = wire_write_bytes(*to, relay->bytes);
    relay->bytes.erase(0, sent.count);
    return sent;
}

inline const net_port memory_net_port = {
    .listen = [](env &, const char *, uint16_t, net_reach, net_on_accept on_accept, void *arg, net_listener **out_listener) -> error {
        memory_net_of_now->listener = {on_accept, arg};
        *out_listener = &memory_net_of_now->listener;
        return no_error;
    },
    .listener_port = [](const net_listener *) -> uint16_t { return 8080; },
    .listener_pause = [](net_listener *, bool) {},
    .listener_close = [](net_listener *) {},
    .connect = wire_connect,
    .connect_cancel = wire_connect_cancel,
    .read = wire_read,
    .write = wire_write,
    .send_file = wire_send_file,
    .wait = wire_wait,
    .wait_cancel = [](net_conn *c, net_side side) { c->sides[static_cast<size_t>(side)].on_ready = nullptr; },
    .is_waiting = [](const net_conn *c, net_side side) { return c->sides[static_cast<size_t>(side)].on_ready != nullptr; },
    .half_close = [](net_conn *c) { c->is_half_closed = true; },
    .reset_on_close = [](net_conn *c) { c->resets = true; },
    .close = wire_close,
    .peer = [](const net_conn *) { return std::string("127.0.0.1:4711"); },
    .has_unread = wire_has_unread,
    .relay_make =
        [](env &) {
            memory_net_of_now->relays++;
            return new net_relay;
        },
    .relay_fill = wire_relay_fill,
    .relay_flush = wire_relay_flush,
    .relay_pending = [](const net_relay *relay) { return relay->bytes.size(); },
    .relay_free =
        [](net_relay *relay) {
            memory_net_of_now->relays--;
            delete relay;
        },
};

inline void memory_net_begin(memory_net &net, memory_world &world)
{
    CHECK(memory_net_of_now == nullptr);
    net.world = &world;
    world.e.net = &memory_net_port;
    memory_net_of_now = &net;
}

// Requires: the node has closed what it had.
inline void memory_net_end(memory_net &net)
{
    for (const auto &c : net.conns)
        CHECK(c->is_closed);
    CHECK(net.relays == 0 && net.connects == 0);
    memory_net_of_now = nullptr;
}

} // namespace etlnode
