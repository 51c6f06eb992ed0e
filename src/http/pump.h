// SPDX-License-Identifier: MIT
// http/pump.h: moves the body of a call's answer into a streamed answer, at the pace of the slower side, in constant memory.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "http/call.h"
#include "http/exchange.h"

struct pump;

struct pump_options {
    uint64_t source_timeout_ms = 45'000; // the source gives nothing for this long while the sink could take it
    uint64_t sink_timeout_ms = 30'000;   // the client takes nothing for this long
    bool has_length = false;             // the answer was begun with this length: more or fewer bytes are a failure
    uint64_t length = 0;
    std::string prefix;                  // bytes of the body that were taken before, sent first
    // Exactly once, unless pump_cancel. ok: the source ended and everything has been handed to the client's socket; the owner then ends
    // the exchange and the call. timed_out, end_of_stream, reset, bad_pod_answer: the source's fault. canceled: the client's.
    void (*on_done)(void *arg, error err, uint64_t bytes) = nullptr;
    void *arg = nullptr;
};

pump *pump_start(exchange &to, call &from, pump_options options);
// The pointer is dead at once; call and exchange are the owner's again.
void pump_cancel(pump &p);
