// SPDX-License-Identifier: MIT
// test/sim/sim_http.h: an independent implementation of HTTP/1.1 for the simulator's clients and pods. It shares no line with the node's
// own parser, so that a mistake there cannot hide here.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim.h"

namespace etlnode {

// One incoming message.
struct sim_message {
    enum class state : uint8_t { head, length, chunk_size, chunk_data, chunk_end, trailer, until_close, complete, broken } at = state::head;
    bool is_answer = false;
    bool is_bodyless = false;                                 // answer to HEAD
    std::string pending;                                      // bytes of a line or head that is not complete yet
    std::string first, second, third;                         // "GET /path HTTP/1.1" or "HTTP/1.1 200 OK"
    std::vector<std::pair<std::string, std::string>> headers; // names in lower case
    std::string body;
    uint64_t left = 0; // of the body, or of a chunk
    int status() const { return is_answer ? std::atoi(second.c_str()) : 0; }
};

std::string sim_header(const sim_message &m, std::string_view name);
// Takes the bytes that belong to this message, and returns how many those were.
size_t sim_message_feed(sim_message &m, std::string_view bytes);
// The sender has finished, or the connection broke. The message is complete only if its framing says so.
void sim_message_end(sim_message &m, bool is_reset);

// One connection of a client or pod: sends `request`, reads `answers` answers.
struct sim_call {
    sim_host *host = nullptr;
    std::string address;
    uint16_t port = 0;
    std::string request;
    bool is_head = false;
    size_t answers = 1;
    uint64_t timeout_us = 120'000'000;
    // How it misbehaves.
    size_t piece = SIZE_MAX;           // bytes written at a time
    uint64_t pause_us = 0;             // between the pieces
    size_t stop_sending_at = SIZE_MAX; // bytes of the request; then it hangs up, or with half_close it only stops sending
    bool half_close = false;
    size_t hang_up_at = SIZE_MAX;                      // bytes of the answer
    uint64_t stall_us = 0;                             // how long it reads nothing after the first bytes
    uint64_t linger_us = 0;                            // how long it waits for more after the last answer
    void (*on_done)(void *arg, sim_call &c) = nullptr; // the call is gone after this
    void *arg = nullptr;

    // Results.
    std::vector<sim_message> got;
    std::string surplus; // bytes after the last answer
    enum class ending : uint8_t { none, answered, finished, reset, refused, gave_up, timed_out } how = ending::none;

    // Internal.
    net_connect_call *connecting = nullptr;
    net_conn *net = nullptr;
    size_t sent = 0, received = 0;
    bool has_stalled = false;
    sim_event *deadline = nullptr, *next = nullptr;
};

sim_call *sim_call_start(const sim_call &options);
// on_done is not called.
void sim_call_cancel(sim_call *c);
// Splits http://address:port/rest; false for any other URL.
bool sim_url_split(std::string_view url, std::string &out_address, uint16_t &out_port, std::string &out_rest);

} // namespace etlnode
