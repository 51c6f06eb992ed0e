// SPDX-License-Identifier: MIT
// test of kubectl_local/server_activity: parsing of the kernel's tables. Real processes: test_witness.cc.
#include "node_test.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kubectl_local/os.h"
#include "kubectl_local/server_activity.h"

using namespace etlnode;
using namespace etlnode::kubectl_local;

static const char table[] =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   0: 00000000:0050 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0\n"
    "   1: 0100007F:0050 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 20 4 30 10 -1\n"
    "   2: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000001 00:00000000 00000000     0     "
    "   0 4713 1 0\n"
    "   3: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4714 1 0000000000000000 100 0 0 10 0\n"
    "   4: 0100007F:0050 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 0 1 0000000000000000 20 4 30 10 -1\n"
    "   5: 0100007F:0050 0100007F:C002 05 00000000:00000000 00:00000000 00000000     0        0 4715 1 0000000000000000 20 4 30 10 -1\n"
    "   6: 0100007F:C000 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 4716 1 0000000000000000 20 4 30 10 -1\n"
    "   7: 00000000:0050";

static void the_table_of_a_port_is_read(void **)
{
    std::vector<std::string> sockets;
    server_activity_read_table(table, 80, sockets);
    test_eq(sockets.size(), size_t{2});
    test_eq_text(sockets[0], "socket:[4711]");
    test_eq_text(sockets[1], "socket:[4713]");
}

// A server in this process: its waits, its accepted connections, and its other sockets.
static void an_accept_shows_between_two_observations(void **)
{
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    os_fd listener(socket(AF_INET, SOCK_STREAM, 0));
    test_eq(bind(listener.fd, reinterpret_cast<struct sockaddr *>(&address), size), 0);
    test_eq(listen(listener.fd, 8), 0);
    test_eq(getsockname(listener.fd, reinterpret_cast<struct sockaddr *>(&address), &size), 0);
    std::vector<std::string> sockets;
    port_server server;
    test_true(server_activity_read_listening(getpid(), ntohs(address.sin_port), sockets));
    test_true(server_activity_find_listeners(getpid(), sockets, server));
    server.port = ntohs(address.sin_port);
    test_eq(server.listeners.size(), size_t{1});
    test_eq(server.listeners[0], listener.fd);

    os_fd clients[2];
    for (os_fd &one : clients) {
        one.reset(socket(AF_INET, SOCK_STREAM, 0));
        test_eq(connect(one.fd, reinterpret_cast<struct sockaddr *>(&address), size), 0);
    }
    port_traffic waiting;
    test_true(server_activity_read_traffic(server, waiting));
    test_eq(waiting.pending, uint64_t{2});
    test_true(!server_activity_has_accepted(server, waiting, waiting));
    os_fd first(accept(listener.fd, nullptr, nullptr));
    port_traffic one_accepted;
    test_true(server_activity_read_traffic(server, one_accepted));
    test_eq(one_accepted.pending, uint64_t{1});
    test_true(server_activity_has_accepted(server, waiting, one_accepted)); // fewer wait

    os_fd third(socket(AF_INET, SOCK_STREAM, 0)); // an outgoing connection is not an accepted one
    test_eq(connect(third.fd, reinterpret_cast<struct sockaddr *>(&address), size), 0);
    port_traffic one_more;
    test_true(server_activity_read_traffic(server, one_more));
    test_eq(one_more.pending, uint64_t{2});
    test_true(!server_activity_has_accepted(server, one_accepted, one_more));
    port_traffic before = one_more;
    os_fd second(accept(listener.fd, nullptr, nullptr));
    test_true(server_activity_read_traffic(server, one_more));
    before.pending = 0;
    test_true(server_activity_has_accepted(server, before, one_more)); // one that was not there
}

static void a_waiting_call_is_parsed(void **)
{
    waiting_call call;
    test_true(server_activity_parse_call("232 0x5 0x7f0010 0xff 0xffffffffffffffff 0x0 0x8 0x7ffd 0x7f12\n", call));
    test_eq(call.number, 232L);
    test_eq(call.args[0], uint64_t{5});
    test_eq(call.args[3], ~uint64_t{0});
    test_true(!server_activity_parse_call("running\n", call));
    test_true(!server_activity_parse_call("-1 0x7ffd 0x7f12\n", call));
    test_true(!server_activity_parse_call("", call));
    test_true(!server_activity_parse_call("7 0x1", call));
}

static void a_mark_is_parsed(void **)
{
    process_identity identity = server_activity_parse_identity(
        "12 (a) b) (c) S 1 12 12 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 4242 1000 200 18446744073709551615 4096 8192 140720000 0 0 0\n");
    test_true(!identity.is_gone);
    test_true(identity.is_asleep);
    test_eq(identity.started, uint64_t{4242});
    test_eq(identity.code, uint64_t{4096});
    test_eq(identity.stack, uint64_t{140720000});
    identity = server_activity_parse_identity(
        "12 (a) R 1 12 12 0 -1 4194564 100 0 0 0 1 2 0 0 20 0 1 0 4242 1000 200 18446744073709551615 1 1 0 0 0 0\n");
    test_true(identity.is_gone); // marked as exiting
    test_true(!identity.is_asleep);
    test_eq(identity.code, uint64_t{0}); // not shown to us
    test_true(server_activity_parse_identity("12 (a) Z 1 12 12 0 -1 0 0").is_gone);
    test_true(server_activity_parse_identity("").is_gone);
    identity = server_activity_identify(getpid());
    test_true(!identity.is_gone);
    test_true(identity.code != 0 && identity.stack != 0 && identity.started != 0);
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_of_a_port_is_read),
        cmocka_unit_test(an_accept_shows_between_two_observations),
        cmocka_unit_test(a_waiting_call_is_parsed),
        cmocka_unit_test(a_mark_is_parsed),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
