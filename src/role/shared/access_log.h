// SPDX-License-Identifier: MIT
// role/shared/access_log.h: one line for each answer: request id, peer, method, path, status, milliseconds.
#pragma once

#include <cstdint>

#include "http/server/exchange.h"

namespace etlnode {

// Requests for objects, and what comes all the time (health, metrics, heartbeats), are logged at level debug unless they fail with 5xx. An
// overload brings answers 503 by the thousand: refusals_logged_max of them a second have their line, and the first one after that second says
// how many had none.
struct access_log {
    uint64_t second = 0;
    unsigned written = 0; // in that second
    uint64_t dropped = 0;
};
void access_log_answer(access_log &log, const char *role, exchange &x, int status);

} // namespace etlnode
