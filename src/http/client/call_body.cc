// SPDX-License-Identifier: MIT
// http/client/call_body.cc: the body of an answer, pulled piece by piece, and the check of what follows its end.
//
// Owns     nothing: it works on the call's buffer between steps of its machine.
// Rules    a counted answer ends with its last counted byte. What follows shows whether the count was right, and is checked before the last
//          piece is passed on. For a pod that has not proven itself, the check waits for pod_behind_wait_ms, so that the same server always
//          gets the same verdict (docs/decisions/0021-bytes-behind-an-answer.md).
// Limits   stream_buffer_size, call_options.answer_size_max.
#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "http/client/call_machine.h"

namespace etlnode {

using S = call::state;
using E = call::event;

static constexpr size_t judged_size = 16; // bytes after the end that suffice for a verdict

static bool cannot_have_body(const call &c) { return c.options.method == "HEAD" || c.head.status == 204 || c.head.status == 304; }

void call_set_up_body(call &c)
{
    c.body_left = c.head.length;
    bool is_empty = cannot_have_body(c) || (c.head.has_length && c.head.length == 0);
    c.body = is_empty ? call_body::came : call_body::coming;
    if (is_empty)
        c.head.close_delimited = false;
    // An error answer stays an error, whatever follows it.
    bool is_good = cannot_have_body(c) || c.head.close_delimited || c.head.status >= 400;
    c.end = is_good ? call_end::good : call_end::unjudged;
    if (!is_empty && c.head.chunked)
        c.decoder = http_chunk_decoder_make(c.options.instance.empty() ? http_reading::strict : http_reading::lenient);
}

static pull_result pulled(call &c, size_t begin, size_t count)
{
    call_note_progress(c);
    return {pull_state::bytes, std::string_view(c.in.data() + begin, count), count, no_error};
}

static pull_result pull_failed(error err) { return {pull_state::failed, {}, 0, err}; }

// --- the end

bool call_is_more_behind(call &c)
{
    bool closed = false;
    bool more = net_has_unread(*c.e, c.net, &closed);
    if (c.behind != call_behind::closed)
        c.behind = closed ? call_behind::closed : call_behind::seen;
    return more;
}

static bool must_wait_behind(const call &c)
{
    return (c.end == call_end::unjudged || c.end == call_end::withheld) && pool_must_wait_behind(*c.to, call_is_pushed(c));
}

// Reads what has arrived after the body, as far as it is checked. This is one system call for a pod that has proven itself.
static void look_behind(call &c, bool is_waiting)
{
    while (c.in_end - c.in_begin < judged_size && c.behind != call_behind::closed) {
        if (!is_waiting && !call_is_more_behind(c))
            return;
        if (c.in.size() - c.in_end < judged_size)
            c.in.resize(c.in_end + judged_size);
        c.behind = call_behind::seen;
        io_result got = net_read(*c.e, c.net, c.in.data() + c.in_end, c.in.size() - c.in_end);
        if (got.state == io_state::done)
            c.in_end += got.count;
        else if (got.state == io_state::again)
            return;
        else
            c.behind = call_behind::closed;
    }
}

enum class behind : uint8_t { no_bytes, maybe_harmless, harmless, wrong };

// Whether `bytes` are a prefix of `text`, or start with it; letter case does not matter.
static behind compare(std::string_view bytes, std::string_view text)
{
    size_t size = std::min(bytes.size(), text.size());
    if (!text_equal_ignore_case(bytes.substr(0, size), text.substr(0, size)))
        return behind::wrong;
    return size == text.size() ? behind::harmless : behind::maybe_harmless;
}

// Some bytes do not contradict the count: empty lines, and the answer to a request that was never sent (a server that did not read the
// object takes it for one). If that is not even a line of HTTP, Python's http.server answers with a bare page.
static behind judge(const call &c)
{
    std::string_view bytes(c.in.data() + c.in_begin, c.in_end - c.in_begin);
    if (bytes.empty())
        return behind::no_bytes;
    size_t at = bytes.find_first_not_of("\r\n");
    if (at == std::string_view::npos)
        return behind::maybe_harmless;
    bytes.remove_prefix(at);
    behind as_head = compare(bytes, "HTTP/1.");
    if (as_head != behind::wrong)
        return bytes.starts_with(std::string_view("HTTP/1.").substr(0, bytes.size())) ? as_head : behind::wrong;
    bool had_body = c.head.chunked || c.head.length > 0;
    return call_is_pushed(c) && had_body ? compare(bytes, "<!DOCTYPE HTML") : behind::wrong;
}

static const char *wrong_end_text(const call &c)
{
    return c.head.chunked ? "the answer goes on behind its last chunk"
                          : "the answer is longer than its Content-Length (which counts bytes, not characters)";
}

// state end: the last piece may be passed on. again: it is too early to decide. failed: the count was wrong.
static pull_result judge_end(call &c)
{
    if (c.end == call_end::good)
        return {pull_state::end, {}, 0, no_error};
    bool is_waiting = must_wait_behind(c) || sm_state_of(c) == S::withholding_end;
    look_behind(c, is_waiting);
    behind found = judge(c);
    if (found == behind::wrong) {
        pool_note_unsolicited(*c.client, *c.to);
        return pull_failed(make_error(error_code::bad_pod_answer, wrong_end_text(c)));
    }
    bool is_decided = found == behind::harmless || c.behind == call_behind::closed;
    if (is_waiting && !is_decided) {
        c.end = call_end::withheld;
        if (sm_state_of(c) != S::withholding_end)
            call_step(c, E::body_came);
        return {pull_state::again, {}, 0, no_error};
    }
    if (found == behind::no_bytes && c.end == call_end::quiet && c.behind != call_behind::closed)
        pool_note_quiet_end(*c.to, call_is_pushed(c));
    c.end = call_end::good;
    if (sm_state_of(c) == S::withholding_end)
        call_step(c, E::end_judged);
    return {pull_state::end, {}, 0, no_error};
}

// The last counted byte has arrived: the withheld bytes are passed on once the end has been judged.
static pull_result pull_end(call &c)
{
    pull_result judged = judge_end(c);
    if (judged.state != pull_state::end)
        return judged;
    if (c.held_size > 0) {
        size_t size = c.held_size;
        c.held_size = 0;
        return pulled(c, c.held_begin, size);
    }
    c.body = call_body::ended;
    return judged;
}

static pull_result hold_last(call &c, size_t begin, size_t size)
{
    c.body = call_body::came;
    c.held_begin = begin;
    c.held_size = size;
    return pull_end(c);
}

// --- pieces

// Reads into the buffer if it is empty. State bytes: it contains some.
static pull_result refill(call &c)
{
    if (c.in_begin < c.in_end)
        return {pull_state::bytes, {}, 0, no_error};
    if (c.in.size() < stream_buffer_size)
        c.in.resize(stream_buffer_size);
    io_result got = net_read(*c.e, c.net, c.in.data(), c.in.size());
    if (got.state == io_state::failed)
        return pull_failed(got.err);
    c.in_begin = 0;
    c.in_end = got.state == io_state::done ? got.count : 0;
    return {got.state == io_state::done  ? pull_state::bytes
            : got.state == io_state::end ? pull_state::end
                                         : pull_state::again,
        {}, 0, no_error};
}

static pull_result pull_chunked(call &c)
{
    for (;;) {
        pull_result filled = refill(c);
        if (filled.state == pull_state::end)
            return pull_failed(make_error(error_code::end_of_stream, "the chunked answer has no end"));
        if (filled.state != pull_state::bytes)
            return filled;
        size_t begin = c.in_begin;
        http_chunk_result decoded = http_chunk_decode(*c.decoder, c.in.data() + begin, c.in_end - begin);
        bool is_error_text = c.head.status >= 400 && decoded.decoded > 0; // the bytes before the fault are worth reading
        if (decoded.err && !is_error_text)
            return pull_failed(make_error(error_code::bad_pod_answer, decoded.err.what));
        c.in_begin += decoded.consumed;
        if (decoded.done)
            return hold_last(c, begin, decoded.decoded);
        if (decoded.decoded > 0)
            return pulled(c, begin, decoded.decoded);
        // Chunk sizes and trailers are not progress: they could trickle for ever.
    }
}

// Fills the relay with what may be passed on at once. If the end will be withheld, one byte stays out of it.
static pull_result pull_relayed(call &c, net_relay *relay)
{
    bool counted = !c.head.close_delimited;
    uint64_t most = counted ? c.body_left - (must_wait_behind(c) ? 1 : 0) : UINT64_MAX;
    io_result got = net_relay_fill(*c.e, relay, c.net, static_cast<size_t>(std::min<uint64_t>(relay_pipe_size, most)));
    switch (got.state) {
    case io_state::done:
        call_note_progress(c);
        if (counted)
            c.body_left -= got.count;
        if (counted && c.body_left == 0) {
            if (must_wait_behind(c)) // another call's answer has just cost the pod its record
                c.end = call_end::rushed;
            pull_result judged = hold_last(c, 0, 0);
            if (judged.state == pull_state::failed)
                return judged;
            c.body = call_body::came; // what the relay holds is passed on first
        }
        return {pull_state::relayed, {}, got.count, no_error};
    case io_state::again: return {pull_state::again, {}, 0, no_error};
    case io_state::failed: return pull_failed(got.err);
    case io_state::end: break;
    }
    if (counted)
        return pull_failed(make_error(error_code::end_of_stream, "the answer is shorter than its Content-Length"));
    c.body = call_body::ended;
    return {pull_state::end, {}, 0, no_error};
}

static pull_result pull_plain(call &c, net_relay *relay)
{
    bool counted = !c.head.close_delimited;
    static constexpr uint64_t worth_relaying = 32 * kib;
    if (c.in_begin == c.in_end && relay != nullptr && (!counted || c.body_left >= worth_relaying))
        return pull_relayed(c, relay);
    pull_result filled = refill(c);
    if (filled.state == pull_state::end && counted)
        return pull_failed(make_error(error_code::end_of_stream, "the answer is shorter than its Content-Length"));
    if (filled.state == pull_state::end)
        c.body = call_body::ended;
    if (filled.state != pull_state::bytes)
        return filled;
    size_t begin = c.in_begin;
    size_t count = c.in_end - c.in_begin;
    if (counted)
        count = static_cast<size_t>(std::min<uint64_t>(count, c.body_left));
    c.in_begin += count;
    if (counted)
        c.body_left -= count;
    return counted && c.body_left == 0 ? hold_last(c, begin, count) : pulled(c, begin, count);
}

pull_result call_pull(call &c, net_relay *relay)
{
    if (c.net == nullptr)
        return pull_failed(make_error(error_code::canceled));
    if (c.source_err)
        return pull_failed(c.source_err);
    if (c.body == call_body::ended)
        return {pull_state::end, {}, 0, no_error};
    if (c.body == call_body::came)
        return pull_end(c);
    return c.decoder != nullptr ? pull_chunked(c) : pull_plain(c, relay);
}

// --- waiting

static void on_behind(void *arg)
{
    call &c = *static_cast<call *>(arg);
    net_on_ready callback = c.on_ready;
    c.on_ready = nullptr;
    if (callback != nullptr)
        callback(c.ready_arg);
}

// While the end is withheld, the machine's timer also wakes the waiting reader.
void call_pull_wait(call &c, net_on_ready on_ready, void *arg)
{
    if (sm_state_of(c) != S::withholding_end) {
        net_wait(*c.e, c.net, net_side::readable, on_ready, arg);
        return;
    }
    c.on_ready = on_ready;
    c.ready_arg = arg;
    net_wait(*c.e, c.net, net_side::readable, on_behind, &c);
}

void call_pull_wait_cancel(call &c)
{
    c.on_ready = nullptr;
    if (c.net != nullptr)
        net_wait_cancel(*c.e, c.net, net_side::readable);
}

bool call_take_whole(call &c, std::string &out_body)
{
    size_t buffered = c.in_end - c.in_begin;
    if (c.net == nullptr || c.source_err || c.decoder != nullptr || c.head.close_delimited || c.body != call_body::coming ||
        buffered != c.body_left || must_wait_behind(c) || call_is_more_behind(c))
        return false;
    out_body.assign(c.in, c.in_begin, buffered);
    c.in_begin = c.in_end;
    c.body_left = 0;
    c.body = call_body::ended;
    c.end = call_end::good;
    call_note_progress(c);
    return true;
}

uint64_t call_last_progress_ms(const call &c)
{
    const uint64_t *elsewhere = c.options.progress_elsewhere;
    return elsewhere != nullptr ? std::max(c.last_progress_ms, *elsewhere) : c.last_progress_ms;
}

const char *call_stall_text(const call &c)
{
    return c.head.close_delimited ? "timeout: the answer stopped; it has neither Content-Length nor chunks, and its connection stays open"
                                  : "timeout: the answer stopped";
}

void call_close(call &c)
{
    bool is_over = c.body == call_body::ended || cannot_have_body(c);
    if (is_over && c.head.status < 400)
        call_step(c, E::finished);
    else
        call_cancel(c);
}

static void collect_more(void *arg) { call_collect(*static_cast<call *>(arg)); }

void call_collect(call &c)
{
    for (;;) {
        pull_result got = call_pull(c, nullptr);
        switch (got.state) {
        case pull_state::bytes:
            if (c.collected.size() + got.count > c.options.answer_size_max) {
                call_fail(c, make_error(error_code::body_too_large, "the answer is too large"));
                return;
            }
            c.collected.append(got.bytes);
            break;
        case pull_state::relayed:
        case pull_state::file: break;
        case pull_state::again:
            if (!net_is_waiting(*c.e, c.net, net_side::readable))
                call_pull_wait(c, collect_more, &c);
            return;
        case pull_state::end: call_step(c, E::body_ended); return;
        case pull_state::failed: call_fail(c, got.err); return;
        }
    }
}

} // namespace etlnode
