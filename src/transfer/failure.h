// SPDX-License-Identifier: MIT
// transfer/failure.h: how a failed transfer is reported: code, status, text, headers, and the outcome that is counted.
#pragma once

#include <string>

#include "transfer/transfer_machine.h"

namespace etlnode {

// Sets what a refusal would say; the machine decides whether to send it or to cut the connection. status 0: chosen by the code and by how
// the client named the ETL (failure_status).
void failure_set(transfer &t, error_code code, std::string text, int status = 0);
// The call to the pod failed before the end of its answer's head, or in the body. `begun` is the beginning of that head, if any: it may be
// a text that was meant to be the answer.
void failure_set_of_call(transfer &t, error err, std::string_view begun = {});
void failure_set_of_object(transfer &t, error err); // it cannot be found or read
// The error of a kept result's sink. If it received other bytes than the object's, the object is damaged.
void failure_set_of_sink(transfer &t, const sink_outcome &outcome);
void failure_set_stalled(transfer &t); // nothing arrived for obj_timeout
void failure_set_stopped(transfer &t); // the pod went because its ETL is being stopped
void failure_set_redirect(transfer &t, std::string_view location);
void failure_set_status(transfer &t); // of a status that no answer to a read may have
// The pod's own error status; `text` is the result of pod_error_text.
void failure_set_pod_error(transfer &t, int status, const std::string &text, std::string retry_after);

// The status to report; call it once, because it remembers a pod's death. Clients with etl_name= (today's AIStore) retry 429, 500, 502, 503
// and 504 for a minute, so a failure that would repeat is 400 for them.
int failure_status(transfer &t);
// Headers beside the error envelope: the pod's Retry-After, Allow.
std::string failure_headers(const transfer &t);

} // namespace etlnode
