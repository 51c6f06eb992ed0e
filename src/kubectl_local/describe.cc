// SPDX-License-Identifier: MIT
// kubectl_local/describe.cc: `describe`: prints a pod for people.
#include "kubectl_local/commands.h"

#include <cstdio>

#include "base/text.h"

namespace etlnode::kubectl_local {

static void describe_state(std::string &out, const char *title, const cJSON *state)
{
    const cJSON *one = state != nullptr ? state->child : nullptr;
    if (one == nullptr)
        return;
    std::string kind = one->string;
    kind[0] = static_cast<char>(kind[0] - 'a' + 'A');
    out += text_format("    %-15s%s\n", title, kind.c_str());
    for (const char *key : {"reason", "message", "exitCode", "startedAt", "finishedAt"}) {
        const cJSON *field = json_get(one, key);
        std::string label = key;
        label[0] = static_cast<char>(label[0] - 'a' + 'A');
        if (cJSON_IsString(field))
            out += text_format("      %-13s%s\n", (label + ":").c_str(), field->valuestring);
        else if (cJSON_IsNumber(field))
            out += text_format("      %-13s%d\n", (label + ":").c_str(), field->valueint);
    }
}

static void describe_map(std::string &out, const char *title, const cJSON *map)
{
    const char *label = title;
    const cJSON *one;
    cJSON_ArrayForEach(one, map)
    {
        out += text_format("%-17s%s%s%s\n", label, one->string, title[0] == 'L' ? "=" : ": ", cJSON_IsString(one) ? one->valuestring : "");
        label = "";
    }
    if (cJSON_GetArraySize(map) == 0)
        out += text_format("%-17s<none>\n", title);
}

static std::string describe(const cJSON *pod, const std::string &dir)
{
    const cJSON *metadata = json_get(pod, "metadata");
    const cJSON *spec = json_get(pod, "spec");
    const cJSON *status = json_get(pod, "status");
    std::string out;
    auto line = [&](const char *title, std::string_view value) {
        out += text_format("%-17s%.*s\n", title, static_cast<int>(value.size()), value.data());
    };
    line("Name:", json_text(metadata, "name"));
    line("Namespace:", json_text(metadata, "namespace"));
    line("Node:", json_text(spec, "nodeName"));
    line("Start Time:", json_text(status, "startTime"));
    describe_map(out, "Labels:", json_get(metadata, "labels"));
    describe_map(out, "Annotations:", json_get(metadata, "annotations"));
    if (json_get(metadata, "deletionTimestamp") != nullptr)
        line("Status:", "Terminating");
    else
        line("Status:", json_text(status, "phase"));
    if (!json_text(status, "message").empty())
        line("Message:", json_text(status, "message"));
    line("IP:", json_text(status, "podIP"));
    if (sandbox_pod_is_unsandboxed(pod))
        line("Sandbox:", "none");
    line("Directory:", dir);
    struct {
        const char *title;
        const char *specs;
        const char *statuses;
    } lists[] = {{"Init Containers:", "initContainers", "initContainerStatuses"}, {"Containers:", "containers", "containerStatuses"}};
    for (const auto &list : lists) {
        if (cJSON_GetArraySize(json_get(spec, list.specs)) == 0)
            continue;
        out += text_format("%s\n", list.title);
        const cJSON *one;
        cJSON_ArrayForEach(one, json_get(status, list.statuses))
        {
            out += text_format("  %s:\n", std::string(json_text(one, "name")).c_str());
            out += text_format("    %-15s%s\n", "Container ID:", std::string(json_text(one, "containerID")).c_str());
            out += text_format("    %-15s%s\n", "Image:", std::string(json_text(one, "image")).c_str());
            describe_state(out, "State:", json_get(one, "state"));
            describe_state(out, "Last State:", json_get(one, "lastState"));
            out += text_format("    %-15s%s\n", "Ready:", json_bool(one, "ready", false) ? "True" : "False");
            out += text_format("    %-15s%llu\n", "Restart Count:", static_cast<unsigned long long>(json_u64(one, "restartCount", 0)));
        }
    }
    out += "Conditions:\n";
    const cJSON *one;
    cJSON_ArrayForEach(one, json_get(status, "conditions"))
        out += text_format("  %-20s%-8s%s\n", std::string(json_text(one, "type")).c_str(), std::string(json_text(one, "status")).c_str(),
            std::string(json_text(one, "message")).c_str());
    return out;
}

int command_describe(const command &c)
{
    std::string resource;
    std::string text;
    std::vector<std::string> names;
    selector wanted;
    int code = 0;
    if (c.o.words.empty())
        return command_fail("You must specify the type of resource to describe.");
    if (!command_parse_names(c.o.words, resource, names, text))
        return command_fail(text);
    if (resource != "pods")
        return command_fail("kubectl-local can only describe pods");
    if (!command_parse_selector(c, wanted, code))
        return code;
    std::vector<found_pod> pods;
    if (names.empty())
        pods = command_find_pods(c, wanted);
    for (const std::string &name : names) {
        found_pod one;
        if (command_find_pod(c, name, one))
            pods.push_back(std::move(one));
        else
            code = command_fail_not_found("pods", name);
    }
    if (pods.empty() && names.empty())
        fprintf(stderr, "No resources found in %s namespace.\n", c.ns.c_str());
    for (size_t i = 0; i < pods.size(); i++)
        command_write((i > 0 ? "\n\n" : "") + describe(pods[i].pod.get(), state_pod_dir(c.state, pods[i].key)));
    return code;
}

} // namespace etlnode::kubectl_local
