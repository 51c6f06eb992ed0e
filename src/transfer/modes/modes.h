// SPDX-License-Identifier: MIT
// transfer/modes/modes.h: everything that tells one transfer mode from another. Adding a mode is one file here, and one row in modes.cc.
//
// Nobody else compares the names of modes: what is asked is what a mode does.
#pragma once

#include <string>

#include "http/client/call.h"
#include "node/api.h"
#include "transfer/choose.h"

namespace etlnode {

struct transfer;

struct transfer_mode {
    etl_mode mode;
    read_mode choice; // its column in the decision table
    // The request to the pod (method, target, headers, body).
    void (*request)(transfer &t, call_options &out_request);
    // Where a client who reads is sent instead. Null: the target makes the request for him. For what is kept it always does.
    std::string (*location)(transfer &t);
    // The object is the body of the request: POST, or PUT; the other one is tried where the pod does not know the first.
    bool sends_object;
    // The pod asks this target for the object while the request waits: that is progress.
    bool pod_reads;
    // The client's own headers go to the pod, his conditions too: what it answers is an answer to them.
    bool passes_headers;
};

const transfer_mode &transfer_mode_of(etl_mode mode);

// Of the files beside this one, for modes.cc.
extern const transfer_mode push_mode;     // hpush
extern const transfer_mode reverse_mode;  // hrev
extern const transfer_mode redirect_mode; // hpull

// For their requests. The target asks the pod, which asks for the object.
void mode_ask_pod(transfer &t, call_options &out_request);
// "/<bucket>/<object>" (specs of 2020), or the one-segment uname that today's transformers expect of pulls; with the query that remains.
std::string mode_pod_path(const transfer &t, bool as_uname);

} // namespace etlnode
