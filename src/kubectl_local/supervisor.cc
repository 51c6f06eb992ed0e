// SPDX-License-Identifier: MIT
// kubectl_local/supervisor.cc: the process that keeps one pod running.
//
// Owns     the pod's record while it lives, its namespaces, one container run at a time, relays, probes, the log.
// Knows    container, pod_network, prober, view, status, state.     Known by  main (command `supervise`).
// Parts    supervisor_network.cc, supervisor_probes.cc, supervisor_run.cc; supervisor_state.h holds what they share.
// Normal   Opens the network, runs init containers in order, then the container, which becomes Ready. On deletion: TERM, grace period,
//          KILL, removal of everything.
// Fails    A container that ends is restarted according to restartPolicy: immediately the first time, then after 1 s, 2 s, 4 s ... 30 s.
//          A run of one minute resets this series. A missing image is checked for every second. A supervisor that dies takes the
//          container with it. The next call of kubectl-local starts another supervisor, which continues from the record.
#include "kubectl_local/supervisor.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/image.h"
#include "kubectl_local/pod_namespaces.h"
#include "kubectl_local/sandbox.h"
#include "kubectl_local/supervisor_state.h"

namespace etlnode::kubectl_local {

static constexpr uint64_t record_check_ms = 5'000; // checks whether the record was removed under us
static constexpr uint64_t leave_grace_ms = 5'000;  // used when the supervisor itself is asked to end

// False if another process removed the record; its name may already belong to another pod.
static bool record_is_ours(const supervisor &s)
{
    struct stat mine;
    struct stat named;
    return fstat(s.lock.fd, &mine) == 0 && stat((s.dir + "/lock").c_str(), &named) == 0 && mine.st_ino == named.st_ino;
}

void supervisor_publish(supervisor &s)
{
    if (!record_is_ours(s))
        return;
    status_write(s.status, s.pod.get());
    // Every write changes the version, so compare without it.
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(s.pod.get(), "metadata");
    cJSON_DeleteItemFromObjectCaseSensitive(metadata, "resourceVersion");
    std::string text = json_print(s.pod.get());
    if (text == s.published)
        return;
    if (state_write_pod(s.state, s.key, s.pod.get()))
        s.published = text;
    else
        fprintf(stderr, "%s record not written: %s\n", os_time_text_ns().c_str(), strerror(errno));
}

void supervisor_wait(supervisor &s, uint64_t after_ms)
{
    s.waits_for = wait_for::next_attempt;
    loop_timer_arm(s.l, s.attempt, after_ms);
}

std::string supervisor_memory_root(const supervisor &s) { return s.unsandboxed ? "" : os_root_of(s.network.namespaces.helper); }

void supervisor_set_waiting(supervisor &s, const std::string &reason, const std::string &message)
{
    container_status &status = supervisor_current_status(s);
    status.state = container_state();
    status.state.reason = reason;
    status.state.message = message;
    status.ready = false;
    status.started = false;
    s.status.message = message;
}

// Deletion and signals.

void supervisor_finish(supervisor &s)
{
    s.waits_for = wait_for::deletion;
    if (s.deleting && s.status.container.state.phase == container_phase::terminated)
        s.status.phase = s.status.container.state.exit_code == 0 ? "Succeeded" : "Failed";
    supervisor_publish(s);
    witness_close(s.port_witness);
    pod_network_close(s.network);
    cgroup_remove(s.group);
    log_close(s.log);
    s.image_lock.reset(-1);
    image_remove_unused(s.state);
    if (s.deleting && geteuid() == 0)
        pod_namespaces_release_address(s.status.pod_ip);
    if (s.deleting && record_is_ours(s))
        state_remove_pod(s.state, s.key); // last, so that a caller waiting for the deletion finds nothing left
    loop_stop(s.l);
}

static void take_termination(supervisor &s)
{
    std::string text;
    std::string where;
    json_ptr request;
    if (!os_read_file(s.dir + "/terminate", text) || json_parse(text, request, where))
        return;
    uint64_t grace = json_u64(request.get(), "gracePeriodSeconds", s.spec.grace_s);
    bool first = !s.deleting;
    s.deleting = true;
    loop_timer_stop(s.attempt);
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(s.pod.get(), "metadata");
    cJSON_DeleteItemFromObjectCaseSensitive(metadata, "deletionTimestamp");
    cJSON_DeleteItemFromObjectCaseSensitive(metadata, "deletionGracePeriodSeconds");
    json_add_text(metadata, "deletionTimestamp", os_time_text(time(nullptr) + static_cast<time_t>(grace)));
    json_add_u64(metadata, "deletionGracePeriodSeconds", grace);
    if (first)
        supervisor_stop_probes(s);
    supervisor_publish(s);
    if (s.run.bwrap == 0)
        supervisor_finish(s);
    else
        supervisor_request_end(s, grace * 1000);
}

static void leave(supervisor &s)
{
    s.leaving = true;
    loop_timer_stop(s.attempt);
    supervisor_stop_probes(s);
    if (s.run.bwrap == 0)
        supervisor_finish(s);
    else
        supervisor_request_end(s, std::min(s.spec.grace_s * 1000, leave_grace_ms));
}

static void reap(supervisor &s)
{
    int status = 0;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == s.network.namespaces.helper) {
            // The pod cannot run without its namespaces. The next supervisor creates new ones.
            fprintf(stderr, "%s the network helper died\n", os_time_text_ns().c_str());
            s.network.namespaces.helper = 0;
            container_kill(s.run);
            leave(s);
            continue;
        }
        if (pid != s.run.bwrap)
            continue; // an orphan of a container, which this subreaper has adopted
        container_end end;
        container_finish(s.run, status, end);
        supervisor_explain_end(s, end);
        supervisor_container_ended(s, end);
    }
}

static void on_signal(void *arg, uint32_t)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    struct signalfd_siginfo info;
    while (read(s.signals.fd, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        if (info.ssi_signo == SIGUSR1)
            take_termination(s);
        else if (info.ssi_signo != SIGCHLD && !s.deleting)
            leave(s);
    }
    reap(s);
}

static void on_record_check(void *arg)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    if (record_is_ours(s)) {
        loop_timer_arm(s.l, s.record_check, record_check_ms);
        return;
    }
    fprintf(stderr, "%s the record was removed\n", os_time_text_ns().c_str());
    s.leaving = true;
    loop_timer_stop(s.attempt);
    supervisor_stop_probes(s);
    if (s.run.bwrap != 0)
        container_kill(s.run);
    else
        supervisor_finish(s);
}

// Start.

static void fill_status(supervisor &s)
{
    pod_status old;
    status_read(s.pod.get(), old);
    s.status = pod_status();
    s.status.started = old.started != 0 ? old.started : time(nullptr);
    s.status.initialized = s.spec.init_containers.empty();
    auto fill = [](container_status &status, const container_spec &spec) {
        status.name = spec.name;
        status.image = spec.image;
    };
    for (size_t i = 0; i < s.spec.init_containers.size(); i++) {
        s.status.init.emplace_back();
        if (i < old.init.size())
            s.status.init.back() = old.init[i];
        fill(s.status.init.back(), s.spec.init_containers[i]);
    }
    container_status &main = s.status.container;
    main = old.container;
    fill(main, s.spec.container);
    main.ready = main.started = false;
    // The container of an earlier supervisor died with it.
    if (main.state.phase == container_phase::running) {
        main.state.phase = container_phase::terminated;
        main.state.exit_code = 128 + SIGKILL;
        main.state.reason = "ContainerStatusUnknown";
        main.state.message = "The container ended together with its supervisor";
        main.state.finished = time(nullptr);
        main.state.container_id = main.id;
    }
    if (main.state.phase == container_phase::terminated) {
        main.last = main.state;
        main.has_last = true;
    } else if (main.id.empty()) {
        main.state = container_state();
        main.state.reason = s.spec.init_containers.empty() ? "ContainerCreating" : "PodInitializing";
    }
    for (container_status &one : s.status.init)
        if (one.id.empty()) {
            one.state = container_state();
            one.state.reason = "PodInitializing";
        }
}

static bool open_signals(supervisor &s)
{
    sigset_t set;
    sigemptyset(&set);
    for (int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1})
        sigaddset(&set, number);
    int fd = sigprocmask(SIG_BLOCK, &set, nullptr) == 0 ? signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
    if (fd < 0)
        return false;
    s.signals.on_event = on_signal;
    s.signals.arg = &s;
    loop_watch_add(s.l, s.signals, fd, EPOLLIN);
    return true;
}

static void start(supervisor &s)
{
    supervisor_prepare_probes(s);
    supervisor_prepare_run(s);
    s.record_check.on_timer = on_record_check;
    s.record_check.arg = &s;
    loop_timer_arm(s.l, s.record_check, record_check_ms);
    bool was_running = s.status.container.state.phase == container_phase::terminated;
    if (os_exists(s.dir + "/terminate")) {
        take_termination(s);
        return;
    }
    if (was_running && (s.spec.restart == restart_policy::never ||
                           (s.spec.restart == restart_policy::on_failure && s.status.container.state.exit_code == 0))) {
        supervisor_end_pod(s, s.status.container.state.exit_code == 0 ? "Succeeded" : "Failed");
        return;
    }
    if (!s.status.container.id.empty())
        supervisor_publish(s); // at once, so that a dead container is not reported as running
    supervisor_start_current(s);
}

static void read_allowed(supervisor &s)
{
    std::string text;
    std::string where;
    json_ptr tree;
    if (os_read_file(s.dir + "/allowed.json", text) && !json_parse(text, tree, where))
        allow_from_json(tree.get(), s.allowed);
}

int supervisor_main(const local_state &state, const pod_key &key)
{
    supervisor s;
    s.state = state;
    s.key = key;
    s.dir = state_pod_dir(state, key);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    // Set up signals before taking the lock, because any process that sees the lock may send one.
    if (!loop_open(s.l) || !open_signals(s))
        return 1;
    s.lock.reset(state_lock_pod(state, key));
    int code = 0;
    if (s.lock.fd >= 0 && state_read_pod(state, key, s.pod)) {
        s.uid = state_pod_uid(s.pod.get());
        s.unsandboxed = sandbox_pod_is_unsandboxed(s.pod.get());
        pod_read_spec(s.pod.get(), s.spec);
        read_allowed(s);
        fill_status(s);
        std::string_view phase = json_text(json_get(s.pod.get(), "status"), "phase");
        bool ended = phase == "Succeeded" || phase == "Failed";
        if (!ended || os_exists(s.dir + "/terminate")) {
            start(s);
            loop_run(s.l);
        }
        log_close(s.log);
    } else if (s.lock.fd >= 0) {
        // A power failure tore the record before its creation was reported.
        fprintf(stderr, "%s unreadable record removed\n", os_time_text_ns().c_str());
        state_remove_pod(state, key);
    }
    int fd = s.signals.fd;
    loop_watch_remove(s.l, s.signals);
    close(fd);
    loop_close(s.l);
    return code;
}

} // namespace etlnode::kubectl_local
