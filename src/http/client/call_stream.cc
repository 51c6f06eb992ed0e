// SPDX-License-Identifier: MIT
// http/client/call_stream.cc: the body of a call's answer, as the end of a pump that provides bytes.
//
// Owns     nothing.
// Knows    call_body.cc.        Known by  pump_machine.cc, through http/stream.h.
#include "http/client/call.h"
#include "http/stream.h"

namespace etlnode {

static call &call_of(void *self) { return *static_cast<call *>(self); }

static pull_result from_pull(void *self, net_relay *relay, bool) { return call_pull(call_of(self), relay); }
static void from_wait(void *self, net_on_ready on_ready, void *arg) { call_pull_wait(call_of(self), on_ready, arg); }
static void from_wait_cancel(void *self) { call_pull_wait_cancel(call_of(self)); }
static uint64_t from_last_progress_ms(const void *self) { return call_last_progress_ms(*static_cast<const call *>(self)); }
static const char *from_stall_text(const void *self) { return call_stall_text(*static_cast<const call *>(self)); }

static constexpr stream_from_ops call_ops = {true, from_pull, from_wait, from_wait_cancel, from_last_progress_ms, from_stall_text};

stream_from call_stream(call &c) { return {&call_ops, &c}; }

} // namespace etlnode
