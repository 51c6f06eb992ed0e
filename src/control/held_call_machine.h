// SPDX-License-Identifier: MIT
// control/held_call_machine.h: a call that a target answers later: how a start ended, or that its pods are gone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "port/clock.h"
#include "sm/sm.h"
#include "sm/sm_render.h"

namespace etlnode {

struct held_call;

enum class held_question : uint8_t {
    start, // how did the start of this generation end?
    gone,  // are the pods of what was stopped gone?
};

// How the target's copy of the cluster document relates to the call.
enum class held_sight : uint8_t {
    older,    // it precedes the change that the call asks about
    holds,    // the question applies to it
    replaced, // it no longer contains that start
};

struct held_call_world {
    held_sight (*look)(void *arg, const held_call &m) = nullptr;
    void (*ask)(void *arg, held_call &m) = nullptr;     // completes once, later, with held_call_decided
    void (*abandon)(void *arg, held_call &m) = nullptr; // no caller waits for the start any more; held_call_decided still follows
    void (*answer)(void *arg, held_call &m) = nullptr;  // with err and text; at most once
    void (*on_end)(void *arg, held_call &m) = nullptr;  // the machine is final; posted, may free it
    void *arg = nullptr;
};

struct held_call {
    enum class state : uint8_t { idle, awaiting_document, awaiting_decision, unattended, ended };
    enum class event : uint8_t { begin, document_taken, decided, caller_gone, deadline, stop };
    sm_core sm;
    env *e = nullptr;
    held_call_world world;
    timer *deadline_timer = nullptr;

    held_question question = held_question::start;
    std::string id;
    std::string generation_id;    // of a start
    uint64_t version = 0;         // of the document that requests it
    uint64_t wait_timeout_ms = 0; // for the document; and again, for a start, for the pod

    bool caller_waits = true; // not answered yet, and still connected
    bool asking = false;
    error err; // the answer
    std::string text;
};

// Takes a machine whose fields up to wait_timeout_ms are set. The caller keeps the memory until on_end.
void held_call_begin(held_call &m);
// The target has taken another document.
void held_call_document_taken(held_call &m);
void held_call_decided(held_call &m, error err, std::string_view text);
void held_call_caller_gone(held_call &m);
// The target shuts down.
void held_call_stop(held_call &m);

sm_view held_call_machine_view();

} // namespace etlnode
