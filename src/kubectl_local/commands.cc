// SPDX-License-Identifier: MIT
// kubectl_local/commands.cc: helpers that the commands share; the commands wait and version.
#include "kubectl_local/commands.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>

#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "codec/yaml.h"
#include "kube/pod_schema.h"
#include "kubectl_local/container.h"
#include "kubectl_local/image.h"
#include "kubectl_local/os.h"
#include "kubectl_local/pod.h"
#include "kubectl_local/pod_namespaces.h"
#include "node/version.h"

namespace etlnode::kubectl_local {

int command_fail(const std::string &text)
{
    fprintf(stderr, "error: %s\n", text.c_str());
    return 1;
}

int command_fail_not_found(const char *resource, const std::string &name)
{
    fprintf(stderr, "Error from server (NotFound): %s \"%s\" not found\n", resource, text_escape(name, 253).c_str());
    return 1;
}

bool command_write(const std::string &text) { return os_write_all(STDOUT_FILENO, text); }

static const char *known_resource(std::string_view word)
{
    for (std::string_view name : {"pods", "pod", "po"})
        if (word == name)
            return "pods";
    for (std::string_view name : {"nodes", "node", "no"})
        if (word == name)
            return "nodes";
    return nullptr;
}

bool command_parse_names(
    const std::vector<std::string> &words, std::string &out_resource, std::vector<std::string> &out_names, std::string &out_text)
{
    out_resource.clear();
    out_names.clear();
    bool slashed = !words.empty() && words[0].find('/') != std::string::npos;
    for (size_t i = 0; i < words.size(); i++) {
        const std::string &word = words[i];
        size_t slash = word.find('/');
        if (slashed != (slash != std::string::npos)) {
            out_text = "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form "
                       "(e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'";
            return false;
        }
        if (i > 0 && !slashed) {
            out_names.push_back(word);
            continue;
        }
        const char *resource = known_resource(word.substr(0, slash));
        if (resource == nullptr) {
            out_text = text_format("the server doesn't have a resource type \"%s\"", text_escape(word.substr(0, slash), 80).c_str());
            return false;
        }
        if (!out_resource.empty() && out_resource != resource) {
            out_text = "kubectl-local accepts only one type of resource at a time";
            return false;
        }
        out_resource = resource;
        if (slashed)
            out_names.push_back(word.substr(slash + 1));
    }
    return true;
}

bool command_is_record(const pod_key &key) { return pod_name_is_valid(key.name) && pod_label_is_valid(key.ns); }

// A dead supervisor's record describes a container that is dead as well. Give the new supervisor a moment to update it.
static void read_supervised(const command &c, found_pod &pod)
{
    // The process that just created this pod is about to start its supervisor.
    bool is_new = json_get(json_get(pod.pod.get(), "status"), "containerStatuses") == nullptr;
    for (int i = 0; is_new && i < 20 && state_supervisor_pid(c.state, pod.key) == 0; i++) {
        struct timespec pause = {0, 5'000'000};
        nanosleep(&pause, nullptr);
    }
    if (!state_ensure_supervisor(c.state, pod.key, pod.pod.get()))
        return;
    std::string before(json_text(json_get(pod.pod.get(), "metadata"), "resourceVersion"));
    uint64_t deadline = os_now_ms() + 500;
    while (os_now_ms() < deadline) {
        struct timespec pause = {0, 5'000'000};
        nanosleep(&pause, nullptr);
        json_ptr now;
        if (!state_read_pod(c.state, pod.key, now))
            return;
        bool changed = json_text(json_get(now.get(), "metadata"), "resourceVersion") != before;
        pod.pod = std::move(now);
        if (changed)
            return;
    }
}

std::vector<found_pod> command_find_pods(const command &c, const selector &wanted)
{
    std::vector<found_pod> out;
    for (const pod_key &key : state_list_pods(c.state, c.all_namespaces ? "" : c.ns)) {
        found_pod one;
        one.key = key;
        if (!command_is_record(key) || !state_read_pod(c.state, key, one.pod) ||
            !selector_matches(wanted, json_get(json_get(one.pod.get(), "metadata"), "labels")))
            continue;
        read_supervised(c, one);
        out.push_back(std::move(one));
    }
    return out;
}

bool command_find_pod(const command &c, const std::string &name, found_pod &out_pod)
{
    out_pod.key = {c.ns, name};
    if (!command_is_record(out_pod.key) || !state_read_pod(c.state, out_pod.key, out_pod.pod))
        return false;
    read_supervised(c, out_pod);
    return true;
}

bool command_parse_selector(const command &c, selector &out_selector, int &out_code)
{
    std::string text;
    if (selector_parse(options_text(c.o, "selector", ""), out_selector, text))
        return true;
    out_code = command_fail(text);
    return false;
}

// wait

static bool condition_holds(const cJSON *pod, const std::string &type, const std::string &value)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, json_get(json_get(pod, "status"), "conditions"))
    {
        if (text_equal_ignore_case(json_text(one, "type"), type))
            return text_equal_ignore_case(json_text(one, "status"), value);
    }
    return false;
}

int command_wait(const command &c)
{
    std::string resource;
    std::string text;
    std::vector<std::string> names;
    std::string what = options_text(c.o, "for", "");
    if (c.o.words.empty())
        return command_fail("You must provide one or more resources by argument or filename.");
    if (!command_parse_names(c.o.words, resource, names, text))
        return command_fail(text);
    if (resource != "pods")
        return command_fail("kubectl-local can only wait for pods");
    selector wanted;
    int code = 0;
    if (!command_parse_selector(c, wanted, code))
        return code;
    std::string type;
    std::string value = "true";
    bool is_delete = text_lower(what) == "delete";
    bool is_create = text_lower(what) == "create";
    if (what.starts_with("condition=")) {
        type = what.substr(10);
        size_t equals = type.find('=');
        if (equals != std::string::npos) {
            value = type.substr(equals + 1);
            type.resize(equals);
        }
    }
    if (!is_delete && !is_create && type.empty())
        return command_fail(text_format("unrecognized condition: \"%s\"", text_escape(what, 80).c_str()));
    std::string limit = options_text(c.o, "timeout", "30s");
    bool for_ever = limit.starts_with("-"); // kubectl waits for a week
    uint64_t timeout_ms = 0;
    if (!text_parse_duration_ms(for_ever ? "168h" : limit, timeout_ms))
        return command_fail(
            text_format("invalid argument \"%s\" for \"--timeout\" flag: time: invalid duration", text_escape(limit, 80).c_str()));
    if (names.empty())
        for (const found_pod &one : command_find_pods(c, wanted))
            names.push_back(one.key.name);
    if (names.empty() && is_delete)
        return 0;
    if (names.empty())
        return command_fail("no matching resources found");

    state_watch watch;
    state_watch_open(watch, c.state);
    uint64_t deadline = os_now_ms() + timeout_ms;
    for (const std::string &name : names) {
        for (;;) {
            found_pod one;
            bool there = command_find_pod(c, name, one);
            if (!there && !is_delete && !is_create) {
                code = command_fail_not_found("pods", name);
                break;
            }
            if (is_delete ? !there : is_create ? there : condition_holds(one.pod.get(), type, value)) {
                command_write(text_format("pod/%s condition met\n", name.c_str()));
                break;
            }
            uint64_t now = os_now_ms();
            if (now >= deadline) {
                code = command_fail(text_format("timed out waiting for the condition on pods/%s", name.c_str()));
                break;
            }
            state_watch_wait(watch, static_cast<int>(std::min<uint64_t>(deadline - now, 500)), -1, {});
        }
    }
    state_watch_close(watch);
    return code;
}

// version

int command_version(const command &c)
{
    // Scripts read major and minor, which are those of the Kubernetes API whose objects this program prints.
    std::string output = options_text(c.o, "output", "");
    std::string version = text_format("v%u.%u.0-kubectl-local." NODE_VERSION, pod_schema_major, pod_schema_minor);
    json_ptr about = json_object();
    auto add = [&](const char *key) {
        cJSON *one = json_add_object(about.get(), key);
        json_add_text(one, "gitVersion", version);
        json_add_text(one, "major", std::to_string(pod_schema_major));
        json_add_text(one, "minor", std::to_string(pod_schema_minor));
        json_add_text(one, "platform", "linux");
    };
    add("clientVersion");
    if (!options_bool(c.o, "client", false))
        add("serverVersion");
    sandbox_report report;
    if (!options_bool(c.o, "client", false)) {
        report = sandbox_detect(c.state, c.sandbox);
        cJSON *sandbox = json_add_object(about.get(), "sandbox");
        json_add_text(sandbox, "pods", sandbox_kind_names[static_cast<size_t>(report.kind)]);
        json_add_text(sandbox, "message", report.text);
        if (!report.failure.empty())
            json_add_text(sandbox, "namespaces", report.failure);
        if (!report.place.empty())
            json_add_text(sandbox, "container", report.place);
    }
    if (output == "json")
        command_write(print_json(about.get()));
    else if (output == "yaml")
        command_write(yaml_print(about.get()));
    else if (output.empty())
        command_write("Client Version: " + version + "\n" +
                      (options_bool(c.o, "client", false) ? "" : "Server Version: " + version + "\nSandbox: " + report.text + "\n"));
    else
        return command_fail("--output must be 'yaml' or 'json'");
    return 0;
}

} // namespace etlnode::kubectl_local
