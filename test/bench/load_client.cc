// SPDX-License-Identifier: MIT
// test/bench/load_client.cc: one connection of the load generator: it sends requests and takes answers, in the manner of its kind.
#include "load_client.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <netinet/tcp.h>
#include <string_view>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static size_t index_of(world &w, client &c) { return static_cast<size_t>(&c - w.clients.data()); }

static window &window_now(world &w, uint64_t now)
{
    size_t at = static_cast<size_t>((now - w.start_ns) / (second_ns / 10));
    if (w.windows.size() <= at)
        w.windows.resize(at + 1);
    return w.windows[at];
}

static void watch(world &w, client &c, bool write)
{
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP | (write ? static_cast<uint32_t>(EPOLLOUT) : 0u);
    if (w.s.kind == client_kind::slow_reader && c.at >= phase::reading_head)
        event.events = EPOLLRDHUP; // it reads by the clock
    event.data.u64 = index_of(w, c);
    epoll_ctl(w.epoll, EPOLL_CTL_MOD, c.fd, &event);
    c.waits_for_write = write;
}

static void close_client(client &c)
{
    close(c.fd);
    c.fd = -1;
    c.at = phase::closed;
}

void fail(world &w, client &c, const char *why)
{
    uint64_t now = now_ns();
    w.errors[why]++;
    window_now(w, now).bad++;
    if (w.s.kind != client_kind::normal)
        histogram_add(w.ended_ms, (now - c.opened_ns) / 1'000'000);
    close_client(c);
}

void open_client(world &w, client &c)
{
    uint64_t now = now_ns();
    c.opened_ns = now;
    c.served = false;
    c.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c.fd < 0) {
        w.errors["no_descriptor"]++;
        return;
    }
    int on = 1;
    setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (w.s.receive_buffer != 0) {
        int size = static_cast<int>(w.s.receive_buffer);
        setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    }
    c.at = phase::connecting;
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP;
    event.data.u64 = index_of(w, c);
    c.waits_for_write = true;
    c.deadline_ns = now + static_cast<uint64_t>(w.s.timeout_s * 1e9);
    int result = connect(c.fd, reinterpret_cast<sockaddr *>(&w.address), sizeof w.address);
    if (result != 0 && errno != EINPROGRESS) {
        fail(w, c, errno == EADDRNOTAVAIL ? "no_port" : "connect");
        return;
    }
    epoll_ctl(w.epoll, EPOLL_CTL_ADD, c.fd, &event);
    w.opened++;
}

bool is_slow_sender(const world &w) { return w.s.kind == client_kind::slow_head || w.s.kind == client_kind::slow_body; }

void begin_request(world &w, client &c, uint64_t due_ns)
{
    c.path = w.next_path;
    w.next_path = (w.next_path + 1) % w.s.paths.size();
    c.due_ns = due_ns;
    c.sent_ns = now_ns();
    c.deadline_ns = c.sent_ns + static_cast<uint64_t>(w.s.timeout_s * 1e9);
    c.head = w.s.method + " " + w.s.paths[c.path] + " HTTP/1.1\r\nHost: localhost\r\n";
    if (w.s.method == "PUT" || w.s.method == "POST")
        c.head += format("Content-Length: %llu\r\n", static_cast<unsigned long long>(w.s.body_size));
    c.head += "\r\n";
    c.head_sent = 0;
    c.body_left = w.s.method == "PUT" || w.s.method == "POST" ? w.s.body_size : 0;
    c.body_at = 0;
    c.in.clear();
    c.status = 0;
    c.got = c.check_at = 0;
    c.check_failed = false;
    c.chunk_state = 0;
    c.chunk_line.clear();
    c.at = phase::sending;
    w.begun++;
    if (w.s.kind == client_kind::slow_head) {
        c.slow_next_ns = c.sent_ns;
        return;
    }
    send_more(w, c);
}

static void now_idle(world &w, client &c)
{
    c.at = phase::idle;
    c.deadline_ns = 0;
    if (w.s.honour_retry_after && c.resume_ns > now_ns()) {
        w.resting.insert({c.resume_ns, index_of(w, c)});
        return;
    }
    w.idle.push_back(index_of(w, c));
}

static void write_pattern(char *out, size_t size, uint64_t offset, uint64_t seed)
{
    for (size_t i = 0; i < size; i++, offset++)
        out[i] = static_cast<char>(((seed << 40) + offset / 8) >> (offset % 8 * 8));
}

void send_more(world &w, client &c)
{
    for (;;) {
        const char *data = nullptr;
        size_t size = 0;
        if (c.head_sent < c.head.size()) {
            data = c.head.data() + c.head_sent;
            size = c.head.size() - c.head_sent;
        } else if (c.body_left > 0) {
            size = static_cast<size_t>(
                std::min<uint64_t>(c.body_left, w.s.kind == client_kind::slow_body ? w.s.slow_bytes : w.body_buffer.size()));
            write_pattern(w.body_buffer.data(), size, c.body_at, w.s.seed + c.path);
            data = w.body_buffer.data();
        } else {
            c.at = phase::reading_head;
            c.slow_next_ns = now_ns() + second_ns * (index_of(w, c) % 100) / 100; // so that readers do not act in step
            if (c.waits_for_write || w.s.kind == client_kind::slow_reader)
                watch(w, c, false);
            return;
        }
        bool of_head = c.head_sent < c.head.size();
        if (w.s.kind == client_kind::slow_head || (w.s.kind == client_kind::slow_body && !of_head)) {
            if (now_ns() < c.slow_next_ns)
                return;
            c.slow_next_ns = now_ns() + second_ns;
            size = static_cast<size_t>(std::min<uint64_t>(size, w.s.slow_bytes));
            if (size == 0)
                return;
        }
        ssize_t count = send(c.fd, data, size, MSG_NOSIGNAL);
        if (count < 0 && errno == EAGAIN) {
            if (!c.waits_for_write && !is_slow_sender(w))
                watch(w, c, true);
            return;
        }
        if (count < 0) {
            // The answer to an upload may already be there. A reset while sending is an error only if it is not.
            if (c.in.empty())
                c.at = phase::reading_head;
            return;
        }
        if (of_head) {
            c.head_sent += static_cast<size_t>(count);
        } else {
            c.body_at += static_cast<uint64_t>(count);
            c.body_left -= static_cast<uint64_t>(count);
        }
    }
}

static std::string_view header(std::string_view head, std::string_view name)
{
    size_t at = 0;
    while ((at = head.find("\r\n", at)) != std::string_view::npos) {
        at += 2;
        if (head.size() - at > name.size() && strncasecmp(head.data() + at, name.data(), name.size()) == 0 &&
            head[at + name.size()] == ':') {
            size_t begin = head.find_first_not_of(' ', at + name.size() + 1);
            return head.substr(begin, head.find("\r\n", begin) - begin);
        }
    }
    return {};
}

static void complete(world &w, client &c)
{
    uint64_t now = now_ns();
    uint64_t service_us = (now - c.sent_ns) / 1000;
    w.answered++;
    w.statuses[std::to_string(c.status)]++;
    window &in = window_now(w, now);
    if (c.status >= 200 && c.status < 300) {
        uint64_t us = now > c.due_ns ? (now - c.due_ns) / 1000 : 0;
        histogram_add(w.ok, us);
        histogram_add(w.service, service_us);
        in.ok++;
        in.max_us = std::max(in.max_us, us);
        w.bytes += c.got;
        w.mismatches += c.check_failed ? 1 : 0;
    } else {
        in.bad++;
        if (c.status == 503) {
            histogram_add(w.refused, service_us);
            w.no_retry_after += c.has_retry_after ? 0 : 1;
        }
    }
    c.served = true;
    // Between half and one and a half times the requested value, so that clients are independent.
    w.random = w.random * 6364136223846793005u + 1442695040888963407u;
    uint64_t share = 512 + (w.random >> 54);
    c.resume_ns = w.s.honour_retry_after && c.retry_after_s > 0 ? now + c.retry_after_s * second_ns / 1024 * share : 0;
    if (w.s.kind == client_kind::slow_head || w.s.kind == client_kind::slow_body || (w.s.kind != client_kind::normal && !c.keep)) {
        histogram_add(w.ended_ms, (now - c.opened_ns) / 1'000'000);
        close_client(c);
        return;
    }
    if (!c.keep) {
        close_client(c);
        return;
    }
    if (w.s.kind == client_kind::normal)
        now_idle(w, c);
    else
        c.at = phase::idle;
}

static void take_body(world &w, client &c, const char *data, size_t size)
{
    c.got += size;
    if (!w.s.check || c.status >= 300)
        return;
    uint64_t seed = w.s.seed + c.path;
    size_t i = 0;
    for (; i < size && (c.check_at % 8 != 0 || size - i < 8); i++, c.check_at++)
        c.check_failed |= data[i] != static_cast<char>(((seed << 40) + c.check_at / 8) >> (c.check_at % 8 * 8));
    for (; size - i >= 8; i += 8, c.check_at += 8) {
        uint64_t word = 0;
        memcpy(&word, data + i, 8);
        c.check_failed |= word != (seed << 40) + c.check_at / 8;
    }
    for (; i < size; i++, c.check_at++)
        c.check_failed |= data[i] != static_cast<char>(((seed << 40) + c.check_at / 8) >> (c.check_at % 8 * 8));
}

// Returns true when the body is complete.
static bool eat(world &w, client &c, const char *data, size_t size, bool &bad)
{
    if (c.how == framing::until_close) {
        take_body(w, c, data, size);
        return false;
    }
    if (c.how == framing::length) {
        size_t part = static_cast<size_t>(std::min<uint64_t>(size, c.left));
        take_body(w, c, data, part);
        c.left -= part;
        bad = part < size;
        return c.left == 0;
    }
    while (size > 0) {
        if (c.chunk_state == 1) {
            size_t part = static_cast<size_t>(std::min<uint64_t>(size, c.left));
            take_body(w, c, data, part);
            c.left -= part;
            data += part;
            size -= part;
            if (c.left == 0)
                c.chunk_state = 2;
            continue;
        }
        c.chunk_line += *data++;
        size--;
        if (c.chunk_line.size() < 2 || c.chunk_line.compare(c.chunk_line.size() - 2, 2, "\r\n") != 0)
            continue;
        std::string line = c.chunk_line.substr(0, c.chunk_line.size() - 2);
        c.chunk_line.clear();
        if (c.chunk_state == 2) {
            bad = bad || !line.empty();
            c.chunk_state = 0;
        } else if (c.chunk_state == 0) {
            c.left = strtoull(line.c_str(), nullptr, 16);
            c.chunk_state = c.left > 0 ? 1 : 3;
        } else if (line.empty()) {
            return true;
        }
    }
    return false;
}

// Handles `count` received bytes of the answer.
static void receive(world &w, client &c, const char *data, size_t size)
{
    bool bad = false;
    if (c.at == phase::idle || c.at == phase::connecting) {
        // An unsolicited answer: the server refuses the connection.
        c.sent_ns = c.due_ns = c.opened_ns;
        c.at = phase::reading_head;
        c.in.clear();
        c.got = 0;
    }
    if (c.at == phase::sending || c.at == phase::reading_head) {
        c.in.append(data, size);
        size_t end = c.in.find("\r\n\r\n");
        if (end == std::string::npos)
            return;
        std::string_view head = std::string_view(c.in).substr(0, end + 2);
        std::string rest = c.in.substr(end + 4);
        c.status = head.size() > 12 ? atoi(c.in.c_str() + 9) : 0;
        std::string_view length = header(head, "Content-Length");
        std::string_view retry = header(head, "Retry-After");
        c.has_retry_after = !retry.empty();
        c.retry_after_s = retry.empty() ? 0 : strtoull(std::string(retry).c_str(), nullptr, 10);
        c.keep = header(head, "Connection") != "close" && (c.head_sent == c.head.size() && c.body_left == 0);
        c.at = phase::reading_body;
        if (!length.empty()) {
            c.how = framing::length;
            c.left = strtoull(std::string(length).c_str(), nullptr, 10);
        } else if (!header(head, "Transfer-Encoding").empty()) {
            c.how = framing::chunked;
        } else {
            c.how = c.status == 204 || c.status == 304 ? framing::length : framing::until_close;
            c.left = 0;
        }
        bool done = c.how == framing::length && c.left == 0;
        if (!rest.empty() && !done)
            done = eat(w, c, rest.data(), rest.size(), bad);
        if (bad)
            fail(w, c, "garbage");
        else if (done)
            complete(w, c);
        return;
    }
    bool done = eat(w, c, data, size, bad);
    if (bad)
        fail(w, c, "garbage");
    else if (done)
        complete(w, c);
}

static void ended(world &w, client &c, bool reset)
{
    if (c.at == phase::reading_body && c.how == framing::until_close && !reset) {
        c.keep = false;
        complete(w, c);
        return;
    }
    if (c.at == phase::idle) {
        // The server may do this between requests. A closed-loop client opens another connection.
        if (w.s.kind != client_kind::normal) {
            histogram_add(w.ended_ms, (now_ns() - c.opened_ns) / 1'000'000);
            w.errors[reset ? "idle_reset" : "idle_closed"]++;
        }
        auto found = std::find(w.idle.begin(), w.idle.end(), index_of(w, c));
        if (found != w.idle.end())
            w.idle.erase(found);
        close_client(c);
        return;
    }
    const char *why = c.at == phase::connecting     ? "connect"
                      : c.at == phase::reading_body ? "cut"
                      : reset                       ? "reset_before_answer"
                                                    : "closed_before_answer";
    fail(w, c, why);
}

void read_some(world &w, client &c, size_t max)
{
    while (c.fd >= 0 && max > 0) {
        // Large bodies that are not checked are discarded in the kernel, so that the client is not the bottleneck.
        bool drop = c.at == phase::reading_body && c.how == framing::length && c.left > 64 * w.buffer.size() && !w.s.check &&
                    w.s.kind == client_kind::normal;
        size_t size = drop ? std::min<size_t>(c.left, 1 << 24) : w.buffer.size();
        // The kernel writes nothing in this case. Use syscall(), because the address sanitizer's recv assumes that it does.
        ssize_t count = drop ? syscall(SYS_recvfrom, c.fd, w.buffer.data(), std::min(max, size), MSG_TRUNC, nullptr, nullptr)
                             : recv(c.fd, w.buffer.data(), std::min(max, size), 0);
        if (count < 0 && errno == EAGAIN)
            return;
        if (count <= 0) {
            ended(w, c, count < 0);
            return;
        }
        max -= static_cast<size_t>(count);
        receive(w, c, w.buffer.data(), static_cast<size_t>(count));
        if (!drop && static_cast<size_t>(count) < w.buffer.size() && (c.at == phase::idle || c.at == phase::closed))
            return;
    }
}

void on_event(world &w, client &c, uint32_t events)
{
    if (c.fd < 0)
        return;
    if (c.at == phase::connecting && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
        int failure = 0;
        socklen_t size = sizeof failure;
        getsockopt(c.fd, SOL_SOCKET, SO_ERROR, &failure, &size);
        if (failure != 0) {
            fail(w, c, "connect");
            return;
        }
        watch(w, c, false);
        c.opened_ns = now_ns();
        if (w.s.kind == client_kind::normal)
            now_idle(w, c);
        else
            begin_request(w, c, c.opened_ns);
    }
    if (c.fd >= 0 && c.at == phase::sending && (events & EPOLLOUT) != 0)
        send_more(w, c);
    if (c.fd >= 0 && w.s.kind == client_kind::slow_reader && c.at >= phase::reading_head) {
        // A reset arrives as an error, and unread bytes stay unread.
        if ((events & (EPOLLERR | EPOLLHUP)) != 0)
            ended(w, c, true);
        return;
    }
    if (c.fd >= 0 && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
        read_some(w, c, SIZE_MAX);
}
