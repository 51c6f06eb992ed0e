// SPDX-License-Identifier: MIT
// kube/pod_status.h: converts a Pod's JSON, as kubectl prints it, to what the node decides by: ready, starting, hopeless, ended.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "codec/json.h"

namespace etlnode {

enum class container_state : uint8_t { none, waiting, running, terminated };

struct container_status {
    std::string name;
    container_state state = container_state::none;
    std::string reason, message; // of waiting or terminated
    int64_t exit_code = 0;       // of terminated
    int64_t signal = 0;
    bool has_last = false;   // an earlier run of this container has ended ...
    std::string last_reason; // ... for this reason
    std::string last_message;
    int64_t last_exit_code = 0;
    uint64_t restart_count = 0;
    std::string container_id; // of the present run or, between two runs, of the last one
    bool ready = false;
};

// All texts are copies. Those written by the container are bounded.
struct pod_status {
    std::string name, uid, resource_version;
    std::string label_cluster, label_target, label_etl;
    std::string generation, launch, local_address, local_witness; // annotations
    std::string target_url;                                       // AIS_TARGET_URL of the main container
    std::string node_name, restart_policy, phase, reason, message, pod_ip;
    std::string host_ip;                // of the Kubernetes node that runs the pod
    uint16_t container_port = 0;        // the first of the main container
    bool terminating = false;           // metadata.deletionTimestamp is set
    bool ready = false;                 // condition Ready is True
    std::string unscheduled;            // why it has not been scheduled yet
    container_status main;              // the first container of the spec
    std::vector<container_status> init; // those that have not succeeded
};

// bad_json if there is no metadata.name; everything else has a default.
error pod_status_parse(const cJSON *pod, pod_status &out_status);
// The output of `get pods -o json`: a List of Pods.
error pod_list_parse(std::string_view text, std::vector<pod_status> &out_pods, std::string &out_where);

enum class pod_verdict : uint8_t {
    starting, // may still become Ready
    ready,
    hopeless, // will not become Ready soon: its image does not exist, or a container keeps ending
    ended,    // over: no container of it will run again
};
// `out_why` says what is wrong (hopeless, ended) or still awaited (starting).
pod_verdict pod_status_judge(const pod_status &status, std::string &out_why);

// Describes a pod that did not become Ready for the user: phase, container state, reason, message, exit code.
std::string pod_status_describe(const pod_status &status);
// How often the container has ended, according to the status.
uint64_t container_crash_count(const container_status &container);
// The container whose log lines matter: the first failed init container, otherwise the main one. Its name is empty if none ever ran.
const container_status *pod_status_failed_container(const pod_status &status);
bool container_ever_ran(const container_status &container);
// Identifies the run of the main container: its id and restart count.
std::string pod_status_instance(const pod_status &status);
// False if the two cannot be compared because one version is not a number.
bool pod_status_is_older(const pod_status &status, const pod_status &than);
// "10.1.2.3:80" or "[fd00::1]:80".
bool pod_address_parse(std::string_view text, std::string &out_host, uint16_t &out_port);

} // namespace etlnode
