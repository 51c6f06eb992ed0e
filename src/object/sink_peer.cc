// SPDX-License-Identifier: MIT
// object/sink_peer.cc: a PUT to another target as a sink. The commit ends its body, and the answer says whether the object is durable.
//
// Owns     one call from sink_begin to its end.
// Knows    http.          Known by  role, transfer.
// Fails    a peer that cannot be reached, takes nothing, answers before it has everything, or refuses. An abandoned request breaks off: the
//          peer stores nothing of it.
// Limits   peer_patience_ms.
#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/error_envelope.h"
#include "codec/http_write.h"
#include "codec/json.h"
#include "node/api.h"
#include "object/sink.h"
#include "port/clock.h"

namespace etlnode {

struct peer_sink {
    env *e = nullptr;
    sink_peer_options options;
    call *request = nullptr;
    stream_to body;      // of the request, once it has begun
    bool posted = false; // on_posted is due
    bool done = false;   // committed, as far as the owner knows, or abandoned
    sink_outcome outcome;
    net_on_ready on_ready = nullptr;
    void *ready_arg = nullptr;
    sink_on_committed on_committed = nullptr;
    void *committed_arg = nullptr;
};

static peer_sink &sink_of(void *self) { return *static_cast<peer_sink *>(self); }

static void free_when_idle(peer_sink &s)
{
    if (s.done && !s.posted)
        delete &s;
}

static void set_failure(peer_sink &s, error_code code, std::string_view why)
{
    std::string text = "t[" + s.options.node_id + "]: cannot store ais://" + s.options.bucket + "/" + s.options.name + " on target " +
                       s.options.peer_id + ": ";
    s.outcome = {make_error(code), text.append(why)};
}

static void note_answer(peer_sink &s, error err, int status, std::string_view body)
{
    if (err) {
        set_failure(s, err.code == error_code::timed_out ? error_code::timed_out : error_code::unavailable, error_text(err));
        return;
    }
    if (status >= 200 && status <= 299) {
        if (s.on_committed == nullptr)
            set_failure(s, error_code::internal, "it answered before it had the whole object");
        return;
    }
    error_envelope envelope = error_envelope_read(status, body);
    s.outcome = {make_error(envelope.code), envelope.message};
}

static void complete_wait(peer_sink &s)
{
    if (s.on_committed != nullptr) {
        s.on_committed(s.committed_arg, s.outcome);
        s.done = true;
        free_when_idle(s);
        return;
    }
    net_on_ready on_ready = s.on_ready;
    s.on_ready = nullptr;
    if (on_ready != nullptr)
        on_ready(s.ready_arg);
}

static void on_posted(void *arg)
{
    peer_sink &s = sink_of(arg);
    s.posted = false;
    if (s.done)
        free_when_idle(s);
    else
        complete_wait(s);
}

static void post(peer_sink &s)
{
    if (!s.posted)
        clock_post(*s.e, on_posted, &s);
    s.posted = true;
}

// This may happen before the commit; the pump then finds out at the next piece.
static void on_done(void *arg, call &, error err, int status, std::string body)
{
    peer_sink &s = sink_of(arg);
    if (s.on_ready != nullptr)
        s.body.ops->wait_cancel(s.body.self);
    s.request = nullptr;
    note_answer(s, err, status, body);
    complete_wait(s);
}

static void begin(void *self, sink_head &head)
{
    static constexpr size_t answer_size_max = 64 * kib;
    peer_sink &s = sink_of(self);
    CHECK(s.request == nullptr);
    call_options options;
    options.host = s.options.host;
    options.port = s.options.port;
    options.method = "PUT";
    options.target = s.options.target;
    options.headers = s.options.headers;
    if (!head.content_type.empty())
        http_write_header(options.headers, "Content-Type", head.content_type);
    if (head.has_checksum) {
        http_write_header(options.headers, header_checksum_type, checksum_type_xxhash2);
        http_write_header(options.headers, header_checksum_value, text_hex(head.checksum));
    }
    if (!head.custom.empty())
        http_write_header(options.headers, header_extras, base64_encode(head.custom));
    if (head.pause_ms > 0)
        http_write_header_u64(options.headers, header_pause, head.pause_ms);
    options.streams_body = true; // in chunks even if the length is known: with a length, the last byte would complete it before the commit
    options.progress_timeout_ms = peer_patience_ms;
    options.answer_size_max = answer_size_max;
    options.on_done = on_done;
    options.arg = &s;
    s.request = call_start(*s.options.client, std::move(options));
    s.body = call_body_stream(*s.request);
}

// --- the body: pushed to the call as long as the call takes it

static io_result failed(const peer_sink &s) { return {io_state::failed, 0, s.outcome.err}; }

// A broken connection may carry an answer that gives the reason. It is not waited for.
static io_result checked(peer_sink &s, io_result sent)
{
    if (sent.state == io_state::failed && !stream_is_of_file(sent.err)) {
        set_failure(s, error_code::unavailable, error_text(sent.err));
        sent.err = s.outcome.err;
    }
    return sent;
}

static void begin_piece(void *self, size_t size)
{
    peer_sink &s = sink_of(self);
    if (s.request != nullptr)
        s.body.ops->begin_piece(s.body.self, size);
}

static void end_piece(void *self)
{
    peer_sink &s = sink_of(self);
    if (s.request != nullptr)
        s.body.ops->end_piece(s.body.self);
}

static bool has_framing(const void *self)
{
    const peer_sink &s = *static_cast<const peer_sink *>(self);
    return s.request != nullptr && s.body.ops->has_framing(s.body.self);
}

static io_result send(void *self, std::string_view bytes, bool more)
{
    peer_sink &s = sink_of(self);
    return s.request != nullptr ? checked(s, s.body.ops->send(s.body.self, bytes, more)) : failed(s);
}

static io_result send_relayed(void *self, net_relay *relay)
{
    peer_sink &s = sink_of(self);
    return s.request != nullptr ? checked(s, s.body.ops->send_relayed(s.body.self, relay)) : failed(s);
}

static io_result send_file(void *self, disk_file *file, uint64_t offset, size_t size)
{
    peer_sink &s = sink_of(self);
    return s.request != nullptr ? checked(s, s.body.ops->send_file(s.body.self, file, offset, size)) : failed(s);
}

static void on_room(void *arg)
{
    peer_sink &s = sink_of(arg);
    net_on_ready on_ready = s.on_ready;
    s.on_ready = nullptr;
    if (on_ready != nullptr)
        on_ready(s.ready_arg);
}

static void wait(void *self, net_on_ready on_ready, void *arg)
{
    peer_sink &s = sink_of(self);
    s.on_ready = on_ready;
    s.ready_arg = arg;
    if (s.request != nullptr)
        s.body.ops->wait(s.body.self, on_room, &s);
    else
        post(s);
}

static void wait_cancel(void *self)
{
    peer_sink &s = sink_of(self);
    s.on_ready = nullptr;
    if (s.request != nullptr)
        s.body.ops->wait_cancel(s.body.self);
}

static error stalled(void *self)
{
    peer_sink &s = sink_of(self);
    set_failure(s, error_code::timed_out, "it takes nothing");
    return s.outcome.err;
}

static constexpr stream_to_ops stream_ops = {
    true, true, begin_piece, end_piece, has_framing, send, send_relayed, send_file, wait, wait_cancel, stalled};

static stream_to stream(void *self) { return {&stream_ops, self}; }

// --- commit and abandonment

static void commit(void *self, sink_on_committed on_committed, void *arg)
{
    peer_sink &s = sink_of(self);
    CHECK(s.on_committed == nullptr);
    s.on_committed = on_committed;
    s.committed_arg = arg;
    if (s.request != nullptr)
        call_body_end(*s.request);
    else
        post(s); // it has answered already, with an error
}

static void abandon(void *self, sink_refusal *)
{
    peer_sink &s = sink_of(self);
    s.done = true;
    s.on_ready = nullptr;
    if (s.request != nullptr)
        call_cancel(*s.request);
    s.request = nullptr;
    free_when_idle(s);
}

static const sink_outcome &failure(const void *self) { return static_cast<const peer_sink *>(self)->outcome; }

static constexpr sink_ops ops = {begin, stream, commit, abandon, failure};

sink sink_peer(env &e, sink_peer_options options)
{
    auto *s = new peer_sink;
    s->e = &e;
    s->options = std::move(options);
    return {&ops, s, peer_patience_ms};
}

} // namespace etlnode
