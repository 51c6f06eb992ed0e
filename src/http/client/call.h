// SPDX-License-Identifier: MIT
// http/client/call.h: the client side of HTTP. A call is one request to a pod or to another node, and its answer.
//
// Sending and receiving happen at the same time, because a pod may answer while it reads. An http_client keeps and reuses connections.
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

struct call;        // one request and answer; frees itself after on_done
struct http_client; // idle connections by address

struct http_client_options {
    size_t idle_max = 256;    // connections kept, for all addresses together
    uint64_t idle_ms = 1'000; // for this long
};
http_client *http_client_make(env &e, const http_client_options &options);
// Requires: no call in progress.
void http_client_free(http_client *client);
// How often a server sent unsolicited bytes. Its connections are not reused any more.
uint64_t http_client_unsolicited(const http_client &client);
// One that took over a connection (call_take_connection) got bytes on it that it had not asked for.
void http_client_note_unsolicited(http_client &client, const std::string &host, uint16_t port, const std::string &instance);

struct call_options {
    std::string host;
    uint16_t port = 0;
    net_reach reach = net_reach::anywhere;
    std::string instance; // of a pod: names the running container. Its connections are reused, and its answers believed, once it has
                          // proven itself (docs/decisions/0020-answers-never-shift.md). Empty: another node, which is trusted
    std::string method = "GET";
    std::string target = "/"; // raw path and query
    std::string headers;      // complete lines; Host, Content-Length and Connection are added
    std::string body;         // sent from memory; or, if `file` is set:
    // file_size bytes from its start. Lifetime: until on_done. One that fails (corrupt, io) fails the call, whatever is answered
    disk_file *file = nullptr;
    uint64_t file_size = 0;
    bool has_body = false; // send Content-Length even if the body is empty
    // The body is pushed to call_body_stream, and ended with call_body_end. A call that ends, or is canceled, before that cuts its
    // connection: the server can never take what it got for whole. Until then whoever pushes watches the time. Such a call gets a
    // connection of its own, because a body cannot be pushed twice.
    bool streams_body = false;
    // Content-Length: then the last byte makes it whole; unknown: in chunks, and call_body_end does
    uint64_t body_size = stream_size_unknown;
    uint64_t connect_timeout_ms = 5'000;
    uint64_t progress_timeout_ms = 10'000; // without a byte sent or received; also from a head's first byte to its last
    // clock_now_ms at which the server was seen at work for this call, beside its connection; null: nowhere. Lifetime: the call's
    const uint64_t *progress_elsewhere = nullptr;
    bool may_reuse = true; // take an idle connection if there is one, and keep this one afterwards
    // Another protocol that the server is asked to switch to ("websocket"). 101 then counts as an answer: on_head gets it, and
    // call_take_connection hands over the connection. Such a call has its own connection. Empty: 101 is a failure.
    std::string upgrade;
    // Buffered: on_done gets the body, at most this many bytes (otherwise body_too_large). Streamed (0): on_head is called, and then the
    // owner pulls the body with call_pull (as http/pump.h does) until on_done.
    size_t answer_size_max = 0;
    void (*on_head)(void *arg, call &c, const http_head &head) = nullptr;
    // Exactly once, unless call_cancel. err: refused, unreachable, timed_out, reset, end_of_stream (closed before the head or the end),
    // bad_pod_answer (not HTTP, or longer than it said), body_too_large; corrupt, io: of the file. Streamed: only before on_head (failure).
    void (*on_done)(void *arg, call &c, error err, int status, std::string body) = nullptr;
    void *arg = nullptr;
};

// Always accepted; failures are reported by on_done.
call *call_start(http_client &client, call_options options);
// No callback follows; the connection is closed. The pointer is invalid at once.
void call_cancel(call &c);
// The streamed body of the request is complete. Requires: if body_size was announced, so many bytes were pushed; on_done has not been
// called.
void call_body_end(call &c);

// --- streamed bodies, after on_head

// Failures: end_of_stream (closed too early), reset, bad_pod_answer (bad chunk, or longer than announced).
// Takes the next piece of the body: small ones into the call's buffer, large ones into `relay` (may be null: never).
pull_result call_pull(call &c, net_relay *relay);
// `again` is also returned while the last piece, or the end, is withheld for a moment because something wrong may still follow it.
// Calls back once, when pulling can continue.
void call_pull_wait(call &c, net_on_ready on_ready, void *arg);
void call_pull_wait_cancel(call &c);
// The first bytes of an answer whose head never ended; empty if there were none. Lifetime: of on_done.
std::string_view call_begun_head(const call &c);
// Takes a body of known length that arrived completely with its head. Otherwise, or if its end is withheld, takes nothing and returns
// false.
bool call_take_whole(call &c, std::string &out_body);
// After on_head with 101: hands the connection over to the caller, and returns in `out_behind` the bytes that followed the head. The call
// is freed; no on_done follows.
net_conn *call_take_connection(call &c, std::string &out_behind);
// Ends a streamed call after on_head. If the body was read to its end (pull_state::end) or cannot exist, the connection returns to the pool
// if it may be used again. Otherwise, and after an error status, the connection is closed. No on_done follows; the pointer is dead at once.
void call_close(call &c);
// clock_now_ms of the last byte sent, of the last body byte received (not chunk sizes and trailers), or of progress seen elsewhere.
uint64_t call_last_progress_ms(const call &c);
// Describes an answer whose body has stalled.
const char *call_stall_text(const call &c);

} // namespace etlnode
