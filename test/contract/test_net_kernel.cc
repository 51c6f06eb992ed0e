// SPDX-License-Identifier: MIT
// test/contract/test_net_kernel.cc: what port/net.h promises about the kernel: descriptors that run out, sockets left open, pacing.
#include "net_world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

using namespace etlnode;

static void running_out_of_descriptors_pauses_accepting(void **)
{
    listen_here();
    rlimit normal{};
    test_eq(getrlimit(RLIMIT_NOFILE, &normal), 0);
    // The client's socket is created first; then the server has no descriptor left for its own.
    test_ok(net_connect(*world->e, "127.0.0.1", port(), on_connect, nullptr, &net->call));
    rlimit low = normal;
    low.rlim_cur = 3;
    test_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    net_connect_call *refused = nullptr;
    error err = net_connect(*world->e, "127.0.0.1", port(), on_connect, nullptr, &refused);
    uint64_t before = cpu_us();
    world_pass(500);
    uint64_t used = cpu_us() - before;
    size_t accepted = net->accepted.size();
    test_eq(setrlimit(RLIMIT_NOFILE, &normal), 0);
    test_eq(accepted, 0u);
    test_true(used < 250'000); // it did not spin
    test_ok(err);              // reported by the completion
    test_true(world_until([] { return net->connects == 2; }));
    test_eq(net->connect_failures, 1);
    test_true(world_until([] { return net->accepted.size() == 1; }, 3000));
}

static void the_end_closes_what_is_left(void **)
{
    make_pair();
    woken = 0;
    net_wait(*world->e, net->server, net_side::readable, wake, nullptr);
    test_ok(net_connect(*world->e, "127.0.0.1", port(), on_connect, nullptr, &net->call));
    test_ok(net_connect(*world->e, "localhost", port(), on_connect, nullptr, &net->call));
    (void)net_relay_make(*world->e);
    (void)make_file(100);
    timer_arm(*world->e, timer_make(*world->e, wake, nullptr), 60'000); // a timer that is due may still fire while jobs are awaited
    world_end(false);
    test_eq(woken, 0);
    *net = {};
}

// The congestion controls of all connected sockets in this process.
static std::vector<std::string> controls_here()
{
    std::vector<std::string> out;
    for (int fd = 3; fd < 256; fd++) {
        sockaddr_in peer{};
        socklen_t size = sizeof peer;
        char control[16] = "";
        socklen_t control_size = sizeof control - 1;
        if (getpeername(fd, reinterpret_cast<sockaddr *>(&peer), &size) == 0 &&
            getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control, &control_size) == 0)
            out.emplace_back(control);
    }
    return out;
}

static constexpr const char *own_address = "10.99.0.1"; // of the network below; not a loopback address
static bool has_own_address = false;

static std::string usual_control()
{
    char control[16] = "";
    socklen_t size = sizeof control - 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    test_eq(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control, &size), 0);
    close(fd);
    return control;
}

static void expect_controls(const char *host, net_reach reach, const std::string &control)
{
    test_ok(net_listen(*world->e, host, 0, on_accept, nullptr, &net->listener, reach));
    test_ok(net_connect(*world->e, host, port(), on_connect, nullptr, &net->call, reach));
    test_true(world_until([] { return net->accepted.size() == 1 && net->connected.size() == 1; }));
    std::vector<std::string> seen = controls_here();
    test_eq(seen.size(), 2u);
    for (const std::string &one : seen)
        test_eq_text(one, control);
    net_close(*world->e, net->accepted[0]);
    net_close(*world->e, net->connected[0]);
    net_listener_close(*world->e, net->listener);
    *net = {};
}

static void paced_only_where_there_is_a_network(void **)
{
    std::string usual = usual_control();
    std::string near = usual.starts_with("bbr") ? "reno" : usual; // an algorithm without pacing is left alone
    expect_controls("127.0.0.1", net_reach::anywhere, near);
    expect_controls("127.0.0.1", net_reach::this_machine, near);
    if (!has_own_address)
        return;
    expect_controls(own_address, net_reach::anywhere, usual);
    expect_controls(own_address, net_reach::this_machine, near);
}

// Enters a new network namespace, with BBR as the default if this kernel has it. If no namespace can be made, stays in the machine's
// network.
static void enter_paced_network()
{
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return;
    int fd = open("/proc/sys/net/ipv4/tcp_congestion_control", O_WRONLY | O_CLOEXEC);
    bool is_paced = fd >= 0 && write(fd, "bbr", 3) == 3;
    close(fd);
    if (!is_paced)
        print_error("this kernel has no BBR: its default is expected everywhere\n");
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    bool is_up = ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    std::strcpy(request.ifr_name, "lo:1");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    inet_pton(AF_INET, own_address, &address.sin_addr);
    std::memcpy(&request.ifr_addr, &address, sizeof address);
    has_own_address = ioctl(fd, SIOCSIFADDR, &request) == 0 && is_up;
    close(fd);
}

static void connections_of_one_machine_are_not_paced(void **)
{
    pid_t child = fork();
    if (child == 0) {
        int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null_fd, STDOUT_FILENO); // it prints its own TAP; its failures are on stderr
        execl("/proc/self/exe", "test-net-kernel", "--in-paced-network", nullptr);
        _exit(127);
    }
    int status = 0;
    test_eq(waitpid(child, &status, 0), child);
    test_eq(status, 0);
}
int main(int argc, char **argv)
{
    if (argc == 2 && std::string_view(argv[1]) == "--in-paced-network") {
        const CMUnitTest inside[] = {ONCE(paced_only_where_there_is_a_network)};
        enter_paced_network();
        return cmocka_run_group_tests(inside, nullptr, nullptr);
    }
    const CMUnitTest tests[] = {
        ONCE(running_out_of_descriptors_pauses_accepting),
        ONCE(the_end_closes_what_is_left),
        ONCE(connections_of_one_machine_are_not_paced),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
