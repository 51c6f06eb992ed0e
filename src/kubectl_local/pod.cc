// SPDX-License-Identifier: MIT
// kubectl_local/pod.cc: a Pod object: validated like the API server does, completed with defaults, and read into structs for the
// supervisor.
#include "kubectl_local/pod.h"

#include <algorithm>
#include <ctime>

#include "base/limits.h"
#include "base/text.h"
#include "kubectl_local/admission_plugins.h"
#include "kubectl_local/allow.h"
#include "kubectl_local/os.h"
#include "kubectl_local/pod_decode.h"
#include "kubectl_local/pod_rules.h"
#include "kubectl_local/pod_unsupported.h"
#include "kubectl_local/probe.h"

namespace etlnode::kubectl_local {

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

// Admission.

static std::string joined(const std::string &head, const std::vector<std::string> &list)
{
    if (list.size() == 1)
        return head + list[0];
    std::string text = head;
    for (const std::string &one : list)
        text += "\n* " + one;
    return text;
}

// Reports in a cluster's order: types, unknown fields, accounts and priorities, rules. Then come the features that this machine cannot run.
static bool check_pod(const cJSON *pod, const pod_key &key, const std::string &name, std::string &out_text)
{
    const std::string forbidden = text_format(
        "Error from server (Forbidden): error when creating \"STDIN\": pods \"%s\" is forbidden: ", name.c_str());
    const std::string refused =
        "Error from server (BadRequest): error when creating \"STDIN\": Pod in version \"v1\" cannot be handled as a Pod: ";
    pod_decoding decoding;
    pod_decode(pod, decoding);
    if (!decoding.fault.empty()) {
        // kubectl decodes the metadata itself.
        bool is_client = decoding.in_metadata;
        out_text = (is_client ? "error: unable to decode \"STDIN\": " : refused) + decoding.fault;
        return false;
    }
    if (!decoding.unknown.empty()) {
        out_text = refused + "strict decoding error: ";
        for (const std::string &unknown : decoding.unknown) {
            std::string hint = pod_decode_hint(unknown);
            out_text += text_format(
                "%sunknown field \"%s\"", &unknown == &decoding.unknown[0] ? "" : ", ", text_escape(unknown, 400).c_str());
            if (!hint.empty())
                out_text += " (did you mean " + hint + "?)";
        }
        return false;
    }
    std::string refusal = admission_plugins_refusal(pod, key.ns);
    if (!refusal.empty()) {
        out_text = forbidden + refusal;
        return false;
    }
    pod_check check;
    check.pod = pod;
    pod_check_all(check);
    if (!check.refusals.empty()) {
        out_text = joined(text_format("The Pod \"%s\" is invalid: ", name.c_str()), check.refusals);
        return false;
    }
    refusal = admission_overhead_refusal(pod);
    if (!refusal.empty()) {
        out_text = forbidden + refusal;
        return false;
    }
    std::vector<std::string> never = pod_unsupported(pod);
    if (never.empty())
        return true;
    out_text = joined(text_format("The Pod \"%s\" cannot run here, on a real cluster it can: ", name.c_str()), never);
    return false;
}

// The node to which a user pinned the pod. The pods of a target carry a matchFields term with the node's name.
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
    put_text(metadata, "uid",
        hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-4" + hex.substr(13, 3) + "-a" + hex.substr(17, 3) + "-" + hex.substr(20));
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
    if (const cJSON *grace = field(spec, "terminationGracePeriodSeconds");
        cJSON_IsNumber(grace) && grace->valuedouble < 0) { // as a cluster does
        cJSON_DeleteItemFromObjectCaseSensitive(spec, "terminationGracePeriodSeconds");
        json_add_u64(spec, "terminationGracePeriodSeconds", 1);
    }
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
        out_text = "error: error validating \"STDIN\": error validating data: kind not set; if you choose to ignore these errors, turn "
                   "validation off with --validate=false";
        return false;
    }
    if (version.empty()) {
        out_text = "error: error validating \"STDIN\": error validating data: apiVersion not set; if you choose to ignore these errors, "
                   "turn validation off with --validate=false";
        return false;
    }
    if (kind != "Pod" || version != "v1") {
        out_text = text_format(
            "error: resource mapping not found: no matches for kind \"%s\" in version \"%s\" (kubectl-local knows only v1 Pods)",
            text_escape(kind, 80).c_str(), text_escape(version, 80).c_str());
        return false;
    }
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(pod, "metadata");
    if (!is_set(metadata)) {
        cJSON_DeleteItemFromObjectCaseSensitive(pod, "metadata");
        metadata = json_add_object(pod, "metadata");
    }
    out_key.ns = ns;
    std::string wanted = text_of(metadata, "namespace");
    if (!wanted.empty() && wanted != ns) {
        if (ns_given) {
            out_text = text_format("error: the namespace from the provided object \"%s\" does not match the namespace \"%s\". You must "
                                   "pass '--namespace=%s' to perform this operation.",
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
    if (!check_pod(pod, out_key, text_escape(out_key.name, 80), out_text))
        return false;
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

static void say_unsupported(pod_spec &spec, const std::string &text)
{
    if (spec.unsupported.empty())
        spec.unsupported = text;
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
    if (!text_of(action, "host").empty()) { // only in a record from before the refusal in baseline.cc
        out.kind = probe_kind::unsupported;
        out.why = "a probe may not name a host: it goes to the pod";
        return;
    }
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
    out.path = probe_path(text_of(action, "path"));
    const cJSON *header;
    cJSON_ArrayForEach(header, field(action, "httpHeaders")) out.headers.emplace_back(text_of(header, "name"), text_of(header, "value"));
    auto is_broken = [](const std::string &text) {
        return std::any_of(text.begin(), text.end(), [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; });
    };
    bool broken = false;
    for (const auto &[name, value] : out.headers)
        broken = broken || name.empty() || name.find_first_of(": \t") != std::string::npos || is_broken(name) || is_broken(value);
    if (broken) {
        out.kind = probe_kind::unsupported;
        out.why = "the probe's headers contain characters that HTTP does not allow";
    }
}

static void read_container(const cJSON *item, container_spec &out)
{
    out.name = text_of(item, "name");
    out.image = text_of(item, "image");
    out.has_command = cJSON_GetArraySize(field(item, "command")) > 0;
    out.has_args = cJSON_GetArraySize(field(item, "args")) > 0;
    out.command = strings_of(field(item, "command"));
    out.args = strings_of(field(item, "args"));
    out.working_dir = text_of(item, "workingDir");
    out.quotes_log = text_of(item, "terminationMessagePolicy") == "FallbackToLogsOnError";
    if (std::string path = text_of(item, "terminationMessagePath"); !path.empty())
        allow_normalize("/" + path, out.message_path);
    out.env = field(item, "env");
    out.resources = field(item, "resources");
    out.object = item;
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
        one.sub_path_expr = text_of(mount, "subPathExpr");
        one.read_only = cJSON_IsTrue(field(mount, "readOnly"));
        if (!one.path.starts_with('/')) // as the kubelet does
            one.path.insert(0, "/");
        out.mounts.push_back(std::move(one));
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
        volume.in_memory = text_of(empty, "medium") == "Memory";
        volume.size_limit = text_of(empty, "sizeLimit");
        std::string medium = text_of(empty, "medium");
        if (!medium.empty() && !volume.in_memory) // an API server accepts any text, a kubelet does not
            say_unsupported(out, text_format("MountVolume.SetUp failed for volume \"%s\" : unknown storage medium \"%s\"",
                                     volume.name.c_str(), text_escape(medium, 80).c_str()));
        // Any other volume is a Secret or ConfigMap that may be absent, and is. The kubelet then creates an empty directory.
        if (const cJSON *host = field(item, "hostPath"); cJSON_IsObject(host)) {
            volume.is_host = true;
            volume.host_path = text_of(host, "path");
            volume.host_type = text_of(host, "type");
        }
        out.volumes.push_back(std::move(volume));
    }
}

// The name by which the kubelet refers to a pod in messages.
static std::string long_name(const cJSON *pod)
{
    const cJSON *metadata = field(pod, "metadata");
    return text_of(metadata, "name") + "_" + text_of(metadata, "namespace") + "(" + text_of(metadata, "uid") + ")";
}

void pod_read_spec(const cJSON *pod, pod_spec &out_spec)
{
    const cJSON *spec = field(pod, "spec");
    out_spec = pod_spec();
    out_spec.object = spec;
    for (const char *list : {"initContainers", "containers"}) {
        const cJSON *one;
        cJSON_ArrayForEach(one, field(spec, list))
        {
            std::string refusal = pod_root_refusal(spec, one, long_name(pod));
            if (!refusal.empty())
                say_unsupported(out_spec, refusal);
        }
    }
    read_volumes(field(spec, "volumes"), out_spec);
    const cJSON *container;
    cJSON_ArrayForEach(container, field(spec, "initContainers"))
    {
        container_spec one;
        read_container(container, one);
        out_spec.init_containers.push_back(std::move(one));
    }
    read_container(cJSON_GetArrayItem(field(spec, "containers"), 0), out_spec.container);
    std::string policy = text_of(spec, "restartPolicy");
    out_spec.restart = policy == "Never"       ? restart_policy::never
                       : policy == "OnFailure" ? restart_policy::on_failure
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

} // namespace etlnode::kubectl_local
