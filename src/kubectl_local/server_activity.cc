// SPDX-License-Identifier: MIT
// kubectl_local/server_activity.cc: observes from outside whether the process that serves a port has returned to its work.
//
// Knows    /proc of a process that this one may trace: its threads' system calls, its descriptors, the tables of its network.
// Limits   threads_inspected_max, poll_set_max, holders_inspected_max.
#include "kubectl_local/server_activity.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/os.h"
#include "kubectl_local/process_tree.h"

namespace etlnode::kubectl_local {

static constexpr size_t threads_inspected_max = 2048;
static constexpr size_t poll_set_max = 4096;
static constexpr size_t holders_inspected_max = 1024;

// --- files of /proc; small ones are read with one call

static bool read_small(const char *path, char *buffer, size_t size, std::string_view &out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, buffer, size);
    close(fd);
    out = std::string_view(buffer, n > 0 ? static_cast<size_t>(n) : 0);
    return n > 0;
}

static bool contains(const std::vector<std::string> &list, const std::string &one)
{
    return !one.empty() && std::find(list.begin(), list.end(), one) != list.end();
}

// --- the port

void server_activity_read_table(std::string_view table, uint16_t port, std::vector<std::string> &out_sockets)
{
    static constexpr std::string_view listening = "0A";
    std::string wanted = text_format(":%04X", port);
    while (!table.empty()) {
        size_t end = std::min(table.find('\n'), table.size());
        std::string_view line = table.substr(0, end);
        table.remove_prefix(std::min(end + 1, table.size()));
        // "sl local_address rem_address st tx:rx tr:when retransmits uid timeout inode ..."
        std::string_view fields[10];
        size_t count = 0;
        while (count < 10 && !line.empty()) {
            size_t from = std::min(line.find_first_not_of(' '), line.size());
            line.remove_prefix(from);
            size_t size = std::min(line.find(' '), line.size());
            fields[count] = line.substr(0, size);
            count += size > 0;
            line.remove_prefix(size);
            if (count == 2 && !fields[1].ends_with(wanted))
                break;
        }
        if (count == 10 && fields[3] == listening)
            out_sockets.push_back("socket:[" + std::string(fields[9]) + "]");
    }
}

bool server_activity_read_listening(pid_t pid, uint16_t port, std::vector<std::string> &out_sockets)
{
    bool known = false;
    for (const char *name : {"tcp", "tcp6"}) {
        std::string table;
        if (!os_read_file(text_format("/proc/%d/net/%s", pid, name), table))
            continue;
        known = true;
        server_activity_read_table(table, port, out_sockets);
    }
    return known;
}

bool server_activity_find_listeners(pid_t pid, const std::vector<std::string> &listening, port_server &out)
{
    std::string folder = text_format("/proc/%d/fd/", pid);
    std::vector<std::string> names;
    out = port_server();
    out.sockets = listening;
    if (listening.empty())
        return false;
    os_list(folder, names);
    for (const std::string &name : names) {
        std::string link = os_read_link(folder + name);
        if (!contains(listening, link))
            continue;
        if (out.pid == 0)
            out.socket = link;
        out.pid = pid;
        out.listeners.push_back(atoi(name.c_str()));
    }
    return out.pid != 0;
}

// --- its sockets, inspected through descriptors of our own; these are closed at once, so that no connection outlives the server because of
// us

static os_fd borrow(pid_t pid, int fd)
{
    int process = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    if (process < 0)
        return os_fd();
    int got = static_cast<int>(syscall(SYS_pidfd_getfd, process, fd, 0));
    int why = errno;
    close(process);
    errno = why;
    return os_fd(got);
}

static bool tcp_state(const os_fd &socket, struct tcp_info &out)
{
    socklen_t size = sizeof out;
    return socket.fd >= 0 && getsockopt(socket.fd, IPPROTO_TCP, TCP_INFO, &out, &size) == 0;
}

static uint16_t own_port(const os_fd &socket)
{
    struct sockaddr_in6 address = {};
    socklen_t size = sizeof address;
    if (getsockname(socket.fd, reinterpret_cast<struct sockaddr *>(&address), &size) != 0 ||
        (address.sin6_family != AF_INET && address.sin6_family != AF_INET6))
        return 0;
    return ntohs(address.sin6_port); // IPv4 has the port at the same offset
}

// Whether this is an accepted connection that the server has not closed.
static bool is_taken(const port_server &server, int fd)
{
    os_fd socket = borrow(server.pid, fd);
    struct tcp_info about;
    if (socket.fd < 0 && (errno == EPERM || errno == ENOSYS)) // some sandboxes forbid it: being a socket has to suffice
        return os_read_link(text_format("/proc/%d/fd/%d", server.pid, fd)).starts_with("socket:");
    return tcp_state(socket, about) && (about.tcpi_state == TCP_ESTABLISHED || about.tcpi_state == TCP_CLOSE_WAIT) &&
           own_port(socket) == server.port;
}

bool server_activity_read_traffic(const port_server &server, port_traffic &out)
{
    out = port_traffic();
    for (int fd : server.listeners) {
        struct tcp_info about;
        if (!tcp_state(borrow(server.pid, fd), about))
            return false;
        out.pending += about.tcpi_unacked; // for a listening socket this is its queue
    }
    std::string folder = text_format("/proc/%d/fd/", server.pid);
    std::vector<std::string> names;
    os_list(folder, names);
    for (const std::string &name : names) {
        std::string link = os_read_link(folder + name);
        if (link.starts_with("socket:") && !contains(server.sockets, link))
            out.sockets.push_back({link, atoi(name.c_str())});
    }
    return true;
}

bool server_activity_has_accepted(const port_server &server, const port_traffic &before, const port_traffic &now)
{
    if (now.pending < before.pending)
        return true;
    auto is_new = [&](const port_traffic::one &a) {
        return std::none_of(before.sockets.begin(), before.sockets.end(), [&](const port_traffic::one &b) { return a.link == b.link; });
    };
    return std::any_of(
        now.sockets.begin(), now.sockets.end(), [&](const port_traffic::one &one) { return is_new(one) && is_taken(server, one.fd); });
}

std::vector<pid_t> server_activity_holders(pid_t command, const std::vector<std::string> &listening)
{
    std::vector<pid_t> all = process_tree(command, holders_inspected_max, nullptr);
    port_server found;
    std::erase_if(all, [&](pid_t pid) { return !server_activity_find_listeners(pid, listening, found); });
    return all;
}

// --- what a thread waits for

bool server_activity_parse_call(std::string_view text, waiting_call &out)
{
    std::string copy(text); // "running", or "-1 SP PC" if it is blocked outside a system call
    char *at = nullptr;
    out.number = strtol(copy.c_str(), &at, 10);
    if (at == copy.c_str() || out.number < 0)
        return false;
    for (uint64_t &arg : out.args) {
        const char *from = at;
        arg = strtoull(from, &at, 16);
        if (at == from)
            return false;
    }
    return true;
}

static bool read_memory(pid_t pid, uint64_t from, void *to, size_t size)
{
    struct iovec local = {to, size};
    struct iovec remote = {reinterpret_cast<void *>(from), size};
    return process_vm_readv(pid, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(size);
}

static bool is_listener(const port_server &server, int fd)
{
    return std::find(server.listeners.begin(), server.listeners.end(), fd) != server.listeners.end();
}

// The descriptors of a poll call with at most poll_set_max entries.
static std::vector<int> polled(pid_t pid, uint64_t set, uint64_t count)
{
    std::vector<struct pollfd> fds(std::min<uint64_t>(count, poll_set_max));
    std::vector<int> out;
    if (fds.empty() || !read_memory(pid, set, fds.data(), fds.size() * sizeof fds[0]))
        return out;
    for (const struct pollfd &one : fds)
        if (one.fd >= 0 && (one.events & (POLLIN | POLLRDNORM)) != 0)
            out.push_back(one.fd);
    return out;
}

static bool poll_has_listener(const port_server &server, const waiting_call &call)
{
    std::vector<int> fds = polled(server.pid, call.args[0], call.args[1]);
    return std::any_of(fds.begin(), fds.end(), [&](int fd) { return is_listener(server, fd); });
}

static bool select_has_listener(const port_server &server, const waiting_call &call)
{
    fd_set set;
    memset(&set, 0, sizeof set);
    uint64_t count = std::min<uint64_t>(call.args[0], FD_SETSIZE);
    static constexpr uint64_t word_bits = 64; // the kernel copies whole words
    if (count == 0 || call.args[1] == 0 || !read_memory(server.pid, call.args[1], &set, (count + word_bits - 1) / word_bits * 8))
        return false;
    return std::any_of(server.listeners.begin(), server.listeners.end(),
        [&](int fd) { return fd >= 0 && static_cast<uint64_t>(fd) < count && FD_ISSET(fd, &set); });
}

// Lines of the form "tfd:  7 events: ...". A listener stays in the list after it was closed; the caller detects that elsewhere.
static bool epoll_has_listener(port_server &server, int epoll)
{
    if (epoll == server.waiting_epoll)
        return true;
    std::string text;
    if (!os_read_file(text_format("/proc/%d/fdinfo/%d", server.pid, epoll), text))
        return false;
    for (size_t at = text.find("tfd:"); at != std::string::npos; at = text.find("tfd:", at + 1)) {
        if (!is_listener(server, atoi(text.c_str() + at + 4)))
            continue;
        server.waiting_epoll = epoll;
        return true;
    }
    return false;
}

static bool is_poll(long number)
{
#ifdef SYS_poll
    if (number == SYS_poll)
        return true;
#endif
    return number == SYS_ppoll;
}

static bool is_select(long number)
{
#ifdef SYS_select
    if (number == SYS_select)
        return true;
#endif
    return number == SYS_pselect6;
}

static bool is_epoll(long number)
{
#ifdef SYS_epoll_wait
    if (number == SYS_epoll_wait)
        return true;
#endif
    static constexpr long epoll_pwait2 = 441; // the same on every architecture, but missing in some headers
    return number == SYS_epoll_pwait || number == epoll_pwait2;
}

static bool awaits_connection(port_server &server, const waiting_call &call)
{
    static constexpr long io_uring_enter = 426;
    if (call.number == SYS_accept || call.number == SYS_accept4)
        return is_listener(server, static_cast<int>(call.args[0]));
    if (is_poll(call.number))
        return poll_has_listener(server, call);
    if (is_select(call.number))
        return select_has_listener(server, call);
    if (is_epoll(call.number))
        return epoll_has_listener(server, static_cast<int>(call.args[0]));
    return call.number == io_uring_enter && call.args[2] > 0; // io_uring does not show what it waits for
}

static bool is_transfer(long number)
{
    static constexpr long calls[] = {
        SYS_read, SYS_readv, SYS_recvfrom, SYS_recvmsg, SYS_write, SYS_writev, SYS_sendto, SYS_sendmsg, SYS_sendfile};
    return std::find(std::begin(calls), std::end(calls), number) != std::end(calls);
}

// Also true for a poll on this one connection, because a read with a timeout combines both.
static bool awaits_client(const port_server &server, const waiting_call &call)
{
    int fd = -1;
    if (is_transfer(call.number))
        fd = static_cast<int>(call.args[0]);
    struct pollfd one;
    if (is_poll(call.number) && call.args[1] == 1 && read_memory(server.pid, call.args[0], &one, sizeof one))
        fd = one.fd;
    return fd >= 0 && is_taken(server, fd);
}

enum class sight : uint8_t { waits, works, hidden };

static sight inspect_thread(pid_t pid, pid_t thread, waiting_call &out)
{
    char path[64];
    char buffer[256];
    std::string_view text;
    snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", pid, thread);
    if (!read_small(path, buffer, sizeof buffer, text))
        return sight::hidden;
    return server_activity_parse_call(text, out) ? sight::waits : sight::works;
}

// If system calls cannot be observed, a sleeping process counts as waiting.
static bool sleeps(pid_t pid) { return server_activity_identify(pid).is_asleep; }

bool server_activity_awaits_connection(port_server &server)
{
    waiting_call call;
    if (server.waiting_thread != 0 && inspect_thread(server.pid, server.waiting_thread, call) == sight::waits &&
        awaits_connection(server, call))
        return true;
    std::vector<std::string> threads;
    os_list(text_format("/proc/%d/task", server.pid), threads);
    bool any_seen = false;
    for (size_t i = 0; i < std::min(threads.size(), threads_inspected_max); i++) {
        pid_t thread = atoi(threads[i].c_str());
        sight seen = inspect_thread(server.pid, thread, call);
        any_seen = any_seen || seen != sight::hidden;
        if (seen != sight::waits || !awaits_connection(server, call))
            continue;
        server.waiting_thread = thread;
        return true;
    }
    return !any_seen && sleeps(server.pid);
}

bool server_activity_awaits_client(const port_server &server)
{
    std::vector<std::string> threads;
    os_list(text_format("/proc/%d/task", server.pid), threads);
    for (size_t i = 0; i < std::min(threads.size(), threads_inspected_max); i++) {
        waiting_call call;
        if (inspect_thread(server.pid, atoi(threads[i].c_str()), call) == sight::waits && awaits_client(server, call))
            return true;
    }
    return false;
}

// --- the process's identity

process_identity server_activity_parse_identity(std::string_view stat)
{
    process_identity identity;
    size_t at = stat.rfind(')'); // the name before it may contain anything
    std::string rest(at == std::string_view::npos ? std::string_view() : stat.substr(at + 1));
    // "state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime priority nice threads itrealvalue
    // starttime vsize rss rsslim startcode endcode startstack": the first is field 3 in proc(5).
    char state = 0;
    unsigned flags = 0;
    unsigned long long started = 0;
    unsigned long long code = 0;
    unsigned long long stack = 0;
    int count = sscanf(rest.c_str(),
        " %c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu %*u %*d %*u %llu %*u %llu", &state, &flags,
        &started, &code, &stack);
    static constexpr unsigned exiting = 0x4; // PF_EXITING
    identity.is_gone = count < 2 || state == 'Z' || state == 'X' || (flags & exiting) != 0;
    identity.is_asleep = count >= 1 && state == 'S';
    identity.started = count >= 3 ? started : 0;
    if (count == 5 && code > 1) { // the kernel reports 1 to a process without permission
        identity.code = code;
        identity.stack = stack;
    }
    return identity;
}

process_identity server_activity_identify(pid_t pid)
{
    char path[64];
    char buffer[1024];
    std::string_view text;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (!read_small(path, buffer, sizeof buffer, text))
        text = {};
    return server_activity_parse_identity(text);
}

} // namespace etlnode::kubectl_local
