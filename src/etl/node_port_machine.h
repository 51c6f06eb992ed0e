// SPDX-License-Identifier: MIT
// etl/node_port_machine.h: the port on its Kubernetes node through which clients reach one pod. Used by launch_machine.
#pragma once

#include <cstdint>
#include <string>

#include "base/back_off.h"
#include "etl/connect_probe.h"
#include "etl/pod_facts.h"
#include "kube/kube_call.h"
#include "port/clock.h"
#include "sm/sm.h"
#include "sm/sm_news.h"
#include "sm/sm_render.h"

namespace etlnode {

enum class node_port_news : uint8_t {
    moved,   // the port is known, or it answers
    waiting, // an attempt has failed; the next one follows after a pause
    ended,   // it has failed or was stopped
};

struct node_port_machine {
    enum class state : uint8_t {
        idle,
        exposing,
        reading_port,
        awaiting_expose_retry,
        known,
        awaiting_answer,
        answering,
        cancelling,
        ended
    };
    enum class event : uint8_t { expose, kubectl_ok, kubectl_failed, probe, probe_ok, probe_failed, hurry, pause, deadline, stop };
    sm_core sm;

    pod_facts *pod = nullptr;
    void (*on_news)(void *arg) = nullptr; // called when something happened by itself, never from inside the functions below
    void *arg = nullptr;
    sm_news<node_port_news> news; // the owner takes these, also after each call of a function below

    kube_call call;
    timer *deadline_timer = nullptr;
    connect_probe probe;
    std::string service; // the Service to create, as JSON
    back_off expose_retry;
    uint64_t probe_until_ms = 0; // at this time the port is accepted although it did not answer
    std::string failure;         // why it failed; empty if it has not
};

node_port_machine *node_port_make(pod_facts &pod, void (*on_news)(void *arg), void *arg);
// Requires: it holds nothing alive.
void node_port_free(node_port_machine *m);

// Creates the Service and learns the port; retries while there is time. Requires: idle; the pod's uid and container port are known.
void node_port_expose(node_port_machine &m);
// Connects to the port until it answers, for at most etl_port_wait_ms. Requires: known.
void node_port_probe(node_port_machine &m);
// From now on a caller waits for the pod, so the facts have a deadline. Requires: exposing or probing.
void node_port_hurry(node_port_machine &m);
// Postpones the next attempt. Requires: node_port_waits.
void node_port_pause(node_port_machine &m);
// Ends the machine; its news say when nothing of it is left. The Service stays and is removed with the pod.
void node_port_stop(node_port_machine &m);

bool node_port_waits(const node_port_machine &m);   // waits for the next attempt
bool node_port_answers(const node_port_machine &m); // or did not answer for long enough to be accepted
// It holds something alive, or news are waiting.
bool node_port_is_busy(const node_port_machine &m);

sm_view node_port_machine_view();

} // namespace etlnode
