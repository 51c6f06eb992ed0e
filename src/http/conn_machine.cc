// SPDX-License-Identifier: MIT
// http/conn_machine.cc: one client connection: read a head, let a handler answer, send, drain, again.
//
// Owns     the socket, one timer, the input buffer; lends the exchange to a handler between request and answer.
// Knows    sm, port, codec.           Known by  transfer, role.
// Machine  exchange, drawn in docs/machines/exchange.md (generated, do not edit).
// Normal   awaiting_head, awaiting_answer, sending (or streaming, then sending), awaiting_head ...
// Fails    a client that vanishes while the handler works leaves `abandoned`: the socket is closed, the handler answers into the void.
// Limits   http_head_size_max, http_url_size_max, idle_timeout_ms, head_timeout_ms, body_stall_timeout_ms, drain_size_max.
//
// Input and output are done outside the machine's steps (read_head, flush, drain); what came of them is the event.
#include "http/conn_machine.h"

#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "http/machines.h"
#include "sm/sm_verify.h"

using S = exchange::state;
using E = exchange::event;

struct http_server {
    env *e = nullptr;
    http_server_options options;
    net_listener *listener = nullptr;
    exchange *first = nullptr;
    size_t open = 0;
    bool draining = false;
    bool stopped = false;
    uint64_t next_id = 1;
    http_server_counts counts;
    std::string date;      // cached Date value
    uint64_t date_second = 0;
};

static constexpr size_t input_size_initial = 4 * kib;

// --- deadlines: one timer a connection, moved lazily, because most requests are over long before it fires

static void on_timer(void *arg);

static void set_deadline(exchange &x, uint64_t delay_ms)
{
    x.deadline_ms = clock_now_ms(*x.e) + delay_ms;
    if (x.armed_for_ms != 0 && x.armed_for_ms <= x.deadline_ms)
        return;
    timer_arm(*x.e, x.clock, delay_ms);
    x.armed_for_ms = x.deadline_ms;
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
    timer_stop(*x.e, x.clock);
    x.armed_for_ms = 0;
}

static void run_on_sent(void *arg)
{
    exchange &x = *static_cast<exchange *>(arg);
    auto callback = x.on_sent;
    x.on_sent = nullptr;
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

static void delete_exchange(void *arg);

static void dispose(exchange &x)
{
    x.on_gone = nullptr;
    x.on_body_ready = nullptr;
    close_socket(x);
    release_body(x);
    clock_post(*x.e, delete_exchange, &x);
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

static void stop_watching(exchange &x)
{
    if (x.net != nullptr)
        net_wait_cancel(*x.e, x.net, net_side::readable);
    x.gone_watched = false;
    x.on_gone = nullptr;
    x.on_body_ready = nullptr;
    clear_deadline(x);
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
    set_deadline(x, body_stall_timeout_ms);
}

static void wait_more_to_drain(exchange &x)
{
    net_wait(*x.e, x.net, net_side::readable, on_readable, &x);
    set_deadline(x, sm_state_of(x) == S::lingering ? linger_timeout_ms : body_stall_timeout_ms);
}

static void wait_head(exchange &x)
{
    net_wait(*x.e, x.net, net_side::readable, on_readable, &x);
    set_deadline(x, x.head_started ? head_timeout_ms : idle_timeout_ms);
}

static void prepare_next(exchange &x)
{
    release_body(x);
    clear_deadline(x);
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
    if (x.in.size() > input_size_initial && x.in_begin == x.in_end) {
        std::string().swap(x.in); // a long head was the exception; an idle connection stays small
        x.in_begin = x.in_end = 0;
    }
}

static void begin_drain(exchange &x) { release_body(x); }

static void begin_linger(exchange &x)
{
    release_body(x);
    net_half_close(*x.e, x.net);
    set_deadline(x, linger_timeout_ms);
}

static void fail_body(exchange &x)
{
    x.body_error = make_error(error_code::request_timeout, "the client sends nothing");
    net_wait_cancel(*x.e, x.net, net_side::readable);
    clear_deadline(x);
    if (x.on_body_ready != nullptr)
        clock_post(*x.e, run_body_ready, &x);
}

static void begin_error_answer(exchange &x);
static void begin_timeout_answer(exchange &x);

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

static constexpr sm_guard<exchange> always{};
static constexpr const char *event_names[] = {"head_read", "head_refused", "gone",    "answered", "stream_begun", "sink_full", "sent",
                                              "broken",    "stream_ended", "stream_cut", "starved", "drained", "deadline",  "stop"};
static constexpr const char *resource_names[] = {"socket", "deadline", "read wait", "write wait"};

static constexpr sm_state<exchange> states[] = {
    {S::awaiting_head, "awaiting_head", sm_initial | sm_busy, SOCKET, SOCKET | DEADLINE | READ_WAIT},
    {S::awaiting_answer, "awaiting_answer", 0, SOCKET, SOCKET | DEADLINE | READ_WAIT},
    {S::sending, "sending", sm_busy, SOCKET, SOCKET | DEADLINE | WRITE_WAIT},
    {S::streaming, "streaming", 0, SOCKET, SOCKET | READ_WAIT | WRITE_WAIT},
    {S::draining, "draining", sm_busy, SOCKET, SOCKET | DEADLINE | READ_WAIT},
    {S::lingering, "lingering", sm_busy, SOCKET, SOCKET | DEADLINE | READ_WAIT},
    {S::abandoned, "abandoned", 0, 0, 0},
    {S::closed, "closed", sm_final, 0, 0},
};

static constexpr sm_row<exchange> rows[] = {
    {S::awaiting_head, E::starved, always, SM_FN(wait_head), S::awaiting_head},
    {S::awaiting_head, E::head_read, always, SM_FN(deliver_request), S::awaiting_answer},
    {S::awaiting_head, E::head_refused, always, SM_FN(begin_error_answer), S::sending},
    {S::awaiting_head, E::gone, always, SM_FN(dispose), S::closed},
    {S::awaiting_head, E::deadline, SM_FN(has_head_begun), SM_FN(begin_timeout_answer), S::sending},
    {S::awaiting_head, E::deadline, always, SM_FN(dispose), S::closed},
    {S::awaiting_head, E::stop, always, SM_FN(dispose), S::closed},

    {S::awaiting_answer, E::answered, always, SM_FN(stop_watching), S::sending},
    {S::awaiting_answer, E::stream_begun, always, SM_FN(stop_reading), S::streaming},
    {S::awaiting_answer, E::gone, always, SM_FN(abandon), S::abandoned},
    {S::awaiting_answer, E::deadline, always, SM_FN(fail_body), S::awaiting_answer},
    {S::awaiting_answer, E::stop, always, SM_FN(abandon), S::abandoned},

    {S::sending, E::sink_full, always, SM_FN(wait_writable), S::sending},
    {S::sending, E::sent, SM_FN(is_body_unread), SM_FN(begin_drain), S::draining},
    {S::sending, E::sent, SM_FN(must_linger), SM_FN(begin_linger), S::lingering},
    {S::sending, E::sent, SM_FN(is_kept), SM_FN(prepare_next), S::awaiting_head},
    {S::sending, E::sent, always, SM_FN(dispose), S::closed},
    {S::sending, E::broken, always, SM_FN(dispose), S::closed},
    {S::sending, E::deadline, always, SM_FN(reset_and_dispose), S::closed},
    {S::sending, E::stop, always, SM_FN(reset_and_dispose), S::closed},

    {S::streaming, E::stream_ended, always, SM_FN(stop_watching), S::sending},
    {S::streaming, E::stream_cut, always, SM_FN(dispose), S::closed},
    {S::streaming, E::gone, always, SM_FN(abandon), S::abandoned},
    {S::streaming, E::stop, always, SM_FN(abandon), S::abandoned},

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

static bool is_input_in_bounds(const exchange &x) { return x.in_begin <= x.in_end && x.in_end <= x.in.size() && x.in.size() <= http_head_size_max + 1; }
static constexpr sm_invariant<exchange> invariants[] = {{"input is in bounds", is_input_in_bounds}};

static sm_counters counters;
static constexpr sm_table<exchange> table = {"exchange", states,     event_names, resource_names, rows,  ignores,
                                             invariants, E::stop, E::deadline, alive,          &counters};
SM_VERIFY(table);

sm_view exchange_machine_view() { return sm_view_of(table); }

static void step(exchange &x, E event) { sm_step(table, x, event); }

// --- reading a head

static void refuse(exchange &x, error err)
{
    x.body_error = err;
    x.server->counts.bad_requests++;
    step(x, E::head_refused);
}

static void set_up_body(exchange &x)
{
    x.body_error = no_error;
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
    step(x, E::head_read);
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
                set_deadline(x, head_timeout_ms);
            }
            continue;
        }
        step(x, got.state == io_state::again ? E::starved : E::gone);
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

static void flush(exchange &x)
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
            step(x, E::sent);
            go_on(x);
            return;
        }
        if (sent.state == io_state::done) {
            exchange_count_out(x, sent.count);
            continue;
        }
        step(x, sent.state == io_state::again ? E::sink_full : E::broken);
        return;
    }
}

void exchange_count_out(exchange &x, size_t size) { x.server->counts.bytes_out += size; }

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
                step(x, E::gone);
                return;
            }
            continue;
        }
        if (got.state == io_state::again)
            step(x, E::starved);
        else if (got.state == io_state::end && sm_state_of(x) == S::draining)
            step(x, E::drained);
        else
            step(x, E::gone);
        return;
    }
    step(x, E::starved);
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
                step(x, E::gone);
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

static void on_writable(void *arg) { flush(*static_cast<exchange *>(arg)); }

static void on_timer(void *arg)
{
    exchange &x = *static_cast<exchange *>(arg);
    x.armed_for_ms = 0;
    if (x.deadline_ms == 0)
        return;
    uint64_t now = clock_now_ms(*x.e);
    if (now < x.deadline_ms) {
        set_deadline(x, x.deadline_ms - now);
        return;
    }
    S before = sm_state_of(x);
    clear_deadline(x);
    if (before != S::closed && x.net != nullptr && before == S::awaiting_head)
        net_wait_cancel(*x.e, x.net, net_side::readable);
    step(x, E::deadline);
    if (before == S::awaiting_head && sm_state_of(x) == S::sending)
        flush(x);
}

// --- the request, for handlers

env &exchange_env(exchange &x) { return *x.e; }
const http_head &exchange_head(const exchange &x) { return x.head; }
std::string_view exchange_request_id(const exchange &x) { return x.request_id; }
std::string exchange_peer(exchange &x) { return x.net != nullptr ? net_peer(*x.e, x.net) : std::string(); }
bool exchange_peer_is_loopback(exchange &x) { return x.net != nullptr && net_peer_is_loopback(*x.e, x.net); }
uint64_t exchange_started_ms(const exchange &x) { return x.started_ms; }
bool exchange_is_gone(const exchange &x) { return x.net == nullptr; }
bool exchange_has_body(const exchange &x) { return x.framing != body_framing::none; }

void exchange_on_gone(exchange &x, void (*on_gone)(void *arg), void *arg, bool watch)
{
    x.on_gone = on_gone;
    x.gone_arg = arg;
    if (on_gone == nullptr) {
        x.gone_watched = false;
        return;
    }
    if (x.net == nullptr) {
        clock_post(*x.e, run_on_gone, &x);
        return;
    }
    x.gone_watched = watch;
    if (watch && x.on_body_ready == nullptr && !net_is_waiting(*x.e, x.net, net_side::readable))
        net_wait(*x.e, x.net, net_side::readable, on_readable, &x);
}

static void send_continue(exchange &x)
{
    x.continue_due = false;
    static constexpr std::string_view line = "HTTP/1.1 100 Continue\r\n\r\n";
    iovec part = {const_cast<char *>(line.data()), line.size()};
    // 25 bytes into the send buffer of a connection that has nothing else to send: taken whole or the connection is broken.
    io_result sent = net_write(*x.e, x.net, {&part, 1});
    if (sent.state != io_state::done || sent.count != line.size())
        x.body_error = make_error(error_code::reset, "the client has gone");
}

static io_result body_failed(exchange &x, error err)
{
    x.body_error = err;
    return {io_state::failed, 0, err};
}

static io_result took(exchange &x, size_t count)
{
    x.body_read += count;
    x.server->counts.bytes_in += count;
    return {io_state::done, count, no_error};
}

static io_result read_length_body(exchange &x, char *buffer, size_t size)
{
    size = static_cast<size_t>(std::min<uint64_t>(size, x.body_left));
    size_t buffered = std::min(size, x.in_end - x.in_begin);
    io_result got{io_state::done, buffered, no_error};
    if (buffered > 0) {
        std::memcpy(buffer, x.in.data() + x.in_begin, buffered);
        x.in_begin += buffered;
    } else {
        got = net_read(*x.e, x.net, buffer, size);
    }
    if (got.state == io_state::end)
        return body_failed(x, make_error(error_code::end_of_stream, "the request body is shorter than its Content-Length"));
    if (got.state == io_state::failed)
        return body_failed(x, got.err);
    if (got.state != io_state::done)
        return got;
    x.body_left -= got.count;
    x.body_ended = x.body_left == 0;
    return took(x, got.count);
}

static io_result read_chunked_body(exchange &x, char *buffer, size_t size)
{
    for (;;) {
        if (x.decoded_begin < x.decoded_end) {
            size_t count = std::min(size, x.decoded_end - x.decoded_begin);
            std::memcpy(buffer, x.raw.data() + x.decoded_begin, count);
            x.decoded_begin += count;
            return took(x, count);
        }
        if (x.body_ended)
            return {io_state::end, 0, no_error};
        if (x.raw_begin == x.raw_end) {
            io_result got = net_read(*x.e, x.net, x.raw.data(), x.raw.size());
            if (got.state == io_state::end)
                return body_failed(x, make_error(error_code::end_of_stream, "the chunked request body has no end"));
            if (got.state == io_state::failed)
                return body_failed(x, got.err);
            if (got.state != io_state::done)
                return got;
            x.raw_begin = 0;
            x.raw_end = got.count;
        }
        http_chunk_result decoded = http_chunk_decode(*x.decoder, x.raw.data() + x.raw_begin, x.raw_end - x.raw_begin);
        if (decoded.err)
            return body_failed(x, decoded.err);
        x.decoded_begin = x.raw_begin;
        x.decoded_end = x.raw_begin + decoded.decoded;
        x.raw_begin += decoded.consumed;
        x.body_ended = decoded.done;
    }
}

io_result exchange_body_read(exchange &x, void *buffer, size_t size)
{
    if (x.body_error)
        return {io_state::failed, 0, x.body_error};
    bool decoded_left = x.decoded_begin < x.decoded_end;
    if (x.body_ended && !decoded_left)
        return {io_state::end, 0, no_error};
    if (x.net == nullptr)
        return body_failed(x, make_error(error_code::reset, "the client has gone"));
    if (x.continue_due) {
        send_continue(x);
        if (x.body_error)
            return {io_state::failed, 0, x.body_error};
    }
    if (x.framing == body_framing::chunked)
        return read_chunked_body(x, static_cast<char *>(buffer), size);
    return read_length_body(x, static_cast<char *>(buffer), size);
}

void exchange_body_wait(exchange &x, void (*on_ready)(void *arg), void *arg)
{
    x.on_body_ready = on_ready;
    x.body_arg = arg;
    if (x.net == nullptr || x.body_error) {
        clock_post(*x.e, run_body_ready, &x);
        return;
    }
    if (!net_is_waiting(*x.e, x.net, net_side::readable))
        net_wait(*x.e, x.net, net_side::readable, on_readable, &x);
    set_deadline(x, body_stall_timeout_ms);
}

static void finish_collecting(exchange &x, error err)
{
    auto callback = x.on_collected;
    x.on_collected = nullptr;
    std::string body;
    body.swap(x.collected);
    if (err)
        body.clear();
    callback(x.collect_arg, err, static_cast<std::string &&>(body));
}

static void collect(void *arg)
{
    exchange &x = *static_cast<exchange *>(arg);
    char scratch[16 * kib];
    for (;;) {
        io_result got = exchange_body_read(x, scratch, sizeof scratch);
        if (got.state == io_state::done) {
            if (x.collected.size() + got.count > x.collect_max) {
                finish_collecting(x, make_error(error_code::body_too_large));
                return;
            }
            x.collected.append(scratch, got.count);
            continue;
        }
        if (got.state == io_state::again) {
            exchange_body_wait(x, collect, &x);
            return;
        }
        finish_collecting(x, got.state == io_state::end ? no_error : got.err);
        return;
    }
}

void exchange_read_all(exchange &x, size_t max, void (*on_body)(void *arg, error err, std::string body), void *arg)
{
    x.collect_max = max;
    x.on_collected = on_body;
    x.collect_arg = arg;
    x.collected.clear();
    clock_post(*x.e, collect, &x);
}

// --- the answer

static const std::string &date_now(exchange &x)
{
    http_server &server = *x.server;
    uint64_t second = clock_wall_ns(*x.e) / 1'000'000'000;
    if (second != server.date_second || server.date.empty()) {
        server.date_second = second;
        server.date = http_date(second);
    }
    return server.date;
}

enum class length_kind : uint8_t { known, unsaid, chunked, by_close };

static void write_head(exchange &x, const answer &a, length_kind kind, uint64_t length)
{
    x.keep = x.keep && !a.close && !x.server->draining && kind != length_kind::by_close && !x.body_error;
    x.server->counts.answers[a.status / 100 < 6 ? a.status / 100 : 0]++;
    if (x.server->options.on_answer != nullptr && !x.head.method.empty())
        x.server->options.on_answer(x.server->options.arg, x, a.status);
    std::string &out = x.out;
    out.clear();
    x.out_sent = 0;
    http_write_status_line(out, a.status);
    http_write_header(out, "Date", date_now(x));
    if (!a.content_type.empty())
        http_write_header(out, "Content-Type", a.content_type);
    if (kind == length_kind::chunked)
        out += "Transfer-Encoding: chunked\r\n";
    else if (kind == length_kind::known && a.status != 204 && a.status != 304)
        http_write_header_u64(out, "Content-Length", length);
    if (!x.keep)
        out += "Connection: close\r\n";
    else if (x.head.version_minor == 0)
        out += "Connection: keep-alive\r\n";
    if (!x.request_id.empty())
        http_write_header(out, "X-Request-Id", x.request_id);
    out += a.headers;
    http_write_end(out);
}

// Expect: 100-continue that was never honoured: the client may or may not send its body, so the connection cannot be used again.
static void settle_keep(exchange &x)
{
    x.keep = x.head.keep_alive;
    if (x.continue_due)
        x.keep = false;
}

static void send_answer(exchange &x)
{
    bool gone = x.net == nullptr;
    step(x, E::answered);
    if (!gone)
        flush(x);
}

static bool is_head_request(const exchange &x) { return x.head.method == "HEAD"; }

void exchange_answer(exchange &x, answer a)
{
    settle_keep(x);
    write_head(x, a, length_kind::known, a.body.size());
    x.body_view = {};
    x.body_sent = 0;
    if (is_head_request(x))
        x.body.clear();
    else
        x.body.swap(a.body);
    send_answer(x);
}

void exchange_answer_head(exchange &x, answer a, uint64_t length)
{
    settle_keep(x);
    write_head(x, a, length == length_unknown ? length_kind::unsaid : length_kind::known, length);
    x.body.clear();
    x.body_view = {};
    x.body_sent = 0;
    send_answer(x);
}

void exchange_answer_view(exchange &x, answer a, std::string_view bytes, void (*on_sent)(void *arg, error err), void *arg)
{
    settle_keep(x);
    write_head(x, a, length_kind::known, bytes.size());
    x.body.clear();
    x.body_view = is_head_request(x) ? std::string_view("", 0) : bytes;
    x.body_sent = 0;
    x.on_sent = on_sent;
    x.sent_arg = arg;
    send_answer(x);
}

void exchange_answer_file(exchange &x, answer a, disk_file *file, uint64_t offset, uint64_t size, void (*on_sent)(void *arg, error err), void *arg)
{
    settle_keep(x);
    write_head(x, a, length_kind::known, size);
    x.body.clear();
    x.body_view = {};
    x.body_sent = 0;
    x.on_sent = on_sent;
    x.sent_arg = arg;
    x.file = file;
    x.file_offset = offset;
    x.file_left = is_head_request(x) ? 0 : size;
    send_answer(x);
}

// --- streamed answers

void exchange_stream_begin(exchange &x, answer a, bool has_length, uint64_t length)
{
    settle_keep(x);
    length_kind kind = has_length ? length_kind::known : x.head.version_minor >= 1 ? length_kind::chunked : length_kind::by_close;
    x.answer_chunked = kind == length_kind::chunked;
    x.answer_by_close = kind == length_kind::by_close;
    write_head(x, a, kind, length);
    x.body.clear();
    x.body_view = {};
    x.body_sent = 0;
    step(x, E::stream_begun);
}

void exchange_stream_end(exchange &x, bool complete)
{
    if (x.net == nullptr) {
        step(x, E::stream_cut);
        return;
    }
    net_wait_cancel(*x.e, x.net, net_side::writable);
    if (!complete) {
        x.server->counts.cut++;
        // Chunked and counted answers show by themselves that they are short; a close-delimited one needs a reset.
        x.cut = x.answer_by_close || x.head.version_minor == 0;
        step(x, E::stream_cut);
        return;
    }
    if (x.answer_chunked)
        x.out += "0\r\n\r\n";
    step(x, E::stream_ended);
    flush(x);
}

void exchange_frame_piece(exchange &x, size_t size)
{
    if (x.answer_chunked)
        http_write_chunk_size(x.out, size);
}

void exchange_frame_piece_end(exchange &x)
{
    if (x.answer_chunked)
        x.out += "\r\n";
}

io_result exchange_flush_frame(exchange &x, bool more)
{
    while (x.out_sent < x.out.size()) {
        iovec part = {x.out.data() + x.out_sent, x.out.size() - x.out_sent};
        io_result sent = net_write(*x.e, x.net, {&part, 1}, more);
        if (sent.state != io_state::done)
            return sent;
        exchange_count_out(x, sent.count);
        x.out_sent += sent.count;
    }
    x.out.clear();
    x.out_sent = 0;
    return {io_state::done, 0, no_error};
}

// --- error answers

void exchange_answer_error(exchange &x, error_code code, std::string_view message, int status, std::string headers)
{
    if (status == 0)
        status = error_http_status(code);
    json_ptr tree = json_object();
    json_add_text(tree.get(), "message", message);
    json_add_text(tree.get(), "method", x.head.method);
    json_add_text(tree.get(), "url_path", x.head.path);
    json_add_text(tree.get(), "remote_addr", exchange_peer(x));
    json_add_text(tree.get(), "caller", "");
    json_add_text(tree.get(), "node", x.server->options.node_id);
    json_add_u64(tree.get(), "status", static_cast<uint64_t>(status));
    json_add_text(tree.get(), "code", error_code_name(code));
    json_add_bool(tree.get(), "retryable", error_is_retryable(code));
    json_add_text(tree.get(), "request_id", x.request_id);
    answer a;
    a.status = status;
    a.content_type = "application/json";
    a.body = json_print(tree.get());
    a.headers = static_cast<std::string &&>(headers);
    http_write_header(a.headers, "X-Content-Type-Options", "nosniff");
    if (status == 503 && a.headers.find("Retry-After") == std::string::npos)
        http_write_header(a.headers, "Retry-After", "1");
    if (is_head_request(x)) {
        http_write_header(a.headers, "Hdr-Error", a.body);
        a.body.clear();
    }
    exchange_answer(x, static_cast<answer &&>(a));
}

void exchange_answer_json(exchange &x, const cJSON *tree)
{
    answer a;
    a.content_type = "application/json; charset=utf-8";
    a.body = json_print(tree);
    exchange_answer(x, static_cast<answer &&>(a));
}

void exchange_answer_text(exchange &x, std::string text, std::string_view content_type)
{
    answer a;
    a.content_type = content_type;
    a.body = static_cast<std::string &&>(text);
    exchange_answer(x, static_cast<answer &&>(a));
}

// Answers to heads that could not be parsed: nothing of the head is trusted, and the connection closes.
static void begin_refusal(exchange &x, error err)
{
    x.head = http_head{};
    x.body_ended = false; // unread bytes may follow: linger
    x.keep = false;
    x.request_id.clear();
    answer a;
    a.status = error_http_status(err.code);
    a.content_type = "application/json";
    a.close = true;
    json_ptr tree = json_object();
    json_add_text(tree.get(), "message", error_text(err));
    json_add_text(tree.get(), "node", x.server->options.node_id);
    json_add_u64(tree.get(), "status", static_cast<uint64_t>(a.status));
    json_add_text(tree.get(), "code", error_code_name(err.code));
    a.body = json_print(tree.get());
    write_head(x, a, length_kind::known, a.body.size());
    x.body.swap(a.body);
    x.body_view = {};
    x.body_sent = 0;
    clear_deadline(x);
    LOG(info, "http", "server=%s peer=%s status=%d reason=\"%s\" msg=\"request refused\"", x.server->options.name, net_peer(*x.e, x.net).c_str(), a.status,
        text_escape(error_text(err)).c_str());
}

static void flush_posted(void *arg)
{
    exchange &x = *static_cast<exchange *>(arg);
    if (sm_state_of(x) == S::sending && !net_is_waiting(*x.e, x.net, net_side::writable))
        flush(x);
}

static void begin_error_answer(exchange &x)
{
    begin_refusal(x, x.body_error);
    clock_post(*x.e, flush_posted, &x);
}

static void begin_timeout_answer(exchange &x) { begin_refusal(x, make_error(error_code::request_timeout)); }

// --- the server

static void delete_exchange(void *arg)
{
    exchange *x = static_cast<exchange *>(arg);
    http_server *server = x->server;
    timer_free(*x->e, x->clock);
    if (x->previous != nullptr)
        x->previous->next = x->next;
    else
        server->first = x->next;
    if (x->next != nullptr)
        x->next->previous = x->previous;
    delete x;
    server->open--;
    server->counts.connections = server->open;
    if (server->stopped && server->open == 0)
        delete server;
}

static void on_accept(void *arg, net_conn *conn)
{
    http_server &server = *static_cast<http_server *>(arg);
    server.counts.accepted++;
    if (server.open >= server.options.connections_max) {
        server.counts.refused++;
        static constexpr std::string_view busy = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        iovec part = {const_cast<char *>(busy.data()), busy.size()};
        io_result ignored = net_write(*server.e, conn, {&part, 1});
        (void)ignored;
        net_close(*server.e, conn);
        return;
    }
    exchange *x = new exchange;
    x->sm.id = server.next_id++;
    x->e = server.e;
    x->server = &server;
    x->net = conn;
    x->clock = timer_make(*server.e, on_timer, x);
    x->next = server.first;
    if (server.first != nullptr)
        server.first->previous = x;
    server.first = x;
    server.open++;
    server.counts.connections = server.open;
    step(*x, E::starved);
}

error http_server_start(env &e, const http_server_options &options, const char *host, uint16_t port, http_server **out_server)
{
    http_server *server = new http_server;
    server->e = &e;
    server->options = options;
    error err = net_listen(e, host, port, on_accept, server, &server->listener);
    if (err) {
        delete server;
        return err;
    }
    *out_server = server;
    return no_error;
}

uint16_t http_server_port(http_server &server) { return net_listener_port(*server.e, server.listener); }
const http_server_counts &http_server_count(const http_server &server) { return server.counts; }

void http_server_drain(http_server &server)
{
    if (server.draining)
        return;
    server.draining = true;
    net_listener_close(*server.e, server.listener);
    server.listener = nullptr;
    exchange *next = nullptr;
    for (exchange *x = server.first; x != nullptr; x = next) {
        next = x->next;
        if (sm_state_of(*x) == S::awaiting_head && !x->head_started)
            step(*x, E::stop);
    }
}

size_t http_server_in_flight(const http_server &server)
{
    size_t count = 0;
    for (const exchange *x = server.first; x != nullptr; x = x->next) {
        S state = sm_state_of(*x);
        count += state == S::awaiting_answer || state == S::sending || state == S::streaming || state == S::abandoned ? 1 : 0;
    }
    return count;
}

static void delete_server(void *arg)
{
    http_server *server = static_cast<http_server *>(arg);
    if (server->open == 0)
        delete server;
    else
        server->stopped = true;
}

void http_server_stop(http_server &server)
{
    server.draining = true;
    if (server.listener != nullptr)
        net_listener_close(*server.e, server.listener);
    server.listener = nullptr;
    exchange *next = nullptr;
    for (exchange *x = server.first; x != nullptr; x = next) {
        next = x->next;
        if (sm_state_of(*x) != S::closed)
            step(*x, E::stop);
    }
    clock_post(*server.e, delete_server, &server);
}
