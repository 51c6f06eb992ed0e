// SPDX-License-Identifier: MIT
// kubectl_local/syscall_filter.cc: the system calls that a container may make.
#include "kubectl_local/syscall_filter.h"

#include <cerrno>
#include <cstring>
#include <iterator>

#include <linux/sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"

namespace etlnode::kubectl_local {

// Grouped by purpose. Names that the machine or libseccomp does not know are skipped. Calls that are not allowed fail with ENOSYS.
static constexpr const char *allowed_names[] = {
    // files and directories
    "access",
    "chdir",
    "chmod",
    "chown",
    "close",
    "close_range",
    "copy_file_range",
    "creat",
    "dup",
    "dup2",
    "dup3",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fallocate",
    "fchdir",
    "fchmod",
    "fchmodat",
    "fchown",
    "fchownat",
    "fcntl",
    "fdatasync",
    "flock",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "getcwd",
    "getdents",
    "getdents64",
    "ioctl",
    "lchown",
    "link",
    "linkat",
    "lseek",
    "lstat",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "name_to_handle_at",
    "newfstatat",
    "open",
    "openat",
    "openat2",
    "pread64",
    "preadv",
    "preadv2",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "read",
    "readahead",
    "readlink",
    "readlinkat",
    "readv",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "splice",
    "stat",
    "statfs",
    "statx",
    "symlink",
    "symlinkat",
    "sync",
    "sync_file_range",
    "syncfs",
    "tee",
    "truncate",
    "umask",
    "unlink",
    "unlinkat",
    "utime",
    "utimensat",
    "utimes",
    "futimesat",
    "write",
    "writev",
    "sendfile",
    "fgetxattr",
    "flistxattr",
    "fremovexattr",
    "fsetxattr",
    "getxattr",
    "lgetxattr",
    "listxattr",
    "llistxattr",
    "lremovexattr",
    "lsetxattr",
    "removexattr",
    "setxattr",
    "inotify_add_watch",
    "inotify_init",
    "inotify_init1",
    "inotify_rm_watch",
    "landlock_add_rule",
    "landlock_create_ruleset",
    "landlock_restrict_self",
    // names of the same calls on other architectures
    "_llseek",
    "fadvise64_64",
    "fcntl64",
    "fstat64",
    "fstatat64",
    "fstatfs64",
    "ftruncate64",
    "lstat64",
    "sendfile64",
    "stat64",
    "statfs64",
    "truncate64",
    "chown32",
    "fchown32",
    "lchown32",
    "utimensat_time64",
    "arm_fadvise64_64",
    "arm_sync_file_range",
    "sync_file_range2",
    // waiting for several events
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd",
    "eventfd2",
    "poll",
    "ppoll",
    "pselect6",
    "select",
    "_newselect",
    "ppoll_time64",
    "pselect6_time64",
    "signalfd",
    "signalfd4",
    "io_cancel",
    "io_destroy",
    "io_getevents",
    "io_setup",
    "io_submit",
    "pipe",
    "pipe2",
    // memory
    "brk",
    "get_mempolicy",
    "madvise",
    "mbind",
    "membarrier",
    "memfd_create",
    "memfd_secret",
    "mincore",
    "mlock",
    "mlock2",
    "mlockall",
    "mmap",
    "mmap2",
    "mprotect",
    "mremap",
    "msync",
    "munlock",
    "munlockall",
    "munmap",
    "pkey_alloc",
    "pkey_free",
    "pkey_mprotect",
    "remap_file_pages",
    "set_mempolicy",
    // processes and threads (for clone and personality see below)
    "execve",
    "execveat",
    "exit",
    "exit_group",
    "fork",
    "vfork",
    "futex",
    "futex_time64",
    "get_robust_list",
    "set_robust_list",
    "get_thread_area",
    "set_thread_area",
    "set_tid_address",
    "getcpu",
    "getpgid",
    "getpgrp",
    "getpid",
    "getppid",
    "getsid",
    "gettid",
    "kill",
    "pause",
    "pidfd_getfd",
    "pidfd_open",
    "pidfd_send_signal",
    "prctl",
    "process_mrelease",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "restart_syscall",
    "rseq",
    "setpgid",
    "setsid",
    "tgkill",
    "tkill",
    "wait4",
    "waitid",
    "waitpid",
    "arch_prctl",
    "modify_ldt",
    "set_tls",
    "cacheflush",
    "breakpoint",
    "seccomp",
    // signals
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigqueueinfo",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "rt_sigtimedwait_time64",
    "rt_tgsigqueueinfo",
    "sigaction",
    "sigaltstack",
    "signal",
    "sigpending",
    "sigprocmask",
    "sigreturn",
    "sigsuspend",
    // identity
    "capget",
    "capset",
    "getegid",
    "getegid32",
    "geteuid",
    "geteuid32",
    "getgid",
    "getgid32",
    "getgroups",
    "getgroups32",
    "getresgid",
    "getresgid32",
    "getresuid",
    "getresuid32",
    "getuid",
    "getuid32",
    "setfsgid",
    "setfsgid32",
    "setfsuid",
    "setfsuid32",
    "setgid",
    "setgid32",
    "setgroups",
    "setgroups32",
    "setregid",
    "setregid32",
    "setresgid",
    "setresgid32",
    "setresuid",
    "setresuid32",
    "setreuid",
    "setreuid32",
    "setuid",
    "setuid32",
    // scheduling and limits
    "getpriority",
    "getrlimit",
    "getrusage",
    "ioprio_get",
    "ioprio_set",
    "prlimit64",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "sched_getaffinity",
    "sched_getattr",
    "sched_getparam",
    "sched_getscheduler",
    "sched_rr_get_interval",
    "sched_rr_get_interval_time64",
    "sched_setaffinity",
    "sched_setattr",
    "sched_setparam",
    "sched_setscheduler",
    "sched_yield",
    "setpriority",
    "setrlimit",
    "times",
    "ugetrlimit",
    // time; adjtimex only reads without a capability that no pod has
    "adjtimex",
    "alarm",
    "clock_adjtime",
    "clock_adjtime64",
    "clock_getres",
    "clock_getres_time64",
    "clock_gettime",
    "clock_gettime64",
    "clock_nanosleep",
    "clock_nanosleep_time64",
    "getitimer",
    "gettimeofday",
    "nanosleep",
    "setitimer",
    "time",
    "timer_create",
    "timer_delete",
    "timer_getoverrun",
    "timer_gettime",
    "timer_gettime64",
    "timer_settime",
    "timer_settime64",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_gettime64",
    "timerfd_settime",
    "timerfd_settime64",
    // the network (for socket see below)
    "accept",
    "accept4",
    "bind",
    "connect",
    "getpeername",
    "getsockname",
    "getsockopt",
    "listen",
    "recv",
    "recvfrom",
    "recvmmsg",
    "recvmmsg_time64",
    "recvmsg",
    "send",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    "socketcall",
    "socketpair",
    // System V and POSIX messages, semaphores and shared memory, in the pod's own namespace
    "ipc",
    "mq_getsetattr",
    "mq_notify",
    "mq_open",
    "mq_timedreceive",
    "mq_timedreceive_time64",
    "mq_timedsend",
    "mq_timedsend_time64",
    "mq_unlink",
    "msgctl",
    "msgget",
    "msgrcv",
    "msgsnd",
    "semctl",
    "semget",
    "semop",
    "semtimedop",
    "semtimedop_time64",
    "shmat",
    "shmctl",
    "shmdt",
    "shmget",
    // machine information
    "getrandom",
    "sysinfo",
    "uname",
};

// Calls that programs try although they expect a refusal: these fail with EPERM instead of ENOSYS.
static constexpr const char *refused_names[] = {
    "acct",
    "add_key",
    "bpf",
    "clock_settime",
    "clock_settime64",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "init_module",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "migrate_pages",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pivot_root",
    "process_madvise",
    "quotactl",
    "reboot",
    "request_key",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "stime",
    "swapoff",
    "swapon",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "userfaultfd",
    "vhangup",
    "vmsplice",
};

const char *const *syscall_filter_names(size_t &out_count)
{
    out_count = std::size(allowed_names);
    return allowed_names;
}

static bool add(scmp_filter_ctx filter, uint32_t action, const char *name, const struct scmp_arg_cmp *conditions, unsigned count)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR)
        return true;
    int rc = seccomp_rule_add_array(filter, action, number, count, conditions);
    return rc == 0 || rc == -EDOM || rc == -EEXIST; // EDOM: not on this architecture
}

static bool add_plain(scmp_filter_ctx filter, uint32_t action, const char *name) { return add(filter, action, name, nullptr, 0); }

// Allows threads and processes but no namespaces. In a namespace of its own a process would have every capability.
static bool add_clone(scmp_filter_ctx filter)
{
    static constexpr uint64_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                           CLONE_NEWNET;
#if defined(__s390__) || defined(__s390x__)
    unsigned flags = 1;
#else
    unsigned flags = 0;
#endif
    struct scmp_arg_cmp none = {flags, SCMP_CMP_MASKED_EQ, namespaces, 0};
    // A filter cannot see the flags of clone3. Report it as missing, so that the C library falls back to clone.
    return add(filter, SCMP_ACT_ALLOW, "clone", &none, 1);
}

static bool add_socket(scmp_filter_ctx filter)
{
    static constexpr int families[] = {AF_UNIX, AF_INET, AF_INET6};
    static constexpr uint64_t audit = 9; // NETLINK_AUDIT
    bool done = true;
    for (int family : families) {
        struct scmp_arg_cmp is = {0, SCMP_CMP_EQ, static_cast<scmp_datum_t>(family), 0};
        done = done && add(filter, SCMP_ACT_ALLOW, "socket", &is, 1);
    }
    // Compare only the lower half of the argument, as the kernel does. Allow every protocol except one.
    static constexpr uint64_t lower_half = 0xffffffff;
    static constexpr uint64_t protocols_max = 32; // MAX_LINKS
    for (uint64_t protocol = 0; protocol < protocols_max; protocol++) {
        struct scmp_arg_cmp netlink[] = {{0, SCMP_CMP_EQ, AF_NETLINK, 0}, {2, SCMP_CMP_MASKED_EQ, lower_half, protocol}};
        done = done && (protocol == audit || add(filter, SCMP_ACT_ALLOW, "socket", netlink, 2));
    }
    return done;
}

static bool add_personality(scmp_filter_ctx filter)
{
    // Allow Linux or 32-bit personalities, with or without the old uname, and the query.
    bool done = true;
    for (uint64_t value : {uint64_t{0}, uint64_t{0x8}, uint64_t{0x20000}, uint64_t{0x20008}, uint64_t{0xffffffff}}) {
        struct scmp_arg_cmp is = {0, SCMP_CMP_EQ, value, 0};
        done = done && add(filter, SCMP_ACT_ALLOW, "personality", &is, 1);
    }
    return done;
}

int syscall_filter_make(const syscall_filter_options &options, std::string &out_text)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    bool done = filter != nullptr;
    if (done)
        seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); // a tree instead of a list, if libseccomp supports it
    for (const char *name : allowed_names)
        done = done && add_plain(filter, SCMP_ACT_ALLOW, name);
    for (const char *name : refused_names)
        done = done && add_plain(filter, SCMP_ACT_ERRNO(EPERM), name);
    done = done && add_plain(filter, options.chroot ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM), "chroot");
    done = done && add_clone(filter) && add_socket(filter) && add_personality(filter);
    int fd = done ? memfd_create("syscall-filter", MFD_CLOEXEC) : -1;
    if (fd >= 0 && (seccomp_export_bpf(filter, fd) != 0 || lseek(fd, 0, SEEK_SET) != 0)) {
        close(fd);
        fd = -1;
    }
    if (fd < 0)
        out_text = "cannot create the system call filter: libseccomp rejects it";
    if (filter != nullptr)
        seccomp_release(filter);
    return fd;
}

} // namespace etlnode::kubectl_local
