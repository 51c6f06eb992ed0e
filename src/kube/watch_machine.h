// SPDX-License-Identifier: MIT
// kube/watch_machine.h: the pods of this cluster and target as last reported by Kubernetes: one resident watch, accompanied by lists.
//
// A watch ends silently. A new one replays the existing pods without marking the replay's end, and never reports what was deleted
// meanwhile.
// So a list accompanies every start of a watch, and follows every watch_relist_ms; a pod that is missing there is gone.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kube/kube_call.h"
#include "kube/kubectl.h"
#include "kube/pod_status.h"
#include "kube/watch_stream.h"
#include "port/clock.h"
#include "sm/sm.h"
#include "sm/sm_render.h"

namespace etlnode {

// Called outside of any step. Lifetime: as long as the watch.
struct watch_host {
    void (*on_pod)(void *arg, std::string_view pod_name) = nullptr; // its status changed, or it is gone
    void (*on_list)(void *arg) = nullptr;  // a list was processed (pods may have changed or be gone), or a missing right was found
    void (*on_ended)(void *arg) = nullptr; // after watch_stop
    void *arg = nullptr;
};

struct watched_pod {
    pod_status status;
    uint64_t touched = 0;  // stamp of its last news
    uint64_t swept_at = 0; // set by the registry: `listed_from` when it last tried to remove this pod as a leftover
};

struct watch {
    enum class state : uint8_t { idle, listing, watching, listing_alone, backing_off, ending, ended };
    enum class event : uint8_t { begin, watch_ended, list_ok, list_failed, deadline, stop };
    sm_core sm;

    env *e = nullptr;
    watch_host host;
    kubectl_program program;
    std::string cluster_id, target_id;
    kube_health *health = nullptr;

    kube_call watching; // the resident child
    kube_call list;
    timer *deadline_timer = nullptr;
    watch_stream stream;
    std::string problem; // why the watch is being ended
    kubectl_fault problem_fault = kubectl_fault::none;
    uint64_t watch_started_ms = 0;
    uint64_t restart_delay_ms = 0;
    bool settle_pending = false; // the next list comes soon: see watch_settle_ms

    std::map<std::string, watched_pod, std::less<>> pods;
    std::vector<std::string> gone_uids; // a ring: replays of these pods are old news
    uint64_t stamp = 0;                 // counts news, lists and creations, to order them
    uint64_t list_started = 0;          // stamp when the running list was started
    uint64_t listed_from = 0;           // stamp when the last complete list was started; 0: none yet
};

// Counts into `health`. Lifetime: until watch_free.
watch *watch_make(env &e, const watch_host &host, const kubectl_program &program, std::string_view cluster_id, std::string_view target_id,
    kube_health &health);
void watch_begin(watch &w);
// Ends the children. on_ended follows once, after the return.
void watch_stop(watch &w);
// Requires: never begun, or on_ended was called.
void watch_free(watch *w);

// Null if no such pod is known.
const pod_status *watch_find(const watch &w, std::string_view pod_name);
// True once a list has been processed.
inline bool watch_has_listed(const watch &w) { return w.listed_from > 0; }
// Compare with `listed_from`: a pod created before the stamp, and missing in a list started after it, is gone.
inline uint64_t watch_take_stamp(watch &w) { return ++w.stamp; }

sm_view watch_machine_view();

} // namespace etlnode
