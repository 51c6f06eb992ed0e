// SPDX-License-Identifier: MIT
// transfer/finish.h: how a transfer ends: the actions of the machine's rows that lead to `done`, and what they need of an answer.
#pragma once

#include "transfer/transfer_machine.h"

namespace etlnode {

// Before the client has got anything: the failure that is set.
void finish_refuse(transfer &t);
void finish_refuse_not_ready(transfer &t);
void finish_refuse_stalled(transfer &t);
void finish_first_error(transfer &t); // of the first of two methods
void finish_pod_error(transfer &t);   // of the method that was tried last, or of the first where that tells more
void finish_stopped(transfer &t);     // the node ends
// After that.
void finish_cut(transfer &t);
void finish_cut_or_refuse(transfer &t);
void finish_gone(transfer &t); // the client has left
// All went well.
void finish_redirect(transfer &t); // hpull
void finish_head_only(transfer &t);
void finish_unmodified(transfer &t); // the client asked whether it has the newest version, and the pod says that it has
void finish_buffered(transfer &t);   // the whole answer is in t.buffered
void finish_complete(transfer &t);   // the client has all but the end
void finish_kept(transfer &t);       // the result is durable at its sink

// The sink of a kept result takes its head; what was learnt of the pod's methods is kept.
void finish_begin_sink(transfer &t, const sink_head &head);
// Status and headers for the client; what was learnt of the pod's methods is kept.
answer finish_good_answer(transfer &t);
// Whether a status may come from a server that does not know the method, rather than from the handler of it; and whether it must.
bool finish_may_be_of_method(int status);
bool finish_knows_not_method(int status);

// Frees a transfer that is done; `arg` is the transfer.
void finish_delete(void *arg);

} // namespace etlnode
