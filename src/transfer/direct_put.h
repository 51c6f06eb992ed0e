// SPDX-License-Identifier: MIT
// transfer/direct_put.h: a pod puts its result itself (AIStore's direct put), instead of answering with it.
//
// A transfer whose result is kept offers a place: a URL on the target's pod listener, in the header Ais-Node-Url. Nobody sees what the pod
// puts there. When the pod then answers without a body, it is the result; with a body, that is the result, and the other is dropped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/server/exchange.h"
#include "sm/sm_render.h"
#include "transfer/transfer.h"

namespace etlnode {

inline constexpr std::string_view header_direct_url = "Ais-Node-Url";
inline constexpr std::string_view header_retry_reason = "Ais-Etl-Retry-Reason";
inline constexpr std::string_view retry_reason_transient = "direct-put-transient"; // the pod could not send its body a second time
inline constexpr std::string_view query_direct_secret = "uuid";                    // of the URL: AIStore's pods keep it, whatever it holds

// What a transfer has offered, and what its pod has put there.
struct direct_offer {
    std::string etl_id, bucket, name; // of the destination
    std::string pull_key;             // of the transfer: what the pod puts is progress
    uint64_t patience_ms = 0;         // a transform may pause for longer than a client may
    const store_object *given = nullptr;
    error refused = {};                         // why the last PUT could not be kept here, if that was not the pod's fault
    bool was_begun = false;                     // a PUT has come, whatever became of it
    std::vector<struct direct_put *> puts = {}; // that are being read
};

// For the machine of transfers.
bool direct_put_is_offered(const transfer &t);
// Offers a place if the ETL's spec asks for it, and the request names a destination. No effect if it is offered already.
void direct_put_offer(transfer &t);
// The URL; empty: none is offered.
const std::string &direct_put_url(const transfer &t);
bool direct_put_has_result(const transfer &t);
// Whether the pod has begun to put a result, and none of its PUTs is whole. Then an answer without a body is no result either.
bool direct_put_is_torn(const transfer &t);
// If the disk here is to blame for that, sets the failure of the transfer, whatever the pod says. A job waits for room then.
bool direct_put_sets_failure(transfer &t);
// Requires: it has a result. The caller must release it.
const store_object *direct_put_take(transfer &t);
// No effect if nothing is offered. What the pod still puts is answered with 404, and dropped.
void direct_put_withdraw(transfer &t);

// PUT from a pod, whose ETL's secret has been checked: reads the body and answers. Nothing is stored unless a transfer of this ETL awaits
// `bucket`/`name` under the secret in the request's query.
void direct_put_serve(transfer_host &host, exchange &x, std::string_view etl_id, std::string_view bucket, std::string_view name);

sm_view direct_put_machine_view();

} // namespace etlnode
