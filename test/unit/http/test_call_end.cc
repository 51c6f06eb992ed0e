// SPDX-License-Identifier: MIT
// The end of an answer: what follows it, when its connection may be reused, and trickling bytes.
#include "base/limits.h"
#include "scripted_server.h"

using namespace etlnode;

static constexpr const char *ok_head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";

// What follows decides, whether it arrives in the same write or a moment later.
static void what_stands_behind_an_answer(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    struct row {
        const char *what;
        std::string script;
        const char *behind;
        bool is_pushed;
        error_code code;
        int status;
        const char *body;
        bool is_reported;
    };
    std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    std::string counted = std::string(ok_head) + "abc";
    static const char *page = "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\">\n<html>";
    const row rows[] = {
        {"nothing", counted, "", false, error_code::ok, 200, "abc", false},
        {"a line end", counted, "\r\n", false, error_code::ok, 200, "abc", true},
        {"an answer", counted, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", false, error_code::ok, 200, "abc", true},
        {"a line end and an answer", counted, "\nHTTP/1.0 501 No\r\n\r\n", true, error_code::ok, 200, "abc", true},
        {"the beginning of an answer", counted, "HTT", false, error_code::ok, 200, "abc", true},
        {"a page, to an object", counted, page, true, error_code::ok, 200, "abc", true},
        {"a page, to no object", counted, page, false, error_code::bad_pod_answer, 0, "", true},
        {"a page, to an empty answer", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", page, true, error_code::bad_pod_answer, 0, "", true},
        {"the rest of the body", counted, "def", true, error_code::bad_pod_answer, 0, "", true},
        {"one byte", counted, "d", false, error_code::bad_pod_answer, 0, "", true},
        {"an answer in small letters", counted, "http/1.1 200 OK\r\n\r\n", false, error_code::bad_pod_answer, 0, "", true},
        {"a body behind length 0", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "abc", false, error_code::bad_pod_answer, 0, "", true},
        {"chunks and nothing", chunked, "", false, error_code::ok, 200, "abc", false},
        {"chunks and an answer", chunked, "HTTP/1.1 200 OK\r\n\r\n", false, error_code::ok, 200, "abc", true},
        {"chunks and more", chunked, "3\r\ndef\r\n", false, error_code::bad_pod_answer, 0, "", true},
        {"an error and more", "HTTP/1.1 422 No\r\nContent-Length: 3\r\n\r\nbad", "ly counted", true, error_code::ok, 422, "bad", true},
    };
    for (const row &r : rows) {
        for (bool is_late : {false, true}) {
            if (is_late && r.status == 422)
                continue; // an error is reported without a wait
            scripted_server s;
            s.then = after::keep;
            s.script = r.script + (is_late ? "" : r.behind);
            s.late = is_late ? r.behind : "";
            s.late_ms = is_late ? 5 : 0;
            s.body_size = r.is_pushed ? 6 : 0;
            script_start(w, s);
            outcome o;
            uint64_t before = http_client_unsolicited(*w.client);
            run_call(w, s, o, 5'000, std::string("pod ") + r.what, r.is_pushed ? "object" : "");
            if (o.err.code != r.code || (!o.err && (o.status != r.status || o.body != r.body)))
                test_fail("%s (%s): code %d (%s) status %d body %s", r.what, is_late ? "later" : "at once", static_cast<int>(o.err.code),
                    error_text(o.err), o.status, o.body.c_str());
            if ((http_client_unsolicited(*w.client) > before) != r.is_reported)
                test_fail("%s (%s): counted %d times", r.what, is_late ? "later" : "at once",
                    static_cast<int>(http_client_unsolicited(*w.client) - before));
            script_stop(s);
        }
    }
}

static void the_reason_names_the_length(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    scripted_server s;
    s.then = after::keep;
    s.script = std::string(ok_head) + "abcd";
    script_start(w, s);
    outcome o;
    run_call(w, s, o, 5'000, "pod");
    test_has_text(error_text(o.err), "Content-Length");
    script_stop(s);
    scripted_server silent;
    silent.then = after::close;
    script_start(w, silent);
    run_call(w, silent, o, 5'000, "pod");
    test_eq_text(error_text(o.err), "the pod closed the connection without an answer");
    script_stop(silent);
}

static void wait_ms(http_world &w, uint64_t ms)
{
    uint64_t until = clock_now_ms(*w.e) + ms;
    while (clock_now_ms(*w.e) < until)
        uv_env_poll(*w.e, 5);
}

// Sends enough answers for the server to be trusted, each on its own connection.
static void prove(http_world &w, scripted_server &s, const std::string &instance, const std::string &body)
{
    int before = s.connections;
    for (unsigned i = 0; i < pod_watch_count; i++) {
        outcome o;
        run_call(w, s, o, 5'000, instance, body);
        test_ok(o.err);
    }
    test_eq(s.connections - before, static_cast<int>(pod_watch_count));
    wait_ms(w, 1'500); // longer than idle_ms: all of them have been watched to the end
}

static int connections_of_three_calls(http_world &w, scripted_server &s, const std::string &instance, const std::string &body)
{
    int before = s.connections;
    for (int i = 0; i < 3; i++) {
        outcome o;
        run_call(w, s, o, 5'000, instance, body);
        test_ok(o.err);
    }
    return s.connections - before;
}

static void a_pod_is_trusted_when_it_has_proven_itself(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    scripted_server s;
    s.then = after::keep;
    s.script = std::string(ok_head) + "abc";
    script_start(w, s);
    prove(w, s, "pod/0", "");
    test_eq(connections_of_three_calls(w, s, "pod/0", ""), 1);
    test_eq(connections_of_three_calls(w, s, "pod/1", ""), 3); // the next container is a different one
    s.body_size = 6;
    wait_ms(w, 1'500);                                               // kept connections have expired
    test_eq(connections_of_three_calls(w, s, "pod/0", "object"), 3); // it is not known whether it reads bodies
    prove(w, s, "pod/0", "object");
    test_eq(connections_of_three_calls(w, s, "pod/0", "object"), 1);
    script_stop(s);
}

// A node of the cluster need not prove anything.
static void a_node_is_trusted_at_once(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    scripted_server s;
    s.then = after::keep;
    s.script = std::string(ok_head) + "abc";
    script_start(w, s);
    test_eq(connections_of_three_calls(w, s, "", ""), 1);
    script_stop(s);
}

static void a_proven_pod_that_refuses_an_object_loses_that_connection(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    scripted_server s;
    s.then = after::keep;
    s.script = std::string(ok_head) + "abc";
    s.body_size = 6;
    script_start(w, s);
    prove(w, s, "pod", "object");
    test_eq(connections_of_three_calls(w, s, "pod", "object"), 1);
    s.script = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"; // its body may not have been read
    outcome o;
    run_call(w, s, o, 5'000, "pod", "object");
    test_eq(o.status, 413);
    s.script = std::string(ok_head) + "abc";
    test_eq(connections_of_three_calls(w, s, "pod", "object"), 1); // a new one, then kept
    s.body_size = 0;
    outcome early;
    run_call(w, s, early, 5'000, "pod", std::string(8 << 20, 'x')); // answered after its head
    test_ok(early.err);
    s.body_size = 6;
    test_eq(connections_of_three_calls(w, s, "pod", "object"), 1);
    script_stop(s);
}

static void bytes_that_come_late_take_the_trust_back(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    scripted_server s;
    s.then = after::keep;
    s.script = std::string(ok_head) + "abc";
    script_start(w, s);
    prove(w, s, "pod", "");
    s.late = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL";
    s.late_ms = 60;
    outcome o;
    run_call(w, s, o, 5'000, "pod");
    test_ok(o.err);
    test_true(world_until(w, [&] { return http_client_unsolicited(*w.client) == 1; }));
    s.late_ms = 0;
    test_eq(connections_of_three_calls(w, s, "pod", ""), 3);
    script_stop(s);
}

// An unsolicited answer arrives long after the real one: a server cannot earn trust while it is watched.
static void late_answers_are_seen_while_a_pod_is_watched(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    scripted_server s;
    s.then = after::keep;
    s.script = std::string(ok_head) + "abc";
    s.late = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL";
    s.late_ms = 400;
    s.body_size = 6;
    script_start(w, s);
    for (int i = 0; i < 40; i++) {
        outcome o;
        run_call(w, s, o, 5'000, "pod", "object");
        test_ok(o.err);
        test_eq_text(o.body, "abc");
    }
    test_eq(s.connections, 40);
    test_true(world_until(w, [&] { return http_client_unsolicited(*w.client) > 0; }));
    script_stop(s);
}

static void what_drips_is_ended(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    struct row {
        const char *script;
        const char *drip;
        const char *text;
    };
    static const row rows[] = {
        {"HTTP/1.1 200 OK\r\nX-Long: ", "x", "half-way"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "0", "the answer stopped"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;", "e", "the answer stopped"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: ", "t", "the answer stopped"},
    };
    for (const row &r : rows) {
        scripted_server s;
        s.then = after::keep;
        s.script = r.script;
        s.drip = r.drip;
        s.drip_ms = 20;
        script_start(w, s);
        outcome o;
        run_call(w, s, o, 300, "pod");
        if (o.err.code != error_code::timed_out || std::string_view(error_text(o.err)).find(r.text) == std::string_view::npos)
            test_fail("%s: code %d (%s)", r.script, static_cast<int>(o.err.code), error_text(o.err));
        script_stop(s);
    }
    scripted_server body; // its bytes all count
    body.then = after::keep;
    body.script = ok_head;
    body.drip = "abc";
    body.drip_ms = 60;
    script_start(w, body);
    outcome o;
    begin_call(w, body, o, 5'000);
    test_true(world_until(w, [&] { return o.done; }));
    test_true(o.err.code == error_code::ok || o.err.code == error_code::bad_pod_answer);
    script_stop(body);
}

static void small_servers_write_heads_as_they_like(void **state)
{
    http_world &w = *static_cast<http_world *>(*state);
    struct row {
        const char *script;
        const char *instance;
        error_code code;
    };
    static const row rows[] = {
        {"HTTP/1.0 200 OK\nContent-Type: text/plain\nContent-Length: 3\n\nabc", "pod", error_code::ok},
        {"HTTP/1.0 200 OK\nContent-Type: text/plain\nContent-Length: 3\n\nabc", "",
            error_code::bad_pod_answer},                                                              // nodes are held to the strict rules
        {"HTTP/1.0 200 OK\r\nX: a\nContent-Length: 3\r\n\r\nabc", "pod", error_code::bad_pod_answer}, // that line may be part of a value
        {"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\r\nabc\r\n0\r\n\r\n", "pod", error_code::ok},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3  \r\nabc\r\n0\t \r\n\r\n", "pod", error_code::ok},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3  \r\nabc\r\n0\t \r\n\r\n", "", error_code::bad_pod_answer},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3 3\r\nabc\r\n0\r\n\r\n", "pod", error_code::bad_pod_answer},
    };
    for (const row &r : rows) {
        scripted_server s;
        s.script = r.script;
        script_start(w, s);
        outcome o;
        run_call(w, s, o, 5'000, r.instance);
        if (o.err.code != r.code || (!o.err && o.body != "abc"))
            test_fail("%s: code %d (%s) body %s", r.script, static_cast<int>(o.err.code), error_text(o.err), o.body.c_str());
        script_stop(s);
    }
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_stands_behind_an_answer, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(the_reason_names_the_length, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_pod_is_trusted_when_it_has_proven_itself, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_node_is_trusted_at_once, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_proven_pod_that_refuses_an_object_loses_that_connection, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(bytes_that_come_late_take_the_trust_back, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(late_answers_are_seen_while_a_pod_is_watched, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(what_drips_is_ended, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(small_servers_write_heads_as_they_like, world_set_up, world_tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
