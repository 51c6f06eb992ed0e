// SPDX-License-Identifier: MIT
// kubectl_local/container.h: one run of one container: bubblewrap as a child, its status lines, its output in the log.
//
// bwrap starts the command, which is process 1 inside. When it ends, everything ends. If namespaces cannot be created, this program itself
// takes bubblewrap's place (tracer.h), with the same options and status lines.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

#include "kubectl_local/loop.h"
#include "kubectl_local/mount_tree.h"
#include "kubectl_local/pod_namespaces.h"

namespace etlnode::kubectl_local {

// The log on disk. A timestamp precedes each line, so that `logs --timestamps` can show it. Rotation with one old file bounds its size.
struct log_writer {
    std::string path;
    int fd = -1;
    uint64_t size = 0;
    bool at_line_start = true;
    std::string last_line; // of the latest run, bounded; holds bwrap's own error messages
};

inline constexpr uint64_t log_size_max = 10u * 1024 * 1024;

void log_open(log_writer &log, const std::string &path);
void log_append(log_writer &log, std::string_view bytes);
void log_close(log_writer &log);
// Renames the log to <path>.previous and starts a new one.
void log_start_run(log_writer &log);

struct container_end {
    int exit_code = 0;
    int signal = 0;
    bool never_started = false; // the command does not exist, or the sandbox could not be created
    std::string text;           // the reason
};

struct container_run {
    loop *l = nullptr;
    log_writer *log = nullptr;
    void (*on_known)(void *arg) = nullptr;   // `command` is known, but may still be bwrap
    void (*on_started)(void *arg) = nullptr; // the command runs
    void *arg = nullptr;

    pid_t bwrap = 0;   // 0 while nothing runs
    pid_t command = 0; // process 1 of the container; 0 until known
    bool started = false;
    bool killed = false;       // this program sent KILL
    bool changes_user = false; // setpriv runs before the command
    bool has_exit = false;
    int exit_code = 0;
    std::string status_text;
    std::string bwrap_path;
    uint64_t spawned_ms = 0;
    loop_watch status;
    loop_watch output;
    loop_timer start_check; // checks whether the command has started
};

// The parameters of a run. Lifetime: the call.
struct container_launch {
    const std::string &bwrap; // its path
    const pod_namespaces &namespaces;
    const mount_plan &mounts;
    const std::vector<std::string> &args; // bwrap's options
    const std::vector<std::string> &command;
    const std::string &mark;                // the pod's uid, by which a later supervisor finds leftover processes
    const std::vector<std::string> &groups; // files of control groups to write to
    uint64_t files_max;
    uint64_t tasks_max;
    int filter_fd; // system call filter; -1 for none
    // If not empty, the command line that runs this program in bwrap's place, without namespaces.
    const std::vector<std::string> &stand_in;
};

// False with `out_text` if the child could not even be created.
bool container_spawn(container_run &run, const container_launch &launch, std::string &out_text);
// Kills leftover processes of the pod, except children of the caller. Leftovers are an inner process of bwrap that has not yet asked to die
// with its parent, and commands that detached themselves. The pod's helper normally kills them, unless it was killed together with its
// supervisor.
void container_kill_leftovers(const std::string &mark, const std::string &pod_dir);
// Call when the child has been reaped with `wait_status`. Reads the rest of the output and reports how the run ended. Nothing runs
// afterwards.
void container_finish(container_run &run, int wait_status, container_end &out_end);
// Sends TERM to the command. Process 1 ignores it without a handler. Waiting would be useless then, so it is killed at once.
void container_terminate(container_run &run);
void container_kill(container_run &run);
// Whether the command is exiting. The kernel, rather than the command, may then have closed its sockets.
bool container_is_dying(const container_run &run);

} // namespace etlnode::kubectl_local
