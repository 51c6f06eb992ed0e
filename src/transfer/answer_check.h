// SPDX-License-Identifier: MIT
// transfer/answer_check.h: whether an answer that ended by closing is complete: the process that gave it lived on.
//
// The end of a connection does not tell an answer's end from the death of its process. Beside the answer a *liveness* stands, a connection
// that says nothing and breaks when the process dies, even if the next one listens before anybody has looked. At the end the *witness* of
// kubectl-local is asked; where there is none, the pod must take a new connection some milliseconds later.
#pragma once

#include <cstdint>
#include <string>

#include "port/env.h"
#include "sm/sm_render.h"

namespace etlnode {

struct answer_check; // opaque; freed by itself after the verdict, or with answer_check_cancel

struct answer_check_options {
    std::string host; // of the pod
    uint16_t port = 0;
    std::string witness_host; // port 0: there is none
    uint16_t witness_port = 0;
    std::string instance; // the container that began the answer, as the registry named it
    // Once, after answer_check_judge; never inside a call.
    void (*on_verdict)(void *arg, bool complete) = nullptr;
    void *arg = nullptr;
};

answer_check *answer_check_begin(env &e, answer_check_options options);
// The answer takes longer than one read: the liveness takes its place. Again: no effect.
void answer_check_watch(answer_check &check);
// The answer has ended. Requires: not called before.
void answer_check_judge(answer_check &check);
// No verdict will come; the pointer is dead at once.
void answer_check_cancel(answer_check &check);

} // namespace etlnode
