// SPDX-License-Identifier: MIT
// kubectl_local/trace_filter.cc: the seccomp filter of an unsandboxed container: which system calls stop it, which are refused.
//
// All other calls, such as read and write, run at full speed.
#include <cerrno>
#include <cstddef>

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/fscrypt.h>
#include <linux/fsverity.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "kubectl_local/trace_calls.h"

namespace etlnode::kubectl_local {

static constexpr long traced[] = {
    // Paths.
    SYS_openat,
    SYS_newfstatat,
    SYS_statx,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlinkat,
    SYS_getcwd,
    SYS_chdir,
    SYS_mkdirat,
    SYS_unlinkat,
    SYS_renameat2,
    SYS_linkat,
    SYS_symlinkat,
    SYS_fchmodat,
    SYS_fchownat,
    SYS_utimensat,
    SYS_truncate,
    SYS_statfs,
    SYS_execve,
    SYS_execveat,
    SYS_mknodat,
    SYS_inotify_add_watch,
    SYS_setxattr,
    SYS_lsetxattr,
    SYS_getxattr,
    SYS_lgetxattr,
    SYS_listxattr,
    SYS_llistxattr,
    SYS_removexattr,
    SYS_lremovexattr,
#ifdef SYS_renameat
    SYS_renameat,
#endif
#ifdef SYS_open
    SYS_open,
    SYS_creat,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_mkdir,
    SYS_rmdir,
    SYS_unlink,
    SYS_rename,
    SYS_link,
    SYS_symlink,
    SYS_chmod,
    SYS_chown,
    SYS_lchown,
    SYS_utime,
    SYS_utimes,
    SYS_futimesat,
    SYS_mknod,
#endif
    trace_fchmodat2,
    // Descriptors. The content needs no check, because a read-only file cannot have been opened for writing.
    SYS_fchmod,
    SYS_fchown,
    SYS_fsetxattr,
    SYS_fremovexattr,
    // Names and addresses.
    SYS_uname,
    SYS_bind,
    SYS_connect,
    SYS_getsockname,
    // Processes.
    SYS_clone,
    SYS_clone3,
    SYS_kill,
    SYS_tkill,
    SYS_tgkill,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    SYS_pidfd_open,
    SYS_pidfd_send_signal,
    trace_process_mrelease,
    SYS_setpriority,
    SYS_ioprio_set,
    SYS_get_robust_list,
#ifdef SYS_fork
    SYS_fork,
    SYS_vfork,
#endif
};

struct refusal {
    long number;
    int error;
};
static constexpr refusal refused[] = {
    // Calls that would bypass the filter. Their users have a fallback for kernels that lack them.
    {SYS_openat2, ENOSYS},
    {SYS_io_uring_setup, ENOSYS},
    {SYS_io_uring_enter, ENOSYS},
    {SYS_io_uring_register, ENOSYS},
    // Calls that a container may not make.
    {SYS_ptrace, EPERM},
    {SYS_process_vm_readv, EPERM},
    {SYS_process_vm_writev, EPERM},
    {SYS_pidfd_getfd, EPERM},
    {SYS_kcmp, EPERM},
    {SYS_mount, EPERM},
    {SYS_umount2, EPERM},
    {SYS_pivot_root, EPERM},
    {SYS_chroot, EPERM},
    {SYS_move_mount, EPERM},
    {SYS_fsopen, EPERM},
    {SYS_open_tree, EPERM},
    {SYS_fspick, EPERM},
    {SYS_mount_setattr, EPERM},
    {SYS_unshare, EPERM},
    {SYS_setns, EPERM},
    {SYS_name_to_handle_at, EPERM},
    {SYS_open_by_handle_at, EPERM},
    {SYS_bpf, EPERM},
    {SYS_perf_event_open, EPERM},
    {SYS_userfaultfd, EPERM},
    {SYS_keyctl, EPERM},
    {SYS_add_key, EPERM},
    {SYS_request_key, EPERM},
    {SYS_reboot, EPERM},
    {SYS_kexec_load, EPERM},
    {SYS_init_module, EPERM},
    {SYS_finit_module, EPERM},
    {SYS_delete_module, EPERM},
    {SYS_swapon, EPERM},
    {SYS_swapoff, EPERM},
    {SYS_move_pages, EPERM},
    {SYS_migrate_pages, EPERM},
    {trace_process_madvise, EPERM},
    {SYS_acct, EPERM},
    {SYS_quotactl, EPERM},
    {SYS_sethostname, EPERM},
    {SYS_setdomainname, EPERM},
    {SYS_settimeofday, EPERM},
    {SYS_clock_settime, EPERM},
    {SYS_adjtimex, EPERM},
    {SYS_clock_adjtime, EPERM},
    {SYS_syslog, EPERM},
    {SYS_fanotify_init, EPERM},
};

// Calls that are traced or refused only for some arguments, because all others are too frequent.
enum class when : uint8_t { equal, not_zero };
struct argument_row {
    long number;
    unsigned arg;
    when rule;
    uint32_t value;
    uint32_t verdict;
};
static constexpr uint32_t trace = SECCOMP_RET_TRACE;
static constexpr uint32_t not_permitted = SECCOMP_RET_ERRNO | EPERM;
static constexpr argument_row arguments[] = {
    // Recipients of a descriptor's signals; leases, which block other processes from a file.
    {SYS_fcntl, 1, when::equal, F_SETOWN, trace}, {SYS_fcntl, 1, when::equal, F_SETOWN_EX, trace},
    {SYS_fcntl, 1, when::equal, F_SETLEASE, trace}, {SYS_ioctl, 1, when::equal, FIOSETOWN, trace},
    {SYS_ioctl, 1, when::equal, SIOCSPGRP, trace},
    // Attributes of a file.
    {SYS_ioctl, 1, when::equal, FS_IOC_SETFLAGS, trace}, {SYS_ioctl, 1, when::equal, FS_IOC32_SETFLAGS, trace},
    {SYS_ioctl, 1, when::equal, FS_IOC_SETVERSION, trace}, {SYS_ioctl, 1, when::equal, FS_IOC_FSSETXATTR, trace},
    {SYS_ioctl, 1, when::equal, FS_IOC_ENABLE_VERITY, trace}, {SYS_ioctl, 1, when::equal, FS_IOC_SET_ENCRYPTION_POLICY, trace},
    // Injection of input into a terminal.
    {SYS_ioctl, 1, when::equal, TIOCSTI, not_permitted}, {SYS_ioctl, 1, when::equal, TIOCLINUX, not_permitted},
    {SYS_prctl, 0, when::equal, PR_SCHED_CORE, SECCOMP_RET_ERRNO | EINVAL}, // takes a pid
    // 0 means the caller.
    {SYS_prlimit64, 0, when::not_zero, 0, trace}, {SYS_sched_setaffinity, 0, when::not_zero, 0, trace},
    {SYS_sched_setscheduler, 0, when::not_zero, 0, trace}, {SYS_sched_setparam, 0, when::not_zero, 0, trace},
    {SYS_sched_setattr, 0, when::not_zero, 0, trace}, {SYS_sendto, 4, when::not_zero, 0, trace}, // has an address
};

static struct sock_filter statement(unsigned code, uint32_t k) { return {static_cast<uint16_t>(code), 0, 0, k}; }
static struct sock_filter jump(unsigned code, uint32_t k, unsigned yes, unsigned no)
{
    return {static_cast<uint16_t>(code), static_cast<uint8_t>(yes), static_cast<uint8_t>(no), k};
}
static constexpr unsigned load = BPF_LD | BPF_W | BPF_ABS;
static constexpr unsigned give = BPF_RET | BPF_K;
static constexpr unsigned is_equal = BPF_JMP | BPF_JEQ | BPF_K;

static uint32_t low_half_of_arg(unsigned i)
{
    return static_cast<uint32_t>(offsetof(struct seccomp_data, args) + i * 8); // all supported processors are little-endian
}

static uint32_t high_half_of_arg(unsigned i) { return low_half_of_arg(i) + 4; }

// The accumulator contains the call's number before and after this.
static void add_row(std::vector<struct sock_filter> &out, const argument_row &row)
{
    std::vector<struct sock_filter> test;
    test.push_back(statement(load, low_half_of_arg(row.arg)));
    if (row.rule == when::equal)
        test.push_back(jump(is_equal, row.value, 0, 1));
    else {
        test.push_back(jump(is_equal, 0, 1, 0));
        test.push_back(statement(give, row.verdict));
        test.push_back(statement(load, high_half_of_arg(row.arg)));
        test.push_back(jump(is_equal, 0, 1, 0));
    }
    test.push_back(statement(give, row.verdict));
    test.push_back(statement(load, offsetof(struct seccomp_data, nr)));
    out.push_back(jump(is_equal, static_cast<uint32_t>(row.number), 0, static_cast<unsigned>(test.size())));
    out.insert(out.end(), test.begin(), test.end());
}

std::vector<struct sock_filter> trace_filter()
{
    static constexpr uint32_t no_such_call = SECCOMP_RET_ERRNO | ENOSYS;
    std::vector<struct sock_filter> out;
    out.push_back(statement(load, offsetof(struct seccomp_data, arch)));
    out.push_back(jump(is_equal, trace_arch, 1, 0));
    out.push_back(statement(give, no_such_call));
    out.push_back(statement(load, offsetof(struct seccomp_data, nr)));
#if defined(__x86_64__)
    out.push_back(jump(BPF_JMP | BPF_JSET | BPF_K, 0x40000000, 0, 1)); // x32 system calls
    out.push_back(statement(give, no_such_call));
#endif
    for (long number : traced) {
        out.push_back(jump(is_equal, static_cast<uint32_t>(number), 0, 1));
        out.push_back(statement(give, SECCOMP_RET_TRACE));
    }
    for (const refusal &one : refused) {
        out.push_back(jump(is_equal, static_cast<uint32_t>(one.number), 0, 1));
        out.push_back(statement(give, SECCOMP_RET_ERRNO | static_cast<uint32_t>(one.error)));
    }
    for (const argument_row &row : arguments)
        add_row(out, row);
    // Of setsockopt trace only IPV6_V6ONLY; other options are set for every connection.
    out.push_back(jump(is_equal, static_cast<uint32_t>(SYS_setsockopt), 1, 0));
    out.push_back(statement(give, SECCOMP_RET_ALLOW));
    out.push_back(statement(load, low_half_of_arg(1)));
    out.push_back(jump(is_equal, IPPROTO_IPV6, 1, 0));
    out.push_back(statement(give, SECCOMP_RET_ALLOW));
    out.push_back(statement(load, low_half_of_arg(2)));
    out.push_back(jump(is_equal, IPV6_V6ONLY, 1, 0));
    out.push_back(statement(give, SECCOMP_RET_ALLOW));
    out.push_back(statement(give, SECCOMP_RET_TRACE));
    return out;
}

} // namespace etlnode::kubectl_local
