// SPDX-License-Identifier: MIT
// transfer/transfer_machine.cc: one transformed read, whatever its mode.
//
// Owns     the exchange until it is answered, the object it reads, one call to the pod, one pump, one timer, one slot at the pod.
// Knows    sm, port, http, store, etl (read-only). Known by  role.
// Machine  transfer, drawn in docs/machines/transfer.md (generated, do not edit).
// Normal   awaiting_object, awaiting_pod, awaiting_answer, streaming, done.
// Fails    before the first byte with a status (docs/PROTOCOL.md, "What a transformed read answers"); after it the connection is cut.
// Limits   transfers_max, pod_connections_max, pod_queue_max, pod_ready_wait_ms, obj_timeout of the ETL.
#include "transfer/transfer_machine.h"

#include <algorithm>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "sm/sm_verify.h"
#include "transfer/choose.h"
#include "transfer/machines.h"

using S = transfer::state;
using E = transfer::event;

static void step(transfer &t, E event);

// --- the pod: what the registry says of it, and this target's queue before it

static read_stage stage_of(const etl_registry &etls, std::string_view id, etl_view &view)
{
    if (!etl_registry_find(etls, id, view))
        return read_stage::absent;
    switch (view.phase) {
    case etl_phase::starting: return read_stage::starting;
    case etl_phase::serving: return view.ready ? read_stage::ready : read_stage::not_ready;
    case etl_phase::stopping:
    case etl_phase::failed:
    case etl_phase::gone: return read_stage::ended;
    }
    return read_stage::absent;
}

static read_how how_of(communication how)
{
    switch (how) {
    case communication::hpush: return read_how::hpush;
    case communication::hrev: return read_how::hrev;
    case communication::hpull: return read_how::hpull;
    }
    return read_how::plain;
}

static read_action decide(const transfer_host &host, const exchange &x, std::string_view etl_id, etl_view &view)
{
    read_stage stage = stage_of(*host.etls, etl_id, view);
    read_how how = stage == read_stage::absent ? read_how::hpush : how_of(view.mode); // an unknown one has no mode; any gives the same row
    return transfer_choose({read_role::target, transfer_method_of(exchange_head(x).method), how, stage, read_place::here});
}

static void release_slot(transfer &t);
static void try_pod(transfer &t);

struct wake_request {
    transfer_host *host;
    std::string etl_id;
};

static void wake_queue(void *arg)
{
    wake_request *wake = static_cast<wake_request *>(arg);
    auto found = wake->host->pods.find(wake->etl_id);
    if (found != wake->host->pods.end()) {
        std::deque<transfer *> waiting = found->second.queue; // try_pod may change the queue
        for (transfer *t : waiting) {
            if (sm_state_of(*t) == S::awaiting_pod)
                try_pod(*t);
        }
    }
    delete wake;
}

static void post_wake(transfer_host &host, std::string_view etl_id) { clock_post(*host.e, wake_queue, new wake_request{&host, std::string(etl_id)}); }

// A slot is free: for the oldest that waits. There is no need to look at all of them.
static void wake_first(void *arg)
{
    wake_request *wake = static_cast<wake_request *>(arg);
    for (;;) {
        auto found = wake->host->pods.find(wake->etl_id);
        if (found == wake->host->pods.end() || found->second.queue.empty())
            break;
        transfer &t = *found->second.queue.front();
        try_pod(t);
        if (t.in_queue)
            break; // no slot after all, or the pod is not ready: then all are woken when it is
    }
    delete wake;
}

static void post_wake_first(transfer_host &host, std::string_view etl_id) { clock_post(*host.e, wake_first, new wake_request{&host, std::string(etl_id)}); }

static void leave_queue(transfer &t)
{
    if (!t.in_queue)
        return;
    std::deque<transfer *> &queue = t.host->pods[t.etl_id].queue;
    queue.erase(std::find(queue.begin(), queue.end(), &t));
    t.in_queue = false;
}

static void join_queue(transfer &t)
{
    if (t.in_queue)
        return;
    t.host->pods[t.etl_id].queue.push_back(&t);
    t.in_queue = true;
}

static void take_slot(transfer &t)
{
    t.host->pods[t.etl_id].in_flight++;
    t.has_slot = true;
    etl_registry_use(*t.host->etls, t.etl_id, 1);
}

static void release_slot(transfer &t)
{
    if (!t.has_slot)
        return;
    t.host->pods[t.etl_id].in_flight--;
    t.has_slot = false;
    etl_registry_use(*t.host->etls, t.etl_id, -1);
    if (!t.host->pods[t.etl_id].queue.empty())
        post_wake_first(*t.host, t.etl_id);
}

// What was learnt of a pod holds for one start of its ETL.
static pod_memory &memory_of(transfer &t, const etl_view &view)
{
    pod_memory &memory = t.host->pods[t.etl_id];
    if (memory.generation_id != view.generation_id) {
        memory.generation_id = view.generation_id;
        memory.method_known = false;
        memory.by_put = view.runtime_spec; // specs of 2020 are tried with POST first, today's with PUT
    }
    return memory;
}

// --- the sentinel

static void break_sentinel(transfer &t)
{
    t.sentinel_broken = true;
    t.sentinel_broken_ms = clock_now_ms(*t.e);
}

static void close_sentinel(transfer &t)
{
    if (t.sentinel_connecting != nullptr)
        net_connect_cancel(*t.e, t.sentinel_connecting);
    t.sentinel_connecting = nullptr;
    if (t.sentinel != nullptr)
        net_close(*t.e, t.sentinel);
    t.sentinel = nullptr;
}

static void on_sentinel_readable(void *arg)
{
    transfer &t = *static_cast<transfer *>(arg);
    break_sentinel(t);
    close_sentinel(t);
}

static void on_sentinel(void *arg, error err, net_conn *conn)
{
    transfer &t = *static_cast<transfer *>(arg);
    t.sentinel_connecting = nullptr;
    t.sentinel = conn;
    if (err)
        break_sentinel(t);
    else
        net_wait(*t.e, conn, net_side::readable, on_sentinel_readable, &t);
}

static void open_sentinel(transfer &t)
{
    error err = net_connect(*t.e, t.pod_host.c_str(), t.pod_port, on_sentinel, &t, &t.sentinel_connecting);
    if (err)
        break_sentinel(t);
}

// Broken just now: the process died with its answer. Broken long ago: the server has no patience with silent clients; if it had died
// then, the watch would have said so by now.
static bool is_sentinel_alarmed(transfer &t)
{
    static constexpr uint64_t watch_delay_ms = 3'000;
    bool end = false;
    if (t.sentinel != nullptr && (net_has_unread(*t.e, t.sentinel, &end) || end))
        return true;
    return t.sentinel_broken && clock_now_ms(*t.e) - t.sentinel_broken_ms < watch_delay_ms;
}

// --- ending

static void delete_transfer(void *arg)
{
    transfer *t = static_cast<transfer *>(arg);
    timer_free(*t->e, t->clock);
    delete t;
}

static void let_go(transfer &t)
{
    leave_queue(t);
    timer_stop(*t.e, t.clock);
    if (t.stream != nullptr)
        pump_cancel(*t.stream);
    t.stream = nullptr;
    if (t.request != nullptr)
        call_cancel(*t.request);
    t.request = nullptr;
    if (t.probe != nullptr)
        net_connect_cancel(*t.e, t.probe);
    t.probe = nullptr;
    close_sentinel(t);
    release_slot(t);
    if (t.object != nullptr)
        store_release(*t.host->objects, t.object);
    t.object = nullptr;
}

// What went well is not worth a line each; a read that was handed to its pod is, for whoever looks closely.
static void log_outcome(const transfer &t)
{
    static constexpr const char *names[] = {"ok", "redirected", "pod_error", "failed", "cut"};
    if (t.outcome == transfer_outcome::ok)
        return;
    std::string line = text_format("request=%s etl=%s object=\"ais://%s/%s\" outcome=%s reason=\"%s\"", std::string(exchange_request_id(*t.x)).c_str(), t.etl_id.c_str(),
                                   t.bucket.c_str(), text_escape(t.name).c_str(), names[static_cast<size_t>(t.outcome)], text_escape(t.err_text).c_str());
    if (t.outcome == transfer_outcome::redirected)
        LOG(debug, "transfer", "%s", line.c_str());
    else
        LOG(info, "transfer", "%s", line.c_str());
}

static void end(transfer &t)
{
    uint64_t in_bytes = t.object != nullptr && t.has_slot && t.how == communication::hpush ? t.object->row.size : 0;
    let_go(t);
    t.host->in_flight--;
    if (t.is_counted)
        t.host->pods[t.etl_id].transfers--;
    transfer_report report;
    report.etl_id = t.etl_id;
    report.outcome = t.outcome;
    report.in_bytes = in_bytes;
    report.out_bytes = t.out_bytes;
    report.duration_ms = clock_now_ms(*t.e) - t.began_ms;
    report.bucket = t.bucket;
    report.name = t.name;
    report.request_id = exchange_request_id(*t.x);
    report.text = t.err_text;
    report.status = t.err_status != 0 ? t.err_status : error_http_status(t.err.code);
    report.client_gone = t.client_gone;
    log_outcome(t);
    if (t.host->options.on_end != nullptr)
        t.host->options.on_end(t.host->options.arg, report);
    if (!t.looking_up)
        clock_post(*t.e, delete_transfer, &t);
}

// Sets what a refusal will say; the machine decides whether it is said or the connection is cut.
static void set_error(transfer &t, error_code code, std::string text, int status = 0)
{
    t.err = make_error(code);
    t.err_text = static_cast<std::string &&>(text);
    t.err_status = status;
    t.outcome = transfer_outcome::failed;
}

static void refuse(transfer &t)
{
    exchange_on_gone(*t.x, nullptr, nullptr, false);
    std::string headers;
    if (t.err.code == error_code::bad_range)
        http_write_header(headers, "Accept-Ranges", "none");
    if (t.err.code == error_code::method_not_allowed)
        http_write_header(headers, "Allow", "GET");
    exchange *x = t.x;
    error_code code = t.err.code;
    int status = t.err_status;
    std::string text = t.err_text;
    end(t);
    exchange_answer_error(*x, code, text, status, static_cast<std::string &&>(headers));
}

static void refuse_not_ready(transfer &t)
{
    if (t.err_text.empty() || !t.err)
        set_error(t, error_code::not_ready, "ETL error: the pod of etl job " + t.etl_id + " is not ready");
    refuse(t);
}

static void refuse_stalled(transfer &t)
{
    set_error(t, error_code::timed_out, "ETL error: timeout: the pod sent nothing for " + text_duration(t.obj_timeout_ms));
    refuse(t);
}

static void cut(transfer &t)
{
    exchange_on_gone(*t.x, nullptr, nullptr, false);
    t.outcome = transfer_outcome::cut;
    exchange *x = t.x;
    end(t);
    exchange_stream_end(*x, false);
}

static void cut_or_refuse(transfer &t)
{
    if (t.begun)
        cut(t);
    else
        refuse(t);
}

// The client has gone: whatever is answered goes nowhere, but the exchange must be given back.
static void end_gone(transfer &t)
{
    t.outcome = transfer_outcome::cut;
    t.client_gone = true;
    t.err_text = "the client has gone";
    exchange *x = t.x;
    bool begun = t.begun;
    end(t);
    if (begun)
        exchange_stream_end(*x, false);
    else
        exchange_answer(*x, answer{});
}

static void end_stopped(transfer &t)
{
    set_error(t, error_code::stopping, "the node is shutting down");
    cut_or_refuse(t);
}

// --- actions on the way

static void enqueue(transfer &t)
{
    join_queue(t);
    if (t.wait_until_ms == 0)
        t.wait_until_ms = clock_now_ms(*t.e) + t.host->options.pod_ready_wait_ms;
    uint64_t now = clock_now_ms(*t.e);
    timer_arm(*t.e, t.clock, t.wait_until_ms > now ? t.wait_until_ms - now : 0);
}

static void requeue(transfer &t)
{
    t.request = nullptr;
    release_slot(t);
    etl_registry_report_refused(*t.host->etls, t.etl_id);
    enqueue(t);
}

static void on_head(void *arg, call &c, const http_head &head);
static void on_call_done(void *arg, call &c, error err, int status, std::string body);

static void start_call(transfer &t)
{
    call_options options;
    transfer_mode_of(t.how).request(t, options);
    options.host = t.pod_host;
    options.port = t.pod_port;
    options.instance = t.etl_id + "/" + t.pod_instance;
    options.may_reuse = t.reuse_connections;
    options.reach = net_reach::this_machine; // a pod runs beside its target
    http_write_header(options.headers, "X-Request-Id", exchange_request_id(*t.x));
    options.connect_timeout_ms = pod_connect_timeout_ms;
    options.progress_timeout_ms = t.obj_timeout_ms;
    options.on_head = on_head;
    options.on_done = on_call_done;
    options.arg = &t;
    t.request = call_start(*t.host->client, static_cast<call_options &&>(options));
}

static void send_request(transfer &t)
{
    leave_queue(t);
    timer_stop(*t.e, t.clock);
    take_slot(t);
    t.err = no_error;
    start_call(t);
}

static void send_by_other_method(transfer &t)
{
    timer_stop(*t.e, t.clock);
    if (t.request != nullptr)
        call_cancel(*t.request);
    t.request = nullptr;
    t.method_tried = true;
    t.first_status = t.answer_status;
    t.first_text.swap(t.buffered);
    t.buffered.clear();
    t.by_put = !t.by_put;
    start_call(t);
}

static std::string object_error_text(const transfer &t, error err)
{
    std::string text = "t[" + t.host->options.node_id + "]: ais://" + t.bucket + "/" + t.name;
    if (err.code == error_code::object_not_found)
        return text + " does not exist (what there is: GET /v1/buckets/" + t.bucket + ")";
    if (err.code == error_code::corrupt)
        return text + ": data is corrupt" + (err.what != nullptr ? std::string(": ") + err.what : "");
    return text + " " + error_text(err);
}

// The pod was given a part of the object, or may have been: what it made of that must not pass for the whole.
static void end_damaged(transfer &t)
{
    set_error(t, error_code::corrupt, object_error_text(t, make_error(error_code::corrupt)));
    cut_or_refuse(t);
}

static void answer_redirect(transfer &t)
{
    answer a;
    a.status = 307;
    http_write_header(a.headers, "Location", transfer_mode_of(t.how).location(t));
    t.outcome = transfer_outcome::redirected;
    exchange_on_gone(*t.x, nullptr, nullptr, false);
    exchange *x = t.x;
    end(t);
    exchange_answer(*x, static_cast<answer &&>(a));
}

static void on_error_readable(void *arg);
static void on_buffer_readable(void *arg);

static void await_error_text(transfer &t) { timer_arm(*t.e, t.clock, t.obj_timeout_ms); }
static void await_end(transfer &t) { timer_arm(*t.e, t.clock, t.obj_timeout_ms); }

static answer success_answer(transfer &t)
{
    answer a;
    a.status = t.answer_status;
    a.headers = t.answer_headers;
    if (t.how == communication::hpush) {
        pod_memory &memory = t.host->pods[t.etl_id];
        memory.method_known = true;
        memory.by_put = t.by_put;
    }
    return a;
}

static void on_pumped(void *arg, error err, uint64_t bytes);

static void begin_stream(transfer &t)
{
    timer_stop(*t.e, t.clock);
    t.begun = true;
    exchange_stream_begin(*t.x, success_answer(t), t.has_length, t.length);
    pump_options options;
    options.source_timeout_ms = t.obj_timeout_ms;
    options.sink_timeout_ms = body_stall_timeout_ms;
    options.has_length = t.has_length;
    options.length = t.length;
    options.prefix.swap(t.buffered);
    options.on_done = on_pumped;
    options.arg = &t;
    t.stream = pump_start(*t.x, *t.request, static_cast<pump_options &&>(options));
}

static void answer_head_only(transfer &t)
{
    exchange_on_gone(*t.x, nullptr, nullptr, false);
    answer a = success_answer(t);
    uint64_t length = t.has_length ? t.length : length_unknown;
    call_finish(*t.request);
    t.request = nullptr;
    exchange *x = t.x;
    end(t);
    exchange_answer_head(*x, static_cast<answer &&>(a), length);
}

static void end_complete(transfer &t)
{
    timer_stop(*t.e, t.clock);
    exchange_on_gone(*t.x, nullptr, nullptr, false);
    if (t.request != nullptr)
        call_finish(*t.request);
    t.request = nullptr;
    exchange *x = t.x;
    end(t);
    exchange_stream_end(*x, true);
}

static void answer_buffered(transfer &t)
{
    exchange_on_gone(*t.x, nullptr, nullptr, false);
    if (t.request != nullptr)
        call_finish(*t.request);
    t.request = nullptr;
    answer a = success_answer(t);
    a.body.swap(t.buffered);
    t.out_bytes = a.body.size();
    exchange *x = t.x;
    end(t);
    exchange_answer(*x, static_cast<answer &&>(a));
}

static void answer_pod_error(transfer &t)
{
    int status = t.answer_status;
    std::string text = t.buffered;
    // Both methods failed: the first answer tells more, unless all it said is that it does not know the method.
    if (t.method_tried && t.first_status >= 400 && t.first_status != 405 && t.first_status != 501 && (status == 405 || status == 501)) {
        status = t.first_status;
        text = t.first_text;
    }
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
        text.pop_back();
    set_error(t, status >= 500 ? error_code::bad_pod_answer : error_code::bad_request, "ETL error: " + text, status);
    t.outcome = transfer_outcome::pod_error;
    refuse(t);
}

static void on_probe(void *arg, error err, net_conn *conn);

// A close-delimited answer is complete only if the pod is still the one that began it and still listens.
static void probe_pod(transfer &t)
{
    if (t.request != nullptr)
        call_finish(*t.request);
    t.request = nullptr;
    error err = net_connect(*t.e, t.pod_host.c_str(), t.pod_port, on_probe, &t, &t.probe);
    timer_arm(*t.e, t.clock, err ? 0 : pod_connect_timeout_ms); // refused here and now: as good as a timeout
    set_error(t, error_code::pod_gone, "ETL error: the pod went away while it answered");
}

// --- guards

static bool is_redirected(const transfer &t) { return transfer_mode_of(t.how).location != nullptr; }
static bool is_head_request(const transfer &t) { return exchange_head(*t.x).method == "HEAD"; }
static bool is_open_ended(const transfer &t) { return t.is_close_delimited; }
static bool has_begun(const transfer &t) { return t.begun; }
static bool is_damaged(const transfer &t) { return t.object->is_damaged; }
static bool was_refused(const transfer &t) { return t.err.code == error_code::refused || t.err.code == error_code::unreachable; }

static bool is_method_open(const transfer &t)
{
    if (!transfer_mode_of(t.how).tries_methods || t.method_tried)
        return false;
    auto found = t.host->pods.find(t.etl_id);
    return found != t.host->pods.end() && !found->second.method_known;
}

static bool may_try_other_method(const transfer &t)
{
    int status = t.answer_status;
    return is_method_open(t) && (status == 400 || status == 404 || status == 405 || status == 501);
}

// A server that closes over an unread body may take its own refusal back with a reset.
static bool may_be_wrong_method(const transfer &t) { return is_method_open(t) && (t.err.code == error_code::reset || t.err.code == error_code::end_of_stream); }

// --- the table

static constexpr uint32_t OBJECT = 1;
static constexpr uint32_t QUEUE = 2;
static constexpr uint32_t SLOT = 4;
static constexpr uint32_t CALL = 8;
static constexpr uint32_t PUMP = 16;
static constexpr uint32_t PROBE = 32;
static constexpr uint32_t DEADLINE = 64;
static constexpr uint32_t SENTINEL = 128;

static uint32_t alive(const transfer &t)
{
    return (t.object != nullptr ? OBJECT : 0u) | (t.in_queue ? QUEUE : 0u) | (t.has_slot ? SLOT : 0u) | (t.request != nullptr ? CALL : 0u) |
           (t.stream != nullptr ? PUMP : 0u) | (t.probe != nullptr ? PROBE : 0u) |
           (t.sentinel != nullptr || t.sentinel_connecting != nullptr ? SENTINEL : 0u) | (timer_is_armed(*t.e, t.clock) ? DEADLINE : 0u);
}

static constexpr sm_guard<transfer> always{};
static constexpr const char *event_names[] = {"object_found", "object_missing", "pod_ready",    "pod_refused", "pod_lost", "answer_good", "answer_whole", "answer_error",
                                              "answer_open_ended", "answer_refused", "call_failed", "error_text_read", "end_reached", "buffer_full", "pumped",
                                              "pump_failed", "verified", "not_verified", "gone", "deadline", "stop"};
static constexpr const char *resource_names[] = {"object", "queue", "slot", "call", "pump", "probe", "deadline", "sentinel"};

static constexpr sm_state<transfer> states[] = {
    {S::awaiting_object, "awaiting_object", sm_initial, 0, OBJECT},
    {S::awaiting_pod, "awaiting_pod", sm_busy, OBJECT | QUEUE | DEADLINE, OBJECT | QUEUE | DEADLINE},
    {S::awaiting_answer, "awaiting_answer", 0, OBJECT | SLOT | CALL, OBJECT | SLOT | CALL},
    {S::collecting_error, "collecting_error", sm_busy, OBJECT | SLOT | CALL | DEADLINE, OBJECT | SLOT | CALL | DEADLINE},
    {S::buffering, "buffering", sm_busy, OBJECT | SLOT | CALL | DEADLINE, OBJECT | SLOT | CALL | DEADLINE | SENTINEL},
    {S::streaming, "streaming", 0, OBJECT | SLOT | CALL, OBJECT | SLOT | CALL | PUMP | SENTINEL},
    {S::verifying, "verifying", sm_busy, OBJECT | SLOT | DEADLINE, OBJECT | SLOT | PROBE | DEADLINE | SENTINEL},
    {S::done, "done", sm_final, 0, 0},
};

static constexpr sm_row<transfer> rows[] = {
    {S::awaiting_object, E::object_found, always, SM_FN(enqueue), S::awaiting_pod},
    {S::awaiting_object, E::object_missing, always, SM_FN(refuse), S::done},
    {S::awaiting_object, E::gone, always, SM_FN(end_gone), S::done},
    {S::awaiting_object, E::stop, always, SM_FN(end_stopped), S::done},

    {S::awaiting_pod, E::pod_ready, SM_FN(is_redirected), SM_FN(answer_redirect), S::done},
    {S::awaiting_pod, E::pod_ready, always, SM_FN(send_request), S::awaiting_answer},
    {S::awaiting_pod, E::pod_lost, always, SM_FN(refuse), S::done},
    {S::awaiting_pod, E::deadline, always, SM_FN(refuse_not_ready), S::done},
    {S::awaiting_pod, E::gone, always, SM_FN(end_gone), S::done},
    {S::awaiting_pod, E::stop, always, SM_FN(end_stopped), S::done},

    {S::awaiting_answer, E::answer_good, SM_FN(is_damaged), SM_FN(end_damaged), S::done},
    {S::awaiting_answer, E::answer_good, SM_FN(is_head_request), SM_FN(answer_head_only), S::done},
    {S::awaiting_answer, E::answer_good, always, SM_FN(begin_stream), S::streaming},
    {S::awaiting_answer, E::answer_whole, SM_FN(is_damaged), SM_FN(end_damaged), S::done},
    {S::awaiting_answer, E::answer_whole, always, SM_FN(answer_buffered), S::done},
    {S::awaiting_answer, E::answer_open_ended, always, SM_FN(await_end), S::buffering},
    {S::awaiting_answer, E::answer_error, always, SM_FN(await_error_text), S::collecting_error},
    {S::awaiting_answer, E::answer_refused, always, SM_FN(refuse), S::done},
    {S::awaiting_answer, E::pod_refused, always, SM_FN(requeue), S::awaiting_pod},
    {S::awaiting_answer, E::call_failed, SM_FN(may_be_wrong_method), SM_FN(send_by_other_method), S::awaiting_answer},
    {S::awaiting_answer, E::call_failed, always, SM_FN(refuse), S::done},
    {S::awaiting_answer, E::gone, always, SM_FN(end_gone), S::done},
    {S::awaiting_answer, E::stop, always, SM_FN(end_stopped), S::done},

    {S::collecting_error, E::error_text_read, SM_FN(may_try_other_method), SM_FN(send_by_other_method), S::awaiting_answer},
    {S::collecting_error, E::error_text_read, always, SM_FN(answer_pod_error), S::done},
    {S::collecting_error, E::deadline, always, SM_FN(answer_pod_error), S::done},
    {S::collecting_error, E::gone, always, SM_FN(end_gone), S::done},
    {S::collecting_error, E::stop, always, SM_FN(end_stopped), S::done},

    {S::buffering, E::end_reached, always, SM_FN(probe_pod), S::verifying},
    {S::buffering, E::buffer_full, always, SM_FN(begin_stream), S::streaming},
    {S::buffering, E::call_failed, always, SM_FN(refuse), S::done},
    {S::buffering, E::deadline, always, SM_FN(refuse_stalled), S::done},
    {S::buffering, E::gone, always, SM_FN(end_gone), S::done},
    {S::buffering, E::stop, always, SM_FN(end_stopped), S::done},

    {S::streaming, E::pumped, SM_FN(is_damaged), SM_FN(end_damaged), S::done},
    {S::streaming, E::pumped, SM_FN(is_open_ended), SM_FN(probe_pod), S::verifying},
    {S::streaming, E::pumped, always, SM_FN(end_complete), S::done},
    {S::streaming, E::pump_failed, always, SM_FN(cut), S::done},
    {S::streaming, E::gone, always, SM_FN(end_gone), S::done},
    {S::streaming, E::stop, always, SM_FN(end_stopped), S::done},

    {S::verifying, E::verified, SM_FN(is_damaged), SM_FN(end_damaged), S::done},
    {S::verifying, E::verified, SM_FN(has_begun), SM_FN(end_complete), S::done},
    {S::verifying, E::verified, always, SM_FN(answer_buffered), S::done},
    {S::verifying, E::not_verified, always, SM_FN(cut_or_refuse), S::done},
    {S::verifying, E::deadline, always, SM_FN(cut_or_refuse), S::done},
    {S::verifying, E::gone, always, SM_FN(end_gone), S::done},
    {S::verifying, E::stop, always, SM_FN(end_stopped), S::done},
};

static sm_counters counters;
static constexpr sm_table<transfer> table = {"transfer", states, event_names, resource_names, rows, {}, {}, E::stop, E::deadline, alive, &counters};
SM_VERIFY(table);

sm_view transfer_machine_view() { return sm_view_of(table); }

static void step(transfer &t, E event) { sm_step(table, t, event); }

// --- what happens, turned into events

static void try_pod(transfer &t)
{
    etl_view view;
    read_action action = decide(*t.host, *t.x, t.etl_id, view);
    switch (action) {
    case read_action::push:
    case read_action::reverse:
    case read_action::redirect_to_pod: {
        pod_memory &memory = memory_of(t, view);
        if (action != read_action::redirect_to_pod && memory.in_flight >= pod_connections_max) {
            if (t.err.code == error_code::overloaded)
                return; // it waits for a slot already
            uint64_t patience = view.obj_timeout_ms; // the pod works; it is only busy
            timer_arm(*t.e, t.clock, patience);
            t.wait_until_ms = clock_now_ms(*t.e) + patience;
            set_error(t, error_code::overloaded, "ETL error: the pod of etl job " + t.etl_id + " has too many requests");
            return;
        }
        t.how = view.mode;
        t.pod_host = view.host;
        t.pod_port = view.port;
        if (t.how == communication::hpull) {
            t.client_host = view.client_host;
            t.client_port = view.client_port;
        }
        t.pod_instance = view.instance;
        t.runtime_spec = view.runtime_spec;
        t.require_framing = view.require_framing;
        t.reuse_connections = view.reuse_connections;
        t.obj_timeout_ms = view.obj_timeout_ms;
        if (!t.method_tried)
            t.by_put = memory.by_put;
        t.outcome = transfer_outcome::ok;
        step(t, E::pod_ready);
        return;
    }
    case read_action::wait_for_pod: return;
    case read_action::refuse_unknown_etl: set_error(t, error_code::etl_not_found, "etl job " + t.etl_id + " does not exist"); break;
    case read_action::refuse_ended_etl: {
        std::string text = "etl job " + t.etl_id + " does not exist: it is not running on " + t.host->options.node_id;
        if (!view.last_error.empty())
            text += ": " + std::string(view.last_error);
        set_error(t, error_code::etl_not_found, static_cast<std::string &&>(text));
        break;
    }
    case read_action::refuse_method: set_error(t, error_code::method_not_allowed, "an ETL of this communication type transforms GET only"); break;
    case read_action::redirect_to_target:
    case read_action::refuse_no_target:
    case read_action::send_object: panic("transfer: an action that is not for a target's ETL");
    }
    step(t, E::pod_lost);
}

static bool wants_range(const transfer &t)
{
    std::string_view range = http_head_get(exchange_head(*t.x), "Range");
    return !range.empty() && range != "bytes=0-";
}

static bool is_header_passed_back(communication how, const http_header &header, int status)
{
    if (text_equal_ignore_case(header.name, "Content-Range"))
        return status == 206;
    static constexpr std::string_view of_push[] = {"Content-Type", "Content-Encoding", "Content-Language", "Content-Disposition"};
    for (std::string_view name : of_push) {
        if (text_equal_ignore_case(header.name, name))
            return true;
    }
    if (how == communication::hpush)
        return false;
    static constexpr std::string_view ours[] = {"Content-Length", "Date", "X-Request-Id", "Server", "Set-Cookie"};
    for (std::string_view name : ours) {
        if (text_equal_ignore_case(header.name, name))
            return false;
    }
    return !http_header_is_hop_by_hop(header.name);
}

static void keep_headers(transfer &t, const http_head &head)
{
    t.answer_headers.clear();
    for (size_t i = 0; i < head.header_count; i++) {
        if (is_header_passed_back(t.how, head.headers[i], head.status))
            http_write_header(t.answer_headers, head.headers[i].name, head.headers[i].value);
    }
    t.has_length = head.has_length && !head.chunked;
    t.length = head.length;
    if (is_head_request(t)) // what the answer to GET would have; the parser counts no body here
        t.has_length = text_parse_u64(http_head_get(head, "Content-Length"), t.length);
}

static void refuse_answer(transfer &t, error_code code, std::string text)
{
    set_error(t, code, static_cast<std::string &&>(text));
    step(t, E::answer_refused);
}

static void on_head(void *arg, call &c, const http_head &head)
{
    transfer &t = *static_cast<transfer *>(arg);
    t.answer_status = head.status;
    t.is_close_delimited = head.close_delimited;
    t.buffered.clear();
    int status = head.status;
    if (status >= 400 && status <= 599) {
        step(t, E::answer_error);
        on_error_readable(&t);
        return;
    }
    if (status == 200 && wants_range(t) && !http_head_has(exchange_head(*t.x), "If-Range")) { // with it the whole is what is asked for
        refuse_answer(t, error_code::bad_range, "a transformed object has no ranges: its transformer answered the whole");
        return;
    }
    bool good = (status >= 200 && status <= 203) || (status == 206 && wants_range(t));
    if (!good) {
        refuse_answer(t, error_code::bad_pod_answer, "ETL error: the pod answered with unexpected status " + std::to_string(status));
        return;
    }
    keep_headers(t, head);
    if (head.close_delimited && t.require_framing) {
        refuse_answer(t, error_code::bad_pod_answer, "ETL error: the pod's answer has neither Content-Length nor chunks, and require_framing is set");
        return;
    }
    if (head.close_delimited) {
        step(t, E::answer_open_ended);
        on_buffer_readable(&t);
        return;
    }
    // Most answers of small objects have come with their head: then there is nothing to stream.
    bool is_whole = !is_head_request(t) && call_take_whole(c, t.buffered);
    step(t, is_whole ? E::answer_whole : E::answer_good);
}

// What went wrong with the pod's answer; of a reset the error itself only says in which call it was met.
static std::string failure_text(error err) { return err.code == error_code::reset ? "the pod reset the connection" : error_text(err); }

static void set_call_error(transfer &t, error err)
{
    std::string what = "ETL error: " + failure_text(err);
    switch (err.code) {
    case error_code::refused:
    case error_code::unreachable:
        set_error(t, error_code::not_ready, "ETL error: the pod of etl job " + t.etl_id + " refuses connections");
        t.err = err; // for the guard; replaced when the wait is over
        break;
    case error_code::timed_out: set_error(t, error_code::timed_out, what); break;
    case error_code::bad_pod_answer: set_error(t, error_code::bad_pod_answer, what); break;
    case error_code::corrupt:
    case error_code::io: set_error(t, err.code, object_error_text(t, err)); break; // the object, which is sent to the pod
    default:
        set_error(t, error_code::pod_gone, what);
        t.err = make_error(err.code);
        break;
    }
}

static void on_call_done(void *arg, call &, error err, int, std::string)
{
    transfer &t = *static_cast<transfer *>(arg);
    t.request = nullptr;
    t.answer_status = 0;
    set_call_error(t, err);
    if (was_refused(t)) {
        t.err = make_error(error_code::not_ready);
        step(t, E::pod_refused);
        return;
    }
    bool is_of_object = err.code == error_code::corrupt || err.code == error_code::io;
    if (!is_of_object && (!is_method_open(t) || !may_be_wrong_method(t)))
        t.err = make_error(t.err.code == error_code::timed_out || t.err.code == error_code::bad_pod_answer ? t.err.code : error_code::pod_gone);
    step(t, E::call_failed);
}

static void on_error_readable(void *arg)
{
    transfer &t = *static_cast<transfer *>(arg);
    while (t.buffered.size() < pod_error_text_max) {
        pull_result got = call_pull(*t.request, nullptr);
        if (got.state == pull_state::bytes) {
            t.buffered.append(got.bytes.substr(0, pod_error_text_max - t.buffered.size()));
            continue;
        }
        if (got.state == pull_state::again) {
            call_pull_wait(*t.request, on_error_readable, &t);
            return;
        }
        break;
    }
    step(t, E::error_text_read);
}

static void on_buffer_readable(void *arg)
{
    transfer &t = *static_cast<transfer *>(arg);
    for (;;) {
        pull_result got = call_pull(*t.request, nullptr);
        switch (got.state) {
        case pull_state::bytes:
            t.buffered.append(got.bytes);
            if (t.buffered.size() >= stream_buffer_size) {
                if (t.sentinel == nullptr && t.sentinel_connecting == nullptr && !t.sentinel_broken)
                    open_sentinel(t);
                step(t, E::buffer_full);
                return;
            }
            break;
        case pull_state::relayed: break;
        case pull_state::again:
            timer_arm(*t.e, t.clock, t.obj_timeout_ms);
            if (t.sentinel == nullptr && t.sentinel_connecting == nullptr && !t.sentinel_broken)
                open_sentinel(t);
            call_pull_wait(*t.request, on_buffer_readable, &t);
            return;
        case pull_state::end: step(t, E::end_reached); return;
        case pull_state::failed:
            if (got.err.code == error_code::corrupt)
                set_error(t, error_code::corrupt, object_error_text(t, got.err));
            else
                set_error(t, got.err.code == error_code::bad_pod_answer ? error_code::bad_pod_answer : error_code::pod_gone, "ETL error: " + failure_text(got.err));
            step(t, E::call_failed);
            return;
        }
    }
}

static void on_pumped(void *arg, error err, uint64_t bytes)
{
    transfer &t = *static_cast<transfer *>(arg);
    t.stream = nullptr;
    t.out_bytes = bytes;
    if (!err) {
        step(t, E::pumped);
        return;
    }
    t.err_text = failure_text(err);
    step(t, E::pump_failed);
}

static void on_probe(void *arg, error err, net_conn *conn)
{
    transfer &t = *static_cast<transfer *>(arg);
    t.probe = nullptr;
    if (conn != nullptr)
        net_close(*t.e, conn);
    etl_view view;
    bool same = !err && !is_sentinel_alarmed(t) && etl_registry_find(*t.host->etls, t.etl_id, view) && view.instance == t.pod_instance;
    if (same)
        t.outcome = transfer_outcome::ok;
    step(t, same ? E::verified : E::not_verified);
}

static void on_gone(void *arg) { step(*static_cast<transfer *>(arg), E::gone); }
static void on_timer(void *arg) { step(*static_cast<transfer *>(arg), E::deadline); }

static void begin_with_object(void *arg)
{
    transfer &t = *static_cast<transfer *>(arg);
    if (sm_state_of(t) != S::awaiting_object)
        return; // the client went meanwhile
    step(t, E::object_found);
    try_pod(t);
}

static void on_found(void *arg, error err, const store_object *object)
{
    transfer &t = *static_cast<transfer *>(arg);
    t.looking_up = false;
    t.host->lookups--;
    if (sm_state_of(t) == S::done) {
        if (object != nullptr)
            store_release(*t.host->objects, object);
        clock_post(*t.e, delete_transfer, &t);
        return;
    }
    if (err) {
        set_error(t, err.code, object_error_text(t, err));
        step(t, E::object_missing);
        return;
    }
    t.object = object;
    begin_with_object(&t);
}

// Its first block is looked at before a pod hears of it; what follows, while it is sent.
static void look_at_object(transfer &t, const store_object *object)
{
    t.looking_up = true;
    t.host->lookups++;
    store_check(*t.host->objects, object, 0, on_found, &t);
}

static void on_object(void *arg, error err, const store_object *object)
{
    transfer &t = *static_cast<transfer *>(arg);
    if (err || sm_state_of(t) == S::done || store_is_checked(*t.host->objects, object, 0)) {
        on_found(arg, err, object);
        return;
    }
    t.host->lookups--;
    look_at_object(t, object);
}

// --- the host

transfer_host *transfer_host_make(env &e, store &objects, etl_registry &etls, const transfer_host_options &options)
{
    transfer_host *host = new transfer_host;
    host->e = &e;
    host->objects = &objects;
    host->etls = &etls;
    host->options = options;
    host->client = http_client_make(e, http_client_options{});
    return host;
}

void transfer_begin(transfer_host &host, exchange &x, std::string bucket, std::string name, std::string_view etl_id_or_name)
{
    etl_view view;
    bool is_known = etl_registry_find(*host.etls, etl_id_or_name, view);
    std::string id(is_known ? view.id : etl_id_or_name);
    auto pod = is_known ? host.pods.try_emplace(id).first : host.pods.find(id);
    bool has_many = pod != host.pods.end() && pod->second.transfers >= pod_connections_max;
    if (host.in_flight >= transfers_max - (has_many ? transfers_reserved : 0)) {
        exchange_answer_error(x, error_code::overloaded, "too many transformed reads in flight");
        return;
    }
    // The second bound holds for those, too, that still look for their object.
    if (pod != host.pods.end() && (pod->second.queue.size() >= pod_queue_max || pod->second.transfers >= pod_queue_max + pod_connections_max)) {
        exchange_answer_error(x, error_code::overloaded, "too many requests wait for the pod of etl job " + id);
        return;
    }
    transfer *t = new transfer;
    t->sm.id = host.next_id++;
    t->e = host.e;
    t->host = &host;
    t->x = &x;
    t->bucket = static_cast<std::string &&>(bucket);
    t->name = static_cast<std::string &&>(name);
    t->etl_id = static_cast<std::string &&>(id);
    t->began_ms = clock_now_ms(*host.e);
    t->clock = timer_make(*host.e, on_timer, t);
    host.in_flight++;
    t->is_counted = is_known;
    if (is_known)
        pod->second.transfers++;
    exchange_on_gone(x, on_gone, t, true);
    const store_object *hot = store_peek(*host.objects, t->bucket, t->name);
    if (hot != nullptr && !store_is_checked(*host.objects, hot, 0)) {
        look_at_object(*t, hot);
        return;
    }
    t->object = hot;
    if (hot != nullptr) {
        clock_post(*host.e, begin_with_object, t);
        return;
    }
    t->looking_up = true;
    host.lookups++;
    store_get(*host.objects, t->bucket, t->name, on_object, t);
}

void transfer_host_etl_changed(transfer_host &host, std::string_view etl_id)
{
    auto found = host.pods.find(etl_id);
    if (found == host.pods.end())
        return;
    etl_view view;
    bool known = etl_registry_find(*host.etls, etl_id, view);
    if (!found->second.queue.empty())
        post_wake(host, etl_id);
    else if (!known && found->second.in_flight == 0 && found->second.transfers == 0)
        host.pods.erase(found);
}

size_t transfer_host_in_flight(const transfer_host &host) { return host.in_flight; }
size_t transfer_host_lookups(const transfer_host &host) { return host.lookups; }
uint64_t transfer_host_unsolicited(const transfer_host &host) { return http_client_unsolicited(*host.client); }

void transfer_host_free(transfer_host *host)
{
    CHECK(host->in_flight == 0);
    CHECK(host->lookups == 0);
    http_client_free(host->client);
    delete host;
}
