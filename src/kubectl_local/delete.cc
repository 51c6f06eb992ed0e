// SPDX-License-Identifier: MIT
// kubectl_local/delete.cc: `delete`: asks the pod's supervisor, or removes the record of a pod without one.
#include "kubectl_local/commands.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/cgroup.h"
#include "kubectl_local/container.h"
#include "kubectl_local/os.h"
#include "kubectl_local/pod_namespaces.h"

namespace etlnode::kubectl_local {

static constexpr int recheck_ms = 100; // inotify does not report a supervisor that died

// For a pod that has ended or whose supervisor is dead: whoever gets the lock removes the record.
static bool remove_unsupervised(const command &c, const pod_key &key, const std::string &uid)
{
    os_fd lock(state_lock_pod(c.state, key));
    if (lock.fd < 0)
        return false;
    json_ptr pod;
    if (!state_read_pod(c.state, key, pod) || state_pod_uid(pod.get()) != uid)
        return true; // the name already belongs to another pod
    if (os_exists(state_pod_dir(c.state, key) + "/marked"))
        container_kill_leftovers(uid, state_pod_dir(c.state, key));
    if (geteuid() == 0) {
        pod_namespaces_remove_interface(pod_namespaces_interface_name(uid));
        pod_namespaces_release_address(std::string(json_text(json_get(pod.get(), "status"), "podIP")));
    }
    cgroup group;
    cgroup_open(group, {}, "kubectl-local-" + uid);
    cgroup_remove(group);
    state_remove_pod(c.state, key);
    return true;
}

static bool is_still_there(const command &c, const pod_key &key, const std::string &uid)
{
    json_ptr pod;
    return state_read_pod(c.state, key, pod) && state_pod_uid(pod.get()) == uid;
}

static bool request_deletion(const command &c, const found_pod &pod, int64_t grace_s, std::string &out_text)
{
    uint64_t grace = grace_s >= 0 ? static_cast<uint64_t>(grace_s)
                                  : json_u64(json_get(pod.pod.get(), "spec"), "terminationGracePeriodSeconds", 30);
    std::string dir = state_pod_dir(c.state, pod.key);
    std::string content = text_format("{\"gracePeriodSeconds\":%llu}", static_cast<unsigned long long>(grace));
    if (!os_replace_file(dir + "/terminate", content) && errno != ENOENT) {
        out_text = text_format("%s/terminate: %s", dir.c_str(), strerror(errno));
        return false;
    }
    if (remove_unsupervised(c, pod.key, state_pod_uid(pod.pod.get())))
        return true;
    pid_t supervisor = state_supervisor_pid(c.state, pod.key);
    if (supervisor > 0)
        kill(supervisor, SIGUSR1);
    return true;
}

static int64_t grace_of(const command &c, bool force, std::string &out_text)
{
    std::string text = options_text(c.o, "grace-period", "-1");
    uint64_t value = 0;
    bool negative = text.starts_with("-") && text_parse_u64(text.substr(1), value);
    if (!negative && (!text_parse_u64(text, value) || value > 86'400 * 365)) {
        out_text = text_format("invalid argument \"%s\" for \"--grace-period\" flag: strconv.ParseInt: parsing \"%s\": invalid syntax",
            text_escape(text, 80).c_str(), text_escape(text, 80).c_str());
        return -1;
    }
    bool now = options_bool(c.o, "now", false);
    if (now && !negative)
        out_text = "--now and --grace-period cannot be specified together";
    if (now)
        return 1;
    if (negative)
        return force ? 0 : -1;
    return value == 0 && !force ? 1 : static_cast<int64_t>(value); // kubectl requires --force with 0
}

struct deletion {
    std::vector<std::string> names; // empty: all pods that match `wanted`
    selector wanted;
    bool force = false;
    int64_t grace = 0;
    uint64_t timeout_ms = 0; // 0: wait forever
};

// False after printing the error; `out_code` is the exit code.
static bool parse_deletion(const command &c, deletion &d, int &out_code)
{
    std::string resource;
    std::string text;
    out_code = 1;
    bool all = options_bool(c.o, "all", false);
    if (c.o.words.empty())
        text = "You must provide one or more resources by argument or filename.";
    else if (command_parse_names(c.o.words, resource, d.names, text) && resource != "pods")
        text = "kubectl-local can only delete pods";
    else if (text.empty() && !command_parse_selector(c, d.wanted, out_code))
        return false;
    else if (text.empty() && !d.names.empty() && (options_given(c.o, "selector") || all))
        text = "name cannot be provided when a selector is specified";
    else if (text.empty() && d.names.empty() && !all && !options_given(c.o, "selector"))
        text = "resource(s) were provided, but no name was specified";
    if (text.empty()) {
        d.force = options_bool(c.o, "force", false);
        d.grace = grace_of(c, d.force, text);
    }
    if (text.empty() && !text_parse_duration_ms(options_text(c.o, "timeout", "0s"), d.timeout_ms))
        text = text_format("invalid argument \"%s\" for \"--timeout\" flag: time: invalid duration",
            text_escape(options_text(c.o, "timeout", ""), 80).c_str());
    if (text.empty())
        return true;
    out_code = command_fail(text);
    return false;
}

// Sets `out_code` if a named pod does not exist.
static std::vector<found_pod> find_pods(const command &c, const deletion &d, int &out_code)
{
    std::vector<found_pod> pods;
    if (d.names.empty()) {
        // Do not start supervisors first: a pod that will be deleted does not need a supervisor.
        for (const pod_key &key : state_list_pods(c.state, c.all_namespaces ? "" : c.ns)) {
            found_pod one;
            one.key = key;
            if (command_is_record(key) && state_read_pod(c.state, key, one.pod) &&
                selector_matches(d.wanted, json_get(json_get(one.pod.get(), "metadata"), "labels")))
                pods.push_back(std::move(one));
        }
        if (pods.empty())
            command_write("No resources found\n");
    }
    for (const std::string &name : d.names) {
        found_pod one;
        one.key = {c.ns, name};
        if (command_is_record(one.key) && state_read_pod(c.state, one.key, one.pod))
            pods.push_back(std::move(one));
        else if (!options_bool(c.o, "ignore-not-found", false))
            out_code = command_fail_not_found("pods", name);
    }
    return pods;
}

static bool wait_until_removed(const command &c, const found_pod &one, state_watch &watch, uint64_t deadline_ms)
{
    std::string uid = state_pod_uid(one.pod.get());
    while (is_still_there(c, one.key, uid)) {
        if (os_now_ms() >= deadline_ms)
            return false;
        state_watch_wait(watch, recheck_ms, -1, {});
        if (is_still_there(c, one.key, uid) && remove_unsupervised(c, one.key, uid))
            break;
    }
    return true;
}

int command_delete(const command &c)
{
    deletion d;
    int code = 0;
    if (!parse_deletion(c, d, code))
        return code;
    code = 0;
    if (d.force)
        fprintf(stderr, "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The "
                        "resource may continue to run on the cluster indefinitely.\n");
    state_watch watch;
    state_watch_open(watch, c.state);
    std::vector<found_pod> pods = find_pods(c, d, code);
    bool by_name = options_text(c.o, "output", "") == "name";
    for (const found_pod &one : pods) {
        std::string text;
        if (!request_deletion(c, one, d.grace, text)) {
            code = command_fail(text);
            continue;
        }
        command_write(by_name ? "pod/" + one.key.name + "\n"
                              : text_format("pod \"%s\" %s\n", one.key.name.c_str(), d.force ? "force deleted" : "deleted"));
    }
    uint64_t deadline_ms = d.timeout_ms == 0 ? UINT64_MAX : os_now_ms() + d.timeout_ms;
    bool must_wait = options_bool(c.o, "wait", true);
    for (const found_pod &one : pods)
        if (must_wait && !wait_until_removed(c, one, watch, deadline_ms))
            code = command_fail(text_format("timed out waiting for the condition on pods/%s", one.key.name.c_str()));
    state_watch_close(watch);
    return code;
}

} // namespace etlnode::kubectl_local
