// SPDX-License-Identifier: MIT
// test of local/witness: a real process that listens, or whose child does, and dies.
#include "node_test.h"

#include <arpa/inet.h>
#include <csignal>
#include <cstdlib>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "local/witness.h"

struct fixture {
    loop l;
    loop_timer turn;
    witness w;
    std::string address;
    pid_t command = 0;
    pid_t server = 0; // the command, or its child
    uint16_t port = 0;
};

// Waits for a signal that ends it; no test may leave it behind.
[[noreturn]] static void live()
{
    alarm(60);
    for (;;)
        pause();
}

// A command that listens itself, or whose child does. Tells its port and the server's pid through a pipe.
static void start_command(fixture &f, bool by_child)
{
    int pipe_ends[2];
    test_eq(pipe(pipe_ends), 0);
    f.command = fork();
    if (f.command == 0) {
        if (by_child && fork() != 0) {
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
        int told[2] = {ntohs(address.sin_port), getpid()};
        if (write(pipe_ends[1], told, sizeof told) != static_cast<ssize_t>(sizeof told))
            _exit(1);
        live();
    }
    int told[2] = {};
    test_eq(read(pipe_ends[0], told, sizeof told), static_cast<ssize_t>(sizeof told));
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    f.w.port = static_cast<uint16_t>(told[0]);
    f.server = told[1];
}

static pid_t living_command(void *arg)
{
    fixture &f = *static_cast<fixture *>(arg);
    return f.command != 0 && waitpid(f.command, nullptr, WNOHANG) == 0 ? f.command : (f.command = 0);
}

static std::string container_id(void *) { return "local://abc"; }
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
    bool empty = f->w.asked.empty() && f->w.listener.fd == -1;
    loop_close(f->l);
    delete f;
    return empty ? 0 : -1;
}

// What the witness says to one who asks; empty when it closes without a word.
static std::string ask(fixture &f)
{
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    uint64_t port = 0;
    test_true(text_parse_u64(std::string_view(f.address).substr(f.address.find(':') + 1), port));
    address.sin_port = htons(static_cast<uint16_t>(port));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    test_eq(connect(fd, reinterpret_cast<struct sockaddr *>(&address), sizeof address), 0);
    std::string said;
    for (int i = 0; i < 5'000; i++) { // 10 s
        char chunk[256];
        ssize_t n = recv(fd, chunk, sizeof chunk, MSG_DONTWAIT);
        if (n > 0)
            said.append(chunk, static_cast<size_t>(n));
        if (n == 0) {
            close(fd);
            return said;
        }
        f.l.stopped = false;
        loop_timer_arm(f.l, f.turn, 2);
        loop_run(f.l);
    }
    close(fd);
    test_true(false);
    return said;
}

static void a_server_lives(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    start_command(f, false);
    test_eq_text(ask(f), "local://abc server\n");
    test_true(!f.w.known_path.empty());
    test_eq_text(ask(f), "local://abc server\n"); // from what it knows by now
}

static void a_server_that_died_has_no_witness(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    start_command(f, false);
    test_eq_text(ask(f), "local://abc server\n");
    kill(f.command, SIGKILL);
    waitpid(f.command, nullptr, 0);
    f.command = f.server = 0;
    test_eq_text(ask(f), "");
}

static void a_child_of_the_command_may_serve(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    start_command(f, true);
    test_eq_text(ask(f), "local://abc other\n");
}

static void a_child_that_dies_takes_the_listener_along(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    start_command(f, true);
    kill(f.server, SIGKILL);
    f.server = 0;
    // Asked while it dies, or after: the command lives on in either case, and nobody listens in the end.
    test_eq_text(ask(f), "");
}

static void nobody_listens(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    start_command(f, false);
    f.w.port = static_cast<uint16_t>(f.w.port == 1 ? 2 : 1);
    test_eq_text(ask(f), "");
}

static void listeners_are_read_from_the_kernels_table(void **)
{
    static const char table[] = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
                                "   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0\n"
                                "   1: 0100007F:0050 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 20 4 30 10 -1\n"
                                "   2: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0\n"
                                "   3: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4714 1 0000000000000000 100 0 0 10 0\n"
                                "   4: 00000000:0050";
    std::vector<std::string> sockets;
    witness_read_listeners(table, 80, sockets);
    test_eq(sockets.size(), size_t{2});
    test_eq_text(sockets[0], "socket:[4711]");
    test_eq_text(sockets[1], "socket:[4713]");
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_server_lives, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_that_died_has_no_witness, setup, teardown),
        cmocka_unit_test_setup_teardown(a_child_of_the_command_may_serve, setup, teardown),
        cmocka_unit_test_setup_teardown(a_child_that_dies_takes_the_listener_along, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_listens, setup, teardown),
        cmocka_unit_test(listeners_are_read_from_the_kernels_table),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
