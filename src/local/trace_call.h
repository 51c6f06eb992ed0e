// SPDX-License-Identifier: MIT
// local/trace_call.h: what the handlers of traced system calls share (trace_calls.cc, trace_exec.cc, trace_net.cc).
#pragma once

#include <string>

#include "local/trace_calls.h"

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

// execve and execveat: the program by its path here, scripts through their interpreter. `path_arg` is followed by argv.
void trace_take_exec(trace_hand &h, int dirfd, unsigned path_arg);

// Sockets: every address of the container's own machine becomes the pod's address.
void trace_take_bind(trace_hand &h);
void trace_take_connect(trace_hand &h);
void trace_take_v6_only(trace_hand &h);
void trace_take_socket_name(trace_hand &h); // getsockname
