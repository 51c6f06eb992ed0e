// SPDX-License-Identifier: MIT
// kubectl_local/witness.cc: tells the node whether the process that serves a pod's port has survived its answer.
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

// --- the serving process

enum class finding : uint8_t { dead, server, other, unclear };

// Finds the single process that holds the listening socket, unless the previous observation already did.
static finding find_server(witness &w, pid_t command)
{
    if (command == w.known_command && os_read_link(text_format("/proc/%d/fd/%d", w.server.pid, w.server.listeners[0])) == w.server.socket)
        return finding::server;
    w.known_command = 0;
    w.shared_until_ms = 0;
    std::vector<std::string> sockets;
    if (server_activity_read_listening(command, w.port, sockets) && sockets.empty())
        return finding::dead;
    if (!server_activity_find_listeners(command, sockets, w.server)) {
        std::vector<pid_t> holders = server_activity_holders(command, sockets);
        if (holders.size() != 1 || !server_activity_find_listeners(holders[0], sockets, w.server))
            return finding::other;
    }
    w.server.port = w.port;
    w.known_command = command;
    return finding::server;
}

// If several processes accept connections from one queue, it cannot be seen which of them gave an answer.
static bool is_shared(witness &w)
{
    uint64_t now = os_now_ms();
    if (now < w.shared_until_ms)
        return true;
    if (server_activity_holders(w.known_command, w.server.sockets).size() < 2)
        return false;
    w.shared_until_ms = now + witness_patience_ms;
    return true;
}

// Records which process and program serves. False if it has ended or is marked as exiting.
static bool note_server(witness &w)
{
    process_identity identity = server_activity_identify(w.server.pid);
    if (identity.is_gone) {
        w.known_command = 0;
        return false;
    }
    bool is_first = w.identity_pid == 0;
    bool is_comparable = identity.code != 0 && w.identity.code != 0;
    bool is_same = w.identity_pid == w.server.pid && w.identity.started == identity.started &&
                   (!is_comparable || (w.identity.code == identity.code && w.identity.stack == identity.stack));
    if (!is_same || identity.code != 0)
        w.identity = identity;
    w.identity_pid = w.server.pid;
    if (!is_first && !is_same) {
        w.replaced++;
        w.known_command = 0;
        if (w.on_replaced != nullptr)
            w.on_replaced(w.arg);
    }
    return true;
}

// The present observation, for every question that is due.
struct observation {
    pid_t command = 0;
    finding found = finding::dead;
    bool is_working = false;
    bool has_traffic = false; // only read if nothing else decides
    port_traffic traffic;
};

// The listener may have got more descriptors since the last observation.
static bool awaits_on_another_descriptor(witness &w)
{
    port_server now;
    if (!server_activity_find_listeners(w.server.pid, w.server.sockets, now) || now.listeners == w.server.listeners)
        return false;
    now.port = w.port;
    w.server = now;
    return server_activity_awaits_connection(w.server);
}

static observation look_at(witness &w)
{
    observation seen;
    seen.command = w.living_command(w.arg);
    if (seen.command == 0)
        return seen;
    seen.found = find_server(w, seen.command);
    if (seen.found == finding::server) {
        seen.is_working = server_activity_awaits_connection(w.server);
        if (!seen.is_working) {
            bool shared = is_shared(w);
            seen.is_working = shared || server_activity_awaits_client(w.server) || awaits_on_another_descriptor(w);
            seen.has_traffic = !seen.is_working && server_activity_read_traffic(w.server, seen.traffic);
            if (shared && w.server.pid != seen.command)
                seen.found = finding::other;
        }
        // Check this last: a process that is not marked now was not exiting during the observation.
        if (!note_server(w))
            seen.found = finding::dead;
    }
    if (w.living_command(w.arg) != seen.command)
        seen.found = finding::dead;
    return seen;
}

static finding check(const witness &w, witness::question &q, const observation &seen)
{
    bool is_first = q.observations++ == 0;
    if (is_first)
        q.command = seen.command;
    if (seen.found == finding::dead || seen.command != q.command || w.replaced != q.replaced)
        return finding::dead;
    if (seen.found == finding::other)
        return is_first ? finding::unclear : finding::other;
    if (seen.is_working || os_now_ms() - q.asked_ms >= w.patience_ms)
        return finding::server;
    if (q.has_traffic)
        return seen.has_traffic && server_activity_has_accepted(w.server, q.traffic, seen.traffic) ? finding::server : finding::unclear;
    q.has_traffic = seen.has_traffic;
    q.traffic = seen.traffic;
    return finding::unclear;
}

// Check soon at first, because most servers are just returning to their work. If several processes share the socket, this does not help.
static uint64_t pause_before(const witness::question &q, const observation &seen)
{
    static constexpr uint64_t pauses[] = {1, 1, 2, 5, 10, 20};
    static constexpr uint64_t longest = 50;
    if (seen.found == finding::other)
        return witness_recheck_ms;
    return q.observations <= std::size(pauses) ? pauses[q.observations - 1] : longest;
}

void witness_forget(witness &w)
{
    w.known_command = 0;
    w.identity_pid = 0;
    w.identity = process_identity();
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
        [[maybe_unused]] ssize_t sent = send(fd, line.data(), line.size(),
            MSG_NOSIGNAL); // a few bytes into an empty buffer always fit; a client that has gone does not need them
    }
    close(fd);
}

static void arm(witness &w)
{
    loop_watch_change(*w.l, w.listener, w.questions.size() < witness_questions_max ? static_cast<uint32_t>(EPOLLIN) : 0);
    if (w.questions.empty())
        return;
    auto sooner = [](const witness::question &a, const witness::question &b) { return a.due_ms < b.due_ms; };
    uint64_t now = os_now_ms();
    uint64_t due = std::min_element(w.questions.begin(), w.questions.end(), sooner)->due_ms;
    loop_timer_arm(*w.l, w.recheck, due > now ? due - now : 0);
}

// True if the question was answered.
static bool try_answer(witness &w, witness::question &q, const observation &seen)
{
    finding found = check(w, q, seen);
    if (found == finding::unclear) {
        q.due_ms = os_now_ms() + pause_before(q, seen);
        return false;
    }
    answer(w, q.fd, found);
    return true;
}

static void on_recheck(void *arg)
{
    witness &w = *static_cast<witness *>(arg);
    uint64_t now = os_now_ms();
    if (std::any_of(w.questions.begin(), w.questions.end(), [&](const witness::question &q) { return q.due_ms <= now; })) {
        observation seen = look_at(w);
        std::vector<witness::question> rest;
        for (witness::question &q : w.questions)
            if (q.due_ms > now || !try_answer(w, q, seen))
                rest.push_back(std::move(q));
        w.questions.swap(rest);
    }
    arm(w);
}

static void on_question(void *arg, uint32_t)
{
    witness &w = *static_cast<witness *>(arg);
    int fd = accept4(w.listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) { // it would cause a busy loop, so it pauses
            loop_watch_change(*w.l, w.listener, 0);
            loop_timer_arm(*w.l, w.recheck, witness_recheck_ms);
        }
        return;
    }
    witness::question q;
    q.fd = fd;
    q.replaced = w.replaced;
    q.asked_ms = os_now_ms();
    observation seen = look_at(w);
    if (try_answer(w, q, seen))
        return;
    w.questions.push_back(std::move(q));
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
    w.recheck.on_timer = on_recheck;
    w.recheck.arg = &w;
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
    loop_timer_forget(*w.l, w.recheck);
    for (const witness::question &one : w.questions)
        close(one.fd);
    w.questions.clear();
}

} // namespace etlnode::kubectl_local
