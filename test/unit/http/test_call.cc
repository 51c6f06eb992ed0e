// SPDX-License-Identifier: MIT
// The client side and the pump, against a scripted server of raw bytes.
#include "scripted_server.h"

#include "http/client/call_machine.h"
#include "http/pump.h"

using namespace etlnode;

static void answers_of_every_framing(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    struct row {
        const char *script;
        after then;
        error_code code;
        int status;
        const char *body;
    };
    static const row rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", after::keep, error_code::ok, 200, "abc"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", after::keep, error_code::ok, 200, "abc"},
        {"HTTP/1.0 200 OK\r\n\r\nabc", after::close, error_code::ok, 200, "abc"},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", after::keep,
            error_code::ok, 404, ""},
        {"HTTP/1.1 204 No Content\r\n\r\n", after::keep, error_code::ok, 204, ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", after::close, error_code::end_of_stream, 200, ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", after::close, error_code::bad_pod_answer, 200, ""},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", after::close, error_code::end_of_stream, 200, ""},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab", after::close, error_code::bad_pod_answer, 200, ""},
        {"HTTP/1.0 200 OK\r\n\r\nabc", after::reset, error_code::reset, 200, ""},
        {"this is not HTTP at all\r\n\r\n", after::close, error_code::bad_pod_answer, 0, ""},
        {"HTTP/1.1 200 OK\r\nContent-Le", after::close, error_code::end_of_stream, 0, ""},
        {"", after::close, error_code::end_of_stream, 0, ""},
        {"", after::keep, error_code::timed_out, 0, ""},
    };
    for (const row &r : rows) {
        scripted_server s;
        s.script = r.script;
        s.then = r.then;
        script_start(w, s);
        outcome o;
        run_call(w, s, o, r.code == error_code::timed_out ? 100 : 5'000);
        if (o.err.code != r.code || (!o.err && (o.status != r.status || o.body != r.body)))
            test_fail(
                "%s: code %d (%s) status %d body %s", r.script, static_cast<int>(o.err.code), error_text(o.err), o.status, o.body.c_str());
        script_stop(s);
    }
}

static void informational_floods_and_giant_heads_are_refused(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    scripted_server s;
    for (int i = 0; i < 20; i++)
        s.script += "HTTP/1.1 102 Processing\r\n\r\n";
    script_start(w, s);
    outcome o;
    run_call(w, s, o);
    test_eq_enum(o.err.code, error_code::bad_pod_answer);
    script_stop(s);
    scripted_server big;
    big.script = "HTTP/1.1 200 OK\r\nA: " + std::string(100'000, 'a');
    script_start(w, big);
    run_call(w, big, o);
    test_eq_enum(o.err.code, error_code::bad_pod_answer);
    script_stop(big);
}

// --- another protocol

struct upgrading {
    http_world *w = nullptr;
    int status = 0;
    bool failed = false;
    net_conn *conn = nullptr;
    std::string behind;
    error err;
};

static void on_upgraded(void *arg, call &c, const http_head &head)
{
    upgrading &u = *static_cast<upgrading *>(arg);
    u.status = head.status;
    if (head.status == 101)
        u.conn = call_take_connection(c, u.behind);
    else
        call_cancel(c);
}

static void on_not_upgraded(void *arg, call &, error err, int, std::string)
{
    upgrading &u = *static_cast<upgrading *>(arg);
    u.failed = true;
    u.err = err;
}

static void ask_to_upgrade(http_world &w, scripted_server &s, upgrading &u)
{
    u.w = &w;
    call_options options;
    options.host = "127.0.0.1";
    options.port = s.port;
    options.instance = "a pod";
    options.upgrade = "other";
    options.on_head = on_upgraded;
    options.on_done = on_not_upgraded;
    options.arg = &u;
    call_start(*w.client, std::move(options));
    test_true(world_until(w, [&] { return u.status != 0 || u.failed; }));
}

static void an_upgrade_hands_the_connection_over(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    for (std::string behind : {"", "the other protocol"}) {
        scripted_server s;
        s.script = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n" + behind;
        s.then = after::keep;
        script_start(w, s);
        upgrading u;
        ask_to_upgrade(w, s, u);
        test_eq(u.status, 101);
        test_true(u.conn != nullptr);
        test_eq_text(u.behind, behind);
        test_has_text(s.head, "Connection: Upgrade\r\nUpgrade: other\r\n");
        test_eq(http_client_unsolicited(*w.client), 0u);
        // The caller owns it: both directions work.
        iovec part = {const_cast<char *>("GET / HTTP/1.1\r\n\r\n"), 18};
        test_eq_enum(net_write(*w.e, u.conn, {&part, 1}).state, io_state::done);
        test_true(world_until(w, [&] { return s.requests == 2; }));
        net_close(*w.e, u.conn);
        script_stop(s);
    }
}

static void an_upgrade_may_be_refused_and_is_never_taken_unasked(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    scripted_server s;
    s.script = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    s.then = after::keep;
    script_start(w, s);
    upgrading u;
    ask_to_upgrade(w, s, u);
    test_eq(u.status, 404);
    test_true(u.conn == nullptr);
    script_stop(s);
    scripted_server silent;
    silent.then = after::close;
    script_start(w, silent);
    upgrading lost;
    ask_to_upgrade(w, silent, lost);
    test_true(lost.failed);
    test_eq_enum(lost.err.code, error_code::end_of_stream);
    script_stop(silent);
    scripted_server unasked;
    unasked.script = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n";
    script_start(w, unasked);
    outcome o;
    run_call(w, unasked, o);
    test_eq_enum(o.err.code, error_code::bad_pod_answer);
    script_stop(unasked);
}

static void connections_are_reused_and_replaced_once_when_dead(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    scripted_server s;
    s.script = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    s.then = after::keep;
    script_start(w, s);
    outcome o;
    run_call(w, s, o);
    run_call(w, s, o);
    test_eq(s.connections, 1);
    test_eq_text(o.body, "ok");
    s.then = after::close; // the next request on the kept connection finds it closed before any byte
    s.script = "";
    outcome first;
    call_options options;
    options.host = "127.0.0.1";
    options.port = s.port;
    options.answer_size_max = 1 << 20;
    options.on_done = keep_outcome;
    options.arg = &first;
    call_start(*w.client, std::move(options));
    test_true(world_until(w, [&] { return first.done || s.connections == 2; }));
    s.script = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    test_true(world_until(w, [&] { return first.done; }));
    test_true(s.connections == 2);
    script_stop(s);
    uv_env_poll(*w.e, 5);
    world_check_trace("call", "A kept connection is used again, then found dead and replaced");
}

static void a_server_that_answers_twice_gets_a_connection_a_request(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    static constexpr std::string_view answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    scripted_server s;
    s.then = after::keep;
    s.script = answer;
    script_start(w, s);
    outcome o;
    run_call(w, s, o);
    test_eq(http_client_unsolicited(*w.client), 0u);
    iovec part = {const_cast<char *>(answer.data()), answer.size()}; // again, on the kept connection
    (void)net_write(*w.e, s.conns[0]->conn, {&part, 1});
    test_true(world_until(w, [&] { return http_client_unsolicited(*w.client) == 1; }));
    for (int i = 0; i < 3; i++) {
        run_call(w, s, o);
        test_ok(o.err);
        test_eq_text(o.body, "ok");
    }
    test_eq(s.connections, 4);
    script_stop(s);
    scripted_server chunked; // a whole answer, followed by the next one
    chunked.then = after::keep;
    chunked.script = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + std::string(answer);
    script_start(w, chunked);
    run_call(w, chunked, o);
    test_eq_text(o.body, "ok");
    test_eq(http_client_unsolicited(*w.client), 2u);
    run_call(w, chunked, o);
    test_eq(chunked.connections, 2);
    script_stop(chunked);
}

// A server that serves one connection at a time and waits on it for the next request. Others wait in its queue until it is closed.
struct serial_server {
    http_world *w = nullptr;
    net_listener *listener = nullptr;
    uint16_t port = 0;
    net_conn *current = nullptr;
    net_conn *queue[16] = {};
    int queued = 0;
    int served = 0;
    std::string got;
};

static void serial_next(serial_server &s);

static void serial_readable(void *arg)
{
    serial_server &s = *static_cast<serial_server *>(arg);
    char buffer[4096];
    io_result r = net_read(*s.w->e, s.current, buffer, sizeof buffer);
    if (r.state == io_state::end || r.state == io_state::failed) {
        net_close(*s.w->e, s.current);
        s.current = nullptr;
        serial_next(s);
        return;
    }
    if (r.state == io_state::done)
        s.got.append(buffer, r.count);
    if (s.got.find("\r\n\r\n") != std::string::npos) {
        s.got.clear();
        s.served++;
        static constexpr std::string_view script = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        iovec part = {const_cast<char *>(script.data()), script.size()};
        (void)net_write(*s.w->e, s.current, {&part, 1});
    }
    net_wait(*s.w->e, s.current, net_side::readable, serial_readable, &s);
}

static void serial_next(serial_server &s)
{
    if (s.current != nullptr || s.queued == 0)
        return;
    s.current = s.queue[0];
    for (int i = 1; i < s.queued; i++)
        s.queue[i - 1] = s.queue[i];
    s.queued--;
    net_wait(*s.w->e, s.current, net_side::readable, serial_readable, &s);
}

static void serial_accept(void *arg, net_conn *conn)
{
    serial_server &s = *static_cast<serial_server *>(arg);
    s.queue[s.queued++] = conn;
    serial_next(s);
}

static void a_one_at_a_time_server_is_not_blocked_by_kept_connections(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    serial_server s;
    s.w = &w;
    test_ok(net_listen(*w.e, "127.0.0.1", 0, serial_accept, &s, &s.listener));
    s.port = net_listener_port(*w.e, s.listener);
    outcome outcomes[8];
    for (outcome &o : outcomes) {
        call_options options;
        options.host = "127.0.0.1";
        options.port = s.port;
        options.answer_size_max = 1 << 20;
        options.on_done = keep_outcome;
        options.arg = &o;
        call_start(*w.client, std::move(options));
    }
    uint64_t began = clock_now_ms(*w.e);
    test_true(world_until(w, [&] {
        for (const outcome &o : outcomes) {
            if (!o.done)
                return false;
        }
        return true;
    }));
    for (const outcome &o : outcomes)
        test_ok(o.err);
    test_eq(s.served, 8);
    test_true(clock_now_ms(*w.e) - began < 4'000); // one probation, not one idle_ms (a second) for each call
    net_listener_close(*w.e, s.listener);
    if (s.current != nullptr)
        net_close(*w.e, s.current);
}

static void refused_connections_say_so(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    scripted_server s;
    script_start(w, s);
    script_stop(s);
    outcome o;
    run_call(w, s, o);
    test_eq_enum(o.err.code, error_code::refused);
    uv_env_poll(*w.e, 5);
    world_check_trace("call", "Nobody listens");
}

// Its callback never comes, and its connection goes.
static void a_call_may_be_given_up_in_its_body(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    scripted_server s;
    s.script = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
    s.then = after::keep;
    script_start(w, s);
    outcome o;
    begin_call(w, s, o);
    const call &c = *w.client->servers[0]->active[0];
    test_true(world_until(w, [&] { return sm_state_of(c) == call::state::collecting; }));
    call_cancel(*w.client->servers[0]->active[0]);
    test_true(world_until(w, [&] { return s.connections == 1 && s.conns[0] == nullptr; }));
    test_false(o.done);
    outcome never_began;
    begin_call(w, s, never_began);
    call_cancel(*w.client->servers[0]->active[0]);
    test_true(world_until(w, [&] { return w.client->active_count == 0; }));
    test_false(never_began.done);
    test_eq(s.connections, 1);
    script_stop(s);
}

// --- the pump

struct pumping {
    http_world *w = nullptr;
    exchange *x = nullptr;
    call *c = nullptr;
    pump *p = nullptr;
    uint16_t port = 0;
    uint64_t sink_timeout_ms = 30'000;
    bool done = false;
    error err;
    uint64_t bytes = 0;
};
static pumping piping;

static void piped(void *, error err, uint64_t bytes)
{
    piping.done = true;
    piping.err = err;
    piping.bytes = bytes;
    if (!err)
        call_close(*piping.c);
    else
        call_cancel(*piping.c);
    exchange_stream_end(*piping.x, !err);
}

static void pipe_head(void *, call &c, const http_head &head)
{
    exchange_stream_begin(*piping.x, answer{}, head.has_length, head.length);
    pump_options options;
    options.has_length = head.has_length;
    options.length = head.length;
    options.source_timeout_ms = 200;
    options.sink_timeout_ms = piping.sink_timeout_ms;
    options.prefix = head.has_length ? "" : "prefix-";
    options.on_done = piped;
    piping.c = &c;
    piping.p = pump_start(*piping.w->e, exchange_stream(*piping.x), call_stream(c), std::move(options));
}

static void pipe_failed(void *, call &, error err, int, std::string)
{
    piping.done = true;
    piping.err = err;
    exchange_answer_error(*piping.x, error_code::pod_gone, "no head");
}

static void pipe_through(http_world &w, exchange &x)
{
    piping.w = &w;
    piping.x = &x;
    call_options options;
    options.host = "127.0.0.1";
    options.port = piping.port;
    options.on_head = pipe_head;
    options.on_done = pipe_failed;
    call_start(*w.client, std::move(options));
}

static void pipe(http_world &w, std::string script, after then, raw_client &c)
{
    piping = pumping{};
    scripted_server *s = new scripted_server;
    s->script = std::move(script);
    s->then = then;
    script_start(w, *s);
    piping.port = s->port;
    w.handler = pipe_through;
    raw_open(w, c);
    raw_send(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    test_true(world_until(w, [&] { return piping.done; }));
    test_true(world_until(w, [&] { return c.ended || c.failed; }));
    script_stop(*s);
    delete s;
}

static void pump_moves_every_framing(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    std::string big(200'000, 'q');
    raw_client c;
    pipe(w, "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + big, after::keep, c);
    test_ok(piping.err);
    test_eq(piping.bytes, 200'000u);
    test_eq_text(std::string_view(c.got).substr(c.got.size() - 200'000), big);
    raw_close(c);
    raw_client d;
    pipe(w, "HTTP/1.0 200 OK\r\n\r\n" + big, after::close, d);
    test_ok(piping.err);
    test_has_text(d.got, "prefix-");
    test_eq_text(std::string_view(d.got).substr(d.got.size() - 5), "0\r\n\r\n");
    raw_close(d);
}

static void pump_reports_what_breaks(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    raw_client c;
    pipe(w, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", after::close, c);
    test_eq_enum(piping.err.code, error_code::end_of_stream);
    raw_close(c);
    raw_client d;
    pipe(w, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", after::keep, d); // then silence
    test_eq_enum(piping.err.code, error_code::timed_out);
    raw_close(d);
    raw_client f;
    pipe(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", after::reset, f);
    test_true(piping.err.code == error_code::reset || piping.err.code == error_code::end_of_stream);
    test_true(f.got.find("0\r\n\r\n") == std::string::npos);
    raw_close(f);
    uv_env_poll(*w.e, 5);
    world_check_trace("pump", "A short answer, a silent one, a reset one");
}

static void pump_gives_up_a_client_that_takes_nothing(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    raw_client c;
    c.paused = true;
    std::string endless(64 << 10, 'q');
    piping = pumping{};
    piping.sink_timeout_ms = 200;
    scripted_server s;
    s.script = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
    s.then = after::keep;
    s.late = endless;
    s.late_ms = 1;
    script_start(w, s);
    piping.port = s.port;
    w.handler = pipe_through;
    raw_open(w, c);
    raw_send(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    test_true(world_until(
        w,
        [&] {
            for (scripted_conn *one : s.conns) { // as much as the kernel takes on the way
                if (one != nullptr && piping.p != nullptr)
                    script_write(*one, endless);
            }
            return piping.done;
        },
        60'000));
    test_eq_enum(piping.err.code, error_code::canceled);
    raw_close(c);
    script_stop(s);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_of_every_framing, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(informational_floods_and_giant_heads_are_refused, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(an_upgrade_hands_the_connection_over, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(an_upgrade_may_be_refused_and_is_never_taken_unasked, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(connections_are_reused_and_replaced_once_when_dead, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_server_that_answers_twice_gets_a_connection_a_request, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_one_at_a_time_server_is_not_blocked_by_kept_connections, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_call_may_be_given_up_in_its_body, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(pump_gives_up_a_client_that_takes_nothing, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(refused_connections_say_so, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(pump_moves_every_framing, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(pump_reports_what_breaks, world_set_up, world_tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
