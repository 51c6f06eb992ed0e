// SPDX-License-Identifier: MIT
// transfer/failure.h: how a transfer that failed is told: code, status, words, headers, and the outcome that is counted.
#pragma once

#include <string>

#include "transfer/transfer_machine.h"

namespace etlnode {

// Sets what a refusal will say; the machine decides whether it is said or the connection is cut. status 0: by code, and by how the client
// named the ETL (failure_status).
void failure_set(transfer &t, error_code code, std::string text, int status = 0);
// The call to the pod failed before its answer's head, or in the body.
// `begun` is what there was of the head: it may be a text that was meant as the answer.
void failure_set_of_call(transfer &t, error err, std::string_view begun = {});
void failure_set_of_object(transfer &t, error err); // it cannot be found, or read
// What the sink of a kept result says. Other bytes than the object's are its damage.
void failure_set_of_sink(transfer &t, const sink_outcome &outcome);
void failure_set_stalled(transfer &t); // nothing came for obj_timeout
void failure_set_redirect(transfer &t, std::string_view location);
void failure_set_status(transfer &t); // one that no answer to a read may have
// The pod's own error status; `text` is what pod_error_text made of its answer.
void failure_set_pod_error(transfer &t, int status, const std::string &text, std::string retry_after);

// The status to tell, once: a death is remembered by it. Clients that say etl_name= (AIStore's of today) try 429, 500, 502, 503 and 504 again for a
// minute, so what fails again is 400 for them.
int failure_status(transfer &t);
// Beside the error envelope: Retry-After of the pod, Allow.
std::string failure_headers(const transfer &t);

} // namespace etlnode
