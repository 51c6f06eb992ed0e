// SPDX-License-Identifier: MIT
// The rows of the call machine, each on the simulated network: a server that says what the test tells it, when it tells it. What real
// connections make of it: test_call.cc, test_call_end.cc.
#include "../../sim/raw_end.h"

#include "base/limits.h"
#include "rows_taken.h"

#include "http/client/call.h"
#include "http/http_machines.h"

using namespace etlnode;

struct fixture {
    sim_world *sim = nullptr;
    sim_host *server_host = nullptr, *host = nullptr;
    http_client *client = nullptr;
    raw_listener server;
    call *c = nullptr;
    // What came of the call.
    int done = 0, heads = 0;
    error err;
    int status = 0;
    std::string body, pulled;
    bool has_ended = false; // pulled to its end
    error pull_err;
};

static void on_head(void *arg, call &, const http_head &) { static_cast<fixture *>(arg)->heads++; }

static void on_done(void *arg, call &, error err, int status, std::string body)
{
    fixture &f = *static_cast<fixture *>(arg);
    f.done++;
    f.c = nullptr;
    f.err = err;
    f.status = status;
    f.body = std::move(body);
}

static int set_up(void **state)
{
    auto *f = new fixture;
    f->sim = sim_make(7);
    f->server_host = sim_host_make(*f->sim, sim_host_kind::client, "server", "10.0.0.1", memory_empty());
    f->host = sim_host_make(*f->sim, sim_host_kind::client, "caller", "10.0.0.2", memory_empty());
    f->client = http_client_make(f->host->e, {});
    raw_listen(f->server, *f->server_host);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    auto *f = static_cast<fixture *>(*state);
    test_true(f->c == nullptr);
    scripted_pass(*f->sim, 5'000);
    http_client_free(f->client);
    scripted_pass(*f->sim, 1'000);
    raw_listener_close(f->server);
    scripted_pass(*f->sim, 1'000);
    sim_host_free(f->host);
    sim_host_free(f->server_host);
    scripted_world_free(f->sim);
    delete f;
    return 0;
}

static fixture &of(void **state) { return *static_cast<fixture *>(*state); }
static void pass(fixture &f, uint64_t ms) { scripted_pass(*f.sim, ms); }

static constexpr const char *pod = "pod/0"; // whose answers have to prove themselves
static constexpr uint64_t connect_ms = 1'000, progress_ms = 3'000;

static void begin(fixture &f, bool is_buffered, const char *instance = "", const char *host = "10.0.0.1")
{
    f.done = f.heads = 0;
    f.err = f.pull_err = no_error;
    f.has_ended = false;
    f.body.clear();
    f.pulled.clear();
    call_options options;
    options.host = host;
    options.port = 8080;
    options.instance = instance;
    options.connect_timeout_ms = connect_ms;
    options.progress_timeout_ms = progress_ms;
    options.answer_size_max = is_buffered ? 1'000 : 0;
    options.on_head = on_head;
    options.on_done = on_done;
    options.arg = &f;
    f.c = call_start(*f.client, std::move(options));
}

// The request has come: on the newest connection.
static raw_end &await_request(fixture &f)
{
    auto has_come = [&] { return !f.server.ends.empty() && f.server.ends.back()->got.ends_with("\r\n\r\n"); };
    test_true(scripted_until(*f.sim, has_come, 1'000));
    f.server.ends.back()->got.clear();
    return *f.server.ends.back();
}

static raw_end &to_head(fixture &f, bool is_buffered, const char *instance = "")
{
    begin(f, is_buffered, instance);
    return await_request(f);
}

// Its head has come, and three of five bytes.
static raw_end &to_body(fixture &f, bool is_buffered, const char *instance = "")
{
    raw_end &end = to_head(f, is_buffered, instance);
    raw_send(end, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc");
    pass(f, 10);
    return end;
}

static void check_done(fixture &f, error_code code, const char *body = "")
{
    test_eq(f.done, 1);
    test_eq_enum(f.err.code, code);
    test_eq_text(f.body, body);
}

static void cancel(fixture &f)
{
    call_cancel(*std::exchange(f.c, nullptr));
    pass(f, 20'000);
    test_eq(f.done, 0);
}

static void pull(void *arg)
{
    fixture &f = *static_cast<fixture *>(arg);
    for (;;) {
        pull_result got = call_pull(*f.c, nullptr);
        switch (got.state) {
        case pull_state::again: call_pull_wait(*f.c, pull, &f); return;
        case pull_state::end: f.has_ended = true; return;
        case pull_state::failed: f.pull_err = got.err; return;
        case pull_state::bytes: f.pulled += got.bytes; break;
        case pull_state::relayed:
        case pull_state::file: test_fail("there is no relay, and no file"); return;
        }
    }
}

// --- connecting

static void a_server_that_is_not_there(void **state)
{
    fixture &f = of(state);
    net_listener_close(f.server_host->e, std::exchange(f.server.listener, nullptr));
    begin(f, true);
    pass(f, 100);
    check_done(f, error_code::refused);
    static constexpr const char *nobody = "10.0.0.99"; // who neither takes nor refuses a connection
    begin(f, true, "", nobody);
    pass(f, connect_ms - 10);
    test_eq(f.done, 0);
    pass(f, 20);
    check_done(f, error_code::timed_out);
    begin(f, true, "", nobody);
    pass(f, 10);
    cancel(f);
    begin(f, true);
    cancel(f); // before it has begun
}

// --- the head

static void an_answer_is_collected(void **state)
{
    fixture &f = of(state);
    raw_send(to_body(f, true), "de");
    pass(f, 10);
    check_done(f, error_code::ok, "abcde");
    test_eq(f.status, 200);
    test_eq(f.heads, 0);
    // The connection is used again, by another one too.
    raw_end &end = to_head(f, true);
    test_eq(f.server.ends.size(), 1);
    raw_send(end, "HTTP/1.1 204 No Content\r\n\r\n");
    pass(f, 10);
    check_done(f, error_code::ok);
}

// Its server had closed it meanwhile: nothing of the request was taken, so it is made anew.
static void a_kept_connection_that_died_is_no_failure(void **state)
{
    fixture &f = of(state);
    raw_send(to_body(f, true), "de");
    pass(f, 10);
    begin(f, true);
    test_true(scripted_until(
        *f.sim, [&] { return f.server.ends[0]->got.ends_with("\r\n\r\n"); }, 1'000));
    raw_close(*f.server.ends[0]);
    test_true(scripted_until(
        *f.sim, [&] { return f.server.ends.size() == 2; }, 1'000));
    raw_send(await_request(f), "HTTP/1.1 204 No Content\r\n\r\n");
    pass(f, 10);
    check_done(f, error_code::ok);
}

static void a_head_that_does_not_come(void **state)
{
    fixture &f = of(state);
    to_head(f, true);
    pass(f, progress_ms);
    check_done(f, error_code::timed_out);
    raw_close(to_head(f, true));
    pass(f, 10);
    check_done(f, error_code::end_of_stream);
    raw_send(to_head(f, true), "NONSENSE\r\n\r\n");
    pass(f, 10);
    check_done(f, error_code::bad_pod_answer);
    to_head(f, true);
    cancel(f);
}

// --- a body that is collected

static void a_body_that_does_not_come_whole(void **state)
{
    fixture &f = of(state);
    raw_close(to_body(f, true));
    pass(f, 10);
    check_done(f, error_code::end_of_stream);
    to_body(f, true);
    pass(f, progress_ms);
    check_done(f, error_code::timed_out);
    to_body(f, true);
    cancel(f);
}

// What follows an answer of a pod might pass for the next one.
static void the_end_of_a_pods_answer_is_withheld(void **state)
{
    fixture &f = of(state);
    raw_end *end = &to_body(f, true, pod);
    raw_send(*end, "de");
    test_true(scripted_until(
        *f.sim, [&] { return f.done == 1; }, pod_behind_wait_ms + 10)); // nothing came
    check_done(f, error_code::ok, "abcde");
    end = &to_body(f, true, pod);
    raw_send(*end, "de");
    pass(f, 5);
    test_eq(f.done, 0);
    raw_close(*end); // the end is no more than the end
    pass(f, 5);
    check_done(f, error_code::ok, "abcde");
    end = &to_body(f, true, pod);
    raw_send(*end, "de");
    pass(f, 5);
    raw_send(*end, "f"); // more than it said
    pass(f, 5);
    check_done(f, error_code::bad_pod_answer);
    raw_send(to_body(f, true, pod), "de");
    pass(f, 5);
    cancel(f);
}

// --- a body that is pulled

static void a_body_is_pulled(void **state)
{
    fixture &f = of(state);
    raw_end &end = to_body(f, false);
    test_eq(f.heads, 1);
    pull(&f);
    test_eq_text(f.pulled, "abc");
    raw_send(end, "de");
    pass(f, 10);
    test_eq_text(f.pulled, "abcde");
    test_true(f.has_ended);
    call_close(*std::exchange(f.c, nullptr));
    pass(f, 100);
    test_eq(f.done, 0);
    to_body(f, false);
    cancel(f);
}

static void the_end_of_a_pods_body_is_withheld(void **state)
{
    fixture &f = of(state);
    for (int behind = 0; behind < 4; behind++) {
        raw_end &end = to_body(f, false, pod);
        pull(&f);
        raw_send(end, "de");
        pass(f, 5);
        test_false(f.has_ended);
        if (behind == 1)
            raw_close(end);
        if (behind == 2)
            raw_send(end, "f");
        if (behind == 3) {
            cancel(f);
            continue;
        }
        pass(f, pod_behind_wait_ms);
        if (f.c != nullptr && (f.has_ended || f.pull_err))
            call_cancel(*std::exchange(f.c, nullptr));
        test_true(f.has_ended == (behind < 2));
        pass(f, 100);
    }
}

static void every_row_is_taken(void **) { check_rows_taken(call_machine_view()); }

int main()
{
    sm_set_strict(true);
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_server_that_is_not_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_is_collected, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_kept_connection_that_died_is_no_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_head_that_does_not_come, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_body_that_does_not_come_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_a_pods_answer_is_withheld, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_body_is_pulled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_a_pods_body_is_withheld, set_up, tear_down),
        cmocka_unit_test(every_row_is_taken),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
