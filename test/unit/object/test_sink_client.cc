// SPDX-License-Identifier: MIT
// A client as a sink, and a call's answer as a source: a commit makes the answer whole, and an abandoned answer is a refusal or cut.
#include <string>

#include "../http/scripted_server.h"

#include "base/text.h"
#include "codec/http_write.h"
#include "http/pump.h"
#include "object/sink.h"
#include "object/source.h"

using namespace etlnode;

// One answer to one client.
struct answering {
    sink to;
    source from;
    pump *p = nullptr;
    bool pumped = false;
    error pump_err;
    call *asked = nullptr; // until its head has come
};
static answering a;

static void keep_exchange(http_world &w, exchange &x)
{
    w.held = &x;
    a = answering{};
    a.to = sink_client(x);
}

static void client_asks(http_world &w, raw_client &c, const char *method = "GET")
{
    w.handler = keep_exchange;
    w.held = nullptr;
    raw_open(w, c);
    raw_send(c, std::string(method) + " /o HTTP/1.1\r\nHost: t1\r\nConnection: close\r\n\r\n");
    test_true(world_until(w, [&] { return w.held != nullptr; }));
}

static std::string client_got(http_world &w, raw_client &c)
{
    test_true(world_until(w, [&] { return c.ended || c.failed; }));
    raw_close(c);
    return c.got;
}

static void on_pumped(void *, error err, uint64_t)
{
    a.p = nullptr;
    a.pumped = true;
    a.pump_err = err;
}

static void pump_all(http_world &w)
{
    pump_options options;
    options.source_timeout_ms = a.from.patience_ms;
    options.sink_timeout_ms = a.to.patience_ms;
    options.on_done = on_pumped;
    a.p = pump_start(*w.e, sink_stream(a.to), a.from.from, std::move(options));
    test_true(world_until(w, [&] { return a.pumped; }));
}

static void what_is_committed_is_whole(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    for (size_t size : {size_t{0}, size_t{5}, size_t{2'000'000}}) {
        for (bool is_known : {true, false}) {
            raw_client c;
            client_asks(w, c);
            a.from = source_memory(*w.e, std::string(size, 'x'), {});
            test_false(sink_is_seen(a.to));
            sink_begin(a.to, {.size = is_known ? size : stream_size_unknown, .status = 203, .headers = "X-One: 1\r\n"});
            test_true(sink_is_seen(a.to));
            pump_all(w);
            test_ok(a.pump_err);
            sink_commit_now(a.to);
            test_false(sink_is_open(a.to));
            source_close(a.from);
            std::string got = client_got(w, c);
            test_true(c.ended && !c.failed);
            test_has_text(got, "HTTP/1.1 203 ");
            test_has_text(got, "X-One: 1\r\n");
            std::string body = is_known ? std::string(size, 'x') : "\r\n0\r\n\r\n";
            test_true(got.ends_with(body));
            test_has_text(got, is_known ? text_format("Content-Length: %zu\r\n", size) : "Transfer-Encoding: chunked\r\n");
        }
    }
}

static void a_whole_answer_goes_out_with_the_commit(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    raw_client c;
    client_asks(w, c);
    test_true(sink_takes_answer(a.to));
    sink_head head = {.size = 3, .headers = "X-One: 1\r\n"};
    std::string bytes = "abc";
    sink_answer(a.to, head, bytes);
    uv_env_poll(*w.e, 20);
    test_eq_text(c.got, "");
    test_false(sink_is_seen(a.to)); // it may still be refused
    sink_commit_now(a.to);
    std::string got = client_got(w, c);
    test_has_text(got, "X-One: 1\r\n");
    test_true(got.ends_with("\r\n\r\nabc"));
    // A head alone says how large the body would be.
    raw_client bodyless;
    client_asks(w, bodyless, "HEAD");
    sink_head alone = {.size = 7, .is_bodyless = true};
    bytes.clear();
    sink_answer(a.to, alone, bytes);
    sink_commit_now(a.to);
    got = client_got(w, bodyless);
    test_has_text(got, "Content-Length: 7\r\n");
    test_true(got.ends_with("\r\n\r\n"));
}

static void what_is_refused_is_reported(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    for (bool has_answer : {false, true}) {
        raw_client c;
        client_asks(w, c);
        sink_head head = {.size = 3};
        std::string bytes = "abc";
        if (has_answer)
            sink_answer(a.to, head, bytes);
        sink_refuse(a.to, {error_code::overloaded, "come back later", 429, "Retry-After: 7\r\n"});
        test_false(sink_is_open(a.to));
        std::string got = client_got(w, c);
        test_has_text(got, "HTTP/1.1 429 ");
        test_has_text(got, "Retry-After: 7\r\n");
        test_has_text(got, "come back later");
    }
}

// After the first byte it is too late for words. Whatever the framing, the client must not take a part for the whole.
static void what_is_abandoned_is_cut(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    for (bool is_known : {true, false}) {
        raw_client c;
        client_asks(w, c);
        a.from = source_memory(*w.e, "abc", {});
        sink_begin(a.to, {.size = is_known ? 4 : stream_size_unknown});
        pump_all(w);
        test_true(world_until(w, [&] { return c.got.find("abc") != std::string::npos; }));
        sink_refuse(a.to, {error_code::internal, "too late for words"});
        source_close(a.from);
        std::string got = client_got(w, c);
        test_true(c.failed);
        test_true(got.find("too late") == std::string::npos);
        test_false(got.ends_with("0\r\n\r\n"));
    }
    raw_client gone;
    client_asks(w, gone);
    raw_close(gone);
    test_true(world_until(w, [&] { return true; }));
    sink_abandon(a.to); // nobody is there to read a refusal
    uv_env_poll(*w.e, 5);
}

static void a_client_may_be_one_of_two(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    for (bool is_first : {true, false}) {
        raw_client c;
        client_asks(w, c);
        sink other = sink_discard(*w.e);
        a.to = is_first ? sink_tee(a.to, other) : sink_tee(other, a.to);
        test_false(sink_takes_answer(a.to));
        a.from = source_memory(*w.e, "abc", {});
        sink_begin(a.to, {.size = 3});
        test_true(sink_is_seen(a.to));
        pump_all(w);
        int committed = 0;
        test_false(sink_commits_at_once(a.to));
        sink_commit(
            a.to, [](void *arg, const sink_outcome &outcome) { *static_cast<int *>(arg) += outcome.err ? 100 : 1; }, &committed);
        test_true(world_until(w, [&] { return committed > 0; }));
        test_eq(committed, 1);
        a.to = sink{};
        source_close(a.from);
        test_true(client_got(w, c).ends_with("\r\n\r\nabc"));
    }
    raw_client c;
    client_asks(w, c);
    a.to = sink_tee(sink_discard(*w.e), a.to);
    sink_refuse(a.to, {error_code::unavailable, "not now"});
    test_has_text(client_got(w, c), "not now");
    uv_env_poll(*w.e, 5);
}

// ---- a call's answer

static void on_head(void *, call &c, const http_head &)
{
    a.asked = nullptr;
    a.from = source_call(c, 1'000);
}

static void ask_pod(http_world &w, scripted_server &s)
{
    call_options options;
    options.host = "127.0.0.1";
    options.port = s.port;
    options.on_head = on_head;
    a.asked = call_start(*w.client, std::move(options));
    test_true(world_until(w, [&] { return source_is_open(a.from); }));
    test_eq(a.from.patience_ms, 1'000u);
    test_eq(a.from.facts.pause_ms, 1'000u);
}

static void an_answer_is_passed_on(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    scripted_server s;
    s.then = after::keep;
    s.script = "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + std::string(300'000, 'y');
    script_start(w, s);
    for (int i = 1; i <= 2; i++) {
        raw_client c;
        client_asks(w, c);
        ask_pod(w, s);
        sink_begin(a.to, {});
        pump_all(w);
        test_ok(a.pump_err);
        source_close(a.from); // at its end, so the connection is used again
        sink_commit_now(a.to);
        std::string got = client_got(w, c);
        test_true(got.size() > 300'000 && got.ends_with("\r\n0\r\n\r\n"));
        test_eq(s.requests, i);
        test_eq(s.connections, 1);
    }
    // Closed before its end, the connection is not used again: the rest of this answer must not begin the next one.
    raw_client c;
    client_asks(w, c);
    ask_pod(w, s);
    source_close(a.from);
    sink_refuse(a.to, {error_code::internal, "enough"});
    test_has_text(client_got(w, c), "enough");
    raw_client again;
    client_asks(w, again);
    ask_pod(w, s);
    test_eq(s.connections, 2);
    source_close(a.from);
    sink_refuse(a.to, {error_code::internal, "enough"});
    client_got(w, again);
    script_stop(s);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_committed_is_whole, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_whole_answer_goes_out_with_the_commit, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(what_is_refused_is_reported, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(what_is_abandoned_is_cut, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_client_may_be_one_of_two, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(an_answer_is_passed_on, world_set_up, world_tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
