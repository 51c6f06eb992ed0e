// SPDX-License-Identifier: MIT
// test/bench/echo.cc: a transformer that costs next to nothing, with options to misbehave on purpose.
//
// POST and PUT are answered with their own body (HTTP/1.1, keep-alive, Content-Length). GET fetches the object from AIS_TARGET_URL and
// passes it on. It has one thread and one edge-triggered epoll descriptor. These options apply to every request:
//   --delay MS        the answer begins MS later
//   --whole           the answer begins when the whole body has arrived (nginx stops forwarding a body once it has been answered)
//   --hang            the request is read and never answered
//   --generate BYTES  a body of that many bytes, whatever was sent; without a length (chunks) with --chunked
//   --exit-after MS   the process ends MS after its start
#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static constexpr size_t buffer_size = 256 * 1024;
static constexpr size_t head_read_size = 4 * 1024;        // bytes after a head are then read directly into the buffer they are sent from
static constexpr size_t kept_size_max = 64 * 1024 * 1024; // the most room reserved at once for a kept body
static constexpr size_t generated_size = 1024 * 1024;     // of the file that generated bodies consist of

struct settings {
    uint64_t delay_ms = 0;
    bool hang = false;
    bool whole = false;
    bool generate = false;
    bool chunked = false;
    uint64_t generate_size = 0;
    uint64_t exit_after_ms = 0;
};

// A connection's next step.
enum class phase { head, echo, collect, waiting, generate, pull_head, pull_body, hung };

struct client {
    int fd = -1;
    int upstream = -1; // GET: the connection to the target, kept for the next request
    phase at = phase::head;
    bool closed = false;
    bool of_get = false;
    bool dry = false; // the last read took everything: epoll reports when there is more
    bool upstream_dry = false;
    bool ends = false; // its end was reported, but must still be read
    bool upstream_ends = false;
    std::string in;  // read but not used yet
    std::string out; // to be written before anything else
    size_t out_sent = 0;
    uint64_t left = 0; // of the body that is being read, generated or fetched
    uint64_t due_ms = 0;
    std::string pulled; // the head of the target's answer
};

struct world {
    settings s;
    int epoll = -1;
    int generated = -1;
    std::string target_host, target_path;
    uint16_t target_port = 0;
    std::deque<client *> waiting; // --delay: by due_ms
    std::deque<client *> dead;
    char buffer[buffer_size];
};

static uint64_t now_ms()
{
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

static constexpr uintptr_t upstream_mark = 1; // a bit in the pointer that epoll returns

static void watch(world &w, int fd, const client *owner, uintptr_t mark = 0)
{
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.u64 = reinterpret_cast<uintptr_t>(owner) | mark;
    epoll_ctl(w.epoll, EPOLL_CTL_ADD, fd, &event);
}

static void close_client(world &w, client &c)
{
    if (c.closed)
        return;
    c.closed = true;
    close(c.fd);
    if (c.upstream >= 0)
        close(c.upstream);
    auto found = std::find(w.waiting.begin(), w.waiting.end(), &c);
    if (found != w.waiting.end())
        w.waiting.erase(found);
    w.dead.push_back(&c);
}

static std::string header(const std::string &head, const char *name)
{
    size_t size = strlen(name);
    for (size_t at = head.find("\r\n"); at != std::string::npos; at = head.find("\r\n", at + 2)) {
        if (strncasecmp(head.c_str() + at + 2, name, size) == 0 && head[at + 2 + size] == ':') {
            size_t begin = head.find_first_not_of(' ', at + 3 + size);
            return head.substr(begin, head.find("\r\n", begin) - begin);
        }
    }
    return {};
}

static void answer_head(client &c, int status, uint64_t size)
{
    c.out += "HTTP/1.1 " + std::to_string(status) + (status == 200 ? " OK" : " Error") + "\r\nContent-Length: " + std::to_string(size) +
             "\r\n\r\n";
}

static bool connect_target(world &w, client &c)
{
    c.upstream = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(w.target_port);
    inet_pton(AF_INET, w.target_host.c_str(), &address.sin_addr);
    int on = 1;
    setsockopt(c.upstream, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(c.upstream, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 && errno != EINPROGRESS)
        return false;
    watch(w, c.upstream, &c, upstream_mark);
    return true;
}

static void begin_answer(world &w, client &c)
{
    if (w.s.hang) {
        c.at = phase::hung;
    } else if (w.s.generate) {
        if (w.s.chunked)
            c.out += "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        else
            answer_head(c, 200, w.s.generate_size);
        c.left = w.s.generate_size;
        c.at = phase::generate;
    } else {
        c.at = phase::echo;
    }
}

static void begin_request(world &w, client &c, const std::string &head)
{
    std::string length = header(head, "Content-Length");
    c.left = length.empty() ? 0 : strtoull(length.c_str(), nullptr, 10);
    c.of_get = head.compare(0, 4, "GET ") == 0;
    if (c.of_get && !w.s.generate && !w.s.hang) {
        std::string path = head.substr(4, head.find(' ', 4) - 4);
        if (path == "/health") {
            answer_head(c, 200, 0);
            return;
        }
        if (c.upstream < 0 && !connect_target(w, c)) {
            answer_head(c, 502, 0);
            return;
        }
        c.pulled = "GET " + w.target_path + path + " HTTP/1.1\r\nHost: " + w.target_host + "\r\n\r\n";
        c.at = phase::pull_head;
        c.due_ms = 0;
        return;
    }
    if (w.s.delay_ms > 0 || w.s.whole) {
        c.at = phase::collect; // keeps its body: meant for small or few ones
        answer_head(c, 200, c.left);
        c.out.reserve(c.out.size() + std::min<uint64_t>(c.left, kept_size_max));
        return;
    }
    if (w.s.hang || w.s.generate) {
        c.at = phase::collect;
        return;
    }
    answer_head(c, 200, c.left);
    c.at = phase::echo;
}

enum class moved { some, none, gone };

// Reads up to `max` bytes from the client or from the target.
static moved read_some(client &c, bool from_upstream, char *buffer, size_t max, size_t &out_count)
{
    bool &dry = from_upstream ? c.upstream_dry : c.dry;
    out_count = 0;
    if (dry)
        return moved::none;
    ssize_t count = recv(from_upstream ? c.upstream : c.fd, buffer, max, 0);
    if (count > 0) {
        out_count = static_cast<size_t>(count);
        dry = out_count < max && !(from_upstream ? c.upstream_ends : c.ends);
        return moved::some;
    }
    return count < 0 && (errno == EAGAIN || errno == ENOTCONN) ? moved::none : moved::gone;
}

static moved read_into(client &c, bool from_upstream, std::string &text, char *buffer, size_t max)
{
    size_t count = 0;
    moved result = read_some(c, from_upstream, buffer, max, count);
    text.append(buffer, count);
    return result;
}

static moved write_out(client &c)
{
    ssize_t count = send(c.fd, c.out.data() + c.out_sent, c.out.size() - c.out_sent, MSG_NOSIGNAL);
    if (count < 0)
        return errno == EAGAIN ? moved::none : moved::gone;
    c.out_sent += static_cast<size_t>(count);
    if (c.out_sent == c.out.size()) {
        c.out.clear();
        c.out_sent = 0;
    }
    return moved::some;
}

// Sends what waits in `out` (a head), then the bytes directly. What the socket does not take stays in `out`.
static moved send_with_out(client &c, const char *bytes, size_t size)
{
    size_t waiting = c.out.size() - c.out_sent;
    iovec parts[2] = {{c.out.data() + c.out_sent, waiting}, {const_cast<char *>(bytes), size}};
    msghdr message{};
    message.msg_iov = waiting > 0 ? parts : parts + 1;
    message.msg_iovlen = waiting > 0 ? 2 : 1;
    ssize_t count = sendmsg(c.fd, &message, MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN)
        return moved::gone;
    size_t sent = count > 0 ? static_cast<size_t>(count) : 0;
    if (sent < waiting) {
        c.out_sent += sent;
        c.out.append(bytes, size);
    } else {
        c.out.assign(bytes + (sent - waiting), size - (sent - waiting));
        c.out_sent = 0;
    }
    return moved::some;
}

// Reads a part of the body and forwards it at once.
static moved pass_on(world &w, client &c, bool from_upstream)
{
    size_t count = 0;
    moved got = read_some(c, from_upstream, w.buffer, static_cast<size_t>(std::min<uint64_t>(c.left, buffer_size)), count);
    if (got != moved::some)
        return got;
    c.left -= count;
    return send_with_out(c, w.buffer, count);
}

static moved generate(world &w, client &c)
{
    if (c.left == 0) {
        if (w.s.chunked)
            c.out += "0\r\n\r\n";
        c.at = phase::head;
        return moved::some;
    }
    if (w.s.chunked) {
        size_t size = static_cast<size_t>(std::min<uint64_t>(c.left, 64 * 1024));
        char line[32];
        snprintf(line, sizeof line, "%zx\r\n", size);
        c.out += line;
        c.out.append(w.buffer, size);
        c.out += "\r\n";
        c.left -= size;
        return moved::some;
    }
    off_t from = 0;
    ssize_t count = sendfile(c.fd, w.generated, &from, static_cast<size_t>(std::min<uint64_t>(c.left, generated_size)));
    if (count <= 0)
        return count < 0 && errno == EAGAIN ? moved::none : moved::gone;
    c.left -= static_cast<uint64_t>(count);
    return moved::some;
}

static moved pull_head(world &w, client &c)
{
    if (!c.pulled.empty() && c.pulled.compare(0, 4, "GET ") == 0) {
        ssize_t count = send(c.upstream, c.pulled.data(), c.pulled.size(), MSG_NOSIGNAL);
        if (count < 0)
            return errno == EAGAIN || errno == ENOTCONN ? moved::none : moved::gone;
        c.pulled.clear();                  // small enough to be sent at once
        c.upstream_dry = !c.upstream_ends; // the answer takes a moment
        return moved::some;
    }
    moved got = read_into(c, true, c.pulled, w.buffer, head_read_size);
    size_t end = c.pulled.find("\r\n\r\n");
    if (end == std::string::npos)
        return got;
    std::string head = c.pulled.substr(0, end + 2);
    std::string rest = c.pulled.substr(end + 4);
    uint64_t length = strtoull(header(head, "Content-Length").c_str(), nullptr, 10);
    answer_head(c, atoi(head.c_str() + 9), length);
    c.out += rest;
    c.left = length - rest.size();
    c.pulled.clear();
    c.at = phase::pull_body;
    return moved::some;
}

static moved step(world &w, client &c)
{
    switch (c.at) {
    case phase::head: {
        size_t end = c.in.find("\r\n\r\n");
        if (end == std::string::npos)
            return read_into(c, false, c.in, w.buffer, head_read_size);
        std::string head = c.in.substr(0, end + 2);
        c.in.erase(0, end + 4);
        begin_request(w, c, head);
        return moved::some;
    }
    case phase::echo: {
        if (c.left == 0) {
            c.at = phase::head;
            return moved::some;
        }
        if (!c.in.empty()) {
            size_t part = static_cast<size_t>(std::min<uint64_t>(c.left, c.in.size()));
            c.left -= part;
            moved result = send_with_out(c, c.in.data(), part);
            c.in.erase(0, part);
            return result;
        }
        return pass_on(w, c, false);
    }
    case phase::collect: {
        if (c.left == 0) {
            if (w.s.delay_ms == 0 && w.s.whole) {
                c.at = phase::head;
                return moved::some;
            }
            if (w.s.delay_ms == 0) {
                begin_answer(w, c);
                return moved::some;
            }
            c.due_ms = now_ms() + w.s.delay_ms;
            c.at = phase::waiting;
            w.waiting.push_back(&c);
            return moved::some;
        }
        std::string dropped;
        std::string &into = w.s.delay_ms > 0 || w.s.whole ? c.out : dropped;
        if (!c.in.empty()) {
            size_t part = static_cast<size_t>(std::min<uint64_t>(c.left, c.in.size()));
            into.append(c.in, 0, part);
            c.in.erase(0, part);
            c.left -= part;
            return moved::some;
        }
        size_t before = into.size();
        moved got = read_into(c, false, into, w.buffer, static_cast<size_t>(std::min<uint64_t>(c.left, buffer_size)));
        c.left -= into.size() - before;
        return got;
    }
    case phase::waiting:
    case phase::hung: {
        char byte = 0;
        ssize_t count = recv(c.fd, &byte, 1, MSG_PEEK);
        return count == 0 || (count < 0 && errno != EAGAIN) ? moved::gone : moved::none;
    }
    case phase::generate: return generate(w, c);
    case phase::pull_head: return pull_head(w, c);
    case phase::pull_body: {
        if (c.left == 0) {
            c.at = phase::head;
            return moved::some;
        }
        return pass_on(w, c, true);
    }
    }
    return moved::gone;
}

static void progress(world &w, client &c)
{
    // No bound on the iteration is needed: the slower of the two sockets ends it soon enough.
    while (!c.closed) {
        // The head is sent with the first bytes of the body. A delayed answer is sent when it is due.
        bool may_write = c.out_sent < c.out.size() && c.at != phase::collect && c.at != phase::waiting;
        bool broadcast = (c.at == phase::echo || c.at == phase::pull_body) && c.left > 0 && c.out.size() < 1024;
        moved result = moved::none;
        if (may_write && !broadcast) {
            result = write_out(c);
        } else {
            result = step(w, c);
            if (result == moved::none && may_write)
                result = write_out(c);
        }
        if (result == moved::gone)
            close_client(w, c);
        if (result != moved::some)
            return;
    }
}

// An end that comes together with bytes is reported only once, so reading continues until it shows.
static void note_readable(client &c, bool of_upstream, uint32_t events)
{
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0)
        return;
    bool ends = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    (of_upstream ? c.upstream_ends : c.ends) |= ends;
    (of_upstream ? c.upstream_dry : c.dry) = false;
}

static void run(world &w, int listener)
{
    watch(w, listener, nullptr);
    uint64_t end_ms = w.s.exit_after_ms > 0 ? now_ms() + w.s.exit_after_ms : UINT64_MAX;
    epoll_event events[256];
    for (;;) {
        int wait = -1;
        if (!w.waiting.empty() || w.s.exit_after_ms > 0) {
            uint64_t next = std::min(end_ms, w.waiting.empty() ? UINT64_MAX : w.waiting.front()->due_ms);
            uint64_t now = now_ms();
            wait = next > now ? static_cast<int>(next - now) : 0;
        }
        int count = epoll_wait(w.epoll, events, 256, wait);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 != 0) {
                client &c = *reinterpret_cast<client *>(events[i].data.u64 & ~uint64_t{upstream_mark});
                note_readable(c, (events[i].data.u64 & upstream_mark) != 0, events[i].events);
                progress(w, c);
                continue;
            }
            int fd = -1;
            while ((fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                int on = 1;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                client *c = new client;
                c->fd = fd;
                watch(w, fd, c);
                progress(w, *c);
            }
        }
        uint64_t now = now_ms();
        while (!w.waiting.empty() && w.waiting.front()->due_ms <= now) {
            client *c = w.waiting.front();
            w.waiting.pop_front();
            c->at = phase::head;
            progress(w, *c);
        }
        for (client *c : w.dead)
            delete c;
        w.dead.clear();
        if (now >= end_ms)
            _exit(3);
    }
}

int main(int argc, char **argv)
{
    static world w;
    uint16_t port = 80;
    for (int i = 1; i < argc; i++) {
        std::string name = argv[i];
        const char *value = i + 1 < argc ? argv[i + 1] : "0";
        if (name == "--hang") {
            w.s.hang = true;
        } else if (name == "--whole") {
            w.s.whole = true;
        } else if (name == "--chunked") {
            w.s.chunked = true;
        } else if (name == "--delay") {
            w.s.delay_ms = strtoull(value, nullptr, 10);
            i++;
        } else if (name == "--generate") {
            w.s.generate = true;
            w.s.generate_size = strtoull(value, nullptr, 10);
            i++;
        } else if (name == "--exit-after") {
            w.s.exit_after_ms = strtoull(value, nullptr, 10);
            i++;
        } else if (name == "--port") {
            port = static_cast<uint16_t>(atoi(value));
            i++;
        } else {
            fprintf(stderr, "usage: echo [--port N] [--delay MS] [--whole] [--hang] [--generate BYTES [--chunked]] [--exit-after MS]\n");
            return 2;
        }
    }
    const char *target = getenv("AIS_TARGET_URL"); // http://HOST:PORT/PATH
    if (target != nullptr) {
        std::string url = target;
        size_t host = url.find("//") + 2;
        size_t slash = url.find('/', host);
        size_t colon = url.rfind(':', slash);
        w.target_host = url.substr(host, colon - host);
        w.target_port = static_cast<uint16_t>(atoi(url.c_str() + colon + 1));
        w.target_path = url.substr(slash);
    }
    w.generated = memfd_create("generated", MFD_CLOEXEC);
    std::string zeros(generated_size, '\0');
    if (w.generated < 0 || write(w.generated, zeros.data(), zeros.size()) != static_cast<ssize_t>(zeros.size()))
        return 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    w.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (bind(listener, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 || listen(listener, 1024) != 0) {
        perror("echo: listen");
        return 1;
    }
    run(w, listener);
    return 0;
}
