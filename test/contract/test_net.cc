// SPDX-License-Identifier: MIT
// test/contract/test_net.cc: what port/net.h promises about connecting, bytes, ends, resets and waiting, over loopback.
#include "net_world.h"

using namespace etlnode;

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

int main()
{
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
        ONCE(unread_bytes_cost_no_time),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
