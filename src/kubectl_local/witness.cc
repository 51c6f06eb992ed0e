// SPDX-License-Identifier: MIT
// kubectl_local/witness.cc: tells the node whether the process that serves a pod's port has outlived its answer.
#include "kubectl_local/witness.h"

#include <algorithm>
#include <cerrno>

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/text.h"

namespace etlnode::kubectl_local {

// --- who serves

enum class finding : uint8_t { dead, server, other, unclear };

// Finds the one process that holds the listening socket, where that is not known from the last look.
static finding find_server(witness &w, pid_t command)
{
    if (command == w.known_command && os_read_link(text_format("/proc/%d/fd/%d", w.server.pid, w.server.listeners[0])) == w.server.socket)
        return finding::server;
    w.known_command = 0;
    w.shared_until_ms = 0;
    std::vector<std::string> sockets;
    if (at_work_read_listening(command, w.port, sockets) && sockets.empty())
        return finding::dead;
    if (!at_work_find_listeners(command, sockets, w.server)) {
        std::vector<pid_t> holders = at_work_holders(command, sockets);
        if (holders.size() != 1 || !at_work_find_listeners(holders[0], sockets, w.server))
            return finding::other;
    }
    w.server.port = w.port;
    w.known_command = command;
    return finding::server;
}

// Several processes take connections from one queue: who of them gave an answer cannot be seen.
static bool is_shared(witness &w)
{
    uint64_t now = os_now_ms();
    if (now < w.shared_until_ms)
        return true;
    if (at_work_holders(w.known_command, w.server.sockets).size() < 2)
        return false;
    w.shared_until_ms = now + witness_patience_ms;
    return true;
}

// Which process and program serves. False: it is gone, or marked as dying.
static bool note_server(witness &w)
{
    process_mark mark = at_work_mark(w.server.pid);
    if (mark.is_gone) {
        w.known_command = 0;
        return false;
    }
    bool is_first = w.mark_pid == 0;
    bool is_comparable = mark.code != 0 && w.mark.code != 0;
    bool is_same = w.mark_pid == w.server.pid && w.mark.started == mark.started &&
                   (!is_comparable || (w.mark.code == mark.code && w.mark.stack == mark.stack));
    if (!is_same || mark.code != 0)
        w.mark = mark;
    w.mark_pid = w.server.pid;
    if (!is_first && !is_same) {
        w.replaced++;
        w.known_command = 0;
        if (w.on_replaced != nullptr)
            w.on_replaced(w.arg);
    }
    return true;
}

// What is seen now, for every question that is due.
struct sighting {
    pid_t command = 0;
    finding found = finding::dead;
    bool is_working = false;
    bool has_traffic = false; // looked at where nothing else tells
    port_traffic traffic;
};

// The listener may have got more descriptors since the last look.
static bool awaits_on_another_descriptor(witness &w)
{
    served_by now;
    if (!at_work_find_listeners(w.server.pid, w.server.sockets, now) || now.listeners == w.server.listeners)
        return false;
    now.port = w.port;
    w.server = now;
    return at_work_awaits_connection(w.server);
}

static sighting look_at(witness &w)
{
    sighting seen;
    seen.command = w.living_command(w.arg);
    if (seen.command == 0)
        return seen;
    seen.found = find_server(w, seen.command);
    if (seen.found == finding::server) {
        seen.is_working = at_work_awaits_connection(w.server);
        if (!seen.is_working) {
            bool shared = is_shared(w);
            seen.is_working = shared || at_work_awaits_client(w.server) || awaits_on_another_descriptor(w);
            seen.has_traffic = !seen.is_working && at_work_read_traffic(w.server, seen.traffic);
            if (shared && w.server.pid != seen.command)
                seen.found = finding::other;
        }
        // Asked last: what is not marked now was not dying when it was looked at.
        if (!note_server(w))
            seen.found = finding::dead;
    }
    if (w.living_command(w.arg) != seen.command)
        seen.found = finding::dead;
    return seen;
}

static finding judge(const witness &w, witness::question &q, const sighting &seen)
{
    bool is_first = q.looks++ == 0;
    if (is_first)
        q.command = seen.command;
    if (seen.found == finding::dead || seen.command != q.command || w.replaced != q.replaced)
        return finding::dead;
    if (seen.found == finding::other)
        return is_first ? finding::unclear : finding::other;
    if (seen.is_working || os_now_ms() - q.asked_ms >= w.patience_ms)
        return finding::server;
    if (q.has_traffic)
        return seen.has_traffic && at_work_has_accepted(w.server, q.traffic, seen.traffic) ? finding::server : finding::unclear;
    q.has_traffic = seen.has_traffic;
    q.traffic = seen.traffic;
    return finding::unclear;
}

// Soon at first: most are on their way back to their work. One of several processes is not looked at for that.
static uint64_t pause_before(const witness::question &q, const sighting &seen)
{
    static constexpr uint64_t pauses[] = {1, 1, 2, 5, 10, 20};
    static constexpr uint64_t longest = 50;
    if (seen.found == finding::other)
        return witness_look_again_ms;
    return q.looks <= std::size(pauses) ? pauses[q.looks - 1] : longest;
}

void witness_forget(witness &w)
{
    w.known_command = 0;
    w.mark_pid = 0;
    w.mark = process_mark();
}

void witness_remember(witness &w)
{
    pid_t command = w.port != 0 && w.living_command != nullptr ? w.living_command(w.arg) : 0;
    if (command != 0 && find_server(w, command) == finding::server)
        note_server(w);
}

// --- questions

static void answer(witness &w, int fd, finding found)
{
    if (found != finding::dead) {
        std::string line = w.container_id(w.arg) + (found == finding::server ? " server\n" : " other\n");
        [[maybe_unused]] ssize_t sent = send(
            fd, line.data(), line.size(), MSG_NOSIGNAL); // a few bytes into an empty buffer; who has gone needs none
    }
    close(fd);
}

static void arm(witness &w)
{
    loop_watch_change(*w.l, w.listener, w.asked.size() < witness_asked_max ? static_cast<uint32_t>(EPOLLIN) : 0);
    if (w.asked.empty())
        return;
    auto sooner = [](const witness::question &a, const witness::question &b) { return a.due_ms < b.due_ms; };
    uint64_t now = os_now_ms();
    uint64_t due = std::min_element(w.asked.begin(), w.asked.end(), sooner)->due_ms;
    loop_timer_arm(*w.l, w.look, due > now ? due - now : 0);
}

// True: it has its answer.
static bool settle(witness &w, witness::question &q, const sighting &seen)
{
    finding found = judge(w, q, seen);
    if (found == finding::unclear) {
        q.due_ms = os_now_ms() + pause_before(q, seen);
        return false;
    }
    answer(w, q.fd, found);
    return true;
}

static void on_look(void *arg)
{
    witness &w = *static_cast<witness *>(arg);
    uint64_t now = os_now_ms();
    if (std::any_of(w.asked.begin(), w.asked.end(), [&](const witness::question &q) { return q.due_ms <= now; })) {
        sighting seen = look_at(w);
        std::vector<witness::question> rest;
        for (witness::question &q : w.asked)
            if (q.due_ms > now || !settle(w, q, seen))
                rest.push_back(std::move(q));
        w.asked.swap(rest);
    }
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
    witness::question q;
    q.fd = fd;
    q.replaced = w.replaced;
    q.asked_ms = os_now_ms();
    sighting seen = look_at(w);
    if (settle(w, q, seen))
        return;
    w.asked.push_back(std::move(q));
    arm(w);
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

} // namespace etlnode::kubectl_local
