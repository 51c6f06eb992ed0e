// SPDX-License-Identifier: MIT
// etl/pod_machine.h: one pod of an ETL, from the kubectl call that creates it until it is gone. Used by etl_machine.
#pragma once

#include <cstdint>
#include <string>

#include "base/back_off.h"
#include "etl/connect_probe.h"
#include "etl/launch_machine.h"
#include "etl/pod_facts.h"
#include "kube/kube_call.h"
#include "port/clock.h"
#include "sm/sm.h"
#include "sm/sm_news.h"
#include "sm/sm_render.h"

namespace etlnode {

enum class pod_news : uint8_t {
    ready,      // it serves: for the first time, or again
    down,       // it does not serve for now, and may again
    failed,     // somebody waited for it, and it will not get Ready: pod_machine_failure says why. It is being removed
    unusable,   // nobody waits, and it will not serve any more. It is being removed
    name_taken, // a pod that is not ours has its name. That one is being removed
    stuck,      // it could not be removed: delete_error says why. The next attempt comes after a while
    ended,      // there is no pod any more; or it was left alone, as asked by pod_machine_shut_down
};

struct pod_machine {
    enum class state : uint8_t {
        idle,
        coming_up,
        serving,
        awaiting_return,
        suspected,
        probing,
        cancelling,
        deleting,
        awaiting_delete_retry,
        closing,
        gone,   // there is no pod
        closed, // the node ends, the pod stays
    };
    enum class event : uint8_t {
        launch,
        adopt,
        launch_ended,
        kubectl_ok,
        kubectl_failed,
        pod_changed,
        refused,
        probe_ok,
        probe_failed,
        hurry,
        deadline,
        remove,
        shut_down,
    };
    sm_core sm;

    pod_facts facts;
    void (*on_news)(void *arg) = nullptr; // something has happened by itself; not called from inside the functions below
    void *arg = nullptr;
    sm_news<pod_news> news; // for the owner to take, also after each call of a function below

    launch_machine *launch = nullptr;
    kube_call call;
    timer *deadline_timer = nullptr;
    connect_probe probe;
    back_off probe_retry;
    back_off delete_retry;
    uint64_t serving_since_ms = 0;
    std::string delete_error; // of the last attempt to remove it; empty: none has failed
};

// Lifetime of `plan` and `record`: longer than the machine's.
pod_machine *pod_machine_make(const pod_plan &plan, pod_record &record, void (*on_news)(void *arg), void *arg);
// Requires: ended, or never begun. Not to be called from on_news.
void pod_machine_free(pod_machine *m);

// Creates the pod. `deadline_ms` is of those who wait until it is Ready; 0: nobody does.
void pod_machine_launch(pod_machine &m, uint64_t deadline_ms);
// Takes a running pod of an earlier life of this node, else creates one. Nobody waits.
void pod_machine_adopt(pod_machine &m);
// Somebody waits until it is Ready from now on. What waits to be tried again is tried at once.
void pod_machine_hurry(pod_machine &m, uint64_t deadline_ms);
// Nobody waits any more: a failure from now on is not final.
void pod_machine_keep_trying(pod_machine &m);
// Deletes it, wherever it is on its way. No effect once it has ended.
void pod_machine_remove(pod_machine &m);
// The node ends: children and timers go, the pod stays. No effect once it has ended.
void pod_machine_shut_down(pod_machine &m);

// What happens to it from outside; on_news is called. The watch has told something of it, or of all pods.
void pod_machine_recheck(pod_machine &m);
// A transfer found it refusing connections.
void pod_machine_report_refused(pod_machine &m);

// It has not ended, or its end has not been told.
bool pod_machine_is_busy(const pod_machine &m);
// Why it will not get Ready; empty while it may, and when nobody waits.
const std::string &pod_machine_failure(const pod_machine &m);

sm_view pod_machine_view();

} // namespace etlnode
