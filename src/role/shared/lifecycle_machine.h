// SPDX-License-Identifier: MIT
// role/shared/lifecycle_machine.h: the life of a node, the same for both roles: it starts, is ready, drains, ends.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "port/clock.h"
#include "sm/sm.h"
#include "sm/sm_render.h"

namespace etlnode {

struct lifecycle;

// Who has started the node.
struct lifecycle_owner {
    void (*on_ready)(void *arg, error err, const std::string &detail) = nullptr; // lifecycle_report_ready, or the start has failed (posted)
    void *ready_arg = nullptr;
    void (*on_drained)(void *arg) = nullptr; // posted; may free the machine
    void *drained_arg = nullptr;
};

// What a role does. The functions that begin something complete once, perhaps before they return, with the function named beside them.
struct lifecycle_role {
    const char *name = nullptr;        // in the log
    void (*open)(void *arg) = nullptr; // reads the data directory: lifecycle_opened or lifecycle_failed
    void (*listen)(
        void *arg) = nullptr; // accepts requests, and stores what must be the same next time: lifecycle_listens or lifecycle_failed
    void (*join)(void *arg) = nullptr; // becomes a part of the cluster that serves: lifecycle_joined, if ever, or lifecycle_failed

    void (*drain)(void *arg) = nullptr;            // accepts nothing new
    bool (*is_drained)(const void *arg) = nullptr; // no client is being served any more
    void (*close)(void *arg) = nullptr;            // cuts what is still served, ends what works for the node: lifecycle_closed
    void (*finish)(void *arg) = nullptr;           // nobody can ask for anything any more; what is under way ends by itself
    bool (*is_idle)(const void *arg) = nullptr;    // nothing is under way
    bool (*is_storing)(
        const void *arg) = nullptr; // of that, something that has no time limit: storage answers, and knows this node until then
    bool (*has_last_word)(const void *arg) = nullptr;
    void (*send_last_word)(void *arg) = nullptr; // lifecycle_last_word_sent
    void (*end)(void *arg) = nullptr;            // whatever is left is given up
    void *arg = nullptr;
};

struct lifecycle {
    enum class state : uint8_t {
        idle,
        opening,
        listening,
        joining,
        ready,
        ending_start,
        draining,
        closing,
        finishing,
        awaiting_storage,
        sending_last_word,
        failed,
        ended
    };
    enum class event : uint8_t { begin, opened, listens, joined, failed, work_ended, closed, last_word_sent, deadline, stop };
    sm_core sm;
    env *e = nullptr;
    lifecycle_role role;
    lifecycle_owner owner;
    timer *deadline_timer = nullptr;
    bool is_starting = false; // a step of the start is under way
    bool is_posted = false;   // the end of some work will be looked at in this turn
    bool has_joined = false;
    error err; // why the start failed
    std::string detail;
};

// `m.e` and `m.role` are set.
void lifecycle_begin(lifecycle &m, void (*on_ready)(void *arg, error err, const std::string &detail), void *arg);
void lifecycle_opened(lifecycle &m);
void lifecycle_listens(lifecycle &m);
void lifecycle_joined(lifecycle &m);
void lifecycle_failed(lifecycle &m, error err, const std::string &detail);
// The node listens: on_ready is called, unless a drain has begun.
void lifecycle_report_ready(lifecycle &m);
// Drains the node and ends it; then calls on_drained. At most once; a start that is under way ends first, and reports nothing.
void lifecycle_drain(lifecycle &m, void (*on_drained)(void *arg), void *arg);
// Something that is_drained, is_idle or is_storing asks about has ended. May be called at any time: is_drained and so on are asked later.
void lifecycle_work_ended(lifecycle &m);
void lifecycle_closed(lifecycle &m);
void lifecycle_last_word_sent(lifecycle &m);
// Whatever its state: no timer is left.
void lifecycle_free(lifecycle &m);

// It takes part in its cluster, and goes on with that.
bool lifecycle_is_ready(const lifecycle &m);
// It has joined its cluster, so requests that reach it can be served, also while it drains.
bool lifecycle_has_joined(const lifecycle &m);
// It is shutting down: nothing new is begun.
bool lifecycle_is_draining(const lifecycle &m);
// The time of clients is up: nobody else is asked anything any more.
bool lifecycle_is_closing(const lifecycle &m);

sm_view lifecycle_machine_view();

} // namespace etlnode
