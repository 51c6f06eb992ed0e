// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_world.h: clock and network in memory, for one connection at a time. Bytes arrive in pieces, and writes are partial.
//
// Order of events: posts, then sides that are ready, then the next piece, then the peer's FIN, then the next timer. Using a connection
// after its close is a failure.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "fuzz.h"
#include "port/net.h"
#include "virtual_clock.h"

namespace etlnode {

struct fuzz_world;

struct fuzz_wait {
    net_on_ready on_ready = nullptr;
    void *arg = nullptr;
};

// The port's own types are opaque. A program may contain this network and libuv's, so the types here have their own names.
struct fuzz_conn {
    fuzz_world *world = nullptr;
    std::string coming; // not arrived yet
    std::string in;     // arrived, not read
    std::string out;    // written
    bool ends = true;   // FIN follows the last byte
    bool ended = false;
    bool closed = false;
    bool half_closed = false;
    bool reset = false;
    fuzz_wait waits[2];
};

struct fuzz_listener {
    net_on_accept on_accept = nullptr;
    void *arg = nullptr;
};

struct fuzz_connect_call {
    fuzz_world *world = nullptr;
    net_on_connect on_connect = nullptr;
    void *arg = nullptr;
    bool canceled = false;
};

struct fuzz_world {
    env e;
    rng choices;
    bool in_one = true; // everything arrives, and is written, in one piece
    virtual_clock clock;
    std::vector<std::unique_ptr<fuzz_conn>> conns;
    std::vector<std::unique_ptr<fuzz_connect_call>> connects;
    fuzz_listener *listener = nullptr;
    std::string (*answer_of)(fuzz_world &w, size_t conn_number) = nullptr; // what a connection that is opened here will send
    uint64_t steps = 0;
};

inline fuzz_world &fuzz_world_of(env &e) { return *static_cast<fuzz_world *>(e.impl); }
inline fuzz_conn &fuzz_conn_of(net_conn *c) { return *reinterpret_cast<fuzz_conn *>(c); }
inline const fuzz_conn &fuzz_conn_of(const net_conn *c) { return *reinterpret_cast<const fuzz_conn *>(c); }
inline net_conn *fuzz_port_conn(fuzz_conn &c) { return reinterpret_cast<net_conn *>(&c); }
inline fuzz_wait &fuzz_wait_of(fuzz_conn &c, net_side side) { return c.waits[side == net_side::readable ? 0 : 1]; }
inline const fuzz_wait &fuzz_wait_of(const fuzz_conn &c, net_side side) { return c.waits[side == net_side::readable ? 0 : 1]; }

// --- the clock

inline virtual_clock &fuzz_clock_of(env &e) { return fuzz_world_of(e).clock; }

// Two runs over the same bytes may take different times, so outputs that show the wall clock or secrets must not differ.
inline clock_port fuzz_clock_make()
{
    clock_port clock = virtual_clock_port<fuzz_clock_of>;
    clock.wall_ns = [](env &) { return virtual_wall_ms * 1'000'000; };
    clock.secret = [](env &, size_t size) { return std::string(size, 's'); };
    return clock;
}
inline const clock_port fuzz_clock_port = fuzz_clock_make();

// --- the network

inline fuzz_conn &fuzz_conn_make(fuzz_world &w, std::string coming)
{
    w.conns.push_back(std::make_unique<fuzz_conn>());
    fuzz_conn &c = *w.conns.back();
    c.world = &w;
    c.coming = std::move(coming);
    return c;
}

inline void fuzz_connected(void *arg)
{
    fuzz_connect_call *call = static_cast<fuzz_connect_call *>(arg);
    fuzz_world &w = *call->world;
    if (!call->canceled)
        call->on_connect(call->arg, no_error, fuzz_port_conn(fuzz_conn_make(w, w.answer_of(w, w.conns.size()))));
}

inline io_result fuzz_read(net_conn *conn, void *buffer, size_t size)
{
    fuzz_conn &c = fuzz_conn_of(conn);
    FUZZ_CHECK(!c.closed && size > 0);
    if (c.in.empty())
        return {c.ended ? io_state::end : io_state::again, 0, no_error};
    size_t count = std::min(size, c.in.size());
    if (!c.world->in_one)
        count = fuzz_piece(c.world->choices, count);
    std::memcpy(buffer, c.in.data(), count);
    c.in.erase(0, count);
    return {io_state::done, count, no_error};
}

inline io_result fuzz_write(net_conn *conn, std::span<const iovec> parts, bool)
{
    fuzz_conn &c = fuzz_conn_of(conn);
    FUZZ_CHECK(!c.closed && !c.half_closed);
    std::string bytes;
    for (const iovec &part : parts)
        bytes.append(static_cast<const char *>(part.iov_base), part.iov_len);
    FUZZ_CHECK(!bytes.empty());
    // A message of a few bytes fits into an empty buffer as a whole, as in kernels.
    if (!c.world->in_one && bytes.size() > 64) {
        if (rng_below(c.world->choices, 4) == 0)
            return {io_state::again, 0, no_error};
        bytes.resize(fuzz_piece(c.world->choices, bytes.size()));
    }
    c.out += bytes;
    return {io_state::done, bytes.size(), no_error};
}

inline void fuzz_wait_for(net_conn *conn, net_side side, net_on_ready on_ready, void *arg)
{
    fuzz_conn &c = fuzz_conn_of(conn);
    FUZZ_CHECK(!c.closed && fuzz_wait_of(c, side).on_ready == nullptr);
    fuzz_wait_of(c, side) = {on_ready, arg};
}

inline bool fuzz_has_unread(net_conn *conn, bool *out_end)
{
    fuzz_conn &c = fuzz_conn_of(conn);
    FUZZ_CHECK(!c.closed);
    *out_end = c.in.empty() && c.ended;
    return !c.in.empty();
}

inline const net_port fuzz_net_port = {
    .listen =
        [](env &e, const char *, uint16_t, net_reach, net_on_accept on_accept, void *arg, net_listener **out_listener) {
            fuzz_world_of(e).listener = new fuzz_listener{on_accept, arg};
            *out_listener = reinterpret_cast<net_listener *>(fuzz_world_of(e).listener);
            return no_error;
        },
    .listener_port = [](const net_listener *) { return uint16_t{1}; },
    .listener_pause = [](net_listener *, bool) {},
    .listener_close = [](net_listener *listener) { delete reinterpret_cast<fuzz_listener *>(listener); },
    .connect =
        [](env &e, const char *, uint16_t, net_reach, net_on_connect on_connect, void *arg, net_connect_call **out_call) {
            fuzz_world &w = fuzz_world_of(e);
            w.connects.push_back(std::make_unique<fuzz_connect_call>(fuzz_connect_call{&w, on_connect, arg}));
            *out_call = reinterpret_cast<net_connect_call *>(w.connects.back().get());
            w.clock.posts.emplace_back(fuzz_connected, w.connects.back().get());
            return no_error;
        },
    .connect_cancel = [](net_connect_call *call) { reinterpret_cast<fuzz_connect_call *>(call)->canceled = true; },
    .read = fuzz_read,
    .write = fuzz_write,
    .send_file = [](net_conn *, disk_file *, uint64_t, size_t) -> io_result { fuzz_failed("no file is sent here", __FILE__, __LINE__); },
    .wait = fuzz_wait_for,
    .wait_cancel = [](net_conn *c, net_side side) { fuzz_wait_of(fuzz_conn_of(c), side) = {}; },
    .is_waiting = [](const net_conn *c, net_side side) { return fuzz_wait_of(fuzz_conn_of(c), side).on_ready != nullptr; },
    .half_close = [](net_conn *c) { fuzz_conn_of(c).half_closed = true; },
    .reset_on_close = [](net_conn *c) { fuzz_conn_of(c).reset = true; },
    .close =
        [](net_conn *conn) {
            fuzz_conn &c = fuzz_conn_of(conn);
            FUZZ_CHECK(!c.closed);
            c.closed = true;
            c.waits[0] = c.waits[1] = {};
        },
    .peer = [](const net_conn *) { return std::string("127.0.0.1:4711"); },
    .has_unread = fuzz_has_unread,
    .relay_make = [](env &) -> net_relay * { return nullptr; },
    .relay_fill = [](net_relay *, net_conn *, size_t) -> io_result { fuzz_failed("nothing is relayed here", __FILE__, __LINE__); },
    .relay_flush = [](net_relay *, net_conn *, bool) -> io_result { fuzz_failed("nothing is relayed here", __FILE__, __LINE__); },
    .relay_pending = [](const net_relay *) { return size_t{0}; },
    .relay_free = [](net_relay *) {},
};

// --- running the world

inline void fuzz_world_begin(fuzz_world &w, std::string_view text, bool in_one)
{
    w.choices = fuzz_rng(text);
    w.in_one = in_one;
    w.e.random = rng{1};
    w.clock.now_ms = 1'000;
    w.e.clock = &fuzz_clock_port;
    w.e.net = &fuzz_net_port;
    w.e.impl = &w;
}

inline bool fuzz_fire(fuzz_conn &c, net_side side, bool is_ready)
{
    fuzz_wait wait = fuzz_wait_of(c, side);
    if (c.closed || wait.on_ready == nullptr || !is_ready)
        return false;
    fuzz_wait_of(c, side) = {};
    wait.on_ready(wait.arg);
    return true;
}

// Runs one event; false if only timers are left.
inline bool fuzz_step(fuzz_world &w)
{
    FUZZ_CHECK(++w.steps < 1'000'000);
    if (virtual_run_post(w.clock))
        return true;
    for (size_t i = 0; i < w.conns.size(); i++) {
        fuzz_conn &c = *w.conns[i];
        if (fuzz_fire(c, net_side::writable, true) || fuzz_fire(c, net_side::readable, !c.in.empty() || c.ended))
            return true;
    }
    for (size_t i = 0; i < w.conns.size(); i++) {
        fuzz_conn &c = *w.conns[i];
        if (c.closed)
            continue;
        if (!c.coming.empty()) {
            size_t size = w.in_one ? c.coming.size() : fuzz_piece(w.choices, c.coming.size());
            c.in += c.coming.substr(0, size);
            c.coming.erase(0, size);
            c.ended = w.in_one && c.ends; // together with the last byte, as a FIN may arrive
            return true;
        }
        if (c.ends && !c.ended) {
            c.ended = true;
            return true;
        }
    }
    return false;
}

inline bool fuzz_next_timer(fuzz_world &w) { return virtual_fire_next(w.clock, UINT64_MAX); }

// Runs until nothing is left, including timers.
inline void fuzz_world_run(fuzz_world &w)
{
    while (fuzz_step(w) || fuzz_next_timer(w))
        ;
}

} // namespace etlnode
