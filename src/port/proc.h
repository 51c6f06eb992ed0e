// SPDX-License-Identifier: MIT
// port/proc.h: child processes with bounded output and a deadline. TERM, then KILL, goes to the process group. And the load of the machine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "port/env.h"

namespace etlnode {

struct proc; // opaque, one-shot; freed after its on_exit

struct proc_result {
    error err;         // set if the child could not be watched to its end; otherwise ok, whatever the exit code
    int exit_code = 0; // meaningful if signal == 0
    int signal = 0;
    bool deadline_passed = false;
    bool truncated = false;    // an output limit was reached; the child was ended if `stream` was not set
    std::string_view out;      // collected stdout; empty if streamed. Lifetime: the callback
    std::string_view err_text; // collected stderr
};

struct proc_options {
    std::vector<std::string> argv;      // argv[0] is looked up in PATH
    std::vector<std::string> extra_env; // "NAME=value", added to the inherited environment
    std::string input;                  // written to stdin, which is then closed; empty: stdin is /dev/null
    uint64_t deadline_ms = 0;           // 0: none (only for the resident watch)
    uint64_t kill_grace_ms = 2'000;     // from TERM to KILL
    size_t out_size_max = 0;            // limit of collected stdout; 0: stdout is /dev/null, unless on_output is set
    size_t err_size_max = 0;            // limit of stderr, of which the tail is kept; 0: stderr is /dev/null
    // If set, stdout is handed over as it arrives instead of being collected. Calls back any number of times before on_exit.
    void (*on_output)(void *arg, std::string_view bytes) = nullptr;
    void (*on_exit)(void *arg, const proc_result &result) = nullptr; // exactly once; every handle is closed by then
    void *arg = nullptr;
};

// Of this machine, or of the container that the process is in; 0: unknown.
struct machine_load {
    uint64_t memory = 0; // bytes
    uint64_t memory_available = 0;
    double load[3] = {}; // runnable processes, averaged over 1, 5 and 15 minutes
    unsigned processors = 0;
};

struct proc_port {
    error (*spawn)(env &e, proc_options options, proc **out_proc);
    void (*terminate)(proc *p);
    int (*pid)(const proc *p);
    machine_load (*machine)(env &e);
};

// Refused (no on_exit): program not found, not executable, or no descriptors or processes left. The error says which.
inline error proc_spawn(env &e, proc_options options, proc **out_proc) { return e.proc->spawn(e, std::move(options), out_proc); }
// Asks the child to end: TERM to its process group, then KILL after the grace time. on_exit still follows. May be called repeatedly.
inline void proc_terminate(env &e, proc *p) { e.proc->terminate(p); }
// Waits for nothing.
inline machine_load proc_machine(env &e) { return e.proc->machine(e); }
inline int proc_pid(env &e, const proc *p) { return e.proc->pid(p); }

} // namespace etlnode
