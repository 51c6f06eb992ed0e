// SPDX-License-Identifier: MIT
// Another target as a sink: when it says so, it has stored the object; of a request that breaks off it stores nothing.
#include <string>

#include "../http/scripted_server.h"

#include "codec/http_write.h"
#include "http/pump.h"
#include "object/sink.h"
#include "object/source.h"

using namespace etlnode;

struct sending {
    source from;
    sink to;
    pump *p = nullptr;
    bool pumped = false;
    error pump_err;
    int committed = 0;
    sink_outcome outcome;
    // The other target.
    bool received = false;
    error receive_err;
    std::string body, head;
    int status = 200;
    std::string code;
};
static sending s;

static void on_received(void *arg, error err, std::string body)
{
    exchange &x = *static_cast<exchange *>(arg);
    s.received = true;
    s.receive_err = err;
    s.body = std::move(body);
    error_code code = error_code::internal;
    if (!s.code.empty() && error_code_from_name(s.code, code))
        exchange_answer_error(x, code, "said the other one");
    else
        exchange_answer(x, answer{});
}

static void take_object(http_world &, exchange &x)
{
    const http_head &head = exchange_head(x);
    s.head = std::string(head.method) + " " + std::string(head.target);
    for (const char *name : {"Content-Length", "Transfer-Encoding", "Content-Type", "Ais-Checksum-Type", "Ais-Checksum-Value",
             "Etlnode-Cluster-Secret", "Etlnode-Pause"})
        s.head += "|" + std::string(http_head_get(head, name));
    exchange_read_all(x, 64 * mib, on_received, &x);
}

static void refuse_at_once(http_world &, exchange &x)
{
    s.received = true;
    error_code code = error_code::internal;
    if (s.code.empty() || !error_code_from_name(s.code, code))
        exchange_answer(x, answer{});
    else
        exchange_answer_error(x, code, "said the other one");
}

static void on_pumped(void *, error err, uint64_t)
{
    s.p = nullptr;
    s.pumped = true;
    s.pump_err = err;
}

static void on_committed(void *, const sink_outcome &outcome)
{
    s.to = sink{};
    s.committed++;
    s.outcome = outcome;
}

static void begin(http_world &w, std::string content, uint16_t port, sink_head head)
{
    std::string code = s.code;
    s = sending{};
    s.code = code;
    s.from = source_memory(*w.e, std::move(content), {});
    sink_peer_options options;
    options.client = w.client;
    options.host = "127.0.0.1";
    options.port = port;
    options.target = "/v1/objects/b/o?pid=t1&utm=5";
    http_write_header(options.headers, "Etlnode-Cluster-Secret", "hush");
    options.bucket = "b";
    options.name = "o";
    options.node_id = "t1";
    options.peer_id = "t2";
    s.to = sink_peer(*w.e, std::move(options));
    sink_begin(s.to, head);
    pump_options pumping;
    pumping.on_done = on_pumped;
    s.p = pump_start(*w.e, sink_stream(s.to), s.from.from, std::move(pumping));
}

static void release(http_world &w)
{
    if (s.p != nullptr)
        pump_cancel(*s.p);
    s.p = nullptr;
    source_close(s.from);
    sink_abandon(s.to);
    s.code.clear();
    uv_env_poll(*w.e, 5);
}

static void commit(http_world &w)
{
    test_true(world_until(w, [&] { return s.pumped; }));
    test_ok(s.pump_err);
    sink_commit(s.to, on_committed, nullptr);
    test_true(world_until(w, [&] { return s.committed > 0; }));
    test_eq(s.committed, 1);
}

static void the_other_target_gets_all_of_it(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = take_object;
    for (size_t size : {size_t{0}, size_t{5}, size_t{2'000'000}}) {
        std::string content(size, 'x');
        begin(w, content, w.port, {size, "text/plain", true, 0xabcdef});
        commit(w);
        test_ok(s.outcome.err);
        test_true(s.body == content);
        test_eq_text(s.head, "PUT /v1/objects/b/o?pid=t1&utm=5||chunked|text/plain|xxhash2|0000000000abcdef|hush|");
        release(w);
        begin(w, content, w.port, {.pause_ms = 45'000});
        commit(w);
        test_ok(s.outcome.err);
        test_true(s.body == content);
        test_eq_text(s.head, "PUT /v1/objects/b/o?pid=t1&utm=5||chunked||||hush|45000");
        release(w);
    }
}

static void what_is_abandoned_breaks_off(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = take_object;
    for (uint64_t size : {uint64_t{500'000}, stream_size_unknown}) {
        begin(w, std::string(500'000, 'x'), w.port, {.size = size, .content_type = {}});
        test_true(world_until(w, [&] { return !s.head.empty() && s.pumped; }));
        release(w); // all bytes have been sent; only the commit is missing
        test_true(world_until(w, [&] { return s.received; }));
        test_true(static_cast<bool>(s.receive_err));
        test_eq(s.committed, 0);
    }
    sink_peer_options options;
    options.client = w.client;
    sink never_begun = sink_peer(*w.e, std::move(options));
    sink_abandon(never_begun);
    test_false(sink_is_open(never_begun));
}

static void its_refusal_is_reported_in_its_words(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    struct row {
        const char *code;
        error_code reported;
        const char *text;
    };
    static const row rows[] = {
        {"no_space", error_code::no_space, "said the other one"},
        {"checksum_mismatch", error_code::checksum_mismatch, "said the other one"},
        {"bucket_not_found", error_code::bucket_not_found, "said the other one"},
        {"unavailable", error_code::unavailable, "said the other one"},
    };
    for (const row &r : rows) {
        w.handler = take_object;
        s.code = r.code;
        begin(w, "abc", w.port, {3, {}});
        commit(w);
        test_eq_enum(s.outcome.err.code, r.reported);
        test_eq_text(s.outcome.text, r.text);
        release(w);
        // An early answer: the pushing side learns of it.
        w.handler = refuse_at_once;
        s.code = r.code;
        begin(w, std::string(32 * mib, 'x'), w.port, {});
        test_true(world_until(w, [&] { return s.pumped; }));
        if (s.pump_err) {
            test_true(static_cast<bool>(sink_failure(s.to).err));
        } else { // everything was in the kernel's buffers before the answer arrived
            commit(w);
            test_eq_enum(s.outcome.err.code, r.reported);
        }
        release(w);
    }
}

static void an_answer_that_comes_too_early_is_no_success(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = refuse_at_once;
    begin(w, std::string(100, 'x'), w.port, {101, {}}); // one byte will never arrive
    test_true(world_until(w, [&] { return sink_failure(s.to).err.code == error_code::internal; }));
    test_eq_text(sink_failure(s.to).text, "t[t1]: cannot store ais://b/o on target t2: it answered before it had the whole object");
    test_true(s.pumped);
    sink_commit(s.to, on_committed, nullptr);
    test_true(world_until(w, [&] { return s.committed > 0; }));
    test_eq_enum(s.outcome.err.code, error_code::internal);
    release(w);
}

static void one_that_cannot_be_reached_is_unavailable(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    scripted_server closed;
    script_start(w, closed);
    script_stop(closed);
    begin(w, "abc", closed.port, {3, {}});
    test_true(world_until(w, [&] { return s.pumped; }));
    test_true(static_cast<bool>(s.pump_err));
    test_eq_enum(sink_failure(s.to).err.code, error_code::unavailable);
    test_eq_text(sink_failure(s.to).text, "t[t1]: cannot store ais://b/o on target t2: connection refused");
    release(w);
    begin(w, "", closed.port, {0, {}}); // nothing is pushed: the commit reports it
    test_true(world_until(w, [&] { return s.pumped; }));
    sink_commit(s.to, on_committed, nullptr);
    test_true(world_until(w, [&] { return s.committed > 0; }));
    test_eq_enum(s.outcome.err.code, error_code::unavailable);
    release(w);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_other_target_gets_all_of_it, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(what_is_abandoned_breaks_off, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(its_refusal_is_reported_in_its_words, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(an_answer_that_comes_too_early_is_no_success, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(one_that_cannot_be_reached_is_unavailable, world_set_up, world_tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
