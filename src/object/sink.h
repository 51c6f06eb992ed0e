// SPDX-License-Identifier: MIT
// object/sink.h: where the bytes of an object go to: it takes a head, then bytes, and is committed or abandoned: exactly one of the two, once.
//
// Abandoning leaves nothing: no object, no temporary file, no request that could pass for whole. What a commit has made known when it completes is
// durable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "http/client/call.h"
#include "http/stream.h"
#include "store/store.h"

namespace etlnode {

struct sink_head {
    uint64_t size = stream_size_unknown;
    std::string content_type = {}; // empty: unknown
    bool has_checksum = false;     // then other bytes are never stored
    uint64_t checksum = 0;         // XXH64
    uint64_t pause_ms = 0;         // how long the source may give nothing, in the middle of it; 0: not worth a word
};

// What came of it, in words for the user.
struct sink_outcome {
    error err;
    std::string text;
};
using sink_on_committed = void (*)(void *arg, const sink_outcome &outcome);

struct sink_ops {
    uint64_t patience_ms; // how long it may take nothing before it is given up
    void (*begin)(void *self, const sink_head &head);
    stream_to (*stream)(void *self);
    void (*commit)(void *self, sink_on_committed on_committed, void *arg);
    void (*abandon)(void *self);
    const sink_outcome &(*failure)(const void *self);
};
struct sink {
    const sink_ops *ops = nullptr; // null: there is no sink
    void *self = nullptr;
};

inline bool sink_is_open(const sink &s) { return s.ops != nullptr; }
// Once, before the first byte.
inline void sink_begin(sink &s, const sink_head &head) { s.ops->begin(s.self, head); }
// For a pump, from sink_begin to commit or abandonment.
inline stream_to sink_stream(sink &s) { return s.ops->stream(s.self); }
// Everything has been pushed. Completes once, unless the sink is abandoned first: then the commit may have taken effect. The sink is gone when it completes.
inline void sink_commit(sink &s, sink_on_committed on_committed, void *arg) { s.ops->commit(s.self, on_committed, arg); }
// At any time, also before sink_begin. Nothing of it calls back any more.
inline void sink_abandon(sink &s)
{
    if (s.ops != nullptr)
        s.ops->abandon(s.self);
    s = sink{};
}
// Why it takes no more bytes, where it does not: then the source is not to blame for the failure of the pump. Lifetime: the sink's.
inline const sink_outcome &sink_failure(const sink &s) { return s.ops->failure(s.self); }

// --- into the store of this target

struct sink_put_options {
    std::string bucket, name; // checked by the caller
    std::string node_id;      // in messages
    uint64_t bucket_created_ns = 0;
    // Asked before the commit; false: the bucket is gone, and nothing is stored.
    bool (*is_bucket_there)(void *arg, std::string_view bucket, uint64_t created_ns) = nullptr;
    // Once, when the store owes nothing any more: stored, failed or abandoned.
    void (*on_end)(void *arg, error err, uint64_t bytes) = nullptr;
    void *arg = nullptr;
};
sink sink_put(env &e, store &objects, sink_put_options options);
// "t[id]: cannot store ais://b/o: the disk is full"
std::string sink_put_failure_text(std::string_view node_id, std::string_view bucket, std::string_view name, error err);

// --- nowhere: the size is known in the end, and that the source could be read

sink sink_discard(env &e);

// --- to both, which are the tee's from now on: committed one after the other; where the second one fails then, the first has taken effect

sink sink_tee(sink first, sink second);

// --- to another target, which stores it

struct sink_peer_options {
    http_client *client = nullptr; // Lifetime: the sink's
    std::string host;
    uint16_t port = 0;
    std::string target;       // raw path and query of the PUT
    std::string headers;      // whole lines
    std::string bucket, name; // in messages, as these:
    std::string node_id;      // of this target
    std::string peer_id;
};
sink sink_peer(env &e, sink_peer_options options);

} // namespace etlnode
