// SPDX-License-Identifier: MIT
// http/server/conn_machine.cc: one client connection: read a head, let a handler answer, send, drain, again.
//
// Owns     the socket, one timer, the input buffer; lends the exchange to a handler between request and answer.
// Knows    sm, port, codec.           Known by  transfer, role.
// Machine  exchange, drawn in docs/machines/exchange.md (generated, do not edit).
// Normal   awaiting_head, awaiting_answer, sending (or streaming, then sending), awaiting_head ...
// Fails    a client that vanishes while the handler works leaves `abandoned`: the socket is closed, the handler answers into the void.
// Limits   http_head_size_max, http_url_size_max, idle_timeout_ms, head_timeout_ms, body_stall_timeout_ms, drain_size_max.
//
// Input and output are done outside the machine's steps (read_head, flush, drain); what came of them is the event.
#include "http/server/conn_machine.h"

#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "http/http_machines.h"
#include "sm/sm_verify.h"

namespace etlnode {

using S = exchange::state;
using E = exchange::event;

static constexpr size_t input_size_initial = 4 * kib;

// --- deadlines: one timer a connection, moved lazily, because most requests are over long before it fires

void exchange_set_deadline(exchange &x, uint64_t delay_ms)
{
    x.deadline_ms = clock_now_ms(*x.e) + delay_ms;
    if (x.armed_for_ms != 0 && x.armed_for_ms <= x.deadline_ms)
        return;
    timer_arm(*x.e, x.deadline_timer, delay_ms);
    x.armed_for_ms = x.deadline_ms;
}

void exchange_set_body_deadline(exchange &x)
{
    uint64_t now = clock_now_ms(*x.e);
    if (x.stalled_since_ms == 0)
        x.stalled_since_ms = now;
    uint64_t limit = x.stalled_since_ms + x.body_patience_ms;
    exchange_set_deadline(x, limit > now ? limit - now : 0);
}

static void clear_deadline(exchange &x) { x.deadline_ms = 0; }

// --- actions

static void close_socket(exchange &x)
{
    if (x.net != nullptr) {
        if (x.cut)
            net_reset_on_close(*x.e, x.net);
        net_close(*x.e, x.net);
        x.net = nullptr;
    }
    clear_deadline(x);
    timer_stop(*x.e, x.deadline_timer);
    x.armed_for_ms = 0;
}

static void run_on_sent(void *arg)
{
    exchange &x = *static_cast<exchange *>(arg);
    auto callback = x.on_sent;
    x.on_sent = nullptr;
    x.on_progress = nullptr;
    if (callback != nullptr)
        callback(x.sent_arg, x.net == nullptr ? make_error(error_code::canceled) : no_error);
}

static void release_body(exchange &x)
{
    x.file = nullptr;
    x.file_left = 0;
    x.body_view = {};
    if (x.on_sent != nullptr)
        run_on_sent(&x);
}

static void dispose(exchange &x)
{
    x.on_gone = nullptr;
    x.on_body_ready = nullptr;
    close_socket(x);
    release_body(x);
    clock_post(*x.e, exchange_delete, &x);
}

static void reset_and_dispose(exchange &x)
{
    x.cut = true;
    dispose(x);
}

static void run_on_gone(void *arg)
{
    exchange &x = *static_cast<exchange *>(arg);
    auto callback = x.on_gone;
    x.on_gone = nullptr;
    if (callback != nullptr)
        callback(x.gone_arg);
}

static void run_body_ready(void *arg)
{
    exchange &x = *static_cast<exchange *>(arg);
    auto callback = x.on_body_ready;
    x.on_body_ready = nullptr;
    if (callback != nullptr)
        callback(x.body_arg);
}

static void abandon(exchange &x)
{
    close_socket(x);
    if (!x.body_error)
        x.body_error = make_error(error_code::reset, "the client has gone");
    release_body(x);
    if (x.on_body_ready != nullptr)
        clock_post(*x.e, run_body_ready, &x);
    if (x.on_gone != nullptr)
        clock_post(*x.e, run_on_gone, &x);
}

static void reset_and_abandon(exchange &x)
{
    x.cut = true;
    abandon(x);
}

static void deliver(void *arg)
{
    exchange &x = *static_cast<exchange *>(arg);
    x.server->counts.requests++;
    x.server->options.on_request(x.server->options.arg, x);
}

static void deliver_request(exchange &x)
{
    clear_deadline(x);
    clock_post(*x.e, deliver, &x);
}

static void on_readable(void *arg);
static void on_writable(void *arg);

static void begin_sending(exchange &x)
{
    net_wait_cancel(*x.e, x.net, net_side::readable);
    x.gone_watched = false;
    x.on_gone = nullptr;
    x.on_body_ready = nullptr;
    exchange_set_deadline(x, body_stall_timeout_ms);
}

// The handler is done with the request body; watching for the client's end goes on.
static void stop_reading(exchange &x)
{
    x.on_body_ready = nullptr;
    clear_deadline(x);
}

static void wait_writable(exchange &x)
{
    net_wait(*x.e, x.net, net_side::writable, on_writable, &x);
    exchange_set_deadline(x, body_stall_timeout_ms);
}

static void wait_more_to_drain(exchange &x)
{
    net_wait(*x.e, x.net, net_side::readable, on_readable, &x);
    if (sm_state_of(x) == S::draining)
        exchange_set_body_deadline(x);
    else if (!x.is_extra) // it has its place only for so long
        exchange_set_deadline(x, linger_timeout_ms);
}

static void wait_head(exchange &x)
{
    net_wait(*x.e, x.net, net_side::readable, on_readable, &x);
    if (!x.head_started) // with the first byte the head's own begins: one that trickles does not move it
        exchange_set_deadline(x, idle_timeout_ms);
}

static void prepare_next(exchange &x)
{
    release_body(x);
    x.out.clear();
    x.out_sent = 0;
    x.body.clear();
    x.body_sent = 0;
    if (x.raw_begin < x.raw_end) { // what followed a chunked body is the next request
        x.in.assign(x.raw, x.raw_begin, x.raw_end - x.raw_begin);
        x.in_begin = 0;
        x.in_end = x.in.size();
    }
    if (!x.raw.empty())
        std::string().swap(x.raw);
    x.raw_begin = x.raw_end = 0;
    x.decoder.reset();
    x.decoded_begin = x.decoded_end = 0;
    x.head_searched = 0;
    x.head_started = x.in_begin < x.in_end;
    exchange_set_deadline(x, x.head_started ? head_timeout_ms : idle_timeout_ms);
    if (x.in.size() > input_size_initial && x.in_begin == x.in_end) {
        std::string().swap(x.in); // a long head was the exception; an idle connection stays small
        x.in_begin = x.in_end = 0;
    }
}

static void begin_drain(exchange &x)
{
    release_body(x);
    exchange_set_body_deadline(x);
}

static void begin_linger(exchange &x)
{
    release_body(x);
    net_half_close(*x.e, x.net);
    exchange_set_deadline(x, linger_timeout_ms);
}

static void fail_body(exchange &x)
{
    x.body_error = make_error(error_code::request_timeout, "nothing of the body came in time (sizes of chunks and trailers are not of it)");
    net_wait_cancel(*x.e, x.net, net_side::readable);
    clear_deadline(x);
    if (x.on_body_ready != nullptr)
        clock_post(*x.e, run_body_ready, &x);
}

static void flush_posted(void *arg)
{
    exchange &x = *static_cast<exchange *>(arg);
    if (sm_state_of(x) == S::sending && !net_is_waiting(*x.e, x.net, net_side::writable))
        exchange_flush(x);
}

static void begin_error_answer(exchange &x)
{
    exchange_prepare_refusal(x, x.body_error);
    exchange_set_deadline(x, body_stall_timeout_ms);
    clock_post(*x.e, flush_posted, &x);
}

static void begin_timeout_answer(exchange &x)
{
    exchange_prepare_refusal(x, make_error(error_code::request_timeout));
    exchange_set_deadline(x, body_stall_timeout_ms);
}

// --- guards

static bool has_head_begun(const exchange &x) { return x.head_started; }
static bool is_body_unread(const exchange &x) { return !x.body_ended && x.keep; }
static bool must_linger(const exchange &x) { return !x.body_ended; }
static bool is_kept(const exchange &x) { return x.keep; }

// --- the table

static constexpr uint32_t SOCKET = 1;
static constexpr uint32_t DEADLINE = 2;
static constexpr uint32_t READ_WAIT = 4;
static constexpr uint32_t WRITE_WAIT = 8;

static uint32_t alive(const exchange &x)
{
    uint32_t mask = 0;
    if (x.net != nullptr) {
        mask |= SOCKET;
        if (net_is_waiting(*x.e, x.net, net_side::readable))
            mask |= READ_WAIT;
        if (net_is_waiting(*x.e, x.net, net_side::writable))
            mask |= WRITE_WAIT;
    }
    if (x.deadline_ms != 0)
        mask |= DEADLINE;
    return mask;
}

static constexpr sm_resource resources[] = {
    {SOCKET, "socket"}, {DEADLINE, "deadline"}, {READ_WAIT, "read wait"}, {WRITE_WAIT, "write wait"}};

static constexpr sm_state<exchange> states[] = {
    {S::awaiting_head, sm_initial | sm_busy, SOCKET | DEADLINE, SOCKET | DEADLINE | READ_WAIT},
    {S::awaiting_answer, 0, SOCKET, SOCKET | DEADLINE | READ_WAIT},
    {S::sending, sm_busy, SOCKET | DEADLINE, SOCKET | DEADLINE | WRITE_WAIT},
    {S::streaming, 0, SOCKET, SOCKET | READ_WAIT | WRITE_WAIT},
    {S::draining, sm_busy, SOCKET | DEADLINE, SOCKET | DEADLINE | READ_WAIT},
    {S::lingering, sm_busy, SOCKET | DEADLINE, SOCKET | DEADLINE | READ_WAIT},
    {S::abandoned, 0, 0, 0},
    {S::closed, sm_final, 0, 0},
};

static constexpr sm_row<exchange> rows[] = {
    {S::awaiting_head, E::starved, always, SM_FN(wait_head), S::awaiting_head},
    {S::awaiting_head, E::head_read, always, SM_FN(deliver_request), S::awaiting_answer},
    {S::awaiting_head, E::head_refused, always, SM_FN(begin_error_answer), S::sending},
    {S::awaiting_head, E::gone, always, SM_FN(dispose), S::closed},
    {S::awaiting_head, E::deadline, SM_FN(has_head_begun), SM_FN(begin_timeout_answer), S::sending},
    {S::awaiting_head, E::deadline, always, SM_FN(dispose), S::closed},
    {S::awaiting_head, E::stop, always, SM_FN(dispose), S::closed},

    {S::awaiting_answer, E::answered, always, SM_FN(begin_sending), S::sending},
    {S::awaiting_answer, E::stream_begun, always, SM_FN(stop_reading), S::streaming},
    {S::awaiting_answer, E::gone, always, SM_FN(abandon), S::abandoned},
    {S::awaiting_answer, E::deadline, always, SM_FN(fail_body), S::awaiting_answer},
    {S::awaiting_answer, E::stop, always, SM_FN(abandon), S::abandoned},

    {S::sending, E::sink_full, always, SM_FN(wait_writable), S::sending},
    {S::sending, E::sent, SM_FN(is_body_unread), SM_FN(begin_drain), S::draining},
    {S::sending, E::sent, SM_FN(must_linger), SM_FN(begin_linger), S::lingering},
    {S::sending, E::sent, SM_FN(is_kept), SM_FN(prepare_next), S::awaiting_head},
    {S::sending, E::sent, always, SM_FN(dispose), S::closed},
    {S::sending, E::broken, always, SM_FN(reset_and_dispose), S::closed},
    {S::sending, E::deadline, always, SM_FN(reset_and_dispose), S::closed},
    {S::sending, E::stop, always, SM_FN(reset_and_dispose), S::closed},

    {S::streaming, E::stream_ended, always, SM_FN(begin_sending), S::sending},
    {S::streaming, E::stream_cut, always, SM_FN(dispose), S::closed},
    {S::streaming, E::gone, always, SM_FN(abandon), S::abandoned},
    {S::streaming, E::stop, always, SM_FN(reset_and_abandon), S::abandoned},

    {S::draining, E::starved, always, SM_FN(wait_more_to_drain), S::draining},
    {S::draining, E::drained, always, SM_FN(prepare_next), S::awaiting_head},
    {S::draining, E::gone, always, SM_FN(dispose), S::closed},
    {S::draining, E::deadline, always, SM_FN(dispose), S::closed},
    {S::draining, E::stop, always, SM_FN(dispose), S::closed},

    {S::lingering, E::starved, always, SM_FN(wait_more_to_drain), S::lingering},
    {S::lingering, E::gone, always, SM_FN(dispose), S::closed},
    {S::lingering, E::drained, always, SM_FN(dispose), S::closed},
    {S::lingering, E::deadline, always, SM_FN(dispose), S::closed},
    {S::lingering, E::stop, always, SM_FN(dispose), S::closed},

    {S::abandoned, E::answered, always, SM_FN(dispose), S::closed},
    {S::abandoned, E::stream_ended, always, SM_FN(dispose), S::closed},
    {S::abandoned, E::stream_cut, always, SM_FN(dispose), S::closed},
};

static constexpr sm_ignore<exchange> ignores[] = {
    {S::abandoned, E::stream_begun, "the handler does not know yet that the client has gone"},
    {S::abandoned, E::gone, "it is known already"},
    {S::abandoned, E::stop, "only the handler can end it now"},
};

static bool is_input_in_bounds(const exchange &x)
{
    return x.in_begin <= x.in_end && x.in_end <= x.in.size() && x.in.size() <= http_head_size_max + 1;
}
static constexpr sm_invariant<exchange> invariants[] = {{"input is in bounds", is_input_in_bounds}};

static constexpr sm_table<exchange> table = {"exchange", states, resources, rows, ignores, invariants, E::stop, E::deadline, alive};
SM_VERIFY(table);

sm_view exchange_machine_view() { return sm_view_of(table); }

void exchange_step(exchange &x, E event) { sm_step(table, x, event); }

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
    x.drained_size = 0;
    x.body_left = x.head.length;
    x.continue_due = x.head.expect_continue && x.head.version_minor >= 1;
    if (x.head.chunked)
        x.framing = body_framing::chunked;
    else
        x.framing = x.head.has_length && x.head.length > 0 ? body_framing::length : body_framing::none;
    x.body_ended = x.framing == body_framing::none;
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

// The parsed head's views point into `in`, so the unread rest stays where it is until the answer.
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

// Room for at least one byte more after in_end; moves the unread bytes to the front first. False when the head would be too large.
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
    x.in.resize(std::min(std::max(x.in.size() * 2, input_size_initial), http_head_size_max));
    return true;
}

static void read_head(exchange &x)
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
            // A request line alone longer than a URL may be gets the more telling answer.
            bool in_line = std::string_view(x.in.data(), x.in_end).find('\n') == std::string_view::npos;
            refuse(x, make_error(in_line ? error_code::url_too_long : error_code::head_too_large));
            return;
        }
        io_result got = net_read(*x.e, x.net, x.in.data() + x.in_end, x.in.size() - x.in_end);
        if (got.state == io_state::done) {
            x.in_end += got.count;
            if (!x.head_started) {
                x.head_started = true;
                exchange_set_deadline(x, head_timeout_ms);
            }
            continue;
        }
        exchange_step(x, got.state == io_state::again ? E::starved : E::gone);
        return;
    }
}

// --- sending

static io_result write_memory(exchange &x)
{
    std::string_view body = x.body_view.data() != nullptr ? x.body_view : std::string_view(x.body);
    iovec parts[2];
    size_t count = 0;
    if (x.out_sent < x.out.size())
        parts[count++] = {x.out.data() + x.out_sent, x.out.size() - x.out_sent};
    if (x.body_sent < body.size())
        parts[count++] = {const_cast<char *>(body.data()) + x.body_sent, body.size() - x.body_sent};
    if (count == 0)
        return {io_state::end, 0, no_error};
    io_result sent = net_write(*x.e, x.net, {parts, count}, x.file_left > 0);
    if (sent.state == io_state::done) {
        size_t of_head = std::min(sent.count, x.out.size() - x.out_sent);
        x.out_sent += of_head;
        x.body_sent += sent.count - of_head;
    }
    return sent;
}

static void read_head(exchange &x);
static void drain(exchange &x);

// After the last byte: the next request may be in the buffer already, so look before waiting.
static void go_on(exchange &x)
{
    if (sm_state_of(x) == S::draining || sm_state_of(x) == S::lingering)
        drain(x);
    if (sm_state_of(x) == S::awaiting_head)
        read_head(x);
}

void exchange_flush(exchange &x)
{
    for (;;) {
        io_result sent = write_memory(x);
        if (sent.state == io_state::end && x.file_left > 0) {
            sent = net_send_file(*x.e, x.net, x.file, x.file_offset, x.file_left);
            if (sent.state == io_state::done) {
                x.file_offset += sent.count;
                x.file_left -= sent.count;
            }
        } else if (sent.state == io_state::end) {
            exchange_step(x, E::sent);
            go_on(x);
            return;
        }
        if (sent.state == io_state::done) {
            exchange_count_out(x, sent.count);
            continue;
        }
        exchange_step(x, sent.state == io_state::again ? E::sink_full : E::broken);
        return;
    }
}

// --- draining a body that nobody wants

static void drain(exchange &x)
{
    char scratch[16 * kib];
    for (int round = 0; round < 64; round++) { // then let others have the loop
        io_result got;
        if (sm_state_of(x) == S::lingering) {
            x.in_begin = x.in_end; // nothing of this connection will be parsed again
            got = net_read(*x.e, x.net, scratch, sizeof scratch);
        } else {
            got = exchange_body_read(x, scratch, sizeof scratch);
        }
        if (got.state == io_state::done) {
            x.drained_size += got.count;
            if (x.drained_size > drain_size_max) {
                exchange_step(x, E::gone);
                return;
            }
            continue;
        }
        if (got.state == io_state::again)
            exchange_step(x, E::starved);
        else if (got.state == io_state::end && sm_state_of(x) == S::draining)
            exchange_step(x, E::drained);
        else
            exchange_step(x, E::gone);
        return;
    }
    exchange_step(x, E::starved);
}

// --- readiness

static void on_readable(void *arg)
{
    exchange &x = *static_cast<exchange *>(arg);
    switch (sm_state_of(x)) {
    case S::awaiting_head: read_head(x); break;
    case S::draining:
    case S::lingering:
        drain(x);
        if (sm_state_of(x) == S::awaiting_head)
            read_head(x);
        break;
    case S::awaiting_answer:
    case S::streaming:
        if (x.on_body_ready != nullptr) {
            clear_deadline(x);
            run_body_ready(&x);
        } else if (x.gone_watched) {
            bool end = false;
            bool unread = net_has_unread(*x.e, x.net, &end);
            if (end)
                exchange_step(x, E::gone);
            else if (!unread)
                net_wait(*x.e, x.net, net_side::readable, on_readable, &x);
            // else: a pipelined request; its client is alive, and it is read after this answer
        }
        break;
    case S::sending:
    case S::abandoned:
    case S::closed: break;
    }
}

static void on_writable(void *arg) { exchange_flush(*static_cast<exchange *>(arg)); }

void exchange_on_timer(void *arg)
{
    exchange &x = *static_cast<exchange *>(arg);
    x.armed_for_ms = 0;
    if (x.deadline_ms == 0)
        return;
    uint64_t now = clock_now_ms(*x.e);
    if (now < x.deadline_ms) {
        exchange_set_deadline(x, x.deadline_ms - now);
        return;
    }
    S before = sm_state_of(x);
    clear_deadline(x);
    if (before != S::closed && x.net != nullptr && before == S::awaiting_head)
        net_wait_cancel(*x.e, x.net, net_side::readable);
    exchange_step(x, E::deadline);
    if (before == S::awaiting_head && sm_state_of(x) == S::sending)
        exchange_flush(x);
}

void exchange_watch(exchange &x)
{
    if (!net_is_waiting(*x.e, x.net, net_side::readable))
        net_wait(*x.e, x.net, net_side::readable, on_readable, &x);
}

void exchange_post_body_ready(exchange &x) { clock_post(*x.e, run_body_ready, &x); }
void exchange_post_gone(exchange &x) { clock_post(*x.e, run_on_gone, &x); }

} // namespace etlnode
