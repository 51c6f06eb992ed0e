// SPDX-License-Identifier: MIT
// kubectl_local/supervisor_run.cc: runs the pod's containers one at a time: prepares each start and handles each end.
#include "kubectl_local/supervisor_state.h"

#include <algorithm>
#include <csignal>

#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/hints.h"
#include "kubectl_local/identity.h"
#include "kubectl_local/image.h"
#include "kubectl_local/pod_limits.h"
#include "kubectl_local/pod_namespaces.h"
#include "kubectl_local/syscall_filter.h"
#include "kubectl_local/termination_message.h"

namespace etlnode::kubectl_local {

static constexpr uint64_t backoff_first_ms = 1'000;
static constexpr uint64_t backoff_max_ms = 30'000;
static constexpr uint64_t healthy_run_ms = 60'000; // a run of this length resets the back-off
static constexpr uint64_t image_retry_ms = 1'000;
static constexpr uint64_t network_retry_ms = 5'000;

void supervisor_request_end(supervisor &s, uint64_t grace_ms)
{
    if (s.run.bwrap == 0)
        return;
    if (!s.run.started || grace_ms == 0) {
        container_kill(s.run);
        return;
    }
    container_terminate(s.run);
    if (s.run.killed)
        return;
    if (!s.kill_timer.armed || s.kill_timer.at_ms > os_now_ms() + grace_ms) // a repeated request can only shorten the grace period
        loop_timer_arm(s.l, s.kill_timer, grace_ms);
}

static void on_known(void *arg)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    pod_namespaces_guard(s.network.namespaces, s.run.command);
    // With the tracer, all processes are its descendants, including those that detached from the command.
    limit_watch_start(s.limits, s.unsandboxed ? s.run.bwrap : s.run.command);
}

static void on_started(void *arg)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    container_status &status = supervisor_current_status(s);
    status.state = container_state();
    status.state.phase = container_phase::running;
    status.state.started = time(nullptr);
    s.status.message.clear();
    if (supervisor_is_main(s)) {
        s.status.phase = "Running";
        pod_network_let_in(s.network, s.spec);
        supervisor_start_probes(s);
    } else
        status.started = true;
    supervisor_publish(s);
}

// Switches from root in the pod to the user in the spec. With a single mapped id, bwrap has already given it that user's name.
static void change_user(const container_context &context, std::vector<std::string> &command)
{
    const container_identity &identity = context.identity;
    if (context.kind == user_mapping::own_user || identity_is_root(identity))
        return;
    std::string groups;
    for (uint32_t group : identity.groups)
        groups += (groups.empty() ? "" : ",") + std::to_string(group);
    std::vector<std::string> words = {
        os_find_program("setpriv"), "--reuid", std::to_string(identity.user), "--regid", std::to_string(identity.group)};
    if (groups.empty())
        words.push_back("--clear-groups");
    else
        words.insert(words.end(), {"--groups", groups});
    words.push_back("--");
    command.insert(command.begin(), words.begin(), words.end());
}

// Ends the container. The next one of the pod starts as after any other end.
static void on_memory(void *arg, const std::string &message)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    s.out_of_memory = true;
    s.memory_text = message;
    container_kill(s.run);
}

// Like the kubelet: the pod has failed, whatever its restartPolicy says.
static void on_evict(void *arg, const std::string &message)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    s.evicted = message;
    supervisor_stop_probes(s);
    container_kill(s.run);
}

// Prepares the control groups with the container's limits. This process enforces limits that they do not cover.
static std::vector<std::string> prepare_limits(supervisor &s, const container_spec &container)
{
    if (!s.has_group)
        cgroup_open(s.group, {}, "kubectl-local-" + s.uid);
    s.has_group = true;
    container_limits limits = limits_read(container.object);
    cgroup_set(s.group, {limits.memory, limits.cpu, local_tasks_max});
    limit_watch_prepare(s.limits, {s.spec, container, s.dir, s.group, s.unsandboxed, supervisor_memory_root(s)});
    s.out_of_memory = false;
    s.memory_text.clear();
    return cgroup_join_files(s.group);
}

// A missing image may be created at any time, so check for it every second. False ends this attempt.
static bool find_image(supervisor &s, image_reference &out_reference, image_config &out_config)
{
    const std::string &name = supervisor_current_spec(s).image;
    reference_verdict verdict = image_parse_reference(name, out_reference);
    if (verdict == reference_verdict::invalid) {
        supervisor_set_waiting(s, "InvalidImageName",
            text_format("Failed to apply default image tag \"%s\": couldn't parse image name \"%s\": invalid reference format",
                name.c_str(), name.c_str()));
        supervisor_publish(s);
        s.waits_for = wait_for::deletion;
        return false;
    }
    std::string text;
    if (verdict == reference_verdict::digest)
        text = text_format("image \"%s\": kubectl-local does not support digests; use a tag", name.c_str());
    else {
        s.image_lock.reset(image_acquire(s.state, out_reference));
        if (image_load(s.state, out_reference, out_config, text)) {
            s.image_trouble.clear();
            return true;
        }
    }
    bool first = s.image_trouble.empty();
    s.image_trouble = text;
    if (first)
        supervisor_set_waiting(s, "ErrImagePull", text);
    else
        supervisor_set_waiting(
            s, "ImagePullBackOff", text_format("Back-off pulling image \"%s\": ErrImagePull: %s", name.c_str(), text.c_str()));
    supervisor_publish(s);
    supervisor_wait(s, image_retry_ms);
    return false;
}

static uint64_t next_delay(supervisor &s)
{
    uint64_t delay = s.crashes == 0 ? 0 : std::min(backoff_first_ms << std::min<uint32_t>(s.crashes - 1, 10), backoff_max_ms);
    s.crashes++;
    return delay;
}

// A failed start is retried like a crash.
static void retry_later(supervisor &s, const char *reason, const std::string &text)
{
    supervisor_set_waiting(s, reason, text);
    supervisor_publish(s);
    supervisor_wait(s, std::max(next_delay(s), backoff_first_ms));
}

// Adds the tracer's own options to bubblewrap's (guest_view.h).
static bool add_places(const supervisor &s, const mount_plan &mounts, std::vector<std::string> &args, std::string &out_text)
{
    std::vector<std::pair<std::string, std::string>> paths;
    if (!mount_tree_resolve(mounts, paths, out_text))
        return false;
    std::vector<std::string> more;
    for (const auto &[name, path] : paths)
        more.insert(more.end(), {"--place", name, path});
    if (!s.spec.host_network)
        more.insert(more.end(), {"--pod-address", s.network.pod_ip, "--port-shift", std::to_string(s.network.port_shift)});
    args.insert(args.begin(), more.begin(), more.end());
    return true;
}

// What a run of the current container is made of.
struct run_plan {
    container_context context;
    std::string bwrap;
    std::vector<std::string> stand_in; // runs this program in bubblewrap's place; empty with namespaces
    std::vector<std::string> command;
    std::vector<std::string> args;
    mount_plan mounts;
    os_fd filter;
};

// Fills the plan. False after scheduling a retry.
static bool plan_run(
    supervisor &s, const container_spec &container, const image_reference &image, const image_config &config, run_plan &plan)
{
    plan.context = supervisor_context_of(s, container);
    plan.context.rootfs = image_dir(s.state, image) + "/rootfs";
    env_list env = view_environment(container, config, plan.context);
    plan.command = view_command(container, config, env);
    std::string text;
    if (plan.command.empty()) {
        retry_later(s, "CreateContainerError",
            text_format("no command specified: neither the pod nor image %s names one", image_text(image).c_str()));
        return false;
    }
    if (s.unsandboxed)
        plan.stand_in = {"kubectl-local", "run-unsandboxed", "--scratch", s.dir + "/view"};
    plan.bwrap = s.unsandboxed ? os_read_link("/proc/self/exe") : os_find_program("bwrap");
    if (plan.bwrap.empty()) {
        retry_later(s, "CreateContainerError", "bwrap not found: kubectl-local needs bubblewrap (Debian: apt-get install bubblewrap)");
        return false;
    }
    if (view_build(s.spec, container, config, plan.context, env, plan.args, plan.mounts, text)) {
        const std::vector<std::string> &capabilities = plan.context.identity.capabilities;
        bool chroot = std::find(capabilities.begin(), capabilities.end(), "CAP_SYS_CHROOT") != capabilities.end();
        plan.filter.reset(syscall_filter_make({chroot}, text));
    }
    if (plan.filter.fd < 0) {
        retry_later(s, "CreateContainerError", text);
        return false;
    }
    termination_message_clear(supervisor_memory_root(s) + termination_message_dir(s.dir), container);
    if (s.unsandboxed && !add_places(s, plan.mounts, plan.args, text)) {
        retry_later(s, "RunContainerError", text);
        return false;
    }
    if (!s.unsandboxed)
        change_user(plan.context, plan.command);
    return true;
}

// Leftovers of an earlier supervisor would keep the network namespace and the image in use.
static void remove_leftovers(supervisor &s)
{
    if (!s.leftovers_removed && os_exists(s.dir + "/marked"))
        container_kill_leftovers(s.uid, s.dir);
    s.leftovers_removed = true;
    os_write_file(s.dir + "/marked", "");
}

// Each init container has its own log.
static void open_log(supervisor &s, const container_spec &container)
{
    std::string path = supervisor_is_main(s) ? s.dir + "/log" : s.dir + "/log-" + container.name;
    if (s.log.path != path) {
        log_close(s.log);
        log_open(s.log, path);
    }
}

static void spawn(supervisor &s, const container_spec &container, const run_plan &plan)
{
    container_status &status = supervisor_current_status(s);
    bool again = !status.id.empty();
    if (again) {
        status.restarts++;
        log_start_run(s.log);
    }
    std::string old_id = status.id;
    status.id = "local://" + os_random_hex(64);
    witness_forget(s.port_witness);
    s.liveness_failed = false;
    s.run.l = &s.l;
    s.run.log = &s.log;
    s.run.on_known = on_known;
    s.run.on_started = on_started;
    s.run.arg = &s;
    std::vector<std::string> groups = prepare_limits(s, container);
    std::string text;
    if (!container_spawn(s.run,
            {plan.bwrap, s.network.namespaces, plan.mounts, plan.args, plan.command, s.uid, groups, local_files_max, local_tasks_max,
                plan.filter.fd, plan.stand_in},
            text)) {
        status.id = old_id; // nothing has run
        status.restarts -= again ? 1 : 0;
        retry_later(s, "RunContainerError", text);
        return;
    }
    s.waits_for = wait_for::container_end;
}

void supervisor_start_current(supervisor &s)
{
    const container_spec &container = supervisor_current_spec(s);
    if (!s.spec.unsupported.empty()) {
        supervisor_set_waiting(s, "CreateContainerConfigError", s.spec.unsupported);
        supervisor_publish(s);
        s.waits_for = wait_for::deletion;
        return;
    }
    if (!s.network.open && !supervisor_open_network(s)) {
        supervisor_publish(s);
        supervisor_wait(s, network_retry_ms);
        return;
    }
    image_reference image;
    image_config config;
    if (!find_image(s, image, config))
        return;
    supervisor_current_status(s).image_id = config.id;
    run_plan plan;
    if (!plan_run(s, container, image, config, plan))
        return;
    remove_leftovers(s);
    open_log(s, container);
    spawn(s, container, plan);
}

static void on_attempt(void *arg)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    if (!s.deleting && !s.leaving)
        supervisor_start_current(s);
}

void supervisor_end_pod(supervisor &s, const char *phase)
{
    s.status.phase = phase;
    s.waits_for = wait_for::deletion;
    witness_close(s.port_witness);
    pod_network_close(s.network);
    cgroup_remove(s.group);
    supervisor_publish(s);
    loop_stop(s.l); // the record stays; deleting it needs no supervisor
}

static void next_init(supervisor &s)
{
    s.current++;
    s.crashes = 0;
    if (supervisor_is_main(s)) {
        s.status.initialized = true;
        if (s.status.container.id.empty())
            supervisor_set_waiting(s, "PodInitializing", "");
    }
    supervisor_publish(s);
    supervisor_start_current(s);
}

static void start_again(supervisor &s, const container_end &end)
{
    container_status &status = supervisor_current_status(s);
    status.last = status.state;
    status.has_last = true;
    uint64_t delay = next_delay(s);
    if (end.never_started && delay == 0)
        supervisor_set_waiting(s, "RunContainerError", end.text);
    else if (delay > 0)
        supervisor_set_waiting(s, "CrashLoopBackOff",
            text_format("back-off %s restarting failed container=%s pod=%s_%s(%s)%s%s", text_duration(delay).c_str(), status.name.c_str(),
                s.key.name.c_str(), s.key.ns.c_str(), s.uid.c_str(), end.never_started ? ": " : "", end.text.c_str()));
    else
        s.status.message = status.state.message; // `terminated` is shown until the next run starts
    supervisor_publish(s);
    supervisor_wait(s, delay);
}

void supervisor_container_ended(supervisor &s, const container_end &end)
{
    container_status &status = supervisor_current_status(s);
    supervisor_stop_probes(s);
    limit_watch_stop(s.limits);
    bool oom = s.out_of_memory || (end.exit_code == 128 + SIGKILL && cgroup_oom_kills(s.group) > s.limits.oom_before);
    loop_timer_stop(s.kill_timer);
    pod_network_container_ended(s.network);
    time_t now = time(nullptr);
    time_t started = status.state.phase == container_phase::running ? status.state.started : now;
    bool was_long = os_now_ms() - s.run.spawned_ms >= healthy_run_ms;
    status.state = container_state();
    status.state.phase = container_phase::terminated;
    status.state.exit_code = end.exit_code;
    status.state.reason = end.never_started ? "StartError" : oom ? "OOMKilled" : end.exit_code == 0 ? "Completed" : "Error";
    if (oom && s.memory_text.empty())
        s.memory_text = limit_watch_memory_text(s.limits);
    std::string words = termination_message_read(
        supervisor_memory_root(s) + termination_message_dir(s.dir), supervisor_current_spec(s), end.exit_code, s.log.path);
    status.state.message = !words.empty() ? words : s.liveness_failed ? s.status.message : oom ? s.memory_text : end.text;
    status.state.started = started;
    status.state.finished = now;
    status.state.container_id = status.id;
    status.ready = !supervisor_is_main(s) && end.exit_code == 0;
    status.started = false;
    s.status.message = status.state.message;
    if (was_long)
        s.crashes = 0;
    if (s.deleting || s.leaving) {
        supervisor_finish(s);
        return;
    }
    if (!s.evicted.empty()) {
        s.status.reason = "Evicted";
        s.status.message = s.evicted;
        supervisor_end_pod(s, "Failed");
        return;
    }
    bool failed = end.exit_code != 0;
    if (!supervisor_is_main(s) && !failed) {
        next_init(s);
        return;
    }
    bool again = supervisor_is_main(s)
                     ? s.spec.restart == restart_policy::always || (failed && s.spec.restart == restart_policy::on_failure)
                     : s.spec.restart != restart_policy::never;
    if (again)
        start_again(s, end);
    else
        supervisor_end_pod(s, failed ? "Failed" : "Succeeded");
}

void supervisor_explain_end(const supervisor &s, container_end &end)
{
    image_reference image;
    bool known = image_parse_reference(supervisor_current_spec(s).image, image) == reference_verdict::good;
    std::string hint = end.never_started ? hint_of_start(end.text, known ? image_dir(s.state, image) + "/rootfs" : "")
                                         : hint_of_exit(end.exit_code, s.log.last_line);
    if (!hint.empty())
        end.text = end.text.empty() ? "hint: " + hint : supervisor_with_hint(end.text, hint);
}

static void on_kill_timer(void *arg) { container_kill(static_cast<supervisor *>(arg)->run); }

void supervisor_prepare_run(supervisor &s)
{
    s.limits.l = &s.l;
    s.limits.on_memory = on_memory;
    s.limits.on_evict = on_evict;
    s.limits.arg = &s;
    struct {
        loop_timer *timer;
        void (*on_timer)(void *);
    } timers[] = {{&s.attempt, on_attempt}, {&s.kill_timer, on_kill_timer}};
    for (auto &one : timers) {
        one.timer->on_timer = one.on_timer;
        one.timer->arg = &s;
    }
}

} // namespace etlnode::kubectl_local
