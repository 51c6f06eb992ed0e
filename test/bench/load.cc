// SPDX-License-Identifier: MIT
// test/bench/load.cc: a load generator that distinguishes errors: many connections, one thread, results as one JSON object on stdout.
//
// Closed loop: every connection sends its next request when the previous one is answered. Open loop (--rate): requests are due at fixed
// times, whether or not a connection is free, and latency counts from the due time, so that a server that stalls cannot hide it. Other
// kinds of clients (--kind) are idle, or slowly send a head, send a body, or read an answer. For these it reports when and how the server
// ended them. --check verifies contents: the 64-bit word at index i of an object is (seed << 40) + i, little endian.
#include <algorithm>
#include <arpa/inet.h>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <vector>

#include "load_client.h"

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
