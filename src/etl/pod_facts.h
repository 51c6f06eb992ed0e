// SPDX-License-Identifier: MIT
// etl/pod_facts.h: what a target knows of one pod of an ETL: what it is to be, what has been done for it, and what the watch last told of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "etl/etl_registry.h"
#include "kube/pod_status.h"
#include "kube/watch_machine.h"

namespace etlnode {

// What machines of pods need of the registry. Lifetime: longer than the machines.
struct pod_world {
    env *e = nullptr;
    const etl_registry_options *options = nullptr;
    watch *pods = nullptr;
    etl_registry_health *health = nullptr;
    uint64_t *pods_made = nullptr; // numbers the machines of pods, for traces
};

// What all pods of one start have in common. Lifetime of the pointers: that of the ETL's machine.
struct pod_plan {
    const pod_world *world = nullptr;
    const etl_definition *definition = nullptr;
    const cJSON *users_pod = nullptr; // the definition's Pod, as a tree
    std::string target_url;           // AIS_TARGET_URL of the pod
    std::string pod_name;
    uint64_t grace_s = 0; // the pod's own grace period
};

// What one start shows of its pods, and keeps from one to the next.
struct pod_record {
    etl_endpoint endpoint;             // of the container that serves, or that served last
    uint64_t restart_count = 0;        // of that container, as Kubernetes counts
    uint64_t restarts = 0;             // ends of containers that served
    bool passes_probe = false;         // its Ready condition, as last told while it served
    uint64_t readiness_changes = 0;    // of passes_probe
    std::string trouble;               // what is wrong now, while the start goes on
    std::vector<std::string> warnings; // that kubectl printed when it created the pod
};

struct pod_facts {
    const pod_plan *plan = nullptr;
    pod_record *record = nullptr;
    std::string launch_id;       // tells this pod from an earlier one of the same name
    uint64_t deadline_ms = 0;    // of the callers that wait until it is Ready; 0: nobody waits, and failures are not final
    uint64_t created_stamp = 0;  // watch_take_stamp when create had succeeded
    uint16_t node_port = 0;      // where one is asked for; 0: not known yet
    bool may_exist = false;      // set before create starts, cleared when a delete succeeded or the pod was seen to be gone
    bool seen = false;           // the watch has told of it
    bool name_was_taken = false; // since the last pod that was created, a pod of somebody else has been removed from our name
};

inline env &env_of(const pod_facts &pod) { return *pod.plan->world->e; }

// The pod as last told; null while it is not known, and when another one bears its name.
const pod_status *pod_facts_status(const pod_facts &pod);
// Any pod of that name.
const pod_status *pod_facts_named(const pod_facts &pod);
pod_verdict pod_facts_verdict(const pod_facts &pod);
// For people: "pod phase Pending; container server is waiting: ErrImagePull".
std::string pod_facts_describe(const pod_facts &pod);
// Ready, and the addresses at which it serves are known.
bool pod_facts_is_ready(const pod_facts &pod);
// It was seen and is missing now, or it is missing in a list that was started after it had been created.
bool pod_facts_is_gone(const pod_facts &pod);
// One line of the log: a machine of this ETL or of its pod has changed its state. All names are those of the tables.
void pod_plan_log_step(const pod_plan &plan, const char *machine, const char *from, const char *to, const char *event);
// It gets a Service with a port of its Kubernetes node. kubectl-local's addresses need none: clients on this machine reach them.
bool pod_plan_wants_node_port(const pod_plan &plan);

inline bool pod_facts_is_awaited(const pod_facts &pod) { return pod.deadline_ms != 0; }
// Until the deadline of those who wait. Requires: somebody does.
uint64_t pod_facts_remaining_ms(const pod_facts &pod);
// How long the next step of coming up may take: until that deadline, or wait_timeout where nobody waits.
uint64_t pod_facts_step_ms(const pod_facts &pod);

// Notes what the status says is wrong, for the page of the ETL.
void pod_facts_note_trouble(const pod_facts &pod);
// The pod serves from now on. Requires: pod_facts_is_ready.
void pod_facts_begin_serving(pod_facts &pod);
// It still serves; its address or its container may have changed.
void pod_facts_update_serving(const pod_facts &pod);

// The Pod to create, as JSON. `target_url` is the plan's, or one without the secret for people to see.
std::string pod_plan_build(const pod_plan &plan, std::string_view launch_id, const std::string &target_url);
// The Service for it, as JSON. Requires: its status is known.
std::string pod_facts_build_service(const pod_facts &pod);
std::string pod_facts_service_name(const pod_facts &pod);

} // namespace etlnode
