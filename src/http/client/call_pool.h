// SPDX-License-Identifier: MIT
// http/client/call_pool.h: the internals of an http_client: the known servers, and the connections that wait for their next request.
//
// For the files of this folder only. A server is one address and, for pods, one instance behind it: what one container has proven says
// nothing about the next one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "http/client/call.h"
#include "port/clock.h"

namespace etlnode {

struct server;
struct server_proof;

struct idle_connection {
    net_conn *conn = nullptr;
    uint64_t until_ms = 0;
    http_client *client = nullptr;
    server *to = nullptr;
    bool is_tentative = false;     // not reusable: it may block a one-at-a-time server's next connection
    server_proof *watch = nullptr; // not reusable: it only shows whether its server stays silent after an answer
};

// Whether a server answers on several connections at a time. A single-threaded server with keep-alive serves no other connection while it
// waits for the next request on an idle one. So an idle connection must not be kept while other calls wait for their first byte.
enum class server_kind : uint8_t { unknown, parallel, single_request };

// What a pod has proven so far; see docs/decisions/0020-answers-never-shift.md.
struct server_proof {
    unsigned ends = 0;     // answers in a row that nothing followed within pod_behind_wait_ms
    unsigned watched = 0;  // connections in a row that stayed silent for idle_ms after an answer
    unsigned watching = 0; // connections whose time is not over
};

// What is known about one server, and what is in progress with it.
struct server {
    std::string host;
    uint16_t port = 0;
    std::string instance;    // of a pod; empty: a node, which is trusted from the start
    std::string host_header; // a complete line
    server_kind kind = server_kind::unknown;
    // It has sent bytes that nobody asked for: the next ones might pass for an answer, so every call gets a connection of its own
    bool sends_unsolicited = false;
    server_proof plain;  // for requests without a body
    server_proof pushed; // for requests with a body: a server that does not read bodies behaves well until one is sent
    uint64_t used_ms = 0;
    std::vector<idle_connection *> idle; // oldest first
    std::vector<call *> active;
};

struct http_client {
    env *e = nullptr;
    http_client_options options;
    std::vector<server *> servers; // oldest first
    size_t idle_count = 0;
    size_t active_count = 0;
    std::vector<std::string> spare_inputs; // buffers of ended calls, of the size of a first read
    uint64_t unsolicited = 0;
    timer *deadline_timer = nullptr;
    uint64_t next_id = 1;
};

server &pool_server_of(http_client &client, std::string_view host, uint16_t port, std::string_view instance);
// A connection that can carry the next request, or null.
net_conn *pool_take(http_client &client, server &from);
// Call before opening a connection: connections that are only watched must not block a one-at-a-time server.
void pool_make_way(http_client &client, server &to);
// The answer on `conn` was read to its end, and the connection is clean: it is kept, watched or closed. `in_the_way`: another call waits
// for its first byte, and the server has not proven that it serves several at a time. `is_pushed`: the request had a body.
void pool_give(http_client &client, server &from, net_conn *conn, bool in_the_way, bool is_pushed);
// The server serves several connections at a time.
void pool_note_parallel(http_client &client, server &to);
// It sent unsolicited bytes.
void pool_note_unsolicited(http_client &client, server &from);
// Nothing followed an answer while its end was withheld.
void pool_note_quiet_end(server &from, bool is_pushed);
// Whether the end of an answer must be withheld for a moment, to see what follows.
bool pool_must_wait_behind(const server &from, bool is_pushed);

} // namespace etlnode
