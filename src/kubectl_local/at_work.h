// SPDX-License-Identifier: MIT
// kubectl_local/at_work.h: whether a process that serves a port is seen to be at its work again, from outside.
//
// A process that ends itself closes the connection of its answer first, and its listener with the last of its memory, hundreds of milliseconds
// later. Until then it looks alive. What it does not do any more is wait for the next connection, take one, or wait for a client. Who is seen
// to do one of these after the end of an answer has not ended with it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace etlnode::kubectl_local {

// One process that holds the listening socket.
struct served_by {
    pid_t pid = 0; // 0: nobody is known
    uint16_t port = 0;
    std::vector<std::string> sockets; // that listen, as links of /proc/PID/fd name them ("socket:[INODE]")
    std::vector<int> listeners;       // its descriptors of these
    std::string socket;               // the first one's link
    // Memory of the last look, so that the next one begins where something was found.
    pid_t waiting_thread = 0;
    int waiting_epoll = -1; // known to watch a listener
};

// Adds the listening sockets of `port` in the text of /proc/PID/net/tcp or tcp6.
void at_work_read_table(std::string_view table, uint16_t port, std::vector<std::string> &out_sockets);
// Both tables, as the process sees them: the kernel takes some 10 ms for each. False: they cannot be read.
bool at_work_read_listening(pid_t pid, uint16_t port, std::vector<std::string> &out_sockets);

// A process's sockets at one time.
struct port_traffic {
    struct one {
        std::string link;
        int fd = -1;
    };
    std::vector<one> sockets; // all but those that listen
    uint64_t pending = 0;     // connections that were not accepted yet
};

// False: it cannot be seen.
bool at_work_read_traffic(const served_by &server, port_traffic &out);
// Whether it accepted a connection between two looks, the later of which is now.
bool at_work_has_accepted(const served_by &server, const port_traffic &before, const port_traffic &now);

// Finds the process's descriptors of `listening`. False: it has none.
bool at_work_find_listeners(pid_t pid, const std::vector<std::string> &listening, served_by &out);
// The processes below `command` that hold one of `listening`, and itself.
std::vector<pid_t> at_work_holders(pid_t command, const std::vector<std::string> &listening);

// Whether one of its threads waits for the next connection.
bool at_work_awaits_connection(served_by &server);
// Whether one of its threads reads from or writes to an accepted connection, and waits for the client.
bool at_work_awaits_client(const served_by &server);

// "NUMBER ARG0 ... SP PC" of /proc/PID/task/TID/syscall. False: it does not wait inside a system call.
struct waiting_call {
    long number = -1;
    uint64_t args[6] = {};
};
bool at_work_parse_call(std::string_view text, waiting_call &out);

// What tells a process from any other with its id, and its program from the one that it was before an execve. Empty fields: not to be seen.
struct process_mark {
    bool is_gone = false; // or about to be: marked as dying
    bool is_asleep = false;
    uint64_t started = 0;
    uint64_t code = 0; // where its program lies; 0: not to be seen
    uint64_t stack = 0;
};
process_mark at_work_parse_mark(std::string_view stat);
process_mark at_work_mark(pid_t pid);

} // namespace etlnode::kubectl_local
