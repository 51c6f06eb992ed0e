// SPDX-License-Identifier: MIT
// kubectl_local/delete.cc: `delete`: asks the supervisor, or removes what has none.
#include "kubectl_local/commands.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/cgroup.h"
#include "kubectl_local/container.h"
#include "kubectl_local/netbox.h"
#include "kubectl_local/os.h"

namespace etlnode::kubectl_local {

static constexpr int look_again_ms = 100; // beside inotify, for what it cannot tell (a supervisor that died)

// A pod whose supervisor is dead, or that has ended: whoever gets the lock removes what is left.
static bool remove_unsupervised(const command &c, const pod_key &key, const std::string &uid)
{
    os_fd lock(state_lock_pod(c.state, key));
    if (lock.fd < 0)
        return false;
    json_ptr pod;
    if (!state_read_pod(c.state, key, pod) || state_pod_uid(pod.get()) != uid)
        return true; // already another pod of that name
    if (os_exists(state_pod_dir(c.state, key) + "/marked"))
        container_kill_left(uid, state_pod_dir(c.state, key));
    if (geteuid() == 0) {
        netbox_remove_interface(netbox_interface_name(uid));
        netbox_release_address(std::string(json_text(json_get(pod.get(), "status"), "podIP")));
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

static bool ask_for_deletion(const command &c, const found_pod &pod, int64_t grace_s, std::string &out_text)
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
    return value == 0 && !force ? 1 : static_cast<int64_t>(value); // as kubectl: 0 needs --force
}

// What the command line asks for.
struct deletion {
    std::vector<std::string> names; // empty: those of `wanted`
    selector wanted;
    bool force = false;
    int64_t grace = -1;
    uint64_t timeout_ms = 0; // 0: none
};

// 0, or the exit code: then the problem is on standard error.
static int read_deletion(const command &c, deletion &out)
{
    std::string resource;
    std::string text;
    int code = 0;
    bool all = options_bool(c.o, "all", false);
    if (c.o.words.empty())
        return command_fail("You must provide one or more resources by argument or filename.");
    if (!command_parse_names(c.o.words, resource, out.names, text))
        return command_fail(text);
    if (resource != "pods")
        return command_fail("kubectl-local can delete pods only");
    if (!command_parse_selector(c, out.wanted, code))
        return code;
    if (!out.names.empty() && (options_given(c.o, "selector") || all))
        return command_fail("name cannot be provided when a selector is specified");
    if (out.names.empty() && !all && !options_given(c.o, "selector"))
        return command_fail("resource(s) were provided, but no name was specified");
    out.force = options_bool(c.o, "force", false);
    out.grace = grace_of(c, out.force, text);
    if (text.empty() && !text_parse_duration_ms(options_text(c.o, "timeout", "0s"), out.timeout_ms))
        text = text_format("invalid argument \"%s\" for \"--timeout\" flag: time: invalid duration",
            text_escape(options_text(c.o, "timeout", ""), 80).c_str());
    return text.empty() ? 0 : command_fail(text);
}

static std::vector<found_pod> find_pods(const command &c, const deletion &asked, int &code)
{
    std::vector<found_pod> pods;
    if (asked.names.empty()) {
        // Not healed first: what has to go need not be started again.
        for (const pod_key &key : state_list_pods(c.state, c.all_namespaces ? "" : c.ns)) {
            found_pod one;
            one.key = key;
            if (command_is_record(key) && state_read_pod(c.state, key, one.pod) &&
                selector_matches(asked.wanted, json_get(json_get(one.pod.get(), "metadata"), "labels")))
                pods.push_back(std::move(one));
        }
        if (pods.empty())
            command_write("No resources found\n");
    }
    for (const std::string &name : asked.names) {
        found_pod one;
        one.key = {c.ns, name};
        if (command_is_record(one.key) && state_read_pod(c.state, one.key, one.pod))
            pods.push_back(std::move(one));
        else if (!options_bool(c.o, "ignore-not-found", false))
            code = command_fail_not_found("pods", name);
    }
    return pods;
}

static void wait_gone(const command &c, const std::vector<found_pod> &pods, uint64_t timeout_ms, state_ear &ear, int &code)
{
    uint64_t deadline = timeout_ms == 0 ? UINT64_MAX : os_now_ms() + timeout_ms;
    for (const found_pod &one : pods) {
        std::string uid = state_pod_uid(one.pod.get());
        while (is_still_there(c, one.key, uid)) {
            if (os_now_ms() >= deadline) {
                code = command_fail(text_format("timed out waiting for the condition on pods/%s", one.key.name.c_str()));
                break;
            }
            state_ear_wait(ear, look_again_ms, -1, {});
            if (is_still_there(c, one.key, uid) && remove_unsupervised(c, one.key, uid))
                break;
        }
    }
}

int command_delete(const command &c)
{
    deletion asked;
    if (int code = read_deletion(c, asked))
        return code;
    if (asked.force)
        fprintf(stderr, "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The "
                        "resource may continue to run on the cluster indefinitely.\n");
    int code = 0;
    state_ear ear;
    state_ear_open(ear, c.state);
    std::vector<found_pod> pods = find_pods(c, asked, code);
    bool by_name = options_text(c.o, "output", "") == "name";
    for (const found_pod &one : pods) {
        std::string text;
        if (!ask_for_deletion(c, one, asked.grace, text)) {
            code = command_fail(text);
            continue;
        }
        command_write(by_name ? "pod/" + one.key.name + "\n"
                              : text_format("pod \"%s\" %s\n", one.key.name.c_str(), asked.force ? "force deleted" : "deleted"));
    }
    if (options_bool(c.o, "wait", true))
        wait_gone(c, pods, asked.timeout_ms, ear, code);
    state_ear_close(ear);
    return code;
}

} // namespace etlnode::kubectl_local
