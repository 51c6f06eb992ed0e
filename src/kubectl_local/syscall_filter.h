// SPDX-License-Identifier: MIT
// kubectl_local/syscall_filter.h: the system calls that a container may make.
//
// Never more than the default of container engines allows an unprivileged container; less where a pod has no need: no key rings, no mounts,
// no new namespaces, no socket families besides unix, IPv4, IPv6 and netlink.
#pragma once

#include <cstddef>
#include <string>

namespace etlnode::kubectl_local {

struct syscall_filter_options {
    bool chroot = false; // the container keeps CAP_SYS_CHROOT
};

// Returns the filter in the kernel's format, in a memory file at offset 0 (for bwrap --seccomp). -1 with `out_text`.
int syscall_filter_make(const syscall_filter_options &options, std::string &out_text);

// The calls that are allowed with any arguments; for tests.
const char *const *syscall_filter_names(size_t &out_count);

} // namespace etlnode::kubectl_local
