// SPDX-License-Identifier: MIT
// http/pump.h: moves bytes from one end (http/stream.h) to another in constant memory, at the pace of the slower side: by sendfile from a
// file, by splice between sockets, otherwise through a buffer of the source.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "http/stream.h"
#include "port/env.h"

namespace etlnode {

struct pump;

struct pump_options {
    uint64_t source_timeout_ms = 45'000; // the source gives nothing for this long although the sink could take it
    uint64_t sink_timeout_ms = 30'000;   // the sink takes nothing for this long
    bool has_length = false;             // the sink expects this length: more bytes are a failure
    uint64_t length = 0;
    std::string prefix; // bytes of the body that were already taken, sent first
    // Exactly once, unless pump_cancel. ok: the source ended and the sink has taken everything; the owner then ends both. Else the
    // error of the source (timed_out, end_of_stream, reset, bad_pod_answer) or of the sink (canceled: the client).
    void (*on_done)(void *arg, error err, uint64_t bytes) = nullptr;
    void *arg = nullptr;
};

// The pump borrows both ends until on_done or pump_cancel.
pump *pump_start(env &e, stream_to to, stream_from from, pump_options options);
// The pointer is invalid at once, and the owner has both ends back.
void pump_cancel(pump &p);

} // namespace etlnode
