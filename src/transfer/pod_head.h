// SPDX-License-Identifier: MIT
// transfer/pod_head.h: interprets the head of a pod's answer, and decides what the client sees of it.
#pragma once

#include "transfer/transfer_machine.h"

namespace etlnode {

// Keeps what later steps need. An answer that ends by closing is counted, and logged once for each start of an ETL.
void pod_head_note(transfer &t, const http_head &head);
// Whether the answer with this head can be passed on; otherwise sets the failure. Requires: noted, not 4xx or 5xx.
bool pod_head_accepts(transfer &t, const http_head &head);
// Whether 304 is a possible answer: the pod received the client's own conditions.
bool pod_head_may_be_unmodified(const transfer &t);
// Keeps headers and length for the client.
void pod_head_keep_headers(transfer &t, const http_head &head);

} // namespace etlnode
