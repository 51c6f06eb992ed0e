// SPDX-License-Identifier: MIT
// kubectl_local/pod.h: a Pod object: validated like the API server does, completed with defaults, and read into structs for the supervisor.
//
// What the API server rejects is rejected in its words. What Kubernetes accepts but kubectl-local can never run is rejected as well, with a
// message that says so. What only the kubelet would reject goes to pod_spec.unsupported and keeps the pod Pending.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codec/json.h"
#include "kubectl_local/pod_names.h"
#include "kubectl_local/state.h"

namespace etlnode::kubectl_local {

enum class probe_kind : uint8_t { none, tcp, http, unsupported };

struct probe_spec {
    probe_kind kind = probe_kind::none;
    std::string why; // the unsupported feature
    uint16_t port = 0;
    std::string path = "/"; // as it is sent
    std::vector<std::pair<std::string, std::string>> headers;
    uint64_t initial_delay_ms = 0;
    uint64_t period_ms = 10'000;
    uint64_t timeout_ms = 1'000;
    uint32_t success_threshold = 1;
    uint32_t failure_threshold = 3;
};

struct pod_mount {
    std::string volume;
    std::string path;
    std::string sub_path;
    std::string sub_path_expr;
    bool read_only = false;
};

struct pod_volume {
    std::string name;
    bool is_host = false; // hostPath; otherwise emptyDir
    std::string host_path;
    std::string host_type;
    bool in_memory = false;
    std::string size_limit; // a quantity; empty for none
};

struct container_spec {
    std::string name;
    std::string image;
    std::vector<std::string> command; // empty with has_command false if the object has null
    std::vector<std::string> args;
    bool has_command = false;
    bool has_args = false;
    std::string working_dir;
    const cJSON *env = nullptr;          // Lifetime: the pod object
    const cJSON *resources = nullptr;    // Lifetime: the pod object
    const cJSON *object = nullptr;       // the whole container. Lifetime: the pod object
    std::vector<uint16_t> ports;         // TCP container ports
    std::vector<std::string> port_names; // parallel to ports
    std::vector<pod_mount> mounts;
    std::string message_path = "/dev/termination-log";
    bool quotes_log = false; // use the log's end if it fails without a message
    probe_spec readiness;
    probe_spec liveness;
    probe_spec startup;
};

enum class restart_policy : uint8_t { always, on_failure, never };

struct pod_spec {
    std::vector<container_spec> init_containers;
    container_spec container;
    std::vector<pod_volume> volumes;
    restart_policy restart = restart_policy::always;
    bool host_network = false;
    uint64_t grace_s = 30;
    const cJSON *object = nullptr; // Lifetime: the pod object
    std::string unsupported;       // if not empty, the reason that prevents the pod from starting
};

// Validates a pod for `create` and fills in defaults (namespace, uid, creationTimestamp, restartPolicy, nodeName, first status ...). `ns`
// is the namespace of the command line, `ns_given` whether it was given explicitly. On refusal `out_text` is the whole message that kubectl
// would print, without a newline.
bool pod_admit(cJSON *pod, const std::string &ns, bool ns_given, const std::string &node, pod_key &out_key, std::string &out_text);

// Reads an admitted pod. Lifetime: `out_spec.*.env` points into `pod`.
void pod_read_spec(const cJSON *pod, pod_spec &out_spec);

// Expands `$(VAR)` references with `env`; later entries take precedence. Unknown references stay, and "$$(" is a literal "$(".
std::string pod_expand(std::string_view text, const std::vector<std::pair<std::string, std::string>> &env);

} // namespace etlnode::kubectl_local
