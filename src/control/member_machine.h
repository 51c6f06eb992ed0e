// SPDX-License-Identifier: MIT
// control/member_machine.h: a target's membership: it registers with the proxy and repeats that as a heartbeat.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "port/clock.h"
#include "sm/sm.h"
#include "sm/sm_render.h"

namespace etlnode {

struct member;

struct member_world {
    // Sends a registration; completes once, later, with member_answered, unless cancelled.
    void (*send)(void *arg, member &m) = nullptr;
    void (*cancel)(void *arg, member &m) = nullptr;
    void *arg = nullptr;
};

// The result of one registration.
enum class member_answer : uint8_t {
    accepted,    // the proxy knows us; if it sent a newer document, that was taken
    refused,     // it answered but refused us (another cluster, a wrong secret, a conflict)
    unreachable, // it did not answer
};

struct member {
    enum class state : uint8_t { idle, awaiting_answer, resting, backing_off, left };
    enum class event : uint8_t { begin, accepted, refused, unreachable, due, beat_asked, deadline, stop };
    sm_core sm;
    env *e = nullptr;
    member_world world;
    timer *deadline_timer = nullptr;
    bool calling = false;
    bool again = false;       // a registration was requested while one was in progress
    uint64_t refusals = 0;    // in a row
    uint64_t failures = 0;    // unreachable, in a row
    uint64_t accepted_ms = 0; // when the proxy last accepted us, 0: never
    std::string last_text;    // of the last refusal or failure, so that it is logged once
};

// Requires: `m.e` and `m.world` are set. Sends the first registration at once.
void member_begin(member &m);
// `text` says why, for the log.
void member_answered(member &m, member_answer answer, std::string_view text);
// The proxy should learn of a change: register now instead of at the next heartbeat.
void member_beat_now(member &m);
// Ends it: no call and no timer remain. May be called in any state.
void member_stop(member &m);

sm_view member_machine_view();

} // namespace etlnode
