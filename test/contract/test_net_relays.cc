// SPDX-License-Identifier: MIT
// test/contract/test_net_relays.cc: what port/net.h promises about relays, which move bytes from one connection to another.
#include "net_world.h"

#include "base/limits.h"

using namespace etlnode;

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

#ifndef CONTRACT_SIMULATED
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

#endif

int main()
{
    const CMUnitTest tests[] = {
        BOTH(relayed_bytes_arrive),
        BOTH(relayed_one_byte_at_a_time),
        BOTH(relay_is_held_back_by_a_slow_sink),
        BOTH(relay_distinguishes_reset_from_end),
        BOTH(freed_relay_leaves_nothing_for_the_next),
#ifndef CONTRACT_SIMULATED
        BOTH(pipes_are_bounded),
#endif
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
