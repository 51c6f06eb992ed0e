// SPDX-License-Identifier: MIT
// http/server/exchange.h: the server side of HTTP. An exchange is one request and its answer on a client's connection.
//
// A handler receives an exchange, may pull the request body, and answers exactly once. Until then the exchange stays valid, even if the
// client is gone (the answer then has no effect). on_gone notifies handlers that want to stop early.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "codec/http_parse.h"
#include "codec/json.h"
#include "port/disk.h"
#include "port/env.h"
#include "port/net.h"

namespace etlnode {

struct exchange; // one connection; reused for the requests on it
struct http_server;

struct http_server_counts {
    uint64_t connections = 0; // open now
    uint64_t accepted = 0;
    uint64_t refused = 0; // beyond connections_max
    uint64_t requests = 0;
    uint64_t bad_requests = 0; // heads that could not be parsed
    uint64_t bytes_in = 0;     // request bodies
    uint64_t bytes_out = 0;    // answers
    uint64_t answers[6] = {};  // by status class: [2] counts 2xx
    uint64_t cut = 0;          // answers that were cut on purpose
};

struct http_server_options {
    const char *name = "public"; // in logs and metrics
    std::string node_id;         // in error answers
    size_t connections_max = etlnode::connections_max;
    net_reach reach = net_reach::anywhere; // of clients
    // Called when the head has been read but the body has not. Lifetime of views into the head: until the answer.
    void (*on_request)(void *arg, exchange &x) = nullptr;
    // Called when an answer's head has been determined, for the access log; may be null. Not called for heads that could not be parsed.
    void (*on_answer)(void *arg, exchange &x, int status) = nullptr;
    // No request is in flight any more (http_server_in_flight), after http_server_drain and before http_server_stop. May come several
    // times, also inside a call of a handler's; may be null.
    void (*on_idle)(void *arg) = nullptr;
    void *arg = nullptr;
};

error http_server_start(env &e, const http_server_options &options, const char *host, uint16_t port, http_server **out_server);
uint16_t http_server_port(http_server &server);
const http_server_counts &http_server_count(const http_server &server);
// Closes the listener and idle connections. Requests in flight continue, and their connections close after the answer.
void http_server_drain(http_server &server);
// Requests that a handler has, and answers that are on their way.
size_t http_server_in_flight(const http_server &server);
// Ends every connection at once. The server is freed after the last handler has answered.
void http_server_stop(http_server &server);

// --- the request

env &exchange_env(exchange &x);
const http_head &exchange_head(const exchange &x);
// The client's X-Request-Id if it is well-formed, otherwise a generated one. At most request_id_size_max bytes.
std::string_view exchange_request_id(const exchange &x);
std::string exchange_peer(exchange &x);
uint64_t exchange_started_ms(const exchange &x);
bool exchange_is_gone(const exchange &x);
// Why: canceled (the client left), or stopping (http_server_stop ended the connection). None while it is not gone.
error exchange_gone_error(const exchange &x);
// on_gone(arg) is called at most once, if the client goes away before the answer is complete. With `watch`, the connection is watched for
// that while the handler works (a half-close counts as gone). Null clears it.
void exchange_on_gone(exchange &x, void (*on_gone)(void *arg), void *arg, bool watch);

// Reads the whole body, at most `max` bytes. Completes once, but not if the exchange is answered first.
// Errors: body_too_large, bad_request (bad chunk), end_of_stream (the client is gone), request_timeout.
void exchange_read_all(exchange &x, size_t max, void (*on_body)(void *arg, error err, std::string body), void *arg);
// Pulls by readiness, for bodies of any size. `end`: the whole body has been read. `failed`: it will never be complete.
io_result exchange_body_read(exchange &x, void *buffer, size_t size);
// Calls back once, when reading can continue or has failed (request_timeout after body_stall_timeout_ms without a byte, or after the time
// set for this request).
void exchange_body_wait(exchange &x, void (*on_ready)(void *arg), void *arg);
void exchange_set_body_patience(exchange &x, uint64_t patience_ms);

// --- the answer: exactly one of these, once

struct answer {
    int status = 200;
    std::string headers;           // complete lines, made with http_write_header; Content-Length, Connection and Date are added
    std::string_view content_type; // static text; empty: none
    std::string body;
    bool close = false; // close the connection afterwards
};

void exchange_answer(exchange &x, answer a);
// The body is [offset, offset+size) of `file`. on_sent is called once, when the file is no longer needed, whatever the result.
void exchange_answer_file(
    exchange &x, answer a, disk_file *file, uint64_t offset, uint64_t size, void (*on_sent)(void *arg, error err), void *arg);
// Until on_sent, on_progress(arg) is called whenever the client's connection has taken bytes of this answer.
void exchange_on_progress(exchange &x, void (*on_progress)(void *arg), void *arg);
// The body is `bytes`, which must stay valid until on_sent.
void exchange_answer_view(exchange &x, answer a, std::string_view bytes, void (*on_sent)(void *arg, error err), void *arg);
// For HEAD and similar: a head with this Content-Length (length_unknown: none) and no body.
inline constexpr uint64_t length_unknown = UINT64_MAX;
void exchange_answer_head(exchange &x, answer a, uint64_t length);
// AIStore's error envelope (docs/PROTOCOL.md); for HEAD it is in the header Hdr-Error. The user sees `message`. status 0: the table's
// status. 503 gets a Retry-After unless `headers` contain one. 429 and 503 are retryable whatever the table says about `code`,
// other 4xx but 408 are not.
void exchange_answer_error(exchange &x, error_code code, std::string_view message, int status = 0, std::string headers = {});
void exchange_answer_json(exchange &x, const cJSON *tree);
void exchange_answer_text(exchange &x, std::string text, std::string_view content_type = "text/plain; charset=utf-8");

// --- a streamed answer (used by http/pump.h and by handlers that produce bytes themselves)

// Starts an answer whose body follows. Without a length: chunked for HTTP/1.1, close-delimited for 1.0.
void exchange_stream_begin(exchange &x, answer a, bool has_length, uint64_t length);
// Ends it: complete, or cut (by RST if the framing alone would not show it). Requires: if complete and with a length, all bytes were
// written.
void exchange_stream_end(exchange &x, bool complete);

} // namespace etlnode
