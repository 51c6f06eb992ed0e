// SPDX-License-Identifier: MIT
// test/bench/load.cc: a load generator that distinguishes errors: many connections, one thread, results as one JSON object on stdout.
//
// Closed loop: every connection sends its next request when the previous one is answered. Open loop (--rate): requests are due at fixed
// times, whether or not a connection is free, and latency counts from the due time, so that a server that stalls cannot hide it. Other
// kinds of clients (--kind) are idle, or slowly send a head, send a body, or read an answer. For these it reports when and how the server
// ended them. --check verifies contents: the 64-bit word at index i of an object is (seed << 40) + i, little endian.
#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <map>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <set>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

static constexpr uint64_t second_ns = 1'000'000'000;

enum class client_kind { normal, idle, slow_head, slow_body, slow_reader };

struct settings {
    std::string host = "127.0.0.1";
    uint16_t port = 0;
    std::string method = "GET";
    std::vector<std::string> paths; // used in rotation
    client_kind kind = client_kind::normal;
    size_t connections = 1;
    double duration_s = 1;
    double rate = 0;              // requests a second over all connections; 0: closed loop
    double connect_rate = 20'000; // connections opened a second
    uint64_t body_size = 0;       // of PUT and POST
    uint64_t seed = 0;            // of the first path's contents; each next path has one more
    bool check = false;
    bool honour_retry_after = false;
    double timeout_s = 60;       // for one answer
    uint64_t slow_bytes = 1;     // bytes per second: sent by slow_head and slow_body, read by slow_reader (0: nothing)
    uint64_t receive_buffer = 0; // SO_RCVBUF
    uint64_t requests_max = 0;   // 0: until the time is over
};

// --- numbers

// Latencies in buckets of 1/64 relative width, from 1 µs to hours.
struct histogram {
    std::vector<uint64_t> buckets = std::vector<uint64_t>(64 * 40);
    uint64_t count = 0;
    uint64_t max_us = 0;
};

static size_t bucket_of(uint64_t us)
{
    if (us < 64)
        return us;
    unsigned shift = 63u - static_cast<unsigned>(__builtin_clzll(us)) - 6u;
    return 64 * (shift + 1) + static_cast<size_t>((us >> shift) - 64);
}

static uint64_t bucket_value(size_t bucket)
{
    if (bucket < 64)
        return bucket;
    size_t shift = bucket / 64 - 1;
    return (64 + bucket % 64 + 1) << shift; // the upper bound, so that results are never too good
}

static void histogram_add(histogram &h, uint64_t us)
{
    h.buckets[std::min(bucket_of(us), h.buckets.size() - 1)]++;
    h.count++;
    h.max_us = std::max(h.max_us, us);
}

static uint64_t histogram_at(const histogram &h, double share)
{
    uint64_t wanted = static_cast<uint64_t>(static_cast<double>(h.count) * share);
    uint64_t seen = 0;
    for (size_t i = 0; i < h.buckets.size(); i++) {
        seen += h.buckets[i];
        if (seen > wanted)
            return std::min(bucket_value(i), h.max_us);
    }
    return h.max_us;
}

static std::string format(const char *pattern, ...) __attribute__((format(printf, 1, 2)));
static std::string format(const char *pattern, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, pattern);
    int size = vsnprintf(text, sizeof text, pattern, arguments);
    va_end(arguments);
    return std::string(text, size > 0 ? std::min(static_cast<size_t>(size), sizeof text - 1) : 0);
}

static std::string histogram_json(const histogram &h)
{
    auto ms = [&](double share) { return static_cast<double>(histogram_at(h, share)) / 1000; };
    return format("{\"count\":%llu,\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"max_ms\":%.3f}",
        static_cast<unsigned long long>(h.count), ms(0.5), ms(0.9), ms(0.99), ms(0.999), static_cast<double>(h.max_us) / 1000);
}

static std::string counts_json(const std::map<std::string, uint64_t> &counts)
{
    std::string out = "{";
    for (const auto &[name, count] : counts)
        out += format("%s\"%s\":%llu", out.size() > 1 ? "," : "", name.c_str(), static_cast<unsigned long long>(count));
    return out + "}";
}

static uint64_t now_ns()
{
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * second_ns + static_cast<uint64_t>(now.tv_nsec);
}

// --- connections

enum class phase { closed, connecting, idle, sending, reading_head, reading_body };
enum class framing { length, chunked, until_close };

struct client {
    int fd = -1;
    phase at = phase::closed;
    size_t path = 0;
    uint64_t due_ns = 0;  // when the request should have been sent
    uint64_t sent_ns = 0; // when it was
    uint64_t deadline_ns = 0;
    uint64_t opened_ns = 0;
    uint64_t resume_ns = 0; // Retry-After
    uint64_t slow_next_ns = 0;
    bool waits_for_write = false;
    bool served = false; // has received an answer: after that, the server may close the connection silently
    std::string head;    // to send
    size_t head_sent = 0;
    uint64_t body_left = 0; // to send
    uint64_t body_at = 0;
    std::string in; // the answer's head
    int status = 0;
    framing how = framing::length;
    uint64_t left = 0; // bytes of the body, or of the chunk
    uint64_t got = 0;  // body bytes received
    uint64_t check_at = 0;
    bool check_failed = false;
    bool keep = true;
    uint64_t retry_after_s = 0;
    bool has_retry_after = false;
    std::string chunk_line;
    int chunk_state = 0; // 0 size line, 1 data, 2 CRLF after data, 3 trailer
};

struct window {
    uint64_t ok = 0;
    uint64_t bad = 0;
    uint64_t max_us = 0;
};

struct world {
    settings s;
    sockaddr_in address{};
    int epoll = -1;
    std::vector<client> clients;
    std::deque<size_t> idle;                       // connections that may send
    std::set<std::pair<uint64_t, size_t>> resting; // by Retry-After: until when, and which connection
    std::deque<uint64_t> due;                      // open loop: due requests that wait for a connection
    uint64_t start_ns = 0;
    uint64_t end_ns = 0;
    uint64_t next_due_ns = 0;
    size_t next_path = 0;
    uint64_t opened = 0;
    uint64_t begun = 0;
    uint64_t answered = 0;
    uint64_t bytes = 0;
    uint64_t mismatches = 0;
    uint64_t random = 1;
    uint64_t no_retry_after = 0;
    histogram ok;       // 2xx, from when the request was due
    histogram service;  // 2xx, from when it was sent
    histogram refused;  // 503, from when it was sent
    histogram ended_ms; // slow and idle kinds: lifetime of a connection that the server ended, in ms
    std::map<std::string, uint64_t> statuses, errors;
    std::vector<window> windows; // of 100 ms
    std::vector<char> buffer = std::vector<char>(1 << 20);
    std::vector<char> body_buffer = std::vector<char>(256 << 10);
};

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

// A request without an answer, or a connection that could not be made.
static void fail(world &w, client &c, const char *why)
{
    uint64_t now = now_ns();
    w.errors[why]++;
    window_now(w, now).bad++;
    if (w.s.kind != client_kind::normal)
        histogram_add(w.ended_ms, (now - c.opened_ns) / 1'000'000);
    close_client(c);
}

static void open_client(world &w, client &c)
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

static bool is_slow_sender(const world &w) { return w.s.kind == client_kind::slow_head || w.s.kind == client_kind::slow_body; }

static void send_more(world &w, client &c);

static void begin_request(world &w, client &c, uint64_t due_ns)
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

static void send_more(world &w, client &c)
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

static void read_some(world &w, client &c, size_t max)
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

static void on_event(world &w, client &c, uint32_t events)
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

// --- timed events

static void open_more(world &w, uint64_t now)
{
    // Connect at the requested pace, so that the listener's queue is not what is measured.
    uint64_t allowed = static_cast<uint64_t>(static_cast<double>(now - w.start_ns) / 1e9 * w.s.connect_rate) + 1;
    if (w.s.kind != client_kind::normal && w.opened >= w.s.connections)
        return;
    if (w.opened >= allowed)
        return;
    for (client &c : w.clients) {
        if (w.opened >= allowed || (w.s.kind != client_kind::normal && w.opened >= w.s.connections))
            return;
        if (c.at == phase::closed && c.resume_ns <= now)
            open_client(w, c);
    }
}

static void start_due(world &w, uint64_t now)
{
    while (!w.resting.empty() && w.resting.begin()->first <= now) {
        size_t index = w.resting.begin()->second;
        w.resting.erase(w.resting.begin());
        if (w.clients[index].at == phase::idle)
            w.idle.push_back(index);
    }
    if (w.s.rate <= 0) {
        while (!w.idle.empty() && (w.s.requests_max == 0 || w.begun < w.s.requests_max)) {
            client &c = w.clients[w.idle.front()];
            w.idle.pop_front();
            begin_request(w, c, now_ns());
        }
        return;
    }
    double step = 1e9 / w.s.rate;
    while (w.next_due_ns <= now) {
        w.due.push_back(w.next_due_ns);
        w.next_due_ns = w.start_ns + static_cast<uint64_t>(step * static_cast<double>(w.begun + w.due.size()));
    }
    while (!w.due.empty() && !w.idle.empty()) {
        client &c = w.clients[w.idle.front()];
        w.idle.pop_front();
        uint64_t due = w.due.front();
        w.due.pop_front();
        begin_request(w, c, due);
    }
}

static void check_clients(world &w, uint64_t now)
{
    for (client &c : w.clients) {
        if (c.fd < 0)
            continue;
        if (c.at == phase::sending && is_slow_sender(w))
            send_more(w, c);
        if (c.at >= phase::reading_head && w.s.kind == client_kind::slow_reader && now >= c.slow_next_ns) {
            c.slow_next_ns = now + second_ns;
            if (w.s.slow_bytes > 0)
                read_some(w, c, static_cast<size_t>(w.s.slow_bytes));
        }
        if (c.fd >= 0 && c.at != phase::idle && c.deadline_ns != 0 && now > c.deadline_ns)
            fail(w, c, "timeout");
    }
}

static uint64_t open_count(const world &w)
{
    return static_cast<uint64_t>(std::count_if(w.clients.begin(), w.clients.end(), [](const client &c) { return c.fd >= 0; }));
}

static void run(world &w)
{
    w.start_ns = now_ns();
    w.next_due_ns = w.start_ns;
    w.end_ns = w.start_ns + static_cast<uint64_t>(w.s.duration_s * 1e9);
    std::vector<epoll_event> events(1024);
    uint64_t next_check = w.start_ns;
    for (;;) {
        uint64_t now = now_ns();
        if (now >= w.end_ns || (w.s.requests_max != 0 && w.answered + w.errors.size() > 0 && w.answered >= w.s.requests_max))
            break;
        if (w.s.kind != client_kind::normal && w.opened >= w.s.connections && open_count(w) == 0)
            break; // the server has ended all of them
        open_more(w, now);
        if (w.s.kind == client_kind::normal)
            start_due(w, now);
        if (now >= next_check) {
            check_clients(w, now);
            next_check = now + second_ns / (w.s.kind == client_kind::slow_reader ? 200 : 20);
        }
        timespec wait{};
        wait.tv_nsec = 1'000'000;
        if (w.s.rate > 0 && w.next_due_ns > now && w.next_due_ns - now < 1'000'000)
            wait.tv_nsec = static_cast<long>(w.next_due_ns - now);
        int count = epoll_pwait2(w.epoll, events.data(), static_cast<int>(events.size()), &wait, nullptr);
        for (int i = 0; i < count; i++)
            on_event(w, w.clients[events[static_cast<size_t>(i)].data.u64], events[static_cast<size_t>(i)].events);
    }
}

static void print(world &w)
{
    double seconds = static_cast<double>(now_ns() - w.start_ns) / 1e9;
    uint64_t in_flight = 0;
    for (const client &c : w.clients)
        in_flight += c.at >= phase::sending ? 1 : 0;
    auto number = [](uint64_t n) { return static_cast<unsigned long long>(n); };
    std::string out = format(
        "{\"seconds\":%.3f,\"begun\":%llu,\"answered\":%llu,\"ok\":%llu,\"bytes\":%llu,\"mismatches\":%llu,\"in_flight\":%llu,"
        "\"unsent\":%llu,\"open\":%llu,\"opened\":%llu,"
        "\"no_retry_after\":%llu,\"ok_per_s\":%.1f,",
        seconds, number(w.begun), number(w.answered), number(w.ok.count), number(w.bytes), number(w.mismatches), number(in_flight),
        number(w.due.size()), number(open_count(w)), number(w.opened), number(w.no_retry_after), static_cast<double>(w.ok.count) / seconds);
    out += "\"statuses\":" + counts_json(w.statuses) + ",\"errors\":" + counts_json(w.errors) + ",\"latency\":" + histogram_json(w.ok) +
           ",\"service\":" + histogram_json(w.service) + ",\"refused\":" + histogram_json(w.refused);
    out += format(",\"ended\":{\"count\":%llu,\"first_s\":%.3f,\"p50_s\":%.3f,\"last_s\":%.3f}", number(w.ended_ms.count),
        static_cast<double>(histogram_at(w.ended_ms, 0)) / 1000, static_cast<double>(histogram_at(w.ended_ms, 0.5)) / 1000,
        static_cast<double>(w.ended_ms.max_us) / 1000);
    out += ",\"windows\":[";
    for (size_t i = 0; i < w.windows.size(); i++)
        out += format("%s[%llu,%llu,%.3f]", i > 0 ? "," : "", number(w.windows[i].ok), number(w.windows[i].bad),
            static_cast<double>(w.windows[i].max_us) / 1000);
    printf("%s]}\n", out.c_str());
}

static void usage()
{
    fprintf(stderr,
        "usage: load --url HOST:PORT --path P [--path P ...] [--method GET|PUT|POST] [--kind normal|idle|slow-head|slow-body|slow-reader]\n"
        "            [--connections N] [--connect-rate N] [--duration S] [--rate R] [--requests N] [--body-size N] [--seed N] [--check]\n"
        "            [--timeout S] [--slow-bytes N] [--receive-buffer N] [--retry-after]\n");
    exit(2);
}

int main(int argc, char **argv)
{
    world w;
    settings &s = w.s;
    for (int i = 1; i < argc; i++) {
        std::string name = argv[i];
        if (name == "--check" || name == "--retry-after") {
            (name == "--check" ? s.check : s.honour_retry_after) = true;
            continue;
        }
        if (i + 1 >= argc)
            usage();
        std::string value = argv[++i];
        if (name == "--url") {
            size_t colon = value.rfind(':');
            if (colon == std::string::npos)
                usage();
            s.host = value.substr(0, colon);
            s.port = static_cast<uint16_t>(atoi(value.c_str() + colon + 1));
        } else if (name == "--path") {
            s.paths.push_back(value);
        } else if (name == "--method") {
            s.method = value;
        } else if (name == "--kind") {
            s.kind = value == "idle"          ? client_kind::idle
                     : value == "slow-head"   ? client_kind::slow_head
                     : value == "slow-body"   ? client_kind::slow_body
                     : value == "slow-reader" ? client_kind::slow_reader
                                              : client_kind::normal;
        } else {
            double number = atof(value.c_str());
            uint64_t whole = strtoull(value.c_str(), nullptr, 10);
            if (name == "--connections")
                s.connections = whole;
            else if (name == "--connect-rate")
                s.connect_rate = number;
            else if (name == "--duration")
                s.duration_s = number;
            else if (name == "--rate")
                s.rate = number;
            else if (name == "--requests")
                s.requests_max = whole;
            else if (name == "--body-size")
                s.body_size = whole;
            else if (name == "--seed")
                s.seed = whole;
            else if (name == "--timeout")
                s.timeout_s = number;
            else if (name == "--slow-bytes")
                s.slow_bytes = whole;
            else if (name == "--receive-buffer")
                s.receive_buffer = whole;
            else
                usage();
        }
    }
    if (s.port == 0 || s.paths.empty() || s.connections == 0)
        usage();
    w.address.sin_family = AF_INET;
    w.address.sin_port = htons(s.port);
    if (inet_pton(AF_INET, s.host.c_str(), &w.address.sin_addr) != 1)
        usage();
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    w.epoll = epoll_create1(EPOLL_CLOEXEC);
    w.clients.resize(s.connections);
    run(w);
    print(w);
    return 0;
}
