// SPDX-License-Identifier: MIT
// test/contract/net_world.h: a connected pair, what sends and receives over it, and a file, for the contract cases about port/net.h. Cases
// that move bytes run twice: with sendfile and splice, and with copies through memory. Compiled with CONTRACT_SIMULATED they run on the
// simulator's network (test/sim), which uses no kernel.
#pragma once

#include "contract_world.h"

#include <algorithm>
#include <ctime>
#include <vector>

#include "port/disk.h"
#include "port/net.h"

namespace etlnode {

// A connected pair: net_connect made `client`, the listener made `server`.
struct net_fixture {
    net_listener *listener = nullptr;
    net_conn *client = nullptr;
    net_conn *server = nullptr;
    std::vector<net_conn *> accepted;
    std::vector<net_conn *> connected;
    int connects = 0;
    int connect_failures = 0;
    error connect_err;
    net_connect_call *call = nullptr;
};
inline net_fixture *net;

inline void on_accept(void *, net_conn *conn) { net->accepted.push_back(conn); }

inline void on_connect(void *, error err, net_conn *conn)
{
    net->call = nullptr;
    net->connects++;
    net->connect_err = err;
    test_true((conn == nullptr) == static_cast<bool>(err));
    if (conn != nullptr)
        net->connected.push_back(conn);
    else
        net->connect_failures++;
}

inline uint16_t port() { return net_listener_port(*world->e, net->listener); }

inline void listen_here(const char *host = "127.0.0.1")
{
    test_ok(net_listen(*world->e, host, 0, on_accept, nullptr, &net->listener));
    test_true(port() > 0);
}

inline void make_pair()
{
    listen_here();
    net->connects = 0;
    test_ok(net_connect(*world->e, "127.0.0.1", port(), on_connect, nullptr, &net->call));
    test_eq(net->connects, 0); // never before it has returned
    test_true(world_until([] { return net->accepted.size() == 1 && net->connected.size() == 1; }));
    net->server = net->accepted[0];
    net->client = net->connected[0];
    net->accepted.clear();
    net->connected.clear();
}

inline void close_client()
{
    net_close(*world->e, net->client);
    net->client = nullptr;
}

inline void close_server()
{
    net_close(*world->e, net->server);
    net->server = nullptr;
}

inline int setup(void **state)
{
    net = new net_fixture;
    world_copying = false;
    return world_setup(state);
}

inline int setup_copying(void **state)
{
    net = new net_fixture;
    world_copying = true;
    return world_setup(state);
}

inline int teardown(void **state)
{
    if (net->client != nullptr)
        close_client();
    if (net->server != nullptr)
        close_server();
    for (net_conn *conn : net->accepted)
        net_close(*world->e, conn);
    for (net_conn *conn : net->connected)
        net_close(*world->e, conn);
    if (net->listener != nullptr)
        net_listener_close(*world->e, net->listener);
    delete net;
    return world_teardown(state);
}

// Content that reveals a shift by any amount.
inline char byte_at(uint64_t offset) { return static_cast<char>((offset * 2654435761u) >> 13 ^ offset >> 21); }

// Sends `size` bytes of that content as fast as the other side reads them.
struct sender {
    net_conn *conn = nullptr;
    uint64_t size = 0;
    uint64_t sent = 0;
    bool done = false;
    bool close_half = true;
    error err;
    std::vector<char> block;
};

inline void send_on(void *arg)
{
    auto *s = static_cast<sender *>(arg);
    s->block.resize(100'000);
    while (s->sent < s->size) {
        size_t count = std::min<uint64_t>(s->block.size(), s->size - s->sent);
        for (size_t i = 0; i < count; i++)
            s->block[i] = byte_at(s->sent + i);
        // In two parts, to cover gathering.
        iovec parts[2] = {{s->block.data(), count / 3}, {s->block.data() + count / 3, count - count / 3}};
        io_result result = net_write(*world->e, s->conn, parts, s->sent + count < s->size);
        if (result.state == io_state::again) {
            net_wait(*world->e, s->conn, net_side::writable, send_on, s);
            return;
        }
        if (result.state == io_state::failed) {
            s->err = result.err;
            s->done = true;
            return;
        }
        s->sent += result.count;
    }
    s->done = true;
    if (s->close_half)
        net_half_close(*world->e, s->conn);
}

struct receiver {
    net_conn *conn = nullptr;
    uint64_t received = 0;
    uint64_t wrong = 0; // bytes that differ from the content
    bool done = false;
    bool ended = false;
    error err;
    std::vector<char> block;
    uint64_t base = 0;
};

inline void receive_on(void *arg)
{
    auto *r = static_cast<receiver *>(arg);
    r->block.resize(200'000);
    for (;;) {
        io_result result = net_read(*world->e, r->conn, r->block.data(), r->block.size());
        switch (result.state) {
        case io_state::done:
            test_true(result.count > 0);
            for (size_t i = 0; i < result.count; i++)
                r->wrong += r->block[i] != byte_at(r->base + r->received + i) ? 1 : 0;
            r->received += result.count;
            continue;
        case io_state::again: net_wait(*world->e, r->conn, net_side::readable, receive_on, r); return;
        case io_state::end: r->ended = r->done = true; return;
        case io_state::failed:
            r->err = result.err;
            r->done = true;
            return;
        }
    }
}

inline void expect_content(const receiver &r, uint64_t size)
{
    test_true(r.ended);
    test_eq(r.received, size);
    test_eq(r.wrong, 0u);
}

// Runs the world until `count` has not changed for a while.
inline void world_settle(const uint64_t &count)
{
    uint64_t before = 0;
    for (int i = 0; i < 50 && (before != count || count == 0); i++) {
        before = count;
        world_pass(100);
    }
}

inline void send_some(net_conn *conn, size_t size)
{
    sender s;
    s.conn = conn;
    s.size = size;
    s.close_half = false;
    send_on(&s);
    test_true(world_until([&] { return s.done; }));
    test_ok(s.err);
}

inline int woken;
inline void wake(void *) { woken++; }

// A file with that content.

inline disk_file *opened;
inline int disk_calls;
inline void on_open(void *, error err, disk_file *file, uint64_t)
{
    test_ok(err);
    opened = file;
    disk_calls++;
}
inline void on_done(void *, error err)
{
    test_ok(err);
    disk_calls++;
}

inline disk_file *make_file(uint64_t size)
{
    disk_calls = 0;
    disk_open(*world->e, world->dir + "/content", disk_open_mode::create_or_open, on_open, nullptr);
    test_true(world_until([] { return disk_calls == 1; }));
    std::vector<char> content(size);
    for (uint64_t i = 0; i < size; i++)
        content[i] = byte_at(i);
    disk_write(*world->e, opened, content.data(), content.size(), 0, on_done, nullptr);
    test_true(world_until([] { return disk_calls == 2; }));
    return opened;
}

inline uint64_t cpu_us()
{
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000u + static_cast<uint64_t>(now.tv_nsec) / 1000u;
}

} // namespace etlnode

// Runs each case that moves bytes twice.
#define BOTH(function)                                                     \
    cmocka_unit_test_setup_teardown(function, setup, teardown), CMUnitTest \
    {                                                                      \
#function " copying", function, setup_copying, teardown, nullptr   \
    }
#define ONCE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
