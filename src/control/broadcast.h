// SPDX-License-Identifier: MIT
// control/broadcast.h: sends one request to many nodes at once and collects their answers.
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
    std::string headers; // complete header lines
    std::string body;
    bool has_body = false;
    uint64_t deadline_ms = 0;     // for everything; a peer that has not answered by then has timed_out
    bool stop_at_failure = false; // the first failure ends the other calls, which are then `canceled`
};

struct broadcast_answer {
    std::string id; // of the peer
    error err;      // of the call; ok even if the status is not
    int status = 0;
    std::string body;
};
inline bool broadcast_succeeded(const broadcast_answer &answer)
{
    return answer.err.code == error_code::ok && answer.status >= 200 && answer.status < 300;
}
// The failure to report: not one of those that were canceled because of it. Null if all succeeded.
const broadcast_answer *broadcast_first_failure(const std::vector<broadcast_answer> &answers);
// Describes a failed answer, with the peer's name: "target t1: ...".
std::string broadcast_failure_text(const broadcast_answer &answer, error_code *out_code);

// Completes once, later, unless broadcast_cancel comes first. Answers are in the order of `peers`. The pointer is invalid after that.
broadcast *broadcast_start(env &e, http_client &client, const std::vector<broadcast_peer> &peers, const broadcast_request &request,
    void (*on_done)(void *arg, std::vector<broadcast_answer> answers), void *arg);
// No callback follows. Ends the calls in progress by closing their connections, which the peers notice. The pointer is invalid at once.
void broadcast_cancel(broadcast &g);

} // namespace etlnode
