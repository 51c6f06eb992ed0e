// SPDX-License-Identifier: MIT
// kubectl_local/supervisor_run.cc: the pod's containers, one at a time: what each is started with, and what its end means.
#include "kubectl_local/supervisor_state.h"

#include <algorithm>
#include <csignal>

#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/hints.h"
#include "kubectl_local/identity.h"
#include "kubectl_local/image.h"
#include "kubectl_local/last_words.h"
#include "kubectl_local/netbox.h"
#include "kubectl_local/pod_limits.h"
#include "kubectl_local/syscall_filter.h"

namespace etlnode::kubectl_local {

static constexpr uint64_t backoff_first_ms = 1'000;
static constexpr uint64_t backoff_max_ms = 30'000;
static constexpr uint64_t healthy_run_ms = 60'000; // a run this long clears the back-off
static constexpr uint64_t image_retry_ms = 1'000;
static constexpr uint64_t network_retry_ms = 5'000;

void supervisor_ask_to_end(supervisor &s, uint64_t grace_ms)
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
    if (!s.kill_timer.armed || s.kill_timer.at_ms > os_now_ms() + grace_ms) // asked again: only ever sooner
        loop_timer_arm(s.l, s.kill_timer, grace_ms);
}

static void on_known(void *arg)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    netbox_guard(s.network.box, s.run.command);
    // The tracer has them all below it, those too that left the command.
    keeper_start(s.keep, s.unsandboxed ? s.run.bwrap : s.run.command);
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

// Root in the pod becomes whoever the spec names; where one id is mapped, bwrap has given it the name.
static void change_user(const view_place &place, std::vector<std::string> &command)
{
    const container_identity &who = place.who;
    if (place.kind == netbox_kind::own_user || identity_is_root(who))
        return;
    std::string groups;
    for (uint32_t group : who.groups)
        groups += (groups.empty() ? "" : ",") + std::to_string(group);
    std::vector<std::string> words = {
        os_find_program("setpriv"), "--reuid", std::to_string(who.user), "--regid", std::to_string(who.group)};
    if (groups.empty())
        words.push_back("--clear-groups");
    else
        words.insert(words.end(), {"--groups", groups});
    words.push_back("--");
    command.insert(command.begin(), words.begin(), words.end());
}

// The container is ended, and the next one of the pod starts as after any other end.
static void on_memory(void *arg, const std::string &message)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    s.out_of_memory = true;
    s.memory_text = message;
    container_kill(s.run);
}

// As the kubelet does: the pod has failed, whatever its restartPolicy says.
static void on_evict(void *arg, const std::string &message)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    s.evicted = message;
    supervisor_stop_probes(s);
    container_kill(s.run);
}

// The control groups a container goes into, with its limits; what they cannot keep is looked after from here.
static std::vector<std::string> prepare_limits(supervisor &s, const container_spec &container)
{
    if (!s.has_group)
        cgroup_open(s.group, {}, "kubectl-local-" + s.uid);
    s.has_group = true;
    container_limits limits = limits_read(container.object);
    cgroup_set(s.group, {limits.memory, limits.cpu, local_tasks_max});
    keeper_prepare(s.keep, {s.spec, container, s.dir, s.group, s.unsandboxed, supervisor_memory_root(s)});
    s.out_of_memory = false;
    s.memory_text.clear();
    return cgroup_join_files(s.group);
}

// An image that is missing may be made at any time: looked for every second. False: the attempt ends here.
static bool find_image(supervisor &s, image_reference &out_reference, image_config &out_config)
{
    const std::string &name = supervisor_current_spec(s).image;
    reference_verdict verdict = image_parse_reference(name, out_reference);
    if (verdict == reference_verdict::invalid) {
        supervisor_set_waiting(s, "InvalidImageName",
            text_format("Failed to apply default image tag \"%s\": couldn't parse image name \"%s\": invalid reference format",
                name.c_str(), name.c_str()));
        supervisor_publish(s);
        s.at = stage::deletion;
        return false;
    }
    std::string text;
    if (verdict == reference_verdict::digest)
        text = text_format("image \"%s\": kubectl-local has no digests; name a tag", name.c_str());
    else {
        s.image_hold.reset(image_hold(s.state, out_reference));
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

// What could not be started at all is tried again as if it had crashed.
static void retry_later(supervisor &s, const char *reason, const std::string &text)
{
    supervisor_set_waiting(s, reason, text);
    supervisor_publish(s);
    supervisor_wait(s, std::max(next_delay(s), backoff_first_ms));
}

// What the tracer is told besides bubblewrap's options (guest_view.h).
static bool add_places(const supervisor &s, const stage_plan &stage, std::vector<std::string> &args, std::string &out_text)
{
    std::vector<std::pair<std::string, std::string>> paths;
    if (!stage_resolve(stage, paths, out_text))
        return false;
    std::vector<std::string> more;
    for (const auto &[name, path] : paths)
        more.insert(more.end(), {"--place", name, path});
    if (!s.spec.host_network)
        more.insert(more.end(), {"--pod-address", s.network.pod_ip, "--port-shift", std::to_string(s.network.port_shift)});
    args.insert(args.begin(), more.begin(), more.end());
    return true;
}

// Whether the pod can have containers now, and has its network.
static bool is_startable(supervisor &s)
{
    if (!s.spec.unsupported.empty()) {
        supervisor_set_waiting(s, "CreateContainerConfigError", s.spec.unsupported);
        supervisor_publish(s);
        s.at = stage::deletion;
        return false;
    }
    if (!s.network.open && !supervisor_open_network(s)) {
        supervisor_publish(s);
        supervisor_wait(s, network_retry_ms);
        return false;
    }
    return true;
}

// The files of a run: the mark for whoever has to find its processes, and the log.
static void open_files(supervisor &s, const container_spec &container)
{
    // What an earlier supervisor could not take along: it would hold the network namespace and the image.
    if (!s.swept && os_exists(s.dir + "/marked"))
        container_kill_left(s.uid, s.dir);
    s.swept = true;
    os_write_file(s.dir + "/marked", "");
    // An init container has a log of its own.
    std::string log_path = supervisor_is_main(s) ? s.dir + "/log" : s.dir + "/log-" + container.name;
    if (s.log.path != log_path) {
        log_close(s.log);
        log_open(s.log, log_path);
    }
}

// -1, and why not.
static int make_filter(const view_place &place, std::string &out_text)
{
    const std::vector<std::string> &capabilities = place.who.capabilities;
    bool chroot = std::find(capabilities.begin(), capabilities.end(), "CAP_SYS_CHROOT") != capabilities.end();
    return syscall_filter_make({chroot}, out_text);
}

void supervisor_start_current(supervisor &s)
{
    const container_spec &container = supervisor_current_spec(s);
    container_status &status = supervisor_current_status(s);
    image_reference image;
    image_config config;
    if (!is_startable(s) || !find_image(s, image, config))
        return;
    status.image_id = config.id;
    view_place place = supervisor_place_of(s, container);
    place.rootfs = image_dir(s.state, image) + "/rootfs";
    env_list env = view_environment(container, config, place);
    std::vector<std::string> command = view_command(container, config, env);
    std::vector<std::string> args;
    stage_plan stage;
    std::string text;
    if (command.empty()) {
        retry_later(s, "CreateContainerError",
            text_format("no command specified: neither the pod nor image %s names one", image_text(image).c_str()));
        return;
    }
    // Without namespaces this program takes bubblewrap's place.
    std::vector<std::string> stand_in;
    if (s.unsandboxed)
        stand_in = {"kubectl-local", "run-unsandboxed", "--scratch", s.dir + "/view"};
    std::string bwrap = s.unsandboxed ? os_read_link("/proc/self/exe") : os_find_program("bwrap");
    if (bwrap.empty()) {
        retry_later(s, "CreateContainerError", "bwrap not found: kubectl-local needs bubblewrap (Debian: apt-get install bubblewrap)");
        return;
    }
    os_fd filter;
    if (view_build(s.spec, container, config, place, env, args, stage, text))
        filter.reset(make_filter(place, text));
    if (filter.fd < 0) {
        retry_later(s, "CreateContainerError", text);
        return;
    }
    last_words_forget(supervisor_memory_root(s) + last_words_dir(s.dir), container);
    if (s.unsandboxed && !add_places(s, stage, args, text)) {
        retry_later(s, "RunContainerError", text);
        return;
    }
    open_files(s, container);
    bool again = !status.id.empty();
    if (again) {
        status.restarts++;
        log_turn(s.log);
    }
    std::string old_id = status.id;
    status.id = "local://" + os_random_hex(64);
    witness_forget(s.life);
    s.liveness_failed = false;
    s.run.l = &s.l;
    s.run.log = &s.log;
    s.run.on_known = on_known;
    s.run.on_started = on_started;
    s.run.arg = &s;
    if (!s.unsandboxed)
        change_user(place, command);
    std::vector<std::string> groups = prepare_limits(s, container);
    if (!container_spawn(s.run,
            {bwrap, s.network.box, stage, args, command, s.uid, groups, local_files_max, local_tasks_max, filter.fd, stand_in}, text)) {
        status.id = old_id; // nothing has run
        status.restarts -= again ? 1 : 0;
        retry_later(s, "RunContainerError", text);
        return;
    }
    s.at = stage::container_end;
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
    s.at = stage::deletion;
    witness_close(s.life);
    pod_network_close(s.network);
    cgroup_remove(s.group);
    supervisor_publish(s);
    loop_stop(s.l); // the record stays; whoever deletes it needs no supervisor
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
        s.status.message = status.state.message; // `terminated` is shown until the new one runs
    supervisor_publish(s);
    supervisor_wait(s, delay);
}

void supervisor_container_ended(supervisor &s, const container_end &end)
{
    container_status &status = supervisor_current_status(s);
    supervisor_stop_probes(s);
    keeper_stop(s.keep);
    bool oom = s.out_of_memory || (end.exit_code == 128 + SIGKILL && cgroup_oom_kills(s.group) > s.keep.oom_before);
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
        s.memory_text = keeper_memory_text(s.keep);
    std::string words = last_words_read(
        supervisor_memory_root(s) + last_words_dir(s.dir), supervisor_current_spec(s), end.exit_code, s.log.path);
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
    s.keep.l = &s.l;
    s.keep.on_memory = on_memory;
    s.keep.on_evict = on_evict;
    s.keep.arg = &s;
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
