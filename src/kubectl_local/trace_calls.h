// SPDX-License-Identifier: MIT
// kubectl_local/trace_calls.h: which system calls of an unsandboxed container are traced, and how each is handled.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <linux/filter.h>
#include <sys/types.h>

#include "kubectl_local/guest_view.h"
#include "kubectl_local/trace_regs.h"

namespace etlnode::kubectl_local {

inline constexpr size_t trace_scratch_size = 256u * 1024; // our memory in a traced thread, for rewritten arguments
inline constexpr size_t trace_threads_max = 4096;         // processes and threads of one container

// The same on every architecture; older headers lack it.
inline constexpr long trace_fchmodat2 = 452;
inline constexpr long trace_process_mrelease = 448;
inline constexpr long trace_process_madvise = 440;

// Memory that threads share.
struct trace_space {
    size_t users = 0;
    std::vector<uint64_t> free_scratch;
    std::vector<uint64_t> all_scratch;
};

struct tracee {
    pid_t tid = 0;
    pid_t tgid = 0;
    int space = 0;
    uint64_t scratch = 0;          // 0 if there is none yet
    uint64_t scratch_used = 0;     // by the current call
    uint64_t clone_flags = 0;      // of the clone in progress
    bool awaiting_scratch = false; // a call of ours is running in the thread
    trace_regs saved;              // awaiting_scratch: the thread's own registers
};

struct trace_state {
    guest_view view;
    std::map<pid_t, tracee> tracees;
    std::map<pid_t, size_t> processes; // number of threads of each
    std::map<int, trace_space> spaces;
    int last_space = 0;
    std::set<uint16_t> ports;                        // that the container has bound
    bool has_unknown_ports = false;                  // it has let the kernel choose one
    std::set<std::string> v6_only;                   // sockets, as /proc names them
    std::map<std::string, std::string> socket_paths; // the container's names of sockets that it has bound to a path
    bool has_ipv6 = false;                           // ::1 exists
    int socket_dirs[64] = {};                        // directories for the short names of sockets
    unsigned next_socket_dir = 0;
};

// How a call continues.
enum class trace_verdict : uint8_t {
    go_on,        // with the arguments in the registers
    needs_scratch // the thread has none of our memory yet; the call is repeated when it has
};

// The filter that stops a thread at the calls that trace_call handles, and refuses those that no container may make.
std::vector<struct sock_filter> trace_filter();
// Call when a thread has stopped at such a call. Changes `regs`.
trace_verdict trace_call(trace_state &state, tracee &thread, trace_regs &regs);

bool trace_is_inside(const trace_state &state, pid_t pid);
std::string trace_cwd(const trace_state &state, pid_t tid); // the container's name of the directory

} // namespace etlnode::kubectl_local
