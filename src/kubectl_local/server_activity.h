// SPDX-License-Identifier: MIT
// kubectl_local/server_activity.h: observes from outside whether the process that serves a port has returned to its work.
//
// An exiting process closes its connections first. It closes its listener together with the last of its memory, up to hundreds of
// milliseconds later, and looks alive until then. But it no longer waits for the next connection, accepts one, or waits for a client. So a
// process that does one of these after the end of an answer did not exit with that answer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace etlnode::kubectl_local {

// A process that holds the listening socket.
struct port_server {
    pid_t pid = 0; // 0 if unknown
    uint16_t port = 0;
    std::vector<std::string> sockets; // listening sockets, as links of /proc/PID/fd name them ("socket:[INODE]")
    std::vector<int> listeners;       // the process's descriptors of those sockets
    std::string socket;               // the link of the first one
    // Remembers where the last observation succeeded, so that the next one starts there.
    pid_t waiting_thread = 0;
    int waiting_epoll = -1; // known to watch a listener
};

// Appends the listening sockets of `port` from the text of /proc/PID/net/tcp or tcp6.
void server_activity_read_table(std::string_view table, uint16_t port, std::vector<std::string> &out_sockets);
// Reads both tables as the process sees them, which takes the kernel about 10 ms each. False if they cannot be read.
bool server_activity_read_listening(pid_t pid, uint16_t port, std::vector<std::string> &out_sockets);

// The sockets of a process at one moment.
struct port_traffic {
    struct one {
        std::string link;
        int fd = -1;
    };
    std::vector<one> sockets; // all except listening ones
    uint64_t pending = 0;     // connections not yet accepted
};

// False if the sockets cannot be inspected.
bool server_activity_read_traffic(const port_server &server, port_traffic &out);
// Whether the process accepted a connection between two observations. `now` must be current.
bool server_activity_has_accepted(const port_server &server, const port_traffic &before, const port_traffic &now);

// Finds the process's descriptors of `listening`. False if it has none.
bool server_activity_find_listeners(pid_t pid, const std::vector<std::string> &listening, port_server &out);
// Those of `command` and its descendants that hold one of `listening`.
std::vector<pid_t> server_activity_holders(pid_t command, const std::vector<std::string> &listening);

// Whether one of its threads is waiting for the next connection.
bool server_activity_awaits_connection(port_server &server);
// Whether one of its threads is reading from or writing to an accepted connection and waits for the client.
bool server_activity_awaits_client(const port_server &server);

struct waiting_call {
    long number = -1;
    uint64_t args[6] = {};
};
// Parses "NUMBER ARG0 ... SP PC" of /proc/PID/task/TID/syscall. False if the thread is not waiting in a system call.
bool server_activity_parse_call(std::string_view text, waiting_call &out);

// Distinguishes a process from a later one with the same id, and its program from the one before an execve. Fields that cannot be read stay
// empty.
struct process_identity {
    bool is_gone = false; // it has ended or is marked as exiting
    bool is_asleep = false;
    uint64_t started = 0;
    uint64_t code = 0; // address of the program's code; 0 if not readable
    uint64_t stack = 0;
};
process_identity server_activity_parse_identity(std::string_view stat);
process_identity server_activity_identify(pid_t pid);

} // namespace etlnode::kubectl_local
