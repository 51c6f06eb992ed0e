// SPDX-License-Identifier: MIT
// kubectl_local/container.cc: one run of one container.
#include "kubectl_local/container.h"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <linux/keyctl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/text.h"
#include "codec/json.h"
#include "kubectl_local/os.h"
#include "kubectl_local/process_tree.h"
#include "kubectl_local/users.h"

namespace etlnode::kubectl_local {

// The log.

static constexpr size_t last_line_max = 1024;
static constexpr size_t log_piece_max = 64u * 1024; // of a line, before the file size is checked again

void log_open(log_writer &log, const std::string &path)
{
    log.path = path;
    log.fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    struct stat about = {};
    if (log.fd >= 0 && fstat(log.fd, &about) == 0)
        log.size = static_cast<uint64_t>(about.st_size);
    log.at_line_start = true;
}

void log_close(log_writer &log)
{
    if (log.fd >= 0)
        close(log.fd);
    log.fd = -1;
}

static void rotate(log_writer &log)
{
    log_close(log);
    rename(log.path.c_str(), (log.path + ".1").c_str());
    log_open(log, log.path);
}

void log_start_run(log_writer &log)
{
    std::string path = log.path;
    log_close(log);
    unlink((path + ".previous.1").c_str());
    rename((path + ".1").c_str(), (path + ".previous.1").c_str());
    rename(path.c_str(), (path + ".previous").c_str());
    log_open(log, path);
    log.last_line.clear();
}

void log_append(log_writer &log, std::string_view bytes)
{
    std::string out;
    while (!bytes.empty()) {
        // Rotate by bytes, not lines, so that an endless line cannot fill the disk. The rest of a split line becomes a line in the next
        // file.
        if (log.size + out.size() >= log_size_max) {
            if (!log.at_line_start)
                out += '\n';
            os_write_all(log.fd, out);
            out.clear();
            rotate(log);
        }
        if (log.at_line_start) {
            out += os_time_text_ns() + " ";
            log.last_line.clear();
        }
        size_t end = bytes.find('\n');
        std::string_view part = bytes.substr(0, end == std::string_view::npos ? end : end + 1);
        part = part.substr(0, log_piece_max);
        out += part;
        log.last_line += part.substr(0, last_line_max - std::min(last_line_max, log.last_line.size()));
        log.at_line_start = part.back() == '\n';
        bytes.remove_prefix(part.size());
    }
    log.size += out.size();
    if (!out.empty())
        os_write_all(log.fd, out); // on a full disk, log lines are lost but the container continues
}

// Processes.

static constexpr std::string_view mark_name = "KUBECTL_LOCAL_POD=";

static char state_of(pid_t pid)
{
    std::string text;
    size_t at;
    if (!os_read_file(text_format("/proc/%d/stat", pid), text) || (at = text.rfind(')')) == std::string::npos || at + 2 >= text.size())
        return 'X';
    return text[at + 2];
}

// Recognises a pod's processes. The signs are the mark of a bwrap that is still starting, ids that only this pod uses, and files of the
// pod's directory in their view.
struct leftover_scan {
    std::string environment;
    user_block users;
    std::vector<struct stat> files;
};

static constexpr const char *own_files[] = {"/etc/hostname", "/etc/hosts", "/etc/passwd", "/etc/group"};

static uint64_t number_in(const std::string &status, std::string_view key)
{
    size_t at = status.find(key);
    uint64_t number = 0;
    if (at == std::string::npos)
        return UINT64_MAX;
    std::string_view rest = std::string_view(status).substr(at + key.size());
    return text_parse_u64(rest.substr(0, rest.find_first_of("\t\n")), number) ? number : UINT64_MAX;
}

static bool is_left(const leftover_scan &start_check, const std::string &process)
{
    std::string text;
    if (os_read_file(process + "/environ", text) && text == start_check.environment)
        return true;
    if (!os_read_file(process + "/status", text) ||
        number_in(text, "PPid:\t") == static_cast<uint64_t>(getpid())) // the helper, which holds this supervisor's namespaces
        return false;
    uint64_t user = number_in(text, "Uid:\t");
    if (start_check.users.count != 0 && user >= start_check.users.base && user < uint64_t(start_check.users.base) + start_check.users.count)
        return true;
    for (const char *path : own_files) {
        struct stat about = {};
        if (stat((process + "/root" + path).c_str(), &about) != 0)
            continue;
        for (const struct stat &own : start_check.files)
            if (own.st_dev == about.st_dev && own.st_ino == about.st_ino)
                return true;
    }
    return false;
}

static size_t kill_left(const leftover_scan &start_check)
{
    size_t count = 0;
    std::vector<std::string> names;
    os_list("/proc", names);
    for (const std::string &name : names) {
        uint64_t pid = 0;
        if (!text_parse_u64(name, pid) || pid == static_cast<uint64_t>(getpid()))
            continue;
        os_fd process(static_cast<int>(
            syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0))); // open it before the check, because the number could be reused
        char state = process.fd >= 0 ? state_of(static_cast<pid_t>(pid)) : 'X';
        if (state != 'Z' && state != 'X' && is_left(start_check, "/proc/" + name) &&
            syscall(SYS_pidfd_send_signal, process.fd, SIGKILL, nullptr, 0) == 0)
            count++;
    }
    return count;
}

void container_kill_leftovers(const std::string &mark, const std::string &pod_dir)
{
    static constexpr int rounds_max = 2'000;
    static constexpr useconds_t round_us = 1'000;
    leftover_scan start_check;
    start_check.environment = std::string(mark_name) + mark + '\0';
    users_find(pod_dir, start_check.users);
    for (const char *path : own_files) {
        struct stat about = {};
        if (stat((pod_dir + path).c_str(), &about) == 0)
            start_check.files.push_back(about);
    }
    // A killed process may have a child that this scan has not seen. Repeat until no process is left.
    for (int round = 0; round < rounds_max && kill_left(start_check) > 0; round++)
        usleep(round_us);
}

bool container_is_dying(const container_run &run)
{
    if (run.bwrap == 0)
        return true;
    if (run.command == 0)
        return false;
    std::string text;
    if (!os_read_file(text_format("/proc/%d/stat", run.command), text))
        return true;
    size_t at = text.rfind(')'); // the name before it may contain anything
    if (at == std::string::npos)
        return true;
    // "(name) state ppid pgrp session tty tpgid flags": flags is the seventh field after the name.
    char state = 0;
    unsigned flags = 0;
    if (sscanf(text.c_str() + at + 1, " %c %*d %*d %*d %*d %*d %u", &state, &flags) != 2)
        return true;
    static constexpr unsigned exiting = 0x4; // PF_EXITING
    return state == 'Z' || state == 'X' || (flags & exiting) != 0;
}

// Whether bwrap's child has become the command. Before that it is bwrap itself, or the program that changes the user.
static bool is_command(const container_run &run, const std::string &program)
{
    return !program.empty() && program != run.bwrap_path && !program.ends_with("/bwrap") &&
           !(run.changes_user && program.ends_with("/setpriv"));
}

static void find_command(void *arg)
{
    container_run &run = *static_cast<container_run *>(arg);
    if (run.command != 0 && !run.started) {
        bool replaced = is_command(run, os_read_link(text_format("/proc/%d/exe", run.command)));
        if (replaced || os_now_ms() - run.spawned_ms > 1000) {
            run.started = true;
            run.on_started(run.arg);
            return;
        }
    }
    if (!run.started && run.bwrap != 0)
        loop_timer_arm(*run.l, run.start_check, os_now_ms() - run.spawned_ms < 200 ? 1 : 20);
}

static void take_status(container_run &run)
{
    char chunk[4096];
    ssize_t n;
    while ((n = read(run.status.fd, chunk, sizeof chunk)) > 0)
        if (run.status_text.size() < 65536)
            run.status_text.append(chunk, static_cast<size_t>(n));
    bool at_end = n == 0;
    size_t end;
    while ((end = run.status_text.find('\n')) != std::string::npos) {
        json_ptr line;
        std::string where;
        if (!json_parse(std::string_view(run.status_text).substr(0, end), line, where)) {
            uint64_t value = json_u64(line.get(), "child-pid", 0);
            if (value != 0 && run.command == 0) {
                run.command = static_cast<pid_t>(value);
                run.on_known(run.arg);
            }
            if (json_get(line.get(), "exit-code") != nullptr) {
                run.has_exit = true;
                run.exit_code = static_cast<int>(json_u64(line.get(), "exit-code", 0));
            }
        }
        run.status_text.erase(0, end + 1);
    }
    if (at_end) {
        int fd = run.status.fd;
        loop_watch_remove(*run.l, run.status);
        close(fd);
    }
}

static void on_status(void *arg, uint32_t) { take_status(*static_cast<container_run *>(arg)); }

static bool read_output(container_run &run)
{
    char chunk[65536];
    ssize_t n = read(run.output.fd, chunk, sizeof chunk);
    if (n > 0)
        log_append(*run.log, std::string_view(chunk, static_cast<size_t>(n)));
    if (n == 0) {
        int fd = run.output.fd;
        loop_watch_remove(*run.l, run.output);
        close(fd);
    }
    return n > 0;
}

static void on_output(void *arg, uint32_t) { read_output(*static_cast<container_run *>(arg)); }

struct spawn_plan {
    char *const *argv;
    int status_fd;
    int output_fd;
    int args_fd;
    int error_fd;
    const container_launch *launch;
    char *const *environment;
    pid_t supervisor;
};

// The descriptor numbers passed to bwrap.
static constexpr int bwrap_status_fd = 3;
static constexpr int bwrap_args_fd = 4;
static constexpr int bwrap_error_fd = 5; // exec closes it
static constexpr int bwrap_filter_fd = 6;

static constexpr const char *pod_oom_score = "500"; // pods are killed before the node

// Applied only after the switch to the pod's user. On kernels that count a user's processes across namespaces, an ordinary user could
// otherwise start nothing.
static void limit_tasks(const container_launch &launch)
{
    struct utsname about;
    unsigned major = 0;
    unsigned minor = 0;
    bool counts_inside = uname(&about) == 0 && sscanf(about.release, "%u.%u", &major, &minor) == 2 &&
                         (major > 5 || (major == 5 && minor >= 14));
    struct rlimit tasks = {launch.tasks_max, launch.tasks_max};
    if (launch.namespaces.kind == user_mapping::block || (launch.namespaces.kind == user_mapping::own_user && counts_inside))
        setrlimit(RLIMIT_NPROC, &tasks);
}

// Makes this process a member of the pod before it becomes bwrap. Returns "" on success.
static std::string join_pod(const container_launch &launch)
{
    std::string text;
    os_write_file("/proc/self/oom_score_adj", pod_oom_score);
    for (const std::string &path : launch.groups)
        if (!os_write_file(path, "0"))
            return text_format("%s: %s", path.c_str(), strerror(errno));
    bool has_namespaces = launch.stand_in.empty();
    if (has_namespaces && !pod_namespaces_enter_mounts(launch.namespaces))
        return text_format("cannot enter the pod's mounts: %s", strerror(errno));
    if (has_namespaces &&
        !mount_tree_build(launch.mounts, launch.namespaces.kind == user_mapping::block ? launch.namespaces.user_ns : -1, text))
        return text;
    if (has_namespaces && !pod_namespaces_enter(launch.namespaces))
        return text_format("cannot enter the pod's network: %s", strerror(errno));
    // Keeps the keys of the user who started the node out of the pod. Fails without key rings, which is fine.
    syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
    if (has_namespaces)
        limit_tasks(launch); // otherwise the tracer counts them
    struct rlimit files = {launch.files_max, launch.files_max};
    setrlimit(RLIMIT_NOFILE, &files);
    return "";
}

// bwrap sets this too, but would not notice that its parent had ended before.
static void end_with(pid_t supervisor)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != supervisor)
        _exit(125);
}

// container_spawn makes sure that the source descriptors are above the target numbers.
[[noreturn]] static void become_bwrap(const spawn_plan &plan)
{
    const container_launch &launch = *plan.launch;
    end_with(plan.supervisor);
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    std::string text = join_pod(launch);
    end_with(plan.supervisor); // changing the user has cleared it
    bool placed = dup2(null_fd, 0) == 0 && dup2(plan.output_fd, 1) == 1 && dup2(plan.output_fd, 2) == 2 &&
                  dup2(plan.status_fd, bwrap_status_fd) == bwrap_status_fd && dup2(plan.args_fd, bwrap_args_fd) == bwrap_args_fd &&
                  dup2(plan.error_fd, bwrap_error_fd) == bwrap_error_fd &&
                  (launch.filter_fd < 0 || dup2(launch.filter_fd, bwrap_filter_fd) == bwrap_filter_fd);
    if (text.empty() && !placed)
        text = strerror(errno);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGPIPE, SIG_DFL);
    fcntl(bwrap_error_fd, F_SETFD, FD_CLOEXEC);
    close_range(launch.filter_fd < 0 ? bwrap_filter_fd : bwrap_filter_fd + 1, ~0u, 0);
    if (text.empty()) {
        execve(launch.bwrap.c_str(), plan.argv, plan.environment);
        text = text_format("cannot start %s: %s", launch.bwrap.c_str(), strerror(errno));
    }
    _exit(os_write_all(bwrap_error_fd, text) ? 126 : 125);
}

static int raise_fd(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 16);
    int keep = errno;
    close(fd);
    errno = keep;
    return high;
}

static int args_file(const std::vector<std::string> &args)
{
    int fd = memfd_create("bwrap-args", MFD_CLOEXEC);
    std::string content;
    for (const std::string &arg : args) {
        content += arg;
        content += '\0';
    }
    if (fd >= 0 && (!os_write_all(fd, content) || lseek(fd, 0, SEEK_SET) != 0)) {
        close(fd);
        return -1;
    }
    return fd < 0 ? fd : raise_fd(fd);
}

bool container_spawn(container_run &run, const container_launch &launch, std::string &out_text)
{
    CHECK(run.bwrap == 0);
    int status_pipe[2];
    int output_pipe[2];
    int error_pipe[2];
    os_fd args_fd(args_file(launch.args));
    if (args_fd.fd < 0 || pipe2(status_pipe, O_CLOEXEC) != 0 || pipe2(output_pipe, O_CLOEXEC) != 0 || pipe2(error_pipe, O_CLOEXEC) != 0) {
        out_text = text_format("cannot start bwrap: %s", strerror(errno)); // too few descriptors; the pod's end closes the opened ones
        return false;
    }
    os_fd status_in(raise_fd(status_pipe[1]));
    os_fd output_in(raise_fd(output_pipe[1]));
    os_fd error_in(raise_fd(error_pipe[1]));
    std::vector<std::string> words = launch.stand_in.empty() ? std::vector<std::string>{"bwrap"} : launch.stand_in;
    words.insert(words.end(), {"--json-status-fd", std::to_string(bwrap_status_fd)});
    if (launch.filter_fd >= 0)
        words.insert(words.end(), {"--seccomp", std::to_string(bwrap_filter_fd)});
    words.insert(words.end(), {"--args", std::to_string(bwrap_args_fd), "--"});
    words.insert(words.end(), launch.command.begin(), launch.command.end());
    std::vector<char *> argv;
    for (std::string &word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    std::string marked = std::string(mark_name) + launch.mark; // in bwrap's own environment; --setenv sets the container's
    char *environment[] = {marked.data(), nullptr};
    spawn_plan plan = {argv.data(), status_in.fd, output_in.fd, args_fd.fd, error_in.fd, &launch, environment, getpid()};

    run.bwrap_path = launch.bwrap;
    run.command = 0;
    run.changes_user = !launch.command.empty() && launch.command[0].ends_with("/setpriv");
    run.started = run.killed = run.has_exit = false;
    run.status_text.clear();
    run.spawned_ms = os_now_ms();
    run.bwrap = fork();
    if (run.bwrap == 0)
        become_bwrap(plan);
    status_in.reset(-1);
    output_in.reset(-1);
    error_in.reset(-1);
    out_text = run.bwrap < 0 ? text_format("cannot start bwrap: %s", strerror(errno)) : "";
    char chunk[1024];
    ssize_t n;
    while (run.bwrap > 0 && (n = read(error_pipe[0], chunk, sizeof chunk)) > 0)
        out_text.append(chunk, static_cast<size_t>(n));
    close(error_pipe[0]);
    if (!out_text.empty()) {
        if (run.bwrap > 0)
            waitpid(run.bwrap, nullptr, 0);
        run.bwrap = 0;
        close(status_pipe[0]);
        close(output_pipe[0]);
        return false;
    }
    os_set_nonblocking(status_pipe[0]);
    os_set_nonblocking(output_pipe[0]);
    run.status.on_event = on_status;
    run.status.arg = &run;
    run.output.on_event = on_output;
    run.output.arg = &run;
    run.start_check.on_timer = find_command;
    run.start_check.arg = &run;
    loop_watch_add(*run.l, run.status, status_pipe[0], EPOLLIN);
    loop_watch_add(*run.l, run.output, output_pipe[0], EPOLLIN);
    loop_timer_arm(*run.l, run.start_check, 1);
    return true;
}

void container_finish(container_run &run, int wait_status, container_end &out_end)
{
    if (run.status.fd != -1)
        take_status(run);
    // The whole pid namespace is gone, so the pipe ends. The bound limits the cost of log rotation.
    for (int i = 0; i < 4096 && run.output.fd != -1 && read_output(run); i++) {
    }
    for (loop_watch *watch : {&run.status, &run.output})
        if (watch->fd != -1) {
            int fd = watch->fd;
            loop_watch_remove(*run.l, *watch);
            close(fd);
        }
    loop_timer_stop(run.start_check);
    out_end = container_end();
    bool not_found = run.changes_user && run.has_exit && !run.started && (run.exit_code == 126 || run.exit_code == 127) &&
                     run.log->last_line.starts_with("setpriv:");
    if (run.has_exit && !not_found)
        out_end.exit_code = run.exit_code;
    else if (run.killed || run.started || WIFSIGNALED(wait_status))
        out_end.exit_code = 128 + SIGKILL;
    else {
        // Without an exit-code line the command never ran. bwrap has printed the reason.
        out_end.never_started = true;
        out_end.exit_code = 128;
        out_end.text = std::string(text_trim(run.log->last_line.substr(0, run.log->last_line.find('\n'))));
        if (out_end.text.empty())
            out_end.text = text_format("bwrap ended with status %d", WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1);
    }
    run.bwrap = run.command = 0;
    run.started = false;
}

// Whether TERM has an effect: the process catches it, waits for it, or ignores it on purpose.
static bool expects_term(pid_t pid)
{
    std::string text;
    if (!os_read_file(text_format("/proc/%d/status", pid), text))
        return true;
    for (const char *field : {"\nSigBlk:", "\nSigIgn:", "\nSigCgt:"}) {
        size_t at = text.find(field);
        unsigned long long mask = 0;
        if (at != std::string::npos && sscanf(text.c_str() + at + 8, "%llx", &mask) == 1 && (mask >> (SIGTERM - 1) & 1) != 0)
            return true;
    }
    return false;
}

void container_terminate(container_run &run)
{
    if (run.command != 0 && expects_term(run.command))
        kill(run.command, SIGTERM);
    else
        container_kill(run);
}

void container_kill(container_run &run)
{
    run.killed = true;
    if (run.command != 0) {
        kill(run.command, SIGKILL);
        return;
    }
    if (run.bwrap == 0)
        return;
    // At this early moment the inner process may not yet have asked to die with bwrap. Stop bwrap first, then kill both.
    kill(run.bwrap, SIGSTOP);
    for (int i = 0; i < 100 && state_of(run.bwrap) != 'T' && state_of(run.bwrap) != 'Z' && state_of(run.bwrap) != 'X'; i++) {
        struct timespec pause = {0, 100'000};
        nanosleep(&pause, nullptr);
    }
    static constexpr size_t children_max = 64; // bwrap has one or two
    std::vector<pid_t> children;
    process_add_children(run.bwrap, children_max, children);
    for (pid_t child : children)
        kill(child, SIGKILL);
    kill(run.bwrap, SIGKILL);
}

} // namespace etlnode::kubectl_local
