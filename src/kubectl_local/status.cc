// SPDX-License-Identifier: MIT
// kubectl_local/status.cc: writes a pod's status in Kubernetes' form from the supervisor's data.
#include "kubectl_local/status.h"

#include "base/text.h"
#include "kubectl_local/os.h"

namespace etlnode::kubectl_local {

static json_ptr state_tree(const container_state &state)
{
    json_ptr tree = json_object();
    static constexpr const char *names[] = {"waiting", "running", "terminated"};
    cJSON *body = json_add_object(tree.get(), names[static_cast<size_t>(state.phase)]);
    if (state.phase == container_phase::running) {
        json_add_text(body, "startedAt", os_time_text(state.started));
        return tree;
    }
    if (state.phase == container_phase::terminated) {
        if (!state.container_id.empty())
            json_add_text(body, "containerID", state.container_id);
        json_add_i64(body, "exitCode", state.exit_code);
        if (state.signal != 0)
            json_add_i64(body, "signal", state.signal);
        json_add_text(body, "startedAt", os_time_text(state.started));
        json_add_text(body, "finishedAt", os_time_text(state.finished));
    }
    if (!state.reason.empty())
        json_add_text(body, "reason", state.reason);
    if (!state.message.empty())
        json_add_text(body, "message", state.message);
    return tree;
}

static json_ptr container_tree(const container_status &status)
{
    json_ptr tree = json_object();
    json_add_text(tree.get(), "name", status.name);
    json_add_text(tree.get(), "image", status.image);
    json_add_text(tree.get(), "imageID", status.image_id);
    if (!status.id.empty())
        json_add_text(tree.get(), "containerID", status.id);
    json_add_bool(tree.get(), "ready", status.ready);
    json_add_bool(tree.get(), "started", status.started);
    json_add_u64(tree.get(), "restartCount", status.restarts);
    json_add_tree(tree.get(), "state", state_tree(status.state));
    json_add_tree(tree.get(), "lastState", status.has_last ? state_tree(status.last) : json_object());
    return tree;
}

struct condition {
    const char *type;
    bool good;
    std::string reason;
    std::string message;
};

static void add_condition(cJSON *list, const cJSON *old_list, const condition &wanted)
{
    std::string since = os_time_text(time(nullptr));
    const char *value = wanted.good ? "True" : "False";
    const cJSON *old;
    cJSON_ArrayForEach(old, old_list) if (json_text(old, "type") == wanted.type && json_text(old, "status") == value &&
                                          !json_text(old, "lastTransitionTime").empty()) since = json_text(old, "lastTransitionTime");
    json_ptr tree = json_object();
    json_add_text(tree.get(), "type", wanted.type);
    json_add_text(tree.get(), "status", value);
    cJSON_AddNullToObject(tree.get(), "lastProbeTime");
    json_add_text(tree.get(), "lastTransitionTime", since);
    if (!wanted.reason.empty())
        json_add_text(tree.get(), "reason", wanted.reason);
    if (!wanted.message.empty())
        json_add_text(tree.get(), "message", wanted.message);
    json_append(list, std::move(tree));
}

void status_write(const pod_status &status, cJSON *pod)
{
    json_ptr old(cJSON_DetachItemFromObjectCaseSensitive(pod, "status"));
    const cJSON *old_conditions = json_get(old.get(), "conditions");
    cJSON *tree = json_add_object(pod, "status");
    json_add_text(tree, "phase", status.phase);
    cJSON *conditions = json_add_array(tree, "conditions");
    bool ended = status.phase == "Succeeded";
    bool ready = status.container.ready && status.phase == "Running";
    std::string reason = ready ? "" : ended ? "PodCompleted" : "ContainersNotReady";
    std::string message = ready || ended ? "" : text_format("containers with unready status: [%s]", status.container.name.c_str());
    if (!ready && !status.message.empty())
        message += (message.empty() ? "" : ": ") + status.message;
    std::string not_init = status.initialized || status.init.empty()
                               ? ""
                               : "containers with incomplete status: [" + status.init.back().name + "]";
    for (const container_status &one : status.init)
        if (one.state.phase != container_phase::terminated || one.state.exit_code != 0) {
            not_init = status.initialized ? "" : "containers with incomplete status: [" + one.name + "]";
            break;
        }
    add_condition(conditions, old_conditions,
        {"Initialized", status.initialized, status.initialized ? (ended ? "PodCompleted" : "") : "ContainersNotInitialized", not_init});
    add_condition(conditions, old_conditions, {"Ready", ready, reason, message});
    add_condition(conditions, old_conditions, {"ContainersReady", ready, reason, message});
    add_condition(conditions, old_conditions, {"PodScheduled", status.scheduled, "", ""});
    if (!status.reason.empty())
        json_add_text(tree, "reason", status.reason);
    if (!status.message.empty())
        json_add_text(tree, "message", status.message);
    if (!status.host_ip.empty()) {
        json_add_text(tree, "hostIP", status.host_ip);
        json_ptr one = json_object();
        json_add_text(one.get(), "ip", status.host_ip);
        json_append(json_add_array(tree, "hostIPs"), std::move(one));
    }
    if (!status.pod_ip.empty()) {
        json_add_text(tree, "podIP", status.pod_ip);
        json_ptr one = json_object();
        json_add_text(one.get(), "ip", status.pod_ip);
        json_append(json_add_array(tree, "podIPs"), std::move(one));
    }
    if (status.started != 0)
        json_add_text(tree, "startTime", os_time_text(status.started));
    if (!status.init.empty()) {
        cJSON *list = json_add_array(tree, "initContainerStatuses");
        for (const container_status &one : status.init)
            json_append(list, container_tree(one));
    }
    json_append(json_add_array(tree, "containerStatuses"), container_tree(status.container));
    json_add_text(tree, "qosClass", "BestEffort");
}

static time_t read_time(const cJSON *object, const char *key)
{
    time_t at = 0;
    return os_time_parse(json_text(object, key), at) ? at : 0;
}

static bool read_state(const cJSON *tree, container_state &out)
{
    const cJSON *waiting = json_get(tree, "waiting");
    const cJSON *running = json_get(tree, "running");
    const cJSON *terminated = json_get(tree, "terminated");
    const cJSON *body = waiting != nullptr ? waiting : running != nullptr ? running : terminated;
    out = container_state();
    if (body == nullptr)
        return false;
    out.phase = waiting != nullptr ? container_phase::waiting : running != nullptr ? container_phase::running : container_phase::terminated;
    out.reason = json_text(body, "reason");
    out.message = json_text(body, "message");
    out.container_id = json_text(body, "containerID");
    out.exit_code = static_cast<int>(json_u64(body, "exitCode", 0));
    out.signal = static_cast<int>(json_u64(body, "signal", 0));
    out.started = read_time(body, "startedAt");
    out.finished = read_time(body, "finishedAt");
    return true;
}

static void read_container(const cJSON *tree, container_status &out)
{
    out.name = json_text(tree, "name");
    out.image = json_text(tree, "image");
    out.image_id = json_text(tree, "imageID");
    out.id = json_text(tree, "containerID");
    out.ready = json_bool(tree, "ready", false);
    out.started = json_bool(tree, "started", false);
    out.restarts = static_cast<uint32_t>(json_u64(tree, "restartCount", 0));
    read_state(json_get(tree, "state"), out.state);
    out.has_last = read_state(json_get(tree, "lastState"), out.last);
}

void status_read(const cJSON *pod, pod_status &out_status)
{
    const cJSON *tree = json_get(pod, "status");
    out_status = pod_status();
    out_status.phase = json_text(tree, "phase");
    out_status.host_ip = json_text(tree, "hostIP");
    out_status.pod_ip = json_text(tree, "podIP");
    out_status.started = read_time(tree, "startTime");
    const cJSON *one;
    cJSON_ArrayForEach(one, json_get(tree, "conditions")) if (json_text(one, "type") == "Initialized")
        out_status.initialized = json_text(one, "status") == "True";
    cJSON_ArrayForEach(one, json_get(tree, "initContainerStatuses"))
    {
        out_status.init.emplace_back();
        read_container(one, out_status.init.back());
    }
    read_container(cJSON_GetArrayItem(json_get(tree, "containerStatuses"), 0), out_status.container);
}

std::string_view status_run_of(std::string_view container_id) { return container_id.substr(0, container_id.find('.')); }

} // namespace etlnode::kubectl_local
