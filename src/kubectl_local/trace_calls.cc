// SPDX-License-Identifier: MIT
// kubectl_local/trace_calls.cc: handles the traced system calls of an unsandboxed container.
//
// Knows    guest_view, trace_memory, trace_exec, trace_net.     Known by  tracer.
// A call either continues with other arguments, which are in our memory inside the thread, or is answered here and not made at all.
#include "kubectl_local/trace_calls.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/os.h"
#include "kubectl_local/trace_call.h"
#include "kubectl_local/trace_memory.h"

namespace etlnode::kubectl_local {

// What the handlers share.

void trace_fail(trace_context &h, int error)
{
    trace_set_number(h.thread.tid, h.regs, -1);
    trace_set_result(h.regs, -error);
}

void trace_answer(trace_context &h, int64_t result)
{
    trace_set_number(h.thread.tid, h.regs, -1);
    trace_set_result(h.regs, result);
}

uint64_t trace_to_scratch(trace_context &h, const void *bytes, size_t size)
{
    if (h.thread.scratch == 0) {
        h.lacks_scratch = true;
        return 0;
    }
    uint64_t at = h.thread.scratch + h.thread.scratch_used;
    if (h.thread.scratch_used + size > trace_scratch_size || !trace_write(h.thread.tid, at, bytes, size))
        return 0;
    h.thread.scratch_used += (size + 15) / 16 * 16;
    return at;
}

bool trace_is_inside(const trace_state &state, pid_t pid) { return state.tracees.contains(pid) || state.processes.contains(pid); }

static bool is_inside(void *arg, pid_t pid) { return trace_is_inside(*static_cast<const trace_state *>(arg), pid); }

std::string trace_cwd(const trace_state &state, pid_t tid)
{
    return guest_name_of(state.view, os_read_link(text_format("/proc/%d/cwd", tid)));
}

int trace_resolve(trace_context &h, int dirfd, const std::string &path, bool follow, guest_path &out_path)
{
    std::string base;
    if (!path.starts_with('/') && dirfd == AT_FDCWD)
        base = trace_cwd(h.state, h.thread.tid);
    else if (!path.starts_with('/')) {
        base = os_read_link(text_format("/proc/%d/fd/%d", h.thread.tid, dirfd));
        if (base.empty())
            return EBADF;
        if (!base.starts_with('/'))
            return ENOTDIR;
        base = guest_name_of(h.state.view, base);
    }
    guest_caller caller = {h.thread.tgid, h.thread.tid, is_inside, &h.state};
    return guest_resolve(h.state.view, caller, base, path, follow, out_path);
}

// Calls with paths.

enum class follow : uint8_t { always, never, unless_flag, if_flag };

struct path_call {
    long number;
    int dirfd_arg; // -1: relative paths begin at the working directory
    int path_arg;
    int flags_arg; // unless_flag: may contain AT_SYMLINK_NOFOLLOW; if_flag: may contain AT_SYMLINK_FOLLOW
    follow rule;
    bool writes;
};

// A call with two paths has two rows.
static constexpr path_call path_calls[] = {
    {SYS_newfstatat, 0, 1, 3, follow::unless_flag, false},
    {SYS_statx, 0, 1, 2, follow::unless_flag, false},
    {SYS_chdir, -1, 0, -1, follow::always, false},
    {SYS_mkdirat, 0, 1, -1, follow::never, true},
    {SYS_unlinkat, 0, 1, -1, follow::never, true},
    {SYS_renameat2, 0, 1, -1, follow::never, true},
    {SYS_renameat2, 2, 3, -1, follow::never, true},
    {SYS_linkat, 0, 1, 4, follow::if_flag, true},
    {SYS_linkat, 2, 3, -1, follow::never, true},
    {SYS_symlinkat, 1, 2, -1, follow::never, true},
    {SYS_fchmodat, 0, 1, -1, follow::always, true},
    {trace_fchmodat2, 0, 1, 3, follow::unless_flag, true},
    {SYS_fchownat, 0, 1, 4, follow::unless_flag, true},
    {SYS_utimensat, 0, 1, 3, follow::unless_flag, true},
    {SYS_truncate, -1, 0, -1, follow::always, true},
    {SYS_statfs, -1, 0, -1, follow::always, false},
    {SYS_mknodat, 0, 1, -1, follow::never, true},
    {SYS_inotify_add_watch, -1, 1, -1, follow::always, false},
    {SYS_setxattr, -1, 0, -1, follow::always, true},
    {SYS_lsetxattr, -1, 0, -1, follow::never, true},
    {SYS_getxattr, -1, 0, -1, follow::always, false},
    {SYS_lgetxattr, -1, 0, -1, follow::never, false},
    {SYS_listxattr, -1, 0, -1, follow::always, false},
    {SYS_llistxattr, -1, 0, -1, follow::never, false},
    {SYS_removexattr, -1, 0, -1, follow::always, true},
    {SYS_lremovexattr, -1, 0, -1, follow::never, true},
#ifdef SYS_renameat
    {SYS_renameat, 0, 1, -1, follow::never, true},
    {SYS_renameat, 2, 3, -1, follow::never, true},
#endif
#ifdef SYS_open
    {SYS_stat, -1, 0, -1, follow::always, false},
    {SYS_lstat, -1, 0, -1, follow::never, false},
    {SYS_mkdir, -1, 0, -1, follow::never, true},
    {SYS_rmdir, -1, 0, -1, follow::never, true},
    {SYS_unlink, -1, 0, -1, follow::never, true},
    {SYS_rename, -1, 0, -1, follow::never, true},
    {SYS_rename, -1, 1, -1, follow::never, true},
    {SYS_link, -1, 0, -1, follow::never, true},
    {SYS_link, -1, 1, -1, follow::never, true},
    {SYS_symlink, -1, 1, -1, follow::never, true},
    {SYS_chmod, -1, 0, -1, follow::always, true},
    {SYS_chown, -1, 0, -1, follow::always, true},
    {SYS_lchown, -1, 0, -1, follow::never, true},
    {SYS_utime, -1, 0, -1, follow::always, true},
    {SYS_utimes, -1, 0, -1, follow::always, true},
    {SYS_futimesat, 0, 1, -1, follow::always, true},
    {SYS_mknod, -1, 0, -1, follow::never, true},
#endif
};

// Devices belong to this machine: a container may use those that its view contains, but not change them.
static bool is_device(const struct stat &about) { return S_ISCHR(about.st_mode) || S_ISBLK(about.st_mode); }

// In a sandbox, mounts ignore set-id bits (nosuid). Here a pod's files are on this machine's disk, where another user could run such a
// program.
static void drop_set_id(trace_context &h, unsigned mode_arg, const std::string &host)
{
    uint64_t mode = trace_get_arg(h.regs, mode_arg);
    struct stat about;
    bool is_directory = stat(host.c_str(), &about) == 0 && S_ISDIR(about.st_mode); // children inherit the group of the directory
    uint64_t dropped = is_directory ? S_ISUID : S_ISUID | S_ISGID;
    if ((mode & dropped) != 0)
        trace_set_arg(h.regs, mode_arg, mode & ~dropped);
}

// The index of a call's mode argument; -1 if it has none.
static int mode_arg_of(long number)
{
    switch (number) {
    case SYS_fchmodat:
    case trace_fchmodat2:
    case SYS_mknodat: return 2;
#ifdef SYS_open
    case SYS_chmod:
    case SYS_mknod: return 1;
#endif
    default: return -1;
    }
}

static int dirfd_of(const trace_context &h, int arg)
{
    return arg < 0 ? AT_FDCWD : static_cast<int>(trace_get_arg(h.regs, static_cast<unsigned>(arg)));
}

// If a thread cannot be inspected, calls that depend on the inspection are refused.
static int check_descriptor(const trace_context &h, int fd)
{
    std::string path = fd == AT_FDCWD ? text_format("/proc/%d/cwd", h.thread.tid) : text_format("/proc/%d/fd/%d", h.thread.tid, fd);
    std::string link = os_read_link(path);
    struct stat about;
    if (link.empty())
        return errno == ENOENT ? 0 : EPERM; // let the kernel report an invalid descriptor
    if (guest_is_read_only(h.state.view, link))
        return EROFS;
    return stat(path.c_str(), &about) == 0 && is_device(about) ? EPERM : 0;
}

void trace_handle_descriptor(trace_context &h, int fd)
{
    int error = check_descriptor(h, fd);
    if (error != 0)
        trace_fail(h, error);
}

// Reads the path in argument `arg`. False if the call continues unchanged or has been answered.
static bool read_path(trace_context &h, int arg, std::string &out_path)
{
    uint64_t address = trace_get_arg(h.regs, static_cast<unsigned>(arg));
    if (address == 0)
        return false; // an empty path means the descriptor itself, or is an error that the kernel reports
    int error = trace_read_text(h.thread.tid, address, PATH_MAX - 1, out_path);
    if (error != 0)
        trace_fail(h, error);
    return error == 0 && !out_path.empty();
}

static void put_path(trace_context &h, int arg, const guest_path &path)
{
    uint64_t at = trace_to_scratch(h, path.host.c_str(), path.host.size() + 1);
    if (at != 0)
        trace_set_arg(h.regs, static_cast<unsigned>(arg), at);
    else if (!h.lacks_scratch)
        trace_fail(h, ENAMETOOLONG);
}

// Whether the call removes a name, or gives it to another file.
static bool takes_name(long number)
{
    static constexpr long numbers[] = {
        SYS_unlinkat,
        SYS_renameat2,
#ifdef SYS_renameat
        SYS_renameat,
#endif
#ifdef SYS_open
        SYS_unlink,
        SYS_rmdir,
        SYS_rename,
#endif
    };
    return std::find(std::begin(numbers), std::end(numbers), number) != std::end(numbers);
}

// The error that the kernel would report for a mount.
static int check_change(const trace_context &h, const path_call &call, const guest_path &path, bool follows)
{
    bool makes = call.number == SYS_mkdirat;
#ifdef SYS_mkdir
    makes = makes || call.number == SYS_mkdir;
#endif
    if (path.read_only)
        return makes && os_exists(path.host) ? EEXIST : EROFS;
    if (takes_name(call.number))
        return h.state.view.bindings.contains(path.guest) ? EBUSY : 0;
    struct stat about;
    bool exists = (follows ? stat(path.host.c_str(), &about) : lstat(path.host.c_str(), &about)) == 0;
    return exists && is_device(about) && !makes ? EPERM : 0;
}

// False if the call has been answered.
static bool rewrite_path(trace_context &h, const path_call &call)
{
    std::string text;
    uint64_t flags = call.flags_arg < 0 ? 0 : trace_get_arg(h.regs, static_cast<unsigned>(call.flags_arg));
    if (!read_path(h, call.path_arg, text)) {
        bool is_answered = trace_get_number(h.thread.tid, h.regs) == -1;
        bool is_descriptor = trace_get_arg(h.regs, static_cast<unsigned>(call.path_arg)) == 0 || (flags & AT_EMPTY_PATH) != 0;
        if (!is_answered && call.writes && is_descriptor)
            trace_handle_descriptor(h, dirfd_of(h, call.dirfd_arg));
        return trace_get_number(h.thread.tid, h.regs) != -1;
    }
    bool follows = call.rule == follow::always || (call.rule == follow::unless_flag && (flags & AT_SYMLINK_NOFOLLOW) == 0) ||
                   (call.rule == follow::if_flag && (flags & AT_SYMLINK_FOLLOW) != 0);
    guest_path path;
    int error = trace_resolve(h, dirfd_of(h, call.dirfd_arg), text, follows, path);
    if (error == 0 && call.writes)
        error = check_change(h, call, path, follows);
    if (error != 0) {
        trace_fail(h, error);
        return false;
    }
    int mode_arg = mode_arg_of(call.number);
    if (mode_arg >= 0)
        drop_set_id(h, static_cast<unsigned>(mode_arg), path.host);
    put_path(h, call.path_arg, path);
    return trace_get_number(h.thread.tid, h.regs) != -1;
}

static void handle_open(trace_context &h, int dirfd_arg, int path_arg, uint64_t flags, unsigned mode_arg)
{
    std::string text;
    if (!read_path(h, path_arg, text))
        return;
    bool makes = (flags & O_CREAT) != 0;
    bool follows = (flags & O_NOFOLLOW) == 0 && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
    guest_path path;
    int error = trace_resolve(h, dirfd_of(h, dirfd_arg), text, follows, path);
    struct stat about;
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0 || makes;
    if (error == 0 && path.read_only && writes && (flags & O_PATH) == 0) {
        bool exists = stat(path.host.c_str(), &about) == 0;
        bool is_stored = exists && (S_ISREG(about.st_mode) || S_ISDIR(about.st_mode));
        bool only_reads = exists && (flags & O_ACCMODE) == O_RDONLY && (flags & O_TRUNC) == 0;
        if ((exists && is_stored && !only_reads) || (!exists && makes))
            error = EROFS;
        bool is_nameless = (flags & O_TMPFILE) == O_TMPFILE; // an unnamed file in that directory
        if (exists && is_stored && S_ISDIR(about.st_mode) && !is_nameless)
            error = 0; // the kernel refuses to write to it
    }
    uint64_t terminal = 0;
    static constexpr std::string_view terminals = "/dev/pts/";
    if (error == 0 && path.host.starts_with(terminals) && text_parse_u64(path.host.substr(terminals.size()), terminal) &&
        !trace_is_own_terminal(h.state, terminal))
        error = ENOENT; // it belongs to another user of this machine
    if (error != 0) {
        trace_fail(h, error);
        return;
    }
    if (makes)
        drop_set_id(h, mode_arg, path.host);
    put_path(h, path_arg, path);
}

static void handle_access(trace_context &h, int dirfd_arg, int path_arg, int mode_arg, uint64_t flags)
{
    std::string text;
    if (!read_path(h, path_arg, text))
        return;
    guest_path path;
    int error = trace_resolve(h, dirfd_of(h, dirfd_arg), text, (flags & AT_SYMLINK_NOFOLLOW) == 0, path);
    bool writes = (trace_get_arg(h.regs, static_cast<unsigned>(mode_arg)) & W_OK) != 0;
    struct stat about;
    if (error == 0 && writes && path.read_only && stat(path.host.c_str(), &about) == 0 &&
        (S_ISREG(about.st_mode) || S_ISDIR(about.st_mode)))
        error = EROFS;
    if (error != 0)
        trace_fail(h, error);
    else
        put_path(h, path_arg, path);
}

static void handle_readlink(trace_context &h, int dirfd_arg, int path_arg)
{
    std::string text;
    if (!read_path(h, path_arg, text))
        return;
    guest_path path;
    int error = trace_resolve(h, dirfd_of(h, dirfd_arg), text, false, path);
    struct stat about;
    if (error == 0 && lstat(path.host.c_str(), &about) != 0)
        error = errno;
    else if (error == 0 && !S_ISLNK(about.st_mode))
        error = EINVAL;
    std::string target = error == 0 ? guest_link_text(h.state.view, path) : "";
    if (error == 0 && target.empty())
        error = ENOENT;
    size_t size = std::min<size_t>(target.size(), trace_get_arg(h.regs, static_cast<unsigned>(path_arg) + 2));
    if (error == 0 && !trace_write(h.thread.tid, trace_get_arg(h.regs, static_cast<unsigned>(path_arg) + 1), target.data(), size))
        error = EFAULT;
    if (error != 0)
        trace_fail(h, error);
    else
        trace_answer(h, static_cast<int64_t>(size));
}

static void handle_getcwd(trace_context &h)
{
    std::string dir = trace_cwd(h.state, h.thread.tid);
    uint64_t size = trace_get_arg(h.regs, 1);
    if (dir.empty() || dir.ends_with(" (deleted)"))
        trace_fail(h, ENOENT);
    else if (size < dir.size() + 1)
        trace_fail(h, ERANGE);
    else if (!trace_write(h.thread.tid, trace_get_arg(h.regs, 0), dir.c_str(), dir.size() + 1))
        trace_fail(h, EFAULT);
    else
        trace_answer(h, static_cast<int64_t>(dir.size() + 1));
}

static void handle_uname(trace_context &h)
{
    struct utsname about;
    if (h.state.view.hostname.empty() || uname(&about) != 0)
        return;
    snprintf(about.nodename, sizeof about.nodename, "%s", h.state.view.hostname.c_str());
    if (trace_write(h.thread.tid, trace_get_arg(h.regs, 0), &about, sizeof about))
        trace_answer(h, 0);
    else
        trace_fail(h, EFAULT);
}

// Processes. A container without a process namespace sees only its own.

static void handle_clone(trace_context &h, uint64_t flags, bool is_clone3)
{
    static constexpr uint64_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                           CLONE_NEWNET;
    if (h.state.tracees.size() >= trace_threads_max) {
        trace_fail(h, EAGAIN);
        return;
    }
    if ((flags & namespaces) != 0 || (is_clone3 && (flags & CLONE_UNTRACED) != 0)) {
        trace_fail(h, EPERM);
        return;
    }
    if ((flags & CLONE_UNTRACED) != 0)
        trace_set_arg(h.regs, 0, flags & ~static_cast<uint64_t>(CLONE_UNTRACED));
    h.thread.clone_flags = flags;
}

static void handle_clone3(trace_context &h)
{
    uint64_t flags = 0;
    if (trace_read(h.thread.tid, trace_get_arg(h.regs, 0), &flags, sizeof flags))
        handle_clone(h, flags, true);
    else
        trace_fail(h, EFAULT);
}

static void handle_fchmod(trace_context &h)
{
    int fd = static_cast<int>(trace_get_arg(h.regs, 0));
    drop_set_id(h, 1, text_format("/proc/%d/fd/%d", h.thread.tid, fd));
    trace_handle_descriptor(h, fd);
}

static void handle_ioctl(trace_context &h)
{
    unsigned command = static_cast<unsigned>(trace_get_arg(h.regs, 1));
    if (command == FIOSETOWN || command == SIOCSPGRP)
        trace_handle_owner_by_pointer(h);
    else
        trace_handle_descriptor(h, static_cast<int>(trace_get_arg(h.regs, 0))); // changes attributes of a file
}

static void take(trace_context &h, long number)
{
    switch (number) {
    case SYS_openat: handle_open(h, 0, 1, trace_get_arg(h.regs, 2), 3); return;
    case SYS_faccessat: handle_access(h, 0, 1, 2, 0); return;
    case SYS_faccessat2: handle_access(h, 0, 1, 2, trace_get_arg(h.regs, 3)); return;
    case SYS_readlinkat: handle_readlink(h, 0, 1); return;
    case SYS_getcwd: handle_getcwd(h); return;
    case SYS_execve: trace_handle_exec(h, AT_FDCWD, 0); return;
    case SYS_execveat: trace_handle_exec(h, static_cast<int>(trace_get_arg(h.regs, 0)), 1); return;
    case SYS_uname: handle_uname(h); return;
    case SYS_bind: trace_handle_bind(h); return;
    case SYS_connect: trace_handle_connect(h); return;
    case SYS_getsockname: trace_handle_socket_name(h); return;
    case SYS_setsockopt: trace_handle_v6_only(h); return;
    case SYS_sendto: trace_handle_send(h); return;
    case SYS_clone: handle_clone(h, trace_get_arg(h.regs, 0), false); return;
    case SYS_clone3: handle_clone3(h); return;
    case SYS_kill: trace_handle_kill(h); return;
    case SYS_tkill:
    case SYS_rt_sigqueueinfo:
    case SYS_pidfd_open:
    case SYS_prlimit64:
    case SYS_sched_setaffinity:
    case SYS_sched_setscheduler:
    case SYS_sched_setparam:
    case SYS_sched_setattr:
    case SYS_get_robust_list: trace_handle_process(h, 0); return;
    case SYS_tgkill:
    case SYS_rt_tgsigqueueinfo: trace_handle_process(h, 1); return;
    case SYS_pidfd_send_signal:
    case trace_process_mrelease: trace_handle_pidfd(h); return;
    case SYS_setpriority: trace_handle_priority(h); return;
    case SYS_ioprio_set: trace_handle_io_priority(h); return;
    case SYS_fcntl: trace_handle_fcntl(h); return;
    case SYS_ioctl: handle_ioctl(h); return;
    case SYS_fchmod: handle_fchmod(h); return;
    case SYS_fchown:
    case SYS_fsetxattr:
    case SYS_fremovexattr: trace_handle_descriptor(h, static_cast<int>(trace_get_arg(h.regs, 0))); return;
#ifdef SYS_open
    case SYS_open: handle_open(h, -1, 0, trace_get_arg(h.regs, 1), 2); return;
    case SYS_creat: handle_open(h, -1, 0, O_CREAT | O_WRONLY | O_TRUNC, 1); return;
    case SYS_access: handle_access(h, -1, 0, 1, 0); return;
    case SYS_readlink: handle_readlink(h, -1, 0); return;
    case SYS_fork: handle_clone(h, 0, true); return;
    case SYS_vfork: handle_clone(h, CLONE_VM | CLONE_VFORK, true); return;
#endif
    default: break;
    }
    for (const path_call &call : path_calls)
        if (call.number == number && !rewrite_path(h, call))
            return;
}

trace_verdict trace_call(trace_state &state, tracee &thread, trace_regs &regs)
{
    trace_context h{state, thread, regs};
    trace_regs before = regs;
    thread.scratch_used = 0;
    guest_view_follow_image(state.view);
    take(h, trace_get_number(thread.tid, regs));
    if (!h.lacks_scratch)
        return trace_verdict::go_on;
    regs = before;
    return trace_verdict::needs_scratch;
}

} // namespace etlnode::kubectl_local
