// SPDX-License-Identifier: MIT
// transfer/pod_head.cc: interprets the head of a pod's answer, and decides what the client sees of it.
//
// Knows    codec, answer_headers, answer_part, failure.        Known by  transfer_machine.cc.
#include "transfer/pod_head.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/content_guard.h"
#include "codec/http_write.h"
#include "transfer/answer_headers.h"
#include "transfer/answer_part.h"
#include "transfer/failure.h"

namespace etlnode {

static bool wants_range(const transfer &t)
{
    std::string_view range = transfer_asked(t, "Range");
    return !range.empty() && range != "bytes=0-";
}

void pod_head_keep_headers(transfer &t, const http_head &head)
{
    static constexpr size_t usual_size = 512;
    t.answer_headers.clear();
    t.answer_headers.reserve(usual_size); // one allocation, which also has room for the lines that finish.cc adds
    bool has_type = false;
    for (size_t i = 0; i < head.header_count; i++) {
        const http_header &header = head.headers[i];
        if (!header_passes_to_client(transfer_mode_of(t.config.mode).passes_headers, head, header.name))
            continue;
        bool is_type = text_equal_ignore_case(header.name, "Content-Type");
        bool is_void = text_equal_ignore_case(header.name, "Accept-Ranges") && wants_range(t) && head.status != 206; // we say it
        if (!is_void && !(is_type && has_type))
            http_write_header(t.answer_headers, header.name, header.value);
        has_type = has_type || is_type;
    }
    if (wants_range(t) && head.status != 206)
        http_write_header(t.answer_headers, "Accept-Ranges", "none");
    content_write_guard(t.answer_headers, t.answer_type);
    uint64_t size = head.has_length && !head.chunked ? head.length : stream_size_unknown;
    if (t.asked->method == "HEAD" &&
        !text_parse_u64(http_head_get(head, "Content-Length"), size)) // the length that GET would have; the parser counts no body here
        size = stream_size_unknown;
    t.from.facts.size = size;
}

// The pod received the client's own conditions, so 304 answers them.
bool pod_head_may_be_unmodified(const transfer &t)
{
    return transfer_mode_of(t.config.mode).passes_headers &&
           (http_head_has(*t.asked, "If-None-Match") || http_head_has(*t.asked, "If-Modified-Since"));
}

static bool is_good_status(const transfer &t, int status)
{
    if (status == 206) // the whole Range, including bytes=0-, went to the pod
        return http_head_has(*t.asked, "Range");
    return status >= 200 && status <= 299 && status != 204 && status != 205;
}

// Seconds or an HTTP date. Clients of some libraries fail on anything else.
static bool is_retry_after(std::string_view text)
{
    static constexpr size_t digits_max = 9;
    if (text.empty())
        return false;
    bool digits = text.size() <= digits_max;
    for (char c : text)
        digits = digits && c >= '0' && c <= '9';
    return digits || (text.size() > 20 && text.ends_with(" GMT"));
}

static void note_unframed(transfer &t)
{
    pod_memory &memory = *t.pod;
    if (memory.unframed_logged)
        return;
    memory.unframed_logged = true;
    LOG(warn, "transfer",
        "etl=%s msg=\"its answers have neither Content-Length nor chunks: whether one is whole is judged by whether its process lived on; "
        "require_framing refuses them\"",
        t.etl_id.c_str());
}

void pod_head_note(transfer &t, const http_head &head)
{
    t.answer_status = head.status;
    t.is_close_delimited = head.close_delimited;
    t.answer_type = http_head_get(head, "Content-Type");
    t.answer_coding = http_head_get(head, "Content-Encoding");
    t.retry_after.clear();
    if (head.status == 429 || head.status == 503)
        t.retry_after = http_head_get(head, "Retry-After").substr(0, retry_after_size_max);
    t.retry_reason = head.status == 503 ? std::string(http_head_get(head, header_retry_reason)) : std::string();
    if (!is_retry_after(t.retry_after))
        t.retry_after.clear();
    t.buffered.clear();
    if (head.close_delimited && head.status < 400)
        note_unframed(t);
}

// Those that name exactly one other location; 300 and 304, for example, redirect nobody.
static bool is_redirect(int status) { return status == 301 || status == 302 || status == 303 || status == 307 || status == 308; }

// Whether the answer with this head can be passed on; otherwise sets the failure.
bool pod_head_accepts(transfer &t, const http_head &head)
{
    if (is_redirect(head.status)) {
        failure_set_redirect(t, http_head_get(head, "Location"));
        return false;
    }
    if (!is_good_status(t, head.status)) {
        failure_set_status(t);
        return false;
    }
    t.part_size = 0;
    if (head.status == 206 && !answer_part_fits(transfer_asked(t, "Range"), head, t.part_size)) {
        failure_set(t, error_code::bad_pod_answer,
            "ETL error: the pod answered 206 with another part than the one asked for: its Content-Range is \"" +
                text_escape(http_head_get(head, "Content-Range"), 100) + "\"");
        return false;
    }
    if (head.close_delimited && t.config.require_framing) {
        failure_set(
            t, error_code::bad_pod_answer, "ETL error: the pod's answer has neither Content-Length nor chunks, and require_framing is set");
        return false;
    }
    return true;
}

} // namespace etlnode
