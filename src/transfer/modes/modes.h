// SPDX-License-Identifier: MIT
// transfer/modes/modes.h: everything that tells one transfer mode from another. Adding a mode is one file here, and one row in modes.cc.
//
// Nobody else compares the names of modes: what is asked is what a mode does.
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
    read_mode choice; // its column in the decision table
    // Begins the exchange with the pod, and tells t.listener what comes of it. Sets t.request_line, which error texts show.
    stage (*begin)(transfer &t);
    // Where a client who reads is sent instead. Null: the target asks the pod. For other sinks it always does. etl_mode_redirects says it, too.
    std::string (*location)(transfer &t);
    // The target sends the object to the pod.
    bool sends_object;
    // As the body of a POST, or of a PUT (t.by_put): the other one is tried where the pod does not know the first.
    bool tries_methods;
    // The pod asks this target for the object while the request waits: that is progress.
    bool pod_reads;
    // The headers of the request that is asked go to the pod, its conditions too: what it answers is an answer to them.
    bool passes_headers;
    // Of a mode that has a state machine of its own, for documents and metrics; else null.
    sm_view (*machine)();
};

const transfer_mode &transfer_mode_of(etl_mode mode);
std::vector<sm_view> transfer_mode_machines();

// Of the files beside this one, for modes.cc.
extern const transfer_mode push_mode;      // hpush
extern const transfer_mode reverse_mode;   // hrev
extern const transfer_mode redirect_mode;  // hpull
extern const transfer_mode websocket_mode; // ws

// For their requests. The target asks the pod, which asks for the object.
void mode_ask_pod(transfer &t, call_options &out_request);
// http_stage.cc: the stage is this request, completed with what all of them have, and its answer.
stage mode_begin_call(transfer &t, call_options request);
// Only that: the pod's address, the limits of time, X-Request-Id. Notes method and target as t.request_line.
void mode_address_pod(transfer &t, call_options &out_request);
// What of a request's query the cluster does not read itself: for the pod.
std::string mode_query_of(std::string_view asked);
// "/<bucket>/<object>" (specs of 2020), or the one-segment uname that today's transformers expect of pulls; with the query that remains.
std::string mode_pod_path(const transfer &t, bool as_uname);

} // namespace etlnode
