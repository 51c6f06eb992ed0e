// SPDX-License-Identifier: MIT
// http/server/conn_machine.h: the internals of an exchange, for the files of this folder only.
#pragma once

#include <cstdint>
#include <string>

#include "base/limits.h"
#include "base/open_count.h"
#include "http/server/exchange.h"
#include "port/clock.h"
#include "sm/sm.h"
#include "sm/sm_news.h"

namespace etlnode {

enum class body_framing : uint8_t {
    none, // there is nothing to read, or everything has been read
    length,
    chunked,
    unknown // of a refused request: anything may follow
};
enum class answer_framing : uint8_t { length, unsaid, chunked, by_close };

// What to do with the socket after a step, or to report to the handler.
enum class exchange_news : uint8_t { body_sent, flush, discard, read_head };

inline constexpr size_t http_input_size_initial = 4 * kib;

struct exchange {
    enum class state : uint8_t { awaiting_head, awaiting_answer, sending, streaming, discarding, lingering, abandoned, closed };
    enum class event : uint8_t {
        head_read,
        head_refused,
        gone,
        answered,
        stream_begun,
        sink_full,
        sent,
        broken,
        stream_ended,
        stream_cut,
        starved,
        discarded,
        deadline,
        stop
    };
    sm_core sm;
    env *e = nullptr;
    http_server *server = nullptr;
    exchange *previous = nullptr; // list of the server's connections
    exchange *next = nullptr;
    net_conn *net = nullptr;
    timer *deadline_timer = nullptr;
    uint64_t deadline_ms = 0;  // 0: none
    uint64_t armed_for_ms = 0; // when the timer fires; never later than deadline_ms; if it fires early, it is re-armed

    // Bytes read but not used yet: [in_begin, in_end) of `in`.
    std::string in;
    size_t in_begin = 0;
    size_t in_end = 0;
    size_t head_searched = 0;

    // The request.
    http_head head;
    std::string request_id;
    uint64_t started_ms = 0;
    body_framing framing = body_framing::none;
    uint64_t body_left = 0; // bytes left by the framing
    uint64_t body_read = 0;
    error body_error;
    http_chunk_decoder_ptr decoder;
    std::string raw; // chunked: bytes read; [raw_begin, raw_end) is not decoded yet
    size_t raw_begin = 0;
    size_t raw_end = 0;
    size_t decoded_begin = 0; // chunked: decoded bytes inside `raw`, before raw_begin
    size_t decoded_end = 0;
    uint64_t body_patience_ms = body_stall_timeout_ms; // for the body's next byte
    uint64_t stalled_since_ms = 0;                     // since when the body's next byte is awaited; 0: it is not
    bool continue_due = false;                         // the client waits for 100 Continue
    void (*on_body_ready)(void *arg) = nullptr;
    void *body_arg = nullptr;
    std::string collected; // exchange_read_all
    size_t collect_max = 0;
    void (*on_collected)(void *arg, error err, std::string body) = nullptr;
    void *collect_arg = nullptr;

    // The handler.
    void (*on_gone)(void *arg) = nullptr;
    void *gone_arg = nullptr;
    bool gone_watched = false;
    error gone_err; // why the connection ended before the answer: the client left, or this node stops

    // The answer.
    std::string out; // head, chunk framing
    size_t out_sent = 0;
    std::string body;
    std::string_view body_view;
    size_t body_sent = 0;
    disk_file *file = nullptr;
    uint64_t file_offset = 0;
    uint64_t file_left = 0;
    void (*on_progress)(void *arg) = nullptr;
    void *progress_arg = nullptr;
    void (*on_sent)(void *arg, error err) = nullptr;
    void *sent_arg = nullptr;
    answer_framing answer_frame = answer_framing::length;
    bool keep = false;     // the connection stays open after this answer
    bool cut = false;      // it ends with a reset
    bool is_extra = false; // above connections_max: accepted only to be refused
    uint64_t discarded_size = 0;
    sm_news<exchange_news> news;
};

// One listener and the connections it has accepted.
struct http_server {
    env *e = nullptr;
    http_server_options options;
    net_listener *listener = nullptr;
    exchange *first = nullptr;
    size_t open = 0;
    size_t extra = 0; // how many of them are extra
    open_count in_flight;
    bool draining = false;
    bool stopped = false;
    uint64_t next_id = 1;
    http_server_counts counts;
    std::string date; // cached Date value
    uint64_t date_second = 0;
};

// A head has begun to arrive.
inline bool exchange_has_input(const exchange &x) { return x.in_begin < x.in_end; }

// --- conn_machine.cc: the machine

// Takes the event, then does what follows from it: writes, reads, calls the handler.
void exchange_step(exchange &x, exchange::event event);
void exchange_set_deadline(exchange &x, uint64_t delay_ms);
// Sets the deadline of the body's next byte. Framing bytes (a chunk's size, a trailer) do not extend it, because they could trickle for
// ever.
void exchange_set_body_deadline(exchange &x);
// Waits until the client sends something or goes away; no effect if it already waits.
void exchange_watch(exchange &x);
void exchange_post_body_ready(exchange &x);
void exchange_post_gone(exchange &x);
// An error answer at once, as far as the socket takes it, for a connection that is about to be closed.
void exchange_send_refusal(exchange &x, error err);
void exchange_on_timer(void *arg); // arg: the exchange

// --- conn_read.cc: input between two answers; each function steps the machine with its result

void exchange_read_head(exchange &x);
// Reads and drops a body that no handler wants.
void exchange_discard_body(exchange &x);

// --- conn_write.cc

// Sends what is ready to be sent, then steps with the result.
void exchange_flush(exchange &x);

// --- exchange_answer.cc

// Prepares the answer to a head that could not be parsed. Nothing in the head is trusted, and the connection closes.
void exchange_prepare_refusal(exchange &x, error err);

// --- http_server.cc

void exchange_delete(void *arg); // arg: the exchange; posted when it is closed

// For http/pump_machine.cc: the socket (null if the client is gone), and the framing bytes to send before the next piece.
inline net_conn *exchange_net(exchange &x) { return x.net; }
void exchange_frame_piece(exchange &x, size_t size); // appends the chunk header of a piece of `size` bytes, if the answer is chunked
void exchange_frame_piece_end(exchange &x);
inline bool exchange_has_framing(const exchange &x) { return x.out_sent < x.out.size(); }
// Sends the rest of the head and framing, then `bytes`, in one write. count: how many of `bytes` were sent.
io_result exchange_send_piece(exchange &x, std::string_view bytes, bool more);
void exchange_count_out(exchange &x, size_t size);

} // namespace etlnode
