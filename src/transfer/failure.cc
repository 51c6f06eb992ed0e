// SPDX-License-Identifier: MIT
// transfer/failure.cc: how a failed transfer is reported.
//
// Knows    codec.        Known by  transfer_machine.cc.
// Limits   death_memory_ms, deaths_remembered_max.
#include "transfer/failure.h"

#include "base/limits.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "port/clock.h"
#include "transfer/pull.h"

namespace etlnode {

static transfer_outcome outcome_of(error_code code)
{
    switch (code) {
    case error_code::object_not_found:
    case error_code::etl_not_found:
    case error_code::bucket_not_found:
    case error_code::method_not_allowed:
    case error_code::bad_request: return transfer_outcome::client_error;
    case error_code::timed_out: return transfer_outcome::timeout;
    case error_code::not_ready:
    case error_code::overloaded:
    case error_code::stopping:
    case error_code::unavailable: return transfer_outcome::unavailable;
    case error_code::bad_pod_answer:
    case error_code::pod_gone: return transfer_outcome::pod_error;
    default: return transfer_outcome::failed;
    }
}

void failure_set(transfer &t, error_code code, std::string text, int status)
{
    t.err = make_error(code);
    t.err_text = std::move(text);
    t.err_status = status;
    t.outcome = outcome_of(code);
}

void failure_set_of_object(transfer &t, error err)
{
    std::string text = "t[" + t.host->options.node_id + "]: ais://" + t.bucket + "/" + t.name;
    if (transfer_is_given(t))
        text = "t[" + t.host->options.node_id + "]: what the stage before made of ais://" + t.bucket + "/" + t.name;
    if (err.code == error_code::object_not_found)
        text += " does not exist";
    else if (err.code == error_code::corrupt)
        text += ": data is corrupt" + (err.what != nullptr ? std::string(": ") + err.what : std::string());
    else
        text += std::string(" ") + error_text(err);
    failure_set(t, err.code, std::move(text));
}

// `what` ends with the preposition of the time.
static std::string timeout_text(const transfer &t, std::string_view what)
{
    return "ETL error: timeout: " + std::string(what) + " obj_timeout (" + text_duration(t.config.obj_timeout_ms) +
           "); to allow more time, set the annotation obj_timeout or use etlctl's --object-timeout";
}

static constexpr const char *no_answer = "the pod did not answer within";
static constexpr const char *no_progress = "the pod's answer made no progress for";
static constexpr const char
    *no_end = "the pod's answer has neither Content-Length nor chunks, and the pod did not close the connection within";

// What a call says of a timeout, and what a user is told.
static std::string late_text(const transfer &t, std::string_view said)
{
    struct row {
        std::string_view said;
        const char *told;
    };
    static constexpr row rows[] = {{"neither Content-Length nor chunks", no_end}, {"the answer stopped", no_progress},
        {"the answer's head stopped", "the pod did not complete the head of its answer within"},
        {"the disk gives nothing", "the target's disk gave nothing for"}};
    for (const row &one : rows) {
        if (said.find(one.said) != std::string_view::npos)
            return timeout_text(t, one.told);
    }
    return timeout_text(t, no_answer);
}

static std::string request_text(const transfer &t) { return text_escape(t.request_line, 200); }

void failure_set_of_call(transfer &t, error err, std::string_view begun)
{
    const std::string to = t.request_line.empty() ? std::string() : " without an answer to " + request_text(t);
    const std::string_view said = error_text(err);
    const std::string with = begun.empty() ? std::string() : ", which began with \"" + text_escape(begun) + "\"";
    switch (err.code) {
    case error_code::refused:
    case error_code::unreachable:
        failure_set(t, error_code::not_ready, "ETL error: the pod of etl job " + t.etl_id + " refuses connections");
        break;
    case error_code::timed_out:
        if (said.find("connecting") != std::string_view::npos)
            failure_set(t, error_code::timed_out, "ETL error: timeout connecting to the pod");
        else
            failure_set(t, error_code::timed_out, late_text(t, said));
        break;
    case error_code::end_of_stream:
        failure_set(t, error_code::pod_gone,
            t.answer_status == 0 && said.find("without an answer") != std::string_view::npos
                ? "ETL error: the pod closed the connection" + to
                : "ETL error: " + std::string(said) + with);
        break;
    case error_code::reset:
        if (said.starts_with("the pod ")) // it had begun
            failure_set(t, error_code::pod_gone, "ETL error: " + std::string(said) + with);
        else
            failure_set(t, error_code::pod_gone,
                t.answer_status == 0 ? "ETL error: the pod reset the connection" + to
                                     : "ETL error: the pod reset the connection in the middle of its answer");
        break;
    case error_code::corrupt:
    case error_code::io: failure_set_of_object(t, err); break; // the object, which is being sent to the pod
    case error_code::canceled:                                 // by the client, which is gone or takes nothing
    case error_code::stopping:                                 // the node cut it
        failure_set(t, err.code, std::string(error_text(err)));
        break;
    case error_code::bad_pod_answer:
        failure_set(t, error_code::bad_pod_answer,
            (said.starts_with("the answer") ? "ETL error: " : "ETL error: the pod's answer is malformed: ") + std::string(said));
        break;
    default: failure_set(t, error_code::pod_gone, std::string("ETL error: ") + std::string(error_text(err))); break;
    }
}

void failure_set_of_sink(transfer &t, const sink_outcome &outcome)
{
    if (outcome.err.code == error_code::checksum_mismatch)
        failure_set_of_object(t, make_error(error_code::corrupt));
    else
        failure_set(t, outcome.err.code, outcome.text);
}

void failure_set_stalled(transfer &t)
{
    const char *what = t.buffered.empty() ? "the pod sent only the head of its answer within" : no_progress;
    // A close-delimited answer may be whole, but nothing marks its end.
    failure_set(t, error_code::timed_out, timeout_text(t, t.is_close_delimited ? no_end : what));
}

void failure_set_stopped(transfer &t)
{
    failure_set(t, error_code::pod_gone, "ETL error: etl job " + t.etl_id + " is being stopped, and its pod ended before it had answered",
        t.by_name ? error_http_status(error_code::unavailable) : 0);
}

void failure_set_redirect(transfer &t, std::string_view location)
{
    std::string text = "ETL error: the pod answered " + request_text(t) + " with a redirect (" + std::to_string(t.answer_status) + ")";
    if (!location.empty())
        text += " to " + text_escape(location, 200);
    text += "; it has to answer that path itself";
    if (t.name.find("//") != std::string::npos)
        text += ". Routers that clean paths redirect names with \"//\": turn that off in the server (Go: do not use ServeMux for objects), "
                "or name the object without";
    failure_set(t, error_code::bad_pod_answer, std::move(text));
}

void failure_set_status(transfer &t)
{
    failure_set(t, error_code::bad_pod_answer,
        "ETL error: the pod answered " + request_text(t) + " with unexpected status " + http_status_text(t.answer_status));
}

// The code that matches the status for a client, including whether a retry makes sense.
static error_code code_of_status(int status)
{
    switch (status) {
    case 408: return error_code::request_timeout;
    case 429: return error_code::overloaded;
    case 503: return error_code::unavailable;
    default: return status >= 500 ? error_code::bad_pod_answer : error_code::bad_request;
    }
}

void failure_set_pod_error(transfer &t, int status, const std::string &text, std::string retry_after)
{
    failure_set(t, code_of_status(status), "ETL error: " + text, status);
    t.retry_after = std::move(retry_after);
    t.outcome = transfer_outcome::pod_error;
}

// Whether the pod has died (or closed the connection) within the last minute while it read this object. Remembers this time.
static bool died_before(transfer &t)
{
    auto &deaths = t.host->deaths;
    uint64_t now = clock_now_ms(*t.e);
    std::erase_if(deaths, [&](const auto &one) { return now - one.second >= death_memory_ms; });
    bool known = deaths.size() < deaths_remembered_max ? !deaths.try_emplace(pull_key(t.etl_id, t.bucket, t.name), now).second
                                                       : deaths.find(pull_key(t.etl_id, t.bucket, t.name)) != deaths.end();
    return known;
}

int failure_status(transfer &t)
{
    if (t.err_status != 0 || !t.by_name)
        return t.err_status;
    if (t.err.code == error_code::timed_out)
        return 400;
    if (t.err.code == error_code::pod_gone)
        return died_before(t) ? 400 : 503;
    return 0;
}

std::string failure_headers(const transfer &t)
{
    std::string headers;
    if (t.err.code == error_code::method_not_allowed)
        http_write_header(headers, "Allow", "GET");
    if (!t.retry_after.empty())
        http_write_header(headers, "Retry-After", t.retry_after);
    return headers;
}

} // namespace etlnode
