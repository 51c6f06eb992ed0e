// SPDX-License-Identifier: MIT
// port/proc.h: child processes: bounded output, a deadline, TERM then KILL to the process group.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "port/env.h"

namespace etlnode {

struct proc; // opaque, one-shot: ends with its on_exit

struct proc_result {
    error err;         // set when the child could not be watched to its end; else ok, whatever the exit code
    int exit_code = 0; // meaningful when signal == 0
    int signal = 0;
    bool deadline_passed = false;
    bool truncated = false;    // an output limit was reached; the child was ended when `stream` was not set
    std::string_view out;      // collected stdout; empty when streamed. Lifetime: the callback
    std::string_view err_text; // collected stderr
};

struct proc_options {
    std::vector<std::string> argv;      // argv[0] is looked up in PATH
    std::vector<std::string> extra_env; // "NAME=value", over the inherited environment
    std::string input;                  // written to stdin, then stdin is closed; empty: stdin is /dev/null
    uint64_t deadline_ms = 0;           // 0: none (only for the resident watch)
    uint64_t kill_grace_ms = 2'000;     // from TERM to KILL
    size_t out_size_max = 0;            // of collected stdout; 0: stdout is /dev/null, unless on_output is set
    size_t err_size_max = 0;            // of stderr; the tail is kept; 0: stderr is /dev/null
    // Set: stdout is handed over as it comes instead of being collected. Calls back: any number of times before on_exit.
    void (*on_output)(void *arg, std::string_view bytes) = nullptr;
    void (*on_exit)(void *arg, const proc_result &result) = nullptr; // exactly once; every handle is closed by then
    void *arg = nullptr;
};

struct proc_port {
    error (*spawn)(env &e, proc_options options, proc **out_proc);
    void (*terminate)(proc *p);
    int (*pid)(const proc *p);
};

// Refused (no on_exit): program not found, not executable, out of descriptors or processes; the error says which.
inline error proc_spawn(env &e, proc_options options, proc **out_proc) { return e.proc->spawn(e, std::move(options), out_proc); }
// Asks the child to end: TERM to its process group, KILL after the grace. on_exit still comes. May be called repeatedly.
inline void proc_terminate(env &e, proc *p) { e.proc->terminate(p); }
inline int proc_pid(env &e, const proc *p) { return e.proc->pid(p); }

} // namespace etlnode
