// SPDX-License-Identifier: MIT
// etl/pod_facts.h: what a target knows about one pod of an ETL: its plan, what was done for it, and its last reported status.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "etl/etl_registry.h"
#include "kube/pod_status.h"
#include "kube/watch_machine.h"

namespace etlnode {

// What the pods' machines need from the registry. Lifetime: must outlive the machines.
struct pod_world {
    env *e = nullptr;
    const etl_registry_options *options = nullptr;
    watch *pods = nullptr;
    etl_registry_health *health = nullptr;
    uint64_t *pods_made = nullptr; // numbers the pods' machines, for traces
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

// What one start shows of its pods, and keeps from one pod to the next.
struct pod_record {
    etl_endpoint endpoint;             // of the container that serves or served last
    uint64_t restart_count = 0;        // of that container, as Kubernetes counts
    uint64_t restarts = 0;             // ends of containers that served
    bool passes_probe = false;         // its last reported Ready condition while it served
    uint64_t readiness_changes = 0;    // of passes_probe
    std::string trouble;               // the current problem, while the start continues
    std::vector<std::string> warnings; // printed by kubectl when it created the pod
};

struct pod_facts {
    const pod_plan *plan = nullptr;
    pod_record *record = nullptr;
    std::string launch_id;       // distinguishes this pod from an earlier one with the same name
    uint64_t deadline_ms = 0;    // of the callers that wait until it is Ready; 0: no caller waits, and failures are not final
    uint64_t created_stamp = 0;  // watch_take_stamp after create succeeded
    uint16_t node_port = 0;      // if one is requested; 0: not known yet
    bool may_exist = false;      // set before create starts, cleared when a delete succeeded or the pod was found gone
    bool seen = false;           // the watch has reported it
    bool name_was_taken = false; // since the last pod was created, a foreign pod with our name has been removed
};

inline env &env_of(const pod_facts &pod) { return *pod.plan->world->e; }

// The pod's last reported status; null while it is unknown, or while another pod has its name.
const pod_status *pod_facts_status(const pod_facts &pod);
// The status of any pod with that name.
const pod_status *pod_facts_named(const pod_facts &pod);
pod_verdict pod_facts_verdict(const pod_facts &pod);
// For people: "pod phase Pending; container server is waiting: ErrImagePull".
std::string pod_facts_describe(const pod_facts &pod);
// Ready, and the addresses at which it serves are known.
bool pod_facts_is_ready(const pod_facts &pod);
// It was reported and is missing now, or it is missing in a list that started after its creation.
bool pod_facts_is_gone(const pod_facts &pod);
// Logs that a machine of this ETL or of its pod changed its state. All names are those of the tables.
void pod_plan_log_step(const pod_plan &plan, const char *machine, const char *from, const char *to, const char *event);
// It gets a Service with a port on its Kubernetes node. Addresses of kubectl-local need none: clients on this machine reach them.
bool pod_plan_wants_node_port(const pod_plan &plan);

inline bool pod_facts_is_awaited(const pod_facts &pod) { return pod.deadline_ms != 0; }
// Time until the callers' deadline. Requires: a caller waits.
uint64_t pod_facts_remaining_ms(const pod_facts &pod);
// How long the next step of the launch may take: until that deadline, or wait_timeout if no caller waits.
uint64_t pod_facts_step_ms(const pod_facts &pod);

// Notes the problem that the status shows, for the ETL's status page.
void pod_facts_note_trouble(const pod_facts &pod);
// The pod serves from now on. Requires: pod_facts_is_ready.
void pod_facts_begin_serving(pod_facts &pod);
// It still serves, but its address or container may have changed.
void pod_facts_update_serving(const pod_facts &pod);

// The Pod to create, as JSON. `target_url` is the plan's, or one without the secret for display.
std::string pod_plan_build(const pod_plan &plan, std::string_view launch_id, const std::string &target_url);
// The Service for it, as JSON. Requires: its status is known.
std::string pod_facts_build_service(const pod_facts &pod);
std::string pod_facts_service_name(const pod_facts &pod);

} // namespace etlnode
