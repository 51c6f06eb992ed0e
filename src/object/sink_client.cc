// SPDX-License-Identifier: MIT
// object/sink_client.cc: the answer to a client as a sink. Head and bytes leave as they come, and the commit makes the answer whole.
//
// Owns     the exchange until it is committed or abandoned.
// Knows    http.          Known by  role, transfer.
// Normal   begin, pump, commit; or a whole answer, which leaves with the commit.
// Fails    a client that leaves or takes nothing fails the pump (http/server/exchange_stream.cc). An answer abandoned after its first byte
//          is reset, whatever its framing, so that no client takes it for complete.
#include "base/limits.h"
#include "http/server/exchange.h"
#include "object/sink.h"

namespace etlnode {

struct client_sink {
    exchange *x = nullptr;
    bool is_begun = false; // the head has been sent, or is about to be
    // A whole answer waits here for the commit.
    answer whole;
    uint64_t size = 0;
    bool is_bodyless = false;
};

static client_sink &sink_of(void *self) { return *static_cast<client_sink *>(self); }

static answer answer_of(sink_head &head)
{
    answer a;
    a.status = head.status;
    a.headers = std::move(head.headers);
    return a;
}

static void begin(void *self, sink_head &head)
{
    client_sink &s = sink_of(self);
    s.is_begun = true;
    exchange_stream_begin(*s.x, answer_of(head), head.size != stream_size_unknown, head.size);
}

static stream_to stream(void *self) { return exchange_stream(*sink_of(self).x); }

static void take_answer(void *self, sink_head &head, std::string &bytes)
{
    client_sink &s = sink_of(self);
    s.whole = answer_of(head);
    s.whole.body.swap(bytes);
    s.size = head.size;
    s.is_bodyless = head.is_bodyless;
}

static void commit_now(void *self)
{
    client_sink &s = sink_of(self);
    if (s.is_begun)
        exchange_stream_end(*s.x, true);
    else if (s.is_bodyless)
        exchange_answer_head(*s.x, std::move(s.whole), s.size);
    else
        exchange_answer(*s.x, std::move(s.whole));
    delete &s;
}

static void abandon(void *self, sink_refusal *why)
{
    client_sink &s = sink_of(self);
    if (s.is_begun)
        exchange_stream_end(*s.x, false);
    else if (why != nullptr)
        exchange_answer_error(*s.x, why->code, why->text, why->status, std::move(why->headers));
    else
        exchange_answer(*s.x, answer{}); // nobody reads it, but it returns the exchange
    delete &s;
}

static bool is_seen(const void *self) { return static_cast<const client_sink *>(self)->is_begun; }

// The pump reports what the client does.
static const sink_outcome &failure(const void *)
{
    static const sink_outcome none;
    return none;
}

static_assert(stream_size_unknown == length_unknown);
static constexpr sink_ops ops = {begin, stream, nullptr, abandon, failure, commit_now, take_answer, is_seen};

sink sink_client(exchange &x)
{
    auto *s = new client_sink;
    s->x = &x;
    return {&ops, s, body_stall_timeout_ms};
}

} // namespace etlnode
