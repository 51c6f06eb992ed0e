// SPDX-License-Identifier: MIT
// test of kubectl_local/relay, probe and prober: real sockets on loopback, one loop.
#include "node_test.h"

#include <arpa/inet.h>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kubectl_local/loop.h"
#include "kubectl_local/os.h"
#include "kubectl_local/prober.h"
#include "kubectl_local/relay.h"

using namespace etlnode;
using namespace etlnode::kubectl_local;

static constexpr uint64_t case_timeout_ms = 10'000;

struct fixture {
    loop l;
    loop_timer deadline;
    loop_timer turn;
    relay r;
    bool dying = false;
    int server = -1; // listener that the relay connects to
    int client = -1;
    int served = -1;
    bool timed_out = false;
    struct sockaddr_in front = {};
    struct sockaddr_in back = {};
    std::string sent;
    std::string seen;
    prober p;
    probe_spec spec;
    int changes = 0;
    std::string why;
};

static bool is_dying(void *arg) { return static_cast<fixture *>(arg)->dying; }

static int listen_on_loopback(struct sockaddr_in &out_address)
{
    out_address = {};
    out_address.sin_family = AF_INET;
    out_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof out_address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(fd, reinterpret_cast<struct sockaddr *>(&out_address), size) != 0 || listen(fd, 16) != 0 ||
        getsockname(fd, reinterpret_cast<struct sockaddr *>(&out_address), &size) != 0)
        return -1;
    return fd;
}

static void on_deadline(void *arg)
{
    fixture &f = *static_cast<fixture *>(arg);
    f.timed_out = true;
    loop_stop(f.l);
}

static void on_turn(void *arg) { loop_stop(static_cast<fixture *>(arg)->l); }

// Runs the loop for a few milliseconds.
static void turn(fixture &f)
{
    f.l.stopped = false;
    loop_timer_arm(f.l, f.turn, 2);
    loop_run(f.l);
    test_false(f.timed_out);
}

static int setup(void **state)
{
    fixture *f = new fixture;
    *state = f;
    if (!loop_open(f->l))
        return -1;
    f->deadline.on_timer = on_deadline;
    f->deadline.arg = f;
    f->turn.on_timer = on_turn;
    f->turn.arg = f;
    loop_timer_arm(f->l, f->deadline, case_timeout_ms);
    f->server = listen_on_loopback(f->back);
    // `outward` needs no network namespace; the accepted end counts as the pod's.
    f->r.l = &f->l;
    f->r.outward = true;
    f->r.target = f->back;
    f->r.is_dying = is_dying;
    f->r.arg = f;
    relay_start(f->r, listen_on_loopback(f->front));
    return f->server >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = static_cast<fixture *>(*state);
    prober_stop(f->p);
    relay_close(f->r);
    bool empty = f->r.pairs.empty();
    for (int fd : {f->server, f->client, f->served})
        if (fd >= 0)
            close(fd);
    loop_close(f->l);
    delete f;
    return empty ? 0 : -1;
}

static void connect_both(fixture &f)
{
    f.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    test_eq(connect(f.client, reinterpret_cast<struct sockaddr *>(&f.front), sizeof f.front), 0);
    test_true(os_set_nonblocking(f.client));
    while (f.served < 0) {
        turn(f);
        f.served = accept4(f.server, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
}

// Reads until the end or an error. Returns errno, 0 for an orderly end.
static int read_out(fixture &f, int fd)
{
    for (;;) {
        char chunk[65536];
        ssize_t n = recv(fd, chunk, sizeof chunk, 0);
        if (n > 0)
            f.seen.append(chunk, static_cast<size_t>(n));
        else if (n == 0)
            return 0;
        else if (errno == EAGAIN)
            turn(f);
        else
            return errno;
    }
}

static void bytes_and_half_closes_pass(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    connect_both(f);
    test_eq(send(f.client, "question", 8, 0), ssize_t{8});
    test_eq(shutdown(f.client, SHUT_WR), 0);
    test_eq(read_out(f, f.served), 0);
    test_eq_text(f.seen, "question");
    f.seen.clear();
    test_eq(send(f.served, "answer", 6, 0), ssize_t{6});
    close(f.served);
    f.served = -1;
    test_eq(read_out(f, f.client), 0);
    test_eq_text(f.seen, "answer");
    turn(f);
    test_eq(f.r.pairs.size(), size_t{0});
}

static void a_slow_reader_holds_the_writer_back(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    connect_both(f);
    std::string block(1'000'000, 'x');
    size_t total = 0;
    // Nobody reads: the relay takes what fits into the kernel's buffers and one chunk, then stops.
    for (int idle = 0; idle < 20;) {
        ssize_t n = send(f.client, block.data(), block.size(), MSG_NOSIGNAL);
        if (n > 0)
            total += static_cast<size_t>(n);
        idle = n > 0 ? 0 : idle + 1;
        turn(f);
    }
    test_true(total < 64u * 1024 * 1024);
    test_eq(shutdown(f.client, SHUT_WR), 0);
    test_eq(read_out(f, f.served), 0);
    test_eq(f.seen.size(), total);
}

static void a_reset_is_passed_on(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    connect_both(f);
    struct linger now = {1, 0};
    test_eq(setsockopt(f.served, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close(f.served);
    f.served = -1;
    test_eq(read_out(f, f.client), ECONNRESET);
}

static void a_dying_container_is_a_reset(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    connect_both(f);
    f.dying = true;
    close(f.client); // the inside end: the kernel would send a FIN
    f.client = -1;
    test_eq(read_out(f, f.served), ECONNRESET);
}

static void the_end_of_a_container_resets_what_is_open(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    connect_both(f);
    test_eq(send(f.client, "half an ans", 11, 0), ssize_t{11});
    turn(f);
    relay_container_ended(f.r);
    test_eq(read_out(f, f.served), ECONNRESET);
}

static void an_early_answer_is_read_before_the_reset(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    connect_both(f);
    test_eq(send(f.client, "a long body", 11, 0), ssize_t{11});
    turn(f);
    // The server answers and closes with the body unread. Its kernel sends the answer, then a reset.
    test_eq(send(f.served, "413", 3, 0), ssize_t{3});
    close(f.served);
    f.served = -1;
    read_out(f, f.client);
    test_eq_text(f.seen, "413");
}

static void nobody_behind_is_a_reset(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    close(f.server);
    f.server = -1;
    f.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    test_eq(connect(f.client, reinterpret_cast<struct sockaddr *>(&f.front), sizeof f.front), 0);
    test_true(os_set_nonblocking(f.client));
    test_eq(read_out(f, f.client), ECONNRESET);
    test_eq(f.r.pairs.size(), size_t{0});
}

static void on_change(void *arg, prober &which)
{
    fixture &f = *static_cast<fixture *>(arg);
    f.changes++;
    f.why = which.why;
    loop_stop(f.l);
}

static void start_prober(fixture &f, probe_role role)
{
    f.p.l = &f.l;
    f.p.on_change = on_change;
    f.p.arg = &f;
    f.p.role = role;
    f.p.spec = &f.spec;
    f.p.address = f.back;
    f.spec.port = ntohs(f.back.sin_port);
    prober_start(f.p);
}

static void ready_comes_soon_after_the_server(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    close(f.server);
    f.spec.kind = probe_kind::tcp;
    start_prober(f, probe_role::readiness);
    for (int i = 0; i < 10; i++)
        turn(f);
    test_eq(f.changes, 0);
    f.server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    setsockopt(f.server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    test_eq(bind(f.server, reinterpret_cast<struct sockaddr *>(&f.back), sizeof f.back), 0);
    test_eq(listen(f.server, 16), 0);
    uint64_t begun = os_now_ms();
    f.l.stopped = false;
    loop_run(f.l);
    test_eq(f.changes, 1);
    test_true(f.p.good);
    test_true(os_now_ms() - begun < 2000); // the period is ten seconds
}

static void http_answers_are_checked(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    f.spec.kind = probe_kind::http;
    f.spec.path = "/health";
    f.spec.failure_threshold = 1;
    f.spec.period_ms = 5;
    start_prober(f, probe_role::liveness);
    while (f.served < 0) {
        turn(f);
        f.served = accept4(f.server, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    while (f.seen.find("\r\n\r\n") == std::string::npos) {
        char chunk[4096];
        ssize_t n = recv(f.served, chunk, sizeof chunk, 0);
        if (n > 0)
            f.seen.append(chunk, static_cast<size_t>(n));
        turn(f);
    }
    test_true(f.seen.starts_with("GET /health HTTP/1.1\r\nHost: 127.0.0.1:"));
    static constexpr char answer[] = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    test_eq(send(f.served, answer, sizeof answer - 1, 0), static_cast<ssize_t>(sizeof answer - 1));
    f.l.stopped = false;
    if (f.changes == 0)
        loop_run(f.l);
    test_eq(f.changes, 1);
    test_eq_text(f.why, "HTTP probe failed with statuscode: 503");
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_and_half_closes_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_reader_holds_the_writer_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reset_is_passed_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dying_container_is_a_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_of_a_container_resets_what_is_open, setup, teardown),
        cmocka_unit_test_setup_teardown(an_early_answer_is_read_before_the_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_behind_is_a_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(ready_comes_soon_after_the_server, setup, teardown),
        cmocka_unit_test_setup_teardown(http_answers_are_checked, setup, teardown),
    };
    return cmocka_run_group_tests_name("local_relay", tests, nullptr, nullptr);
}
