// SPDX-License-Identifier: MIT
// http/client/call_machine.h: the internals of a call, for the files of this folder only.
#pragma once

#include <cstdint>
#include <string>

#include "http/client/call_pool.h"
#include "sm/sm.h"
#include "sm/sm_news.h"

namespace etlnode {

enum class call_upload : uint8_t { sending, sent, failed };

// The state of the answer's body.
enum class call_body : uint8_t {
    coming,
    came,  // its last byte has arrived
    ended, // everything has been passed on
};

// What follows the body shows whether its count was right. It is judged before the last piece is passed on.
enum class call_end : uint8_t {
    unjudged,
    withheld, // the last piece is withheld until something follows, or the wait for that ends
    quiet,    // nothing arrived during that wait
    rushed,   // judged by what has arrived, without a wait
    good,     // judged and good, or there was nothing to judge
};

enum class call_behind : uint8_t { unseen, seen, closed }; // whether anybody has looked behind the body, and found the connection's end

// What to do with the connection after a step.
enum class call_news : uint8_t { send, collect };

struct call {
    enum class state : uint8_t { idle, connecting, awaiting_head, collecting, receiving, withholding_end, done };
    enum class event : uint8_t {
        begin,
        connected,
        connect_failed,
        head_read,
        died_unused,
        failed,
        body_came,
        end_judged,
        body_ended,
        finished,
        deadline,
        stop
    };
    sm_core sm;
    env *e = nullptr;
    http_client *client = nullptr;
    server *to = nullptr;
    call_options options;
    net_connect_call *connecting = nullptr;
    net_conn *net = nullptr;
    timer *deadline_timer = nullptr;
    bool reused = false; // the connection came from the pool
    bool canceled = false;
    sm_news<call_news> news;
    error err;
    uint64_t last_progress_ms = 0;

    // Sending.
    std::string out;
    size_t out_sent = 0;
    size_t body_sent = 0;
    uint64_t file_sent = 0;
    bool body_is_whole = false; // streamed: everything has been pushed
    uint64_t body_pushed = 0;
    net_on_ready on_room = nullptr; // the pushing side, while it waits for room
    void *room_arg = nullptr;
    call_upload upload = call_upload::sending;
    error source_err; // of the file to send: whatever the server made of the part must not count as good

    // Receiving.
    std::string in;
    size_t in_begin = 0;
    size_t in_end = 0;
    size_t head_searched = 0;
    size_t informational = 0;
    bool received_any = false;
    bool answered_early = false; // before the request had been sent completely
    uint64_t head_began_ms = 0;  // when the first byte of the current head arrived; 0: none has arrived
    std::string head_bytes;      // keeps the head's views valid
    http_head head;
    http_chunk_decoder_ptr decoder;
    uint64_t body_left = 0;
    std::string collected;
    net_on_ready on_ready = nullptr; // the pulling side, while it waits for bytes
    void *ready_arg = nullptr;

    // The end of the body.
    call_body body = call_body::coming;
    call_end end = call_end::unjudged;
    call_behind behind = call_behind::unseen;
    size_t held_begin = 0; // the last piece, in `in`, until it is passed on
    size_t held_size = 0;
};

// --- call_machine.cc

// Takes the event, then sends or reads what follows from it.
void call_step(call &c, call::event event);
// Ends a call that failed while its body was being read.
void call_fail(call &c, error err);
inline void call_note_progress(call &c) { c.last_progress_ms = clock_now_ms(*c.e); }
bool call_is_pushed(const call &c); // the request has a body
void call_wait_readable(call &c);   // no effect if it already waits

// --- call_send.cc

void call_send(call &c);
// The connection is established: sends what is ready, or calls the side that waits to push.
void call_begin_sending(call &c);

// --- call_body.cc

void call_set_up_body(call &c);
// Reads a buffered body as far as it has arrived.
void call_collect(call &c);
// Whether there are unread bytes after the body.
bool call_is_more_behind(call &c);
// The head of the request, into `out`.
void call_write_head(call &c);

} // namespace etlnode
