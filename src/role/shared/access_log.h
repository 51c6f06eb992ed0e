// SPDX-License-Identifier: MIT
// role/shared/access_log.h: one line for each answer: request id, peer, method, path, status, milliseconds.
#pragma once

#include <cstdint>

#include "http/server/exchange.h"

namespace etlnode {

// Requests for objects and frequent ones (health, metrics, heartbeats) are logged at level debug unless they fail with 5xx. An overload
// causes thousands of 503 answers: refusals_logged_max of them are logged each second, and the next line after that says how many were not.
struct access_log {
    uint64_t second = 0;
    unsigned written = 0; // in that second
    uint64_t dropped = 0;
};
void access_log_answer(access_log &log, const char *role, exchange &x, int status);

} // namespace etlnode
