// SPDX-License-Identifier: MIT
// object/source.h: where the bytes of an object come from: what is known of it before the first byte, then its bytes, pulled by a pump.
//
// A source is opened once and closed once; it may be closed before its end. The answer of a call is one too (call_stream, http/stream.h): what
// is known of it stands in its head.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "http/stream.h"
#include "port/env.h"
#include "store/store.h"

namespace etlnode {

struct source_facts {
    uint64_t size = stream_size_unknown;
    std::string content_type = {}; // empty: unknown
    std::string etag = {};         // empty: none
    uint64_t version = 0;          // 0: unknown
    bool has_checksum = false;
    uint64_t checksum = 0; // XXH64 of all bytes
};

struct source {
    source_facts facts;
    stream_from from;                    // for a pump; not after source_close
    void (*close)(void *self) = nullptr; // null: there is no source
};

// An object of this target. Takes over the hold of `object` (store_peek, store_get). `at_disk` counts the reads that the disk still owes an
// answer, which may come after source_close: the store must not be closed before. A block that is damaged is found by whoever compares the
// checksum, or by the socket that it is sent to; with `checked` also here, before any byte of it is given: for ends that do neither.
enum class source_blocks : uint8_t { as_read, checked };
source source_stored(env &e, store &objects, const store_object *object, size_t &at_disk, source_blocks blocks = source_blocks::as_read);
// Bytes that are here already.
source source_memory(env &e, std::string content, source_facts facts);

inline bool source_is_open(const source &s) { return s.close != nullptr; }
// Nothing of it calls back any more.
inline void source_close(source &s)
{
    if (s.close != nullptr)
        s.close(s.from.self);
    s = source{};
}

} // namespace etlnode
