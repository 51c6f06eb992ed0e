// SPDX-License-Identifier: MIT
// kubectl_local/create.cc: `create`: creates pods from files or stdin.
#include "kubectl_local/commands.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "codec/yaml.h"
#include "kubectl_local/allow.h"
#include "kubectl_local/baseline.h"
#include "kubectl_local/cgroup.h"
#include "kubectl_local/os.h"
#include "kubectl_local/pod.h"
#include "kubectl_local/pod_limits.h"
#include "kubectl_local/sandbox.h"
#include "node/api.h"

namespace etlnode::kubectl_local {

static bool read_stdin(std::string &out_content)
{
    char chunk[65536];
    ssize_t n;
    while ((n = read(STDIN_FILENO, chunk, sizeof chunk)) > 0) {
        out_content.append(chunk, static_cast<size_t>(n));
        if (out_content.size() > spec_size_max) {
            errno = EFBIG;
            return false;
        }
    }
    return n == 0;
}

static bool parse_object(const std::string &content, const std::string &source, json_ptr &out_object, std::string &out_text)
{
    std::string where;
    size_t first = content.find_first_not_of(" \t\r\n");
    if (first != std::string::npos && content[first] == '{') {
        if (!json_parse(content, out_object, where))
            return true;
        // Not an error yet: flow-style YAML also begins with a brace.
    }
    yaml_ptr tree;
    std::string yaml_where;
    if (!yaml_parse(content, tree, yaml_where)) {
        // Print and parse it again, so that numbers become numbers, as the rest of the program expects.
        out_object = yaml_to_json(*tree);
        if (out_object != nullptr && !json_parse(json_print(out_object.get()), out_object, where))
            return true;
        yaml_where = where;
        where.clear();
    }
    bool is_json = !where.empty();
    out_text = text_format(
        "error parsing %s: error converting YAML to JSON: yaml: %s", source.c_str(), is_json ? where.c_str() : yaml_where.c_str());
    return false;
}

static void warn_about_sandbox(const std::string &name, const sandbox_report &report)
{
    fprintf(stderr,
        "Warning: pod/%s runs unsandboxed, because namespaces cannot be created here (%s). It shares the machine's network, processes "
        "and files with everything else here (docs/RELIABILITY.md, \"Without namespaces\")\n",
        name.c_str(), report.failure.c_str());
}

static void replace_all(std::string &text, std::string_view from, std::string_view to)
{
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, from.size(), to);
}

// Refuses what the API server would refuse under the standard "baseline". Only the owner of this machine can allow more.
static bool keeps_baseline(const command &c, const pod_key &key, const cJSON *pod, const std::string &source, allow_list &out_allowed)
{
    std::string text;
    std::string hint;
    if (!allow_read(c.state, out_allowed, text))
        fprintf(stderr, "Warning: %s\n", text.c_str());
    text = baseline_violations(pod, out_allowed, hint);
    if (text.empty())
        return true;
    fprintf(stderr, "Error from server (Forbidden): error when creating \"%s\": pods \"%s\" is forbidden: %s\n", source.c_str(),
        key.name.c_str(), text.c_str());
    if (!hint.empty())
        fprintf(stderr, "The owner of this machine can allow it: etlnode %s, or %s/allow.yaml\n", hint.c_str(), c.state.dir.c_str());
    return false;
}

// Warns if AIS_TARGET_URL names an address that was not granted. The variable alone grants nothing.
static void warn_about_target(const command &c, const cJSON *pod, const allow_list &allowed)
{
    const cJSON *spec = json_get(pod, "spec");
    const cJSON *variable;
    std::string url;
    size_t index = 0;
    size_t at = 0;
    cJSON_ArrayForEach(variable, json_get(cJSON_GetArrayItem(json_get(spec, "containers"), 0), "env"))
    {
        if (json_text(variable, "name") == env_target_url) {
            url = json_text(variable, "value");
            at = index;
        }
        index++;
    }
    if (url.empty() || cJSON_IsTrue(json_get(spec, "hostNetwork")) || allow_has_target(allowed, url))
        return;
    fprintf(stderr,
        "Warning: spec.containers[0].env[%zu]: the pod cannot reach %s: only a node can grant its own address to the pods that it creates, "
        "a "
        "spec cannot. The owner of this machine can allow it with `targets` in %s/allow.yaml\n",
        at, text_escape(url.substr(0, url.find('/', std::min(url.size(), url.find("://") + 3))), 200).c_str(), c.state.dir.c_str());
}

// Warns once, at creation, about limits in the spec that cannot be enforced here, as an API server prints warnings.
static void warn_about_limits(const cJSON *pod)
{
    cgroup group;
    if (limits_are_set(json_get(pod, "spec"))) { // trying control groups costs a few milliseconds
        cgroup_open(group, {}, "kubectl-local-" + state_pod_uid(pod));
        cgroup_set(group, {1ull << 30, 1, local_tasks_max});
    }
    for (const std::string &text : limits_warnings(json_get(pod, "spec"), group))
        fprintf(stderr, "Warning: %s\n", text.c_str());
    cgroup_remove(group);
}

// Whether the object has a resourceVersion, as the output of `get -o yaml` does. A stored object must not have one; a dry run accepts it,
// and a text that is not a number counts as none.
static bool has_version(const cJSON *object)
{
    uint64_t version = 0;
    return text_parse_u64(json_text(json_get(object, "metadata"), "resourceVersion"), version) && version != 0;
}

// Reads the pod in `file`. False after printing the error.
static bool read_pod(const std::string &file, const std::string &source, json_ptr &out_pod)
{
    std::string content;
    std::string text;
    if (file != "-" && !os_exists(file))
        text = text_format("the path \"%s\" does not exist", text_escape(file, 400).c_str());
    else if (file == "-" ? !read_stdin(content) : !os_read_file(file, content, spec_size_max))
        text = text_format("reading %s: %s", source.c_str(), strerror(errno));
    else if (content.find_first_not_of(" \t\r\n") == std::string::npos)
        text = "no objects passed to create";
    else if (parse_object(content, source, out_pod, text))
        return true;
    command_fail(text);
    return false;
}

// Records the pod and starts its supervisor. Returns the exit code.
static int store_pod(const command &c, const std::string &source, const pod_key &key, cJSON *pod, const allow_list &allowed)
{
    sandbox_report report = sandbox_detect(c.state, c.sandbox);
    if (report.kind == sandbox_kind::refused)
        return command_fail(report.text);
    std::string need = report.kind == sandbox_kind::none ? sandbox_find_need(pod) : "";
    if (!need.empty())
        return command_fail(
            text_format("%s needs namespaces, which cannot be created here (%s): remove it, or run the pod on a machine that allows them",
                need.c_str(), report.failure.c_str()));
    sandbox_mark_pod(pod, report.kind);
    warn_about_limits(pod);
    if (report.kind == sandbox_kind::namespaces)
        warn_about_target(c, pod, allowed);
    std::string text;
    state_create_result result = state_create_pod(c.state, key, pod, json_print(allow_to_json(allowed).get()), text);
    if (result == state_create_result::exists) {
        fprintf(stderr, "Error from server (AlreadyExists): error when creating \"%s\": pods \"%s\" already exists\n", source.c_str(),
            key.name.c_str());
        return 1;
    }
    bool is_created = result == state_create_result::created;
    if (is_created && !state_spawn_supervisor(c.state, key, text)) {
        os_fd lock(state_lock_pod(c.state, key));
        if (lock.fd >= 0)
            state_remove_pod(c.state, key);
        is_created = false;
    }
    if (!is_created) {
        fprintf(stderr, "Error from server (InternalError): error when creating \"%s\": %s\n", source.c_str(), text.c_str());
        return 1;
    }
    if (report.kind == sandbox_kind::none)
        warn_about_sandbox(key.name, report);
    return 0;
}

static void print_created(const command &c, const pod_key &key, const cJSON *pod, const std::string &dry_run)
{
    std::string output = options_text(c.o, "output", "");
    if (output == "json")
        command_write(print_json(pod));
    else if (output == "yaml")
        command_write(yaml_print(pod));
    else if (output == "name")
        command_write("pod/" + key.name + "\n");
    else
        command_write("pod/" + key.name + " created" + (dry_run.empty() ? "" : " (" + dry_run + " dry run)") + "\n");
}

static int create_one(const command &c, const std::string &file)
{
    std::string source = file == "-" ? "STDIN" : file;
    json_ptr pod;
    if (!read_pod(file, source, pod))
        return 1;
    pod_key key;
    std::string text;
    bool has_old_version = has_version(pod.get());
    if (!pod_admit(pod.get(), c.ns, c.ns_given, c.node, key, text)) {
        replace_all(text, "\"STDIN\"", "\"" + source + "\"");
        fprintf(stderr, "%s\n", text.c_str());
        return 1;
    }
    allow_list allowed;
    if (!keeps_baseline(c, key, pod.get(), source, allowed))
        return 1;
    std::string dry_run = options_text(c.o, "dry-run", "none");
    if (dry_run != "client" && dry_run != "server") {
        if (has_old_version) {
            fprintf(stderr, "Error from server: error when creating \"%s\": resourceVersion should not be set on objects to be created\n",
                source.c_str());
            return 1;
        }
        int code = store_pod(c, source, key, pod.get(), allowed);
        if (code != 0)
            return code;
        dry_run.clear();
    }
    print_created(c, key, pod.get(), dry_run);
    return 0;
}

int command_create(const command &c)
{
    std::vector<std::string> files = options_all(c.o, "filename");
    if (files.empty())
        return command_fail("must specify one of -f and -k");
    std::string output = options_text(c.o, "output", "");
    if (!output.empty() && output != "json" && output != "yaml" && output != "name")
        return command_fail(
            text_format("unable to match a printer suitable for the output format \"%s\", allowed formats are: json,name,yaml",
                text_escape(output, 80).c_str()));
    int code = 0;
    for (const std::string &file : files)
        code = std::max(code, create_one(c, file));
    return code;
}

} // namespace etlnode::kubectl_local
