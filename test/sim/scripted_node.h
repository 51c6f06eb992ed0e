// SPDX-License-Identifier: MIT
// test/sim/scripted_node.h: for unit tests on the simulated network: nodes that answer as a test says, and requests made by the test.
//
// Time is the world's: everything happens inside scripted_until. Faults stay off, so that a test always takes the same course.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "node_test.h"
#include "sim_http.h"

namespace etlnode {

// Runs what a test has just done to a host from outside, by that host's clock.
void scripted_settle(sim_world &w);

// Runs the world until `is_true()`, for at most `limit_ms` of its time.
template <class Condition> bool scripted_until(sim_world &w, Condition is_true, uint64_t limit_ms = 120'000)
{
    scripted_settle(w);
    uint64_t until_us = w.now_us + limit_ms * 1'000;
    while (!is_true() && sim_step(w, until_us)) {
    }
    scripted_settle(w);
    return is_true();
}

void scripted_pass(sim_world &w, uint64_t ms);

// --- requests by the test

struct scripted_call {
    sim_call *running = nullptr;
    sim_call::ending how = sim_call::ending::none;
    sim_message answer; // the first one
    int status() const { return answer.status(); }
};

void scripted_call_done(void *arg, sim_call &c);

// `line`: "GET /path?query". `headers`: complete lines. A body with null data means no body; "" is an empty one. Lifetime of `call`: until
// it has ended.
void scripted_begin(scripted_call &call, sim_host &from, const std::string &address, uint16_t port, std::string_view line,
    std::string_view body = {}, std::string_view headers = {});

void scripted_hang_up(scripted_call &call);

// --- nodes

// The answer to requests whose "METHOD target" begins with `match`. The first matching row that is not used up counts.
struct scripted_row {
    std::string match;
    int status = 200;
    std::string body = {};
    std::string headers = {}; // whole lines
    bool is_held = false;     // no answer until scripted_answer_held
    size_t times = SIZE_MAX;  // how often it may be used
    size_t begins = SIZE_MAX; // so many bytes of the body; the rest waits for scripted_go_on
};

struct scripted_node;
struct scripted_conn {
    scripted_node *node = nullptr;
    net_conn *net = nullptr;
    sim_message request;
    std::string pending; // bytes after the request
    std::string out;
    size_t out_at = 0;
    bool is_held = false;
    std::string rest = {}; // of a body that has begun
};

struct scripted_node {
    sim_host *host = nullptr;
    std::string id, address;
    uint16_t port = 0;
    net_listener *listener = nullptr;
    std::vector<scripted_row> rows;
    std::vector<sim_message> asked; // in order
    std::vector<scripted_conn *> conns;
    size_t hung_up = 0; // callers that left while their request was held
};

void scripted_listen(scripted_node &node);

scripted_node *scripted_node_make(sim_world &w, const std::string &id, const std::string &address, uint16_t port = 8080);

// From now on it refuses connections; existing ones break.
void scripted_silence(scripted_node &node);

void scripted_node_free(scripted_node *node);

size_t scripted_count(const scripted_node &node, std::string_view match);

// The newest request of that kind; the test fails if there is none.
const sim_message &scripted_last(const scripted_node &node, std::string_view match);

size_t scripted_held(const scripted_node &node);

// Answers the oldest held request.
void scripted_answer_held(scripted_node &node, int status, std::string_view body = {});

// Sends what is left of every body that has begun.
void scripted_go_on(scripted_node &node);

// Lets the last segments of every link arrive, then frees the world. Requires: no host is left.
void scripted_world_free(sim_world *w);

} // namespace etlnode
