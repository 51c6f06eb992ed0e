// SPDX-License-Identifier: MIT
// kubectl_local/container.h: one run of one container: bubblewrap as a child, its status lines, its output into the log.
//
// bwrap -> the command, which is process 1 inside. Whatever ends it ends all.
// Where no namespaces can be made this program itself takes bubblewrap's place (tracer.h), with the same options and status lines.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

#include "kubectl_local/loop.h"
#include "kubectl_local/netbox.h"
#include "kubectl_local/stage.h"

namespace etlnode::kubectl_local {

// The log on disk: every line has its time in front, so that `logs --timestamps` can show it. Bounded by rotation, one old file.
struct log_writer {
    std::string path;
    int fd = -1;
    uint64_t size = 0;
    bool at_line_start = true;
    std::string last_line; // of the latest run, bounded; bwrap's own complaints are found there
};

inline constexpr uint64_t log_size_max = 10u * 1024 * 1024;

void log_open(log_writer &log, const std::string &path);
void log_append(log_writer &log, std::string_view bytes);
void log_close(log_writer &log);
// The log becomes <path>.previous; a new one begins.
void log_turn(log_writer &log);

struct container_end {
    int exit_code = 0;
    int signal = 0;
    bool never_started = false; // the command does not exist or the sandbox could not be made
    std::string text;           // why
};

struct container_run {
    loop *l = nullptr;
    log_writer *log = nullptr;
    void (*on_known)(void *arg) = nullptr;   // command is known; it may still be bwrap
    void (*on_started)(void *arg) = nullptr; // the command runs
    void *arg = nullptr;

    pid_t bwrap = 0;   // 0: nothing runs
    pid_t command = 0; // process 1 of the container, 0 until known
    bool started = false;
    bool killed = false;       // by us, with KILL
    bool changes_user = false; // setpriv comes before the command
    bool has_exit = false;
    int exit_code = 0;
    std::string status_text;
    std::string bwrap_path;
    uint64_t spawned_ms = 0;
    loop_watch status;
    loop_watch output;
    loop_timer look; // for the command's start
};

// What a run is made of. Lifetime: of the call.
struct container_launch {
    const std::string &bwrap; // path
    const netbox &box;
    const stage_plan &stage;
    const std::vector<std::string> &args; // bwrap's options
    const std::vector<std::string> &command;
    const std::string &mark;                // the pod's uid: how a later supervisor finds what an earlier one could not take along
    const std::vector<std::string> &groups; // files of control groups to be written to
    uint64_t files_max;
    uint64_t tasks_max;
    int filter_fd; // system calls; -1: none
    // Instead of bwrap's own name: what starts this program in its place, which joins no namespaces. Empty: bwrap.
    const std::vector<std::string> &stand_in;
};

// False with `out_text` when not even the child could be made.
bool container_spawn(container_run &run, const container_launch &launch, std::string &out_text);
// Ends what is left of the pod, but for children of the caller's. bwrap's inner process that has not asked for the death of its parent yet survives it, and
// so does a command that wants to; the pod's helper ends them, unless it was killed with its supervisor.
void container_kill_left(const std::string &mark, const std::string &pod_dir);
// The child has been reaped with `wait_status`: reads what is left of the output and says how it ended. Nothing runs afterwards.
void container_reaped(container_run &run, int wait_status, container_end &out_end);
// TERM to the command. Process 1 ignores it unless it has a handler: then nothing would come of waiting, and it is ended at once.
void container_terminate(container_run &run);
void container_kill(container_run &run);
// Whether the command is on its way out (its sockets may have been closed by the kernel, not by it).
bool container_is_dying(const container_run &run);

} // namespace etlnode::kubectl_local
