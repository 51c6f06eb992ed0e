// SPDX-License-Identifier: MIT
// http/pump.h: moves bytes from one end (http/stream.h) to another, at the pace of the slower side, in constant memory: by sendfile out of a file,
// by splice from socket to socket, else by a buffer of the source.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "http/stream.h"
#include "port/env.h"

namespace etlnode {

struct pump;

struct pump_options {
    uint64_t source_timeout_ms = 45'000; // the source gives nothing for this long while the sink could take it
    uint64_t sink_timeout_ms = 30'000;   // the sink takes nothing for this long
    bool has_length = false;             // the sink was promised this length: more bytes are a failure
    uint64_t length = 0;
    std::string prefix; // bytes of the body that were taken before, sent first
    // Exactly once, unless pump_cancel. ok: the source ended and the sink has taken everything; the owner then ends both. Else what the source
    // or the sink failed with: timed_out, end_of_stream, reset, bad_pod_answer of a source; canceled of a client.
    void (*on_done)(void *arg, error err, uint64_t bytes) = nullptr;
    void *arg = nullptr;
};

// Both ends are lent until on_done or pump_cancel.
pump *pump_start(env &e, stream_to to, stream_from from, pump_options options);
// The pointer is dead at once; the ends are the owner's again.
void pump_cancel(pump &p);

} // namespace etlnode
