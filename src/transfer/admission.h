// SPDX-License-Identifier: MIT
// transfer/admission.h: who may talk to a pod, and when: what the registry says of it, the slots at it, the queue before it.
#pragma once

#include <string_view>

#include "transfer/choose.h"
#include "transfer/transfer_machine.h"

namespace etlnode {

// What the decision table says of the request now; `out_view` is filled where the ETL is known.
read_action admission_decide(const transfer &t, etl_view &out_view);
// What is remembered of an ETL's pod; null where the ETL is not known.
pod_memory *admission_find(transfer_host &host, std::string_view etl_id_or_name);
// What is remembered of the pod; what was learnt of another start of the ETL is forgotten.
pod_memory &admission_memory_of(transfer &t, const etl_view &view);

void admission_join_queue(transfer &t);  // again: no effect
void admission_leave_queue(transfer &t); // not in it: no effect
void admission_take_slot(transfer &t);
void admission_release_slot(transfer &t); // without one: no effect; the oldest in the queue is woken
// The pod has changed: all that wait for it look again, in the loop's next turn.
void admission_post_wake(transfer_host &host, etl_ref &ref);
// Forgets an ETL that is gone and that nobody waits for. True: `memory` is not there any more.
bool admission_forget_if_gone(transfer_host &host, pod_memory &memory);

} // namespace etlnode
