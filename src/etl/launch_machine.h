// SPDX-License-Identifier: MIT
// etl/launch_machine.h: one pod on its way up: created, or found from an earlier life of this node, until it is Ready. Used by pod_machine.
#pragma once

#include <cstdint>
#include <string>

#include "base/back_off.h"
#include "etl/node_port_machine.h"
#include "etl/pod_facts.h"
#include "kube/kube_call.h"
#include "port/clock.h"
#include "sm/sm.h"
#include "sm/sm_news.h"
#include "sm/sm_render.h"

namespace etlnode {

enum class launch_news : uint8_t { ended };

struct launch_machine {
    enum class state : uint8_t {
        idle,
        awaiting_list,
        creating,
        awaiting_create_retry,
        cancelling_create,
        awaiting_ready,
        awaiting_port,
        fetching_logs,
        cancelling,
        ready,      // the pod serves
        given_up,   // it will not get Ready, or nobody waits any longer: what there is of it is to be removed
        name_taken, // a pod that is not ours bears its name: to be removed, then another attempt
        gone,       // the pod was deleted from outside
        stopped,
    };
    enum class event : uint8_t { launch, adopt, kubectl_ok, kubectl_failed, pod_changed, port_moved, port_ended, hurry, deadline, stop };
    sm_core sm;

    pod_facts *pod = nullptr;
    void (*on_news)(void *arg) = nullptr; // something has happened by itself; not called from inside the functions below
    void *arg = nullptr;
    sm_news<launch_news> news; // for the owner to take, also after each call of a function below

    kube_call call;
    timer *deadline_timer = nullptr;
    node_port_machine *port = nullptr; // null: clients need none
    uint64_t create_attempts = 0;
    back_off create_retry;
    bool logs_of_previous_run = false; // which run of the container the log call under way is about
    std::string failure; // why it gave up, for the user, with the pod's last words; empty while nobody waits: then it is only trouble
};

launch_machine *launch_make(pod_facts &pod, uint64_t id, void (*on_news)(void *arg), void *arg);
// Requires: ended, or never begun.
void launch_free(launch_machine *m);

// Creates the pod.
void launch_begin(launch_machine &m);
// Takes the running pod of an earlier life of this node, when the first list has come and shows one; else creates it.
void launch_adopt(launch_machine &m);
// The watch has told something.
void launch_recheck_pod(launch_machine &m);
// Somebody waits for the pod from now on: the facts have a deadline.
void launch_hurry(launch_machine &m);
// Ends; news tell when nothing of it is left. The pod stays.
void launch_stop(launch_machine &m);

// Begun, and its end has not been told.
bool launch_is_busy(const launch_machine &m);
bool launch_is_final(const launch_machine &m);

sm_view launch_machine_view();

} // namespace etlnode
