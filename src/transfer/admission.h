// SPDX-License-Identifier: MIT
// transfer/admission.h: who may use a pod, and when: its state in the registry, its slots, and the queue for it.
#pragma once

#include <string_view>

#include "transfer/choose.h"
#include "transfer/transfer_machine.h"

namespace etlnode {

// What the decision table says about the request now. `out_view` is set if the ETL is known.
read_action admission_decide(const transfer &t, etl_view &out_view);
// What is remembered about an ETL's pod; null if the ETL is unknown.
pod_memory *admission_find(transfer_host &host, std::string_view etl_id_or_name);
// The same for this transfer. What was learnt about an earlier start of the ETL is forgotten.
pod_memory &admission_memory_of(transfer &t, const etl_view &view);

// How many of a pod's slots, and of the places in its queue, may be taken when this one wants another: clients leave nothing to jobs, and
// jobs leave the last ones to clients.
size_t admission_slots_for(bool is_job);
size_t admission_queue_for(bool is_job);

// Clients stand before jobs, and of jobs each has its turn.
void admission_join_queue(transfer &t);  // no effect if it is queued already
void admission_leave_queue(transfer &t); // no effect if it is not queued
void admission_take_slot(transfer &t);
void admission_release_slot(transfer &t); // no effect without a slot; wakes the first in the queue
// The pod has changed: all transfers that wait for it check again in the loop's next iteration.
void admission_post_wake(transfer_host &host, etl_ref &ref);
// Forgets an ETL that is gone and that no transfer waits for. True: `memory` has been freed.
bool admission_forget_if_gone(transfer_host &host, pod_memory &memory);

} // namespace etlnode
