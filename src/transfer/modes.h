// SPDX-License-Identifier: MIT
// transfer/modes.h: what tells one transfer mode from another: how the request to the pod looks. Adding a mode is one file and one row.
#pragma once

#include <string>

#include "http/call.h"
#include "node/api.h"

struct transfer;

struct transfer_mode {
    communication how;
    const char *name;
    // The request to the pod (method, target, headers, body).
    void (*request)(transfer &t, call_options &out_request);
    // Where a client who reads is sent instead. Null: the target makes the request for him. For what is kept it always does.
    std::string (*location)(transfer &t);
    // Whether the other of POST and PUT is tried when the pod does not know the first.
    bool tries_methods;
    bool pod_reads; // the object, from this target, while the request waits: that is progress
};

const transfer_mode &transfer_mode_of(communication how);

// push.cc, reverse.cc, redirect.cc
void push_request(transfer &t, call_options &out_request);
void reverse_request(transfer &t, call_options &out_request);
std::string redirect_location(transfer &t);

// "/<bucket>/<object>" (specs of 2020), or the one-segment uname that today's transformers expect of pulls; with the query that remains.
std::string mode_pod_path(const transfer &t, bool as_uname);
