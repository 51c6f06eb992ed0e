// SPDX-License-Identifier: MIT
// transfer/finish.cc: how a transfer ends: what its sink is told, what is given back, what is reported.
//
// Knows    object, http, store, admission, failure.        Known by  transfer_machine.cc.
#include "transfer/finish.h"

#include "base/log.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "port/clock.h"
#include "transfer/admission.h"
#include "transfer/failure.h"
#include "transfer/pod_error.h"
#include "transfer/pull.h"

namespace etlnode {

void finish_delete(void *arg)
{
    transfer *t = static_cast<transfer *>(arg);
    timer_free(*t->e, t->deadline_timer);
    delete t;
}

static void release_all(transfer &t)
{
    admission_leave_queue(t);
    timer_stop(*t.e, t.deadline_timer);
    if (t.stream != nullptr)
        pump_cancel(*t.stream);
    t.stream = nullptr;
    stage_cancel(t.at_pod);
    source_close(t.from);
    pull_forget(t);
    direct_put_withdraw(t);
    if (t.check != nullptr)
        answer_check_cancel(*t.check);
    t.check = nullptr;
    admission_release_slot(t);
    if (t.object != nullptr)
        store_release(*t.host->objects, t.object);
    t.object = nullptr;
}

// A success is not worth a log line. Only at a higher level is a read logged that was redirected to its pod.
static void log_outcome(const transfer &t)
{
    if (t.outcome == transfer_outcome::ok)
        return;
    std::string line = text_format("request=%s etl=%s object=\"ais://%s/%s\" outcome=%s reason=\"%s\"",
        std::string(transfer_request_id(t)).c_str(), t.etl_id.c_str(), t.bucket.c_str(), text_escape(t.name).c_str(),
        transfer_outcome_names[static_cast<size_t>(t.outcome)], text_escape(t.err_text).c_str());
    if (t.outcome == transfer_outcome::redirected)
        LOG(debug, "transfer", "%s", line.c_str());
    else
        LOG(info, "transfer", "%s", line.c_str());
}

// The ETL that answers, or would have answered, and its start.
static void write_etl_headers(std::string &headers, const transfer &t)
{
    if (t.generation_id.empty())
        return; // unknown here, or never looked up
    http_write_header(headers, header_etl, t.etl_id);
    http_write_header(headers, header_etl_generation, t.generation_id);
}

static void report_to_owner(transfer &t, transfer_report &report)
{
    if (t.on_done == nullptr)
        return;
    std::string headers;
    if (t.outcome != transfer_outcome::ok)
        headers = failure_headers(t);
    write_etl_headers(headers, t);
    report.headers = headers;
    t.on_done(t.done_arg, report);
}

enum class ending : uint8_t { committed, abandoned };

// If the sink is still open, its commit is one of those that need no wait.
static void end_sink(transfer &t, ending how, sink_refusal *why)
{
    if (!sink_is_open(t.to))
        return;
    if (how == ending::committed)
        sink_commit_now(t.to);
    else if (why != nullptr)
        sink_refuse(t.to, std::move(*why));
    else
        sink_abandon(t.to);
}

// `why`: for a sink that is abandoned.
static void finish(transfer &t, ending how, sink_refusal *why = nullptr)
{
    uint64_t in_bytes = t.object != nullptr && t.place == admission::slot && transfer_mode_of(t.config.mode).sends_object
                            ? t.object->row.size
                            : 0;
    release_all(t);
    t.host->clients -= t.x != nullptr ? 1 : 0;
    open_count_end(t.host->in_flight);
    if (t.pod != nullptr) {
        t.pod->transfers--;
        admission_forget_if_gone(*t.host, *t.pod);
    }
    t.pod = nullptr;
    transfer_report report;
    report.etl_id = t.etl_id;
    report.outcome = t.outcome;
    report.in_bytes = in_bytes;
    report.out_bytes = t.out_bytes;
    report.duration_ms = clock_now_ms(*t.e) - t.began_ms;
    report.bucket = t.bucket;
    report.name = t.name;
    report.request_id = transfer_request_id(t);
    report.text = t.err_text;
    report.code = t.err.code;
    report.status = t.err_status != 0 ? t.err_status : error_http_status(t.err.code);
    report.unframed = t.is_close_delimited && t.answer_status != 0 && t.answer_status < 400;
    report.client_gone = t.err.code == error_code::canceled;
    log_outcome(t);
    if (t.host->options.on_end != nullptr)
        t.host->options.on_end(t.host->options.arg, report);
    end_sink(t, how, why);
    report_to_owner(t, report);
    if (!t.looking_up)
        clock_post(*t.e, finish_delete, &t);
}

// The pod of an ETL that is stopped ends in the middle of what it did, and that is not its fault.
static bool is_being_stopped(const transfer &t)
{
    etl_view view;
    return t.pod != nullptr &&
           (!etl_ref_view(*t.pod->ref, view) || view.phase == etl_phase::stopping || view.definition->generation_id != t.generation_id);
}

// Of an object that is not there, no stage is to blame.
static void name_stage(transfer &t)
{
    if (t.err.code != error_code::object_not_found)
        t.err_text.insert(0, t.stage_text);
}

void finish_failed(transfer &t)
{
    if (t.err.code == error_code::pod_gone && is_being_stopped(t))
        failure_set_stopped(t);
    if (sink_is_seen(t.to)) {
        t.outcome = transfer_outcome::cut;
        name_stage(t);
        finish(t, ending::abandoned);
        return;
    }
    t.err_status = failure_status(t);
    name_stage(t);
    sink_refusal why{t.err.code, t.err_text, t.err_status, failure_headers(t)};
    write_etl_headers(why.headers, t);
    finish(t, ending::abandoned, &why);
}

void finish_not_ready(transfer &t)
{
    if (t.err_text.empty() || !t.err)
        failure_set(t, error_code::not_ready, "ETL error: the pod of etl job " + t.etl_id + " is not ready");
    finish_failed(t);
}

void finish_stalled(transfer &t)
{
    failure_set_stalled(t);
    finish_failed(t);
}

void finish_stopped(transfer &t)
{
    if (t.x == nullptr || !exchange_is_gone(*t.x)) {
        failure_set(t, error_code::stopping, t.x == nullptr ? "the job was stopped" : "the node is shutting down");
        finish_failed(t);
        return;
    }
    const error why = exchange_gone_error(*t.x);
    const bool is_seen = sink_is_seen(t.to);
    failure_set(t, why.code, error_text(why));
    if (is_seen || why.code == error_code::canceled)
        t.outcome = transfer_outcome::cut;
    finish(t, ending::abandoned);
}

static void note_method(transfer &t)
{
    if (t.pod == nullptr || !transfer_mode_of(t.config.mode).tries_methods)
        return;
    t.pod->method_known = true;
    t.pod->by_put = t.by_put;
}

sink_head finish_good_head(transfer &t, const source_facts &facts)
{
    note_method(t);
    sink_head head;
    head.size = facts.size;
    head.has_checksum = facts.has_checksum;
    head.checksum = facts.checksum;
    head.pause_ms = facts.pause_ms;
    if (t.etl_id.empty())
        head.custom = facts.custom; // the same content
    if (t.answer_status != 0)
        head.status = t.answer_status;
    head.headers = std::move(t.answer_headers);
    write_etl_headers(head.headers, t);
    return head;
}

static void finish_with_head(transfer &t, sink_head head)
{
    std::string no_bytes;
    head.is_bodyless = true;
    sink_answer(t.to, head, no_bytes);
    finish(t, ending::committed);
}

void finish_redirected(transfer &t)
{
    sink_head head;
    head.size = 0;
    head.status = 307;
    http_write_header(head.headers, "Location", transfer_mode_of(t.config.mode).location(t));
    write_etl_headers(head.headers, t);
    t.outcome = transfer_outcome::redirected;
    finish_with_head(t, std::move(head));
}

void finish_bodyless(transfer &t)
{
    sink_head head = finish_good_head(t, t.from.facts);
    source_close(t.from);
    finish_with_head(t, std::move(head));
}

void finish_committed(transfer &t) { finish(t, ending::committed); }

// Whether a status may mean that the server does not know the method, rather than come from the handler itself.
bool finish_may_be_of_method(int status) { return status == 400 || status == 404 || status == 405 || status == 501; }
bool finish_knows_not_method(int status) { return status == 405 || status == 501; }

void finish_first_error(transfer &t)
{
    failure_set_pod_error(t, t.first_status, t.first_text, {});
    finish_failed(t);
}

// Both methods failed. The first answer counts, unless it only said that the method is unknown, or the second one got further.
void finish_pod_error(transfer &t)
{
    bool first_tells_more = t.first_status != 0 && finish_may_be_of_method(t.answer_status) &&
                            (!finish_knows_not_method(t.first_status) || finish_knows_not_method(t.answer_status));
    if (first_tells_more) {
        finish_first_error(t);
        return;
    }
    // It was asked as often as it may be: a job must not wait for it any longer.
    if (direct_put_sets_failure(t)) {
        finish_failed(t);
        return;
    }
    int status = direct_put_is_offered(t) && t.retry_reason == retry_reason_transient ? 502 : t.answer_status;
    failure_set_pod_error(t, status, pod_error_text(t.answer_status, t.answer_type, t.answer_coding, t.buffered), t.retry_after);
    finish_failed(t);
}

} // namespace etlnode
