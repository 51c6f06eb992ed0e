// SPDX-License-Identifier: MIT
// kubectl_local/pod_unsupported.cc: the features of Pods that kubectl-local can never run.
//
// Owns     nothing: one constant table.
// Knows    kube/pod_schema.          Known by  pod.
#include "kubectl_local/pod_unsupported.h"

#include <algorithm>

#include "base/text.h"
#include "kube/pod_schema.h"
#include "kubectl_local/pod_rule_helpers.h"

namespace etlnode::kubectl_local {

static constexpr int init_containers_max = 16;
static constexpr double ids_of_a_pod = 65'536; // see users.h

// Setting the field is enough for a refusal.
struct unsupported_row {
    std::string_view type;
    std::string_view field;
    const char *why;
};

static constexpr const char *needs_objects =
    "Secrets and ConfigMaps are objects of a cluster, and kubectl-local has none (with `optional: true` they count as absent)";
static constexpr const char *ids = "kubectl-local only supports user and group ids below 65536";
static constexpr const char *probes = "kubectl-local supports tcpSocket probes, and httpGet probes with plain HTTP";

static constexpr unsupported_row rows[] = {
    {"Probe", "exec", probes},
    {"Probe", "grpc", probes},
    {"Lifecycle", "postStart", "kubectl-local does not run hooks"},
    {"Lifecycle", "preStop", "kubectl-local does not run hooks: a container gets SIGTERM and the grace period"},
    {"Container", "volumeDevices", "kubectl-local does not support block volumes"},
    {"PodSpec", "runtimeClassName", "kubectl-local only has one runtime"},
    {"PodSpec", "schedulingGates", "nothing would ever open the gate"},
    {"PodSpec", "resourceClaims", "kubectl-local does not support device drivers"},
    {"PodSpec", "hostAliases", "kubectl-local writes /etc/hosts itself"},
    {"PodSpec", "activeDeadlineSeconds", "kubectl-local does not end pods by itself"},
};

bool pod_is_optional(const cJSON *reference) { return cJSON_IsTrue(field(reference, "optional")); }

static void add(std::vector<std::string> &out, const std::string &path, const std::string &why) { out.push_back(path + ": " + why); }

static void check_volume(const cJSON *volume, const std::string &path, std::vector<std::string> &out)
{
    const cJSON *source;
    cJSON_ArrayForEach(source, volume)
    {
        std::string_view kind = source->string;
        if (kind == "emptyDir" && text_of(source, "medium").starts_with("HugePages"))
            add(out, path + ".emptyDir.medium", "kubectl-local does not support huge pages");
        if (kind == "name" || kind == "emptyDir" || kind == "hostPath" || !is_set(source))
            continue;
        bool needs_object = kind == "secret" || kind == "configMap";
        if (!needs_object)
            add(out, path + "." + std::string(kind), "kubectl-local only supports emptyDir and hostPath volumes");
        else if (!pod_is_optional(source))
            add(out, path + "." + std::string(kind), needs_objects);
    }
}

// The container's settings take precedence over the pod's.
static void check_users(const cJSON *spec, std::vector<std::string> &out)
{
    const cJSON *of_pod = field(spec, "securityContext");
    if (number_of(of_pod, "fsGroup", 0) >= ids_of_a_pod)
        add(out, "spec.securityContext.fsGroup", ids);
    const cJSON *group;
    size_t at_group = 0;
    cJSON_ArrayForEach(group, field(of_pod, "supplementalGroups"))
    {
        if (cJSON_IsNumber(group) && group->valuedouble >= ids_of_a_pod)
            add(out, text_format("spec.securityContext.supplementalGroups[%zu]", at_group), ids);
        at_group++;
    }
    for (const char *list : {"initContainers", "containers"}) {
        const cJSON *container;
        size_t index = 0;
        cJSON_ArrayForEach(container, field(spec, list))
        {
            std::string at = text_format("spec.%s[%zu].", list, index++);
            for (const char *key : {"runAsUser", "runAsGroup"}) {
                bool is_own = is_set(field(field(container, "securityContext"), key));
                const cJSON *context = is_own ? field(container, "securityContext") : of_pod;
                std::string path = (is_own ? at : "spec.") + "securityContext." + key;
                bool is_new = std::none_of(
                    out.begin(), out.end(), [&](const std::string &reason) { return reason.starts_with(path + ":"); });
                if (number_of(context, key, 0) >= ids_of_a_pod && is_new)
                    add(out, path, ids);
            }
        }
    }
}

static void check_resources(const cJSON *resources, const std::string &path, std::vector<std::string> &out)
{
    const cJSON *entry;
    cJSON_ArrayForEach(entry, field(resources, "limits"))
    {
        std::string_view name = entry->string;
        if (name.starts_with("hugepages-") || name.find('/') != std::string_view::npos)
            add(out, text_format("%s.limits[%s]", path.c_str(), entry->string), "kubectl-local does not have this resource");
    }
}

static void check_container(const cJSON *container, const std::string &path, std::vector<std::string> &out)
{
    if (path.starts_with("spec.initContainers") && text_of(container, "restartPolicy") == "Always")
        add(out, path + ".restartPolicy", "kubectl-local runs init containers to completion, and does not support sidecars");
    std::string message = "/" + std::string(text_of(container, "terminationMessagePath")) + "/";
    if (message.find("/../") != std::string::npos)
        add(out, path + ".terminationMessagePath", "kubectl-local does not mount at paths with '..'");
}

static void check_reference(
    const cJSON *source, const std::string &path, std::initializer_list<const char *> keys, std::vector<std::string> &out)
{
    for (const char *key : keys) {
        const cJSON *reference = field(source, key);
        if (is_set(reference) && !pod_is_optional(reference))
            add(out, path + "." + key, needs_objects);
    }
}

static void check_mount(const cJSON *mount, const std::string &path, std::vector<std::string> &out)
{
    std::string place = "/" + std::string(text_of(mount, "mountPath")) + "/";
    if (place.find("/../") != std::string::npos)
        add(out, path + ".mountPath", "kubectl-local does not mount at paths with '..'");
}

static void check_profile(const cJSON *profile, const std::string &path, std::vector<std::string> &out)
{
    if (text_of(profile, "type") == "Localhost")
        add(out, path + ".localhostProfile", "kubectl-local has its own system call filter and does not load profiles");
}

static void check_http(const cJSON *action, const std::string &path, std::vector<std::string> &out)
{
    if (text_of(action, "scheme") == "HTTPS")
        add(out, path + ".scheme", probes);
}

static void check_spec(const cJSON *spec, const std::string &path, std::vector<std::string> &out)
{
    int count = cJSON_GetArraySize(field(spec, "containers"));
    if (count > 1)
        add(out, path + ".containers[1]", text_format("%d containers: kubectl-local runs one container per pod", count));
    if (cJSON_GetArraySize(field(spec, "initContainers")) > init_containers_max)
        add(out, path + ".initContainers[16]", "kubectl-local runs at most 16 init containers");
    if (text_of(field(spec, "os"), "name") == "windows")
        add(out, path + ".os.name", "kubectl-local only runs Linux containers");
}

static void check_value(std::string_view type, const cJSON *value, const std::string &path, std::vector<std::string> &out)
{
    std::string_view element = pod_schema_element(type);
    if (!element.empty()) {
        const cJSON *entry;
        size_t index = 0;
        cJSON_ArrayForEach(entry, value) check_value(element, entry, text_format("%s[%zu]", path.c_str(), index++), out);
        return;
    }
    if (type == "PodSpec")
        check_spec(value, path, out);
    else if (type == "Container")
        check_container(value, path, out);
    else if (type == "Volume")
        check_volume(value, path, out);
    else if (type == "ResourceRequirements")
        check_resources(value, path, out);
    else if (type == "EnvVarSource")
        check_reference(value, path, {"configMapKeyRef", "secretKeyRef"}, out);
    else if (type == "EnvFromSource")
        check_reference(value, path, {"configMapRef", "secretRef"}, out);
    else if (type == "VolumeMount")
        check_mount(value, path, out);
    else if (type == "SeccompProfile" || type == "AppArmorProfile")
        check_profile(value, path, out);
    else if (type == "HTTPGetAction")
        check_http(value, path, out);
    for (const unsupported_row &row : rows) {
        const cJSON *item = row.type == type ? field(value, std::string(row.field).c_str()) : nullptr;
        bool is_list = cJSON_IsArray(item);
        if (is_set(item) && (!is_list || !is_list_empty(item)) && !(cJSON_IsString(item) && item->valuestring[0] == 0))
            add(out, path + "." + std::string(row.field), row.why);
    }
    // The fields inside a volume source or an affinity are not for this program to run.
    if (type == "Volume" || type == "Affinity")
        return;
    for (const pod_field &one : pod_schema_fields(type)) {
        const cJSON *below = field(value, std::string(one.name).c_str());
        std::string_view inner = pod_schema_element(one.type).empty() ? one.type : pod_schema_element(one.type);
        if (is_set(below) && !one.type.starts_with("map ") && !pod_schema_fields(inner).empty())
            check_value(one.type, below, path + "." + std::string(one.name), out);
    }
}

std::vector<std::string> pod_unsupported(const cJSON *pod)
{
    std::vector<std::string> out;
    if (!is_list_empty(field(field(pod, "metadata"), "finalizers")))
        add(out, "metadata.finalizers", "nothing would ever remove it, so the pod could not be deleted");
    check_value("PodSpec", field(pod, "spec"), "spec", out);
    check_users(field(pod, "spec"), out);
    return out;
}

std::string pod_root_refusal(const cJSON *spec, const cJSON *container, const std::string &pod_name)
{
    const cJSON *of_pod = field(spec, "securityContext");
    const cJSON *of_container = field(container, "securityContext");
    auto effective = [&](const char *key) { return is_set(field(of_container, key)) ? field(of_container, key) : field(of_pod, key); };
    if (!cJSON_IsTrue(effective("runAsNonRoot")))
        return "";
    const cJSON *user = effective("runAsUser");
    std::string name(text_of(container, "name"));
    if (is_set(user) && user->valuedouble == 0)
        return text_format("container's runAsUser breaks non-root policy (pod: \"%s\", container: %s)", pod_name.c_str(), name.c_str());
    if (!is_set(user))
        return text_format(
            "container has runAsNonRoot and image will run as root (pod: \"%s\", container: %s)", pod_name.c_str(), name.c_str());
    return "";
}

} // namespace etlnode::kubectl_local
