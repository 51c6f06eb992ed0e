// SPDX-License-Identifier: MIT
// kubectl_local/trace_others.cc: calls of an unsandboxed container that name a process, a group or a user. They may affect only its own
// processes.
//
// Without a process namespace, a container could name any process of this machine.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <vector>

#include <fcntl.h>
#include <linux/ioprio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/os.h"
#include "kubectl_local/trace_call.h"
#include "kubectl_local/trace_memory.h"

namespace etlnode::kubectl_local {

static pid_t pid_of(const trace_context &h, unsigned arg) { return static_cast<pid_t>(trace_get_arg(h.regs, arg)); }

static bool is_own_process(const trace_context &h, pid_t pid) { return pid == 0 || trace_is_inside(h.state, pid); }

// The command began its own session. So a group that contains one of the container's processes contains no others.
static bool is_own_group(const trace_context &h, pid_t group)
{
    for (const auto &[member, threads] : h.state.processes)
        if (getpgid(member) == group)
            return true;
    return group == 0;
}

// A signal to all goes to all of the container's processes except the caller.
static void signal_all(trace_context &h, int signal_number)
{
    bool any = false;
    for (const auto &[pid, threads] : h.state.processes)
        if (pid != h.thread.tgid)
            any = kill(pid, signal_number) == 0 || any;
    if (any)
        trace_answer(h, 0);
    else
        trace_fail(h, ESRCH);
}

void trace_handle_kill(trace_context &h)
{
    pid_t pid = pid_of(h, 0);
    if (pid == -1)
        signal_all(h, static_cast<int>(trace_get_arg(h.regs, 1)));
    else if (!(pid < 0 ? is_own_group(h, -pid) : is_own_process(h, pid)))
        trace_fail(h, ESRCH);
}

void trace_handle_process(trace_context &h, unsigned pid_arg)
{
    if (!is_own_process(h, pid_of(h, pid_arg)))
        trace_fail(h, ESRCH);
}

// The processes of a user are the container's, the node's, and those of anything else that runs as that user.
static void handle_whom(trace_context &h, int process, int group, int user)
{
    int which = static_cast<int>(trace_get_arg(h.regs, 0));
    pid_t who = pid_of(h, 1);
    if (which == user)
        trace_fail(h, EPERM);
    else if ((which == process && !is_own_process(h, who)) || (which == group && !is_own_group(h, who)))
        trace_fail(h, ESRCH);
}

void trace_handle_priority(trace_context &h) { handle_whom(h, PRIO_PROCESS, PRIO_PGRP, PRIO_USER); }
void trace_handle_io_priority(trace_context &h) { handle_whom(h, IOPRIO_WHO_PROCESS, IOPRIO_WHO_PGRP, IOPRIO_WHO_USER); }

void trace_handle_pidfd(trace_context &h)
{
    int fd = static_cast<int>(trace_get_arg(h.regs, 0));
    std::string link = os_read_link(text_format("/proc/%d/fd/%d", h.thread.tid, fd));
    std::string text;
    int pid = 0;
    if (link.empty() && errno == ENOENT)
        return; // the kernel reports the error
    bool known = os_read_file(text_format("/proc/%d/fdinfo/%d", h.thread.tid, fd), text);
    size_t at = text.find("\nPid:\t");
    if (at != std::string::npos)
        known = sscanf(text.c_str() + at + 6, "%d", &pid) == 1;
    else if (link.starts_with("/proc/")) // a directory in /proc works as well
        known = sscanf(link.c_str() + 6, "%d", &pid) == 1;
    else if (known)
        return; // it does not refer to a process
    if (!known)
        trace_fail(h, EPERM);
    else if (pid > 0 && !trace_is_inside(h.state, pid)) // the number of an ended process is not known
        trace_fail(h, ESRCH);
}

// Recipients of a descriptor's signals. Copy the value first: another thread may change the thread's own memory after the check.

static bool may_own(const trace_context &h, pid_t owner) { return owner < 0 ? is_own_group(h, -owner) : is_own_process(h, owner); }

static void put_value(trace_context &h, const void *bytes, size_t size)
{
    uint64_t at = trace_to_scratch(h, bytes, size);
    if (at != 0)
        trace_set_arg(h.regs, 2, at);
    else if (!h.lacks_scratch)
        trace_fail(h, EFAULT);
}

void trace_handle_owner_by_pointer(trace_context &h)
{
    int owner = 0;
    if (!trace_read(h.thread.tid, trace_get_arg(h.regs, 2), &owner, sizeof owner))
        trace_fail(h, EFAULT);
    else if (!may_own(h, owner))
        trace_fail(h, ESRCH);
    else
        put_value(h, &owner, sizeof owner);
}

void trace_handle_fcntl(trace_context &h)
{
    int command = static_cast<int>(trace_get_arg(h.regs, 1));
    struct f_owner_ex owner = {};
    if (command == F_SETLEASE)
        trace_handle_descriptor(h, static_cast<int>(trace_get_arg(h.regs, 0)));
    else if (command == F_SETOWN && !may_own(h, pid_of(h, 2)))
        trace_fail(h, ESRCH);
    else if (command == F_SETOWN_EX) {
        if (!trace_read(h.thread.tid, trace_get_arg(h.regs, 2), &owner, sizeof owner))
            trace_fail(h, EFAULT);
        else if (!(owner.type == F_OWNER_PGRP ? is_own_group(h, owner.pid) : is_own_process(h, owner.pid)))
            trace_fail(h, ESRCH);
        else
            put_value(h, &owner, sizeof owner);
    }
}

// Terminals.

// Whether one of the container's processes opened the terminal, in which case it holds the other end.
bool trace_is_own_terminal(const trace_state &state, uint64_t number)
{
    for (const auto &[pid, threads] : state.processes) {
        std::vector<std::string> names;
        os_list(text_format("/proc/%d/fd", pid), names);
        for (const std::string &name : names) {
            std::string link = os_read_link(text_format("/proc/%d/fd/", pid) + name);
            std::string text;
            unsigned long long found = 0;
            size_t at;
            if (link.ends_with("ptmx") && os_read_file(text_format("/proc/%d/fdinfo/", pid) + name, text) &&
                (at = text.find("tty-index:")) != std::string::npos && sscanf(text.c_str() + at + 10, "%llu", &found) == 1 &&
                found == number)
                return true;
        }
    }
    return false;
}

} // namespace etlnode::kubectl_local
