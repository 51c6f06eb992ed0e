// SPDX-License-Identifier: MIT
// kubectl_local/pod_rules_container.cc: the rules for several fields of a container: names, ports, mounts, environment, probes,
// resources.
#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "kubectl_local/pod_rule_helpers.h"
#include "kubectl_local/quantity.h"

namespace etlnode::kubectl_local {

static constexpr uint64_t grace_default_s = 30;

static bool is_ordinary_init(const cJSON *container, const std::string &path)
{
    return path.starts_with("spec.initContainers") && text_of(container, "restartPolicy") != "Always";
}

static void rule_names(pod_check &check, const cJSON *container, const std::string &path)
{
    std::string_view name = text_of(container, "name");
    const cJSON *spec = field(check.pod, "spec");
    bool is_init = path.starts_with("spec.initContainers");
    // Names of init containers are compared with those of containers, but not vice versa.
    const cJSON *other;
    bool is_repeated = false;
    if (is_init)
        cJSON_ArrayForEach(other, field(spec, "containers")) is_repeated = is_repeated || text_of(other, "name") == name;
    cJSON_ArrayForEach(other, field(spec, is_init ? "initContainers" : "containers"))
    {
        if (other == container)
            break;
        is_repeated = is_repeated || (text_of(other, "name") == name && (!is_init || !name.empty()));
    }
    if (is_repeated)
        refuse_duplicate(check, path + ".name", name);
}

static bool has_value(const cJSON *list, const char *key, std::string_view place)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, list) if (text_of(one, key) == place) return true;
    return false;
}

static void rule_mounts(pod_check &check, const cJSON *container, const std::string &path)
{
    std::vector<std::string_view> places;
    bool is_privileged = cJSON_IsTrue(field(field(container, "securityContext"), "privileged"));
    const cJSON *mount;
    size_t index = 0;
    cJSON_ArrayForEach(mount, field(container, "volumeMounts"))
    {
        std::string at = text_format("%s.volumeMounts[%zu]", path.c_str(), index++);
        std::string_view name = text_of(mount, "name");
        std::string_view place = text_of(mount, "mountPath");
        if (name.empty())
            refuse_required(check, at + ".name");
        if (std::find(check.volumes.begin(), check.volumes.end(), name) == check.volumes.end())
            refuse_not_found(check, at + ".name", name);
        if (place.empty())
            refuse_required(check, at + ".mountPath");
        if (std::find(places.begin(), places.end(), place) != places.end())
            refuse_invalid_text(check, at + ".mountPath", place, "must be unique");
        places.push_back(place);
        if (has_value(field(container, "volumeDevices"), "name", name))
            refuse_invalid_text(check, at + ".name", name, "must not already exist in volumeDevices");
        if (has_value(field(container, "volumeDevices"), "devicePath", place))
            refuse_invalid_text(check, at + ".mountPath", place, "must not already exist as a path in volumeDevices");
        // Kubernetes omits the index from the paths below.
        std::string list = path + ".volumeMounts";
        for (const char *key : {"subPath", "subPathExpr"})
            check_relative(check, list + "." + key, text_of(mount, key));
        if (!text_of(mount, "subPath").empty() && !text_of(mount, "subPathExpr").empty())
            refuse_invalid_text(
                check, at + ".subPathExpr", text_of(mount, "subPathExpr"), "subPathExpr and subPath are mutually exclusive");
        std::string_view spread = text_of(mount, "mountPropagation"); // a value that is present but empty is invalid
        if (is_set(field(mount, "mountPropagation")) && spread != "Bidirectional" && spread != "HostToContainer" && spread != "None")
            refuse_unsupported(check, list + ".mountPropagation", spread, "Bidirectional HostToContainer None");
        if (spread == "Bidirectional" && !is_privileged)
            refuse_forbidden(
                check, list + ".mountPropagation", "Bidirectional mount propagation is available only to privileged containers");
        std::string_view recursive = text_of(mount, "recursiveReadOnly");
        if (is_set(field(mount, "recursiveReadOnly")) && recursive != "Disabled" && recursive != "IfPossible" && recursive != "Enabled")
            refuse_unsupported(check, list + ".recursiveReadOnly", recursive, "Disabled Enabled IfPossible");
        else if (!recursive.empty() && recursive != "Disabled" && !cJSON_IsTrue(field(mount, "readOnly")))
            refuse_forbidden(check, list + ".recursiveReadOnly", "may only be specified when readOnly is true");
    }
}

static void rule_devices(pod_check &check, const cJSON *container, const std::string &path)
{
    const cJSON *device;
    size_t index = 0;
    cJSON_ArrayForEach(device, field(container, "volumeDevices"))
    {
        std::string at = text_format("%s.volumeDevices[%zu].name", path.c_str(), index);
        std::string_view name = text_of(device, "name");
        std::string path_at = text_format("%s.volumeDevices[%zu].devicePath", path.c_str(), index++);
        std::string_view place = text_of(device, "devicePath");
        const cJSON *other;
        bool is_path_repeated = false;
        bool is_name_repeated = false;
        cJSON_ArrayForEach(other, field(container, "volumeDevices"))
        {
            if (other == device)
                break;
            is_path_repeated = is_path_repeated || text_of(other, "devicePath") == place;
            is_name_repeated = is_name_repeated || text_of(other, "name") == name;
        }
        if (is_name_repeated)
            refuse_invalid_text(check, at, name, "must be unique");
        if (is_path_repeated)
            refuse_invalid_text(check, path_at, place, "must be unique");
        if (has_value(field(container, "volumeMounts"), "name", name))
            refuse_invalid_text(check, at, name, "must not already exist in volumeMounts");
        if (has_value(field(container, "volumeMounts"), "mountPath", place))
            refuse_invalid_text(check, path_at, place, "must not already exist as a path in volumeMounts");
        const cJSON *volume = nullptr;
        const cJSON *one;
        cJSON_ArrayForEach(one, field(field(check.pod, "spec"), "volumes")) volume = text_of(one, "name") == name ? one : volume;
        if (volume == nullptr)
            refuse_not_found(check, at, name);
        else if (!is_set(field(volume, "persistentVolumeClaim")) && !is_set(field(volume, "ephemeral")))
            refuse_invalid_text(check, at, name, "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode");
    }
}

static void rule_ports(pod_check &check, const cJSON *container, const std::string &path)
{
    std::vector<std::string_view> names;
    std::vector<std::string> of_init; // each init container runs alone
    std::vector<std::string> &host_ports = path.starts_with("spec.initContainers") ? of_init : check.host_ports;
    bool uses_host = cJSON_IsTrue(field(field(check.pod, "spec"), "hostNetwork"));
    const cJSON *port;
    size_t index = 0;
    cJSON_ArrayForEach(port, field(container, "ports"))
    {
        std::string at = text_format("%s.ports[%zu]", path.c_str(), index++);
        std::string_view name = text_of(port, "name");
        std::vector<std::string> faults = name.empty() ? std::vector<std::string>() : pod_name_faults(name_form::port_name, name);
        for (const std::string &fault : faults)
            refuse_invalid_text(check, at + ".name", name, fault);
        if (!name.empty() && faults.empty() && std::find(names.begin(), names.end(), name) != names.end())
            refuse_duplicate(check, at + ".name", name);
        names.push_back(name);
        double number = number_of(port, "containerPort", 0);
        if (number == 0)
            refuse_required(check, at + ".containerPort");
        else if (number < 1 || number > 65535)
            refuse_invalid(check, at + ".containerPort", field(port, "containerPort"), "must be between 1 and 65535, inclusive");
        double host = number_of(port, "hostPort", 0);
        if (uses_host && host != 0 && host != number && !path.starts_with("spec.initContainers"))
            refuse_invalid(check, at + ".hostPort", field(port, "hostPort"), "must match `containerPort` when `hostNetwork` is true");
        if (uses_host && host == 0)
            host = number;
        if (host == 0)
            continue;
        std::string_view protocol = text_of(port, "protocol");
        std::string one = text_format(
            "%s/%s/%.0f", protocol.empty() ? "TCP" : std::string(protocol).c_str(), std::string(text_of(port, "hostIP")).c_str(), host);
        if (std::find(host_ports.begin(), host_ports.end(), one) != host_ports.end())
            refuse_duplicate(check, at + ".hostPort", one);
        host_ports.push_back(one);
    }
}

static void rule_resizes(pod_check &check, const cJSON *container, const std::string &path)
{
    std::string list = path + ".resizePolicy"; // Kubernetes includes the index only for duplicates
    bool never_restarts = text_of(field(check.pod, "spec"), "restartPolicy") == "Never";
    std::vector<std::string_view> seen;
    const cJSON *entry;
    size_t index = 0;
    cJSON_ArrayForEach(entry, field(container, "resizePolicy"))
    {
        std::string_view resource = text_of(entry, "resourceName");
        std::string_view policy = text_of(entry, "restartPolicy");
        if (std::find(seen.begin(), seen.end(), resource) != seen.end())
            refuse_duplicate(check, text_format("%s[%zu]", list.c_str(), index), resource);
        index++;
        seen.push_back(resource);
        if (resource.empty())
            refuse_required(check, list);
        else if (resource != "cpu" && resource != "memory")
            refuse_unsupported(check, list, resource, "cpu memory");
        if (policy.empty())
            refuse_required(check, list);
        else if (policy != "NotRequired" && policy != "RestartContainer")
            refuse_unsupported(check, list, policy, "NotRequired RestartContainer");
        if (never_restarts && policy != "NotRequired")
            refuse_invalid_text(check, list, policy, "must be 'NotRequired' when `restartPolicy` is 'Never'");
    }
}

static void rule_container(pod_check &check, const cJSON *container, const std::string &path, pod_skip &skip)
{
    rule_names(check, container, path);
    rule_ports(check, container, path);
    rule_mounts(check, container, path);
    rule_devices(check, container, path);
    rule_resizes(check, container, path);
    std::string_view image = text_of(container, "image");
    auto is_blank = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
    if (!image.empty() && (is_blank(image.front()) || is_blank(image.back())))
        refuse_invalid_text(check, path + ".image", image, "must not have leading or trailing whitespace");
    std::string_view policy = text_of(container, "restartPolicy");
    bool is_init = path.starts_with("spec.initContainers");
    if (is_set(field(container, "restartPolicy")) && !is_init)
        refuse_forbidden(check, path + ".restartPolicy", "may not be set for non-init containers");
    else if (is_set(field(container, "restartPolicy")) && policy != "Always")
        refuse_unsupported(check, path + ".restartPolicy", policy, "Always");
    if (!is_ordinary_init(container, path))
        return;
    for (const char *key : {"lifecycle", "livenessProbe", "readinessProbe", "startupProbe"}) {
        if (is_set(field(container, key))) {
            refuse_forbidden(check, path + "." + key, "may not be set for init containers without restartPolicy=Always");
            skip.push_back(key);
        }
    }
}

static void rule_env_value(pod_check &check, const cJSON *variable, const std::string &path, pod_skip &)
{
    const cJSON *from = field(variable, "valueFrom");
    if (!is_set(from))
        return;
    size_t count = 0;
    for (const char *key : {"fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef"})
        count += is_set(field(from, key)) ? 1 : 0;
    std::string at = path + ".valueFrom";
    if (count == 0)
        refuse_invalid_text(check, at, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`");
    else if (!text_of(variable, "value").empty())
        refuse_invalid_text(check, at, "", "may not be specified when `value` is not empty");
    else if (count > 1)
        refuse_invalid_text(check, at, "", "may not have more than one field specified at a time");
}

static void rule_env_from(pod_check &check, const cJSON *value, const std::string &path, pod_skip &)
{
    size_t count = (is_set(field(value, "configMapRef")) ? 1 : 0) + (is_set(field(value, "secretRef")) ? 1 : 0);
    if (count != 1) // the path is that of the list
        refuse_invalid_text(check, path.substr(0, path.rfind('[')), "",
            count == 0 ? "must specify one of: `configMapRef` or `secretRef`" : "may not have more than one field specified at a time");
}

static void rule_key_selector(pod_check &check, const cJSON *value, const std::string &path, pod_skip &)
{
    check_form(check, name_form::subdomain, path + ".name", text_of(value, "name"));
}

static void rule_field_selector(pod_check &check, const cJSON *value, const std::string &path, pod_skip &)
{
    static constexpr std::string_view known[] = {"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
        "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"};
    static constexpr std::string_view convertible[] = {
        "metadata.annotations", "metadata.labels", "spec.restartPolicy", "spec.schedulerName", "status.phase", "spec.host"};
    bool in_volume = path.starts_with("spec.volumes");
    std::string_view what = text_of(value, "fieldPath");
    auto is_in = [&](auto &list) { return std::find(std::begin(list), std::end(list), what) != std::end(list); };
    size_t open = what.find("['");
    std::string_view version = text_of(value, "apiVersion");
    if (what.empty()) {
        refuse_required(check, path + ".fieldPath");
    } else if (!version.empty() && version != "v1") {
        refuse_invalid_text(
            check, path + ".fieldPath", what, "error converting fieldPath: unsupported pod version: " + text_escape(version, 80));
    } else if (open != std::string_view::npos && what.ends_with("']")) {
        std::string_view map = what.substr(0, open);
        std::string key(what.substr(open + 2, what.size() - open - 4));
        if (map != "metadata.labels" && map != "metadata.annotations")
            refuse_invalid_text(check, path + ".fieldPath", what,
                "error converting fieldPath: field label does not support subscript: " + std::string(what));
        else
            check_form(check, name_form::qualified, path, map == "metadata.labels" ? key : text_lower(key));
    } else if (!is_in(known) && !is_in(convertible)) {
        refuse_invalid_text(
            check, path + ".fieldPath", what, "error converting fieldPath: field label not supported: " + std::string(what));
    } else if (in_volume ? !what.starts_with("metadata.") : (is_in(convertible) && what != "spec.host")) {
        refuse_unsupported(check, path + ".fieldPath", what,
            in_volume ? "metadata.annotations metadata.labels metadata.name metadata.namespace metadata.uid"
                      : "metadata.name metadata.namespace metadata.uid spec.nodeName spec.serviceAccountName status.hostIP status.hostIPs "
                        "status.podIP status.podIPs");
    }
}

static void rule_resource_selector(pod_check &check, const cJSON *value, const std::string &path, pod_skip &)
{
    static constexpr std::string_view known =
        "limits.cpu limits.ephemeral-storage limits.memory requests.cpu requests.ephemeral-storage requests.memory";
    std::string_view what = text_of(value, "resource");
    const cJSON *given = field(value, "divisor");
    std::string divisor = cJSON_IsString(given) ? given->valuestring : is_set(given) ? json_print(given) : "";
    bool is_known = (" " + std::string(known) + " ").find(" " + std::string(what) + " ") != std::string::npos ||
                    what.find(".hugepages-") != std::string_view::npos;
    if (path.starts_with("spec.volumes") && text_of(value, "containerName").empty())
        refuse_required(check, path + ".containerName");
    else if (what.empty())
        refuse_required(check, path + ".resource");
    else if (!is_known)
        refuse_unsupported(check, path + ".resource", what, known);
    bool is_cpu = what.ends_with(".cpu");
    static constexpr std::string_view units = " 0 1 1k 1M 1G 1T 1P 1E 1Ki 1Mi 1Gi 1Ti 1Pi 1Ei ";
    bool fits = is_cpu ? divisor == "0" || divisor == "1" || divisor == "1m" : units.find(" " + divisor + " ") != std::string_view::npos;
    if (!divisor.empty() && is_known && !fits)
        refuse_invalid_text(check, path + ".divisor", what,
            is_cpu
                ? "only divisor's values 1m and 1 are supported with the cpu resource"
                : "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory resource");
}

// Probes and hooks.

static void rule_probe(pod_check &check, const cJSON *probe, const std::string &path, pod_skip &skip)
{
    if (only_one_of(check, probe, path, {"exec", "httpGet", "tcpSocket", "grpc"}, "may not specify more than 1 handler type", skip) == 0)
        refuse_required(check, path, "must specify a handler type");
    bool is_readiness = path.ends_with("readinessProbe");
    double successes = number_of(probe, "successThreshold", 1);
    if (!is_readiness && successes != 1 && successes != 0)
        refuse_invalid(check, path + ".successThreshold", field(probe, "successThreshold"), "must be 1");
    const cJSON *grace = field(probe, "terminationGracePeriodSeconds");
    if (cJSON_IsNumber(grace) && grace->valuedouble <= 0)
        refuse_invalid(check, path + ".terminationGracePeriodSeconds", grace, "must be greater than 0");
    if (cJSON_IsNumber(grace) && is_readiness)
        refuse_invalid(check, path + ".terminationGracePeriodSeconds", grace, "must not be set for readinessProbes");
}

static void rule_hook(pod_check &check, const cJSON *hook, const std::string &path, pod_skip &skip)
{
    if (only_one_of(check, hook, path, {"exec", "httpGet", "tcpSocket", "sleep"}, "may not specify more than 1 handler type", skip) == 0)
        refuse_required(check, path, "must specify a handler type");
    bool is_forbidden = std::find(skip.begin(), skip.end(), "sleep") != skip.end();
    const cJSON *nap = is_forbidden ? nullptr : field(hook, "sleep");
    double grace = number_of(field(check.pod, "spec"), "terminationGracePeriodSeconds", static_cast<double>(grace_default_s));
    double seconds = number_of(nap, "seconds", 0);
    if (is_set(nap) && (seconds < 0 || seconds > grace))
        refuse_invalid(check, path + ".sleep", field(nap, "seconds"),
            text_format("must be non-negative and less than terminationGracePeriodSeconds (%.0f)", grace));
}

static void rule_port(pod_check &check, const cJSON *action, const std::string &path, pod_skip &)
{
    const cJSON *port = field(action, "port");
    std::string at = path + ".port";
    if (cJSON_IsString(port))
        for (const std::string &fault : pod_name_faults(name_form::port_name, port->valuestring))
            refuse_invalid_text(check, at, port->valuestring, fault);
    else if (!is_set(port) || port->valuedouble < 1 || port->valuedouble > 65535)
        refuse_invalid(check, at, is_set(port) ? port : nullptr, "must be between 1 and 65535, inclusive");
    const cJSON *header;
    cJSON_ArrayForEach(header, field(action, "httpHeaders"))
        check_form(check, name_form::header, path + ".httpHeaders", text_of(header, "name"));
}

// Resources.

static bool is_standard(std::string_view name)
{
    return name == "cpu" || name == "memory" || name == "ephemeral-storage" || name.starts_with("hugepages-");
}

static void check_resource_name(pod_check &check, std::string_view name, const std::string &path)
{
    std::vector<std::string> faults = pod_name_faults(name_form::qualified, name);
    for (const std::string &fault : faults)
        refuse_invalid_text(check, path, name, fault);
    if (name.find('/') == std::string_view::npos) {
        if (faults.empty() && !is_standard(name))
            refuse_invalid_text(check, path, name, "must be a standard resource type or fully qualified");
        if (!is_standard(name))
            refuse_invalid_text(check, path, name, "must be a standard resource for containers");
    } else if (name.find("kubernetes.io/") == std::string_view::npos &&
               (name.starts_with("requests.") || !pod_name_faults(name_form::qualified, "requests." + std::string(name)).empty())) {
        refuse_invalid_text(check, path, name, "doesn't follow extended resource name standard");
    }
}

static bool read_amount(const cJSON *value, quantity &out)
{
    std::string fault;
    return is_set(value) && quantity_parse(cJSON_IsString(value) ? value->valuestring : json_print(value), out, fault);
}

static void check_amount(pod_check &check, std::string_view name, const cJSON *value, const std::string &path)
{
    quantity amount;
    if (!read_amount(value, amount))
        return;
    if (amount.value < 0)
        refuse_invalid(check, path, value, "must be greater than or equal to 0");
    bool is_whole = name.find('/') != std::string_view::npos && name.find("kubernetes.io/") == std::string_view::npos;
    if (is_whole && amount.value != std::floor(amount.value))
        refuse_invalid(check, path, value, "must be an integer");
}

static void rule_resources(pod_check &check, const cJSON *resources, const std::string &path, pod_skip &)
{
    if (path == "spec.resources")
        return; // its feature gate is off
    const cJSON *limits = field(resources, "limits");
    const cJSON *requests = field(resources, "requests");
    std::vector<const cJSON *> wanted; // a missing request defaults to the limit
    const cJSON *entry;
    cJSON_ArrayForEach(entry, limits)
    {
        std::string at = text_format("%s.limits[%s]", path.c_str(), entry->string);
        check_resource_name(check, entry->string, at);
        check_amount(check, entry->string, entry, at);
        if (field(requests, entry->string) == nullptr)
            wanted.push_back(entry);
    }
    cJSON_ArrayForEach(entry, requests) wanted.push_back(entry);
    for (const cJSON *one : wanted) {
        std::string at = text_format("%s.requests[%s]", path.c_str(), one->string);
        check_resource_name(check, one->string, at);
        check_amount(check, one->string, one, at);
        quantity amount;
        quantity limit;
        bool may_differ = std::string_view(one->string).find('/') == std::string_view::npos &&
                          !std::string_view(one->string).starts_with("hugepages-");
        const cJSON *bound = field(limits, one->string);
        if (!may_differ && bound == nullptr)
            refuse_required(check, path + ".limits", "Limit must be set for non overcommitable resources");
        if (!read_amount(one, amount) || !read_amount(bound, limit) ||
            (may_differ ? amount.value <= limit.value : amount.value == limit.value))
            continue;
        std::string text = cJSON_IsString(bound) ? std::string(bound->valuestring) : json_print(bound);
        refuse_invalid(check, path + ".requests", one,
            text_format("must be %s %s limit of %s", may_differ ? "less than or equal to" : "equal to", one->string,
                text_escape(text, 80).c_str()));
    }
}

static void rule_overhead(pod_check &check, const cJSON *spec, const std::string &path, pod_skip &)
{
    const cJSON *entry;
    cJSON_ArrayForEach(entry, field(spec, "overhead"))
    {
        std::string at = text_format("%s.overhead.limits[%s]", path.c_str(), entry->string);
        check_resource_name(check, entry->string, at);
        check_amount(check, entry->string, entry, at);
    }
}

static constexpr pod_type_rule relations[] = {
    {"PodSpec", rule_overhead},
    {"Container", rule_container},
    {"EnvVar", rule_env_value},
    {"EnvFromSource", rule_env_from},
    {"ConfigMapKeySelector", rule_key_selector},
    {"SecretKeySelector", rule_key_selector},
    {"ObjectFieldSelector", rule_field_selector},
    {"ResourceFieldSelector", rule_resource_selector},
    {"Probe", rule_probe},
    {"LifecycleHandler", rule_hook},
    {"HTTPGetAction", rule_port},
    {"TCPSocketAction", rule_port},
    {"ResourceRequirements", rule_resources},
};

std::span<const pod_type_rule> pod_rules_of_containers() { return relations; }

} // namespace etlnode::kubectl_local
