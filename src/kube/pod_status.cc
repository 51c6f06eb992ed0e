// SPDX-License-Identifier: MIT
// kube/pod_status.cc: reads and judges a Pod's JSON.
//
// Knows    codec.                    Known by  etl.
// Limits   status_text_max: reasons and messages come from containers and registries, and end up in error texts.
#include "kube/pod_status.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "kube/kubectl.h"
#include "node/api.h"

namespace etlnode {

static constexpr size_t status_text_max = kib;

static std::string bounded(std::string_view text) { return std::string(text.substr(0, status_text_max)); }

// Names match exactly, as in Kubernetes: a user's "Status" is an unknown field, which kubectl-local keeps, and is not the status.
static const cJSON *field(const cJSON *object, const char *key)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : nullptr;
}

static std::string_view text_of(const cJSON *object, const char *key)
{
    const cJSON *item = field(object, key);
    return cJSON_IsString(item) ? std::string_view(item->valuestring) : std::string_view();
}

static std::string entry_of(const cJSON *map, std::string_view key) { return bounded(text_of(map, std::string(key).c_str())); }

static int64_t number_of(const cJSON *object, const char *key)
{
    const cJSON *item = field(object, key);
    if (!cJSON_IsNumber(item) || item->valuedouble < -1e9 || item->valuedouble > 1e9)
        return 0;
    return static_cast<int64_t>(item->valuedouble);
}

static container_status read_container(const cJSON *entry)
{
    container_status out;
    out.name = bounded(text_of(entry, "name"));
    out.restart_count = static_cast<uint64_t>(std::max<int64_t>(number_of(entry, "restartCount"), 0));
    out.container_id = bounded(text_of(entry, "containerID"));
    out.ready = cJSON_IsTrue(field(entry, "ready")) != 0;
    const cJSON *state = field(entry, "state");
    const cJSON *waiting = field(state, "waiting");
    const cJSON *running = field(state, "running");
    const cJSON *terminated = field(state, "terminated");
    const cJSON *state_fields = nullptr;
    if (cJSON_IsObject(running)) {
        out.state = container_state::running;
    } else if (cJSON_IsObject(terminated)) {
        out.state = container_state::terminated;
        out.exit_code = number_of(terminated, "exitCode");
        out.signal = number_of(terminated, "signal");
        state_fields = terminated;
    } else if (cJSON_IsObject(waiting)) {
        out.state = container_state::waiting;
        state_fields = waiting;
    }
    out.reason = bounded(text_of(state_fields, "reason"));
    out.message = bounded(text_of(state_fields, "message"));
    const cJSON *last = field(field(entry, "lastState"), "terminated");
    if (cJSON_IsObject(last)) {
        out.has_last = true;
        out.last_reason = bounded(text_of(last, "reason"));
        out.last_message = bounded(text_of(last, "message"));
        out.last_exit_code = number_of(last, "exitCode");
        if (out.container_id.empty())
            out.container_id = bounded(text_of(last, "containerID"));
    }
    return out;
}

static void read_spec(const cJSON *spec, pod_status &out)
{
    out.node_name = bounded(text_of(spec, "nodeName"));
    out.restart_policy = bounded(text_of(spec, "restartPolicy"));
    const cJSON *container = cJSON_GetArrayItem(field(spec, "containers"), 0);
    out.main.name = bounded(text_of(container, "name"));
    int64_t port = number_of(cJSON_GetArrayItem(field(container, "ports"), 0), "containerPort");
    out.container_port = port >= 0 && port <= UINT16_MAX ? static_cast<uint16_t>(port) : 0;
    const cJSON *variable = nullptr;
    cJSON_ArrayForEach(variable, field(container, "env"))
    {
        if (text_of(variable, "name") == env_target_url)
            out.target_url = bounded(text_of(variable, "value"));
    }
}

static void read_conditions(const cJSON *conditions, pod_status &out)
{
    const cJSON *condition = nullptr;
    cJSON_ArrayForEach(condition, conditions)
    {
        std::string_view type = text_of(condition, "type");
        std::string_view value = text_of(condition, "status");
        if (type == "Ready")
            out.ready = value == "True";
        if (type == "PodScheduled" && value == "False")
            out.unscheduled = bounded(text_of(condition, "message"));
    }
}

error pod_status_parse(const cJSON *pod, pod_status &out_status)
{
    out_status = pod_status();
    const cJSON *metadata = field(pod, "metadata");
    out_status.name = bounded(text_of(metadata, "name"));
    if (out_status.name.empty())
        return make_error(error_code::bad_json, "a pod without a name");
    out_status.uid = bounded(text_of(metadata, "uid"));
    out_status.resource_version = bounded(text_of(metadata, "resourceVersion"));
    out_status.terminating = !text_of(metadata, "deletionTimestamp").empty();
    const cJSON *labels = field(metadata, "labels");
    out_status.label_cluster = entry_of(labels, label_cluster);
    out_status.label_target = entry_of(labels, label_target);
    out_status.label_etl = entry_of(labels, label_etl);
    const cJSON *annotations = field(metadata, "annotations");
    out_status.generation = entry_of(annotations, annotation_generation);
    out_status.launch = entry_of(annotations, annotation_launch);
    out_status.local_address = entry_of(annotations, annotation_local_address);
    out_status.local_witness = entry_of(annotations, annotation_local_witness);
    read_spec(field(pod, "spec"), out_status);

    const cJSON *status = field(pod, "status");
    out_status.phase = bounded(text_of(status, "phase"));
    out_status.reason = bounded(text_of(status, "reason"));
    out_status.message = bounded(text_of(status, "message"));
    out_status.pod_ip = bounded(text_of(status, "podIP"));
    out_status.host_ip = bounded(text_of(status, "hostIP"));
    read_conditions(field(status, "conditions"), out_status);
    const cJSON *entry = nullptr;
    cJSON_ArrayForEach(entry, field(status, "containerStatuses"))
    {
        // The first container with that name counts. An injected sidecar is not the main container.
        if (out_status.main.state == container_state::none &&
            (out_status.main.name.empty() || text_of(entry, "name") == out_status.main.name))
            out_status.main = read_container(entry);
    }
    cJSON_ArrayForEach(entry, field(status, "initContainerStatuses"))
    {
        container_status init = read_container(entry);
        if (init.state != container_state::terminated || init.exit_code != 0)
            out_status.init.push_back(std::move(init));
    }
    return no_error;
}

error pod_list_parse(std::string_view text, std::vector<pod_status> &out_pods, std::string &out_where)
{
    out_pods.clear();
    json_ptr tree;
    if (error err = kubectl_parse_json(text, tree, out_where))
        return err;
    const cJSON *items = json_get(tree.get(), "items");
    if (!cJSON_IsArray(items)) {
        out_where = "a list without items";
        return make_error(error_code::bad_json, "kubectl's list has no items");
    }
    const cJSON *item = nullptr;
    cJSON_ArrayForEach(item, items)
    {
        pod_status status;
        if (error err = pod_status_parse(item, status)) {
            out_where = error_text(err);
            return err;
        }
        out_pods.push_back(std::move(status));
    }
    return no_error;
}

uint64_t container_crash_count(const container_status &container)
{
    // Kubernetes counts a restart when the next run begins. Between two runs, one more has ended than the count says.
    bool is_between = container.state == container_state::terminated ||
                      (container.state == container_state::waiting && container.has_last) ||
                      (container.state == container_state::waiting && container.reason == "RunContainerError");
    return container.restart_count + (is_between ? 1 : 0);
}

static bool has_part(std::string_view text, std::string_view part) { return text_lower(text).find(part) != std::string::npos; }

// The registry has answered that there is no such image. Anything else (no route, no such name, 5xx, too many requests) may pass.
static bool image_is_absent(const container_status &container)
{
    if (container.state != container_state::waiting)
        return false;
    if (container.reason == "InvalidImageName" || container.reason == "ErrImageNeverPull")
        return true;
    if (container.reason != "ErrImagePull" && container.reason != "ImagePullBackOff")
        return false;
    for (std::string_view words :
        {"not found", "does not exist", "manifest unknown", "no matching manifest", "no match for platform", "no image \""}) {
        if (has_part(container.message, words)) // the last pattern is kubectl-local's
            return true;
    }
    return false;
}

// The pod must not run as root, but the image's user is root or not numeric. The kubelet retries for ever.
static bool user_is_refused(const container_status &container)
{
    return container.state == container_state::waiting && container.reason == "CreateContainerConfigError" &&
           (has_part(container.message, "runasnonroot") || has_part(container.message, "non-root"));
}

// Text from outside: quotes as they are, no control bytes, bounded.
static std::string plain(std::string_view text)
{
    std::string out;
    for (char c : text.substr(0, status_text_max)) {
        auto byte = static_cast<uint8_t>(c);
        out += byte < 0x20 || byte == 0x7f ? text_format("\\x%02x", byte) : std::string(1, c);
    }
    return out;
}

static std::string describe_container(const container_status &container, const char *kind)
{
    std::string out = text_format("%s %s ", kind, plain(container.name).c_str());
    switch (container.state) {
    case container_state::none: out += "has no state yet"; break;
    case container_state::waiting: out += "is waiting"; break;
    case container_state::running: out += container.ready ? "is running" : "is running, not ready"; break;
    case container_state::terminated:
        out += container.signal != 0 ? text_format("was killed by signal %lld", static_cast<long long>(container.signal))
                                     : text_format("ended with exit code %lld", static_cast<long long>(container.exit_code));
        break;
    }
    if (!container.reason.empty())
        out += ": " + plain(container.reason);
    if (!container.message.empty())
        out += ": " + plain(container.message);
    if (container.state != container_state::terminated && container.has_last) {
        out += text_format("; its last run ended with exit code %lld", static_cast<long long>(container.last_exit_code));
        if (!container.last_reason.empty())
            out += ": " + plain(container.last_reason);
        if (!container.last_message.empty())
            out += ": " + plain(container.last_message);
    }
    if (container.restart_count > 0)
        out += text_format("; restarted %llu times", static_cast<unsigned long long>(container.restart_count));
    return out;
}

std::string pod_status_describe(const pod_status &status)
{
    std::string out = "pod phase " + (status.phase.empty() ? std::string("unknown") : plain(status.phase));
    if (status.terminating)
        out += ", being deleted";
    if (!status.reason.empty())
        out += ", " + plain(status.reason);
    if (!status.message.empty() && status.message != status.main.message) // kubectl-local reports it in both places
        out += ", " + plain(status.message);
    if (!status.unscheduled.empty())
        out += "; not scheduled: " + plain(status.unscheduled);
    for (const container_status &init : status.init) {
        if (init.state != container_state::waiting || init.reason != "PodInitializing")
            out += "; " + describe_container(init, "init container");
    }
    if (status.main.state != container_state::none)
        out += "; " + describe_container(status.main, "container");
    return out;
}

static bool keeps_ending(const container_status &container) { return container_crash_count(container) >= pod_crashes_max; }

pod_verdict pod_status_judge(const pod_status &status, std::string &out_why)
{
    out_why = pod_status_describe(status);
    if (status.phase == "Failed" || status.phase == "Succeeded")
        return pod_verdict::ended;
    bool is_over = status.main.state == container_state::terminated &&
                   (status.restart_policy == "Never" || (status.restart_policy == "OnFailure" && status.main.exit_code == 0));
    if (is_over)
        return pod_verdict::ended;
    if (status.ready && !status.terminating && status.main.state == container_state::running)
        return pod_verdict::ready;
    for (const container_status &init : status.init) {
        if (image_is_absent(init) || user_is_refused(init) || keeps_ending(init))
            return pod_verdict::hopeless;
    }
    if (image_is_absent(status.main) || user_is_refused(status.main) || keeps_ending(status.main))
        return pod_verdict::hopeless;
    return pod_verdict::starting;
}

bool container_ever_ran(const container_status &container)
{
    return container.state == container_state::running || container.state == container_state::terminated || container.has_last;
}

const container_status *pod_status_failed_container(const pod_status &status)
{
    for (const container_status &init : status.init) {
        if (container_ever_ran(init))
            return &init;
    }
    return container_ever_ran(status.main) ? &status.main : nullptr;
}

std::string pod_status_instance(const pod_status &status)
{
    return text_format("%s/%llu", status.main.container_id.c_str(), static_cast<unsigned long long>(status.main.restart_count));
}

bool pod_status_is_older(const pod_status &status, const pod_status &than)
{
    uint64_t a = 0;
    uint64_t b = 0;
    if (!text_parse_u64(status.resource_version, a) || !text_parse_u64(than.resource_version, b))
        return false;
    return a < b;
}

bool pod_address_parse(std::string_view text, std::string &out_host, uint16_t &out_port)
{
    size_t colon = text.rfind(':');
    uint64_t port = 0;
    if (colon == std::string_view::npos || colon == 0 || !text_parse_u64(text.substr(colon + 1), port) || port == 0 || port > UINT16_MAX)
        return false;
    std::string_view host = text.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    out_host = host;
    out_port = static_cast<uint16_t>(port);
    return true;
}

} // namespace etlnode
