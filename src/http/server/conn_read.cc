// SPDX-License-Identifier: MIT
// http/server/conn_read.cc: what a connection reads between two answers: the next request's head, and bodies that no handler wants.
//
// Owns     nothing: it works on the connection's input buffer between steps of its machine.
// Limits   http_head_size_max, http_url_size_max, discard_size_max.
#include <algorithm>
#include <cstring>

#include "base/limits.h"
#include "http/server/conn_machine.h"

namespace etlnode {

using S = exchange::state;
using E = exchange::event;

// --- reading a head

static void refuse(exchange &x, error err)
{
    x.body_error = err;
    x.server->counts.bad_requests++;
    exchange_step(x, E::head_refused);
}

static void set_up_body(exchange &x)
{
    x.body_error = no_error;
    x.stalled_since_ms = 0;
    x.body_patience_ms = body_stall_timeout_ms;
    x.body_read = 0;
    x.discarded_size = 0;
    x.body_left = x.head.length;
    x.continue_due = x.head.expect_continue && x.head.version_minor >= 1;
    if (x.head.chunked)
        x.framing = body_framing::chunked;
    else
        x.framing = x.head.has_length && x.head.length > 0 ? body_framing::length : body_framing::none;
    if (x.framing == body_framing::chunked) {
        x.decoder = http_chunk_decoder_make();
        x.raw.resize(std::max(stream_buffer_size, x.in_end - x.in_begin));
        std::memcpy(x.raw.data(), x.in.data() + x.in_begin, x.in_end - x.in_begin);
        x.raw_begin = 0;
        x.raw_end = x.in_end - x.in_begin;
        x.in_end = x.in_begin;
    }
}

static bool is_request_id(std::string_view text)
{
    if (text.empty() || text.size() > request_id_size_max)
        return false;
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    });
}

static void set_request_id(exchange &x)
{
    std::string_view given = http_head_get(x.head, "X-Request-Id");
    if (is_request_id(given)) {
        x.request_id = given;
        return;
    }
    static constexpr char digits[] = "0123456789abcdef";
    uint64_t bits = rng_next(x.e->random);
    x.request_id.resize(16);
    for (size_t i = 0; i < 16; i++)
        x.request_id[i] = digits[bits >> (4 * i) & 15];
}

// The views of the parsed head point into `in`, so the unread rest stays where it is until the answer.
static void parse_head(exchange &x, size_t size)
{
    std::string_view bytes(x.in.data() + x.in_begin, size);
    error err = http_parse_request_head(bytes, x.head);
    x.in_begin += size;
    if (err) {
        refuse(x, err);
        return;
    }
    if (x.head.target.size() > http_url_size_max) {
        refuse(x, make_error(error_code::url_too_long));
        return;
    }
    x.started_ms = clock_now_ms(*x.e);
    set_request_id(x);
    set_up_body(x);
    exchange_step(x, E::head_read);
}

// Makes room for at least one byte after in_end, if necessary by moving the unread bytes to the front. False if the head would be too
// large.
static bool make_room(exchange &x)
{
    if (x.in_begin > 0) {
        std::memmove(x.in.data(), x.in.data() + x.in_begin, x.in_end - x.in_begin);
        x.in_end -= x.in_begin;
        x.in_begin = 0;
    }
    if (x.in_end < x.in.size())
        return true;
    if (x.in.size() >= http_head_size_max)
        return false;
    x.in.resize(std::min(std::max(x.in.size() * 2, http_input_size_initial), http_head_size_max));
    return true;
}

void exchange_read_head(exchange &x)
{
    for (;;) {
        std::string_view unread(x.in.data() + x.in_begin, x.in_end - x.in_begin);
        if (!unread.empty()) {
            size_t size = http_find_head_end(unread, x.head_searched);
            if (size > 0) {
                parse_head(x, size);
                return;
            }
            x.head_searched = unread.size();
        }
        if (!make_room(x)) {
            // If the request line alone exceeds the limit of a URL, give the more specific error.
            bool in_line = std::string_view(x.in.data(), x.in_end).find('\n') == std::string_view::npos;
            refuse(x, make_error(in_line ? error_code::url_too_long : error_code::head_too_large));
            return;
        }
        io_result got = net_read(*x.e, x.net, x.in.data() + x.in_end, x.in.size() - x.in_end);
        if (got.state == io_state::done) {
            if (unread.empty())
                exchange_set_deadline(x, head_timeout_ms);
            x.in_end += got.count;
            continue;
        }
        exchange_step(x, got.state == io_state::again ? E::starved : E::gone);
        return;
    }
}

// --- discarding a body that no handler wants

void exchange_discard_body(exchange &x)
{
    char scratch[16 * kib];
    for (int round = 0; round < 64; round++) { // then let other connections run
        io_result got;
        if (sm_state_of(x) == S::lingering) {
            x.in_begin = x.in_end; // nothing on this connection will be parsed any more
            got = net_read(*x.e, x.net, scratch, sizeof scratch);
        } else {
            got = exchange_body_read(x, scratch, sizeof scratch);
        }
        if (got.state == io_state::done) {
            x.discarded_size += got.count;
            if (x.discarded_size > discard_size_max) {
                exchange_step(x, E::gone);
                return;
            }
            continue;
        }
        if (got.state == io_state::again)
            exchange_step(x, E::starved);
        else if (got.state == io_state::end && sm_state_of(x) == S::discarding)
            exchange_step(x, E::discarded);
        else
            exchange_step(x, E::gone);
        return;
    }
    exchange_step(x, E::starved);
}

} // namespace etlnode
