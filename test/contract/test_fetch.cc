// SPDX-License-Identifier: MIT
// test/contract/test_fetch.cc: what port/fetch.h promises, with a small server on a thread of its own.
#include "contract_world.h"

#include <arpa/inet.h>
#include <atomic>
#include <map>
#include <mutex>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include "port/fetch.h"

using namespace etlnode;

// --- the server: one answer for each path, as it is written here

struct web {
    int fd = -1;
    uint16_t port = 0;
    std::thread thread;
    std::atomic<bool> is_over{false};
    std::map<std::string, std::string> answers; // set before the first request; the connection is closed behind it
    std::atomic<int> asked{0};
};
static web *server;

static void serve_one(int fd)
{
    std::string request;
    char bytes[4096];
    ssize_t got = 0;
    while (request.find("\r\n\r\n") == std::string::npos && (got = recv(fd, bytes, sizeof bytes, 0)) > 0)
        request.append(bytes, static_cast<size_t>(got));
    size_t start = request.find(' ') + 1;
    std::string path = request.substr(start, request.find(' ', start) - start);
    server->asked++;
    if (path == "/silent") {
        while (!server->is_over)
            usleep(10'000);
        return;
    }
    auto found = server->answers.find(path);
    const std::string &answer = found != server->answers.end() ? found->second : "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n";
    for (size_t sent = 0; sent < answer.size() && !server->is_over;) {
        ssize_t took = send(fd, answer.data() + sent, answer.size() - sent, MSG_NOSIGNAL);
        if (took <= 0)
            break;
        sent += static_cast<size_t>(took);
    }
}

static void serve_all()
{
    for (;;) {
        int fd = accept(server->fd, nullptr, nullptr);
        if (fd < 0 || server->is_over) {
            if (fd >= 0)
                ::close(fd);
            return;
        }
        timeval limit = {5, 0};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        serve_one(fd);
        shutdown(fd, SHUT_WR);
        char rest[256];
        while (recv(fd, rest, sizeof rest, 0) > 0 && !server->is_over) {
        }
        ::close(fd);
    }
}

static std::string url(const std::string &path, const char *host = "127.0.0.1")
{
    return "http://" + std::string(host) + ":" + std::to_string(server->port) + path;
}

static std::string with_length(size_t said, const std::string &body)
{
    return "HTTP/1.1 200 OK\r\nContent-Type: text/x-test\r\nContent-Length: " + std::to_string(said) + "\r\n\r\n" + body;
}

static int setup(void **state)
{
    server = new web;
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    test_eq(bind(server->fd, reinterpret_cast<sockaddr *>(&at), size), 0);
    test_eq(listen(server->fd, 16), 0);
    test_eq(getsockname(server->fd, reinterpret_cast<sockaddr *>(&at), &size), 0);
    server->port = ntohs(at.sin_port);
    server->thread = std::thread(serve_all);
    return world_setup(state);
}

static int teardown(void **state)
{
    int result = world_teardown(state);
    server->is_over = true;
    shutdown(server->fd, SHUT_RDWR);
    server->thread.join();
    ::close(server->fd);
    delete server;
    return result;
}

// --- the reader

struct reading {
    fetch *f = nullptr;
    int heads = 0;
    fetch_head head;
    std::string body;
    bool has_ended = false;
    fetch_failure failed;
    bool is_slow = false; // it does not read by itself
};
static reading *r;
static address_rules near;

static void pull_all(void *)
{
    for (;;) {
        fetch_piece piece = fetch_pull(*world->e, r->f);
        r->body += piece.bytes;
        if (piece.state == fetch_state::again) {
            fetch_await(*world->e, r->f, pull_all, nullptr);
            return;
        }
        if (piece.state == fetch_state::bytes)
            continue;
        r->has_ended = true;
        if (piece.state == fetch_state::failed)
            r->failed = fetch_failure_of(*world->e, r->f);
        return;
    }
}

static void on_head(void *, const fetch_head &head)
{
    r->heads++;
    r->head = head;
    r->failed = head.failed;
    r->has_ended = static_cast<bool>(head.failed.err);
    if (!r->has_ended && !r->is_slow)
        pull_all(nullptr);
}

static fetch_options options_of(const std::string &link)
{
    near = {.allows_public = false, .allows_private = true, .blocks = {}, .hosts = {}};
    fetch_options options;
    options.url = link;
    options.rules = &near;
    options.on_head = on_head;
    return options;
}

static void begin(fetch_options options)
{
    delete r;
    r = new reading;
    r->f = fetch_start(*world->e, std::move(options));
    test_eq(r->heads, 0); // never before it has returned
}

static void end()
{
    fetch_close(*world->e, r->f);
    delete r;
    r = nullptr;
}

static void fetch_all(fetch_options options)
{
    begin(std::move(options));
    test_true(world_until([] { return r->has_ended; }));
    test_eq(r->heads, 1);
}

// --- cases

static void a_content_comes_whole(void **)
{
    std::string body(3'000'000, 'x');
    for (size_t i = 0; i < body.size(); i++)
        body[i] = static_cast<char>('a' + i % 23);
    server->answers["/large"] = with_length(body.size(), body);
    server->answers["/empty"] = with_length(0, "");
    server->answers["/unknown"] = "HTTP/1.0 200 OK\r\n\r\nuntil it closes";
    server->answers["/chunked"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    fetch_all(options_of(url("/large")));
    test_ok(r->failed.err);
    test_eq(r->head.size, body.size());
    test_eq_text(r->head.content_type, "text/x-test");
    test_true(r->body == body);
    end();
    fetch_all(options_of(url("/empty")));
    test_ok(r->failed.err);
    test_eq(r->head.size, 0u);
    end();
    fetch_all(options_of(url("/unknown")));
    test_ok(r->failed.err);
    test_eq(r->head.size, UINT64_MAX);
    test_eq_text(r->body, "until it closes");
    end();
    fetch_all(options_of(url("/chunked")));
    test_ok(r->failed.err);
    test_eq_text(r->body, "abcde");
    end();
}

static void a_slow_reader_stops_the_sender(void **)
{
    std::string body(20'000'000, 'y');
    server->answers["/large"] = with_length(body.size(), body);
    begin(options_of(url("/large")));
    r->is_slow = true;
    test_true(world_until([] { return r->heads == 1; }));
    for (int i = 0; i < 50; i++)
        uv_env_poll(*world->e, 10);
    fetch_piece piece = fetch_pull(*world->e, r->f);
    test_true(piece.state == fetch_state::bytes && piece.bytes.size() <= fetch_buffer_size + 64 * kib);
    r->body = piece.bytes;
    pull_all(nullptr);
    test_true(world_until([] { return r->has_ended; }));
    test_ok(r->failed.err);
    test_true(r->body == body);
    end();
}

static void statuses(void **)
{
    server->answers["/503"] = "HTTP/1.1 503 Later\r\nContent-Length: 4\r\n\r\nlate";
    server->answers["/403"] = "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n";
    server->answers["/204"] = "HTTP/1.1 204 Nothing\r\n\r\n";
    server->answers["/304"] = "HTTP/1.1 304 As it was\r\n\r\n";
    struct {
        const char *path;
        int status;
        bool may_pass;
    } cases[] = {{"/gone", 404, false}, {"/503", 503, true}, {"/403", 403, false}, {"/204", 204, false}, {"/304", 304, false}};
    for (const auto &one : cases) {
        fetch_all(options_of(url(one.path)));
        test_true(static_cast<bool>(r->failed.err));
        test_eq(r->failed.status, one.status);
        test_true(r->failed.may_pass == one.may_pass);
        test_eq_text(r->failed.text, "the server answered " + std::to_string(one.status));
        end();
    }
}

static void redirects_are_followed_within_limits(void **)
{
    server->answers["/to"] = "HTTP/1.1 302 There\r\nLocation: /content\r\nContent-Length: 4\r\n\r\nmove";
    server->answers["/content"] = with_length(2, "ok");
    server->answers["/loop"] = "HTTP/1.1 301 Loop\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n";
    server->answers["/file"] = "HTTP/1.1 302 There\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n";
    server->answers["/link-local"] = "HTTP/1.1 307 There\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n";
    server->answers["/mapped"] = "HTTP/1.1 307 There\r\nLocation: http://[::ffff:169.254.169.254]/\r\nContent-Length: 0\r\n\r\n";
    server->answers["/lost"] = "HTTP/1.1 302 Where\r\nContent-Length: 0\r\n\r\n";
    fetch_all(options_of(url("/to")));
    test_ok(r->failed.err);
    test_eq_text(r->body, "ok");
    end();
    server->asked = 0;
    fetch_all(options_of(url("/loop")));
    test_eq_text(r->failed.text, "more than 10 redirects");
    test_eq(server->asked.load(), 11);
    end();
    fetch_all(options_of(url("/file")));
    test_has_text(r->failed.text, "only http and https");
    end();
    for (const char *path : {"/link-local", "/mapped"}) {
        fetch_all(options_of(url(path)));
        test_has_text(r->failed.text, "169.254.169.254 is never fetched from");
        test_false(r->failed.may_pass);
        end();
    }
    fetch_all(options_of(url("/lost")));
    test_eq_text(r->failed.text, "the server answered 302");
    end();
}

static void the_rules_hold_for_what_names_resolve_to(void **)
{
    server->answers["/x"] = with_length(1, "x");
    server->asked = 0;
    for (const char *host : {"127.0.0.1", "localhost"}) {
        fetch_options options = options_of(url("/x", host));
        near = {.allows_public = true, .allows_private = false, .blocks = {}, .hosts = {}};
        fetch_all(std::move(options));
        test_true(r->failed.err.code == error_code::forbidden);
        test_has_text(r->failed.text, "--download-from");
        end();
    }
    test_eq(server->asked.load(), 0);
    fetch_options options = options_of(url("/x", "localhost"));
    near = {.allows_public = false, .allows_private = false, .blocks = {}, .hosts = {"localhost"}};
    fetch_all(std::move(options));
    test_ok(r->failed.err);
    end();
}

static void what_breaks_off_fails(void **)
{
    server->answers["/short"] = with_length(100, "only this");
    server->answers["/chunk"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nonly this";
    server->answers["/nothing"] = "";
    server->answers["/odd"] = "SMTP ready\r\n";
    for (const char *path : {"/short", "/chunk", "/nothing"}) {
        fetch_all(options_of(url(path)));
        test_true(static_cast<bool>(r->failed.err));
        test_true(r->failed.may_pass);
        end();
    }
    fetch_all(options_of(url("/odd")));
    test_has_text(r->failed.text, "does not speak HTTP");
    end();
    fetch_options options = options_of("http://127.0.0.1:1/x");
    fetch_all(std::move(options));
    test_true(r->failed.err.code == error_code::refused && r->failed.may_pass);
    end();
    for (const char *link : {"http://", "ftp://127.0.0.1/x", "http://u:p@127.0.0.1/x", "nonsense://x"}) {
        fetch_all(options_of(link));
        test_true(static_cast<bool>(r->failed.err));
        test_false(r->failed.may_pass);
        end();
    }
}

static void time_is_limited(void **)
{
    fetch_options options = options_of(url("/silent"));
    options.timeout_ms = 300;
    fetch_all(std::move(options));
    test_true(r->failed.err.code == error_code::timed_out && r->failed.may_pass);
    test_has_text(r->failed.text, "timeout");
    end();
}

static void it_can_be_ended_at_any_time(void **)
{
    std::string body(20'000'000, 'y');
    server->answers["/large"] = with_length(body.size(), body);
    begin(options_of(url("/large")));
    end(); // at once
    begin(options_of(url("/large")));
    r->is_slow = true;
    test_true(world_until([] { return r->heads == 1; }));
    end(); // in the middle
    begin(options_of(url("/large")));
    fetch_abort(*world->e, r->f);
    test_eq(r->heads, 0);
    test_true(world_until([] { return r->has_ended; }));
    test_true(r->failed.err.code == error_code::canceled);
    end();
    begin(options_of(url("/large")));
    r->is_slow = true;
    test_true(world_until([] { return r->heads == 1; }));
    fetch_await(*world->e, r->f, pull_all, nullptr);
    fetch_abort(*world->e, r->f);
    test_true(world_until([] { return r->has_ended; }));
    test_true(r->failed.err.code == error_code::canceled);
    end();
    begin(options_of(url("/large"))); // left open for the end of the world
    delete r;
    r = nullptr;
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_content_comes_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_reader_stops_the_sender, setup, teardown),
        cmocka_unit_test_setup_teardown(statuses, setup, teardown),
        cmocka_unit_test_setup_teardown(redirects_are_followed_within_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(the_rules_hold_for_what_names_resolve_to, setup, teardown),
        cmocka_unit_test_setup_teardown(what_breaks_off_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(time_is_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(it_can_be_ended_at_any_time, setup, teardown),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
