// SPDX-License-Identifier: MIT
// kubectl_local/tracer.cc: runs a container where namespaces cannot be created.
//
// Owns     the processes of one container run: they die with it (PTRACE_O_EXITKILL).
// Knows    guest_view, trace_calls.     Known by  main (the hidden command that container.cc starts).
// Normal   The command stops at a call, the call is rewritten, and the command continues. Its end ends everything.
// Fails    If a command cannot be started, prints a line on stderr and no exit code, as bubblewrap does.
#include "kubectl_local/tracer.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/os.h"
#include "kubectl_local/trace_calls.h"
#include "kubectl_local/trace_memory.h"

namespace etlnode::kubectl_local {

static constexpr uint64_t end_wait_ms = 5'000; // for killed processes
static constexpr int seize_options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                                     PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;

struct tracer {
    trace_state state;
    std::set<pid_t> early; // stopped before their parent reported them
    pid_t command = 0;
    bool has_ended = false;
    int end_status = 0;
};

// Threads and their memory.

static int new_space(tracer &t)
{
    int id = ++t.state.last_space;
    t.state.spaces[id].users = 1;
    return id;
}

static void leave_space(tracer &t, tracee &thread, bool returns_scratch)
{
    auto found = t.state.spaces.find(thread.space);
    if (found == t.state.spaces.end())
        return;
    if (returns_scratch && thread.scratch != 0)
        found->second.free_scratch.push_back(thread.scratch);
    thread.scratch = 0;
    if (--found->second.users == 0)
        t.state.spaces.erase(found);
}

static void add_thread(tracer &t, pid_t tid, pid_t tgid, int space)
{
    tracee thread;
    thread.tid = tid;
    thread.tgid = tgid;
    thread.space = space;
    t.state.tracees[tid] = thread;
    t.state.processes[tgid]++;
}

static void remove_thread(tracer &t, pid_t tid)
{
    auto found = t.state.tracees.find(tid);
    if (found == t.state.tracees.end())
        return;
    leave_space(t, found->second, true);
    auto process = t.state.processes.find(found->second.tgid);
    if (process != t.state.processes.end() && --process->second == 0)
        t.state.processes.erase(process);
    t.state.tracees.erase(found);
}

static void go_on(pid_t tid, int signal_number) { ptrace(PTRACE_CONT, tid, nullptr, static_cast<uintptr_t>(signal_number)); }

static void handle_new_thread(tracer &t, tracee &parent)
{
    unsigned long child = 0;
    if (ptrace(PTRACE_GETEVENTMSG, parent.tid, nullptr, &child) != 0)
        return;
    pid_t tid = static_cast<pid_t>(child);
    uint64_t flags = parent.clone_flags;
    int space = parent.space;
    if ((flags & CLONE_VM) != 0)
        t.state.spaces[space].users++;
    else {
        // The copied memory includes our scratch, all of it unused.
        space = new_space(t);
        t.state.spaces[space].all_scratch = t.state.spaces[parent.space].all_scratch;
        t.state.spaces[space].free_scratch = t.state.spaces[space].all_scratch;
    }
    add_thread(t, tid, (flags & CLONE_THREAD) != 0 ? parent.tgid : tid, space);
    if (t.early.erase(tid) != 0)
        go_on(tid, 0);
}

// All threads except the one that started the program are gone, and that one now has the process's number.
static void handle_program(tracer &t, pid_t tid)
{
    unsigned long former = 0;
    ptrace(PTRACE_GETEVENTMSG, tid, nullptr, &former);
    if (former != 0 && static_cast<pid_t>(former) != tid)
        remove_thread(t, static_cast<pid_t>(former));
    auto found = t.state.tracees.find(tid);
    if (found == t.state.tracees.end())
        return;
    leave_space(t, found->second, true); // back to a parent that shares the memory (vfork)
    found->second.space = new_space(t);
}

// Scratch: the thread itself asks the kernel for memory, then repeats its own call.

static void request_scratch(tracee &thread, trace_regs &regs)
{
    thread.saved = regs;
    thread.awaiting_scratch = true;
    static constexpr int protection = PROT_READ | PROT_WRITE;
    static constexpr int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    uint64_t args[6] = {0, trace_scratch_size, protection, kind, ~uint64_t{0}, 0};
    for (unsigned i = 0; i < 6; i++)
        trace_set_arg(regs, i, args[i]);
    trace_set_number(thread.tid, regs, SYS_mmap);
    trace_write_regs(thread.tid, regs);
    ptrace(PTRACE_SYSCALL, thread.tid, nullptr, nullptr);
}

static void handle_scratch(tracer &t, tracee &thread)
{
    trace_regs regs;
    thread.awaiting_scratch = false;
    if (!trace_read_regs(thread.tid, regs))
        return;
    uint64_t result = trace_get_result(regs);
    regs = thread.saved;
    if (result > ~uint64_t{4096}) {
        trace_set_result(regs, -ENOMEM); // the result of the call that needed it
    } else {
        thread.scratch = result;
        t.state.spaces[thread.space].all_scratch.push_back(result);
        trace_rewind(regs, trace_get_number(thread.tid, thread.saved));
    }
    trace_write_regs(thread.tid, regs);
    go_on(thread.tid, 0);
}

static void handle_call(tracer &t, tracee &thread)
{
    trace_regs regs;
    if (!trace_read_regs(thread.tid, regs))
        return;
    trace_space &space = t.state.spaces[thread.space];
    if (thread.scratch == 0 && !space.free_scratch.empty()) {
        thread.scratch = space.free_scratch.back();
        space.free_scratch.pop_back();
    }
    if (trace_call(t.state, thread, regs) == trace_verdict::needs_scratch) {
        request_scratch(thread, regs);
        return;
    }
    trace_write_regs(thread.tid, regs);
    go_on(thread.tid, 0);
}

static bool stops_group(int signal_number)
{
    return signal_number == SIGSTOP || signal_number == SIGTSTP || signal_number == SIGTTIN || signal_number == SIGTTOU;
}

static void handle_stop(tracer &t, pid_t tid, int status)
{
    int signal_number = WSTOPSIG(status);
    int event = status >> 16;
    auto found = t.state.tracees.find(tid);
    if (found == t.state.tracees.end()) {
        t.early.insert(tid); // continues when its parent has reported whose memory it has
        return;
    }
    tracee &thread = found->second;
    if (signal_number == (SIGTRAP | 0x80)) {
        if (thread.awaiting_scratch)
            handle_scratch(t, thread);
        else
            go_on(tid, 0);
        return;
    }
    switch (event) {
    case PTRACE_EVENT_SECCOMP: handle_call(t, thread); return;
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
    case PTRACE_EVENT_CLONE:
        handle_new_thread(t, thread);
        go_on(tid, 0);
        return;
    case PTRACE_EVENT_EXEC:
        handle_program(t, tid);
        go_on(tid, 0);
        return;
    case PTRACE_EVENT_STOP:
        if (stops_group(signal_number))
            ptrace(PTRACE_LISTEN, tid, nullptr, nullptr);
        else
            go_on(tid, 0);
        return;
    default: go_on(tid, event == 0 ? signal_number : 0); return;
    }
}

// Start.

struct start_words {
    int status_fd = -1;
    std::string args_path;
    int filter_fd = -1; // the filter of a sandbox
    std::string scratch;
    std::vector<std::string> command;
};

static bool parse_words(const std::vector<std::string> &words, start_words &out)
{
    size_t i = 0;
    for (; i + 1 < words.size() && words[i] != "--"; i += 2) {
        if (words[i] == "--json-status-fd")
            out.status_fd = atoi(words[i + 1].c_str());
        else if (words[i] == "--seccomp")
            out.filter_fd = atoi(words[i + 1].c_str());
        else if (words[i] == "--args")
            out.args_path = "/proc/self/fd/" + words[i + 1];
        else if (words[i] == "--args-file")
            out.args_path = words[i + 1];
        else if (words[i] == "--scratch")
            out.scratch = words[i + 1];
        else
            return false;
    }
    if (i >= words.size() || words[i] != "--")
        return false;
    out.command.assign(words.begin() + static_cast<ptrdiff_t>(i) + 1, words.end());
    return !out.args_path.empty() && !out.scratch.empty() && !out.command.empty();
}

static bool read_options(const std::string &path, std::vector<std::string> &out)
{
    std::string content;
    if (!os_read_file(path, content))
        return false;
    for (size_t at = 0; at < content.size();) {
        size_t end = std::min(content.find('\0', at), content.size());
        out.push_back(content.substr(at, end - at));
        at = end + 1;
    }
    return true;
}

// As in a sandbox: root without root's capabilities, except for low ports. The tracer keeps no more than its command has. Otherwise the
// command could not reach it through /proc (trace_net.cc).
static bool drop_capabilities()
{
    static constexpr uint32_t kept = 1u << CAP_NET_BIND_SERVICE;
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {};
    if (syscall(SYS_capget, &head, data) != 0)
        return false;
    uint32_t rest = data[0].permitted & kept;
    for (int i = 0; i <= CAP_LAST_CAP; i++)
        if (i != CAP_NET_BIND_SERVICE)
            prctl(PR_CAPBSET_DROP, i, 0, 0, 0); // without CAP_SETPCAP the bounding set stays, but no_new_privs limits it
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    // By default root gets the bounding set back with every program that it starts.
    bool is_root = geteuid() == 0;
    if (is_root)
        prctl(PR_SET_SECUREBITS, 1 << 0 /* SECBIT_NOROOT */, 0, 0, 0);
    data[0] = {rest, rest, rest};
    data[1] = {};
    if (syscall(SYS_capset, &head, data) != 0)
        return false;
    if (rest != 0)
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0);
    return true;
}

// Reads the refusals of a sandbox as a program for the kernel. Of two filters, the stricter verdict applies.
static bool read_filter(int fd, std::vector<struct sock_filter> &out)
{
    std::string content;
    if (fd < 0)
        return true;
    if (!os_read_file(text_format("/proc/self/fd/%d", fd), content) || content.size() % sizeof(struct sock_filter) != 0)
        return false;
    out.resize(content.size() / sizeof(struct sock_filter));
    memcpy(out.data(), content.data(), content.size());
    return true;
}

static bool install_filter(std::vector<struct sock_filter> &filter)
{
    struct sock_fprog about = {static_cast<unsigned short>(filter.size()), filter.data()};
    return filter.empty() || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &about, 0, 0) == 0;
}

static std::string find_in_path(const guest_view &view, const std::string &name)
{
    std::string path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    if (name.find('/') != std::string::npos)
        return name;
    for (const auto &[key, value] : view.env)
        if (key == "PATH")
            path = value;
    guest_caller nobody;
    for (size_t at = 0; at <= path.size();) {
        size_t end = std::min(path.find(':', at), path.size());
        std::string full = (end == at ? view.dir : path.substr(at, end - at)) + "/" + name;
        guest_path found;
        if (guest_resolve(view, nobody, view.dir, full, true, found) == 0 && access(found.host.c_str(), X_OK) == 0 &&
            !os_is_dir(found.host))
            return full;
        at = end + 1;
    }
    return "";
}

[[noreturn]] static void fail_to_start(const char *what, const std::string &which)
{
    std::string text = text_format("%s %s: %s\n", what, which.c_str(), strerror(errno));
    os_write_all(STDERR_FILENO, text);
    _exit(1);
}

[[noreturn]] static void become_command(const guest_view &view, const std::vector<std::string> &command, const std::string &program,
    std::vector<struct sock_filter> &sandbox_filter, int go_fd)
{
    // The pipe closes once the parent has attached. With the filter in place, every call with a path needs the tracer.
    char byte;
    (void)!read(go_fd, &byte, 1);
    setsid();
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    sigset_t set;
    sigemptyset(&set);
    sigprocmask(SIG_SETMASK, &set, nullptr);
    for (int number : {SIGPIPE, SIGCHLD})
        signal(number, SIG_DFL);
    umask(022);
    std::vector<std::string> settings;
    for (const auto &[name, value] : view.env)
        settings.push_back(name + "=" + value);
    std::vector<char *> envp;
    for (std::string &one : settings)
        envp.push_back(one.data());
    envp.push_back(nullptr);
    std::vector<std::string> words = command;
    std::vector<char *> argv;
    for (std::string &one : words)
        argv.push_back(one.data());
    argv.push_back(nullptr);
    std::vector<struct sock_filter> filter = trace_filter();
    close_range(3, ~0u, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !install_filter(filter) || !install_filter(sandbox_filter))
        fail_to_start("cannot install a filter for", command[0]);
    if (chdir(view.dir.c_str()) != 0)
        fail_to_start("chdir", view.dir);
    execve(program.c_str(), argv.data(), envp.data());
    fail_to_start("execvp", command[0]);
}

static void report(int fd, const char *key, int value)
{
    if (fd >= 0)
        os_write_all(fd, text_format("{ \"%s\": %d }\n", key, value));
}

static bool has_ipv6_loopback()
{
    os_fd fd(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    struct sockaddr_in6 address = {};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    return fd.fd >= 0 && bind(fd.fd, reinterpret_cast<const struct sockaddr *>(&address), sizeof address) == 0;
}

static void handle_status(tracer &t, pid_t pid, int status)
{
    if (WIFSTOPPED(status)) {
        handle_stop(t, pid, status);
        return;
    }
    t.early.erase(pid);
    if (pid == t.command) {
        t.has_ended = true;
        t.end_status = status;
    }
    remove_thread(t, pid);
}

static void end_all(tracer &t)
{
    uint64_t deadline = os_now_ms() + end_wait_ms;
    while (os_now_ms() < deadline) {
        for (const auto &[pid, threads] : t.state.processes)
            kill(pid, SIGKILL);
        for (pid_t pid : t.early)
            kill(pid, SIGKILL);
        int status = 0;
        pid_t pid = waitpid(-1, &status, __WALL | WNOHANG);
        if (pid < 0 && errno == ECHILD)
            return;
        if (pid > 0 && !WIFSTOPPED(status))
            remove_thread(t, pid);
        else if (pid > 0)
            go_on(pid, 0);
        else {
            struct timespec pause = {0, 1'000'000};
            nanosleep(&pause, nullptr);
        }
    }
}

int tracer_main(const std::vector<std::string> &words)
{
    start_words w;
    std::vector<std::string> options;
    std::string text;
    static tracer t;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    std::vector<struct sock_filter> sandbox_filter;
    if (!parse_words(words, w) || !read_options(w.args_path, options) || !read_filter(w.filter_fd, sandbox_filter)) {
        fprintf(stderr, "unsandboxed: wrong arguments\n");
        return 1;
    }
    if (!guest_view_make(t.state.view, w.scratch, options, text)) {
        fprintf(stderr, "%s\n", text.c_str());
        return 1;
    }
    std::string program = find_in_path(t.state.view, w.command[0]);
    if (program.empty()) {
        fprintf(stderr, "execvp %s: No such file or directory\n", w.command[0].c_str());
        return 1;
    }
    t.state.has_ipv6 = has_ipv6_loopback();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int go[2];
    if (!drop_capabilities() || pipe2(go, O_CLOEXEC) != 0) {
        fprintf(stderr, "cannot prepare: %s\n", strerror(errno));
        return 1;
    }
    if (w.status_fd >= 0)
        fcntl(w.status_fd, F_SETFD, FD_CLOEXEC);
    t.command = fork();
    if (t.command == 0) {
        close(go[1]);
        become_command(t.state.view, w.command, program, sandbox_filter, go[0]);
    }
    close(go[0]);
    if (t.command < 0 || ptrace(PTRACE_SEIZE, t.command, nullptr, static_cast<uintptr_t>(seize_options)) != 0) {
        fprintf(stderr, "cannot trace processes: %s\n", strerror(errno));
        if (t.command > 0)
            kill(t.command, SIGKILL);
        return 1;
    }
    add_thread(t, t.command, t.command, new_space(t));
    close(go[1]);
    report(w.status_fd, "child-pid", t.command);
    bool started = false;
    while (!t.has_ended) {
        int status = 0;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid < 0)
            break;
        started = started || (pid == t.command && WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_EXEC);
        handle_status(t, pid, status);
    }
    end_all(t);
    int code = WIFEXITED(t.end_status) ? WEXITSTATUS(t.end_status) : 128 + WTERMSIG(t.end_status);
    if (started)
        report(w.status_fd, "exit-code", code);
    return code;
}

} // namespace etlnode::kubectl_local
