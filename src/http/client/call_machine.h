// SPDX-License-Identifier: MIT
// http/client/call_machine.h: the inside of a call, shared by the files of this folder only.
#pragma once

#include <cstdint>
#include <string>

#include "http/client/call_pool.h"
#include "sm/sm.h"

namespace etlnode {

struct call {
    enum class state : uint8_t { connecting, awaiting_head, collecting, receiving, settling, done };
    enum class event : uint8_t {
        connected,
        connect_failed,
        head_read,
        died_unused,
        failed,
        body_came,
        settled,
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
    bool reused = false;
    bool canceled = false;
    error err;
    uint64_t last_progress_ms = 0;

    // Sending.
    std::string out;
    size_t out_sent = 0;
    size_t body_sent = 0;
    uint64_t file_sent = 0;
    bool body_is_whole = false; // streamed: all of it has been pushed
    uint64_t body_pushed = 0;
    net_on_ready on_room = nullptr; // whoever waits to push
    void *room_arg = nullptr;
    bool upload_done = false;
    bool upload_failed = false;
    error source_err; // of the file to send: whatever the server makes of the part it got must not be taken for good

    // Receiving.
    std::string in;
    size_t in_begin = 0;
    size_t in_end = 0;
    size_t head_searched = 0;
    size_t informational = 0;
    bool received_any = false;
    bool answered_early = false; // before the request had been sent to its end
    uint64_t head_began_ms = 0;  // first byte of the head that is being read; 0: none has come
    std::string head_bytes;      // keeps the head's views alive
    http_head head;
    http_chunk_decoder_ptr decoder;
    uint64_t body_left = 0;
    std::string collected;
    net_on_ready on_ready = nullptr; // whoever waits to pull
    void *ready_arg = nullptr;

    // The end of the body: its last byte has come, then what stands behind it is judged, then it is handed on.
    bool body_came = false;
    bool is_settled = false;   // judged, and good; or there is nothing to judge
    bool wait_is_over = false; // what had not come behind the body until now is not waited for
    bool was_withheld = false;
    bool was_looked_behind = false;
    bool ends_behind = false; // what was found there is the connection's end
    size_t held_begin = 0;    // the last piece, in `in`, until it is handed on
    size_t held_size = 0;
    bool body_ended = false; // all of it has been handed on
};

// --- call_machine.cc

void call_step(call &c, call::event event);
// Ends a call that has failed while its body was read.
void call_fail(call &c, error err);
inline void call_note_progress(call &c) { c.last_progress_ms = clock_now_ms(*c.e); }
bool call_is_pushed(const call &c); // the request has a body
void call_wait_readable(call &c);   // no effect when it waits already

// --- call_send.cc

void call_send(call &c);
// A connection is there: what was to be sent goes, or who waits to push is told.
void call_begin_sending(call &c);

// --- call_body.cc

void call_set_up_body(call &c);
// Reads a buffered body as far as it has come.
void call_collect(call &c);
bool call_is_more_behind(call &c);

} // namespace etlnode
