// SPDX-License-Identifier: MIT
// kubectl_local/admission_plugins.cc: refusals of an API server's admission plugins: undeclared service accounts, priorities and overhead.
#include "kubectl_local/admission_plugins.h"

#include "base/text.h"
#include "kubectl_local/pod_rule_helpers.h"

namespace etlnode::kubectl_local {

struct priority_class {
    std::string_view name;
    double value;
};
static constexpr priority_class priority_classes[] = {
    {"", 0}, {"system-cluster-critical", 2000000000}, {"system-node-critical", 2000001000}};
static constexpr std::string_view usual_preemption = "PreemptLowerPriority";

static std::string quoted_escape(std::string_view text) { return text_escape(text, 200); }

static std::string refuse_account(const cJSON *pod, const std::string &ns)
{
    const cJSON *spec = field(pod, "spec");
    std::string_view name = text_of(spec, "serviceAccountName");
    if (name.empty())
        name = text_of(spec, "serviceAccount"); // the field's former name
    bool is_mirror = field(field(field(pod, "metadata"), "annotations"), "kubernetes.io/config.mirror") != nullptr;
    if (is_mirror)
        return name.empty() ? "" : "a mirror pod may not reference service accounts";
    if (name.empty() || name == "default")
        return "";
    std::string stated = quoted_escape(name);
    if (name.find('/') != std::string_view::npos)
        return text_format("error looking up service account %s/%s: invalid resource name \"%s\": [may not contain '/']", ns.c_str(),
            stated.c_str(), stated.c_str());
    return text_format(
        "error looking up service account %s/%s: serviceaccount \"%s\" not found (kubectl-local has the account default, and no tokens)",
        ns.c_str(), stated.c_str(), stated.c_str());
}

static std::string refuse_priority(const cJSON *spec)
{
    std::string_view name = text_of(spec, "priorityClassName");
    const priority_class *found = nullptr;
    for (const priority_class &one : priority_classes)
        if (one.name == name)
            found = &one;
    if (found == nullptr)
        return text_format("no PriorityClass with name %s was found", quoted_escape(name).c_str());
    static constexpr const char *words = "must not be provided in pod spec; priority admission controller computed";
    const cJSON *priority = field(spec, "priority");
    if (cJSON_IsNumber(priority) && priority->valuedouble != found->value)
        return text_format(
            "the integer value of priority (%.0f) %s %.0f from the given PriorityClass name", priority->valuedouble, words, found->value);
    const cJSON *preemption = field(spec, "preemptionPolicy");
    if (cJSON_IsString(preemption) && preemption->valuestring != usual_preemption)
        return text_format("the string value of PreemptionPolicy (%s) %s %s from the given PriorityClass name",
            quoted_escape(preemption->valuestring).c_str(), words, std::string(usual_preemption).c_str());
    return "";
}

std::string admission_plugins_refusal(const cJSON *pod, const std::string &ns)
{
    std::string refusal = refuse_account(pod, ns);
    return refusal.empty() ? refuse_priority(field(pod, "spec")) : refusal;
}

std::string admission_overhead_refusal(const cJSON *pod)
{
    const cJSON *spec = field(pod, "spec");
    bool has_class = !text_of(spec, "runtimeClassName").empty();
    return is_set(field(spec, "overhead")) && !has_class
               ? "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
               : "";
}

} // namespace etlnode::kubectl_local
