// SPDX-License-Identifier: MIT
// kubectl_local/syscall_filter.h: which system calls a container may make.
//
// Never more than a container engine's default lets an unprivileged container do; less where a pod has no use for it: no key rings, no mounts,
// no new namespaces, no socket families besides unix, IPv4, IPv6 and netlink.
#pragma once

#include <cstddef>
#include <string>

namespace etlnode::kubectl_local {

struct syscall_filter_options {
    bool chroot = false; // the container keeps CAP_SYS_CHROOT
};

// The filter as the kernel takes it, in a memory file that is read from its beginning (for bwrap --seccomp). -1 with `out_text`.
int syscall_filter_make(const syscall_filter_options &options, std::string &out_text);

// The calls that are allowed whatever their arguments, for tests.
const char *const *syscall_filter_names(size_t &out_count);

} // namespace etlnode::kubectl_local
