// SPDX-License-Identifier: MIT
// test/sim/sim_http.h: HTTP/1.1 as somebody else would write it, for the clients and pods of the simulator: it shares no line with the
// node's own parser, so that a mistake there cannot hide here.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim.h"

namespace etlnode {

// One message as it comes in.
struct sim_message {
    enum class state : uint8_t { head, length, chunk_size, chunk_data, chunk_end, trailer, until_close, complete, broken } at = state::head;
    bool is_answer = false;
    bool is_bodyless = false;                                 // answer to HEAD
    std::string pending;                                      // bytes of a line or of the head that is not whole yet
    std::string first, second, third;                         // "GET /path HTTP/1.1" or "HTTP/1.1 200 OK"
    std::vector<std::pair<std::string, std::string>> headers; // names in lower case
    std::string body;
    uint64_t left = 0; // of the body, or of a chunk
    int status() const { return is_answer ? std::atoi(second.c_str()) : 0; }
};

std::string sim_header(const sim_message &m, std::string_view name);
// Takes what belongs to this message; returns how much that was.
size_t sim_message_feed(sim_message &m, std::string_view bytes);
// The sender has finished (or the connection broke): complete only where the framing says so.
void sim_message_end(sim_message &m, bool is_reset);

// One connection made by a client or by a pod: sends `request`, reads `answers` answers.
struct sim_call {
    sim_host *host = nullptr;
    std::string address;
    uint16_t port = 0;
    std::string request;
    bool is_head = false;
    size_t answers = 1;
    uint64_t timeout_us = 120'000'000;
    // How it misbehaves.
    size_t piece = SIZE_MAX;           // written at a time
    uint64_t pause_us = 0;             // between the pieces
    size_t stop_sending_at = SIZE_MAX; // bytes of the request; then it hangs up, or with half_close only finishes sending
    bool half_close = false;
    size_t hang_up_at = SIZE_MAX;                      // bytes of the answer
    uint64_t stall_us = 0;                             // reads nothing for so long after the first bytes
    uint64_t linger_us = 0;                            // after the last answer: does anything else come?
    void (*on_done)(void *arg, sim_call &c) = nullptr; // the call is gone after it
    void *arg = nullptr;

    // What came of it.
    std::vector<sim_message> got;
    std::string surplus; // bytes after the last answer
    enum class ending : uint8_t { none, answered, finished, reset, refused, gave_up, timed_out } how = ending::none;

    // Inside.
    net_connect_call *connecting = nullptr;
    net_conn *net = nullptr;
    size_t sent = 0, received = 0;
    bool has_stalled = false;
    sim_event *deadline = nullptr, *next = nullptr;
};

sim_call *sim_call_start(const sim_call &options);
// No on_done.
void sim_call_cancel(sim_call *c);
// http://address:port/rest; false when it is not one.
bool sim_url_split(std::string_view url, std::string &out_address, uint16_t &out_port, std::string &out_rest);

} // namespace etlnode
