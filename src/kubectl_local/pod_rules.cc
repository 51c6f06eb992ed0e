// SPDX-License-Identifier: MIT
// kubectl_local/pod_rules.cc: the table of rules for single fields of a Pod, and the walk that applies them.
//
// Owns     nothing: one constant table.
// Knows    kube/pod_schema (what lies below a type), pod_names, quantity.     Known by  pod.
// Rules that concern several fields are functions in pod_relations.cc, pod_relations_container.cc and pod_relations_metadata.cc. Facts: pkg/apis/core/validation of Kubernetes 1.33, as far as an ETL
// pod may meet them; test/e2e/test_admission.py holds them against the verdicts of an API server.
#include "kubectl_local/pod_rules.h"

#include <algorithm>

#include "base/text.h"
#include "kube/pod_schema.h"
#include "kubectl_local/pod_names.h"
#include "kubectl_local/quantity.h"

namespace etlnode::kubectl_local {

enum class rule_kind : uint8_t {
    required,    // not absent, empty text or empty list
    form,        // of a text that is not empty
    form_always, // of a text, also of an absent one
    one_of,      // words, where there is a text
    one_of_always,
    one_of_set,   // also where the text is empty: Kubernetes has a pointer there
    range,        // low to high, both included; absent is 0 where the rule says so
    not_negative, // 0 and more
    relative,     // a path that does not begin with a slash and has no ".."
    no_dotdot,    // a path without ".."
    key_path,     // a relative path that does not begin with ".." either
    amount,       // a quantity that is not negative, Forbidden otherwise
};

struct rule {
    std::string_view type;
    std::string_view field;
    rule_kind kind;
    std::string_view words = {}; // one_of: the values; required: the detail; range: "0" where an absent value counts as 0
    name_form form = name_form::label;
    int64_t low = 0;
    int64_t high = 0;
};

static constexpr int64_t int32_high = 2147483647;
static constexpr std::string_view absent_is_zero = "0";

using K = rule_kind;
using F = name_form;

static constexpr rule rules[] = {
    {"ObjectMeta", "name", K::form, {}, F::subdomain},
    {"ObjectMeta", "namespace", K::form, {}, F::label},
    {"PodSpec", "containers", K::required},
    {"PodSpec", "restartPolicy", K::one_of, "Always OnFailure Never"},
    {"PodSpec", "dnsPolicy", K::one_of, "ClusterFirstWithHostNet ClusterFirst Default None"},
    {"PodSpec", "preemptionPolicy", K::one_of, "PreemptLowerPriority Never"},
    {"PodSpec", "serviceAccountName", K::form, {}, F::subdomain},
    {"PodSpec", "nodeName", K::form, {}, F::subdomain},
    {"PodSpec", "priorityClassName", K::form, {}, F::subdomain},
    {"PodSpec", "runtimeClassName", K::form, {}, F::subdomain},
    {"PodSpec", "hostname", K::form, {}, F::label},
    {"PodSpec", "subdomain", K::form, {}, F::label},
    {"PodSpec", "activeDeadlineSeconds", K::range, {}, F::label, 1, int32_high},
    {"PodOS", "name", K::required, "cannot be empty"},
    {"PodReadinessGate", "conditionType", K::form_always, {}, F::qualified},
    {"HostAlias", "ip", K::form, {}, F::ip},
    {"HostAlias", "hostnames", K::form, {}, F::subdomain},
    {"PodDNSConfig", "nameservers", K::form, {}, F::ip},
    {"PodDNSConfig", "searches", K::form, {}, F::search_domain},
    {"Container", "name", K::required},
    {"Container", "name", K::form, {}, F::label},
    {"Container", "image", K::required},
    {"Container", "imagePullPolicy", K::one_of, "Always IfNotPresent Never"},
    {"Container", "terminationMessagePolicy", K::one_of, "File FallbackToLogsOnError"},
    {"ContainerPort", "hostPort", K::range, {}, F::label, 1, 65535},
    {"ContainerPort", "protocol", K::one_of, "SCTP TCP UDP"},
    {"EnvVar", "name", K::required},
    {"EnvVar", "name", K::form, {}, F::variable},
    {"EnvFromSource", "prefix", K::form, {}, F::variable},
    {"ConfigMapEnvSource", "name", K::required},
    {"ConfigMapEnvSource", "name", K::form, {}, F::subdomain},
    {"SecretEnvSource", "name", K::required},
    {"SecretEnvSource", "name", K::form, {}, F::subdomain},
    {"ConfigMapKeySelector", "key", K::required},
    {"ConfigMapKeySelector", "key", K::form, {}, F::config_key},
    {"SecretKeySelector", "key", K::required},
    {"SecretKeySelector", "key", K::form, {}, F::config_key},
    {"VolumeDevice", "name", K::required},
    {"VolumeDevice", "devicePath", K::required},
    {"Probe", "initialDelaySeconds", K::not_negative},
    {"Probe", "timeoutSeconds", K::not_negative},
    {"Probe", "periodSeconds", K::not_negative},
    {"Probe", "successThreshold", K::not_negative},
    {"Probe", "failureThreshold", K::not_negative},
    {"ExecAction", "command", K::required},
    {"HTTPGetAction", "scheme", K::one_of, "HTTP HTTPS"},
    {"GRPCAction", "port", K::range, absent_is_zero, F::label, 1, 65535},
    {"SecurityContext", "runAsUser", K::range, {}, F::label, 0, int32_high},
    {"SecurityContext", "runAsGroup", K::range, {}, F::label, 0, int32_high},
    {"SecurityContext", "procMount", K::one_of_set, "Default Unmasked"},
    {"PodSecurityContext", "fsGroup", K::range, {}, F::label, 0, int32_high},
    {"PodSecurityContext", "runAsUser", K::range, {}, F::label, 0, int32_high},
    {"PodSecurityContext", "runAsGroup", K::range, {}, F::label, 0, int32_high},
    {"PodSecurityContext", "supplementalGroups", K::range, {}, F::label, 0, int32_high},
    {"PodSecurityContext", "fsGroupChangePolicy", K::one_of_set, "Always OnRootMismatch"},
    {"PodSecurityContext", "supplementalGroupsPolicy", K::one_of_set, "Merge Strict"},
    {"PodSecurityContext", "seLinuxChangePolicy", K::one_of_set, "Recursive"},
    {"WindowsSecurityContextOptions", "gmsaCredentialSpecName", K::form, {}, F::subdomain},
    {"SeccompProfile", "type", K::required, "type is required when seccompProfile is set"},
    {"SeccompProfile", "type", K::one_of, "Localhost RuntimeDefault Unconfined"},
    {"AppArmorProfile", "type", K::required, "type is required when appArmorProfile is set"},
    {"AppArmorProfile", "type", K::one_of, "Localhost RuntimeDefault Unconfined"},
    {"TopologySpreadConstraint", "maxSkew", K::range, absent_is_zero, F::label, 1, int32_high},
    {"TopologySpreadConstraint", "topologyKey", K::required, "can not be empty"},
    {"TopologySpreadConstraint", "whenUnsatisfiable", K::one_of_always, "DoNotSchedule ScheduleAnyway"},
    {"TopologySpreadConstraint", "nodeAffinityPolicy", K::one_of_set, "Honor Ignore"},
    {"TopologySpreadConstraint", "nodeTaintsPolicy", K::one_of_set, "Honor Ignore"},
    {"NodeSelector", "nodeSelectorTerms", K::required, "must have at least one node selector term"},
    {"PodAffinityTerm", "topologyKey", K::required, "can not be empty"},
    {"PodAffinityTerm", "topologyKey", K::form_always, {}, F::qualified},
    {"PreferredSchedulingTerm", "weight", K::range, absent_is_zero, F::label, 1, 100},
    {"WeightedPodAffinityTerm", "weight", K::range, absent_is_zero, F::label, 1, 100},
    // Volumes.
    {"EmptyDirVolumeSource", "sizeLimit", K::amount, "SizeLimit field must be a valid resource quantity"},
    {"HostPathVolumeSource", "path", K::required},
    {"HostPathVolumeSource", "path", K::no_dotdot},
    {"HostPathVolumeSource", "type", K::one_of, "BlockDevice CharDevice Directory DirectoryOrCreate File FileOrCreate Socket"},
    {"GitRepoVolumeSource", "repository", K::required},
    {"GitRepoVolumeSource", "directory", K::relative},
    {"SecretVolumeSource", "secretName", K::required},
    {"SecretVolumeSource", "defaultMode", K::range, {}, F::label, 0, 0777},
    {"ConfigMapVolumeSource", "name", K::required},
    {"ConfigMapVolumeSource", "defaultMode", K::range, {}, F::label, 0, 0777},
    {"DownwardAPIVolumeSource", "defaultMode", K::range, {}, F::label, 0, 0777},
    {"ProjectedVolumeSource", "defaultMode", K::range, {}, F::label, 0, 0777},
    {"SecretProjection", "name", K::required},
    {"ConfigMapProjection", "name", K::required},
    {"DownwardAPIVolumeFile", "path", K::required},
    {"DownwardAPIVolumeFile", "path", K::key_path},
    {"DownwardAPIVolumeFile", "mode", K::range, {}, F::label, 0, 0777},
    {"KeyToPath", "key", K::required},
    {"KeyToPath", "path", K::required},
    {"KeyToPath", "path", K::key_path},
    {"KeyToPath", "mode", K::range, {}, F::label, 0, 0777},
    {"PersistentVolumeClaimVolumeSource", "claimName", K::required},
    {"NFSVolumeSource", "server", K::required},
    {"NFSVolumeSource", "path", K::required},
    {"GCEPersistentDiskVolumeSource", "pdName", K::required},
    {"AWSElasticBlockStoreVolumeSource", "volumeID", K::required},
    {"ISCSIVolumeSource", "targetPortal", K::required},
    {"ISCSIVolumeSource", "iqn", K::required},
    {"GlusterfsVolumeSource", "endpoints", K::required},
    {"GlusterfsVolumeSource", "path", K::required},
    {"RBDVolumeSource", "monitors", K::required},
    {"RBDVolumeSource", "image", K::required},
    {"FlexVolumeSource", "driver", K::required},
    {"CinderVolumeSource", "volumeID", K::required},
    {"CephFSVolumeSource", "monitors", K::required},
    {"AzureFileVolumeSource", "secretName", K::required},
    {"AzureFileVolumeSource", "shareName", K::required},
    {"AzureDiskVolumeSource", "diskName", K::required},
    {"AzureDiskVolumeSource", "diskURI", K::required},
    {"VsphereVirtualDiskVolumeSource", "volumePath", K::required},
    {"QuobyteVolumeSource", "volume", K::required},
    {"PhotonPersistentDiskVolumeSource", "pdID", K::required},
    {"PortworxVolumeSource", "volumeID", K::required},
    {"ScaleIOVolumeSource", "gateway", K::required},
    {"ScaleIOVolumeSource", "system", K::required},
    {"ScaleIOVolumeSource", "volumeName", K::required},
    {"StorageOSVolumeSource", "volumeName", K::required},
    {"CSIVolumeSource", "driver", K::required},
    {"EphemeralVolumeSource", "volumeClaimTemplate", K::required},
};

// Refusals.

static void refuse(pod_judge &judge, const std::string &path, std::string_view kind, std::string_view value, std::string_view detail)
{
    std::string text = path + ": " + std::string(kind);
    if (!value.empty())
        text += ": " + std::string(value);
    if (!detail.empty())
        text += ": " + std::string(detail);
    judge.refusals.push_back(std::move(text));
}

static std::string quoted(std::string_view value) { return "\"" + text_escape(value, 200) + "\""; }

static std::string value_text(const cJSON *value)
{
    if (cJSON_IsString(value))
        return quoted(value->valuestring);
    return value == nullptr ? "0" : text_escape(json_print(value), 200);
}

void judge_required(pod_judge &judge, const std::string &path, std::string_view detail)
{
    refuse(judge, path, "Required value", "", detail);
}

void judge_invalid(pod_judge &judge, const std::string &path, const cJSON *value, std::string_view detail)
{
    refuse(judge, path, "Invalid value", value_text(value), detail);
}

void judge_invalid_text(pod_judge &judge, const std::string &path, std::string_view value, std::string_view detail)
{
    refuse(judge, path, "Invalid value", quoted(value), detail);
}

void judge_forbidden(pod_judge &judge, const std::string &path, std::string_view detail) { refuse(judge, path, "Forbidden", "", detail); }

void judge_duplicate(pod_judge &judge, const std::string &path, std::string_view value)
{
    refuse(judge, path, "Duplicate value", quoted(value), "");
}

void judge_not_found(pod_judge &judge, const std::string &path, std::string_view value)
{
    refuse(judge, path, "Not found", quoted(value), "");
}

// Whether one of the words, separated by spaces, is `word`.
static bool has_word(std::string_view words, std::string_view word)
{
    while (!words.empty()) {
        size_t end = std::min(words.find(' '), words.size());
        if (words.substr(0, end) == word)
            return true;
        words.remove_prefix(std::min(end + 1, words.size()));
    }
    return false;
}

void judge_unsupported(pod_judge &judge, const std::string &path, std::string_view value, std::string_view words)
{
    std::string detail = "supported values: ";
    while (!words.empty()) {
        size_t end = std::min(words.find(' '), words.size());
        detail += quoted(words.substr(0, end)) + (end < words.size() ? ", " : "");
        words.remove_prefix(std::min(end + 1, words.size()));
    }
    refuse(judge, path, "Unsupported value", quoted(value), detail);
}

// Rules.

static bool is_set(const cJSON *value) { return value != nullptr && !cJSON_IsNull(value); }

static bool is_empty(const cJSON *value)
{
    if (!is_set(value))
        return true;
    return cJSON_IsString(value) ? value->valuestring[0] == 0 : cJSON_IsArray(value) && cJSON_GetArraySize(value) == 0;
}

static bool has_dotdot(std::string_view path)
{
    for (;;) {
        size_t end = path.find('/');
        if (path.substr(0, end) == "..")
            return true;
        if (end == std::string_view::npos)
            return false;
        path.remove_prefix(end + 1);
    }
}

static void judge_path(pod_judge &judge, const rule &r, const std::string &path, const cJSON *value)
{
    std::string_view text = value->valuestring;
    if (r.kind != rule_kind::no_dotdot && text.starts_with('/'))
        judge_invalid(judge, path, value, "must be a relative path");
    if (has_dotdot(text))
        judge_invalid(judge, path, value, "must not contain '..'");
    else if (r.kind == rule_kind::key_path && text.starts_with(".."))
        judge_invalid(judge, path, value, "must not start with '..'");
}

static void judge_range(pod_judge &judge, const rule &r, const std::string &path, const cJSON *value)
{
    double number = is_set(value) ? value->valuedouble : 0;
    bool is_port = r.field == "hostPort"; // 0 is the same as none
    if ((!is_set(value) && r.words != absent_is_zero) || (is_port && number == 0))
        return;
    if (number >= static_cast<double>(r.low) && number <= static_cast<double>(r.high))
        return;
    std::string detail = text_format(
        "must be between %lld and %lld, inclusive", static_cast<long long>(r.low), static_cast<long long>(r.high));
    if (r.high == 0777)
        detail = "must be a number between 0 and 0777 (octal), both inclusive";
    else if (r.field == "weight")
        detail = "must be in the range 1-100";
    else if (r.field == "maxSkew")
        detail = "must be greater than zero";
    judge_invalid(judge, path, value, detail);
}

static void judge_value(pod_judge &judge, const rule &r, const std::string &path, const cJSON *value, bool is_element)
{
    std::string_view text = cJSON_IsString(value) ? std::string_view(value->valuestring) : std::string_view();
    switch (r.kind) {
    case rule_kind::required:
        if (is_empty(value))
            judge_required(judge, path, r.words);
        break;
    case rule_kind::form:
    case rule_kind::form_always:
        if (!text.empty() || is_element || r.kind == rule_kind::form_always)
            for (const std::string &fault : pod_name_faults(r.form, text))
                judge_invalid_text(judge, path, text, fault);
        break;
    case rule_kind::one_of:
    case rule_kind::one_of_always:
    case rule_kind::one_of_set:
        if (r.kind == rule_kind::one_of_set && !is_set(value))
            break;
        if ((!text.empty() || r.kind != rule_kind::one_of) && !has_word(r.words, text))
            judge_unsupported(judge, path, text, r.words);
        break;
    case rule_kind::range: judge_range(judge, r, path, value); break;
    case rule_kind::not_negative:
        if (cJSON_IsNumber(value) && value->valuedouble < 0)
            judge_invalid(judge, path, value, "must be greater than or equal to 0");
        break;
    case rule_kind::relative:
    case rule_kind::no_dotdot:
    case rule_kind::key_path:
        if (cJSON_IsString(value) && value->valuestring[0] != 0)
            judge_path(judge, r, path, value);
        break;
    case rule_kind::amount: {
        quantity amount;
        std::string fault;
        if (cJSON_IsString(value) ? quantity_parse(value->valuestring, amount, fault) && amount.value < 0
                                  : cJSON_IsNumber(value) && value->valuedouble < 0)
            judge_forbidden(judge, path, r.words);
        break;
    }
    }
}

static void judge_field(pod_judge &judge, const rule &r, const std::string &path, const cJSON *value)
{
    bool is_each = cJSON_IsArray(value) && r.kind != rule_kind::required;
    if (!is_each) {
        judge_value(judge, r, path, value, false);
        return;
    }
    const cJSON *entry;
    size_t index = 0;
    cJSON_ArrayForEach(entry, value) judge_value(judge, r, text_format("%s[%zu]", path.c_str(), index++), entry, true);
}

// The walk.

static void judge_type(pod_judge &judge, std::string_view type, const cJSON *value, const std::string &path)
{
    std::string_view element = pod_schema_element(type);
    if (!element.empty()) {
        const cJSON *entry;
        size_t index = 0;
        bool is_list = cJSON_IsArray(value);
        if (is_list && element == "DownwardAPIVolumeFile") // Kubernetes names the volume, not the item
            cJSON_ArrayForEach(entry, value) judge_type(judge, element, entry, path.substr(0, path.rfind('.')));
        else if (is_list && element[0] >= 'A' && element[0] <= 'Z')
            cJSON_ArrayForEach(entry, value) judge_type(judge, element, entry, text_format("%s[%zu]", path.c_str(), index++));
        return;
    }
    std::string prefix = path + (path.empty() ? "" : ".");
    size_t before = judge.refusals.size();
    pod_skip skip;
    for (std::span<const pod_relation> relations : {pod_relations_of_metadata(), pod_relations_of_spec(), pod_relations_of_containers()}) {
        for (const pod_relation &relation : relations) {
            if (relation.type == type)
                relation.judge(judge, value, path, skip);
        }
    }
    auto is_skipped = [&](std::string_view name) { return std::find(skip.begin(), skip.end(), name) != skip.end(); };
    for (const rule &r : rules) {
        if (r.type == type && !is_skipped(r.field))
            judge_field(judge, r, prefix + std::string(r.field), cJSON_GetObjectItemCaseSensitive(value, std::string(r.field).c_str()));
    }
    for (const pod_field &field : pod_schema_fields(type)) {
        const cJSON *below = cJSON_GetObjectItemCaseSensitive(value, std::string(field.name).c_str());
        std::string_view inner = pod_schema_element(field.type).empty() ? field.type : pod_schema_element(field.type);
        bool is_struct = inner[0] >= 'A' && inner[0] <= 'Z' && !field.type.starts_with("map ");
        if (is_set(below) && is_struct && !is_skipped(field.name))
            judge_type(judge, field.type, below, prefix + std::string(field.name));
    }
    if (type == "Volume" && judge.refusals.size() == before)
        judge.volumes.emplace_back(json_text(value, "name"));
}

void pod_judge_all(pod_judge &judge)
{
    judge.refusals.clear();
    judge.volumes.clear();
    judge.host_ports.clear();
    judge_type(judge, "Pod", judge.pod, "");
}

} // namespace etlnode::kubectl_local
