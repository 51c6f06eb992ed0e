// SPDX-License-Identifier: MIT
// transfer/transfer_machine.cc: moves one object from its source, through one pod or none, to its sink.
//
// Owns     source and sink, the object that a pod is given, one stage until its answer has a head, one pump, one timer, one slot at the
//          pod.
// Knows    sm, port, http, store, object, etl (read-only). Known by  role.
// Machine  transfer, drawn in docs/machines/transfer.md (generated, do not edit).
// Normal   awaiting_object, awaiting_pod, awaiting_answer, buffering, streaming, committing, done. Without an ETL awaiting_object,
//          streaming, committing.
// Fails    the sink is abandoned with a refusal. A client that has seen nothing gets it (docs/PROTOCOL.md,
//          "What a transformed read answers"); otherwise its connection is cut.
// Limits   transfers_max, pod_connections_max, pod_queue_max, pod_ready_wait_ms, obj_timeout of the ETL.
#include "transfer/transfer_machine.h"

#include <algorithm>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "sm/sm_verify.h"
#include "transfer/admission.h"
#include "transfer/failure.h"
#include "transfer/finish.h"
#include "transfer/pod_error.h"
#include "transfer/pod_head.h"
#include "transfer/pull.h"
#include "transfer/transfer_machines.h"

namespace etlnode {

using S = transfer::state;
using E = transfer::event;

static void step(transfer &t, E event) { transfer_step(t, event); }

// --- actions on the way

static void enqueue(transfer &t)
{
    admission_join_queue(t);
    if (t.wait_until_ms == 0)
        t.wait_until_ms = clock_now_ms(*t.e) + t.host->options.pod_ready_wait_ms;
    uint64_t now = clock_now_ms(*t.e);
    timer_arm(*t.e, t.deadline_timer, t.wait_until_ms > now ? t.wait_until_ms - now : 0);
}

static void requeue(transfer &t)
{
    admission_release_slot(t);
    etl_ref_report_refused(*t.pod->ref);
    enqueue(t);
}

static void on_head(void *arg, const http_head &head);
static void on_stage_failed(void *arg, const stage_failure &failure);

static void begin_stage(transfer &t)
{
    t.answer_status = 0;
    t.listener = {on_head, on_stage_failed, &t};
    t.at_pod = transfer_mode_of(t.config.mode).begin(t);
}

static void send_request(transfer &t)
{
    admission_leave_queue(t);
    timer_stop(*t.e, t.deadline_timer);
    admission_take_slot(t);
    direct_put_offer(t);
    if (transfer_mode_of(t.config.mode).pod_reads || direct_put_is_offered(t))
        pull_await(t);
    t.err = no_error;
    begin_stage(t);
}

static void send_by_other_method(transfer &t)
{
    timer_stop(*t.e, t.deadline_timer);
    source_close(t.from);
    t.first_status = t.answer_status;
    t.first_text = pod_error_text(t.answer_status, t.answer_type, t.answer_coding, t.buffered);
    t.buffered.clear();
    t.by_put = !t.by_put;
    begin_stage(t);
}

static void on_error_readable(void *arg);
static void on_buffer_readable(void *arg);

static void await_error_text(transfer &t) { timer_arm(*t.e, t.deadline_timer, t.config.obj_timeout_ms); }

static void on_verdict(void *arg, bool complete);

// The sink begins with the first byte of the body, or with its end. A failure before that can still be answered with a status and a reason.
static void await_body(transfer &t) { timer_arm(*t.e, t.deadline_timer, t.config.obj_timeout_ms); }

static void await_end(transfer &t)
{
    answer_check_options options;
    options.host = t.endpoint.host;
    options.port = t.endpoint.port;
    options.witness_host = t.endpoint.witness_host;
    options.witness_port = t.endpoint.witness_port;
    options.instance = t.endpoint.instance;
    options.on_verdict = on_verdict;
    options.arg = &t;
    t.check = answer_check_begin(*t.e, std::move(options));
    timer_arm(*t.e, t.deadline_timer, t.config.obj_timeout_ms);
}

static void on_pumped(void *arg, error err, uint64_t bytes);

// Starts the pump from the source to the sink.
static void deliver(transfer &t)
{
    timer_stop(*t.e, t.deadline_timer);
    t.is_begun = true;
    sink_begin(t.to, finish_good_head(t, t.from.facts));
    pump_options options;
    options.source_timeout_ms = t.from.patience_ms;
    options.sink_timeout_ms = t.to.patience_ms;
    options.has_length = t.from.facts.size != stream_size_unknown;
    options.length = t.from.facts.size;
    options.prefix.swap(t.buffered);
    options.on_done = on_pumped;
    options.arg = &t;
    t.stream = pump_start(*t.e, sink_stream(t.to), t.from.from, std::move(options));
}

static void deliver_object(transfer &t)
{
    t.from = source_stored(*t.e, *t.host->objects, t.object, t.host->lookups);
    t.object = nullptr; // owned by the source
    deliver(t);
}

// The whole answer is in t.buffered. Without a byte it says that the pod has put the result itself, if it has.
static void deliver_buffered(transfer &t)
{
    timer_stop(*t.e, t.deadline_timer);
    source_close(t.from);
    if (t.buffered.empty() && direct_put_has_result(t)) {
        t.from = source_stored(*t.e, *t.host->objects, direct_put_take(t), t.host->lookups);
        deliver(t);
        return;
    }
    if (!sink_takes_answer(t.to)) {
        t.from = source_memory(*t.e, std::move(t.buffered), {});
        deliver(t);
        return;
    }
    t.out_bytes = t.buffered.size();
    sink_head head = finish_good_head(t, {.size = t.buffered.size()});
    sink_answer(t.to, head, t.buffered);
    sm_emit(t, E::pumped);
}

static void on_committed(void *arg, const sink_outcome &outcome);

// Everything has reached the sink.
static void commit(transfer &t)
{
    source_close(t.from);
    if (sink_commits_at_once(t.to))
        sm_emit(t, E::committed); // finish_committed does it, because the client's next request may follow at once
    else
        sink_commit(t.to, on_committed, &t);
}

// A close-delimited answer is complete only if the pod's process is still alive.
static void check_end(transfer &t)
{
    source_close(t.from);
    timer_stop(*t.e, t.deadline_timer);
    failure_set(t, error_code::pod_gone, "ETL error: the pod went away while it answered");
    answer_check_judge(*t.check);
}

// The pod could not send its result a second time. Others may have its place meanwhile.
static void pause_for_pod(transfer &t)
{
    static constexpr uint64_t first_ms = 1'000, most_ms = 30'000;
    source_close(t.from);
    t.buffered.clear();
    admission_release_slot(t);
    timer_arm(*t.e, t.deadline_timer, std::min(first_ms << t.transient_failures, most_ms));
    t.transient_failures++;
    t.wait_until_ms = 0;
    t.err = no_error;
}

// --- guards

static bool is_plain(const transfer &t) { return t.etl_id.empty(); }
static bool is_unjudged(const transfer &t) { return t.check != nullptr; }
static bool is_begun(const transfer &t) { return t.is_begun; }

static bool may_try_other_method(const transfer &t)
{
    if (!transfer_mode_of(t.config.mode).tries_methods || t.first_status != 0 || !finish_may_be_of_method(t.answer_status))
        return false;
    return !t.pod->method_known;
}

static bool may_put_again(const transfer &t)
{
    static constexpr size_t tries_max = 10;
    return direct_put_is_offered(t) && t.retry_reason == retry_reason_transient && t.transient_failures < tries_max;
}

static bool first_was_of_handler(const transfer &t) { return t.first_status != 0 && !finish_knows_not_method(t.first_status); }

// --- the table

static constexpr uint32_t OBJECT = 1;
static constexpr uint32_t QUEUE = 2;
static constexpr uint32_t SLOT = 4;
static constexpr uint32_t STAGE = 8;
static constexpr uint32_t PUMP = 16;
static constexpr uint32_t VERDICT = 32; // of a close-delimited answer
static constexpr uint32_t DEADLINE = 64;
static constexpr uint32_t SOURCE = 128;
static constexpr uint32_t SINK = 256;

static uint32_t alive(const transfer &t)
{
    return (t.object != nullptr ? OBJECT : 0u) | (t.place == admission::queued ? QUEUE : 0u) | (t.place == admission::slot ? SLOT : 0u) |
           (stage_is_open(t.at_pod) ? STAGE : 0u) | (t.stream != nullptr ? PUMP : 0u) | (t.check != nullptr ? VERDICT : 0u) |
           (timer_is_armed(*t.e, t.deadline_timer) ? DEADLINE : 0u) | (source_is_open(t.from) ? SOURCE : 0u) |
           (sink_is_open(t.to) ? SINK : 0u);
}

static constexpr sm_resource resources[] = {{OBJECT, "object"}, {QUEUE, "queue"}, {SLOT, "slot"}, {STAGE, "stage"}, {PUMP, "pump"},
    {VERDICT, "check"}, {DEADLINE, "deadline"}, {SOURCE, "source"}, {SINK, "sink"}};

static constexpr sm_state<transfer> states[] = {
    {S::awaiting_object, sm_initial, SINK, OBJECT | SINK},
    {S::awaiting_pod, sm_busy, OBJECT | QUEUE | DEADLINE | SINK, OBJECT | QUEUE | DEADLINE | SINK},
    {S::awaiting_answer, 0, OBJECT | SLOT | STAGE | SINK, OBJECT | SLOT | STAGE | SINK},
    {S::collecting_error, sm_busy, OBJECT | SLOT | SOURCE | DEADLINE | SINK, OBJECT | SLOT | SOURCE | DEADLINE | SINK},
    {S::pausing, sm_busy, OBJECT | DEADLINE | SINK, OBJECT | DEADLINE | SINK},
    {S::buffering, sm_busy, OBJECT | SLOT | SOURCE | DEADLINE | SINK, OBJECT | SLOT | SOURCE | VERDICT | DEADLINE | SINK},
    {S::streaming, 0, SINK, OBJECT | SLOT | SOURCE | VERDICT | PUMP | SINK},           // the pump has deadlines
    {S::verifying, 0, OBJECT | SLOT | VERDICT | SINK, OBJECT | SLOT | VERDICT | SINK}, // so has the check
    {S::committing, 0, SINK, OBJECT | SLOT | SINK}, // the store completes every call, and a call to another target has a deadline
    {S::done, sm_final, 0, 0},
};

static constexpr sm_row<transfer> rows[] = {
    {S::awaiting_object, E::object_found, SM_FN(is_plain), SM_FN(deliver_object), S::streaming},
    {S::awaiting_object, E::object_found, always, SM_FN(enqueue), S::awaiting_pod},
    {S::awaiting_object, E::object_missing, always, SM_FN(finish_failed), S::done},
    {S::awaiting_object, E::stop, always, SM_FN(finish_stopped), S::done},

    {S::awaiting_pod, E::pod_ready, always, SM_FN(send_request), S::awaiting_answer},
    {S::awaiting_pod, E::redirected, always, SM_FN(finish_redirected), S::done},
    {S::awaiting_pod, E::pod_lost, always, SM_FN(finish_failed), S::done},
    {S::awaiting_pod, E::deadline, always, SM_FN(finish_not_ready), S::done},
    {S::awaiting_pod, E::stop, always, SM_FN(finish_stopped), S::done},

    {S::awaiting_answer, E::answer_bodyless, always, SM_FN(finish_bodyless), S::done},
    {S::awaiting_answer, E::answer_whole, always, SM_FN(deliver_buffered), S::streaming},
    {S::awaiting_answer, E::answer_good, always, SM_FN(await_body), S::buffering},
    {S::awaiting_answer, E::answer_open_ended, always, SM_FN(await_end), S::buffering},
    {S::awaiting_answer, E::answer_error, always, SM_FN(await_error_text), S::collecting_error},
    {S::awaiting_answer, E::answer_refused, always, SM_FN(finish_failed), S::done},
    {S::awaiting_answer, E::pod_refused, always, SM_FN(requeue), S::awaiting_pod},
    {S::awaiting_answer, E::call_failed, SM_FN(first_was_of_handler), SM_FN(finish_first_error), S::done},
    {S::awaiting_answer, E::call_failed, always, SM_FN(finish_failed), S::done},
    {S::awaiting_answer, E::stop, always, SM_FN(finish_stopped), S::done},

    {S::collecting_error, E::error_text_read, SM_FN(may_put_again), SM_FN(pause_for_pod), S::pausing},
    {S::collecting_error, E::error_text_read, SM_FN(may_try_other_method), SM_FN(send_by_other_method), S::awaiting_answer},
    {S::collecting_error, E::error_text_read, always, SM_FN(finish_pod_error), S::done},
    {S::collecting_error, E::deadline, always, SM_FN(finish_pod_error), S::done},
    {S::collecting_error, E::stop, always, SM_FN(finish_stopped), S::done},

    {S::pausing, E::deadline, always, SM_FN(enqueue), S::awaiting_pod},
    {S::pausing, E::stop, always, SM_FN(finish_stopped), S::done},

    {S::buffering, E::end_reached, SM_FN(is_unjudged), SM_FN(check_end), S::verifying},
    {S::buffering, E::end_reached, always, SM_FN(deliver_buffered), S::streaming},
    {S::buffering, E::buffer_full, always, SM_FN(deliver), S::streaming},
    {S::buffering, E::call_failed, always, SM_FN(finish_failed), S::done},
    {S::buffering, E::deadline, always, SM_FN(finish_stalled), S::done},
    {S::buffering, E::stop, always, SM_FN(finish_stopped), S::done},

    {S::streaming, E::pumped, SM_FN(is_unjudged), SM_FN(check_end), S::verifying},
    {S::streaming, E::pumped, always, SM_FN(commit), S::committing},
    {S::streaming, E::pump_failed, always, SM_FN(finish_failed), S::done},
    {S::streaming, E::stop, always, SM_FN(finish_stopped), S::done},

    {S::verifying, E::verified, SM_FN(is_begun), SM_FN(commit), S::committing},
    {S::verifying, E::verified, always, SM_FN(deliver_buffered), S::streaming},
    {S::verifying, E::not_verified, always, SM_FN(finish_failed), S::done},
    {S::verifying, E::stop, always, SM_FN(finish_stopped), S::done},

    {S::committing, E::committed, always, SM_FN(finish_committed), S::done},
    {S::committing, E::not_committed, always, SM_FN(finish_failed), S::done},
    {S::committing, E::stop, always, SM_FN(finish_stopped), S::done},
};

// What to do outside of the step.
static void note_news(transfer &t, S from, E event)
{
    if ((event == E::object_found || from == S::pausing) && sm_state_of(t) == S::awaiting_pod)
        sm_news_put(t.news, transfer_news::look_at_pod);
    else if (from == S::awaiting_answer && sm_state_of(t) == S::buffering)
        sm_news_put(t.news, transfer_news::read_body);
    else if (from == S::awaiting_answer && sm_state_of(t) == S::collecting_error)
        sm_news_put(t.news, transfer_news::read_error);
}

static constexpr sm_table<transfer> table = {"transfer", states, resources, rows, {}, {}, E::stop, E::deadline, alive, nullptr, note_news};
SM_VERIFY(table);

sm_view transfer_machine_view() { return sm_view_of(table); }

// A transfer that has ended is deleted in a later turn.
void transfer_step(transfer &t, E event)
{
    sm_step(table, t, event);
    transfer_news news;
    while (sm_news_take(t.news, news)) {
        switch (news) {
        case transfer_news::look_at_pod: transfer_try_pod(t); break;
        case transfer_news::read_body: on_buffer_readable(&t); break;
        case transfer_news::read_error: on_error_readable(&t); break;
        }
    }
}

// --- turning what happens into events

void transfer_try_pod(transfer &t)
{
    etl_view view;
    read_action action = admission_decide(t, view);
    switch (action) {
    case read_action::push:
    case read_action::reverse:
    case read_action::redirect_to_pod: {
        pod_memory &memory = admission_memory_of(t, view);
        if (action != read_action::redirect_to_pod && etl_ref_slots_taken(*memory.ref) >= admission_slots_for(t.x == nullptr)) {
            if (t.err.code == error_code::overloaded)
                return;                                          // it already waits for a slot
            uint64_t patience = view.definition->obj_timeout_ms; // the pod works, it is only busy
            timer_arm(*t.e, t.deadline_timer, patience);
            t.wait_until_ms = clock_now_ms(*t.e) + patience;
            failure_set(t, error_code::overloaded, "ETL error: the pod of etl job " + t.etl_id + " has too many requests");
            return;
        }
        if (auto *refusal = transfer_mode_of(view.definition->mode).refusal; refusal != nullptr) {
            if (std::string why = refusal(transfer_asked_query(t)); !why.empty()) {
                failure_set(t, error_code::bad_request, std::move(why));
                break;
            }
        }
        t.config = *view.definition;
        t.endpoint = *view.endpoint;
        t.generation_id = view.definition->generation_id;
        if (t.first_status == 0)
            t.by_put = memory.by_put;
        t.outcome = transfer_outcome::ok;
        step(t, action == read_action::redirect_to_pod ? E::redirected : E::pod_ready);
        return;
    }
    case read_action::wait_for_pod: return;
    case read_action::refuse_unknown_etl: failure_set(t, error_code::etl_not_found, "etl job " + t.etl_id + " does not exist"); break;
    case read_action::refuse_ended_etl: {
        bool is_being_stopped = view.phase == etl_phase::stopping && view.last_error.empty();
        std::string text = "etl job " + t.etl_id + " does not exist: it is " + (is_being_stopped ? "being stopped" : "not running") +
                           " on " + t.host->options.node_id;
        if (!view.last_error.empty())
            text += ": " + std::string(view.last_error);
        failure_set(t, error_code::etl_not_found, std::move(text));
        break;
    }
    case read_action::refuse_method:
        failure_set(t, error_code::method_not_allowed,
            std::string(t.asked->method) + " does not work with communication_type " +
                std::string(etl_mode_names[static_cast<size_t>(view.definition->mode)]) + ": use GET");
        break;
    case read_action::redirect_to_target:
    case read_action::refuse_no_target:
    case read_action::send_object: panic("transfer: an action that is not for a target's ETL");
    }
    step(t, E::pod_lost);
}

// Whether no damage of the object was found; else sets the failure. A pod that got a damaged object may have made anything of it.
static bool is_sound(transfer &t)
{
    if (t.object != nullptr && t.object->is_damaged)
        failure_set_of_object(t, make_error(error_code::corrupt));
    return t.object == nullptr || !t.object->is_damaged;
}

// Whether an answer without a body can be the result; else sets the failure.
static bool may_be_empty(transfer &t)
{
    if (direct_put_is_torn(t) && !direct_put_sets_failure(t))
        failure_set(t, error_code::bad_pod_answer,
            "ETL error: the pod answered without a body, as if it had put the result itself, but what it put did not come here whole");
    return !direct_put_is_torn(t);
}

static void on_good_head(transfer &t, const http_head &head)
{
    pod_head_keep_headers(t, head);
    // Most answers of small objects arrive with their head, so that there is nothing to stream.
    if (t.asked->method == "HEAD")
        step(t, E::answer_bodyless);
    else if (head.close_delimited)
        step(t, E::answer_open_ended);
    else
        step(t, !source_take_whole(t.from, t.buffered)   ? E::answer_good
                : t.buffered.empty() && !may_be_empty(t) ? E::answer_refused
                                                         : E::answer_whole);
}

static void on_head(void *arg, const http_head &head)
{
    transfer &t = *static_cast<transfer *>(arg);
    t.from = stage_take_answer(t.at_pod, t.config.obj_timeout_ms);
    pod_head_note(t, head);
    if (head.status >= 400 && head.status <= 599) {
        step(t, E::answer_error);
    } else if (head.status == 304 && pod_head_may_be_unmodified(t)) {
        pod_head_keep_headers(t, head);
        step(t, E::answer_bodyless);
    } else if (head.status == 204 && direct_put_has_result(t)) {
        step(t, is_sound(t) ? E::answer_whole : E::answer_refused);
    } else if (head.status == 204 && !may_be_empty(t)) {
        step(t, E::answer_refused);
    } else if (pod_head_accepts(t, head) && is_sound(t)) {
        on_good_head(t, head);
    } else {
        step(t, E::answer_refused);
    }
}

static void on_stage_failed(void *arg, const stage_failure &failure)
{
    transfer &t = *static_cast<transfer *>(arg);
    t.at_pod = stage{}; // it has ended
    t.answer_status = 0;
    if (!failure.text.empty())
        failure_set(t, failure.err.code, failure.text);
    else if (!direct_put_sets_failure(t)) // otherwise the pod has ended because of that
        failure_set_of_call(t, failure.err, failure.begun);
    bool refused = t.err.code == error_code::not_ready;
    step(t, refused ? E::pod_refused : E::call_failed);
}

static void on_error_readable(void *arg)
{
    transfer &t = *static_cast<transfer *>(arg);
    while (t.buffered.size() < pod_error_text_max) {
        pull_result got = source_pull(t.from);
        if (got.state == pull_state::bytes) {
            t.buffered.append(got.bytes.substr(0, pod_error_text_max - t.buffered.size()));
            continue;
        }
        if (got.state == pull_state::again) {
            source_wait(t.from, on_error_readable, &t);
            return;
        }
        break;
    }
    step(t, E::error_text_read);
}

// Of an answer that says itself whether it is whole, all that is here already is taken, so that a fault in it is found before the sink gets
// any.
static bool is_enough(const transfer &t, bool is_more_here)
{
    return t.buffered.size() >= stream_buffer_size || (!is_more_here && !t.is_close_delimited && !t.buffered.empty());
}

// Whether an answer that has ended is right; else sets the failure. Chunks and the end of a connection only say that it has ended, not that
// it is the part that its head promises.
static bool is_right(transfer &t, uint64_t size)
{
    if (t.part_size == 0 || size == t.part_size)
        return is_sound(t);
    failure_set(t, error_code::bad_pod_answer,
        text_format("ETL error: the pod answered 206 with %llu bytes, and its Content-Range is one of %llu",
            static_cast<unsigned long long>(size), static_cast<unsigned long long>(t.part_size)));
    return false;
}

static void on_buffer_readable(void *arg)
{
    transfer &t = *static_cast<transfer *>(arg);
    for (;;) {
        pull_result got = source_pull(t.from);
        if (got.state == pull_state::bytes)
            t.buffered.append(got.bytes);
        if (got.state == pull_state::end) {
            bool is_good = is_right(t, t.buffered.size()) && (!t.buffered.empty() || may_be_empty(t));
            step(t, is_good ? E::end_reached : E::call_failed);
            return;
        }
        if (got.state == pull_state::failed) {
            failure_set_of_call(t, got.err);
            step(t, E::call_failed);
            return;
        }
        if (t.check != nullptr && (got.state == pull_state::again || t.buffered.size() >= stream_buffer_size))
            answer_check_watch(*t.check);
        if (is_enough(t, got.state != pull_state::again)) {
            step(t, E::buffer_full);
            return;
        }
        if (got.state == pull_state::again) { // the timer continues: trickling chunk sizes are not progress
            source_wait(t.from, on_buffer_readable, &t);
            return;
        }
    }
}

static void on_pumped(void *arg, error err, uint64_t bytes)
{
    transfer &t = *static_cast<transfer *>(arg);
    t.stream = nullptr;
    t.out_bytes = bytes;
    if (err && sink_failure(t.to).err)
        failure_set_of_sink(t, sink_failure(t.to));
    else if (err)
        failure_set_of_call(t, err);
    step(t, !err && is_right(t, bytes) ? E::pumped : E::pump_failed);
}

static void on_committed(void *arg, const sink_outcome &outcome)
{
    transfer &t = *static_cast<transfer *>(arg);
    t.to = sink{}; // it has ended
    if (outcome.err)
        failure_set_of_sink(t, outcome);
    else
        t.outcome = transfer_outcome::ok;
    step(t, outcome.err ? E::not_committed : E::committed);
}

static void on_verdict(void *arg, bool complete)
{
    transfer &t = *static_cast<transfer *>(arg);
    t.check = nullptr;
    etl_view view;
    bool same = complete && etl_ref_view(*t.pod->ref, view) && view.endpoint->instance == t.endpoint.instance;
    if (same)
        t.outcome = transfer_outcome::ok;
    step(t, same && is_sound(t) ? E::verified : E::not_verified);
}

// A pod that still reads its input makes progress, even if it does not answer yet.
static void on_timer(void *arg)
{
    transfer &t = *static_cast<transfer *>(arg);
    uint64_t now = clock_now_ms(*t.e);
    uint64_t limit = sm_state_of(t) == S::buffering ? source_last_progress_ms(t.from) + t.config.obj_timeout_ms : 0;
    if (limit > now)
        timer_arm(*t.e, t.deadline_timer, limit - now);
    else
        step(t, E::deadline);
}

void transfer_make_clock(transfer &t) { t.deadline_timer = timer_make(*t.e, on_timer, &t); }

std::string_view transfer_asked(const transfer &t, std::string_view name) { return http_head_get(*t.asked, name); }

} // namespace etlnode
