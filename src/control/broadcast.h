// SPDX-License-Identifier: MIT
// control/broadcast.h: one request to many nodes at once, and all their answers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "http/client/call.h"
#include "port/env.h"

namespace etlnode {

struct broadcast;

struct broadcast_peer {
    std::string id;
    std::string url;
};

struct broadcast_request {
    std::string method = "GET";
    std::string target;  // raw path and query, after the peer's own prefix
    std::string headers; // whole lines
    std::string body;
    bool has_body = false;
    uint64_t deadline_ms = 0;     // for all of it; what has not answered by then has timed_out
    bool stop_at_failure = false; // the first failure ends the rest, which are then `canceled`
};

struct broadcast_answer {
    std::string id; // of the peer
    error err;      // of the call; ok also when the status says otherwise
    int status = 0;
    std::string body;
};
inline bool broadcast_succeeded(const broadcast_answer &answer)
{
    return answer.err.code == error_code::ok && answer.status >= 200 && answer.status < 300;
}
// The failure that is told: not one of those that were canceled because of it. Null when all succeeded.
const broadcast_answer *broadcast_first_failure(const std::vector<broadcast_answer> &answers);
// What a failed answer says, with the peer's name: "target t1: ...".
std::string broadcast_failure_text(const broadcast_answer &answer, error_code *out_code);

// Completes once, later, unless broadcast_cancel: answers in the order of `peers`. The broadcast is dead then.
broadcast *broadcast_start(env &e, http_client &client, const std::vector<broadcast_peer> &peers, const broadcast_request &request,
    void (*on_done)(void *arg, std::vector<broadcast_answer> answers), void *arg);
// No callback will come, calls under way are ended (their connections close, which the other side sees). The pointer is dead at once.
void broadcast_cancel(broadcast &g);

} // namespace etlnode
