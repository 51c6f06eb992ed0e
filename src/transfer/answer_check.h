// SPDX-License-Identifier: MIT
// transfer/answer_check.h: decides whether an answer that ended by closing is complete: the process that sent it must still be alive.
//
// The end of a connection does not distinguish the end of an answer from the death of the process. So a *liveness connection* runs beside
// the answer. It stays silent and breaks when the process dies, even if a successor listens before anyone has looked. At the end,
// kubectl-local's *witness* is asked. Without a witness, the pod must accept a new connection some milliseconds later.
#pragma once

#include <cstdint>
#include <string>

#include "port/env.h"
#include "sm/sm_render.h"

namespace etlnode {

struct answer_check; // opaque; frees itself after the verdict, or is freed by answer_check_cancel

struct answer_check_options {
    std::string host; // of the pod
    uint16_t port = 0;
    std::string witness_host; // port 0: there is no witness
    uint16_t witness_port = 0;
    std::string instance; // the container that began the answer, as named by the registry
    // Called once, after answer_check_judge, and never inside a call.
    void (*on_verdict)(void *arg, bool complete) = nullptr;
    void *arg = nullptr;
};

answer_check *answer_check_begin(env &e, answer_check_options options);
// The answer takes longer than one read: opens the liveness connection. Calling it again has no effect.
void answer_check_watch(answer_check &check);
// The answer has ended. Requires: not called before.
void answer_check_judge(answer_check &check);
// No verdict follows; the pointer is invalid at once.
void answer_check_cancel(answer_check &check);

} // namespace etlnode
