// SPDX-License-Identifier: MIT
// test of kubectl_local/witness: a real process that listens, or whose child does, and dies.
#include "node_test.h"

#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/witness.h"

using namespace etlnode;
using namespace etlnode::kubectl_local;

static constexpr uint64_t forever_ms = 3'600'000; // the test never waits this long, so an earlier answer needs an observation

struct fixture {
    loop l;
    loop_timer turn;
    witness w;
    std::string address;
    pid_t command = 0;
    pid_t server = 0; // the command or its child
    uint32_t replaced = 0;
};

// What a server does after its answer.
enum class work : uint8_t {
    accepts,
    polls,
    selects,
    waits_in_epoll,
    waits_without_listener,
    reads,
    sleeps,
    computes,
    sleeps_and_exits,
    computes_and_exits,
    raises,
    execs
};

enum class shape : uint8_t { command, child, both };

// Waits for a signal that ends it, so that no test leaves it behind.
[[noreturn]] static void live()
{
    alarm(60);
    for (;;)
        pause();
}

[[noreturn]] static void compute(int64_t ms)
{
    for (uint64_t begin = os_now_ms(); ms < 0 || os_now_ms() - begin < static_cast<uint64_t>(ms);) {
    }
    _exit(0);
}

[[noreturn]] static void keep_accepting(int fd)
{
    alarm(60);
    for (;;)
        if (accept(fd, nullptr, nullptr) < 0 && errno != EINTR)
            _exit(1);
}

static volatile sig_atomic_t asked_to_go_on = 0;
static void on_signal(int) { asked_to_go_on = 1; }

static constexpr int inherited_fd = 9;
static constexpr int64_t tidying_ms = 300;

[[noreturn]] static void do_work(work what, int fd)
{
    struct pollfd one = {fd, POLLIN, 0};
    struct epoll_event event = {};
    event.events = EPOLLIN;
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    alarm(60);
    switch (what) {
    case work::accepts: keep_accepting(fd);
    case work::polls: poll(&one, 1, -1); break;
    case work::selects: select(fd + 1, &set, nullptr, nullptr, nullptr); break;
    case work::waits_in_epoll:
    case work::waits_without_listener: {
        int epoll = epoll_create1(0);
        int ends[2];
        if (what == work::waits_without_listener && pipe(ends) == 0)
            fd = ends[0];
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        epoll_wait(epoll, &event, 1, -1);
        break;
    }
    case work::reads: {
        char byte;
        int conn = accept(fd, nullptr, nullptr);
        if (read(conn, &byte, 1) != 0)
            _exit(1);
        break;
    }
    case work::sleeps:
        while (!asked_to_go_on)
            usleep(1'000);
        keep_accepting(fd);
    case work::computes:
        while (!asked_to_go_on) {
        }
        keep_accepting(fd);
    case work::sleeps_and_exits: usleep(tidying_ms * 1'000); break;
    case work::computes_and_exits: compute(tidying_ms);
    case work::raises:
        usleep(tidying_ms * 1'000);
        signal(SIGABRT, SIG_DFL); // a sanitizer's handler starts a program that inherits the listener
        abort();
    case work::execs:
        while (!asked_to_go_on)
            poll(&one, 1, -1);
        dup2(fd, inherited_fd);
        signal(SIGUSR1, SIG_IGN);
        execl("/proc/self/exe", "test_witness", "serve", nullptr);
        break;
    }
    _exit(0);
}

// A command that listens itself, or whose child does, or both. It reports its port and the server's pid through a pipe.
static void start_command(fixture &f, shape how, work what)
{
    int pipe_ends[2];
    test_eq(pipe(pipe_ends), 0);
    f.command = fork();
    if (f.command == 0) {
        signal(SIGUSR1, on_signal);
        if (how == shape::child && fork() != 0) {
            close(pipe_ends[0]);
            close(pipe_ends[1]);
            live();
        }
        struct sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (bind(fd, reinterpret_cast<struct sockaddr *>(&address), size) != 0 || listen(fd, 4) != 0 ||
            getsockname(fd, reinterpret_cast<struct sockaddr *>(&address), &size) != 0)
            _exit(1);
        int reported[2] = {ntohs(address.sin_port), getpid()};
        if (write(pipe_ends[1], reported, sizeof reported) != static_cast<ssize_t>(sizeof reported))
            _exit(1);
        if (how == shape::both && fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            live();
        }
        do_work(what, fd);
    }
    int reported[2] = {};
    test_eq(read(pipe_ends[0], reported, sizeof reported), static_cast<ssize_t>(sizeof reported));
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    f.w.port = static_cast<uint16_t>(reported[0]);
    f.server = reported[1];
}

static pid_t living_command(void *arg)
{
    fixture &f = *static_cast<fixture *>(arg);
    if (f.command == 0 || waitpid(f.command, nullptr, WNOHANG) == 0)
        return f.command;
    f.server = f.server == f.command ? 0 : f.server; // its pid may have been reused
    return f.command = 0;
}

static std::string container_id(void *arg)
{
    return "local://abc" + (static_cast<fixture *>(arg)->replaced > 0 ? std::string(".2") : std::string());
}
static void on_replaced(void *arg) { static_cast<fixture *>(arg)->replaced++; }
static void on_turn(void *arg) { loop_stop(static_cast<fixture *>(arg)->l); }

static int setup(void **state)
{
    fixture *f = new fixture;
    *state = f;
    if (!loop_open(f->l))
        return -1;
    f->turn.on_timer = on_turn;
    f->turn.arg = f;
    f->w.l = &f->l;
    f->w.living_command = living_command;
    f->w.container_id = container_id;
    f->w.on_replaced = on_replaced;
    f->w.patience_ms = forever_ms;
    f->w.arg = f;
    return witness_open(f->w, f->address) ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = static_cast<fixture *>(*state);
    for (pid_t pid : {f->server, f->command}) {
        if (pid != 0)
            kill(pid, SIGKILL);
    }
    if (f->command != 0)
        waitpid(f->command, nullptr, 0);
    witness_close(f->w);
    bool empty = f->w.questions.empty() && f->w.listener.fd == -1;
    loop_close(f->l);
    delete f;
    return empty ? 0 : -1;
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    test_eq(connect(fd, reinterpret_cast<struct sockaddr *>(&address), sizeof address), 0);
    return fd;
}

static int ask(const fixture &f)
{
    uint64_t port = 0;
    test_true(text_parse_u64(std::string_view(f.address).substr(f.address.find(':') + 1), port));
    return connect_to(static_cast<uint16_t>(port));
}

static void turn(fixture &f)
{
    f.l.stopped = false;
    loop_timer_arm(f.l, f.turn, 2);
    loop_run(f.l);
}

// The witness's answer to a question; empty if it closes without one.
static std::string read_answer(fixture &f, int fd)
{
    std::string answer;
    for (int i = 0; i < 10'000; i++) { // 20 s
        char chunk[256];
        ssize_t n = recv(fd, chunk, sizeof chunk, MSG_DONTWAIT);
        if (n > 0)
            answer.append(chunk, static_cast<size_t>(n));
        if (n == 0) {
            close(fd);
            return answer;
        }
        turn(f);
    }
    close(fd);
    test_true(false);
    return answer;
}

static std::string ask_and_read(fixture &f) { return read_answer(f, ask(f)); }

// Waits until the question has been examined more than once, and is still open.
static void until_unclear(fixture &f)
{
    for (int i = 0; i < 10'000 && (f.w.questions.empty() || f.w.questions[0].observations < 3); i++)
        turn(f);
    test_true(!f.w.questions.empty() && f.w.questions[0].observations >= 3);
}

static void end_server(fixture &f)
{
    if (f.server == 0)
        return;
    kill(f.server, SIGKILL);
    if (f.server == f.command)
        waitpid(f.command, nullptr, 0);
    if (f.server == f.command)
        f.command = 0;
    f.server = 0;
}

static void who_waits_for_a_connection_lives(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    for (work what : {work::accepts, work::polls, work::selects, work::waits_in_epoll}) {
        start_command(f, shape::command, what);
        test_eq_text(ask_and_read(f), "local://abc server\n");
        test_true(f.w.known_command != 0);
        test_eq_text(ask_and_read(f), "local://abc server\n"); // from what it knows by now
        end_server(f);
        test_eq_text(ask_and_read(f), "");
        witness_forget(f.w);
    }
}

static void who_reads_from_a_client_lives(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    start_command(f, shape::command, work::reads);
    int client = connect_to(f.w.port);
    test_eq_text(ask_and_read(f), "local://abc server\n");
    close(client);
}

static void a_server_that_died_has_no_witness(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    start_command(f, shape::command, work::accepts);
    test_eq_text(ask_and_read(f), "local://abc server\n");
    end_server(f);
    test_eq_text(ask_and_read(f), "");
}

// It listens until the last moment.
static void a_server_that_ends_itself_has_no_witness(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    for (shape how : {shape::command, shape::child}) {
        for (work what : {work::sleeps_and_exits, work::computes_and_exits, work::raises}) {
            start_command(f, how, what);
            test_eq_text(ask_and_read(f), "");
            end_server(f);
            if (f.command != 0) {
                kill(f.command, SIGKILL);
                waitpid(f.command, nullptr, 0);
                f.command = 0;
            }
            witness_forget(f.w);
        }
    }
}

static void who_accepts_again_lives(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    for (work what : {work::sleeps, work::computes}) {
        start_command(f, shape::command, what);
        int client = connect_to(f.w.port);
        int question = ask(f);
        until_unclear(f);
        kill(f.server, SIGUSR1);
        test_eq_text(read_answer(f, question), "local://abc server\n");
        close(client);
        end_server(f);
        witness_forget(f.w);
    }
}

static void who_is_busy_for_long_lives(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    f.w.patience_ms = 50;
    for (work what : {work::computes, work::waits_without_listener}) {
        start_command(f, shape::command, what);
        test_eq_text(ask_and_read(f), "local://abc server\n");
        end_server(f);
        witness_forget(f.w);
    }
}

static void a_child_of_the_command_may_serve(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    start_command(f, shape::child, work::accepts);
    test_eq_text(ask_and_read(f), "local://abc server\n");
}

static void one_of_several_is_another_matter(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    start_command(f, shape::both, work::computes);
    test_eq_text(ask_and_read(f), "local://abc server\n"); // the command lives, and who answered cannot be seen
}

static void a_child_that_dies_takes_the_listener_along(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    start_command(f, shape::child, work::accepts);
    end_server(f);
    // Asked while it exits or afterwards: the command lives on in either case, and finally nobody listens.
    test_eq_text(ask_and_read(f), "");
}

// The new program waits on the listener of the old one, whose answers ended with it.
static void a_program_that_was_replaced_has_no_witness(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    start_command(f, shape::command, work::execs);
    for (int i = 0; i < 10'000 && f.w.identity_pid == 0; i++) {
        witness_remember(f.w);
        turn(f);
    }
    test_eq(f.w.identity_pid, f.command);
    int before = ask(f);
    test_eq_text(read_answer(f, before), "local://abc server\n");
    kill(f.server, SIGUSR1);
    std::string answer;
    for (int i = 0; i < 1'000 && f.replaced == 0; i++)
        answer = ask_and_read(f); // "server" of the old one, before it has seen the signal
    test_eq(f.replaced, uint32_t{1});
    test_eq_text(answer, "");
    test_eq_text(ask_and_read(f), "local://abc.2 server\n");
    test_eq(f.replaced, uint32_t{1});
}

static void nobody_listens(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    start_command(f, shape::command, work::accepts);
    f.w.port = static_cast<uint16_t>(f.w.port == 1 ? 2 : 1);
    test_eq_text(ask_and_read(f), "");
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "serve") == 0)
        keep_accepting(inherited_fd);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_waits_for_a_connection_lives, setup, teardown),
        cmocka_unit_test_setup_teardown(who_reads_from_a_client_lives, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_that_died_has_no_witness, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_that_ends_itself_has_no_witness, setup, teardown),
        cmocka_unit_test_setup_teardown(who_accepts_again_lives, setup, teardown),
        cmocka_unit_test_setup_teardown(who_is_busy_for_long_lives, setup, teardown),
        cmocka_unit_test_setup_teardown(a_child_of_the_command_may_serve, setup, teardown),
        cmocka_unit_test_setup_teardown(one_of_several_is_another_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(a_child_that_dies_takes_the_listener_along, setup, teardown),
        cmocka_unit_test_setup_teardown(a_program_that_was_replaced_has_no_witness, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_listens, setup, teardown),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
