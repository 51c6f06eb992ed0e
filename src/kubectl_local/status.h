// SPDX-License-Identifier: MIT
// kubectl_local/status.h: writes a pod's status in Kubernetes' form from the supervisor's data.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <vector>

#include "codec/json.h"

namespace etlnode::kubectl_local {

enum class container_phase : uint8_t { waiting, running, terminated };

struct container_state {
    container_phase phase = container_phase::waiting;
    std::string reason;
    std::string message;
    int exit_code = 0;
    int signal = 0;
    std::string container_id; // of the terminated container
    time_t started = 0;
    time_t finished = 0;
};

struct container_status {
    std::string name;
    std::string image;
    std::string image_id;
    std::string id; // "" before the first start
    bool ready = false;
    bool started = false;
    uint32_t restarts = 0;
    container_state state;
    container_state last;
    bool has_last = false;
};

struct pod_status {
    std::string phase = "Pending";
    std::string reason;
    std::string message; // also appears in the Ready condition
    std::string host_ip;
    std::string pod_ip;
    time_t started = 0;
    bool scheduled = true;
    bool initialized = false;
    std::vector<container_status> init;
    container_status container;
};

// Replaces pod.status. Conditions whose status does not change keep their lastTransitionTime.
void status_write(const pod_status &status, cJSON *pod);
// Reads the status that an earlier supervisor left. Missing parts keep their defaults.
void status_read(const cJSON *pod, pod_status &out_status);
// The part of a container id that names its run. If another server replaces the first one within a run, the id gets the suffix ".2", ".3"
// ...
std::string_view status_run_of(std::string_view container_id);

} // namespace etlnode::kubectl_local
