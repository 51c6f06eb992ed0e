// SPDX-License-Identifier: MIT
// local/witness.cc: tells the node whether the process that serves a pod's port still lives.
#include "local/witness.h"

#include <algorithm>
#include <cerrno>

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/text.h"

// --- who listens

void witness_read_listeners(std::string_view table, uint16_t port, std::vector<std::string> &out_sockets)
{
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
        }
        static constexpr std::string_view listening = "0A";
        if (count == 10 && fields[3] == listening && fields[1].ends_with(wanted))
            out_sockets.push_back("socket:[" + std::string(fields[9]) + "]");
    }
}

// False: the tables cannot be read.
static bool listeners_of(pid_t command, uint16_t port, std::vector<std::string> &out_sockets)
{
    bool known = false;
    for (const char *name : {"tcp", "tcp6"}) {
        std::string table;
        if (!os_read_file(text_format("/proc/%d/net/%s", command, name), table))
            continue;
        known = true;
        witness_read_listeners(table, port, out_sockets);
    }
    return known;
}

static bool command_holds(witness &w, pid_t command, const std::vector<std::string> &sockets)
{
    std::string folder = text_format("/proc/%d/fd/", command);
    std::vector<std::string> names;
    os_list(folder, names);
    for (const std::string &name : names) {
        std::string link = os_read_link(folder + name);
        if (std::find(sockets.begin(), sockets.end(), link) == sockets.end())
            continue;
        w.known_command = command;
        w.known_path = folder + name;
        w.known_socket = link;
        return true;
    }
    return false;
}

enum class finding : uint8_t { dead, server, other };

static finding look_at(witness &w)
{
    pid_t command = w.living_command(w.arg);
    if (command == 0)
        return finding::dead;
    bool holds = command == w.known_command && os_read_link(w.known_path) == w.known_socket;
    if (!holds) {
        w.known_command = 0;
        std::vector<std::string> sockets;
        if (listeners_of(command, w.port, sockets) && sockets.empty())
            return finding::dead;
        holds = command_holds(w, command, sockets);
    }
    // Asked last: what is not marked now was not dying when it was looked at.
    if (w.living_command(w.arg) != command)
        return finding::dead;
    return holds ? finding::server : finding::other;
}

// --- questions

static void answer(witness &w, int fd, finding found)
{
    if (found != finding::dead) {
        std::string line = w.container_id(w.arg) + (found == finding::server ? " server\n" : " other\n");
        [[maybe_unused]] ssize_t sent = send(fd, line.data(), line.size(), MSG_NOSIGNAL); // a few bytes into an empty buffer; who has gone needs none
    }
    close(fd);
}

static void arm(witness &w)
{
    loop_watch_change(*w.l, w.listener, w.asked.size() < witness_asked_max ? static_cast<uint32_t>(EPOLLIN) : 0);
    if (w.asked.empty())
        return;
    uint64_t now = os_now_ms();
    uint64_t due = w.asked.front().due_ms;
    loop_timer_arm(*w.l, w.look, due > now ? due - now : 0);
}

static void on_look(void *arg)
{
    witness &w = *static_cast<witness *>(arg);
    uint64_t now = os_now_ms();
    size_t count = 0;
    while (count < w.asked.size() && w.asked[count].due_ms <= now)
        count++;
    finding found = count > 0 ? look_at(w) : finding::dead;
    for (size_t i = 0; i < count; i++)
        answer(w, w.asked[i].fd, found);
    w.asked.erase(w.asked.begin(), w.asked.begin() + static_cast<ptrdiff_t>(count));
    arm(w);
}

static void on_question(void *arg, uint32_t)
{
    witness &w = *static_cast<witness *>(arg);
    int fd = accept4(w.listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) { // it would spin: it rests
            loop_watch_change(*w.l, w.listener, 0);
            loop_timer_arm(*w.l, w.look, witness_look_again_ms);
        }
        return;
    }
    finding found = look_at(w);
    if (found == finding::other) {
        w.asked.push_back({fd, os_now_ms() + witness_look_again_ms});
        arm(w);
        return;
    }
    answer(w, fd, found);
}

bool witness_open(witness &w, std::string &out_address)
{
    CHECK(w.l != nullptr && w.living_command != nullptr && w.container_id != nullptr);
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    os_fd fd;
    fd.reset(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (fd.fd < 0 || bind(fd.fd, reinterpret_cast<struct sockaddr *>(&address), size) != 0 || listen(fd.fd, 512) != 0 ||
        getsockname(fd.fd, reinterpret_cast<struct sockaddr *>(&address), &size) != 0)
        return false;
    out_address = text_format("127.0.0.1:%u", ntohs(address.sin_port));
    w.look.on_timer = on_look;
    w.look.arg = &w;
    w.listener.on_event = on_question;
    w.listener.arg = &w;
    loop_watch_add(*w.l, w.listener, fd.release(), EPOLLIN);
    return true;
}

void witness_close(witness &w)
{
    if (w.listener.fd == -1)
        return;
    int fd = w.listener.fd;
    loop_watch_remove(*w.l, w.listener);
    close(fd);
    loop_timer_forget(*w.l, w.look);
    for (const witness::question &one : w.asked)
        close(one.fd);
    w.asked.clear();
}
