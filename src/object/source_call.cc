// SPDX-License-Identifier: MIT
// object/source_call.cc: the body of a call's answer as a source, for example what a pod makes of an object.
//
// Owns     the call, as soon as its answer has a head.
// Knows    http.          Known by  transfer.
// Fails    an answer that breaks off, stalls, or is longer than it said (http/client/call_body.cc).
#include "http/client/call.h"
#include "object/source.h"

namespace etlnode {

static void close(void *self) { call_close(*static_cast<call *>(self)); }
static bool take_whole(void *self, std::string &out_bytes) { return call_take_whole(*static_cast<call *>(self), out_bytes); }

source source_call(call &c, uint64_t patience_ms)
{
    source_facts facts;
    facts.pause_ms = patience_ms;
    return {std::move(facts), call_stream(c), close, patience_ms, take_whole};
}

} // namespace etlnode
