// SPDX-License-Identifier: MIT
// http/client/call_machine.cc: one outgoing request and its answer.
//
// Owns     the connection to the server, one timer, the input buffer. It sends and receives at the same time.
// Knows    sm, port, codec, the pool of connections. Known by  transfer, role.
// Machine  call, drawn in docs/machines/call.md (generated, do not edit).
// Normal   idle, connecting, awaiting_head, receiving (its owner pulls) or collecting (it keeps the body itself), done.
//          For a pod that has not proven itself: withholding_end, before the body's last piece is passed on.
// Fails    every failure before the head ends in on_done; a reused connection that dies before its first byte is replaced once.
// Limits   http_head_size_max, http_informational_max, call_options.answer_size_max and its timeouts, pod_behind_wait_ms.
#include "http/client/call_machine.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/limits.h"
#include "http/http_machines.h"
#include "port/clock.h"
#include "sm/sm_verify.h"

namespace etlnode {

static constexpr size_t input_size_initial = 16 * kib;
static constexpr size_t spare_inputs_max = 64;

using S = call::state;
using E = call::event;

bool call_is_pushed(const call &c)
{
    return c.options.streams_body || (c.options.file != nullptr ? c.options.file_size > 0 : !c.options.body.empty());
}

static bool is_to_pod(const call &c) { return !c.options.instance.empty(); }

// Another call to the same server waits for its first byte.
static bool is_somebody_waiting(const call &self)
{
    return std::any_of(self.to->active.begin(), self.to->active.end(),
        [&](const call *other) { return other != &self && other->net != nullptr && !other->received_any; });
}

// A new connection was answered while an older one, which was answered before, is still open: the server can serve both.
static void note_parallel(call &c)
{
    server &to = *c.to;
    if (c.reused || to.kind == server_kind::parallel)
        return;
    bool is_another = std::any_of(
        to.active.begin(), to.active.end(), [&](const call *other) { return other != &c && other->net != nullptr && other->received_any; });
    if (is_another || !to.idle.empty())
        pool_note_parallel(*c.client, to);
}

// --- actions

static void on_connect(void *arg, error err, net_conn *conn);

static void close_net(call &c)
{
    if (c.connecting != nullptr)
        net_connect_cancel(*c.e, c.connecting);
    c.connecting = nullptr;
    if (c.net != nullptr && c.options.streams_body && c.upload != call_upload::sent)
        net_reset_on_close(*c.e, c.net); // what was sent is incomplete
    if (c.net != nullptr)
        net_close(*c.e, c.net);
    c.net = nullptr;
    timer_stop(*c.e, c.deadline_timer);
}

static void delete_call(void *arg)
{
    call *c = static_cast<call *>(arg);
    timer_free(*c->e, c->deadline_timer);
    delete c;
}

static void report_done(void *arg)
{
    call &c = *static_cast<call *>(arg);
    std::vector<call *> &active = c.to->active;
    active.erase(std::find(active.begin(), active.end(), &c));
    c.client->active_count--;
    if (!c.err && c.in.size() == input_size_initial && c.client->spare_inputs.size() < spare_inputs_max)
        c.client->spare_inputs.push_back(std::move(c.in));
    if (!c.canceled && c.options.on_done != nullptr) {
        std::string body;
        if (!c.err)
            body.swap(c.collected);
        c.options.on_done(c.options.arg, c, c.err, c.head.status, std::move(body));
    }
    clock_post(*c.e, delete_call, &c);
}

static void end_call(call &c)
{
    close_net(c);
    clock_post(*c.e, report_done, &c);
}

static void begin_exchange(call &c) { timer_arm(*c.e, c.deadline_timer, c.options.progress_timeout_ms); }

static void connect(call &c)
{
    c.err = net_connect(*c.e, c.options.host.c_str(), c.options.port, on_connect, &c, &c.connecting, c.options.reach);
    timer_arm(*c.e, c.deadline_timer, c.options.connect_timeout_ms);
    if (c.err) // refused at once
        sm_emit(c, E::connect_failed);
}

static void make_way_and_connect(call &c)
{
    pool_make_way(*c.client, *c.to);
    connect(c);
}

static void connect_anew(call &c)
{
    close_net(c);
    c.reused = false;
    c.out_sent = c.body_sent = 0;
    c.file_sent = 0;
    c.upload = call_upload::sending;
    connect(c);
}

// Says which part of the answer is missing.
static void time_out_head(call &c)
{
    c.err = make_error(error_code::timed_out, c.head_began_ms != 0 ? "timeout: the answer's head stopped half-way" : "timeout: no answer");
    end_call(c);
}

static void time_out_body(call &c)
{
    c.err = make_error(error_code::timed_out, call_stall_text(c));
    end_call(c);
}

static void time_out_connecting(call &c)
{
    c.err = make_error(error_code::timed_out, "timeout connecting");
    end_call(c);
}

static void report_head(void *arg)
{
    call &c = *static_cast<call *>(arg);
    if (!c.canceled)
        c.options.on_head(c.options.arg, c, c.head);
}

static void offer_body(call &c)
{
    timer_stop(*c.e, c.deadline_timer); // the reader of the body has its own timer
    clock_post(*c.e, report_head, &c);
}

static void withhold_end(call &c) { timer_arm(*c.e, c.deadline_timer, pod_behind_wait_ms); }

static void run_ready(void *arg)
{
    call &c = *static_cast<call *>(arg);
    net_on_ready callback = c.on_ready;
    c.on_ready = nullptr;
    if (c.net != nullptr && callback != nullptr)
        callback(c.ready_arg);
}

static void end_wait(call &c)
{
    c.end = call_end::quiet;
    net_wait_cancel(*c.e, c.net, net_side::readable);
    clock_post(*c.e, run_ready, &c);
}

static void end_wait_and_offer(call &c)
{
    end_wait(c);
    timer_stop(*c.e, c.deadline_timer);
}

static void end_wait_and_collect(call &c)
{
    end_wait(c);
    timer_arm(*c.e, c.deadline_timer, c.options.progress_timeout_ms);
}

static void offer_end(call &c) { timer_stop(*c.e, c.deadline_timer); }
static void collect_end(call &c) { timer_arm(*c.e, c.deadline_timer, c.options.progress_timeout_ms); }

// Whether the connection may carry another request. It must not if that request could get an answer that belongs to this one. A pod that
// refused a body, or answered before it had everything, may not have read it, and would take the rest for its next request.
static bool is_reusable(const call &c)
{
    bool is_clean = c.options.upgrade.empty() && c.head.keep_alive && !c.head.close_delimited && c.upload == call_upload::sent &&
                    c.behind != call_behind::closed;
    bool is_read = !is_to_pod(c) || !call_is_pushed(c) || (c.head.status < 400 && !c.answered_early);
    return c.options.may_reuse && is_clean && is_read;
}

// The body was read to its end.
static void keep_or_close(call &c)
{
    // Check only once: the pool checks again when the connection is taken.
    bool more = c.in_begin < c.in_end || (c.behind == call_behind::unseen && c.net != nullptr && call_is_more_behind(c));
    if (more && !c.head.close_delimited)
        pool_note_unsolicited(*c.client, *c.to);
    if (c.net != nullptr && !more && is_reusable(c)) {
        net_wait_cancel(*c.e, c.net, net_side::readable);
        net_wait_cancel(*c.e, c.net, net_side::writable);
        bool is_in_the_way = c.to->kind != server_kind::parallel && is_somebody_waiting(c);
        net_conn *conn = c.net;
        c.net = nullptr;
        pool_give(*c.client, *c.to, conn, is_in_the_way, call_is_pushed(c));
    }
    close_net(c);
}

static void end_buffered(call &c)
{
    keep_or_close(c);
    clock_post(*c.e, report_done, &c);
}

static void end_streamed(call &c)
{
    keep_or_close(c);
    c.canceled = true;
    clock_post(*c.e, report_done, &c);
}

static void end_silently(call &c)
{
    c.canceled = true;
    end_call(c);
}

// --- guards

static bool is_buffered(const call &c) { return c.options.answer_size_max > 0; }
static bool is_reused(const call &c) { return c.reused; }

// --- the table

static constexpr uint32_t CONNECT = 1;
static constexpr uint32_t SOCKET = 2;
static constexpr uint32_t DEADLINE = 4;

static uint32_t alive(const call &c)
{
    return (c.connecting != nullptr ? CONNECT : 0u) | (c.net != nullptr ? SOCKET : 0u) |
           (timer_is_armed(*c.e, c.deadline_timer) ? DEADLINE : 0u);
}

static constexpr sm_resource resources[] = {{CONNECT, "connect"}, {SOCKET, "socket"}, {DEADLINE, "deadline"}};

static constexpr sm_state<call> states[] = {
    {S::idle, sm_initial, 0, SOCKET},
    {S::connecting, sm_busy, DEADLINE, CONNECT | DEADLINE},
    {S::awaiting_head, sm_busy, SOCKET | DEADLINE, SOCKET | DEADLINE},
    {S::collecting, sm_busy, SOCKET | DEADLINE, SOCKET | DEADLINE},
    {S::receiving, sm_busy, SOCKET, SOCKET, 0, "whoever pulls the body watches the time"},
    {S::withholding_end, sm_busy, SOCKET | DEADLINE, SOCKET | DEADLINE},
    {S::done, sm_final, 0, 0},
};

static constexpr sm_row<call> rows[] = {
    {S::idle, E::begin, SM_FN(is_reused), SM_FN(begin_exchange), S::awaiting_head},
    {S::idle, E::begin, always, SM_FN(make_way_and_connect), S::connecting},
    {S::idle, E::stop, always, SM_FN(end_silently), S::done},

    {S::connecting, E::connected, always, SM_FN(begin_exchange), S::awaiting_head},
    {S::connecting, E::connect_failed, always, SM_FN(end_call), S::done},
    {S::connecting, E::deadline, always, SM_FN(time_out_connecting), S::done},
    {S::connecting, E::stop, always, SM_FN(end_silently), S::done},

    {S::awaiting_head, E::head_read, SM_FN(is_buffered), {}, S::collecting},
    {S::awaiting_head, E::head_read, always, SM_FN(offer_body), S::receiving},
    {S::awaiting_head, E::died_unused, always, SM_FN(connect_anew), S::connecting},
    {S::awaiting_head, E::failed, always, SM_FN(end_call), S::done},
    {S::awaiting_head, E::deadline, always, SM_FN(time_out_head), S::done},
    {S::awaiting_head, E::stop, always, SM_FN(end_silently), S::done},

    {S::collecting, E::body_came, always, SM_FN(withhold_end), S::withholding_end},
    {S::collecting, E::body_ended, always, SM_FN(end_buffered), S::done},
    {S::collecting, E::failed, always, SM_FN(end_call), S::done},
    {S::collecting, E::deadline, always, SM_FN(time_out_body), S::done},
    {S::collecting, E::stop, always, SM_FN(end_silently), S::done},

    {S::receiving, E::body_came, always, SM_FN(withhold_end), S::withholding_end},
    {S::receiving, E::finished, always, SM_FN(end_streamed), S::done},
    {S::receiving, E::stop, always, SM_FN(end_silently), S::done},

    {S::withholding_end, E::end_judged, SM_FN(is_buffered), SM_FN(collect_end), S::collecting},
    {S::withholding_end, E::end_judged, always, SM_FN(offer_end), S::receiving},
    {S::withholding_end, E::failed, always, SM_FN(end_call), S::done},
    {S::withholding_end, E::deadline, SM_FN(is_buffered), SM_FN(end_wait_and_collect), S::collecting},
    {S::withholding_end, E::deadline, always, SM_FN(end_wait_and_offer), S::receiving},
    {S::withholding_end, E::stop, always, SM_FN(end_silently), S::done},
};

static void note_news(call &c, S from, E event)
{
    S now = sm_state_of(c);
    if (now == S::awaiting_head && from != S::awaiting_head)
        sm_news_put(c.news, call_news::send);
    if (now == S::collecting && event == E::head_read)
        sm_news_put(c.news, call_news::collect);
}

static constexpr sm_table<call> table = {"call", states, resources, rows, {}, {}, E::stop, E::deadline, alive, nullptr, note_news};
SM_VERIFY(table);

sm_view call_machine_view() { return sm_view_of(table); }

static void send_and_wait(call &c)
{
    call_begin_sending(c);
    if (c.net != nullptr) // the file to send may have failed
        call_wait_readable(c);
}

// A call that has ended is deleted in a later iteration.
void call_step(call &c, E event)
{
    sm_step(table, c, event);
    call_news news;
    while (sm_news_take(c.news, news)) {
        switch (news) {
        case call_news::send: send_and_wait(c); break;
        case call_news::collect: call_collect(c); break;
        }
    }
}

void call_fail(call &c, error err)
{
    c.err = err;
    call_step(c, E::failed);
}

// --- receiving a head

static void on_readable(void *arg);

void call_wait_readable(call &c)
{
    if (!net_is_waiting(*c.e, c.net, net_side::readable))
        net_wait(*c.e, c.net, net_side::readable, on_readable, &c);
}

// True if the real head has been taken from the buffer.
static bool take_head(call &c, size_t size, error &out_err)
{
    c.head_bytes.assign(c.in, c.in_begin, size);
    c.in_begin += size;
    c.head_searched = 0;
    c.head_began_ms = c.in_begin < c.in_end ? clock_now_ms(*c.e) : 0;
    if (is_to_pod(c))
        http_mend_line_ends(c.head_bytes);
    out_err = http_parse_response_head(c.head_bytes, c.options.method == "HEAD", c.head);
    if (out_err) {
        out_err = make_error(error_code::bad_pod_answer, out_err.what);
        return false;
    }
    if (c.head.status == 101 && !c.options.upgrade.empty())
        return true;
    if (c.head.status >= 100 && c.head.status < 200) {
        if (c.head.status == 101 || ++c.informational > http_informational_max)
            out_err = make_error(error_code::bad_pod_answer, "unexpected informational answers");
        return false;
    }
    return true;
}

static void end_of_input(call &c, error err)
{
    if (c.reused && !c.received_any) {
        call_step(c, E::died_unused);
        return;
    }
    call_fail(c, err);
}

static const char *ended_text(const call &c, bool was_reset)
{
    bool is_silent = c.in_begin == c.in_end;
    if (!is_to_pod(c))
        return c.received_any ? "the connection was closed inside the answer's head" : "the connection was closed without an answer";
    if (!c.received_any)
        return was_reset ? "the pod reset the connection without an answer" : "the pod closed the connection without an answer";
    if (is_silent)
        return was_reset ? "the pod reset the connection behind an informational answer, before the answer itself"
                         : "the pod closed the connection behind an informational answer, before the answer itself";
    return was_reset ? "the pod reset the connection inside its answer's head" : "the pod closed the connection inside its answer's head";
}

std::string_view call_begun_head(const call &c)
{
    static constexpr size_t shown = 60;
    return c.head.status >= 200 || !c.received_any ? std::string_view()
                                                   : std::string_view(c.in).substr(c.in_begin, std::min(c.in_end - c.in_begin, shown));
}

static void read_head(call &c)
{
    for (;;) {
        while (c.in_begin < c.in_end) {
            size_t size = http_find_head_end(std::string_view(c.in.data() + c.in_begin, c.in_end - c.in_begin), c.head_searched);
            if (size == 0) {
                c.head_searched = c.in_end - c.in_begin;
                break;
            }
            error err;
            if (take_head(c, size, err)) {
                note_parallel(c);
                call_set_up_body(c);
                call_step(c, E::head_read);
                return;
            }
            if (err) {
                call_fail(c, err);
                return;
            }
        }
        if (c.in_end - c.in_begin >= http_head_size_max) {
            call_fail(c, make_error(error_code::bad_pod_answer, "the answer's head is too large"));
            return;
        }
        if (c.in_begin > 0) {
            std::memmove(c.in.data(), c.in.data() + c.in_begin, c.in_end - c.in_begin);
            c.in_end -= c.in_begin;
            c.in_begin = 0;
        }
        if (c.in.empty() && !c.client->spare_inputs.empty()) {
            c.in.swap(c.client->spare_inputs.back());
            c.client->spare_inputs.pop_back();
        }
        if (c.in_end == c.in.size())
            c.in.resize(std::min(std::max(c.in.size() * 2, input_size_initial), http_head_size_max));
        io_result got = net_read(*c.e, c.net, c.in.data() + c.in_end, c.in.size() - c.in_end);
        if (got.state == io_state::done) {
            if (c.in_end == c.in_begin)
                c.head_began_ms = clock_now_ms(*c.e);
            c.in_end += got.count;
            if (!c.received_any)
                c.answered_early = c.upload != call_upload::sent;
            c.received_any = true;
            call_note_progress(c);
            continue;
        }
        if (got.state == io_state::again)
            call_wait_readable(c);
        else if (got.state == io_state::end)
            end_of_input(c, make_error(error_code::end_of_stream, ended_text(c, false)));
        else
            end_of_input(c, is_to_pod(c) && got.err.code == error_code::reset && c.received_any
                                ? make_error(error_code::reset, ended_text(c, true))
                                : got.err);
        return;
    }
}

static void on_readable(void *arg)
{
    call &c = *static_cast<call *>(arg);
    if (sm_state_of(c) == S::awaiting_head) // the body has its own waits
        read_head(c);
}

// --- starting

static uint64_t deadline_of(const call &c)
{
    switch (sm_state_of(c)) {
    case S::awaiting_head: {
        if (c.options.streams_body && !c.body_is_whole)
            return clock_now_ms(*c.e) + c.options.progress_timeout_ms; // the pushing side has its own timer
        uint64_t progress = call_last_progress_ms(c);
        uint64_t began = c.head_began_ms != 0 ? std::min(c.head_began_ms, progress) : progress; // a trickling head does not extend it
        return began + c.options.progress_timeout_ms;
    }
    case S::collecting: return call_last_progress_ms(c) + c.options.progress_timeout_ms;
    case S::idle:
    case S::connecting:
    case S::receiving:
    case S::withholding_end:
    case S::done: break;
    }
    return 0;
}

static void on_timer(void *arg)
{
    call &c = *static_cast<call *>(arg);
    uint64_t limit = deadline_of(c);
    uint64_t now = clock_now_ms(*c.e);
    if (limit > now) {
        timer_arm(*c.e, c.deadline_timer, limit - now);
        return;
    }
    call_step(c, E::deadline);
}

static void take_connection(call &c, net_conn *conn)
{
    c.net = conn;
    call_note_progress(c);
}

static void on_connect(void *arg, error err, net_conn *conn)
{
    call &c = *static_cast<call *>(arg);
    c.connecting = nullptr;
    if (err) {
        c.err = err;
        timer_stop(*c.e, c.deadline_timer);
        call_step(c, E::connect_failed);
        return;
    }
    take_connection(c, conn);
    call_step(c, E::connected);
}

static void start(void *arg)
{
    call &c = *static_cast<call *>(arg);
    if (sm_state_of(c) != S::idle)
        return; // cancelled meanwhile
    net_conn *kept = c.options.may_reuse && !c.options.streams_body && c.options.upgrade.empty() ? pool_take(*c.client, *c.to) : nullptr;
    c.reused = kept != nullptr;
    if (c.reused)
        take_connection(c, kept);
    call_step(c, E::begin);
}

call *call_start(http_client &client, call_options options)
{
    call *c = new call;
    c->e = client.e;
    c->client = &client;
    c->options = std::move(options);
    c->sm.id = client.next_id++;
    c->deadline_timer = timer_make(*client.e, on_timer, c);
    c->to = &pool_server_of(client, c->options.host, c->options.port, c->options.instance);
    c->to->active.push_back(c);
    client.active_count++;
    call_write_head(*c);
    clock_post(*client.e, start, c);
    return c;
}

net_conn *call_take_connection(call &c, std::string &out_behind)
{
    CHECK(c.head.status == 101 && c.net != nullptr && sm_state_of(c) == S::receiving);
    out_behind.assign(c.in, c.in_begin, c.in_end - c.in_begin);
    c.in_begin = c.in_end; // none of it counts as unsolicited
    net_wait_cancel(*c.e, c.net, net_side::readable);
    net_wait_cancel(*c.e, c.net, net_side::writable);
    net_conn *conn = c.net;
    c.net = nullptr;
    call_step(c, E::finished);
    return conn;
}

void call_cancel(call &c)
{
    c.canceled = true;
    if (sm_state_of(c) != S::done)
        call_step(c, E::stop);
}

} // namespace etlnode
