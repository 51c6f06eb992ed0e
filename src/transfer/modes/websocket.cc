// SPDX-License-Identifier: MIT
// transfer/modes/websocket.cc: ws (RFC 6455): the target sends the object to the pod as a message, and the answer comes back as one.
//
// Owns     one call until the pod has agreed, then its connection; the object as a source; two timers.
// Knows    websocket_wire; http, object, transfer_machine.h.        Known by  modes.cc.
// Machine  websocket, drawn in docs/machines/websocket.md (generated, do not edit).
// Normal   upgrading, awaiting_reply, receiving (the transfer pulls), done. One connection carries one object.
// Fails    if the pod does not agree, closes, breaks the protocol or stays silent; a reply in text is the pod's own error.
// Limits   those of websocket_wire.h; pod_error_text_max, stream_buffer_size, obj_timeout.
#include <algorithm>
#include <memory>

#include "base/limits.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "codec/url.h"
#include "port/clock.h"
#include "sm/sm_verify.h"
#include "transfer/modes/modes.h"
#include "transfer/modes/websocket_wire.h"
#include "transfer/transfer_machine.h"

namespace etlnode {

struct websocket {
    enum class state : uint8_t { upgrading, awaiting_reply, receiving, done };
    enum class event : uint8_t { upgraded, answered, failed, reply_begins, finished, deadline, stop };
    enum class message : uint8_t { none, binary, text, whole }; // how much of the reply has come
    sm_core sm;
    env *e = nullptr;
    stage_listener listener;
    const transfer *owner = nullptr; // until is_released
    http_client *client = nullptr;
    std::string pod_host, pod_instance;
    uint16_t pod_port = 0;
    uint64_t obj_timeout_ms = 0;
    call *upgrade = nullptr;
    std::string accept; // what the pod must answer to our key
    net_conn *net = nullptr;
    websocket_frames *frames = nullptr;
    timer *deadline_timer = nullptr;
    timer *pong_timer = nullptr;
    uint64_t last_progress_ms = 0;
    error err;
    std::string begun, text;  // of the failure
    bool is_released = false; // the transfer has ended it, and hears nothing more

    // Sending.
    std::string control;
    source object;
    websocket_outgoing out;
    std::string_view piece; // of the object, in the source's memory
    bool is_deaf = false;   // the pod takes nothing more; it may still have answered
    error source_err;

    // Receiving.
    std::unique_ptr<char[]> buffer;
    std::string_view in; // the bytes of it that have not been read yet
    message reply = message::none;
    websocket_taken first; // piece of the reply
    std::string given;     // the bytes of the last pull, or a whole text
    error read_err;        // why no more of the reply comes
    net_on_ready on_ready = nullptr;
    void *ready_arg = nullptr;
};

using S = websocket::state;
using E = websocket::event;
using message = websocket::message;
static websocket &of(void *arg) { return *static_cast<websocket *>(arg); }
static void note_progress(websocket &w) { w.last_progress_ms = clock_now_ms(*w.e); }

// Best effort: the close frame tells the pod that this end is no accident.
static void say_goodbye(websocket &w, uint16_t code)
{
    if (w.net == nullptr || w.is_deaf || w.out.frame_left > 0 || w.out.sent < w.out.bytes.size())
        return;
    std::string bytes;
    websocket_put_close(*w.frames, bytes, code);
    iovec part{bytes.data(), bytes.size()};
    (void)net_write(*w.e, w.net, {&part, 1});
    w.is_deaf = true;
}

// --- actions

static void delete_websocket(void *arg)
{
    websocket *w = static_cast<websocket *>(arg);
    timer_free(*w->e, w->deadline_timer);
    timer_free(*w->e, w->pong_timer);
    websocket_frames_free(w->frames);
    delete w;
}

static void report_end(void *arg)
{
    websocket &w = of(arg);
    if (!w.is_released)
        w.listener.on_failed(w.listener.arg, {w.err, w.begun, w.text});
    clock_post(*w.e, delete_websocket, &w);
}

static void end(websocket &w)
{
    if (w.upgrade != nullptr)
        call_cancel(*w.upgrade);
    w.upgrade = nullptr;
    if (w.net != nullptr)
        net_close(*w.e, w.net);
    w.net = nullptr;
    source_close(w.object);
    timer_stop(*w.e, w.deadline_timer);
    timer_stop(*w.e, w.pong_timer);
    w.on_ready = nullptr;
    clock_post(*w.e, report_end, &w);
}

static void end_well(websocket &w)
{
    if (w.in.empty()) { // another message may have come with the reply
        io_result got = net_read(*w.e, w.net, w.buffer.get(), stream_buffer_size);
        w.in = {w.buffer.get(), got.state == io_state::done ? got.count : 0};
    }
    if (websocket_is_more_behind(*w.frames, w.in))
        http_client_note_unsolicited(*w.client, w.pod_host, w.pod_port, w.pod_instance);
    say_goodbye(w, websocket_close_normal);
    end(w);
}

static void begin_exchange(websocket &w)
{
    note_progress(w);
    timer_arm(*w.e, w.deadline_timer, w.obj_timeout_ms);
    websocket_begin_object(*w.frames, w.out, w.control, w.object.facts.size);
}

static void report_head(void *arg)
{
    websocket &w = of(arg);
    if (w.is_released)
        return;
    http_head head;
    bool is_text = w.reply == message::text;
    head.status = !is_text ? 200 : direct_put_has_result(*w.owner) ? 204 : 500; // the text may only say that it was put
    head.has_length = is_text || w.first.has_size;
    head.length = is_text ? w.given.size() : w.first.size;
    head.chunked = !head.has_length;
    w.listener.on_head(w.listener.arg, head);
}

static void offer_reply(websocket &w)
{
    timer_stop(*w.e, w.deadline_timer); // the caller that pulls watches the time
    clock_post(*w.e, report_head, &w);
}

// --- the table

static constexpr uint32_t CALL = 1;
static constexpr uint32_t SOCKET = 2;
static constexpr uint32_t SOURCE = 4;
static constexpr uint32_t DEADLINE = 8;
static constexpr uint32_t PONG = 16;

static uint32_t alive(const websocket &w)
{
    return (w.upgrade != nullptr ? CALL : 0u) | (w.net != nullptr ? SOCKET : 0u) | (source_is_open(w.object) ? SOURCE : 0u) |
           (timer_is_armed(*w.e, w.deadline_timer) ? DEADLINE : 0u) | (timer_is_armed(*w.e, w.pong_timer) ? PONG : 0u);
}

static constexpr sm_resource resources[] = {{CALL, "call"}, {SOCKET, "socket"}, {SOURCE, "source"}, {DEADLINE, "deadline"}, {PONG, "pong"}};

static constexpr sm_state<websocket> states[] = {
    {S::upgrading, sm_initial | sm_busy, CALL, CALL | SOURCE, 0, "the call has deadlines"},
    {S::awaiting_reply, sm_busy, SOCKET | DEADLINE, SOCKET | SOURCE | DEADLINE | PONG},
    {S::receiving, sm_busy, SOCKET, SOCKET | SOURCE | PONG, 0, "the caller that pulls the body watches the time"},
    {S::done, sm_final, 0, 0},
};

static constexpr sm_row<websocket> rows[] = {
    {S::upgrading, E::upgraded, always, SM_FN(begin_exchange), S::awaiting_reply},
    {S::upgrading, E::answered, always, SM_FN(end), S::done},
    {S::upgrading, E::failed, always, SM_FN(end), S::done},
    {S::upgrading, E::stop, always, SM_FN(end), S::done},

    {S::awaiting_reply, E::reply_begins, always, SM_FN(offer_reply), S::receiving},
    {S::awaiting_reply, E::failed, always, SM_FN(end), S::done},
    {S::awaiting_reply, E::deadline, always, SM_FN(end), S::done},
    {S::awaiting_reply, E::stop, always, SM_FN(end), S::done},

    {S::receiving, E::finished, always, SM_FN(end_well), S::done},
    {S::receiving, E::stop, always, SM_FN(end), S::done},
};

static constexpr sm_table<websocket> table = {"websocket", states, resources, rows, {}, {}, E::stop, E::deadline, alive};
SM_VERIFY(table);

static sm_view machine() { return sm_view_of(table); }

static void step(websocket &w, E event) { sm_step(table, w, event); }

// If `text` is empty, `err` supplies the words.
static void fail(websocket &w, error err, std::string text = {})
{
    w.err = err;
    w.text = std::move(text);
    step(w, E::failed);
}

// --- sending

static void send(websocket &w);
static void send_on(void *arg) { send(of(arg)); }

static void run_waiter(void *arg)
{
    websocket &w = of(arg);
    net_on_ready on_ready = w.on_ready;
    w.on_ready = nullptr;
    if (w.net != nullptr && on_ready != nullptr)
        on_ready(w.ready_arg);
}

// The pod sees the connection end inside a message. The caller gets no more of the reply.
static void fail_source(websocket &w, error err)
{
    if (sm_state_of(w) == S::awaiting_reply) {
        fail(w, err);
        return;
    }
    w.source_err = err;
    w.is_deaf = true;
    net_half_close(*w.e, w.net);
    if (w.on_ready != nullptr) {
        net_wait_cancel(*w.e, w.net, net_side::readable);
        clock_post(*w.e, run_waiter, &w);
    }
}

// Gets the next bytes of the object; false: there are none yet.
static bool pull_object(websocket &w)
{
    if (!w.piece.empty())
        return true;
    pull_result got = source_pull(w.object);
    if (got.state == pull_state::bytes) {
        w.piece = got.bytes.substr(0, static_cast<size_t>(w.out.object_left));
        return true;
    }
    if (got.state == pull_state::again)
        source_wait(w.object, send_on, &w);
    else
        fail_source(w, got.err ? got.err : make_error(error_code::corrupt, "the content is shorter than it was"));
    return false;
}

// Puts the next frame, or a part of it, into `out`; false: there is nothing to send yet.
static bool fill_out(websocket &w)
{
    uint64_t now = clock_now_ms(*w.e);
    if (websocket_put_pong(*w.frames, w.out, now))
        return true;
    if (w.out.is_pinged && w.out.frame_left == 0)
        timer_arm(*w.e, w.pong_timer, w.out.next_pong_ms - now);
    if (w.out.object_left == 0 || !pull_object(w))
        return false;
    w.piece.remove_prefix(websocket_put_object(*w.frames, w.out, w.piece));
    if (w.out.object_left == 0)
        source_close(w.object);
    return true;
}

static void send(websocket &w)
{
    while (w.net != nullptr && !w.is_deaf && !net_is_waiting(*w.e, w.net, net_side::writable)) {
        if (w.out.sent == w.out.bytes.size() && !fill_out(w))
            return;
        iovec part{w.out.bytes.data() + w.out.sent, w.out.bytes.size() - w.out.sent};
        io_result sent = net_write(*w.e, w.net, {&part, 1}, w.out.object_left > 0);
        switch (sent.state) {
        case io_state::done:
            w.out.sent += sent.count;
            if (!w.out.is_pong) // a pod that only pings makes no progress
                note_progress(w);
            break;
        case io_state::again: net_wait(*w.e, w.net, net_side::writable, send_on, &w); break;
        case io_state::end:
        case io_state::failed: w.is_deaf = true; break; // the reading side decides
        }
    }
}

// --- receiving

static error broken(const char *how) { return make_error(error_code::bad_pod_answer, how); }

// No more of the reply comes. `how` tells the user what the pod did, if the reply has not begun.
static void lose(websocket &w, error err, const std::string &how)
{
    w.read_err = err;
    w.text = "ETL error: the pod " + how;
}

// Handles everything but data. Answering a ping may end the machine, because it may send the object's next bytes.
static void take_other(websocket &w, const websocket_taken &taken)
{
    if (taken.kind == websocket_taken::what::ping) {
        w.out.ping = taken.bytes;
        w.out.is_pinged = true;
        send(w);
    } else if (taken.kind == websocket_taken::what::closed) {
        lose(w, make_error(error_code::end_of_stream, "the pod closed its WebSocket in the middle of its answer"),
            "closed its WebSocket without an answer (" + websocket_close_words(taken.bytes) + ")");
    } else {
        w.read_err = broken(taken.fault);
        say_goodbye(w, websocket_close_protocol_error);
    }
}

// done: `out_taken` is data of the reply. again: no more has come yet. failed: see w.read_err, or the machine has ended.
static io_state take_data(websocket &w, websocket_taken &out_taken)
{
    while (w.net != nullptr && !w.read_err) {
        out_taken = websocket_take(*w.frames, w.in);
        if (out_taken.kind == websocket_taken::what::data) {
            if (!out_taken.bytes.empty())
                note_progress(w);
            return io_state::done;
        }
        if (out_taken.kind != websocket_taken::what::none) {
            take_other(w, out_taken);
            continue;
        }
        io_result got = net_read(*w.e, w.net, w.buffer.get(), stream_buffer_size);
        if (got.state == io_state::again)
            return io_state::again;
        if (got.state == io_state::done)
            w.in = {w.buffer.get(), got.count};
        else if (got.state == io_state::end)
            lose(w, make_error(error_code::end_of_stream, "the pod closed the connection in the middle of its answer"),
                "closed the connection of its WebSocket without an answer");
        else
            lose(w, make_error(error_code::reset, "the pod reset the connection in the middle of its answer"),
                "reset the connection of its WebSocket without an answer");
    }
    return io_state::failed;
}

// --- the reply's beginning

// A reply in text is the pod's own error.
static void end_text(websocket &w)
{
    if (websocket_text_to_error(w.given, w.given.size() == pod_error_text_max))
        step(w, E::reply_begins);
    else
        fail(w, broken(nullptr), "ETL error: the pod replied with a text that is not UTF-8: \"" + text_escape(w.given, 200) + "\"");
}

static void take_text(websocket &w, std::string_view bytes, bool is_whole)
{
    w.given.append(bytes.substr(0, pod_error_text_max - w.given.size()));
    if (is_whole || w.given.size() == pod_error_text_max)
        end_text(w);
}

static void lose_reply(websocket &w)
{
    if (w.read_err.code == error_code::bad_pod_answer)
        fail(w, w.read_err);
    else if (!w.given.empty()) // a part of the pod's text says more than the way it ended
        end_text(w);
    else
        fail(w, make_error(error_code::pod_gone), std::move(w.text));
}

static void on_readable(void *arg);

static void read_reply(websocket &w)
{
    while (sm_state_of(w) == S::awaiting_reply) {
        websocket_taken taken;
        io_state state = take_data(w, taken);
        if (state == io_state::again) {
            net_wait(*w.e, w.net, net_side::readable, on_readable, &w);
            return;
        }
        if (sm_state_of(w) != S::awaiting_reply)
            return; // the object failed while a ping was answered
        if (state != io_state::done) {
            lose_reply(w);
        } else if (taken.is_text) {
            w.reply = message::text;
            take_text(w, taken.bytes, taken.is_last);
        } else {
            w.reply = message::binary;
            w.first = taken;
            step(w, E::reply_begins);
        }
    }
}

static void on_readable(void *arg) { read_reply(of(arg)); }

// --- the reply as the end of a pump

static void give(websocket &w, const websocket_taken &taken)
{
    w.given.append(taken.bytes);
    if (taken.is_last)
        w.reply = message::whole;
}

// Frames may be small, so the pull gathers them.
static pull_result pull(void *self, net_relay *, bool)
{
    static constexpr size_t piece_size_max = 4 * kib; // the most that one frame gives at a time
    websocket &w = of(self);
    if (w.source_err)
        return {pull_state::failed, {}, 0, w.source_err};
    if (w.reply == message::text) {
        w.reply = message::whole;
        return {pull_state::bytes, w.given, w.given.size(), no_error};
    }
    w.given.clear();
    if (w.first.kind == websocket_taken::what::data)
        give(w, w.first);
    w.first = {};
    io_state state = io_state::done;
    while (w.reply != message::whole && state == io_state::done && w.given.size() + piece_size_max <= stream_buffer_size) {
        websocket_taken taken;
        state = take_data(w, taken);
        if (state == io_state::done)
            give(w, taken);
    }
    if (!w.given.empty())
        return {pull_state::bytes, w.given, w.given.size(), no_error};
    if (w.reply == message::whole)
        return {pull_state::end, {}, 0, no_error};
    return {w.read_err ? pull_state::failed : pull_state::again, {}, 0, w.read_err};
}

static void wait(void *self, net_on_ready on_ready, void *arg)
{
    websocket &w = of(self);
    w.on_ready = on_ready;
    w.ready_arg = arg;
    net_wait(*w.e, w.net, net_side::readable, run_waiter, &w);
}

static void wait_cancel(void *self)
{
    websocket &w = of(self);
    w.on_ready = nullptr;
    if (w.net != nullptr)
        net_wait_cancel(*w.e, w.net, net_side::readable);
}

static uint64_t last_progress_ms(const void *self) { return static_cast<const websocket *>(self)->last_progress_ms; }
static const char *stall_text(const void *) { return "timeout: the answer stopped"; }

static constexpr stream_from_ops reply_ops = {false, pull, wait, wait_cancel, last_progress_ms, stall_text};

static void close_reply(void *self)
{
    of(self).is_released = true;
    step(of(self), of(self).reply == message::whole ? E::finished : E::stop);
}

// --- the upgrade

static void begin_frames(websocket &w, call &c)
{
    std::string behind;
    w.net = call_take_connection(c, behind);
    w.upgrade = nullptr;
    w.buffer = std::make_unique_for_overwrite<char[]>(std::max(stream_buffer_size, behind.size()));
    std::copy(behind.begin(), behind.end(), w.buffer.get());
    w.in = {w.buffer.get(), behind.size()};
    step(w, E::upgraded);
    send(w);
    read_reply(w);
}

static void on_upgrade_head(void *arg, call &c, const http_head &head)
{
    websocket &w = of(arg);
    if (websocket_is_trouble(head.status)) {
        w.listener.on_head(w.listener.arg, head);
        step(w, E::answered);
        return;
    }
    if (std::string fault = websocket_upgrade_fault(head, w.accept); !fault.empty())
        fail(w, broken(nullptr), "ETL error: " + fault);
    else
        begin_frames(w, c);
}

static void on_upgrade_failed(void *arg, call &c, error err, int, std::string)
{
    websocket &w = of(arg);
    w.upgrade = nullptr;
    w.begun = call_begun_head(c);
    fail(w, err);
}

static void on_deadline(void *arg)
{
    websocket &w = of(arg);
    uint64_t limit = w.last_progress_ms + w.obj_timeout_ms;
    uint64_t now = clock_now_ms(*w.e);
    if (limit > now) {
        timer_arm(*w.e, w.deadline_timer, limit - now);
        return;
    }
    w.err = make_error(error_code::timed_out, "timeout: no answer");
    step(w, E::deadline);
}

// --- the stage

// A server that says in HTTP what is wrong: its answer is the call's, and nothing else is left to do.
static source answer_of(void *self, uint64_t patience_ms)
{
    websocket &w = of(self);
    if (w.upgrade == nullptr)
        return {{.pause_ms = patience_ms}, {&reply_ops, &w}, close_reply, patience_ms, nullptr};
    source answer = source_call(*w.upgrade, patience_ms);
    w.upgrade = nullptr;
    w.is_released = true;
    return answer;
}

static void cancel(void *self)
{
    of(self).is_released = true;
    if (sm_state_of(of(self)) != S::done)
        step(of(self), E::stop);
}

static constexpr stage_ops ops = {answer_of, cancel};

static void start_upgrade(websocket &w, transfer &t)
{
    std::string key = websocket_key_make(w.e->random);
    w.accept = websocket_accept_of(key);
    call_options request;
    request.target = "/ws";
    request.upgrade = "websocket";
    http_write_header(request.headers, "Sec-WebSocket-Version", "13");
    http_write_header(request.headers, "Sec-WebSocket-Key", key);
    mode_address_pod(t, request);
    request.on_head = on_upgrade_head;
    request.on_done = on_upgrade_failed;
    request.arg = &w;
    w.client = t.host->client;
    w.pod_host = request.host;
    w.pod_port = request.port;
    w.pod_instance = request.instance;
    w.upgrade = call_start(*w.client, std::move(request));
}

static source open_object(transfer &t)
{
    const store_object &object = *t.object;
    if (object.file == nullptr)
        return source_memory(*t.e, object.content, {});
    return source_stored(*t.e, *t.host->objects, store_share(*t.host->objects, object), t.host->lookups, source_blocks::checked);
}

static stage begin(transfer &t)
{
    auto *w = new websocket;
    w->sm = {.id = t.e->next_machine_id++, .owner = "transfer", .owner_id = t.sm.id};
    w->e = t.e;
    w->listener = t.listener;
    w->owner = &t;
    w->obj_timeout_ms = t.config.obj_timeout_ms;
    w->deadline_timer = timer_make(*t.e, on_deadline, w);
    w->pong_timer = timer_make(*t.e, send_on, w);
    w->frames = websocket_frames_make(t.e->random);
    w->control = websocket_control_of(t.name, transfer_asked_query(t), direct_put_url(t));
    w->object = open_object(t);
    start_upgrade(*w, t);
    return {&ops, w};
}

constexpr transfer_mode websocket_mode = {.mode = etl_mode::ws,
    .choice = read_mode::ws,
    .refusal = websocket_refusal,
    .begin = begin,
    .location = nullptr,
    .sends_object = true,
    .tries_methods = false,
    .pod_reads = false,
    .passes_headers = false,
    .machine = machine};

} // namespace etlnode
