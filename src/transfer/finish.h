// SPDX-License-Identifier: MIT
// transfer/finish.h: how a transfer ends: the actions of the machine's rows that lead to `done`, and what a sink begins with.
#pragma once

#include "transfer/transfer_machine.h"

namespace etlnode {

// With the failure that is set: a client that has seen nothing gets it as its answer; otherwise the answer is cut.
void finish_failed(transfer &t);
void finish_not_ready(transfer &t);
void finish_stalled(transfer &t);
void finish_first_error(transfer &t); // of the first of two methods
void finish_pod_error(transfer &t);   // of the method tried last, or of the first one if that says more
void finish_stopped(transfer &t);     // the client has left, or the machine was stopped after a fault
// Success.
void finish_redirected(transfer &t); // hpull
void finish_bodyless(transfer &t);   // HEAD, or 304 to a condition of the client
void finish_committed(transfer &t);

// The head for the sink. Also remembers which method the pod understood.
sink_head finish_good_head(transfer &t, const source_facts &facts);
// Whether a status may mean that the server does not know the method, rather than come from the handler itself; and whether it must.
bool finish_may_be_of_method(int status);
bool finish_knows_not_method(int status);

// Frees a transfer that is done; `arg` is the transfer.
void finish_delete(void *arg);

} // namespace etlnode
