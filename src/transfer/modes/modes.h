// SPDX-License-Identifier: MIT
// transfer/modes/modes.h: everything that distinguishes the transfer modes. docs/HACKING.md lists the edits for a new mode.
//
// No other code compares mode names: it asks what a mode does.
#pragma once

#include <string>
#include <vector>

#include "http/client/call.h"
#include "node/api.h"
#include "sm/sm_render.h"
#include "transfer/choose.h"
#include "transfer/stage.h"

namespace etlnode {

struct transfer;

struct transfer_mode {
    etl_mode mode;
    read_mode choice; // how the decision table names it
    // Why the mode cannot carry the client's query; empty: it can. Null: it carries every one.
    std::string (*refusal)(std::string_view query);
    // Begins the exchange with the pod, and reports to t.listener. Sets t.request_line, which error texts show.
    stage (*begin)(transfer &t);
    // Where a client who reads is sent instead. Null: the target asks the pod. For other sinks it always does. etl_mode_redirects says it,
    // too.
    std::string (*location)(transfer &t);
    // The target sends the object to the pod.
    bool sends_object;
    // As the body of a POST or PUT (t.by_put). If the pod does not know the first method, the other one is tried.
    bool tries_methods;
    // The pod asks this target for the object while the request waits. That counts as progress.
    bool pod_reads;
    // The pod sees the headers of the request, its conditions too, and so its answer is an answer to them.
    bool passes_headers;
    // For a mode with its own state machine, for documents and metrics; otherwise null.
    sm_view (*machine)();
};

const transfer_mode &transfer_mode_of(etl_mode mode);
std::vector<sm_view> transfer_mode_machines();

// Defined in the files beside this one, for modes.cc.
extern const transfer_mode push_mode;      // hpush
extern const transfer_mode reverse_mode;   // hrev
extern const transfer_mode redirect_mode;  // hpull
extern const transfer_mode websocket_mode; // ws

// For requests of those modes: the target asks the pod, which asks for the object.
void mode_ask_pod(transfer &t, call_options &out_request);
// http_stage.cc: the stage is this request, completed with what all modes share, and its answer.
stage mode_begin_call(transfer &t, call_options request);
// Only sets what all modes share: the pod's address, the time limits, X-Request-Id. Stores method and target in t.request_line.
void mode_address_pod(transfer &t, call_options &out_request);
// What of a request's query the cluster does not read itself: for the pod.
std::string mode_query_of(std::string_view asked);
// "/<bucket>/<object>" (specs of 2020), or the one-segment uname that today's transformers expect for pulls; with the remaining query.
std::string mode_pod_path(const transfer &t, bool as_uname);

} // namespace etlnode
