// SPDX-License-Identifier: MIT
// etl/launch_machine.h: brings one pod up: creates or finds it, and waits until it is Ready. Used by pod_machine.
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
        given_up,   // it will not become Ready, or no caller waits any longer: remove what exists of it
        name_taken, // another pod has its name: remove that one, then try again
        gone,       // the pod was deleted from outside
        stopped,
    };
    enum class event : uint8_t { launch, adopt, kubectl_ok, kubectl_failed, pod_changed, port_moved, port_ended, hurry, deadline, stop };
    sm_core sm;

    pod_facts *pod = nullptr;
    void (*on_news)(void *arg) = nullptr; // called when something happened by itself, never from inside the functions below
    void *arg = nullptr;
    sm_news<launch_news> news; // the owner takes these, also after each call of a function below

    kube_call call;
    timer *deadline_timer = nullptr;
    node_port_machine *port = nullptr; // null if clients need no node port
    uint64_t create_attempts = 0;
    back_off create_retry;
    bool logs_of_previous_run = false; // which run of the container the current log call reads
    std::string
        failure; // why it gave up, for the user, with the pod's last log lines; empty while no caller waits (see the record's trouble)
};

launch_machine *launch_make(pod_facts &pod, uint64_t id, void (*on_news)(void *arg), void *arg);
// Requires: ended, or never begun.
void launch_free(launch_machine *m);

// Creates the pod.
void launch_begin(launch_machine &m);
// Adopts the pod that ran before this node restarted, if the first list shows one. Otherwise creates a pod.
void launch_adopt(launch_machine &m);
// The watch has reported something.
void launch_recheck_pod(launch_machine &m);
// From now on a caller waits for the pod, so the facts have a deadline.
void launch_hurry(launch_machine &m);
// Ends the machine; its news say when nothing of it is left. The pod stays.
void launch_stop(launch_machine &m);

// Begun, and its end has not been reported.
bool launch_is_busy(const launch_machine &m);
bool launch_is_final(const launch_machine &m);

sm_view launch_machine_view();

} // namespace etlnode
