// SPDX-License-Identifier: MIT
// object/source.h: where the bytes of an object come from. A source has facts, known before the first byte, and bytes for a pump.
//
// A source is opened once and closed once, possibly before its end. The answer of a call is also a source (call_stream, http/stream.h); its
// facts are in its head.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/open_count.h"
#include "http/stream.h"
#include "port/env.h"
#include "port/fetch.h"
#include "store/store.h"

namespace etlnode {

struct source_facts {
    uint64_t size = stream_size_unknown;
    std::string content_type = {}; // empty: unknown
    std::string etag = {};         // empty: none
    uint64_t version = 0;          // 0: unknown
    bool has_checksum = false;
    uint64_t checksum = 0;   // XXH64 of all bytes
    std::string custom = {}; // what is kept beside it (store/object_extras.h)
    uint64_t pause_ms = 0;   // how long it may pause in the middle; 0: not worth mentioning
};

struct source {
    source_facts facts;
    stream_from from;                    // for a pump; not after source_close
    void (*close)(void *self) = nullptr; // null: there is no source
    uint64_t patience_ms = 0;            // a source that gives nothing for longer is given up
    // Takes everything if all of it has arrived. False: nothing was taken, and it must be pulled. Null: always false.
    bool (*take_whole)(void *self, std::string &out_bytes) = nullptr;
};

// An object of this target. Takes over the hold of `object` (store_peek, store_get). `at_disk` counts the reads that the disk still owes an
// answer, which may come after source_close: the store must not be closed before. A block that is damaged is found by whoever compares the
// checksum, or by the socket that it is sent to; with `checked` also here, before any byte of it is given: for ends that do neither; with
// `unchecked` not even at the socket, which spares a reading of the file if the receiver compares the checksum.
enum class source_blocks : uint8_t { as_read, checked, unchecked };
source source_stored(
    env &e, store &objects, const store_object *object, open_count &at_disk, source_blocks blocks = source_blocks::as_read);
// The same, but only `size` bytes from `offset` on. The facts are those of the whole object, except size and checksum. Blocks are checked.
source source_stored_part(env &e, store &objects, const store_object *object, open_count &at_disk, uint64_t offset, uint64_t size);
// `size` bytes of a file that nobody changes, from its start. Other bytes than those of `checksum` (XXH64) end it with `corrupt`.
source source_file(env &e, std::string path, uint64_t size, uint64_t checksum, open_count &at_disk);
// The first `size` bytes of a file, which the source owns. A shorter one ends it with `end_of_stream`.
source source_opened(env &e, disk_file *file, uint64_t size, open_count &at_disk);

// Sources one after the other, as one. Each is asked for when the one before has ended, so memory and descriptors are those of one.
struct source_chain;
struct source_chain_options {
    // Asks for the next source: source_chain_give, _end or _fail must follow once, perhaps before this returns, but not after on_closed.
    void (*next)(void *arg, source_chain &chain) = nullptr;
    void (*on_closed)(void *arg) = nullptr; // once: the chain is closed, and nothing is asked for any more
    void *arg = nullptr;                    // of both
};
source source_chain_make(env &e, source_facts facts, source_chain_options options);
void source_chain_give(source_chain &chain, source from);
void source_chain_end(source_chain &chain);
void source_chain_fail(source_chain &chain, error err);

// The body of a call's answer. Requires: on_head has come (http/client/call.h); the source owns the call from now on. `patience_ms` is also
// pause_ms. The caller has read the head, and adds to the facts what it says of the body.
source source_call(call &c, uint64_t patience_ms);
// What a fetch (port/fetch.h) gives, of which on_head has come without a failure. The source owns it from now on, until it says in the
// notes that it is closed. Lifetime of the notes: until then.
struct fetch_notes {
    uint64_t given = 0; // bytes
    fetch_failure failed;
    bool is_closed = false;
};
source source_fetch(env &e, fetch *f, uint64_t size, uint64_t patience_ms, fetch_notes &notes);
// Bytes that are here already.
source source_memory(env &e, std::string content, source_facts facts);

inline bool source_is_open(const source &s) { return s.close != nullptr; }
inline pull_result source_pull(source &s) { return s.from.ops->pull(s.from.self, nullptr, false); }
inline void source_wait(source &s, net_on_ready on_ready, void *arg) { s.from.ops->wait(s.from.self, on_ready, arg); }
inline uint64_t source_last_progress_ms(const source &s) { return s.from.ops->last_progress_ms(s.from.self); }
inline bool source_take_whole(source &s, std::string &out_bytes) { return s.take_whole != nullptr && s.take_whole(s.from.self, out_bytes); }
// Nothing of it calls back any more.
inline void source_close(source &s)
{
    if (s.close != nullptr)
        s.close(s.from.self);
    s = source{};
}

} // namespace etlnode
