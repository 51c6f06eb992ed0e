// SPDX-License-Identifier: MIT
// kubectl_local/supervisor_state.h: what the parts of the supervisor share: supervisor.cc (the record, deletion, signals),
// supervisor_network.cc, supervisor_probes.cc and supervisor_run.cc (containers). For them only.
#pragma once

#include <string>
#include <vector>

#include "kubectl_local/allow.h"
#include "kubectl_local/cgroup.h"
#include "kubectl_local/container.h"
#include "kubectl_local/limit_watch.h"
#include "kubectl_local/os.h"
#include "kubectl_local/pod.h"
#include "kubectl_local/pod_network.h"
#include "kubectl_local/prober.h"
#include "kubectl_local/state.h"
#include "kubectl_local/status.h"
#include "kubectl_local/users.h"
#include "kubectl_local/view.h"
#include "kubectl_local/witness.h"

namespace etlnode::kubectl_local {

// Named by what the supervisor waits for.
enum class wait_for : uint8_t {
    next_attempt,  // a timer: back-off, image, network
    container_end, // a container runs or is about to
    deletion,      // nothing will start any more
};

struct supervisor {
    local_state state;
    pod_key key;
    std::string dir;
    os_fd lock;
    json_ptr pod;
    pod_spec spec;
    pod_status status;
    std::string published;
    std::string uid;
    bool unsandboxed = false;

    loop l;
    loop_watch signals;
    loop_timer attempt;
    loop_timer kill_timer;
    loop_timer record_check;
    loop_timer probe_message;

    wait_for waits_for = wait_for::next_attempt;
    bool deleting = false; // the record is removed when the container has ended
    bool leaving = false;  // the record stays
    bool liveness_failed = false;
    bool leftovers_removed = false; // nothing is left of an earlier supervisor
    size_t current = 0;             // init containers first, then the container
    uint32_t crashes = 0;           // consecutive crashes of the current container
    std::string image_trouble;

    allow_list allowed;
    user_block users; // of a pod that root runs
    pod_network network;
    witness port_witness;
    container_run run;
    cgroup group;
    bool has_group = false; // control groups were tried; unavailable ones are empty
    limit_watch limits;
    bool out_of_memory = false; // the container is being ended because of its memory use
    std::string memory_text;    // the reason
    std::string evicted;        // the reason why the pod is being ended for good
    log_writer log;
    os_fd image_lock;
    prober probers[3];
};

inline bool supervisor_is_main(const supervisor &s) { return s.current == s.spec.init_containers.size(); }
inline const container_spec &supervisor_current_spec(const supervisor &s)
{
    return supervisor_is_main(s) ? s.spec.container : s.spec.init_containers[s.current];
}
inline container_status &supervisor_current_status(supervisor &s)
{
    return supervisor_is_main(s) ? s.status.container : s.status.init[s.current];
}
inline std::string supervisor_with_hint(const std::string &text, const std::string &hint)
{
    return hint.empty() ? text : text + " (hint: " + hint + ")";
}

// The record.
void supervisor_publish(supervisor &s);
void supervisor_set_waiting(supervisor &s, const std::string &reason, const std::string &message);
// The path at which this process reaches the pod's memory volumes: the root directory of the process that holds its mounts.
std::string supervisor_memory_root(const supervisor &s);
// Retries after `after_ms`.
void supervisor_wait(supervisor &s, uint64_t after_ms);
// Removes everything of the pod, and its record if it is to be deleted. Ends the loop.
void supervisor_finish(supervisor &s);

// Opens the pod's namespaces: users, mounts, network. On failure, sets the reason and schedules a retry.
bool supervisor_open_network(supervisor &s);
container_context supervisor_context_of(const supervisor &s, const container_spec &container);

// Probes of the container that has started.
void supervisor_prepare_probes(supervisor &s);
void supervisor_start_probes(supervisor &s);
void supervisor_stop_probes(supervisor &s);

// Containers.
void supervisor_prepare_run(supervisor &s);
void supervisor_start_current(supervisor &s);
void supervisor_request_end(supervisor &s, uint64_t grace_ms);
// Adds the reason why the container did not start or ended at once, with a remedy if one is known.
void supervisor_explain_end(const supervisor &s, container_end &end);
void supervisor_container_ended(supervisor &s, const container_end &end);
// The pod has ended by itself: its record stays.
void supervisor_end_pod(supervisor &s, const char *phase);

} // namespace etlnode::kubectl_local
