// SPDX-License-Identifier: MIT
// http/client/call.h: the client side of HTTP: one call is one request to a pod or to another node, and its answer.
//
// Sending and receiving go on at the same time (a pod may answer while it reads). Connections are kept and reused by an http_client.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "codec/http_parse.h"
#include "http/stream.h"
#include "port/disk.h"
#include "port/env.h"
#include "port/net.h"

namespace etlnode {

struct call;        // one exchange with a server; freed by itself after on_done
struct http_client; // idle connections by address

struct http_client_options {
    size_t idle_max = 256;    // connections kept, all addresses together
    uint64_t idle_ms = 1'000; // kept this long
};
http_client *http_client_make(env &e, const http_client_options &options);
// Requires: no call under way.
void http_client_free(http_client *client);
// Times that a server sent bytes which no request had asked for. Its connections are not reused any more.
uint64_t http_client_unsolicited(const http_client &client);

struct call_options {
    std::string host;
    uint16_t port = 0;
    net_reach reach = net_reach::anywhere;
    std::string instance; // of a pod: names the running container. Its connections are reused, and its answers believed, once it has
                          // proven itself (docs/decisions/0020-answers-never-shift.md). Empty: another node, which is trusted
    std::string method = "GET";
    std::string target = "/"; // raw path and query
    std::string headers;      // whole lines; Host, Content-Length and Connection are added
    std::string body;         // sent from memory, or, when `file` is set:
    disk_file *file =
        nullptr; // file_size bytes from its start. Lifetime: until on_done. One that fails (corrupt, io) fails the call, whatever is answered
    uint64_t file_size = 0;
    bool has_body = false; // send Content-Length even when the body is empty
    // The body is pushed to call_body_stream, and ended with call_body_end. A call that ends, or is canceled, before that cuts its connection: the
    // server can never take what it got for whole. Until then whoever pushes watches the time. Such a call gets a connection of its own, for
    // a body cannot be pushed twice.
    bool streams_body = false;
    uint64_t body_size =
        stream_size_unknown; // Content-Length: then the last byte makes it whole; unknown: in chunks, and call_body_end does
    uint64_t connect_timeout_ms = 5'000;
    uint64_t progress_timeout_ms = 10'000; // no byte sent or received for this long; and from a head's first byte to its last
    const uint64_t *progress_elsewhere =
        nullptr; // clock_now_ms at which the server was seen at work for this call, beside its connection; null: nowhere. Lifetime: the call's
    bool may_reuse = true; // take an idle connection if there is one, and keep this one afterwards
    // Another protocol that the server is asked to speak from its answer on ("websocket"). Then 101 is an answer, too: on_head gets it, and
    // call_take_connection hands the connection over. Such a call has a connection of its own. Empty: 101 is a failure.
    std::string upgrade;
    // Buffered: on_done gets the body, at most this many bytes (else body_too_large). Streamed (0): on_head is called, then the owner
    // pulls the body with call_pull (http/pump.h does) until on_done.
    size_t answer_size_max = 0;
    void (*on_head)(void *arg, call &c, const http_head &head) = nullptr;
    // Exactly once, unless call_cancel. err: refused, unreachable, timed_out, reset, end_of_stream (closed before the head or the end),
    // bad_pod_answer (not HTTP, or longer than it said), body_too_large; corrupt, io: of the file. Streamed: only before on_head (failure).
    void (*on_done)(void *arg, call &c, error err, int status, std::string body) = nullptr;
    void *arg = nullptr;
};

// Always accepted; failures come through on_done.
call *call_start(http_client &client, call_options options);
// No callback will come; the connection is closed. The pointer is dead at once.
void call_cancel(call &c);
// The streamed body of the request is whole. Requires: body_size bytes were pushed, where it was announced; on_done has not come.
void call_body_end(call &c);

// --- streamed bodies, after on_head

// Failures: end_of_stream (closed too early), reset, bad_pod_answer (bad chunk, or longer than it said).
// Takes the next piece of the body: small ones into the call's buffer, large ones into `relay` (may be null: never).
pull_result call_pull(call &c, net_relay *relay);
// `again` also while the last piece, or the end, is withheld for a moment because it is not clear yet that nothing wrong follows it.
// Calls back once, when pulling may go on.
void call_pull_wait(call &c, net_on_ready on_ready, void *arg);
void call_pull_wait_cancel(call &c);
// The first bytes of an answer whose head never came to its end; empty: there were none. Lifetime: of on_done.
std::string_view call_begun_head(const call &c);
// Takes a body whose length was announced and which has come with the head, all of it; false, and nothing taken, where it is not so, or where
// its end is withheld.
bool call_take_whole(call &c, std::string &out_body);
// After on_head with 101: the connection, which is the caller's from now on, and in `out_behind` what has come on it behind the head. The call is
// gone; no on_done follows.
net_conn *call_take_connection(call &c, std::string &out_behind);
// Ends a streamed call after on_head. If the body was read to its end (pull_state::end) or cannot exist, the connection returns to the pool if it may be used
// again. Otherwise, and after an error status, the connection is closed. No on_done follows; the pointer is dead at once.
void call_close(call &c);
// Milliseconds (clock_now_ms) of the last byte sent, or received of the body (the sizes of chunks and trailers are no progress), or of what was seen elsewhere.
uint64_t call_last_progress_ms(const call &c);
// What is to be said of an answer whose body comes no further.
const char *call_stall_text(const call &c);

} // namespace etlnode
