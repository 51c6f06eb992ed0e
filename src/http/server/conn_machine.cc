// SPDX-License-Identifier: MIT
// http/server/conn_machine.cc: one client connection: read a head, let a handler answer, send, discard what is left of the body, repeat.
//
// Owns     the socket, one timer, the input buffer. A handler uses the exchange between request and answer.
// Knows    sm, port, codec.           Known by  transfer, role.
// Machine  exchange, drawn in docs/machines/exchange.md (generated, do not edit).
// Normal   awaiting_head, awaiting_answer, sending (or streaming, then sending), awaiting_head ...
// Fails    if a client vanishes while the handler works, the state is `abandoned`: the socket is closed, and the answer goes nowhere.
// Limits   http_head_size_max, http_url_size_max, idle_timeout_ms, head_timeout_ms, body_stall_timeout_ms, discard_size_max.
//
// Input and output happen outside the machine's steps (conn_read.cc, conn_write.cc); their result becomes the event. What a step requires
// is noted as news and done after the step.
#include "http/server/conn_machine.h"

#include "http/http_machines.h"
#include "sm/sm_verify.h"

namespace etlnode {

using S = exchange::state;
using E = exchange::event;

// --- deadlines: one timer for each connection. It is moved lazily, because most requests end long before it fires

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

static void release_body(exchange &x)
{
    x.file = nullptr;
    x.file_left = 0;
    x.body_view = {};
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
    if (!x.gone_err)
        x.gone_err = make_error(error_code::canceled, "the client has gone");
    if (!x.body_error)
        x.body_error = x.gone_err.code == error_code::canceled ? make_error(error_code::reset, x.gone_err.what) : x.gone_err;
    release_body(x);
    if (x.on_body_ready != nullptr)
        clock_post(*x.e, run_body_ready, &x);
    if (x.on_gone != nullptr)
        clock_post(*x.e, run_on_gone, &x);
}

// The server stops. The client has got nothing yet, so it can be told why.
static void refuse_and_abandon(exchange &x)
{
    x.gone_err = make_error(error_code::stopping, "the node is shutting down");
    exchange_send_refusal(x, x.gone_err);
    abandon(x);
}

static void cut_and_abandon(exchange &x)
{
    x.gone_err = make_error(error_code::stopping, "the node is shutting down");
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

// The handler has finished with the request body. The connection is still watched for the client's end.
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

static void wait_more_to_discard(exchange &x)
{
    net_wait(*x.e, x.net, net_side::readable, on_readable, &x);
    if (sm_state_of(x) == S::discarding)
        exchange_set_body_deadline(x);
    else if (!x.is_extra) // its slot is only for a short time
        exchange_set_deadline(x, linger_timeout_ms);
}

static void wait_head(exchange &x)
{
    net_wait(*x.e, x.net, net_side::readable, on_readable, &x);
    if (!exchange_has_input(x)) // the first byte starts the head's own deadline, which later bytes do not move
        exchange_set_deadline(x, idle_timeout_ms);
}

static void prepare_next(exchange &x)
{
    release_body(x);
    x.out.clear();
    x.out_sent = 0;
    x.body.clear();
    x.body_sent = 0;
    if (x.raw_begin < x.raw_end) { // the bytes after a chunked body are the next request
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
    exchange_set_deadline(x, exchange_has_input(x) ? head_timeout_ms : idle_timeout_ms);
    if (x.in.size() > http_input_size_initial && x.in_begin == x.in_end) {
        std::string().swap(x.in); // long heads are rare; an idle connection stays small
        x.in_begin = x.in_end = 0;
    }
}

static void begin_discard(exchange &x)
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

static void begin_error_answer(exchange &x)
{
    exchange_prepare_refusal(x, x.body_error);
    exchange_set_deadline(x, body_stall_timeout_ms);
}

static void begin_timeout_answer(exchange &x)
{
    net_wait_cancel(*x.e, x.net, net_side::readable);
    exchange_prepare_refusal(x, make_error(error_code::request_timeout));
    exchange_set_deadline(x, body_stall_timeout_ms);
}

// --- guards

static bool has_head_begun(const exchange &x) { return exchange_has_input(x); }
static bool must_linger(const exchange &x) { return x.framing != body_framing::none; }
static bool is_body_unread(const exchange &x) { return must_linger(x) && x.keep; }
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
    {S::discarding, sm_busy, SOCKET | DEADLINE, SOCKET | DEADLINE | READ_WAIT},
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
    {S::awaiting_answer, E::stop, always, SM_FN(refuse_and_abandon), S::abandoned},

    {S::sending, E::sink_full, always, SM_FN(wait_writable), S::sending},
    {S::sending, E::sent, SM_FN(is_body_unread), SM_FN(begin_discard), S::discarding},
    {S::sending, E::sent, SM_FN(must_linger), SM_FN(begin_linger), S::lingering},
    {S::sending, E::sent, SM_FN(is_kept), SM_FN(prepare_next), S::awaiting_head},
    {S::sending, E::sent, always, SM_FN(dispose), S::closed},
    {S::sending, E::broken, always, SM_FN(reset_and_dispose), S::closed},
    {S::sending, E::deadline, always, SM_FN(reset_and_dispose), S::closed},
    {S::sending, E::stop, always, SM_FN(reset_and_dispose), S::closed},

    {S::streaming, E::stream_ended, always, SM_FN(begin_sending), S::sending},
    {S::streaming, E::stream_cut, always, SM_FN(dispose), S::closed},
    {S::streaming, E::gone, always, SM_FN(abandon), S::abandoned},
    {S::streaming, E::stop, always, SM_FN(cut_and_abandon), S::abandoned},

    {S::discarding, E::starved, always, SM_FN(wait_more_to_discard), S::discarding},
    {S::discarding, E::discarded, always, SM_FN(prepare_next), S::awaiting_head},
    {S::discarding, E::gone, always, SM_FN(dispose), S::closed},
    {S::discarding, E::deadline, always, SM_FN(dispose), S::closed},
    {S::discarding, E::stop, always, SM_FN(dispose), S::closed},

    {S::lingering, E::starved, always, SM_FN(wait_more_to_discard), S::lingering},
    {S::lingering, E::gone, always, SM_FN(dispose), S::closed},
    {S::lingering, E::deadline, always, SM_FN(dispose), S::closed},
    {S::lingering, E::stop, always, SM_FN(dispose), S::closed},

    {S::abandoned, E::answered, always, SM_FN(dispose), S::closed},
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

static bool is_in_flight(S state)
{
    return state == S::awaiting_answer || state == S::sending || state == S::streaming || state == S::abandoned;
}

static void count_in_flight(exchange &x, S from, S now)
{
    if (!is_in_flight(from) && is_in_flight(now))
        open_count_begin(x.server->in_flight);
    if (is_in_flight(from) && !is_in_flight(now))
        open_count_end(x.server->in_flight);
}

// The next request may already be in the buffer, so the connection checks that before it waits.
static void note_news(exchange &x, S from, E event)
{
    S now = sm_state_of(x);
    count_in_flight(x, from, now);
    if (now != S::sending && x.on_sent != nullptr)
        sm_news_put(x.news, exchange_news::body_sent);
    bool is_answer = event == E::answered || event == E::stream_ended || event == E::head_refused || event == E::deadline;
    if (now == S::sending && is_answer)
        sm_news_put(x.news, exchange_news::flush);
    if ((now == S::discarding || now == S::lingering) && event == E::sent)
        sm_news_put(x.news, exchange_news::discard);
    if (now == S::awaiting_head && (event == E::sent || event == E::discarded))
        sm_news_put(x.news, exchange_news::read_head);
}

static constexpr sm_table<exchange> table = {
    "exchange", states, resources, rows, ignores, invariants, E::stop, E::deadline, alive, nullptr, note_news};
SM_VERIFY(table);

sm_view exchange_machine_view() { return sm_view_of(table); }

// --- consequences of a step

static void run_on_sent(exchange &x)
{
    auto callback = x.on_sent;
    x.on_sent = nullptr;
    x.on_progress = nullptr;
    callback(x.sent_arg, x.net == nullptr ? make_error(error_code::canceled) : no_error);
}

static void act_on(exchange &x, exchange_news news)
{
    switch (news) {
    case exchange_news::body_sent: run_on_sent(x); break;
    case exchange_news::flush: exchange_flush(x); break;
    case exchange_news::discard: exchange_discard_body(x); break;
    case exchange_news::read_head: exchange_read_head(x); break;
    }
}

// A connection that has ended is deleted in a later iteration.
void exchange_step(exchange &x, E event)
{
    sm_step(table, x, event);
    exchange_news news;
    while (sm_news_take(x.news, news))
        act_on(x, news);
}

// --- readiness

static void on_readable(void *arg)
{
    exchange &x = *static_cast<exchange *>(arg);
    switch (sm_state_of(x)) {
    case S::awaiting_head: exchange_read_head(x); break;
    case S::discarding:
    case S::lingering: exchange_discard_body(x); break;
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
            // Otherwise it is a pipelined request: its client is alive, and it is read after this answer.
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
    clear_deadline(x);
    exchange_step(x, E::deadline);
}

void exchange_watch(exchange &x)
{
    if (!net_is_waiting(*x.e, x.net, net_side::readable))
        net_wait(*x.e, x.net, net_side::readable, on_readable, &x);
}

void exchange_post_body_ready(exchange &x) { clock_post(*x.e, run_body_ready, &x); }
void exchange_post_gone(exchange &x) { clock_post(*x.e, run_on_gone, &x); }

} // namespace etlnode
