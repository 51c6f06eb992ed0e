// SPDX-License-Identifier: MIT
#include "http_world.h"

#include "base/text.h"
#include "codec/http_write.h"
#include "http/server/conn_machine.h"
#include "sm/sm.h"

using namespace etlnode;

static void say_hello(http_world &, exchange &x) { exchange_answer_text(x, "hello"); }

static void echo_body_done(void *arg, error err, std::string body)
{
    exchange &x = *static_cast<exchange *>(arg);
    if (err)
        exchange_answer_error(x, err.code, "body");
    else
        exchange_answer_text(x, std::move(body));
}
static void echo_body(http_world &, exchange &x) { exchange_read_all(x, 1 << 20, echo_body_done, &x); }

static void keep_alive_and_pipelining(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = say_hello;
    raw_client c;
    raw_open(w, c);
    raw_send(c,
        "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n\r\nGET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    test_true(world_until(w, [&] { return c.ended || c.failed; }));
    test_true(c.ended);
    test_eq(w.count, 3);
    size_t answers = 0;
    for (size_t at = c.got.find("hello"); at != std::string::npos; at = c.got.find("hello", at + 1))
        answers++;
    test_eq(answers, 3u);
    test_has_text(c.got, "Connection: close");
    raw_close(c);
    test_true(world_until(w, [&] { return http_server_count(*w.server).connections == 0; }));
    world_check_trace("exchange", "Three requests in one packet, the last one asks to close");
}

static void http_1_0_closes_unless_asked(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = say_hello;
    raw_client c;
    raw_open(w, c);
    raw_send(c, "GET / HTTP/1.0\r\n\r\n");
    test_true(world_until(w, [&] { return c.ended; }));
    raw_close(c);
    raw_client k;
    raw_open(w, k);
    raw_send(k, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    test_true(world_until(w, [&] { return k.got.find("hello") != std::string::npos; }));
    test_has_text(k.got, "Connection: keep-alive");
    test_false(k.ended);
    raw_close(k);
}

static void bodies_of_both_framings_at_every_split(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = echo_body;
    static constexpr std::string_view request =
        "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde"
        "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfg\r\n3;e=1\r\nhij\r\n0\r\n\r\n"
        "GET /y HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for (size_t split = 1; split < request.size(); split += 3) {
        raw_client c;
        raw_open(w, c);
        raw_send(c, request.substr(0, split));
        uv_env_poll(*w.e, 1);
        raw_send(c, request.substr(split));
        if (!world_until(w, [&] { return c.ended || c.failed; }))
            test_fail("split %zu: no end, got %s", split, c.got.c_str());
        size_t first = c.got.find("abcde");
        size_t second = c.got.find("fghij");
        if (first == std::string::npos || second == std::string::npos || second < first)
            test_fail("split %zu: %s", split, c.got.c_str());
        raw_close(c);
    }
}

// A long chunk goes past the decoder's buffer; what surrounds it is decoded all the same.
static void long_chunks_arrive_whole(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = echo_body;
    std::string body;
    std::string framed;
    for (size_t size : {size_t{3}, size_t{200'000}, size_t{16'384}, size_t{1}, size_t{70'000}}) {
        std::string chunk(size, static_cast<char>('a' + body.size() % 23));
        for (size_t i = 0; i < size; i += 97)
            chunk[i] = static_cast<char>('A' + i % 26);
        framed += text_format("%zx\r\n", size) + chunk + "\r\n";
        body += chunk;
    }
    for (size_t piece : {size_t{1'000'000}, size_t{9'973}, size_t{65'536}}) {
        raw_client c;
        raw_open(w, c);
        std::string request = "POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + framed +
                              "0\r\n\r\n";
        for (size_t at = 0; at < request.size(); at += piece) {
            raw_send(c, std::string_view(request).substr(at, piece));
            uv_env_poll(*w.e, 1);
        }
        test_true(world_until(w, [&] { return c.ended || c.failed; }));
        test_true(c.got.find(body) != std::string::npos);
        raw_close(c);
    }
}

static void bad_heads_are_refused_and_closed(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = say_hello;
    struct row {
        std::string text;
        const char *status;
    };
    const row rows[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", " 400 "},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", " 400 "},
        {"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", " 400 "},
        {"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", " 400 "},
        {"GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n", " 400 "},
        {"GET / HTTP/1.1\r\n\r\n", " 400 "},
        {"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", " 400 "},
        {"GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n", " 414 "},
        {"GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(70 * 1024, 'a') + "\r\n\r\n", " 431 "},
        {"\x16\x03\x01 tls hello\r\n\r\n", " 400 "},
    };
    for (const row &r : rows) {
        raw_client c;
        raw_open(w, c);
        raw_send(c, r.text);
        if (!world_until(w, [&] { return c.ended || c.failed; }))
            test_fail("no end after %.60s", r.text.c_str());
        if (c.got.find(r.status) == std::string::npos)
            test_fail("%.60s: expected%s, got %.200s", r.text.c_str(), r.status, c.got.c_str());
        test_has_text(c.got, "Connection: close");
        raw_close(c);
    }
    test_eq(w.count, 0);
}

static void bad_chunk_is_refused(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = echo_body;
    raw_client c;
    raw_open(w, c);
    raw_send(c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n");
    test_true(world_until(w, [&] { return c.ended || c.failed; }));
    test_has_text(c.got, " 400 ");
    raw_close(c);
    test_true(world_until(w, [&] { return http_server_count(*w.server).connections == 0; }));
    world_check_trace("exchange", "A chunked body with a bad size");
}

static void refuse_early(http_world &, exchange &x) { exchange_answer_error(x, error_code::bad_request, "no thanks"); }

// The status decides what clients repeat, so the body must not say otherwise.
static void retryable_follows_the_status(void **state)
{
    struct row {
        error_code code;
        int status; // 0: the table's
        bool is_retryable;
    };
    static constexpr row rows[] = {{error_code::timed_out, 0, true}, {error_code::timed_out, 400, false}, {error_code::pod_gone, 0, true},
        {error_code::pod_gone, 400, false}, {error_code::pod_gone, 503, true}, {error_code::bad_request, 429, true},
        {error_code::request_timeout, 0, true}, {error_code::bad_pod_answer, 500, false}, {error_code::no_space, 0, false}};
    static const row *current = nullptr;
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = [](http_world &, exchange &x) { exchange_answer_error(x, current->code, "why", current->status); };
    for (const row &one : rows) {
        current = &one;
        raw_client c;
        raw_open(w, c);
        raw_send(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        test_true(world_until(w, [&] { return c.ended; }));
        test_has_text(c.got, one.is_retryable ? "\"retryable\":true" : "\"retryable\":false");
        raw_close(c);
        test_true(world_until(w, [&] { return http_server_count(*w.server).connections == 0; }));
    }
}

static void an_early_answer_discards_the_body(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = refuse_early;
    raw_client c;
    raw_open(w, c);
    std::string body(3 << 20, 'z');
    raw_send(c, "PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
    raw_send(c, body);
    test_true(world_until(w, [&] { return c.got.find("no thanks") != std::string::npos; }));
    raw_send(c, "GET /y HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); // the connection continues
    test_true(world_until(w, [&] { return c.ended; }));
    test_eq(w.count, 2);
    raw_close(c);
    test_true(world_until(w, [&] { return http_server_count(*w.server).connections == 0; }));
    world_check_trace("exchange", "An answer before the body: the body is discarded, the connection goes on");
}

static void expect_continue_is_answered_when_the_body_is_wanted(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = echo_body;
    raw_client c;
    raw_open(w, c);
    raw_send(c, "PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    test_true(world_until(w, [&] { return c.got.find("100 Continue") != std::string::npos; }));
    raw_send(c, "abc");
    test_true(world_until(w, [&] { return c.got.find("\r\n\r\nabc") != std::string::npos; }));
    raw_close(c);
    w.handler = refuse_early;
    raw_client d;
    raw_open(w, d);
    raw_send(d, "PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    test_true(world_until(w, [&] { return d.got.find("no thanks") != std::string::npos; }));
    test_true(d.got.find("100 Continue") == std::string::npos);
    test_has_text(d.got, "Connection: close");
    raw_close(d);
}

static void gone(void *arg)
{
    http_world &w = *static_cast<http_world *>(arg);
    w.note = "gone";
}
static void hold(http_world &w, exchange &x)
{
    w.held = &x;
    exchange_on_gone(x, gone, &w, true);
}

static void a_vanished_client_is_noticed_and_may_still_be_answered(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = hold;
    raw_client c;
    raw_open(w, c);
    raw_send(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    test_true(world_until(w, [&] { return w.held != nullptr; }));
    raw_close(c);
    test_true(world_until(w, [&] { return w.note == "gone"; }));
    test_true(exchange_is_gone(*w.held));
    exchange_answer_text(*w.held, "into the void");
    uv_env_poll(*w.e, 5);
    test_eq(http_server_count(*w.server).connections, 0u);
    test_true(world_until(w, [&] { return http_server_count(*w.server).connections == 0; }));
    world_check_trace("exchange", "The client goes while the handler works");
}

// The end of the last request is told once the server drains, and not before.
static void the_last_request_is_reported(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.server->options.on_idle = [](void *arg) { static_cast<http_world *>(arg)->note = "idle"; };
    w.handler = say_hello;
    raw_client idle;
    raw_open(w, idle);
    raw_send(idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    test_true(world_until(w, [&] { return idle.got.find("hello") != std::string::npos; }));
    test_eq_text(w.note, "");
    w.handler = hold;
    raw_client waits;
    raw_open(w, waits);
    raw_send(waits, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    test_true(world_until(w, [&] { return w.held != nullptr; }));
    http_server_drain(*w.server);
    test_eq_text(w.note, "");
    test_eq(http_server_in_flight(*w.server), 1u);
    exchange_answer_text(*w.held, "last");
    test_true(world_until(w, [&] { return w.note == "idle"; }));
    test_true(world_until(w, [&] { return waits.got.find("last") != std::string::npos; }));
    test_true(world_until(w, [&] { return http_server_count(*w.server).connections == 0; }));
    raw_close(idle);
    raw_close(waits);
}

static void stream_two(http_world &, exchange &x)
{
    exchange_stream_begin(x, answer{}, false, 0);
    exchange_stream_end(x, false);
}

static void a_cut_stream_never_looks_complete(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = stream_two;
    raw_client c;
    raw_open(w, c);
    raw_send(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    test_true(world_until(w, [&] { return c.ended || c.failed; }));
    test_true(c.got.find("0\r\n\r\n") == std::string::npos);
    raw_close(c);
    raw_client old;
    raw_open(w, old);
    raw_send(old, "GET / HTTP/1.0\r\n\r\n");
    test_true(world_until(w, [&] { return old.ended || old.failed; }));
    test_true(old.failed); // a reset, not an end
    raw_close(old);
    test_true(world_until(w, [&] { return http_server_count(*w.server).connections == 0; }));
    world_check_trace("exchange", "Streamed answers that are cut, to a client of 1.1 and one of 1.0");
}

static void head_has_no_body(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = refuse_early;
    raw_client c;
    raw_open(w, c);
    raw_send(c, "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    test_true(world_until(w, [&] { return c.ended; }));
    test_has_text(c.got, "Hdr-Error: {");
    test_eq_text(std::string_view(c.got).substr(c.got.size() - 4), "\r\n\r\n");
    raw_close(c);
}

static void request_ids_are_kept_or_made(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = say_hello;
    raw_client c;
    raw_open(w, c);
    raw_send(c, "GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: my-id.1\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: bad "
                "id\r\nConnection: close\r\n\r\n");
    test_true(world_until(w, [&] { return c.ended; }));
    test_has_text(c.got, "X-Request-Id: my-id.1\r\n");
    test_true(c.got.find("bad id") == std::string::npos);
    raw_close(c);
}

static void hold_body(http_world &w, exchange &x)
{
    w.held = &x;
    exchange_read_all(x, 1 << 20, echo_body_done, &x);
}

// The deadline of a body runs from its last byte: trickling framing does not extend it.
static void a_chunk_size_that_drips_has_a_deadline(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = hold_body;
    raw_client c;
    raw_open(w, c);
    raw_send(c, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
    test_true(world_until(w, [&] { return w.held != nullptr && w.held->deadline_ms != 0; }));
    uint64_t first = w.held->deadline_ms;
    for (std::string_view piece : {"0", "0", "3", ";", "a", "b", "\r", "\n"}) {
        uint64_t at = clock_now_ms(*w.e);
        raw_send(c, piece);
        test_true(world_until(w, [&] { return clock_now_ms(*w.e) > at + 10 && w.held->deadline_ms != 0; }));
        test_eq(w.held->deadline_ms, first);
    }
    raw_send(c, "x");
    test_true(world_until(w, [&] { return w.held->body_read == 1 && w.held->deadline_ms != 0; }));
    test_true(w.held->deadline_ms > first);
    raw_send(c, "yz\r\n0\r\nT");
    test_true(world_until(w, [&] { return w.held->body_read == 3 && w.held->deadline_ms != 0; }));
    uint64_t behind = w.held->deadline_ms;
    for (std::string_view piece : {":", "v", "v", "\r", "\n", "\r"}) {
        uint64_t at = clock_now_ms(*w.e);
        raw_send(c, piece);
        test_true(world_until(w, [&] { return clock_now_ms(*w.e) > at + 10 && w.held->deadline_ms != 0; }));
        test_eq(w.held->deadline_ms, behind);
    }
    raw_send(c, "\n");
    test_true(world_until(w, [&] { return c.ended || c.failed; }));
    test_has_text(c.got, "\r\n\r\nxyz");
    raw_close(c);
}

// Above the limit a client gets an answer, whatever it has sent: its unread request must not discard the answer.
static void too_many_connections_are_reported(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    http_server_options options;
    options.node_id = "t1234567";
    options.connections_max = 2;
    options.on_request = world_on_request;
    options.arg = &w;
    http_server *server = nullptr;
    test_ok(http_server_start(*w.e, options, "127.0.0.1", 0, &server));
    uint16_t usual = w.port;
    w.port = http_server_port(*server);
    w.handler = say_hello;
    raw_client kept[2];
    for (raw_client &k : kept)
        raw_open(w, k);
    test_true(world_until(w, [&] { return http_server_count(*server).connections == 2; }));
    for (int i = 0; i < 3; i++) {
        raw_client c;
        c.paused = true; // sends everything before it reads
        raw_open(w, c);
        raw_send(c, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + std::string(100'000, 'b'));
        uv_env_poll(*w.e, 50);
        raw_readable(&c);
        test_true(world_until(w, [&] { return c.ended || c.failed; }));
        test_true(c.ended);
        test_has_text(c.got, "HTTP/1.1 503 ");
        test_has_text(c.got, "Retry-After: ");
        test_has_text(c.got, "too many connections");
        raw_close(c);
    }
    test_eq(http_server_count(*server).refused, 3u);
    raw_send(kept[0], "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); // connections with a slot are served
    test_true(world_until(w, [&] { return kept[0].got.find("hello") != std::string::npos; }));
    test_true(world_until(w, [&] { return http_server_count(*server).connections == 2; }));
    for (raw_client &k : kept)
        raw_close(k);
    w.port = usual;
    http_server_stop(*server);
    uv_env_poll(*w.e, 5);
}

static void note_error(void *arg, error err, std::string)
{
    exchange &x = *static_cast<exchange *>(arg);
    exchange_answer_error(x, err.code, error_text(err));
}

// How long a body may pause is set for one request and applies only to that one.
static void a_body_may_pause_as_long_as_was_set(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = [](http_world &, exchange &x) {
        if (exchange_head(x).path == "/short")
            exchange_set_body_patience(x, 50);
        exchange_read_all(x, 100, note_error, &x);
    };
    raw_client c;
    raw_open(w, c);
    raw_send(c, "PUT /short HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    test_true(world_until(w, [&] { return c.got.find("408") != std::string::npos; })); // the default for a client would be 30 s
    raw_close(c);
    raw_client d;
    raw_open(w, d);
    raw_send(d, "PUT /usual HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab");
    uint64_t began = clock_now_ms(*w.e);
    test_true(world_until(w, [&] { return clock_now_ms(*w.e) - began > 200; }));
    test_eq_text(d.got, "");
    raw_send(d, "c");
    test_true(world_until(w, [&] { return d.got.find("success") != std::string::npos; }));
    raw_close(d);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_body_may_pause_as_long_as_was_set, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(keep_alive_and_pipelining, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(http_1_0_closes_unless_asked, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(bodies_of_both_framings_at_every_split, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(long_chunks_arrive_whole, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(bad_heads_are_refused_and_closed, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(bad_chunk_is_refused, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(retryable_follows_the_status, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(an_early_answer_discards_the_body, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(expect_continue_is_answered_when_the_body_is_wanted, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_vanished_client_is_noticed_and_may_still_be_answered, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_cut_stream_never_looks_complete, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(the_last_request_is_reported, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(head_has_no_body, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(request_ids_are_kept_or_made, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_chunk_size_that_drips_has_a_deadline, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(too_many_connections_are_reported, world_set_up, world_tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
