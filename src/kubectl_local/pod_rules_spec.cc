// SPDX-License-Identifier: MIT
// kubectl_local/pod_rules_spec.cc: the rules for several fields of a Pod's metadata, spec, volumes and security contexts.
#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "kube/pod_schema.h"
#include "kubectl_local/pod_rule_helpers.h"

namespace etlnode::kubectl_local {

static constexpr size_t annotations_size_max = 262'144;
static constexpr size_t nameservers_max = 3;
static constexpr int searches_max = 32;
static constexpr size_t searches_size_max = 2'048; // including a space between two entries
static constexpr size_t app_armor_name_max = 4'095;

// The whole Pod and its metadata.

static void rule_pod(pod_check &check, const cJSON *pod, const std::string &, pod_skip &skip)
{
    skip.push_back("status"); // a create ignores it
    if (!is_set(field(pod, "spec")))
        refuse_required(check, "spec.containers");
}

static void check_labels(pod_check &check, const cJSON *map, const std::string &path)
{
    const cJSON *entry;
    cJSON_ArrayForEach(entry, map)
    {
        check_form(check, name_form::qualified, path, entry->string);
        if (cJSON_IsString(entry))
            check_form(check, name_form::label_value, path, entry->valuestring);
    }
}

static void rule_metadata(pod_check &check, const cJSON *metadata, const std::string &path, pod_skip &)
{
    std::string_view prefix = text_of(metadata, "generateName");
    if (!prefix.empty()) {
        std::string whole = std::string(prefix.substr(0, prefix.ends_with('-') ? prefix.size() - 1 : prefix.size()));
        for (const std::string &fault : pod_name_faults(name_form::subdomain, whole))
            refuse_invalid_text(check, path + ".name", prefix, fault); // refers to the name generated from it
    }
    check_labels(check, field(metadata, "labels"), path + ".labels");
    const cJSON *entry;
    size_t size = 0;
    cJSON_ArrayForEach(entry, field(metadata, "annotations"))
    {
        for (const std::string &fault : pod_name_faults(name_form::qualified, text_lower(entry->string)))
            refuse_invalid_text(check, path + ".annotations", entry->string, fault);
        size += std::string_view(entry->string).size() + (cJSON_IsString(entry) ? std::string_view(entry->valuestring).size() : 0);
    }
    if (size > annotations_size_max)
        check.refusals.push_back(path + ".annotations: Too long: may not be more than 262144 bytes");
}

// The spec.

// A duplicate is reported at its first occurrence.
static void check_spreads(pod_check &check, const cJSON *list, const std::string &path)
{
    const cJSON *entry;
    size_t index = 0;
    cJSON_ArrayForEach(entry, list)
    {
        bool is_repeated = false;
        for (const cJSON *later = entry->next; later != nullptr; later = later->next)
            is_repeated = is_repeated || (text_of(later, "topologyKey") == text_of(entry, "topologyKey") &&
                                             text_of(later, "whenUnsatisfiable") == text_of(entry, "whenUnsatisfiable"));
        if (is_repeated)
            refuse_duplicate(check, text_format("%s[%zu].{topologyKey, whenUnsatisfiable}", path.c_str(), index),
                "{" + std::string(text_of(entry, "topologyKey")) + ", " + std::string(text_of(entry, "whenUnsatisfiable")) + "}");
        index++;
    }
}

static void check_searches(pod_check &check, const cJSON *list, const std::string &path)
{
    const cJSON *entry;
    size_t size = 0;
    cJSON_ArrayForEach(entry, list)
        size += (cJSON_IsString(entry) ? std::string_view(entry->valuestring).size() : 0) + (entry->next != nullptr ? 1 : 0);
    if (cJSON_GetArraySize(list) > searches_max)
        refuse_invalid(check, path, list, text_format("must not have more than %d search paths", searches_max));
    if (size > searches_size_max)
        refuse_invalid(check, path, list,
            text_format("must not have more than %zu characters (including spaces) in the search list", searches_size_max));
}

static void check_windows_options(pod_check &check, const cJSON *spec, const std::string &path)
{
    auto check_context = [&](const cJSON *owner, const std::string &at) {
        if (is_set(field(field(owner, "securityContext"), "windowsOptions")))
            refuse_forbidden(check, at + ".securityContext.windowsOptions", "windows options cannot be set for a linux pod");
    };
    check_context(spec, path);
    for (const char *list : {"initContainers", "containers"}) {
        const cJSON *container;
        size_t index = 0;
        cJSON_ArrayForEach(container, field(spec, list)) check_context(container, text_format("%s.%s[%zu]", path.c_str(), list, index++));
    }
}

static void rule_spec(pod_check &check, const cJSON *spec, const std::string &path, pod_skip &skip)
{
    check_labels(check, field(spec, "nodeSelector"), path + ".nodeSelector");
    skip.push_back("ephemeralContainers");
    if (!is_list_empty(field(spec, "ephemeralContainers")))
        refuse_forbidden(check, path + ".ephemeralContainers", "cannot be set on create");
    if (!text_of(spec, "nodeName").empty() && !is_list_empty(field(spec, "schedulingGates")))
        refuse_forbidden(check, path + ".nodeName", "cannot be set until all schedulingGates have been cleared");
    std::vector<std::string_view> gates;
    const cJSON *entry;
    size_t index = 0;
    cJSON_ArrayForEach(entry, field(spec, "schedulingGates"))
    {
        std::string at = text_format("%s.schedulingGates[%zu]", path.c_str(), index++);
        std::string_view name = text_of(entry, "name");
        check_form(check, name_form::qualified, at, name);
        if (std::find(gates.begin(), gates.end(), name) != gates.end())
            refuse_duplicate(check, at, name);
        gates.push_back(name);
    }
    const cJSON *dns = field(spec, "dnsConfig");
    if (text_of(spec, "dnsPolicy") == "None" && !is_set(dns))
        refuse_required(check, path + ".dnsConfig", "must provide `dnsConfig` when `dnsPolicy` is None");
    else if (text_of(spec, "dnsPolicy") == "None" && is_list_empty(field(dns, "nameservers")))
        refuse_required(check, path + ".dnsConfig.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None");
    if (cJSON_GetArraySize(field(dns, "nameservers")) > static_cast<int>(nameservers_max))
        refuse_invalid(check, path + ".dnsConfig.nameservers", field(dns, "nameservers"), "must not have more than 3 nameservers");
    check_searches(check, field(dns, "searches"), path + ".dnsConfig.searches");
    index = 0;
    cJSON_ArrayForEach(entry, field(dns, "options"))
    {
        if (text_of(entry, "name").empty())
            refuse_required(check, text_format("%s.dnsConfig.options[%zu]", path.c_str(), index), "must not be empty");
        index++;
    }
    index = 0;
    cJSON_ArrayForEach(entry, field(spec, "hostAliases"))
    {
        if (text_of(entry, "ip").empty())
            check_form(check, name_form::ip, text_format("%s.hostAliases[%zu].ip", path.c_str(), index), "");
        index++;
    }
    check_spreads(check, field(spec, "topologySpreadConstraints"), path + ".topologySpreadConstraints");
    std::string_view system = text_of(field(spec, "os"), "name");
    if (!system.empty() && system != "linux" && system != "windows")
        refuse_unsupported(check, path + ".os", system, "linux windows");
    if (system == "linux")
        check_windows_options(check, spec, path);
    if (cJSON_IsTrue(field(spec, "hostPID")) && cJSON_IsTrue(field(spec, "shareProcessNamespace")))
        refuse_invalid(check, path + ".securityContext.shareProcessNamespace", field(spec, "shareProcessNamespace"),
            "ShareProcessNamespace and HostPID cannot both be enabled");
    if (cJSON_IsFalse(field(spec, "hostUsers")) && cJSON_IsTrue(field(spec, "hostNetwork")))
        refuse_forbidden(check, path + ".hostNetwork", "when `pod.Spec.HostUsers` is false");
    for (const auto &[key, suffix] :
        {std::pair("hostPID", ".HostPID"), std::pair("hostIPC", ".HostIPC")}) // Kubernetes spells them like this
        if (cJSON_IsFalse(field(spec, "hostUsers")) && cJSON_IsTrue(field(spec, key)))
            refuse_forbidden(check, path + suffix, "when `pod.Spec.HostUsers` is false");
}

static void rule_toleration(pod_check &check, const cJSON *value, const std::string &path, pod_skip &)
{
    std::string_view key = text_of(value, "key");
    std::string_view how = text_of(value, "operator");
    std::string_view effect = text_of(value, "effect");
    if (!key.empty())
        check_form(check, name_form::qualified, path + ".key", key);
    else if (how != "Exists")
        refuse_invalid_text(
            check, path + ".operator", how, "operator must be Exists when `key` is empty, which means \"match all values and all keys\"");
    if (is_set(field(value, "tolerationSeconds")) && effect != "NoExecute")
        refuse_invalid_text(check, path + ".effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
    if (how.empty() || how == "Equal")
        check_form(check, name_form::label_value, path + ".operator", text_of(value, "value"));
    else if (how == "Exists" && !text_of(value, "value").empty())
        refuse_invalid_text(check, path + ".operator", text_of(value, "value"), "value must be empty when `operator` is 'Exists'");
    else if (how != "Exists")
        refuse_unsupported(check, path + ".operator", how, "Equal Exists");
    if (!effect.empty() && effect != "NoSchedule" && effect != "PreferNoSchedule" && effect != "NoExecute")
        refuse_unsupported(check, path + ".effect", effect, "NoSchedule PreferNoSchedule NoExecute");
}

static void rule_expression(pod_check &check, const cJSON *value, const std::string &path, pod_skip &)
{
    bool is_field = path.find(".matchFields[") != std::string::npos;
    bool is_node = path.find("odeAffinity") != std::string::npos || path.find(".preference.") != std::string::npos;
    std::string_view how = text_of(value, "operator");
    int count = cJSON_GetArraySize(field(value, "values"));
    if (how == "In" || how == "NotIn") {
        if (is_field && count != 1)
            refuse_required(check, path + ".values", "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
        else if (count == 0)
            refuse_required(check, path + ".values", "must be specified when `operator` is 'In' or 'NotIn'");
    } else if (!is_field && (how == "Exists" || how == "DoesNotExist")) {
        if (count > 0)
            refuse_forbidden(check, path + ".values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    } else if (!is_field && is_node && (how == "Gt" || how == "Lt")) {
        if (count != 1)
            refuse_required(check, path + ".values", "must be specified single value when `operator` is 'Lt' or 'Gt'");
    } else {
        refuse_invalid_text(check, path + ".operator", how, "not a valid selector operator");
    }
    bool is_preferred = path.find(".preference.") != std::string::npos;
    const cJSON *entry;
    size_t index = 0;
    cJSON_ArrayForEach(entry, field(value, "values"))
    {
        std::string at = text_format("%s.values[%zu]", path.c_str(), index++);
        std::string_view text = cJSON_IsString(entry) ? std::string_view(entry->valuestring) : std::string_view();
        if (is_field && text_of(value, "key") == "metadata.name")
            check_form(check, name_form::subdomain, at, text);
        else if (!is_field && !is_preferred)
            check_form(check, name_form::label_value, at, text);
    }
    if (!is_field)
        check_form(check, name_form::qualified, path + ".key", text_of(value, "key"));
    else if (text_of(value, "key") != "metadata.name")
        refuse_invalid_text(check, path + ".key", text_of(value, "key"), "not a valid field selector key");
}

// Checks keys of labels whose values come from the new pod itself. They narrow a selector, so there must be one.
static void check_label_keys(pod_check &check, const cJSON *owner, const std::string &path, const char *name, bool may_be_selected)
{
    const cJSON *selector = field(owner, "labelSelector");
    const cJSON *list = field(owner, name);
    std::string at = path + "." + name;
    if (is_list_empty(list))
        return;
    if (!is_set(selector)) {
        refuse_forbidden(check, at, "must not be specified when labelSelector is not set");
        if (may_be_selected) // applies to affinity; a topology spread checks the keys in any case
            return;
    }
    const cJSON *key;
    size_t index = 0;
    cJSON_ArrayForEach(key, list)
    {
        std::string place = text_format("%s[%zu]", at.c_str(), index++);
        std::string_view text = cJSON_IsString(key) ? key->valuestring : "";
        check_form(check, name_form::qualified, place, text);
        bool is_selected = field(field(selector, "matchLabels"), std::string(text).c_str()) != nullptr;
        const cJSON *one;
        cJSON_ArrayForEach(one, field(selector, "matchExpressions")) is_selected = is_selected || text_of(one, "key") == text;
        if (is_selected && !may_be_selected)
            refuse_invalid_text(check, place, text, text_format("exists in both %s and labelSelector", name));
    }
}

static void rule_affinity_term(pod_check &check, const cJSON *term, const std::string &path, pod_skip &)
{
    const cJSON *entry;
    cJSON_ArrayForEach(entry, field(term, "namespaces"))
        check_form(check, name_form::label, path + ".namespace", cJSON_IsString(entry) ? entry->valuestring : "");
    check_label_keys(check, term, path, "matchLabelKeys", true);
    check_label_keys(check, term, path, "mismatchLabelKeys", true);
    size_t index = 0;
    cJSON_ArrayForEach(entry, field(term, "matchLabelKeys"))
    {
        const cJSON *other;
        bool is_both = false;
        cJSON_ArrayForEach(other, field(term, "mismatchLabelKeys"))
            is_both = is_both || (cJSON_IsString(entry) && cJSON_IsString(other) && strcmp(entry->valuestring, other->valuestring) == 0);
        if (is_both)
            refuse_invalid_text(check, text_format("%s.matchLabelKeys[%zu]", path.c_str(), index), entry->valuestring,
                "exists in both matchLabelKeys and mismatchLabelKeys");
        index++;
    }
}

// A missing term is validated as an empty one.
static void rule_weighted_term(pod_check &check, const cJSON *weighted, const std::string &path, pod_skip &)
{
    if (is_set(field(weighted, "podAffinityTerm")))
        return;
    refuse_required(check, path + ".podAffinityTerm.topologyKey", "can not be empty");
    check_form(check, name_form::qualified, path + ".podAffinityTerm.topologyKey", "");
}

static void rule_spread(pod_check &check, const cJSON *spread, const std::string &path, pod_skip &)
{
    const cJSON *domains = field(spread, "minDomains");
    std::string_view otherwise = text_of(spread, "whenUnsatisfiable");
    if (cJSON_IsNumber(domains) && domains->valuedouble <= 0)
        refuse_invalid(check, path + ".minDomains", domains, "must be greater than 0");
    if (cJSON_IsNumber(domains) && otherwise != "DoNotSchedule")
        refuse_invalid(check, path + ".minDomains", domains,
            text_format("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not %s", text_escape(otherwise, 80).c_str()));
    check_label_keys(check, spread, path, "matchLabelKeys", false);
}

static void rule_selector(pod_check &check, const cJSON *value, const std::string &path, pod_skip &)
{
    check_labels(check, field(value, "matchLabels"), path + ".matchLabels");
}

// Volumes.

static void rule_volume(pod_check &check, const cJSON *volume, const std::string &path, pod_skip &skip)
{
    std::string_view name = text_of(volume, "name");
    if (is_set(field(volume, "image"))) { // its feature gate is off, so it does not count as a volume
        for (const pod_field &one : pod_schema_fields("Volume"))
            skip.push_back(one.name);
        return;
    }
    // No type at all means emptyDir.
    only_one_of(check, volume, path,
        {"emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi", "glusterfs", "flocker",
            "persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc", "flexVolume", "configMap", "azureFile",
            "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk", "storageos", "projected", "scaleIO", "csi",
            "ephemeral"},
        "may not specify more than 1 volume type", skip);
    if (name.empty())
        refuse_required(check, path + ".name");
    else
        check_form(check, name_form::label, path + ".name", name);
    if (std::find(check.volumes.begin(), check.volumes.end(), name) != check.volumes.end())
        refuse_duplicate(check, path + ".name", name);
}

static void rule_flocker(pod_check &check, const cJSON *value, const std::string &path, pod_skip &)
{
    bool by_name = !text_of(value, "datasetName").empty();
    bool by_id = !text_of(value, "datasetUUID").empty();
    if (!by_name && !by_id)
        refuse_required(check, path, "one of datasetName and datasetUUID is required");
    else if (by_name && by_id)
        refuse_invalid_text(check, path, "resource", "datasetName and datasetUUID can not be specified simultaneously");
    if (text_of(value, "datasetName").find('/') != std::string_view::npos)
        refuse_invalid_text(check, path + ".datasetName", text_of(value, "datasetName"), "must not contain '/'");
}

static void rule_nfs(pod_check &check, const cJSON *value, const std::string &path, pod_skip &)
{
    std::string_view dir = text_of(value, "path");
    if (!dir.starts_with('/'))
        refuse_invalid_text(check, path + ".path", dir, "must be an absolute path");
}

// Reports sources that provide a file with the same path.
static void rule_projected(pod_check &check, const cJSON *value, const std::string &path, pod_skip &)
{
    std::vector<std::string_view> paths;
    const cJSON *source;
    size_t index = 0;
    cJSON_ArrayForEach(source, field(value, "sources"))
    {
        size_t kinds = 0;
        for (const char *kind : {"secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle"})
            kinds += is_set(field(source, kind)) ? 1 : 0;
        if (kinds > 1)
            refuse_forbidden(
                check, text_format("%s.sources[%zu]", path.c_str(), index), "may not specify more than 1 volume type per source");
        index++;
        std::vector<std::string_view> mine;
        for (const char *kind : {"secret", "configMap", "downwardAPI"}) {
            const cJSON *item;
            cJSON_ArrayForEach(item, field(field(source, kind), "items")) mine.push_back(text_of(item, "path"));
        }
        mine.push_back(text_of(field(source, "serviceAccountToken"), "path"));
        for (std::string_view one : mine) {
            if (!one.empty() && std::find(paths.begin(), paths.end(), one) != paths.end())
                refuse_invalid_text(check, path, one, "conflicting duplicate paths");
            paths.push_back(one);
        }
    }
}

static void rule_downward_file(pod_check &check, const cJSON *value, const std::string &path, pod_skip &)
{
    bool by_field = is_set(field(value, "fieldRef"));
    bool by_resource = is_set(field(value, "resourceFieldRef"));
    if (by_field && by_resource)
        refuse_invalid_text(check, path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
    else if (!by_field && !by_resource)
        refuse_required(check, path, "one of fieldRef and resourceFieldRef is required");
}

// Security.

static void rule_security(pod_check &check, const cJSON *context, const std::string &path, pod_skip &)
{
    if (text_of(context, "procMount") == "Unmasked" && !cJSON_IsFalse(field(field(check.pod, "spec"), "hostUsers")))
        refuse_invalid_text(check, path + ".procMount", "Unmasked", "`hostUsers` must be false to use `Unmasked`");
    if (!cJSON_IsFalse(field(context, "allowPrivilegeEscalation")))
        return;
    if (cJSON_IsTrue(field(context, "privileged")))
        refuse_invalid(check, path, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
    const cJSON *capability;
    cJSON_ArrayForEach(capability, field(field(context, "capabilities"), "add"))
    {
        if (cJSON_IsString(capability) && std::string_view(capability->valuestring) == "CAP_SYS_ADMIN")
            refuse_invalid(check, path, context, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
    }
}

static void rule_sysctls(pod_check &check, const cJSON *context, const std::string &path, pod_skip &)
{
    std::vector<std::string_view> names;
    bool uses_host = cJSON_IsTrue(field(field(check.pod, "spec"), "hostNetwork"));
    bool uses_ipc = cJSON_IsTrue(field(field(check.pod, "spec"), "hostIPC"));
    const cJSON *entry;
    size_t index = 0;
    cJSON_ArrayForEach(entry, field(context, "sysctls"))
    {
        std::string at = text_format("%s.sysctls[%zu].name", path.c_str(), index++);
        std::string_view name = text_of(entry, "name");
        if (name.empty())
            refuse_required(check, at);
        else if (!pod_name_faults(name_form::sysctl, name).empty())
            check_form(check, name_form::sysctl, at, name);
        else if (std::find(names.begin(), names.end(), name) != names.end())
            refuse_duplicate(check, at, name);
        if (uses_host && name.starts_with("net."))
            refuse_invalid_text(check, at, name, "may not be specified when 'hostNetwork' is true");
        bool is_ipc = name == "kernel.sem" || name.starts_with("kernel.shm") || name.starts_with("kernel.msg") ||
                      name.starts_with("fs.mqueue.");
        if (uses_ipc && is_ipc)
            refuse_invalid_text(check, at, name, "may not be specified when 'hostIPC' is true");
        names.push_back(name);
    }
}

static void rule_profile(pod_check &check, const cJSON *profile, const std::string &path, pod_skip &)
{
    const char *word = path.ends_with("seccompProfile") ? "seccomp type" : "AppArmor type";
    const cJSON *local = field(profile, "localhostProfile");
    std::string at = path + ".localhostProfile";
    bool is_local = text_of(profile, "type") == "Localhost";
    bool is_app_armor = path.ends_with("appArmorProfile");
    std::string_view name = text_of(profile, "localhostProfile");
    bool is_padded = is_app_armor && text_trim(name) != name;
    bool is_known = is_local || !is_app_armor || text_of(profile, "type") == "RuntimeDefault" || text_of(profile, "type") == "Unconfined";
    if (is_local && (!is_set(local) || (is_app_armor && name.empty())))
        refuse_required(check, at, text_format("must be set when %s is Localhost", word));
    else if (is_local && is_padded)
        refuse_invalid_text(check, at, name, "must not be padded with whitespace");
    else if (is_local && is_app_armor && name.size() > app_armor_name_max)
        check.refusals.push_back(at + ": Too long: may not be more than 4095 bytes");
    else if (!is_local && is_set(local) && is_known)
        refuse_invalid(check, at, local, text_format("can only be set when %s is Localhost", word));
    else if (is_local && cJSON_IsString(local) && path.ends_with("seccompProfile"))
        check_relative(check, at, local->valuestring);
}

static constexpr pod_type_rule relations[] = {
    {"Pod", rule_pod},
    {"ObjectMeta", rule_metadata},
    {"PodSpec", rule_spec},
    {"Toleration", rule_toleration},
    {"NodeSelectorRequirement", rule_expression},
    {"LabelSelectorRequirement", rule_expression},
    {"LabelSelector", rule_selector},
    {"PodAffinityTerm", rule_affinity_term},
    {"WeightedPodAffinityTerm", rule_weighted_term},
    {"TopologySpreadConstraint", rule_spread},
    {"FlockerVolumeSource", rule_flocker},
    {"Volume", rule_volume},
    {"ProjectedVolumeSource", rule_projected},
    {"NFSVolumeSource", rule_nfs},
    {"DownwardAPIVolumeFile", rule_downward_file},
    {"SecurityContext", rule_security},
    {"PodSecurityContext", rule_sysctls},
    {"SeccompProfile", rule_profile},
    {"AppArmorProfile", rule_profile},
};

std::span<const pod_type_rule> pod_rules_of_spec() { return relations; }

} // namespace etlnode::kubectl_local
