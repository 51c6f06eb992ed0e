// SPDX-License-Identifier: MIT
// local/pod.cc: a Pod object: judged as the API server would, completed with defaults, read into structs for the supervisor.
#include "local/pod.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <ctime>

#include "base/limits.h"
#include "base/text.h"
#include "local/os.h"

static const cJSON *field(const cJSON *object, const char *key) { return cJSON_GetObjectItemCaseSensitive(object, key); }

static std::string text_of(const cJSON *object, const char *key)
{
    const cJSON *item = field(object, key);
    return cJSON_IsString(item) ? std::string(item->valuestring) : std::string();
}

static bool is_set(const cJSON *item) { return item != nullptr && !cJSON_IsNull(item); }

static uint64_t number_of(const cJSON *object, const char *key, uint64_t fallback)
{
    const cJSON *item = field(object, key);
    if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > 1e9)
        return fallback;
    return static_cast<uint64_t>(item->valuedouble);
}

bool pod_label_is_valid(std::string_view name)
{
    auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    if (name.empty() || name.size() > 63 || !plain(name.front()) || !plain(name.back()))
        return false;
    return std::all_of(name.begin(), name.end(), [&](char c) { return plain(c) || c == '-'; });
}

bool pod_name_is_valid(std::string_view name)
{
    auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    if (name.size() > 253)
        return false;
    for (;;) {
        std::string_view part = name.substr(0, name.find('.'));
        if (part.empty() || !plain(part.front()) || !plain(part.back()))
            return false;
        if (!std::all_of(part.begin(), part.end(), [&](char c) { return plain(c) || c == '-'; }))
            return false;
        if (part.size() == name.size())
            return true;
        name.remove_prefix(part.size() + 1);
    }
}

// Admission.

struct verdicts {
    std::vector<std::string> list;
};

static void refuse(verdicts &v, std::string text) { v.list.push_back(std::move(text)); }

static bool strings_only(const cJSON *item)
{
    if (!cJSON_IsArray(item))
        return false;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, item) if (!cJSON_IsString(entry)) return false;
    return true;
}

static void judge_container(verdicts &v, const cJSON *container, const std::string &where)
{
    if (!cJSON_IsObject(container)) {
        refuse(v, where + ": Invalid value: must be an object");
        return;
    }
    std::string name = text_of(container, "name");
    if (name.empty())
        refuse(v, where + ".name: Required value");
    else if (!pod_label_is_valid(name))
        refuse(v,
               text_format("%s.name: Invalid value: \"%s\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character", where.c_str(), text_escape(name, 80).c_str()));
    if (text_of(container, "image").empty())
        refuse(v, where + ".image: Required value");
    for (const char *key : {"command", "args"})
        if (is_set(field(container, key)) && !strings_only(field(container, key)))
            refuse(v, text_format("%s.%s: Invalid value: must be a list of strings", where.c_str(), key));
    const cJSON *ports = field(container, "ports");
    if (is_set(ports) && !cJSON_IsArray(ports))
        refuse(v, where + ".ports: Invalid value: must be a list");
    const cJSON *port;
    int index = 0;
    cJSON_ArrayForEach(port, ports)
    {
        uint64_t number = number_of(port, "containerPort", 0);
        const cJSON *raw = field(port, "containerPort");
        if (!is_set(raw))
            refuse(v, text_format("%s.ports[%d].containerPort: Required value", where.c_str(), index));
        else if (number < 1 || number > 65535 || raw->valuedouble != std::floor(raw->valuedouble))
            refuse(v, text_format("%s.ports[%d].containerPort: Invalid value: must be between 1 and 65535, inclusive", where.c_str(),
                                  index));
        index++;
    }
    const cJSON *env = field(container, "env");
    if (is_set(env) && !cJSON_IsArray(env))
        refuse(v, where + ".env: Invalid value: must be a list");
    const cJSON *variable;
    index = 0;
    cJSON_ArrayForEach(variable, env)
    {
        if (text_of(variable, "name").empty() || text_of(variable, "name").find('=') != std::string::npos)
            refuse(v, text_format("%s.env[%d].name: Required value", where.c_str(), index));
        if (is_set(field(variable, "value")) && !cJSON_IsString(field(variable, "value")))
            refuse(v, text_format("%s.env[%d].value: Invalid value: must be a string", where.c_str(), index));
        index++;
    }
    const cJSON *mounts = field(container, "volumeMounts");
    if (is_set(mounts) && !cJSON_IsArray(mounts))
        refuse(v, where + ".volumeMounts: Invalid value: must be a list");
    const cJSON *mount;
    index = 0;
    cJSON_ArrayForEach(mount, mounts)
    {
        if (text_of(mount, "name").empty())
            refuse(v, text_format("%s.volumeMounts[%d].name: Required value", where.c_str(), index));
        if (text_of(mount, "mountPath").empty())
            refuse(v, text_format("%s.volumeMounts[%d].mountPath: Required value", where.c_str(), index));
        if (text_of(mount, "subPath").find("..") != std::string::npos)
            refuse(v, text_format("%s.volumeMounts[%d].subPath: Invalid value: must not contain '..'", where.c_str(), index));
        index++;
    }
}

static void judge_text_map(verdicts &v, const cJSON *metadata, const char *key)
{
    const cJSON *map = field(metadata, key);
    if (is_set(map) && !cJSON_IsObject(map)) {
        refuse(v, text_format("metadata.%s: Invalid value: must be a map of strings", key));
        return;
    }
    const cJSON *entry;
    cJSON_ArrayForEach(entry, map) if (!cJSON_IsString(entry))
        refuse(v, text_format("metadata.%s: Invalid value: the value of \"%s\" must be a string", key,
                              text_escape(entry->string, 80).c_str()));
}

static void judge_spec(verdicts &v, const cJSON *spec)
{
    const cJSON *containers = field(spec, "containers");
    if (!cJSON_IsArray(containers) || cJSON_GetArraySize(containers) == 0) {
        refuse(v, "spec.containers: Required value");
        return;
    }
    if (cJSON_GetArraySize(containers) > 1)
        refuse(v, text_format("spec.containers: Too many: %d: kubectl-local runs one container a pod", cJSON_GetArraySize(containers)));
    std::vector<std::string> names;
    for (const char *key : {"initContainers", "containers"}) {
        const cJSON *container;
        int index = 0;
        cJSON_ArrayForEach(container, field(spec, key))
        {
            std::string where = text_format("spec.%s[%d]", key, index++);
            judge_container(v, container, where);
            std::string name = text_of(container, "name");
            if (!name.empty() && std::find(names.begin(), names.end(), name) != names.end())
                refuse(v, text_format("%s.name: Duplicate value: \"%s\"", where.c_str(), name.c_str()));
            names.push_back(name);
        }
    }
    if (cJSON_GetArraySize(field(spec, "initContainers")) > static_cast<int>(pod_init_containers_max))
        refuse(v, "spec.initContainers: Too many");
    std::string policy = text_of(spec, "restartPolicy");
    if (!policy.empty() && policy != "Always" && policy != "OnFailure" && policy != "Never")
        refuse(v, text_format("spec.restartPolicy: Unsupported value: \"%s\": supported values: \"Always\", \"OnFailure\", \"Never\"",
                              text_escape(policy, 80).c_str()));
    const cJSON *grace = field(spec, "terminationGracePeriodSeconds");
    if (is_set(grace) && (!cJSON_IsNumber(grace) || grace->valuedouble < 0))
        refuse(v, "spec.terminationGracePeriodSeconds: Invalid value: must be greater than or equal to 0");
}

static std::string invalid_text(const std::string &name, const verdicts &v)
{
    if (v.list.size() == 1)
        return text_format("The Pod \"%s\" is invalid: %s", name.c_str(), v.list[0].c_str());
    std::string text = text_format("The Pod \"%s\" is invalid: ", name.c_str());
    for (const std::string &one : v.list)
        text += "\n* " + one;
    return text;
}

// Where a user pinned the pod; the node's pods carry a matchFields term with the node's name.
static std::string pinned_node(const cJSON *spec)
{
    std::string name = text_of(spec, "nodeName");
    const cJSON *required = field(field(field(spec, "affinity"), "nodeAffinity"), "requiredDuringSchedulingIgnoredDuringExecution");
    const cJSON *term;
    cJSON_ArrayForEach(term, field(required, "nodeSelectorTerms"))
    {
        const cJSON *match;
        cJSON_ArrayForEach(match, field(term, "matchFields"))
        {
            const cJSON *first = cJSON_GetArrayItem(field(match, "values"), 0);
            if (name.empty() && text_of(match, "key") == "metadata.name" && cJSON_IsString(first))
                name = first->valuestring;
        }
    }
    return name;
}

static void put_text(cJSON *object, const char *key, const std::string &value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    json_add_text(object, key, value);
}

static void default_text(cJSON *object, const char *key, const char *value)
{
    if (!is_set(field(object, key)))
        put_text(object, key, value);
}

static void default_number(cJSON *object, const char *key, uint64_t value)
{
    if (!is_set(field(object, key))) {
        cJSON_DeleteItemFromObjectCaseSensitive(object, key);
        json_add_u64(object, key, value);
    }
}

static void complete_probe(cJSON *probe)
{
    if (!cJSON_IsObject(probe))
        return;
    default_number(probe, "failureThreshold", 3);
    default_number(probe, "periodSeconds", 10);
    default_number(probe, "successThreshold", 1);
    default_number(probe, "timeoutSeconds", 1);
    cJSON *get = cJSON_GetObjectItemCaseSensitive(probe, "httpGet");
    if (cJSON_IsObject(get)) {
        default_text(get, "path", "/");
        default_text(get, "scheme", "HTTP");
    }
}

static void complete_container(cJSON *container)
{
    std::string image = text_of(container, "image");
    size_t slash = image.find_last_of('/');
    std::string last = slash == std::string::npos ? image : image.substr(slash + 1);
    bool is_latest = last.find(':') == std::string::npos || last.ends_with(":latest");
    default_text(container, "imagePullPolicy", is_latest ? "Always" : "IfNotPresent");
    if (!is_set(field(container, "resources")))
        json_add_object(container, "resources");
    default_text(container, "terminationMessagePath", "/dev/termination-log");
    default_text(container, "terminationMessagePolicy", "File");
    cJSON *port;
    cJSON_ArrayForEach(port, cJSON_GetObjectItemCaseSensitive(container, "ports")) default_text(port, "protocol", "TCP");
    for (const char *key : {"readinessProbe", "livenessProbe", "startupProbe"})
        complete_probe(cJSON_GetObjectItemCaseSensitive(container, key));
}

static void complete(cJSON *pod, const pod_key &key, const std::string &node)
{
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(pod, "metadata");
    cJSON *spec = cJSON_GetObjectItemCaseSensitive(pod, "spec");
    std::string now = os_time_text(time(nullptr));
    put_text(metadata, "name", key.name);
    put_text(metadata, "namespace", key.ns);
    std::string hex = os_random_hex(32);
    put_text(metadata, "uid", hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-4" + hex.substr(13, 3) + "-a" + hex.substr(17,
        3) + "-" + hex.substr(20));
    put_text(metadata, "creationTimestamp", now);
    for (const char *stale : {"resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink"})
        cJSON_DeleteItemFromObjectCaseSensitive(metadata, stale);

    for (const char *list : {"initContainers", "containers"}) {
        cJSON *container;
        cJSON_ArrayForEach(container, cJSON_GetObjectItemCaseSensitive(spec, list)) complete_container(container);
    }
    default_text(spec, "restartPolicy", "Always");
    default_text(spec, "dnsPolicy", "ClusterFirst");
    default_text(spec, "schedulerName", "default-scheduler");
    default_number(spec, "terminationGracePeriodSeconds", 30);
    std::string pinned = pinned_node(spec);
    put_text(spec, "nodeName", pinned.empty() ? node : pinned);

    cJSON_DeleteItemFromObjectCaseSensitive(pod, "status");
    cJSON *status = json_add_object(pod, "status");
    json_add_text(status, "phase", "Pending");
    json_add_text(status, "qosClass", "BestEffort");
}

bool pod_admit(cJSON *pod, const std::string &ns, bool ns_given, const std::string &node, pod_key &out_key, std::string &out_text)
{
    std::string kind = text_of(pod, "kind");
    std::string version = text_of(pod, "apiVersion");
    if (!cJSON_IsObject(pod) || kind.empty()) {
        out_text = "error: error validating \"STDIN\": error validating data: kind not set; if you choose to ignore these errors, turn validation off with --validate=false";
        return false;
    }
    if (version.empty()) {
        out_text = "error: error validating \"STDIN\": error validating data: apiVersion not set; if you choose to ignore these errors, turn validation off with --validate=false";
        return false;
    }
    if (kind != "Pod" || version != "v1") {
        out_text = text_format("error: resource mapping not found: no matches for kind \"%s\" in version \"%s\" (kubectl-local knows only v1 Pods)",
                               text_escape(kind, 80).c_str(), text_escape(version, 80).c_str());
        return false;
    }
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(pod, "metadata");
    if (!cJSON_IsObject(metadata)) {
        cJSON_DeleteItemFromObjectCaseSensitive(pod, "metadata");
        metadata = json_add_object(pod, "metadata");
    }
    out_key.ns = ns;
    std::string wanted = text_of(metadata, "namespace");
    if (!wanted.empty() && wanted != ns) {
        if (ns_given) {
            out_text = text_format("error: the namespace from the provided object \"%s\" does not match the namespace \"%s\". You must pass '--namespace=%s' to perform this operation.",
                                   text_escape(wanted, 80).c_str(), ns.c_str(), text_escape(wanted, 80).c_str());
            return false;
        }
        out_key.ns = wanted;
    }
    out_key.name = text_of(metadata, "name");
    std::string prefix = text_of(metadata, "generateName");
    if (out_key.name.empty() && !prefix.empty())
        out_key.name = prefix.substr(0, 58) + os_random_text("bcdfghjklmnpqrstvwxz2456789", 5);
    if (out_key.name.empty()) {
        out_text = "error: error when creating \"STDIN\": resource name may not be empty";
        return false;
    }
    verdicts v;
    if (!pod_name_is_valid(out_key.name) || out_key.name.size() > 253)
        refuse(v,
               text_format("metadata.name: Invalid value: \"%s\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character", text_escape(out_key.name, 80).c_str()));
    if (!pod_label_is_valid(out_key.ns))
        refuse(v, text_format("metadata.namespace: Invalid value: \"%s\"", text_escape(out_key.ns, 80).c_str()));
    judge_text_map(v, metadata, "labels");
    judge_text_map(v, metadata, "annotations");
    if (!cJSON_IsObject(field(pod, "spec")))
        refuse(v, "spec.containers: Required value");
    else
        judge_spec(v, field(pod, "spec"));
    if (!v.list.empty()) {
        out_text = invalid_text(text_escape(out_key.name, 80), v);
        return false;
    }
    complete(pod, out_key, node);
    return true;
}

// Reading.

static std::vector<std::string> strings_of(const cJSON *list)
{
    std::vector<std::string> out;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, list) if (cJSON_IsString(entry)) out.emplace_back(entry->valuestring);
    return out;
}

static void say_unsupported(pod_spec &spec, std::string text)
{
    if (spec.unsupported.empty())
        spec.unsupported = "kubectl-local: " + std::move(text);
}

static bool resolve_port(const container_spec &container, const cJSON *port, uint16_t &out_port)
{
    if (cJSON_IsNumber(port) && port->valuedouble >= 1 && port->valuedouble <= 65535) {
        out_port = static_cast<uint16_t>(port->valuedouble);
        return true;
    }
    if (!cJSON_IsString(port))
        return false;
    for (size_t i = 0; i < container.ports.size(); i++)
        if (container.port_names[i] == port->valuestring) {
            out_port = container.ports[i];
            return true;
        }
    uint64_t number = 0;
    if (!text_parse_u64(port->valuestring, number) || number < 1 || number > 65535)
        return false;
    out_port = static_cast<uint16_t>(number);
    return true;
}

static void read_probe(const container_spec &container, const cJSON *probe, probe_spec &out)
{
    if (!cJSON_IsObject(probe))
        return;
    out.initial_delay_ms = number_of(probe, "initialDelaySeconds", 0) * 1000;
    out.period_ms = std::max<uint64_t>(1, number_of(probe, "periodSeconds", 10)) * 1000;
    out.timeout_ms = std::max<uint64_t>(1, number_of(probe, "timeoutSeconds", 1)) * 1000;
    out.success_threshold = static_cast<uint32_t>(std::max<uint64_t>(1, number_of(probe, "successThreshold", 1)));
    out.failure_threshold = static_cast<uint32_t>(std::max<uint64_t>(1, number_of(probe, "failureThreshold", 3)));
    const cJSON *tcp = field(probe, "tcpSocket");
    const cJSON *get = field(probe, "httpGet");
    const cJSON *action = tcp != nullptr ? tcp : get;
    if (action == nullptr) {
        out.kind = probe_kind::unsupported;
        out.why = field(probe, "exec") != nullptr   ? "kubectl-local cannot run exec probes"
                  : field(probe, "grpc") != nullptr ? "kubectl-local cannot run grpc probes"
                                                    : "the probe has no handler";
        return;
    }
    out.kind = tcp != nullptr ? probe_kind::tcp : probe_kind::http;
    out.host = text_of(action, "host");
    if (!resolve_port(container, field(action, "port"), out.port)) {
        out.kind = probe_kind::unsupported;
        out.why = "the probe's port is neither a number nor the name of a container port";
        return;
    }
    std::string scheme = text_lower(text_of(action, "scheme"));
    if (get != nullptr && !scheme.empty() && scheme != "http") {
        out.kind = probe_kind::unsupported;
        out.why = "kubectl-local probes plain HTTP only";
    }
    if (!text_of(action, "path").empty())
        out.path = text_of(action, "path");
    if (out.path.front() != '/')
        out.path.insert(0, "/");
    const cJSON *header;
    cJSON_ArrayForEach(header, field(action, "httpHeaders")) out.headers.emplace_back(text_of(header, "name"), text_of(header, "value"));
    auto is_broken = [](const std::string &text) { return text.find_first_of("\r\n", 0) != std::string::npos; };
    bool broken = is_broken(out.path) || out.path.find(' ') != std::string::npos;
    for (const auto &[name, value] : out.headers)
        broken = broken || name.empty() || is_broken(name) || is_broken(value);
    if (broken) {
        out.kind = probe_kind::unsupported;
        out.why = "the probe's path or headers contain characters that HTTP does not allow";
    }
}

static void read_container(const cJSON *item, container_spec &out, pod_spec &spec)
{
    out.name = text_of(item, "name");
    out.image = text_of(item, "image");
    out.has_command = cJSON_GetArraySize(field(item, "command")) > 0;
    out.has_args = cJSON_GetArraySize(field(item, "args")) > 0;
    out.command = strings_of(field(item, "command"));
    out.args = strings_of(field(item, "args"));
    out.working_dir = text_of(item, "workingDir");
    out.env = field(item, "env");
    const cJSON *port;
    cJSON_ArrayForEach(port, field(item, "ports"))
    {
        std::string protocol = text_of(port, "protocol");
        if (!protocol.empty() && protocol != "TCP")
            continue;
        out.ports.push_back(static_cast<uint16_t>(number_of(port, "containerPort", 0)));
        out.port_names.push_back(text_of(port, "name"));
    }
    const cJSON *mount;
    cJSON_ArrayForEach(mount, field(item, "volumeMounts"))
    {
        pod_mount one;
        one.volume = text_of(mount, "name");
        one.path = text_of(mount, "mountPath");
        one.sub_path = text_of(mount, "subPath");
        one.read_only = cJSON_IsTrue(field(mount, "readOnly"));
        if (one.path.front() != '/' || one.path.find("..") != std::string::npos)
            say_unsupported(spec, text_format("volumeMount \"%s\": mountPath must be absolute, without \"..\"", one.volume.c_str()));
        bool known = std::any_of(spec.volumes.begin(), spec.volumes.end(),
                                 [&](const pod_volume &volume) { return volume.name == one.volume; });
        if (!known)
            say_unsupported(spec, text_format("container \"%s\": volume \"%s\" is not declared", out.name.c_str(), one.volume.c_str()));
        out.mounts.push_back(std::move(one));
    }
    if (cJSON_GetArraySize(field(item, "envFrom")) > 0)
        say_unsupported(spec, text_format("container \"%s\": envFrom needs a cluster", out.name.c_str()));
    static constexpr std::string_view known_fields[] = {"metadata.name", "metadata.namespace", "metadata.uid", "status.podIP",
        "status.hostIP", "spec.nodeName"};
    const cJSON *variable;
    cJSON_ArrayForEach(variable, out.env)
    {
        const cJSON *from = field(variable, "valueFrom");
        if (!is_set(from))
            continue;
        std::string path = text_of(field(from, "fieldRef"), "fieldPath");
        if (std::find(std::begin(known_fields), std::end(known_fields), path) == std::end(known_fields))
            say_unsupported(spec,
                            text_format("container \"%s\": env \"%s\": only fieldRef of metadata.name, metadata.namespace, metadata.uid, status.podIP, status.hostIP and spec.nodeName is supported",
                                              out.name.c_str(), text_of(variable, "name").c_str()));
    }
    read_probe(out, field(item, "readinessProbe"), out.readiness);
    read_probe(out, field(item, "livenessProbe"), out.liveness);
    read_probe(out, field(item, "startupProbe"), out.startup);
}

static void read_volumes(const cJSON *list, pod_spec &out)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        pod_volume volume;
        volume.name = text_of(item, "name");
        const cJSON *empty = field(item, "emptyDir");
        const cJSON *host = field(item, "hostPath");
        bool kind_given = false;
        const cJSON *key;
        cJSON_ArrayForEach(key, item) kind_given = kind_given || std::string_view(key->string) != "name";
        if (!pod_label_is_valid(volume.name))
            say_unsupported(out, text_format("volume \"%s\" has no valid name", text_escape(volume.name, 80).c_str()));
        else if (cJSON_IsObject(host)) {
            volume.is_host = true;
            volume.host_path = text_of(host, "path");
            volume.host_type = text_of(host, "type");
        } else if (empty == nullptr && kind_given)
            say_unsupported(out, text_format("volume \"%s\": only emptyDir and hostPath are supported", volume.name.c_str()));
        out.volumes.push_back(std::move(volume));
    }
}

void pod_read_spec(const cJSON *pod, pod_spec &out_spec)
{
    const cJSON *spec = field(pod, "spec");
    out_spec = pod_spec();
    read_volumes(field(spec, "volumes"), out_spec);
    const cJSON *container;
    cJSON_ArrayForEach(container, field(spec, "initContainers"))
    {
        container_spec one;
        read_container(container, one, out_spec);
        if (text_of(container, "restartPolicy") == "Always")
            say_unsupported(out_spec, text_format("init container \"%s\": sidecars (restartPolicy Always) are not supported",
                                                  one.name.c_str()));
        out_spec.init_containers.push_back(std::move(one));
    }
    read_container(cJSON_GetArrayItem(field(spec, "containers"), 0), out_spec.container, out_spec);
    std::string policy = text_of(spec, "restartPolicy");
    out_spec.restart = policy == "Never" ? restart_policy::never : policy == "OnFailure" ? restart_policy::on_failure
        : restart_policy::always;
    out_spec.host_network = cJSON_IsTrue(field(spec, "hostNetwork"));
    out_spec.grace_s = number_of(spec, "terminationGracePeriodSeconds", 30);
}

std::string pod_expand(std::string_view text, const std::vector<std::pair<std::string, std::string>> &env)
{
    std::string out;
    for (size_t i = 0; i < text.size();) {
        if (text.substr(i, 2) == "$$") {
            out += '$';
            i += 2;
            continue;
        }
        size_t end = text.substr(i, 2) == "$(" ? text.find(')', i) : std::string_view::npos;
        if (end == std::string_view::npos) {
            out += text[i++];
            continue;
        }
        std::string_view name = text.substr(i + 2, end - i - 2);
        auto found = std::find_if(env.rbegin(), env.rend(), [&](const auto &entry) { return entry.first == name; });
        out += found != env.rend() ? std::string_view(found->second) : text.substr(i, end - i + 1);
        i = end + 1;
    }
    return out;
}
