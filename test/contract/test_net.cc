// SPDX-License-Identifier: MIT
// test/contract/test_net.cc: what port/net.h promises, over loopback. Cases that move bytes run twice: with sendfile and splice, and with
// copies through memory. Compiled with CONTRACT_SIMULATED they run on the simulator's network (test/sim), which uses no kernel.
#include "contract_world.h"

#include <algorithm>
#include <arpa/inet.h>
#include <ctime>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <vector>

#include <xxhash.h>

#include "base/limits.h"
#include "port/disk.h"
#include "port/net.h"

using namespace etlnode;

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
static net_fixture *net;

static void on_accept(void *, net_conn *conn) { net->accepted.push_back(conn); }

static void on_connect(void *, error err, net_conn *conn)
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

static uint16_t port() { return net_listener_port(*world->e, net->listener); }

static void listen_here(const char *host = "127.0.0.1")
{
    test_ok(net_listen(*world->e, host, 0, on_accept, nullptr, &net->listener));
    test_true(port() > 0);
}

static void make_pair()
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

static void close_client()
{
    net_close(*world->e, net->client);
    net->client = nullptr;
}

static void close_server()
{
    net_close(*world->e, net->server);
    net->server = nullptr;
}

static int setup(void **state)
{
    net = new net_fixture;
    world_copying = false;
    return world_setup(state);
}

static int setup_copying(void **state)
{
    net = new net_fixture;
    world_copying = true;
    return world_setup(state);
}

static int teardown(void **state)
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
static char byte_at(uint64_t offset) { return static_cast<char>((offset * 2654435761u) >> 13 ^ offset >> 21); }

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

static void send_on(void *arg)
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

static void receive_on(void *arg)
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

static void expect_content(const receiver &r, uint64_t size)
{
    test_true(r.ended);
    test_eq(r.received, size);
    test_eq(r.wrong, 0u);
}

// Connecting and accepting.

static void a_pair_knows_its_peers(void **)
{
    make_pair();
    test_eq_text(net_peer(*world->e, net->client), "127.0.0.1:" + std::to_string(port()));
    test_true(net_peer(*world->e, net->server).starts_with("127.0.0.1:"));
}

#ifndef CONTRACT_SIMULATED
static void ipv6_works_where_there_is_any(void **)
{
    if (net_listen(*world->e, "::1", 0, on_accept, nullptr, &net->listener)) {
        print_message("no IPv6 here\n");
        return;
    }
    test_ok(net_connect(*world->e, "::1", port(), on_connect, nullptr, &net->call));
    test_true(world_until([] { return net->accepted.size() == 1 && net->connected.size() == 1; }));
    test_eq_text(net_peer(*world->e, net->connected[0]), "[::1]:" + std::to_string(port()));
}
#endif

static void names_are_resolved(void **)
{
    listen_here();
    test_ok(net_connect(*world->e, "localhost", port(), on_connect, nullptr, &net->call));
    test_eq(net->connects, 0);
    test_true(world_until([] { return net->connects == 1; }));
    test_ok(net->connect_err);
    test_true(world_until([] { return net->accepted.size() == 1; }));
}

static void refused_connect_completes_with_an_error(void **)
{
    listen_here();
    uint16_t free_port = port();
    net_listener_close(*world->e, net->listener);
    net->listener = nullptr;
    for (const char *host : {"127.0.0.1", "localhost"}) {
        net->connects = 0;
        test_ok(net_connect(*world->e, host, free_port, on_connect, nullptr, &net->call));
        test_eq(net->connects, 0);
        test_true(world_until([] { return net->connects == 1; }));
        test_eq_enum(net->connect_err.code, error_code::refused);
    }
}

static void senseless_addresses_are_refused(void **)
{
    test_true(static_cast<bool>(net_connect(*world->e, "", 80, on_connect, nullptr, &net->call)));
    test_true(static_cast<bool>(net_connect(*world->e, "127.0.0.1", 0, on_connect, nullptr, &net->call)));
    world_pass(5);
    test_eq(net->connects, 0);
    net_listener *listener = nullptr;
    test_eq_enum(net_listen(*world->e, "localhost", 0, on_accept, nullptr, &listener).code, error_code::invalid_argument);
    test_eq_enum(net_listen(*world->e, "192.0.2.1", 0, on_accept, nullptr, &listener).code, error_code::unreachable);
    listen_here();
    test_eq_enum(net_listen(*world->e, "127.0.0.1", port(), on_accept, nullptr, &listener).code, error_code::in_use);
    test_true(listener == nullptr);
}

static void cancelled_connect_stays_silent(void **)
{
    listen_here();
    for (const char *host : {"127.0.0.1", "localhost"}) {
        test_ok(net_connect(*world->e, host, port(), on_connect, nullptr, &net->call));
        net_connect_cancel(*world->e, net->call);
    }
    // A connect that has failed, but whose failure was not delivered yet.
    uint16_t here = port();
    net_listener_close(*world->e, net->listener);
    net->listener = nullptr;
    test_ok(net_connect(*world->e, "127.0.0.1", here, on_connect, nullptr, &net->call));
    net_connect_cancel(*world->e, net->call);
    net->call = nullptr;
    world_pass(50);
    test_eq(net->connects, 0);
}

static void many_quick_connects(void **)
{
    listen_here();
    for (int i = 0; i < 200; i++)
        test_ok(net_connect(*world->e, "127.0.0.1", port(), on_connect, nullptr, &net->call));
    test_true(world_until([] { return net->connects == 200 && net->accepted.size() == 200; }));
    test_eq(net->connect_failures, 0);
}

static void paused_listener_accepts_later(void **)
{
    listen_here();
    net_listener_pause(*world->e, net->listener, true);
    test_ok(net_connect(*world->e, "127.0.0.1", port(), on_connect, nullptr, &net->call));
    test_true(world_until([] { return net->connects == 1; })); // the kernel's backlog accepts it
    world_pass(20);
    test_eq(net->accepted.size(), 0u);
    net_listener_pause(*world->e, net->listener, false);
    test_true(world_until([] { return net->accepted.size() == 1; }));
}

static void listener_closed_while_accepting(void **)
{
    static int count;
    count = 0;
    test_ok(net_listen(
        *world->e, "127.0.0.1", 0,
        [](void *, net_conn *conn) {
            count++;
            net_close(*world->e, conn);
            net_listener_close(*world->e, net->listener);
            net->listener = nullptr;
        },
        nullptr, &net->listener));
    uint16_t here = port();
    for (int i = 0; i < 5; i++)
        test_ok(net_connect(*world->e, "127.0.0.1", here, on_connect, nullptr, &net->call));
    test_true(world_until([] { return net->connects == 5; }));
    world_pass(20);
    test_eq(count, 1);
}

// Bytes.

static void transfer(uint64_t size)
{
    sender s;
    receiver r;
    s.conn = net->client;
    s.size = size;
    r.conn = net->server;
    send_on(&s);
    receive_on(&r);
    test_true(world_until([&] { return s.done && r.done; }, 60'000));
    test_ok(s.err);
    expect_content(r, size);
}

static void bytes_arrive_in_order(void **)
{
    for (uint64_t size : {0ull, 1ull, 64ull << 10, (1ull << 20) + 3, 16ull << 20}) {
        make_pair();
        transfer(size);
        close_client();
        close_server();
        net_listener_close(*world->e, net->listener);
        net->listener = nullptr;
    }
}

// Runs the world until `count` has not changed for a while.
static void world_settle(const uint64_t &count)
{
    uint64_t before = 0;
    for (int i = 0; i < 50 && (before != count || count == 0); i++) {
        before = count;
        world_pass(100);
    }
}

static void writer_is_held_back_by_a_slow_reader(void **)
{
    make_pair();
    sender s;
    receiver r;
    s.conn = net->client;
    s.size = 64 << 20;
    send_on(&s);
    world_settle(s.sent);
    test_false(s.done); // the other side does not read
    uint64_t taken = s.sent;
    test_true(taken > 0 && taken < (48u << 20));
    world_pass(50);
    test_eq(s.sent, taken);
    test_true(net_is_waiting(*world->e, net->client, net_side::writable));
    r.conn = net->server;
    receive_on(&r);
    test_true(world_until([&] { return s.done && r.done; }, 60'000));
    expect_content(r, 64 << 20);
}

static void half_close_leaves_the_other_direction(void **)
{
    make_pair();
    transfer(1000); // client -> server, ends with the client's FIN
    sender s;
    receiver r;
    s.conn = net->server;
    s.size = 2 << 20;
    r.conn = net->client;
    send_on(&s);
    receive_on(&r);
    test_true(world_until([&] { return s.done && r.done; }));
    expect_content(r, 2 << 20);
    // The end is permanent.
    char byte = 0;
    test_eq_enum(net_read(*world->e, net->client, &byte, 1).state, io_state::end);
}

static void closing_with_all_sent_is_a_clean_end(void **)
{
    make_pair();
    sender s;
    s.conn = net->client;
    s.size = 50'000;
    s.close_half = false;
    send_on(&s);
    test_true(world_until([&] { return s.done; }));
    close_client();
    receiver r;
    r.conn = net->server;
    receive_on(&r);
    test_true(world_until([&] { return r.done; }));
    expect_content(r, 50'000);
}

// Resets.

static void send_some(net_conn *conn, size_t size)
{
    sender s;
    s.conn = conn;
    s.size = size;
    s.close_half = false;
    send_on(&s);
    test_true(world_until([&] { return s.done; }));
    test_ok(s.err);
}

static void reset_is_never_an_end(void **)
{
    make_pair();
    send_some(net->client, 1000);
    net_reset_on_close(*world->e, net->client);
    close_client();
    world_pass(5);
    receiver r;
    r.conn = net->server;
    receive_on(&r);
    test_true(world_until([&] { return r.done; }));
    test_false(r.ended);
    test_eq_enum(r.err.code, error_code::reset);
    test_eq(r.wrong, 0u);
    // The error is permanent, however often it is read.
    char byte = 0;
    for (int i = 0; i < 3; i++)
        test_eq_enum(net_read(*world->e, net->server, &byte, 1).state, io_state::failed);
    bool at_end = false;
    test_false(net_has_unread(*world->e, net->server, &at_end));
    test_true(at_end);
    test_eq_enum(net_read(*world->e, net->server, &byte, 1).state, io_state::failed);
}

static void reset_wakes_both_waits(void **)
{
    make_pair();
    static int woken[2];
    woken[0] = woken[1] = 0;
    // Fill the writable side first, so that both sides really wait.
    sender s;
    s.conn = net->server;
    s.size = 64 << 20;
    send_on(&s);
    world_pass(50);
    test_true(net_is_waiting(*world->e, net->server, net_side::writable));
    net_wait_cancel(*world->e, net->server, net_side::writable);
    net_wait(
        *world->e, net->server, net_side::readable, [](void *) { woken[0]++; }, nullptr);
    net_wait(
        *world->e, net->server, net_side::writable, [](void *) { woken[1]++; }, nullptr);
    net_reset_on_close(*world->e, net->client);
    close_client();
    test_true(world_until([] { return woken[0] == 1 && woken[1] == 1; }));
    iovec part{const_cast<char *>("x"), 1};
    test_eq_enum(net_write(*world->e, net->server, {&part, 1}).state, io_state::failed);
    char byte = 0;
    test_eq_enum(net_read(*world->e, net->server, &byte, 1).state, io_state::failed);
    // A wait on a dead connection also completes later, and can be cancelled.
    net_wait(
        *world->e, net->server, net_side::readable, [](void *) { woken[0]++; }, nullptr);
    test_eq(woken[0], 1);
    test_true(world_until([] { return woken[0] == 2; }));
    net_wait(
        *world->e, net->server, net_side::readable, [](void *) { woken[0]++; }, nullptr);
    net_wait_cancel(*world->e, net->server, net_side::readable);
    world_pass(10);
    test_eq(woken[0], 2);
}

static void reset_reported_to_the_writer_is_not_an_end_for_the_reader(void **)
{
    make_pair();
    net_reset_on_close(*world->e, net->client);
    close_client();
    world_pass(5);
    iovec part{const_cast<char *>("x"), 1};
    io_result result = net_write(*world->e, net->server, {&part, 1});
    test_eq_enum(result.state, io_state::failed);
    test_eq_enum(result.err.code, error_code::reset);
    char byte = 0;
    result = net_read(*world->e, net->server, &byte, 1);
    test_eq_enum(result.state, io_state::failed);
    test_eq_enum(result.err.code, error_code::reset);
}

static void early_answer_can_be_read_after_a_reset(void **)
{
    // The peer answers and then closes with our bytes unread, so the kernel sends RST after the answer.
    make_pair();
    send_some(net->client, 100'000);
    send_some(net->server, 500); // the early answer
    world_pass(5);
    close_server();
    world_pass(5);
    iovec part{const_cast<char *>("x"), 1};
    (void)net_write(*world->e, net->client, {&part, 1});
    receiver r;
    r.conn = net->client;
    receive_on(&r);
    test_true(world_until([&] { return r.done; }));
    test_eq(r.received, 500u);
    test_eq(r.wrong, 0u);
    test_false(r.ended);
}

// Waiting.

static int woken;
static void wake(void *) { woken++; }

static void wait_completes_later_even_when_ready(void **)
{
    make_pair();
    send_some(net->client, 10);
    world_pass(5);
    woken = 0;
    net_wait(*world->e, net->server, net_side::readable, wake, nullptr);
    test_true(net_is_waiting(*world->e, net->server, net_side::readable));
    test_eq(woken, 0);
    test_true(world_until([] { return woken == 1; }));
    test_false(net_is_waiting(*world->e, net->server, net_side::readable));
    world_pass(5);
    test_eq(woken, 1);
    // Unread bytes are still there for the next wait.
    net_wait(*world->e, net->server, net_side::readable, wake, nullptr);
    test_true(world_until([] { return woken == 2; }));
}

static void cancelled_and_closed_waits_stay_silent(void **)
{
    make_pair();
    send_some(net->client, 10);
    world_pass(5);
    woken = 0;
    net_wait(*world->e, net->server, net_side::readable, wake, nullptr);
    net_wait_cancel(*world->e, net->server, net_side::readable);
    net_wait_cancel(*world->e, net->server, net_side::writable); // nothing waits: no effect
    world_pass(10);
    test_eq(woken, 0);
    net_wait(*world->e, net->server, net_side::readable, wake, nullptr);
    net_wait(*world->e, net->server, net_side::writable, wake, nullptr);
    close_server();
    world_pass(10);
    test_eq(woken, 0);
}

static void a_completion_can_close_other_connections(void **)
{
    // Both have an event in the same iteration; the first one called closes the other.
    make_pair();
    test_ok(net_connect(*world->e, "127.0.0.1", port(), on_connect, nullptr, &net->call));
    test_true(world_until([] { return net->accepted.size() == 1 && net->connected.size() == 1; }));
    woken = 0;
    static net_conn *pair[2];
    pair[0] = net->server;
    pair[1] = net->accepted[0];
    net->server = nullptr;
    net->accepted.clear();
    for (net_conn *conn : pair) {
        net_wait(
            *world->e, conn, net_side::readable,
            [](void *) {
                woken++;
                for (net_conn *&each : pair) {
                    net_close(*world->e, each);
                    each = nullptr;
                }
            },
            nullptr);
    }
    iovec part{const_cast<char *>("x"), 1};
    test_eq_enum(net_write(*world->e, net->client, {&part, 1}).state, io_state::done);
    test_eq_enum(net_write(*world->e, net->connected[0], {&part, 1}).state, io_state::done);
    usleep(10'000);
    test_true(world_until([] { return woken > 0; }));
    world_pass(20);
    test_eq(woken, 1);
}

static void waiting_again_after_again(void **)
{
    make_pair();
    char byte = 0;
    test_eq_enum(net_read(*world->e, net->server, &byte, 1).state, io_state::again);
    woken = 0;
    net_wait(*world->e, net->server, net_side::readable, wake, nullptr);
    world_pass(20);
    test_eq(woken, 0);
    for (int i = 1; i <= 3; i++) {
        send_some(net->client, 1);
        test_true(world_until([i] { return woken == i; }));
        test_eq_enum(net_read(*world->e, net->server, &byte, 1).state, io_state::done);
        net_wait(*world->e, net->server, net_side::readable, wake, nullptr);
    }
    world_pass(10);
    test_eq(woken, 3);
}

static void unread_bytes_and_ends_are_seen(void **)
{
    make_pair();
    bool at_end = true;
    test_false(net_has_unread(*world->e, net->server, &at_end));
    test_false(at_end);
    send_some(net->client, 3);
    world_pass(5);
    test_true(net_has_unread(*world->e, net->server, &at_end));
    test_false(at_end);
    char bytes[8];
    test_eq(net_read(*world->e, net->server, bytes, sizeof bytes).count, 3u);
    test_false(net_has_unread(*world->e, net->server, &at_end));
    test_false(at_end);
    close_client();
    world_pass(5);
    test_false(net_has_unread(*world->e, net->server, &at_end));
    test_true(at_end);
}

static void one_fast_connection_does_not_hold_the_others(void **)
{
    // Reads for ever from a peer that always has more. The timer must still fire.
    make_pair();
    sender s;
    receiver r;
    s.conn = net->client;
    s.size = 1ull << 40;
    r.conn = net->server;
    static int fires;
    fires = 0;
    timer *t = timer_make(
        *world->e, [](void *) { fires++; }, nullptr);
    timer_arm(*world->e, t, 20);
    send_on(&s);
    receive_on(&r);
    test_true(world_until([] { return fires == 1; }, 3000));
    test_true(r.received > 0);
    timer_free(*world->e, t);
}

// Files.

struct file_sender {
    net_conn *conn = nullptr;
    disk_file *file = nullptr;
    uint64_t offset = 0;
    uint64_t end = 0;
    bool done = false;
    error err;
};

static void send_file_on(void *arg)
{
    auto *s = static_cast<file_sender *>(arg);
    while (s->offset < s->end) {
        io_result result = net_send_file(*world->e, s->conn, s->file, s->offset, s->end - s->offset);
        if (result.state == io_state::again) {
            net_wait(*world->e, s->conn, net_side::writable, send_file_on, s);
            return;
        }
        if (result.state == io_state::failed) {
            s->err = result.err;
            break;
        }
        test_eq_enum(result.state, io_state::done);
        test_true(result.count > 0);
        s->offset += result.count;
    }
    s->done = true;
    if (!s->err)
        net_half_close(*world->e, s->conn);
}

static disk_file *opened;
static int disk_calls;
static void on_open(void *, error err, disk_file *file, uint64_t)
{
    test_ok(err);
    opened = file;
    disk_calls++;
}
static void on_done(void *, error err)
{
    test_ok(err);
    disk_calls++;
}

static disk_file *make_file(uint64_t size)
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

static void file_range_arrives(uint64_t size, uint64_t from, uint64_t to)
{
    make_pair();
    file_sender s;
    s.file = make_file(size);
    s.conn = net->client;
    s.offset = from;
    s.end = to;
    receiver r;
    r.conn = net->server;
    r.base = from;
    send_file_on(&s);
    receive_on(&r);
    test_true(world_until([&] { return s.done && r.done; }, 60'000));
    test_ok(s.err);
    expect_content(r, to - from);
    disk_close(*world->e, s.file);
    close_client();
    close_server();
    net_listener_close(*world->e, net->listener);
    net->listener = nullptr;
}

static void files_are_sent(void **)
{
    file_range_arrives(100, 0, 100);
    file_range_arrives(64 << 10, 0, 64 << 10);
    file_range_arrives((5 << 20) + 17, 12'345, (5 << 20) + 16);
    file_range_arrives(32 << 20, 0, 32 << 20);
}

static void short_file_is_an_error(void **)
{
    make_pair();
    file_sender s;
    s.file = make_file(1000);
    s.conn = net->client;
    s.end = 2000;
    send_file_on(&s);
    test_true(world_until([&] { return s.done; }));
    test_eq_enum(s.err.code, error_code::end_of_stream);
    test_eq(s.offset, 1000u);
    disk_close(*world->e, s.file);
}

#ifndef CONTRACT_SIMULATED
static void cold_files_are_sent(void **)
{
    // Content that is only on the disk is first read into memory, off the loop.
    make_pair();
    file_sender s;
    s.file = make_file(6 << 20);
    disk_sync(*world->e, s.file, on_done, nullptr);
    test_true(world_until([] { return disk_calls == 3; }));
    int fd = open((world->dir + "/content").c_str(), O_RDONLY | O_CLOEXEC);
    test_true(fd >= 0);
    test_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    close(fd);
    s.conn = net->client;
    s.end = 6 << 20;
    receiver r;
    r.conn = net->server;
    send_file_on(&s);
    test_false(s.done);
    receive_on(&r);
    test_true(world_until([&] { return s.done && r.done; }, 60'000));
    test_ok(s.err);
    expect_content(r, 6 << 20);
    disk_close(*world->e, s.file);
}
#endif

// Files with a guard.

static std::vector<uint64_t> sums_of(uint64_t size)
{
    std::vector<char> content(size);
    for (uint64_t i = 0; i < size; i++)
        content[i] = byte_at(i);
    std::vector<uint64_t> sums;
    for (uint64_t at = 0; at < size; at += content_block_size)
        sums.push_back(XXH3_64bits(content.data() + at, std::min<uint64_t>(content_block_size, size - at)));
    return sums;
}

struct damage_seen {
    std::vector<uint64_t> offsets;
};
static void on_damage(void *arg, uint64_t offset) { static_cast<damage_seen *>(arg)->offsets.push_back(offset); }

// Replaces the byte at `offset` through another descriptor, as a foreign process would.
static void change_byte(disk_file *file, uint64_t offset, char to)
{
    disk_calls = 0;
    disk_write(*world->e, file, &to, 1, offset, on_done, nullptr);
    test_true(world_until([] { return disk_calls == 1; }));
}

static error check_at(disk_file *file, uint64_t offset)
{
    struct outcome {
        int calls = 0;
        error err;
    };
    static outcome seen;
    seen = {};
    disk_check(
        *world->e, file, offset, [](void *, error err) { seen.calls++, seen.err = err; }, nullptr);
    test_eq(seen.calls, 0);
    test_true(world_until([] { return seen.calls > 0; }));
    test_eq(seen.calls, 1);
    return seen.err;
}

static disk_file *open_again()
{
    disk_calls = 0;
    disk_open(*world->e, world->dir + "/content", disk_open_mode::read, on_open, nullptr);
    test_true(world_until([] { return disk_calls == 1; }));
    return opened;
}

// Sends [from, to) of the file. Returns how much arrived, after checking that all of it is correct.
static uint64_t send_guarded(disk_file *file, uint64_t from, uint64_t to, error &out_err)
{
    make_pair();
    file_sender s;
    s.file = file;
    s.conn = net->client;
    s.offset = from;
    s.end = to;
    receiver r;
    r.conn = net->server;
    r.base = from;
    send_file_on(&s);
    receive_on(&r);
    test_true(world_until([&] { return s.done; }, 60'000));
    out_err = s.err;
    if (s.err)
        net_half_close(*world->e, s.conn);
    test_true(world_until([&] { return r.done; }, 60'000));
    expect_content(r, s.offset - from);
    close_client();
    close_server();
    net_listener_close(*world->e, net->listener);
    net->listener = nullptr;
    return s.offset - from;
}

static void damaged_blocks_are_not_sent(void **)
{
    static constexpr uint64_t size = 9 * content_block_size + 77;
    disk_file *writer = make_file(size);
    std::vector<uint64_t> sums = sums_of(size);
    for (uint64_t at : {uint64_t{0}, content_block_size - 1, uint64_t{5 * content_block_size}, size - 1}) {
        uint64_t block = at / content_block_size * content_block_size;
        damage_seen damage;
        disk_file *file = open_again();
        disk_guard(*world->e, file, size, sums, on_damage, &damage);
        error err;
        test_eq(send_guarded(file, 0, size, err), size);
        test_ok(err);
        test_true(damage.offsets.empty());
        // Changed under the open file, after it was sent.
        change_byte(writer, at, static_cast<char>(byte_at(at) ^ 1));
        world_pass(2);
        if (block > 0) {
            test_eq(send_guarded(file, 0, block, err), block);
            test_ok(err);
        }
        test_eq(send_guarded(file, 0, size, err), block);
        test_eq_enum(err.code, error_code::corrupt);
        test_eq(damage.offsets.size(), 1u);
        test_eq(damage.offsets[0], block);
        // Ranges that touch it, and ranges that do not.
        test_eq(send_guarded(file, at, at + 1, err), 0u);
        test_eq_enum(err.code, error_code::corrupt);
        uint64_t behind = std::min<uint64_t>(size, block + content_block_size);
        if (behind < size) {
            test_eq(send_guarded(file, behind, size, err), size - behind);
            test_ok(err);
        }
        test_eq_enum(check_at(file, at).code, error_code::corrupt);
        test_false(disk_is_checked(*world->e, file, at));
        disk_close(*world->e, file);
        // Before any block was checked.
        file = open_again();
        disk_guard(*world->e, file, size, sums, on_damage, &damage);
        test_false(disk_is_checked(*world->e, file, 0));
        test_eq(send_guarded(file, 0, size, err), block);
        test_eq_enum(err.code, error_code::corrupt);
        disk_close(*world->e, file);
        change_byte(writer, at, static_cast<char>(byte_at(at)));
    }
    disk_close(*world->e, writer);
}

static void a_look_says_what_it_found(void **)
{
    static constexpr uint64_t size = 3 * content_block_size + 5;
    disk_file *writer = make_file(size);
    test_true(disk_is_checked(*world->e, writer, 0)); // without a guard there is nothing to check
    test_ok(check_at(writer, 0));
    disk_file *file = open_again();
    damage_seen damage;
    disk_guard(*world->e, file, size, sums_of(size), on_damage, &damage);
    test_ok(check_at(file, 1));
    test_true(disk_is_checked(*world->e, file, 0));
    test_false(disk_is_checked(*world->e, file, content_block_size));
    change_byte(writer, 3 * content_block_size, 'x');
    change_byte(writer, 2 * content_block_size, 'x');
    test_eq_enum(check_at(file, size - 1).code, error_code::corrupt);
    test_eq_enum(check_at(file, 2 * content_block_size + 9).code, error_code::corrupt);
    test_ok(check_at(file, content_block_size));
    test_eq(damage.offsets.size(), 2u);
    disk_close(*world->e, file);
    disk_close(*world->e, writer);
}

#ifndef CONTRACT_SIMULATED
static void shorter_files_are_damaged(void **)
{
    static constexpr uint64_t size = 2 * content_block_size + 5;
    disk_close(*world->e, make_file(size));
    disk_file *file = open_again();
    damage_seen damage;
    disk_guard(*world->e, file, size, sums_of(size), on_damage, &damage);
    error err;
    test_eq(send_guarded(file, 0, size, err), size);
    test_eq(truncate((world->dir + "/content").c_str(), static_cast<off_t>(size - 1)), 0);
    world_pass(2);
    test_eq(send_guarded(file, 0, size, err), 2 * content_block_size);
    test_eq_enum(err.code, error_code::corrupt);
    disk_close(*world->e, file);
}

// Pages that were found sound are evicted. When they come back, they are checked again.
static void cold_blocks_are_looked_at_again(void **)
{
    static constexpr uint64_t size = 4 * content_block_size;
    disk_file *writer = make_file(size);
    disk_sync(*world->e, writer, on_done, nullptr);
    test_true(world_until([] { return disk_calls == 3; }));
    disk_close(*world->e, writer);
    disk_file *file = open_again();
    damage_seen damage;
    disk_guard(*world->e, file, size, sums_of(size), on_damage, &damage);
    error err;
    test_eq(send_guarded(file, 0, size, err), size);
    int fd = open((world->dir + "/content").c_str(), O_RDONLY | O_CLOEXEC);
    test_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    close(fd);
    world_pass(2);
    test_eq(send_guarded(file, 0, size, err), size);
    test_ok(err);
    disk_close(*world->e, file);
}
#endif

static void closing_while_blocks_are_looked_at(void **)
{
    static constexpr uint64_t size = 8 * content_block_size;
    disk_file *writer = make_file(size);
    change_byte(writer, 5, 'x');
    disk_close(*world->e, writer);
    damage_seen damage;
    // Close the connection, the file, or both while the check runs.
    for (int what = 0; what < 3; what++) {
        make_pair();
        disk_file *file = open_again();
        disk_guard(*world->e, file, size, sums_of(size), on_damage, &damage);
        file_sender s;
        s.file = file;
        s.conn = net->client;
        s.end = size;
        send_file_on(&s);
        if (what != 1)
            close_client();
        if (what != 0) {
            damage.offsets.clear();
            disk_close(*world->e, file);
        }
        if (what == 1)
            close_client();
        world_pass(20);
        test_true(what == 0 || damage.offsets.empty());
        if (what == 0)
            disk_close(*world->e, file);
        close_server();
        net_listener_close(*world->e, net->listener);
        net->listener = nullptr;
    }
}

static void closing_while_a_file_is_sent(void **)
{
    make_pair();
    file_sender s;
    s.file = make_file(8 << 20);
    disk_sync(*world->e, s.file, on_done, nullptr);
    test_true(world_until([] { return disk_calls == 3; }));
#ifndef CONTRACT_SIMULATED
    int fd = open((world->dir + "/content").c_str(), O_RDONLY | O_CLOEXEC);
    test_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    close(fd);
#endif
    s.conn = net->client;
    s.end = 8 << 20;
    send_file_on(&s); // waits for the disk now, if there is one
    disk_close(*world->e, s.file);
    close_client();
    world_pass(20);
    test_false(s.done);
}

// Relays. client --> relay --> second pair.

struct pump {
    net_relay *relay = nullptr;
    net_conn *from = nullptr;
    net_conn *to = nullptr;
    uint64_t moved = 0;
    bool source_ended = false;
    bool done = false;
    error err;
};

static void pump_on(void *arg)
{
    auto *p = static_cast<pump *>(arg);
    for (;;) {
        bool is_filled = false;
        if (!p->source_ended) {
            io_result in = net_relay_fill(*world->e, p->relay, p->from, SIZE_MAX);
            switch (in.state) {
            case io_state::done: is_filled = true; break;
            case io_state::end: p->source_ended = true; break;
            case io_state::again: break;
            case io_state::failed:
                p->err = in.err;
                p->done = true;
                return;
            }
        }
        if (net_relay_pending(*world->e, p->relay) == 0) {
            if (p->source_ended) {
                net_half_close(*world->e, p->to);
                p->done = true;
                return;
            }
            if (!is_filled) {
                net_wait(*world->e, p->from, net_side::readable, pump_on, p);
                return;
            }
        }
        io_result out = net_relay_flush(*world->e, p->relay, p->to, !p->source_ended);
        if (out.state == io_state::again) {
            net_wait(*world->e, p->to, net_side::writable, pump_on, p);
            return;
        }
        if (out.state == io_state::failed) {
            p->err = out.err;
            p->done = true;
            return;
        }
        p->moved += out.count;
    }
}

// The relay's own ends are `server` (source) and `connected` (sink); `accepted` reads the result.
static void make_relay_pair()
{
    make_pair();
    test_ok(net_connect(*world->e, "127.0.0.1", port(), on_connect, nullptr, &net->call));
    test_true(world_until([] { return net->accepted.size() == 1 && net->connected.size() == 1; }));
}

static void drop_relay_pair()
{
    close_client();
    close_server();
    net_close(*world->e, net->accepted[0]);
    net_close(*world->e, net->connected[0]);
    net->accepted.clear();
    net->connected.clear();
    net_listener_close(*world->e, net->listener);
    net->listener = nullptr;
}

static void relayed_bytes_arrive(void **)
{
    for (uint64_t size : {0ull, 1ull, 64ull << 10, 1ull << 20, 64ull << 20}) {
        make_relay_pair();
        sender s;
        receiver r;
        pump p;
        s.conn = net->client;
        s.size = size;
        r.conn = net->accepted[0];
        p.relay = net_relay_make(*world->e);
        p.from = net->server;
        p.to = net->connected[0];
        pump_on(&p);
        send_on(&s);
        receive_on(&r);
        test_true(world_until([&] { return s.done && p.done && r.done; }, 60'000));
        test_ok(p.err);
        test_eq(p.moved, size);
        expect_content(r, size);
        net_relay_free(*world->e, p.relay);
        drop_relay_pair();
    }
}

static void relayed_one_byte_at_a_time(void **)
{
    // One-byte pieces fill a pipe long before it holds many bytes.
    make_relay_pair();
    pump p;
    p.relay = net_relay_make(*world->e);
    p.from = net->server;
    p.to = net->connected[0];
    uint64_t filled = 0;
    for (int i = 0; i < 3000; i++) {
        char byte = byte_at(static_cast<uint64_t>(i));
        iovec part{&byte, 1};
        test_eq_enum(net_write(*world->e, net->client, {&part, 1}).state, io_state::done);
        world_poll();
        io_result in = net_relay_fill(*world->e, p.relay, p.from, SIZE_MAX);
        if (in.state == io_state::done)
            filled += in.count;
    }
    test_true(filled > 0);
    test_eq(net_relay_pending(*world->e, p.relay), filled);
    net_half_close(*world->e, net->client);
    receiver r;
    r.conn = net->accepted[0];
    pump_on(&p);
    receive_on(&r);
    test_true(world_until([&] { return p.done && r.done; }));
    expect_content(r, 3000);
    net_relay_free(*world->e, p.relay);
}

static void relay_is_held_back_by_a_slow_sink(void **)
{
    make_relay_pair();
    sender s;
    receiver r;
    pump p;
    s.conn = net->client;
    s.size = 64 << 20;
    p.relay = net_relay_make(*world->e);
    p.from = net->server;
    p.to = net->connected[0];
    pump_on(&p);
    send_on(&s);
    world_settle(p.moved);
    uint64_t moved = p.moved;
    test_false(s.done);
    world_pass(50);
    test_eq(p.moved, moved);
    test_true(net_relay_pending(*world->e, p.relay) <= relay_pipe_size);
    r.conn = net->accepted[0];
    receive_on(&r);
    test_true(world_until([&] { return s.done && p.done && r.done; }, 60'000));
    expect_content(r, 64 << 20);
    net_relay_free(*world->e, p.relay);
}

static void relay_distinguishes_reset_from_end(void **)
{
    make_relay_pair();
    pump p;
    p.relay = net_relay_make(*world->e);
    p.from = net->server;
    p.to = net->connected[0];
    send_some(net->client, 10'000);
    world_pass(5);
    net_reset_on_close(*world->e, net->client);
    close_client();
    world_pass(5);
    pump_on(&p);
    test_true(world_until([&] { return p.done; }));
    test_eq_enum(p.err.code, error_code::reset);
    net_relay_free(*world->e, p.relay); // possibly with bytes in it
    // The next relay must not see them.
    p.relay = net_relay_make(*world->e);
    test_eq(net_relay_pending(*world->e, p.relay), 0u);
    net_relay_free(*world->e, p.relay);
}

static void freed_relay_leaves_nothing_for_the_next(void **)
{
    make_relay_pair();
    pump p;
    p.relay = net_relay_make(*world->e);
    p.from = net->server;
    p.to = net->connected[0];
    send_some(net->client, 5000);
    world_pass(5);
    test_eq_enum(net_relay_fill(*world->e, p.relay, p.from, 4000).state, io_state::done);
    test_eq(net_relay_pending(*world->e, p.relay), 4000u);
    net_relay_free(*world->e, p.relay);
    p.relay = net_relay_make(*world->e);
    receiver r;
    r.conn = net->accepted[0];
    r.base = 4000; // only what the first relay had not taken
    net_half_close(*world->e, net->client);
    pump_on(&p);
    receive_on(&r);
    test_true(world_until([&] { return p.done && r.done; }));
    expect_content(r, 1000);
    net_relay_free(*world->e, p.relay);
}

// What only the real world can show.

static uint64_t cpu_us()
{
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000u + static_cast<uint64_t>(now.tv_nsec) / 1000u;
}

static void unread_bytes_cost_no_time(void **)
{
    make_pair();
    send_some(net->client, 1000);
    world_pass(20);
    uint64_t before = cpu_us();
    world_pass(300); // bytes to read, a writable socket, and no wait
    test_true(cpu_us() - before < 100'000);
    close_client(); // and a FIN
    before = cpu_us();
    world_pass(300);
    test_true(cpu_us() - before < 100'000);
}

#ifndef CONTRACT_SIMULATED // the rest is about the kernel
static void running_out_of_descriptors_pauses_accepting(void **)
{
    listen_here();
    rlimit normal{};
    test_eq(getrlimit(RLIMIT_NOFILE, &normal), 0);
    // The client's socket is created first; then the server has no descriptor left for its own.
    test_ok(net_connect(*world->e, "127.0.0.1", port(), on_connect, nullptr, &net->call));
    rlimit low = normal;
    low.rlim_cur = 3;
    test_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    net_connect_call *refused = nullptr;
    error err = net_connect(*world->e, "127.0.0.1", port(), on_connect, nullptr, &refused);
    uint64_t before = cpu_us();
    world_pass(500);
    uint64_t used = cpu_us() - before;
    size_t accepted = net->accepted.size();
    test_eq(setrlimit(RLIMIT_NOFILE, &normal), 0);
    test_eq(accepted, 0u);
    test_true(used < 250'000); // it did not spin
    test_ok(err);              // reported by the completion
    test_true(world_until([] { return net->connects == 2; }));
    test_eq(net->connect_failures, 1);
    test_true(world_until([] { return net->accepted.size() == 1; }, 3000));
}

static void pipes_are_bounded(void **)
{
    std::vector<net_relay *> relays;
    for (size_t i = 0; i < relay_pipes_max + 20; i++)
        relays.push_back(net_relay_make(*world->e));
    size_t pipes = uv_env_counts(*world->e).pipes;
    test_true(world_copying ? pipes == 0 : pipes > 0 && pipes <= relay_pipes_max);
    for (net_relay *relay : relays)
        net_relay_free(*world->e, relay);
    test_eq(uv_env_counts(*world->e).pipes, pipes); // kept for later use
}

static void the_end_closes_what_is_left(void **)
{
    make_pair();
    woken = 0;
    net_wait(*world->e, net->server, net_side::readable, wake, nullptr);
    test_ok(net_connect(*world->e, "127.0.0.1", port(), on_connect, nullptr, &net->call));
    test_ok(net_connect(*world->e, "localhost", port(), on_connect, nullptr, &net->call));
    (void)net_relay_make(*world->e);
    (void)make_file(100);
    timer_arm(*world->e, timer_make(*world->e, wake, nullptr), 60'000); // a timer that is due may still fire while jobs are awaited
    world_end(false);
    test_eq(woken, 0);
    *net = {};
}

// The congestion controls of all connected sockets in this process.
static std::vector<std::string> controls_here()
{
    std::vector<std::string> out;
    for (int fd = 3; fd < 256; fd++) {
        sockaddr_in peer{};
        socklen_t size = sizeof peer;
        char control[16] = "";
        socklen_t control_size = sizeof control - 1;
        if (getpeername(fd, reinterpret_cast<sockaddr *>(&peer), &size) == 0 &&
            getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control, &control_size) == 0)
            out.emplace_back(control);
    }
    return out;
}

static constexpr const char *own_address = "10.99.0.1"; // of the network below; not a loopback address
static bool has_own_address = false;

static std::string usual_control()
{
    char control[16] = "";
    socklen_t size = sizeof control - 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    test_eq(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control, &size), 0);
    close(fd);
    return control;
}

static void expect_controls(const char *host, net_reach reach, const std::string &control)
{
    test_ok(net_listen(*world->e, host, 0, on_accept, nullptr, &net->listener, reach));
    test_ok(net_connect(*world->e, host, port(), on_connect, nullptr, &net->call, reach));
    test_true(world_until([] { return net->accepted.size() == 1 && net->connected.size() == 1; }));
    std::vector<std::string> seen = controls_here();
    test_eq(seen.size(), 2u);
    for (const std::string &one : seen)
        test_eq_text(one, control);
    net_close(*world->e, net->accepted[0]);
    net_close(*world->e, net->connected[0]);
    net_listener_close(*world->e, net->listener);
    *net = {};
}

static void paced_only_where_there_is_a_network(void **)
{
    std::string usual = usual_control();
    std::string near = usual.starts_with("bbr") ? "reno" : usual; // an algorithm without pacing is left alone
    expect_controls("127.0.0.1", net_reach::anywhere, near);
    expect_controls("127.0.0.1", net_reach::this_machine, near);
    if (!has_own_address)
        return;
    expect_controls(own_address, net_reach::anywhere, usual);
    expect_controls(own_address, net_reach::this_machine, near);
}

// Enters a new network namespace, with BBR as the default if this kernel has it. If no namespace can be made, stays in the machine's
// network.
static void enter_paced_network()
{
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return;
    int fd = open("/proc/sys/net/ipv4/tcp_congestion_control", O_WRONLY | O_CLOEXEC);
    bool is_paced = fd >= 0 && write(fd, "bbr", 3) == 3;
    close(fd);
    if (!is_paced)
        print_error("this kernel has no BBR: its default is expected everywhere\n");
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    bool is_up = ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    std::strcpy(request.ifr_name, "lo:1");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    inet_pton(AF_INET, own_address, &address.sin_addr);
    std::memcpy(&request.ifr_addr, &address, sizeof address);
    has_own_address = ioctl(fd, SIOCSIFADDR, &request) == 0 && is_up;
    close(fd);
}

static void connections_of_one_machine_are_not_paced(void **)
{
    pid_t child = fork();
    if (child == 0) {
        int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null_fd, STDOUT_FILENO); // it prints its own TAP; its failures are on stderr
        execl("/proc/self/exe", "test-net", "--in-paced-network", nullptr);
        _exit(127);
    }
    int status = 0;
    test_eq(waitpid(child, &status, 0), child);
    test_eq(status, 0);
}
#endif

// Runs each case that moves bytes twice.
#define BOTH(function)                                                     \
    cmocka_unit_test_setup_teardown(function, setup, teardown), CMUnitTest \
    {                                                                      \
#function " copying", function, setup_copying, teardown, nullptr   \
    }
#define ONCE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(int argc, char **argv)
{
#ifndef CONTRACT_SIMULATED
    if (argc == 2 && std::string_view(argv[1]) == "--in-paced-network") {
        const CMUnitTest inside[] = {ONCE(paced_only_where_there_is_a_network)};
        enter_paced_network();
        return cmocka_run_group_tests(inside, nullptr, nullptr);
    }
#else
    (void)argc;
    (void)argv;
#endif
    const CMUnitTest tests[] = {
        ONCE(a_pair_knows_its_peers),
#ifndef CONTRACT_SIMULATED
        ONCE(ipv6_works_where_there_is_any),
#endif
        ONCE(names_are_resolved),
        ONCE(refused_connect_completes_with_an_error),
        ONCE(senseless_addresses_are_refused),
        ONCE(cancelled_connect_stays_silent),
        ONCE(many_quick_connects),
        ONCE(paused_listener_accepts_later),
        ONCE(listener_closed_while_accepting),
        ONCE(bytes_arrive_in_order),
        ONCE(writer_is_held_back_by_a_slow_reader),
        ONCE(half_close_leaves_the_other_direction),
        ONCE(closing_with_all_sent_is_a_clean_end),
        ONCE(reset_is_never_an_end),
        ONCE(reset_wakes_both_waits),
        ONCE(reset_reported_to_the_writer_is_not_an_end_for_the_reader),
        ONCE(early_answer_can_be_read_after_a_reset),
        ONCE(wait_completes_later_even_when_ready),
        ONCE(cancelled_and_closed_waits_stay_silent),
        ONCE(a_completion_can_close_other_connections),
        ONCE(waiting_again_after_again),
        ONCE(unread_bytes_and_ends_are_seen),
        ONCE(one_fast_connection_does_not_hold_the_others),
        BOTH(files_are_sent),
        BOTH(short_file_is_an_error),
#ifndef CONTRACT_SIMULATED
        BOTH(cold_files_are_sent),
#endif
        BOTH(damaged_blocks_are_not_sent),
        ONCE(a_look_says_what_it_found),
#ifndef CONTRACT_SIMULATED
        BOTH(shorter_files_are_damaged),
        BOTH(cold_blocks_are_looked_at_again),
#endif
        BOTH(closing_while_blocks_are_looked_at),
        BOTH(closing_while_a_file_is_sent),
        BOTH(relayed_bytes_arrive),
        BOTH(relayed_one_byte_at_a_time),
        BOTH(relay_is_held_back_by_a_slow_sink),
        BOTH(relay_distinguishes_reset_from_end),
        BOTH(freed_relay_leaves_nothing_for_the_next),
        ONCE(unread_bytes_cost_no_time),
#ifndef CONTRACT_SIMULATED
        ONCE(running_out_of_descriptors_pauses_accepting),
        BOTH(pipes_are_bounded),
        ONCE(the_end_closes_what_is_left),
        ONCE(connections_of_one_machine_are_not_paced),
#endif
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
