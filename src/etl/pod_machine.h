// SPDX-License-Identifier: MIT
// etl/pod_machine.h: one pod of an ETL, from the kubectl call that creates it until the pod is gone. Used by etl_machine.
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
    down,       // it does not serve now, but may serve again
    failed,     // a caller waited for it, and it will not become Ready: see pod_machine_failure. It is being removed
    unusable,   // no caller waits, and it will not serve any more. It is being removed
    name_taken, // another pod has its name. That pod is being removed
    stuck,      // it could not be removed: see delete_error. The next attempt follows after a pause
    ended,      // the pod is gone; or it was left alone, after pod_machine_shut_down
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
        closed, // the node ends; the pod stays
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
    void (*on_news)(void *arg) = nullptr; // called when something happened by itself, never from inside the functions below
    void *arg = nullptr;
    sm_news<pod_news> news; // the owner takes these, also after each call of a function below

    launch_machine *launch = nullptr;
    kube_call call;
    timer *deadline_timer = nullptr;
    connect_probe probe;
    back_off probe_retry;
    back_off delete_retry;
    uint64_t serving_since_ms = 0;
    std::string delete_error; // of the last attempt to remove it; empty if none failed
};

// Lifetime: `plan` and `record` must outlive the machine.
pod_machine *pod_machine_make(const pod_plan &plan, pod_record &record, void (*on_news)(void *arg), void *arg);
// Requires: ended, or never begun. Must not be called from on_news.
void pod_machine_free(pod_machine *m);

// Creates the pod. `deadline_ms` is the deadline of the callers that wait until it is Ready; 0: no caller waits.
void pod_machine_launch(pod_machine &m, uint64_t deadline_ms);
// Adopts the pod that ran before this node restarted, or creates one. No caller waits.
void pod_machine_adopt(pod_machine &m);
// From now on a caller waits until it is Ready. Anything that waits for a retry is retried at once.
void pod_machine_hurry(pod_machine &m, uint64_t deadline_ms);
// No caller waits any more: a failure from now on is not final.
void pod_machine_keep_trying(pod_machine &m);
// Deletes the pod in whatever state it is. No effect once it has ended.
void pod_machine_remove(pod_machine &m);
// The node ends: stops children and timers; the pod stays. No effect once it has ended.
void pod_machine_shut_down(pod_machine &m);

// The watch has reported something about this pod, or about all pods. Calls on_news.
void pod_machine_recheck(pod_machine &m);
// A transfer found that it refuses connections. Calls on_news.
void pod_machine_report_refused(pod_machine &m);

// It has not ended, or its end has not been reported.
bool pod_machine_is_busy(const pod_machine &m);
// Why it will not become Ready; empty while it still may, and if no caller waits.
const std::string &pod_machine_failure(const pod_machine &m);

sm_view pod_machine_view();

} // namespace etlnode
