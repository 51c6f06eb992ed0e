// SPDX-License-Identifier: MIT
// kubectl_local/trace_call.h: what the handlers of traced system calls share (trace_calls.cc, trace_exec.cc, trace_net.cc, trace_others.cc).
#pragma once

#include <string>

#include "kubectl_local/trace_calls.h"

namespace etlnode::kubectl_local {

struct trace_hand {
    trace_state &state;
    tracee &thread;
    trace_regs &regs;
    bool lacks_scratch = false;
};

// The call is not made; the thread gets this.
void trace_fail(trace_hand &h, int error);
void trace_answer(trace_hand &h, int64_t result);
// Copies bytes into the thread's scratch. 0: there is none yet (lacks_scratch) or it is full.
uint64_t trace_place(trace_hand &h, const void *bytes, size_t size);
// 0 or an errno.
int trace_resolve(trace_hand &h, int dirfd, const std::string &path, bool follow, guest_path &out_path);

// The call changes the file that a descriptor stands for, or the working directory (AT_FDCWD), and not what is in it: it is made only where a path would let it be made.
void trace_take_descriptor(trace_hand &h, int fd);

// execve and execveat: the program by its path here, scripts through their interpreter. `path_arg` is followed by argv.
void trace_take_exec(trace_hand &h, int dirfd, unsigned path_arg);

// Sockets: every address of the container's own machine becomes the pod's address.
void trace_take_bind(trace_hand &h);
void trace_take_connect(trace_hand &h);
void trace_take_v6_only(trace_hand &h);
void trace_take_socket_name(trace_hand &h); // getsockname
void trace_take_send(trace_hand &h);        // sendto with an address

// Processes, groups and users: only those of the container.
void trace_take_kill(trace_hand &h);
void trace_take_process(trace_hand &h, unsigned pid_arg);
void trace_take_pidfd(trace_hand &h);
void trace_take_priority(trace_hand &h);
void trace_take_io_priority(trace_hand &h);
void trace_take_fcntl(trace_hand &h);
void trace_take_owner_by_pointer(trace_hand &h); // ioctl
bool trace_is_own_terminal(const trace_state &state, uint64_t number);

} // namespace etlnode::kubectl_local
