// SPDX-License-Identifier: MIT
// test/bench/load_client.h: the connections of the load generator, and what they count.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <netinet/in.h>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "load_numbers.h"

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

// A request without an answer, or a connection that could not be made.
void fail(world &w, client &c, const char *why);
void open_client(world &w, client &c);
bool is_slow_sender(const world &w);
void begin_request(world &w, client &c, uint64_t due_ns);
void send_more(world &w, client &c);
// Reads at most `max` bytes.
void read_some(world &w, client &c, size_t max);
// Of epoll.
void on_event(world &w, client &c, uint32_t events);
