// SPDX-License-Identifier: MIT
// kubectl_local/pod_rules_metadata.cc: the rules for a Pod's finalizers, owners, and the annotations that Kubernetes itself interprets.
#include <algorithm>

#include "base/text.h"
#include "kubectl_local/pod_rule_helpers.h"

namespace etlnode::kubectl_local {

static bool is_standard_finalizer(std::string_view name)
{
    return name == "kubernetes" || name == "orphan" || name == "foregroundDeletion";
}

static void check_finalizers(pod_check &check, const cJSON *list, const std::string &path)
{
    bool orphans = false;
    bool waits = false;
    const cJSON *entry;
    size_t index = 0;
    cJSON_ArrayForEach(entry, list)
    {
        std::string at = text_format("%s[%zu]", path.c_str(), index++);
        std::string_view name = cJSON_IsString(entry) ? entry->valuestring : "";
        check_form(check, name_form::qualified, path, name);
        if (name.find('/') == std::string_view::npos && !is_standard_finalizer(name))
            refuse_invalid_text(check, at, name, "name is neither a standard finalizer name nor is it fully qualified");
        orphans = orphans || name == "orphan";
        waits = waits || name == "foregroundDeletion";
    }
    if (orphans && waits)
        refuse_invalid(check, path, list, "finalizer orphan and foregroundDeletion cannot be both set");
}

static void check_owners(pod_check &check, const cJSON *list, const std::string &path)
{
    std::string controller;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, list)
    {
        std::string_view version = text_of(entry, "apiVersion");
        bool is_version = !version.empty() && std::count(version.begin(), version.end(), '/') <= 1;
        if (!is_version)
            refuse_invalid_text(check, path + ".apiVersion", version, "version must not be empty");
        for (const char *key : {"kind", "name", "uid"})
            if (text_of(entry, key).empty())
                refuse_invalid_text(check, text_format("%s.%s", path.c_str(), key), "", text_format("%s must not be empty", key));
        if (version == "v1" && text_of(entry, "kind") == "Event")
            refuse_invalid(check, path, entry, "/v1, Kind=Event is disallowed from being an owner");
        if (!cJSON_IsTrue(field(entry, "controller")))
            continue;
        std::string owner = std::string(text_of(entry, "kind")) + "/" + std::string(text_of(entry, "name"));
        if (!controller.empty())
            refuse_invalid(check, path, list,
                text_format("Only one reference can have Controller set to true. Found \"true\" in references for %s and %s",
                    text_escape(controller, 200).c_str(), text_escape(owner, 200).c_str()));
        controller = owner;
    }
}

// Annotations.

static bool has_container(const cJSON *spec, std::string_view name)
{
    for (const char *list : {"initContainers", "containers", "ephemeralContainers"}) {
        const cJSON *container;
        cJSON_ArrayForEach(container, field(spec, list)) if (text_of(container, "name") == name) return true;
    }
    return false;
}

// Follows Kubernetes: no plus sign, and no leading zero except in "0" or after a minus sign.
static bool is_int32(std::string_view text)
{
    bool is_negative = text.starts_with('-');
    uint64_t value = 0;
    bool begins_well = is_negative || text == "0" || (!text.empty() && text.front() >= '1' && text.front() <= '9');
    return begins_well && text_parse_u64(text.substr(is_negative ? 1 : 0), value) && value <= (is_negative ? 2147483648u : 2147483647u);
}

static void check_seccomp(pod_check &check, const std::string &at, std::string_view profile)
{
    static constexpr std::string_view local = "localhost/";
    if (profile.starts_with(local))
        check_relative(check, at, profile.substr(local.size()));
    else if (profile != "runtime/default" && profile != "docker/default" && profile != "unconfined")
        refuse_invalid_text(check, at, profile, "must be a valid seccomp profile");
}

static void check_app_armor(pod_check &check, const std::string &at, std::string_view container, std::string_view profile)
{
    if (!has_container(field(check.pod, "spec"), container))
        refuse_invalid_text(check, at, container, "container not found");
    if (!profile.empty() && profile != "runtime/default" && profile != "unconfined" && !profile.starts_with("localhost/"))
        refuse_invalid_text(check, at, profile, text_format("invalid AppArmor profile name: \"%s\"", text_escape(profile, 200).c_str()));
}

static void check_annotation(pod_check &check, const cJSON *entry, const std::string &path)
{
    static constexpr std::string_view app_armor = "container.apparmor.security.beta.kubernetes.io/";
    std::string_view key = entry->string;
    std::string_view value = cJSON_IsString(entry) ? entry->valuestring : "";
    std::string at = text_format("%s[%s]", path.c_str(), text_escape(key, 200).c_str());
    if (key == "kubernetes.io/config.mirror" && text_of(field(check.pod, "spec"), "nodeName").empty())
        refuse_invalid_text(check, at, value, "must set spec.nodeName if mirror pod annotation is set");
    else if (key == "controller.kubernetes.io/pod-deletion-cost" && !is_int32(value))
        refuse_invalid_text(check, at, value, "must be a 32bit integer");
    else if (key == "seccomp.security.alpha.kubernetes.io/pod" || key.starts_with("container.seccomp.security.alpha.kubernetes.io/"))
        check_seccomp(check, path + "." + text_escape(key, 200), value);
    else if (key.starts_with(app_armor))
        check_app_armor(check, at, key.substr(app_armor.size()), value);
}

static void rule_pods_metadata(pod_check &check, const cJSON *metadata, const std::string &path, pod_skip &)
{
    check_finalizers(check, field(metadata, "finalizers"), path + ".finalizers");
    check_owners(check, field(metadata, "ownerReferences"), path + ".ownerReferences");
    const cJSON *entry;
    if (path == "metadata") // not the metadata of a volume claim template
        cJSON_ArrayForEach(entry, field(metadata, "annotations")) check_annotation(check, entry, path + ".annotations");
}

static constexpr pod_type_rule relations[] = {
    {"ObjectMeta", rule_pods_metadata},
};

std::span<const pod_type_rule> pod_rules_of_metadata() { return relations; }

} // namespace etlnode::kubectl_local
