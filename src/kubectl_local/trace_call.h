// SPDX-License-Identifier: MIT
// kubectl_local/trace_call.h: helpers that the handlers of traced system calls share (trace_calls.cc, trace_exec.cc, trace_net.cc,
// trace_others.cc).
#pragma once

#include <string>

#include "kubectl_local/trace_calls.h"

namespace etlnode::kubectl_local {

struct trace_context {
    trace_state &state;
    tracee &thread;
    trace_regs &regs;
    bool lacks_scratch = false;
};

// Skips the call; the thread gets this error.
void trace_fail(trace_context &h, int error);
void trace_answer(trace_context &h, int64_t result);
// Copies bytes into the thread's scratch memory. 0 if there is none yet (lacks_scratch) or it is full.
uint64_t trace_to_scratch(trace_context &h, const void *bytes, size_t size);
// Returns 0 or an errno.
int trace_resolve(trace_context &h, int dirfd, const std::string &path, bool follow, guest_path &out_path);

// For a call that changes the attributes of the file behind a descriptor, or of the working directory (AT_FDCWD), but not its content. The
// call is made only if it would be allowed by path.
void trace_handle_descriptor(trace_context &h, int fd);

// execve and execveat: finds the program's path on this machine, and runs scripts through their interpreter. argv follows `path_arg`.
void trace_handle_exec(trace_context &h, int dirfd, unsigned path_arg);

// Sockets: every address of the container's own machine becomes the pod's address.
void trace_handle_bind(trace_context &h);
void trace_handle_connect(trace_context &h);
void trace_handle_v6_only(trace_context &h);
void trace_handle_socket_name(trace_context &h); // getsockname
void trace_handle_send(trace_context &h);        // sendto with an address

// Processes, groups and users: restricted to those of the container.
void trace_handle_kill(trace_context &h);
void trace_handle_process(trace_context &h, unsigned pid_arg);
void trace_handle_pidfd(trace_context &h);
void trace_handle_priority(trace_context &h);
void trace_handle_io_priority(trace_context &h);
void trace_handle_fcntl(trace_context &h);
void trace_handle_owner_by_pointer(trace_context &h); // ioctl
bool trace_is_own_terminal(const trace_state &state, uint64_t number);

} // namespace etlnode::kubectl_local
