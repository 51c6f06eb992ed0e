// SPDX-License-Identifier: MIT
// transfer/finish.cc: how a transfer ends: what the client is told, what is given back, what is reported.
//
// Knows    http, store, admission, failure.        Known by  transfer_machine.cc.
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

static void let_go(transfer &t)
{
    admission_leave_queue(t);
    timer_stop(*t.e, t.deadline_timer);
    if (t.stream != nullptr)
        pump_cancel(*t.stream);
    t.stream = nullptr;
    stage_cancel(t.at_pod);
    pull_forget(t);
    if (t.check != nullptr)
        answer_check_cancel(*t.check);
    t.check = nullptr;
    admission_release_slot(t);
    source_close(t.held);
    sink_abandon(t.to);
    if (t.object != nullptr)
        store_release(*t.host->objects, t.object);
    t.object = nullptr;
}

// What went well is not worth a line each; a read that was handed to its pod is, for whoever looks closely.
static void log_outcome(const transfer &t)
{
    if (t.outcome == transfer_outcome::ok)
        return;
    std::string line = text_format("request=%s etl=%s object=\"ais://%s/%s\" outcome=%s reason=\"%s\"",
        std::string(exchange_request_id(*t.x)).c_str(), t.etl_id.c_str(), t.bucket.c_str(), text_escape(t.name).c_str(),
        transfer_outcome_names[static_cast<size_t>(t.outcome)], text_escape(t.err_text).c_str());
    if (t.outcome == transfer_outcome::redirected)
        LOG(debug, "transfer", "%s", line.c_str());
    else
        LOG(info, "transfer", "%s", line.c_str());
}

static void finish(transfer &t)
{
    uint64_t in_bytes = t.object != nullptr && t.has_slot && transfer_mode_of(t.config.mode).sends_object ? t.object->row.size : 0;
    let_go(t);
    t.host->in_flight--;
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
    report.request_id = exchange_request_id(*t.x);
    report.text = t.err_text;
    report.status = t.err_status != 0 ? t.err_status : error_http_status(t.err.code);
    report.unframed = t.is_unframed;
    report.client_gone = t.client_gone;
    log_outcome(t);
    if (t.host->options.on_end != nullptr)
        t.host->options.on_end(t.host->options.arg, report);
    if (!t.looking_up)
        clock_post(*t.e, finish_delete, &t);
}

// Which ETL answers, or would have, and which start of it.
static void write_etl_headers(std::string &headers, const transfer &t)
{
    if (t.generation_id.empty())
        return; // unknown here, or never looked at
    http_write_header(headers, header_etl, t.etl_id);
    http_write_header(headers, header_etl_generation, t.generation_id);
}

void finish_refuse(transfer &t)
{
    exchange_on_gone(*t.x, nullptr, nullptr, false);
    std::string headers = failure_headers(t);
    write_etl_headers(headers, t);
    t.err_status = failure_status(t);
    exchange *x = t.x;
    error_code code = t.err.code;
    int status = t.err_status;
    std::string text = t.err_text;
    finish(t);
    exchange_answer_error(*x, code, text, status, std::move(headers));
}

void finish_refuse_not_ready(transfer &t)
{
    if (t.err_text.empty() || !t.err)
        failure_set(t, error_code::not_ready, "ETL error: the pod of etl job " + t.etl_id + " is not ready");
    finish_refuse(t);
}

void finish_refuse_stalled(transfer &t)
{
    failure_set_stalled(t);
    finish_refuse(t);
}

void finish_cut(transfer &t)
{
    exchange_on_gone(*t.x, nullptr, nullptr, false);
    t.outcome = transfer_outcome::cut;
    exchange *x = t.x;
    finish(t);
    exchange_stream_end(*x, false);
}

void finish_cut_or_refuse(transfer &t)
{
    if (t.begun)
        finish_cut(t);
    else
        finish_refuse(t);
}

// The client has gone: whatever is answered goes nowhere, but the exchange must be given back.
void finish_gone(transfer &t)
{
    t.outcome = transfer_outcome::cut;
    t.client_gone = true;
    t.err_text = "the client has gone";
    exchange *x = t.x;
    bool begun = t.begun;
    finish(t);
    if (begun)
        exchange_stream_end(*x, false);
    else
        exchange_answer(*x, answer{});
}

void finish_stopped(transfer &t)
{
    failure_set(t, error_code::stopping, "the node is shutting down");
    finish_cut_or_refuse(t);
}

static void note_method(transfer &t)
{
    if (t.pod == nullptr || !transfer_mode_of(t.config.mode).tries_methods)
        return;
    t.pod->method_known = true;
    t.pod->by_put = t.by_put;
}

void finish_begin_sink(transfer &t, const sink_head &head)
{
    note_method(t);
    t.is_sinking = true;
    sink_begin(t.to, head);
}

answer finish_good_answer(transfer &t)
{
    answer a;
    a.status = t.answer_status;
    a.headers = std::move(t.answer_headers);
    write_etl_headers(a.headers, t);
    note_method(t);
    return a;
}

void finish_redirect(transfer &t)
{
    answer a;
    a.status = 307;
    http_write_header(a.headers, "Location", transfer_mode_of(t.config.mode).location(t));
    write_etl_headers(a.headers, t);
    t.outcome = transfer_outcome::redirected;
    exchange_on_gone(*t.x, nullptr, nullptr, false);
    exchange *x = t.x;
    finish(t);
    exchange_answer(*x, std::move(a));
}

void finish_head_only(transfer &t)
{
    exchange_on_gone(*t.x, nullptr, nullptr, false);
    answer a = finish_good_answer(t);
    uint64_t length = t.has_length ? t.length : length_unknown;
    stage_finish(t.at_pod);
    exchange *x = t.x;
    finish(t);
    exchange_answer_head(*x, std::move(a), length);
}

// The client asked whether it has the newest version, and the pod says that it has.
void finish_unmodified(transfer &t) { finish_head_only(t); }

void finish_complete(transfer &t)
{
    timer_stop(*t.e, t.deadline_timer);
    exchange_on_gone(*t.x, nullptr, nullptr, false);
    stage_finish(t.at_pod);
    exchange *x = t.x;
    finish(t);
    exchange_stream_end(*x, true);
}

void finish_kept(transfer &t)
{
    exchange_on_gone(*t.x, nullptr, nullptr, false);
    answer a;
    write_etl_headers(a.headers, t);
    exchange *x = t.x;
    finish(t);
    exchange_answer(*x, std::move(a));
}

void finish_buffered(transfer &t)
{
    exchange_on_gone(*t.x, nullptr, nullptr, false);
    stage_finish(t.at_pod);
    answer a = finish_good_answer(t);
    a.body.swap(t.buffered);
    t.out_bytes = a.body.size();
    exchange *x = t.x;
    finish(t);
    exchange_answer(*x, std::move(a));
}

// Whether a status may come from a server that does not know the method, rather than from the handler of it.
bool finish_may_be_of_method(int status) { return status == 400 || status == 404 || status == 405 || status == 501; }
bool finish_knows_not_method(int status) { return status == 405 || status == 501; }

void finish_first_error(transfer &t)
{
    failure_set_pod_error(t, t.first_status, t.first_text, {});
    finish_refuse(t);
}

// Both methods failed: the first answer is told, unless it only said that it does not know the method, or the second got further.
void finish_pod_error(transfer &t)
{
    bool first_tells_more = t.method_tried && finish_may_be_of_method(t.answer_status) &&
                            (!finish_knows_not_method(t.first_status) || finish_knows_not_method(t.answer_status));
    if (first_tells_more) {
        finish_first_error(t);
        return;
    }
    failure_set_pod_error(t, t.answer_status, pod_error_text(t.answer_status, t.answer_type, t.answer_coding, t.buffered), t.retry_after);
    finish_refuse(t);
}

} // namespace etlnode
