// SPDX-License-Identifier: MIT
// The rows of the exchange machine, each on the simulated network: what a client does and does not do in every state, deadlines, and the
// end of the server. What real connections make of it: test_exchange.cc.
#include "../../sim/raw_end.h"

#include "base/limits.h"
#include "base/log.h"
#include "rows_taken.h"

#include "http/http_machines.h"
#include "http/server/exchange.h"

using namespace etlnode;

enum class manner : uint8_t { answer, large_answer, hold, read, stream };

struct fixture {
    sim_world *sim = nullptr;
    sim_host *node = nullptr, *client = nullptr;
    http_server *server = nullptr;
    raw_end c;
    manner how = manner::answer;
    exchange *held = nullptr; // not answered yet
    int requests = 0, gone = 0;
    error body_err;
};

static void on_gone(void *arg) { static_cast<fixture *>(arg)->gone++; }

static void on_body(void *arg, error err, std::string)
{
    fixture &f = *static_cast<fixture *>(arg);
    f.body_err = err;
    exchange_answer_error(*std::exchange(f.held, nullptr), err.code, "the body did not come");
}

static void on_request(void *arg, exchange &x)
{
    fixture &f = *static_cast<fixture *>(arg);
    f.requests++;
    answer a;
    switch (f.how) {
    case manner::answer: a.body = "done"; break;
    case manner::large_answer: a.body = std::string(1'000'000, 'l'); break;
    case manner::hold:
        f.held = &x;
        exchange_on_gone(x, on_gone, &f, true);
        return;
    case manner::read:
        f.held = &x;
        exchange_read_all(x, 1'000, on_body, &f);
        return;
    case manner::stream:
        f.held = &x;
        exchange_on_gone(x, on_gone, &f, true);
        exchange_stream_begin(x, std::move(a), false, 0);
        return;
    }
    exchange_answer(x, std::move(a));
}

static void start_server(fixture &f)
{
    http_server_options options;
    options.node_id = "t1234567";
    options.on_request = on_request;
    options.arg = &f;
    test_ok(http_server_start(f.node->e, options, "10.0.0.1", 8080, &f.server));
}

static int set_up(void **state)
{
    auto *f = new fixture;
    f->sim = sim_make(7);
    f->node = sim_host_make(*f->sim, sim_host_kind::client, "node", "10.0.0.1", memory_empty());
    f->client = sim_host_make(*f->sim, sim_host_kind::client, "client", "10.0.0.2", memory_empty());
    start_server(*f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    auto *f = static_cast<fixture *>(*state);
    raw_close(f->c);
    test_true(f->held == nullptr);
    if (f->server != nullptr)
        http_server_stop(*f->server);
    scripted_pass(*f->sim, 5'000);
    sim_host_free(f->client);
    sim_host_free(f->node);
    scripted_world_free(f->sim);
    delete f;
    return 0;
}

static fixture &of(void **state) { return *static_cast<fixture *>(*state); }
static void pass(fixture &f, uint64_t ms) { scripted_pass(*f.sim, ms); }

static void send(fixture &f, std::string_view bytes)
{
    raw_send(f.c, bytes);
    pass(f, 100);
}

// A connection on which that was sent.
static void open(fixture &f, manner how, std::string_view bytes, bool reads = true)
{
    raw_close(f.c);
    f.how = how;
    raw_open(f.c, *f.client, "10.0.0.1", 8080, reads);
    if (!bytes.empty())
        send(f, bytes);
}

static void stop_server(fixture &f)
{
    http_server_stop(*f.server);
    f.server = nullptr;
    pass(f, 100);
}

static void check_broken(fixture &f)
{
    test_true(scripted_until(
        *f.sim, [&] { return f.c.has_ended || f.c.has_failed; }, 100));
}

static constexpr const char *get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
static constexpr const char *half_post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc";
static constexpr const char *half_post_and_close = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\nConnection: close\r\n\r\nabc";

// --- a head

static void heads_come_in_pieces_on_a_connection_that_is_kept(void **state)
{
    fixture &f = of(state);
    open(f, manner::answer, "GET / HTTP/1.1\r\nHo");
    test_eq(f.requests, 0);
    send(f, "st: h\r\n\r\n");
    test_has_text(f.c.got, "HTTP/1.1 200 OK\r\n");
    send(f, get);
    test_eq(f.requests, 2);
    pass(f, idle_timeout_ms - 1'000);
    test_false(f.c.has_ended);
    pass(f, 1'000);
    test_true(f.c.has_ended); // idle for too long
}

static void a_client_that_wants_no_more_is_left(void **state)
{
    fixture &f = of(state);
    open(f, manner::answer, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    test_has_text(f.c.got, "Connection: close\r\n");
    test_true(f.c.got.ends_with("done"));
    check_broken(f);
}

static void a_head_that_is_none_is_refused(void **state)
{
    fixture &f = of(state);
    open(f, manner::answer, "NONSENSE\r\n\r\n");
    test_has_text(f.c.got, "HTTP/1.1 400 ");
    check_broken(f);
    test_eq(f.requests, 0);
}

static void a_head_that_does_not_end_is_reported(void **state)
{
    fixture &f = of(state);
    open(f, manner::answer, "GET / HTTP/1.1\r\n");
    pass(f, head_timeout_ms);
    test_has_text(f.c.got, "HTTP/1.1 408 ");
    open(f, manner::answer, "");
    raw_close(f.c); // one that never says anything
    pass(f, 100);
    test_eq(http_server_count(*f.server).connections, 0);
}

// --- a handler at work

static void a_client_that_goes_is_reported_to_the_handler(void **state)
{
    fixture &f = of(state);
    open(f, manner::hold, get);
    raw_close(f.c);
    pass(f, 100);
    test_eq(f.gone, 1);
    test_true(exchange_is_gone(*f.held));
    exchange_answer(*std::exchange(f.held, nullptr), {}); // into the void
    pass(f, 100);
    test_eq(http_server_count(*f.server).connections, 0);
}

static void a_body_that_does_not_come_fails(void **state)
{
    fixture &f = of(state);
    open(f, manner::read, half_post);
    pass(f, body_stall_timeout_ms);
    test_eq_enum(f.body_err.code, error_code::request_timeout);
    test_has_text(f.c.got, "HTTP/1.1 408 ");
}

// --- sending

static void a_slow_reader_gets_all_of_it(void **state)
{
    fixture &f = of(state);
    open(f, manner::large_answer, get, false);
    pass(f, 1'000);
    test_eq(f.c.got.size(), 0);
    raw_read_on(f.c);
    test_true(scripted_until(
        *f.sim, [&] { return f.c.got.ends_with(std::string(1'000, 'l')) && f.c.got.size() > 1'000'000; }, 5'000));
    send(f, get); // the connection continues
    test_eq(f.requests, 2);
}

static void a_reader_that_goes_or_stalls_ends_the_sending(void **state)
{
    fixture &f = of(state);
    open(f, manner::large_answer, get, false);
    raw_close(f.c, true);
    pass(f, 100);
    test_eq(http_server_count(*f.server).connections, 0);
    open(f, manner::large_answer, get, false);
    pass(f, body_stall_timeout_ms / 2);
    test_eq(http_server_count(*f.server).connections, 1);
    pass(f, body_stall_timeout_ms / 2);
    test_eq(http_server_count(*f.server).connections, 0);
    raw_read_on(f.c);
    test_true(f.c.has_failed && f.c.got.size() < 1'000'000); // nobody can take it for whole
}

// --- a body that nobody wanted

static void the_rest_of_a_body_is_discarded(void **state)
{
    fixture &f = of(state);
    open(f, manner::answer, half_post);
    test_has_text(f.c.got, "HTTP/1.1 200 ");
    send(f, "def");
    send(f, std::string("ghij") + get); // what follows it is a request
    test_eq(f.requests, 2);
}

static void discarding_is_bounded(void **state)
{
    fixture &f = of(state);
    open(f, manner::answer, half_post);
    raw_close(f.c);
    pass(f, 100);
    test_eq(http_server_count(*f.server).connections, 0);
    open(f, manner::answer, half_post);
    pass(f, body_stall_timeout_ms);
    test_eq(http_server_count(*f.server).connections, 0);
}

// Its client may still read the answer before the connection goes.
static void a_connection_that_is_not_kept_lingers(void **state)
{
    fixture &f = of(state);
    open(f, manner::answer, half_post_and_close);
    test_has_text(f.c.got, "HTTP/1.1 200 ");
    test_true(f.c.has_ended);
    send(f, "de");
    test_eq(http_server_count(*f.server).connections, 1);
    raw_close(f.c);
    pass(f, 100);
    test_eq(http_server_count(*f.server).connections, 0);
    open(f, manner::answer, half_post_and_close);
    pass(f, linger_timeout_ms);
    test_eq(http_server_count(*f.server).connections, 0);
}

// --- streams

static void a_stream_ends_whole_or_is_cut(void **state)
{
    fixture &f = of(state);
    for (bool is_complete : {true, false}) {
        open(f, manner::stream, get);
        exchange_stream_end(*std::exchange(f.held, nullptr), is_complete);
        pass(f, 100);
        test_true(f.c.got.ends_with("0\r\n\r\n") == is_complete);
        test_true(f.c.has_failed || f.c.has_ended ? !is_complete : is_complete);
    }
}

static void a_stream_whose_client_has_gone_is_ended_by_its_handler(void **state)
{
    fixture &f = of(state);
    for (bool is_complete : {true, false}) {
        open(f, manner::stream, get);
        raw_close(f.c, true);
        pass(f, 100);
        test_true(exchange_is_gone(*f.held));
        exchange_stream_end(*std::exchange(f.held, nullptr), is_complete);
        pass(f, 100);
        test_eq(http_server_count(*f.server).connections, 0);
    }
    test_eq(f.gone, 2);
}

// --- the end of the server

static void every_state_ends_with_the_server(void **state)
{
    fixture &f = of(state);
    struct stopping {
        manner how;
        const char *bytes;
        bool reads;
    };
    const stopping rows[] = {{manner::answer, "", true}, {manner::hold, get, true}, {manner::large_answer, get, false},
        {manner::answer, half_post, true}, {manner::answer, half_post_and_close, true}, {manner::stream, get, true}};
    for (const stopping &row : rows) {
        open(f, row.how, row.bytes, row.reads);
        stop_server(f);
        raw_read_on(f.c);
        check_broken(f);
        // Only a client whose answer has not begun can be told why; no other connection ends as if its answer were whole.
        test_true(f.c.got.starts_with("HTTP/1.1 503 ") == (row.how == manner::hold));
        if (row.how == manner::hold)
            test_has_text(f.c.got, "the node is shutting down");
        if (f.held != nullptr)
            test_eq_enum(exchange_gone_error(*f.held).code, error_code::stopping);
        if (f.held != nullptr && row.how == manner::hold)
            exchange_answer(*std::exchange(f.held, nullptr), {});
        if (f.held != nullptr)
            exchange_stream_end(*std::exchange(f.held, nullptr), true);
        pass(f, 100);
        start_server(f);
    }
}

static void every_row_is_taken(void **) { check_rows_taken(exchange_machine_view()); }

int main()
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(heads_come_in_pieces_on_a_connection_that_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_client_that_wants_no_more_is_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_head_that_is_none_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_head_that_does_not_end_is_reported, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_client_that_goes_is_reported_to_the_handler, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_body_that_does_not_come_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_slow_reader_gets_all_of_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_that_goes_or_stalls_ends_the_sending, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_rest_of_a_body_is_discarded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(discarding_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_connection_that_is_not_kept_lingers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stream_ends_whole_or_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stream_whose_client_has_gone_is_ended_by_its_handler, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_state_ends_with_the_server, set_up, tear_down),
        cmocka_unit_test(every_row_is_taken),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
