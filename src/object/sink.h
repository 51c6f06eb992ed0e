// SPDX-License-Identifier: MIT
// object/sink.h: where the bytes of an object go. A sink takes a head, then bytes, and is then either committed or abandoned, exactly once.
//
// An abandoned sink leaves nothing: no object, no temporary file, and no request that could pass as complete. When a commit completes, what
// it made visible is durable.
#pragma once

#include <cstdint>
#include <memory>
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
    bool has_checksum = false;     // if set, other bytes are never stored
    uint64_t checksum = 0;         // XXH64
    std::string custom = {};       // what was kept beside the content that this one is equal to (store/object_extras.h)
    uint64_t pause_ms = 0;         // how long the source may pause in the middle; 0: not worth mentioning
    // The head of an answer, for sink_client. Other sinks ignore it.
    int status = 200;
    std::string headers = {}; // whole lines
    bool is_bodyless = false; // no body follows (HEAD, 304, a redirect); Content-Length says `size` all the same
};

// What sink_client answers when it is abandoned before its first byte.
struct sink_refusal {
    error_code code;
    std::string_view text;
    int status = 0;           // 0: the code's
    std::string headers = {}; // whole lines
};

// The result, in words for the user.
struct sink_outcome {
    error err;
    std::string text;
};
using sink_on_committed = void (*)(void *arg, const sink_outcome &outcome);

struct sink_ops {
    void (*begin)(void *self, sink_head &head); // the head may be emptied
    stream_to (*stream)(void *self);
    void (*commit)(void *self, sink_on_committed on_committed, void *arg); // null: commit_now
    void (*abandon)(void *self, sink_refusal *why);                        // why: null for sink_abandon
    const sink_outcome &(*failure)(const void *self);
    void (*commit_now)(void *self) = nullptr;
    void (*answer)(void *self, sink_head &head, std::string &bytes) = nullptr; // null: only a pump brings bytes
    bool (*is_seen)(const void *self) = nullptr;                               // null: nobody sees anything before the commit
};
struct sink {
    const sink_ops *ops = nullptr; // null: no sink
    void *self = nullptr;
    uint64_t patience_ms = 0; // a sink that takes nothing for longer is given up
};

inline bool sink_is_open(const sink &s) { return s.ops != nullptr; }
// Once, before the first byte.
inline void sink_begin(sink &s, sink_head head) { s.ops->begin(s.self, head); }
// For a pump, from sink_begin to commit or abandonment.
inline stream_to sink_stream(sink &s) { return s.ops->stream(s.self); }
// Whether the sink accepts sink_answer.
inline bool sink_takes_answer(const sink &s) { return s.ops->answer != nullptr; }
// Instead of sink_begin and a pump: all bytes at once, or a head without a body. Moves out of head and bytes. Requires: sink_takes_answer.
inline void sink_answer(sink &s, sink_head &head, std::string &bytes) { s.ops->answer(s.self, head, bytes); }
// Whether somebody has seen a part of the object. Then a failure can only cut it, because words come too late.
inline bool sink_is_seen(const sink &s) { return s.ops != nullptr && s.ops->is_seen != nullptr && s.ops->is_seen(s.self); }
// After the last byte. Completes once, unless the sink is abandoned first; then the commit may have taken effect. The sink is gone when the
// commit completes. Requires: not sink_commits_at_once.
inline void sink_commit(sink &s, sink_on_committed on_committed, void *arg) { s.ops->commit(s.self, on_committed, arg); }
// Whether the commit is sink_commit_now, which cannot fail and needs no wait.
inline bool sink_commits_at_once(const sink &s) { return s.ops->commit_now != nullptr; }
inline void sink_commit_now(sink &s)
{
    s.ops->commit_now(s.self);
    s = sink{};
}
// At any time, also before sink_begin. Nothing of it calls back any more.
inline void sink_abandon(sink &s)
{
    if (s.ops != nullptr)
        s.ops->abandon(s.self, nullptr);
    s = sink{};
}
// Abandons the sink; a client that has seen nothing gets `why` as its answer.
inline void sink_refuse(sink &s, sink_refusal why)
{
    s.ops->abandon(s.self, &why);
    s = sink{};
}
// Why the sink takes no more bytes. If it has a failure, that caused the failure of the pump, not the source. Lifetime: the sink's.
inline const sink_outcome &sink_failure(const sink &s) { return s.ops->failure(s.self); }

// --- to a client: the answer to its request
//
// The commit makes the answer whole. Abandoning it before its first byte answers with the refusal, and after that resets the connection.
// Without a refusal the client must have gone. The sink owns the exchange until it is committed or abandoned.

sink sink_client(exchange &x);

// --- into the store of this target

// Whether a content may become a new version of its object, and under which terms. While objects move between targets, that takes questions
// to other targets. It is decided at the last moment: the content is durable, and only the row is missing.
struct put_leave {
    error err; // set: it may not, and `text` says why
    std::string text;
    std::string headers; // whole lines, for a client's answer
    int status = 0;      // 0: the code's
    store_terms terms;
};
using put_on_leave = void (*)(void *owner, const put_leave &leave);
struct put_gate {
    // False: a row that is handed to the index at once needs no leave.
    bool (*must_ask)(void *arg, std::string_view bucket, std::string_view name) = nullptr; // null: there is no gate
    // Calls on_leave exactly once, perhaps before it returns. The row is handed over in that call.
    void (*ask)(void *arg, const std::string &bucket, const std::string &name, uint64_t bucket_created_ns, put_on_leave on_leave,
        void *owner) = nullptr;
    // The row is durable: whether that may be acknowledged. If not, nobody knows what becomes of it.
    error (*confirm)(void *arg) = nullptr;
};
// A row of another target, to be stored as a copy (put_set_copy).
struct put_copy {
    index_row row;
    uint64_t origin_tag = 0;
};

struct sink_put_options {
    std::string bucket, name; // checked by the caller
    std::string node_id;      // in messages
    uint64_t bucket_created_ns = 0;
    // Called before the commit; false: the bucket is gone, and nothing is stored.
    bool (*is_bucket_there)(void *arg, std::string_view bucket, uint64_t created_ns) = nullptr;
    // Called once, when the store has completed everything: stored, failed or abandoned.
    void (*on_end)(void *arg, error err, uint64_t bytes) = nullptr;
    void *arg = nullptr; // of all three
    put_gate gate;
    std::unique_ptr<put_copy> copy;         // null: it is not one
    std::unique_ptr<std::string> made_from; // noted beside the content; null: nothing
};
sink sink_put(env &e, store &objects, sink_put_options options);
// "t[id]: cannot store ais://b/o: the disk is full"
std::string sink_put_describe_failure(std::string_view node_id, std::string_view bucket, std::string_view name, error err);

// --- nowhere: afterwards the size is known, and that the source could be read

sink sink_discard(env &e);

// --- for the next stage of a pipeline: a content without a name (store/interim.h)

struct sink_interim_options {
    std::string bucket, name; // of the object that it stands for
    std::string node_id;      // in messages
    // Called before the first byte goes to the disk; false: the disk has no room for it, and `out_why` says so. Null: it always may.
    bool (*admits)(void *arg, const std::string &bucket, const std::string &name, std::string &out_why) = nullptr;
    void *admits_arg = nullptr;
    // Gets what the commit has made, before on_committed. Its holder must release it.
    void (*on_made)(void *arg, const store_object *object) = nullptr;
    void *arg = nullptr;
};
sink sink_interim(env &e, store &objects, sink_interim_options options);

// --- into both sinks, which the tee owns from now on. They are committed one after the other; if the second fails then, the first has
// taken effect

sink sink_tee(sink first, sink second);

// --- to another target, which stores it

struct sink_peer_options {
    http_client *client = nullptr; // must outlive the sink
    std::string host;
    uint16_t port = 0;
    std::string target;       // raw path and query of the PUT
    std::string headers;      // complete header lines
    std::string bucket, name; // used in messages, with:
    std::string node_id;      // of this target
    std::string peer_id;
};
sink sink_peer(env &e, sink_peer_options options);

} // namespace etlnode
