// SPDX-License-Identifier: MIT
// kubectl_local/pod_rules.cc: the table of rules for single fields of a Pod, and the traversal that applies them.
//
// Owns     nothing: one constant table.
// Knows    kube/pod_schema (the fields of a type), pod_names, quantity.     Known by  pod.
// Rules for several fields are functions in pod_rules_spec.cc, pod_rules_container.cc and pod_rules_metadata.cc. Source:
// pkg/apis/core/validation of Kubernetes 1.33, as far as an ETL pod may meet it. test/e2e/test_admission.py compares the rules with the
// verdicts of an API server.
#include "kubectl_local/pod_rules.h"

#include <algorithm>

#include "base/text.h"
#include "kube/pod_schema.h"
#include "kubectl_local/pod_names.h"
#include "kubectl_local/quantity.h"

namespace etlnode::kubectl_local {

enum class rule_kind : uint8_t {
    required,    // must not be absent, an empty text or an empty list
    form,        // of a text, unless it is empty
    form_always, // of a text, even if it is absent
    one_of,      // one of the words, unless the text is empty
    one_of_always,
    one_of_set,   // also if the text is empty: Kubernetes has a pointer there
    range,        // low to high, inclusive; absent counts as 0 if the rule says so
    not_negative, // 0 or more
    relative,     // a path without a leading slash and without ".."
    no_dotdot,    // a path without ".."
    key_path,     // a relative path that does not begin with ".." either
    amount,       // a quantity that is not negative; reported as Forbidden
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

static void refuse(pod_check &check, const std::string &path, std::string_view kind, std::string_view value, std::string_view detail)
{
    std::string text = path + ": " + std::string(kind);
    if (!value.empty())
        text += ": " + std::string(value);
    if (!detail.empty())
        text += ": " + std::string(detail);
    check.refusals.push_back(std::move(text));
}

static std::string quoted(std::string_view value) { return "\"" + text_escape(value, 200) + "\""; }

static std::string value_text(const cJSON *value)
{
    if (cJSON_IsString(value))
        return quoted(value->valuestring);
    return value == nullptr ? "0" : text_escape(json_print(value), 200);
}

void refuse_required(pod_check &check, const std::string &path, std::string_view detail)
{
    refuse(check, path, "Required value", "", detail);
}

void refuse_invalid(pod_check &check, const std::string &path, const cJSON *value, std::string_view detail)
{
    refuse(check, path, "Invalid value", value_text(value), detail);
}

void refuse_invalid_text(pod_check &check, const std::string &path, std::string_view value, std::string_view detail)
{
    refuse(check, path, "Invalid value", quoted(value), detail);
}

void refuse_forbidden(pod_check &check, const std::string &path, std::string_view detail) { refuse(check, path, "Forbidden", "", detail); }

void refuse_duplicate(pod_check &check, const std::string &path, std::string_view value)
{
    refuse(check, path, "Duplicate value", quoted(value), "");
}

void refuse_not_found(pod_check &check, const std::string &path, std::string_view value)
{
    refuse(check, path, "Not found", quoted(value), "");
}

// Whether `word` is one of the words in a list separated by spaces.
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

void refuse_unsupported(pod_check &check, const std::string &path, std::string_view value, std::string_view words)
{
    std::string detail = "supported values: ";
    while (!words.empty()) {
        size_t end = std::min(words.find(' '), words.size());
        detail += quoted(words.substr(0, end)) + (end < words.size() ? ", " : "");
        words.remove_prefix(std::min(end + 1, words.size()));
    }
    refuse(check, path, "Unsupported value", quoted(value), detail);
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

static void check_path(pod_check &check, const rule &r, const std::string &path, const cJSON *value)
{
    std::string_view text = value->valuestring;
    if (r.kind != rule_kind::no_dotdot && text.starts_with('/'))
        refuse_invalid(check, path, value, "must be a relative path");
    if (has_dotdot(text))
        refuse_invalid(check, path, value, "must not contain '..'");
    else if (r.kind == rule_kind::key_path && text.starts_with(".."))
        refuse_invalid(check, path, value, "must not start with '..'");
}

static void check_range(pod_check &check, const rule &r, const std::string &path, const cJSON *value)
{
    double number = is_set(value) ? value->valuedouble : 0;
    bool is_port = r.field == "hostPort"; // 0 means none
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
    refuse_invalid(check, path, value, detail);
}

static void check_value(pod_check &check, const rule &r, const std::string &path, const cJSON *value, bool is_element)
{
    std::string_view text = cJSON_IsString(value) ? std::string_view(value->valuestring) : std::string_view();
    switch (r.kind) {
    case rule_kind::required:
        if (is_empty(value))
            refuse_required(check, path, r.words);
        break;
    case rule_kind::form:
    case rule_kind::form_always:
        if (!text.empty() || is_element || r.kind == rule_kind::form_always)
            for (const std::string &fault : pod_name_faults(r.form, text))
                refuse_invalid_text(check, path, text, fault);
        break;
    case rule_kind::one_of:
    case rule_kind::one_of_always:
    case rule_kind::one_of_set:
        if (r.kind == rule_kind::one_of_set && !is_set(value))
            break;
        if ((!text.empty() || r.kind != rule_kind::one_of) && !has_word(r.words, text))
            refuse_unsupported(check, path, text, r.words);
        break;
    case rule_kind::range: check_range(check, r, path, value); break;
    case rule_kind::not_negative:
        if (cJSON_IsNumber(value) && value->valuedouble < 0)
            refuse_invalid(check, path, value, "must be greater than or equal to 0");
        break;
    case rule_kind::relative:
    case rule_kind::no_dotdot:
    case rule_kind::key_path:
        if (cJSON_IsString(value) && value->valuestring[0] != 0)
            check_path(check, r, path, value);
        break;
    case rule_kind::amount: {
        quantity amount;
        std::string fault;
        if (cJSON_IsString(value) ? quantity_parse(value->valuestring, amount, fault) && amount.value < 0
                                  : cJSON_IsNumber(value) && value->valuedouble < 0)
            refuse_forbidden(check, path, r.words);
        break;
    }
    }
}

static void check_field(pod_check &check, const rule &r, const std::string &path, const cJSON *value)
{
    bool is_each = cJSON_IsArray(value) && r.kind != rule_kind::required;
    if (!is_each) {
        check_value(check, r, path, value, false);
        return;
    }
    const cJSON *entry;
    size_t index = 0;
    cJSON_ArrayForEach(entry, value) check_value(check, r, text_format("%s[%zu]", path.c_str(), index++), entry, true);
}

// The traversal.

static void check_type(pod_check &check, std::string_view type, const cJSON *value, const std::string &path)
{
    std::string_view element = pod_schema_element(type);
    if (!element.empty()) {
        const cJSON *entry;
        size_t index = 0;
        bool is_list = cJSON_IsArray(value);
        if (is_list && element == "DownwardAPIVolumeFile") // Kubernetes names the volume, not the item
            cJSON_ArrayForEach(entry, value) check_type(check, element, entry, path.substr(0, path.rfind('.')));
        else if (is_list && element[0] >= 'A' && element[0] <= 'Z')
            cJSON_ArrayForEach(entry, value) check_type(check, element, entry, text_format("%s[%zu]", path.c_str(), index++));
        return;
    }
    std::string prefix = path + (path.empty() ? "" : ".");
    size_t before = check.refusals.size();
    pod_skip skip;
    for (std::span<const pod_type_rule> relations : {pod_rules_of_metadata(), pod_rules_of_spec(), pod_rules_of_containers()}) {
        for (const pod_type_rule &relation : relations) {
            if (relation.type == type)
                relation.check(check, value, path, skip);
        }
    }
    auto is_skipped = [&](std::string_view name) { return std::find(skip.begin(), skip.end(), name) != skip.end(); };
    for (const rule &r : rules) {
        if (r.type == type && !is_skipped(r.field))
            check_field(check, r, prefix + std::string(r.field), cJSON_GetObjectItemCaseSensitive(value, std::string(r.field).c_str()));
    }
    for (const pod_field &field : pod_schema_fields(type)) {
        const cJSON *below = cJSON_GetObjectItemCaseSensitive(value, std::string(field.name).c_str());
        std::string_view inner = pod_schema_element(field.type).empty() ? field.type : pod_schema_element(field.type);
        bool is_struct = inner[0] >= 'A' && inner[0] <= 'Z' && !field.type.starts_with("map ");
        if (is_set(below) && is_struct && !is_skipped(field.name))
            check_type(check, field.type, below, prefix + std::string(field.name));
    }
    if (type == "Volume" && check.refusals.size() == before)
        check.volumes.emplace_back(json_text(value, "name"));
}

void pod_check_all(pod_check &check)
{
    check.refusals.clear();
    check.volumes.clear();
    check.host_ports.clear();
    check_type(check, "Pod", check.pod, "");
}

} // namespace etlnode::kubectl_local
