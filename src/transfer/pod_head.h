// SPDX-License-Identifier: MIT
// transfer/pod_head.h: what the head of a pod's answer says, and what of it the client sees.
#pragma once

#include "transfer/transfer_machine.h"

namespace etlnode {

// Keeps what later steps need; an answer that ends by closing is counted, and told once for each start of an ETL.
void pod_head_note(transfer &t, const http_head &head);
// Whether the head is that of an answer to hand on; else the failure is set. Requires: noted, no 4xx or 5xx.
bool pod_head_accepts(transfer &t, const http_head &head);
// Whether 304 may be the answer: the pod got the client's own conditions.
bool pod_head_may_be_unmodified(const transfer &t);
// Headers and length for the client.
void pod_head_keep_headers(transfer &t, const http_head &head);

} // namespace etlnode
