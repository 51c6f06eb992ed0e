// SPDX-License-Identifier: MIT
// The body of a request that is pushed: complete in either framing, from memory, from a file or from a socket; or cut, and never taken as
// complete.
#include <algorithm>
#include <cstdio>
#include <string>
#include <unistd.h>

#include "scripted_server.h"

#include "http/pump.h"

using namespace etlnode;

// A test source: gives `content` in pieces, stops after `gives` bytes, as a file or from memory.
struct text_source {
    env *e = nullptr;
    std::string content;
    size_t piece = 50'000;
    size_t gives = SIZE_MAX; // then it stalls
    size_t at = 0;
    disk_file *file = nullptr;
    net_on_ready on_ready = nullptr;
    void *ready_arg = nullptr;
};

static text_source &source_of(void *self) { return *static_cast<text_source *>(self); }

static pull_result source_pull(void *self, net_relay *, bool takes_file)
{
    text_source &s = source_of(self);
    if (s.at == s.content.size())
        return {pull_state::end, {}, 0, no_error};
    size_t count = std::min({s.piece, s.content.size() - s.at, s.gives - std::min(s.gives, s.at)});
    if (count == 0)
        return {pull_state::again, {}, 0, no_error};
    size_t at = s.at;
    s.at += count;
    if (s.file != nullptr && takes_file)
        return {pull_state::file, {}, count, no_error, s.file, at};
    return {pull_state::bytes, std::string_view(s.content).substr(at, count), count, no_error};
}

static void source_ready(void *arg)
{
    text_source &s = source_of(arg);
    net_on_ready on_ready = s.on_ready;
    s.on_ready = nullptr;
    if (on_ready != nullptr)
        on_ready(s.ready_arg);
}

static void source_wait(void *self, net_on_ready on_ready, void *arg)
{
    text_source &s = source_of(self);
    s.on_ready = on_ready;
    s.ready_arg = arg;
    if (s.at < s.gives)
        clock_post(*s.e, source_ready, &s);
}

static void source_wait_cancel(void *self) { source_of(self).on_ready = nullptr; }
static uint64_t source_progress_ms(const void *) { return 0; }
static const char *source_stall_text(const void *) { return "timeout: the source stopped"; }
static constexpr stream_from_ops source_ops = {false, source_pull, source_wait, source_wait_cancel, source_progress_ms, source_stall_text};

// One request whose body is pumped, and the result on both sides.
struct pushing {
    http_world *w = nullptr;
    call *c = nullptr;
    pump *p = nullptr;
    bool pumped = false;
    error pump_err;
    uint64_t bytes = 0;
    outcome o;
    // The server.
    bool received = false;
    error receive_err;
    std::string body;
    std::string framing; // as received
};
static pushing push;

static void on_received(void *arg, error err, std::string body)
{
    push.received = true;
    push.receive_err = err;
    push.body = std::move(body);
    exchange &x = *static_cast<exchange *>(arg);
    if (err)
        exchange_answer_error(x, err.code, error_text(err));
    else
        exchange_answer_text(x, "taken");
}

static void take_request(http_world &, exchange &x)
{
    push.framing = std::string(http_head_get(exchange_head(x), "Content-Length")) + "|" +
                   std::string(http_head_get(exchange_head(x), "Transfer-Encoding"));
    exchange_read_all(x, 64 * mib, on_received, &x);
}

static void on_pumped(void *, error err, uint64_t bytes)
{
    push.p = nullptr;
    push.pumped = true;
    push.pump_err = err;
    push.bytes = bytes;
    if (!err && push.c != nullptr)
        call_body_end(*push.c);
}

static void on_answered(void *, call &, error err, int status, std::string body)
{
    push.c = nullptr;
    if (push.p != nullptr)
        pump_cancel(*push.p); // its end is about to be freed
    push.p = nullptr;
    push.o = {true, err, status, std::move(body)};
}

static void begin_push(http_world &w, stream_from from, uint64_t size, uint16_t port, uint64_t patience_ms = 10'000)
{
    push = pushing{};
    push.w = &w;
    call_options options;
    options.host = "127.0.0.1";
    options.port = port;
    options.method = "PUT";
    options.streams_body = true;
    options.body_size = size;
    options.answer_size_max = 1 << 20;
    options.progress_timeout_ms = 10'000;
    options.on_done = on_answered;
    push.c = call_start(*w.client, std::move(options));
    pump_options pumping;
    pumping.source_timeout_ms = patience_ms;
    pumping.sink_timeout_ms = patience_ms;
    pumping.on_done = on_pumped;
    push.p = pump_start(*w.e, call_body_stream(*push.c), from, std::move(pumping));
}

static void end_push(http_world &w)
{
    if (push.p != nullptr)
        pump_cancel(*push.p);
    if (push.c != nullptr)
        call_cancel(*push.c);
    push.p = nullptr;
    push.c = nullptr;
    uv_env_poll(*w.e, 5);
}

static std::string content_of_size(size_t size)
{
    std::string out(size, '\0');
    for (size_t i = 0; i < size; i++)
        out[i] = static_cast<char>(i * 31 + i / 251);
    return out;
}

static void is_whole_in_either_framing(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = take_request;
    for (size_t size : {size_t{0}, size_t{1}, size_t{49'999}, size_t{50'000}, size_t{3'000'000}}) {
        for (bool is_announced : {true, false}) {
            text_source source{w.e, content_of_size(size)};
            begin_push(w, {&source_ops, &source}, is_announced ? size : stream_size_unknown, w.port);
            test_true(world_until(w, [&] { return push.o.done; }));
            test_ok(push.pump_err);
            test_ok(push.o.err);
            test_eq(push.o.status, 200);
            test_eq(push.bytes, size);
            test_eq_text(push.framing, is_announced ? std::to_string(size) + "|" : std::string("|chunked"));
            test_true(push.body == source.content);
            end_push(w);
        }
    }
}

static void many_small_pieces_are_one_body(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = take_request;
    text_source source{w.e, content_of_size(2'000), 7};
    begin_push(w, {&source_ops, &source}, stream_size_unknown, w.port);
    test_true(world_until(w, [&] { return push.o.done; }));
    test_ok(push.o.err);
    test_true(push.body == source.content);
    end_push(w);
}

// The connection of an abandoned request breaks: in neither framing does the request look complete.
static void is_never_whole_when_it_is_abandoned(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = take_request;
    for (bool is_announced : {true, false}) {
        text_source source{w.e, content_of_size(200'000)};
        source.gives = 100'000;
        begin_push(w, {&source_ops, &source}, is_announced ? 200'000 : stream_size_unknown, w.port);
        test_true(world_until(w, [&] { return source.at == source.gives && !push.framing.empty(); }));
        end_push(w);
        test_true(world_until(w, [&] { return push.received; }));
        test_true(static_cast<bool>(push.receive_err));
        test_true(push.body.empty());
        test_true(!push.o.done);
    }
}

static void a_source_that_stalls_is_reported_by_the_pump(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = take_request;
    text_source source{w.e, content_of_size(1'000)};
    source.gives = 10;
    begin_push(w, {&source_ops, &source}, 1'000, w.port, 100);
    test_true(world_until(w, [&] { return push.pumped; }));
    test_eq_enum(push.pump_err.code, error_code::timed_out);
    test_eq_text(error_text(push.pump_err), "timeout: the source stopped");
    test_true(!push.o.done); // the call itself has not waited
    end_push(w);
    test_true(world_until(w, [&] { return push.received; }));
    test_true(static_cast<bool>(push.receive_err));
}

static void a_server_that_takes_nothing_is_reported_by_the_pump(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = [](http_world &world, exchange &x) { world.held = &x; };
    text_source source{w.e, content_of_size(32 * mib)};
    begin_push(w, {&source_ops, &source}, stream_size_unknown, w.port, 200);
    test_true(world_until(w, [&] { return push.pumped; }));
    test_eq_enum(push.pump_err.code, error_code::timed_out);
    test_eq_text(error_text(push.pump_err), "the other node takes nothing");
    end_push(w);
    exchange_answer(*w.held, answer{});
}

static void an_early_answer_is_heard(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = [](http_world &, exchange &x) { exchange_answer_error(x, error_code::no_space, "full"); };
    text_source source{w.e, content_of_size(100'000)};
    source.gives = 50'000;
    begin_push(w, {&source_ops, &source}, 100'000, w.port);
    test_true(world_until(w, [&] { return push.o.done; }));
    test_ok(push.o.err);
    test_eq(push.o.status, 507);
    test_true(!push.pumped);
    end_push(w);
}

static void nobody_listens(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    scripted_server s;
    script_start(w, s);
    script_stop(s);
    text_source source{w.e, content_of_size(10)};
    begin_push(w, {&source_ops, &source}, 10, s.port);
    test_true(world_until(w, [&] { return push.o.done; }));
    test_eq_enum(push.o.err.code, error_code::refused);
    end_push(w);
}

// --- out of a file

struct opened {
    bool done = false;
    error err;
    disk_file *file = nullptr;
};

static void on_opened(void *arg, error err, disk_file *file, uint64_t) { *static_cast<opened *>(arg) = {true, err, file}; }

static void goes_out_of_a_file(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = take_request;
    char path[] = "/tmp/streamed-request-XXXXXX";
    int fd = mkstemp(path);
    test_true(fd >= 0);
    text_source source{w.e, content_of_size(700'001)};
    source.piece = 300'000;
    test_eq(write(fd, source.content.data(), source.content.size()), static_cast<ssize_t>(source.content.size()));
    close(fd);
    opened o;
    disk_open(*w.e, path, disk_open_mode::read, on_opened, &o);
    test_true(world_until(w, [&] { return o.done; }));
    test_ok(o.err);
    source.file = o.file;
    for (uint64_t size : {uint64_t{700'001}, stream_size_unknown}) {
        source.at = 0;
        begin_push(w, {&source_ops, &source}, size, w.port);
        test_true(world_until(w, [&] { return push.o.done; }));
        test_ok(push.o.err);
        test_true(push.body == source.content);
        end_push(w);
    }
    // Shorter than before: the request is incomplete.
    test_eq(truncate(path, 100), 0);
    source.at = 0;
    begin_push(w, {&source_ops, &source}, 700'001, w.port);
    test_true(world_until(w, [&] { return push.pumped; }));
    test_eq_enum(push.pump_err.code, error_code::corrupt);
    test_eq_text(push.pump_err.what, "the content is shorter than it was");
    end_push(w);
    test_true(world_until(w, [&] { return push.received; }));
    test_true(static_cast<bool>(push.receive_err));
    disk_close(*w.e, o.file);
    unlink(path);
}

// --- from another socket

static call *giver;
static void on_giver_head(void *, call &c, const http_head &) { giver = &c; }
static void on_giver_done(void *, call &, error, int, std::string) { giver = nullptr; }

static void goes_from_socket_to_socket(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    w.handler = take_request;
    std::string content = content_of_size(1'500'000);
    struct row {
        const char *head;
        after then;
        bool is_cut;
    };
    static const row rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 1500000\r\n\r\n", after::close, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1500001\r\n\r\n", after::close, true},
        {"HTTP/1.0 200 OK\r\n\r\n", after::close, false},
    };
    for (const row &r : rows) {
        scripted_server s;
        s.script = r.head + content;
        s.then = r.then;
        script_start(w, s);
        giver = nullptr;
        call_options options;
        options.host = "127.0.0.1";
        options.port = s.port;
        options.on_head = on_giver_head;
        options.on_done = on_giver_done;
        call_start(*w.client, std::move(options));
        test_true(world_until(w, [&] { return giver != nullptr; }));
        begin_push(w, call_stream(*giver), stream_size_unknown, w.port);
        test_true(world_until(w, [&] { return push.pumped; }));
        test_true(static_cast<bool>(push.pump_err) == r.is_cut);
        if (r.is_cut) {
            end_push(w);
            call_cancel(*giver);
            test_true(world_until(w, [&] { return push.received; }));
            test_true(static_cast<bool>(push.receive_err));
        } else {
            test_true(world_until(w, [&] { return push.o.done; }));
            test_ok(push.o.err);
            test_true(push.body == content);
            call_close(*giver);
            end_push(w);
        }
        script_stop(s);
        uv_env_poll(*w.e, 5);
    }
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_whole_in_either_framing, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(many_small_pieces_are_one_body, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(is_never_whole_when_it_is_abandoned, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_source_that_stalls_is_reported_by_the_pump, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_server_that_takes_nothing_is_reported_by_the_pump, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(an_early_answer_is_heard, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(nobody_listens, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(goes_out_of_a_file, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(goes_from_socket_to_socket, world_set_up, world_tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
