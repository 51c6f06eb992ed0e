// SPDX-License-Identifier: MIT
// uv/uv_proc.cc: child processes, each in its own process group, with bounded output and a bounded life.
//
// Owns     for each child: the process handle, up to three pipes, one timer; all of them one-shot members of `proc`.
// Normal   spawn, feed stdin, read both outputs to their ends, exit, close everything, report.
// Fails    at a deadline or limit, TERM goes to the group, and KILL after the grace time. A pipe that a grandchild holds open is closed
//          after last_output_ms.
// Limits   out_size_max, err_size_max (the tail), deadline_ms, kill_grace_ms, last_output_ms.
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "base/check.h"
#include "base/limits.h"
#include "uv/uv_world.h"

namespace etlnode {

static constexpr uint64_t last_output_ms = 1'000; // for output that is still in the pipes after the exit

enum class proc_stage : uint8_t { running, terminating, killing, reading_last_output };

struct proc {
    uv_process_t process;
    uv_timer_t timer; // runs for the deadline, then the grace time, then last_output_ms
    uv_pipe_t in;
    uv_pipe_t out;
    uv_pipe_t err;
    uv_write_t write;
    uv_world *world = nullptr;
    uv_link link;
    proc_options options;
    proc_stage stage = proc_stage::running;
    int pid = 0;
    size_t open_count = 0; // handles whose close callback is still due
    bool refused = false;  // spawn failed: no callback follows
    bool has_in = false;
    bool has_out = false;
    bool has_err = false;
    proc_result result;
    std::string out_text;
    std::string err_text;
};

static uv_handle_t *handle_of(uv_pipe_t &pipe) { return reinterpret_cast<uv_handle_t *>(&pipe); }
static uv_handle_t *handle_of(uv_timer_t &timer) { return reinterpret_cast<uv_handle_t *>(&timer); }
static uv_handle_t *handle_of(uv_process_t &process) { return reinterpret_cast<uv_handle_t *>(&process); }

static void trim_tail(std::string &text, size_t size_max)
{
    if (text.size() > size_max)
        text.erase(0, text.size() - size_max);
}

static void handle_closed(uv_handle_t *handle)
{
    auto *p = static_cast<proc *>(handle->data);
    if (--p->open_count > 0)
        return;
    uv_world &w = *p->world;
    uv_link_remove(p->link);
    w.counts.procs--;
    if (!p->refused && p->options.on_exit != nullptr) {
        trim_tail(p->err_text, p->options.err_size_max);
        p->result.out = p->out_text;
        p->result.err_text = p->err_text;
        uv_dispatch_begin(w);
        p->options.on_exit(p->options.arg, p->result);
        uv_dispatch_end(w);
    }
    delete p;
}

static void close_once(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, handle_closed);
}

static bool is_open(bool made, uv_pipe_t &pipe) { return made && !uv_is_closing(handle_of(pipe)); }

// The timer closes last, because it bounds everything before.
static void close_when_finished(proc &p)
{
    if (p.stage == proc_stage::reading_last_output && !is_open(p.has_out, p.out) && !is_open(p.has_err, p.err))
        close_once(handle_of(p.timer));
}

static void signal_group(const proc &p, int signum)
{
    if (kill(-p.pid, signum) != 0 && p.stage != proc_stage::reading_last_output)
        (void)kill(p.pid, signum);
}

static void timer_fired(uv_timer_t *timer);

static void begin_terminate(proc &p)
{
    if (p.stage != proc_stage::running)
        return;
    p.stage = proc_stage::terminating;
    signal_group(p, SIGTERM);
    CHECK(uv_timer_start(&p.timer, timer_fired, p.options.kill_grace_ms, 0) == 0);
}

static void give_up_pipes(proc &p)
{
    if (p.has_out)
        close_once(handle_of(p.out));
    if (p.has_err)
        close_once(handle_of(p.err));
    close_when_finished(p);
}

static void timer_fired(uv_timer_t *timer)
{
    auto &p = *static_cast<proc *>(timer->data);
    switch (p.stage) {
    case proc_stage::running:
        p.result.deadline_passed = true;
        begin_terminate(p);
        break;
    case proc_stage::terminating:
        p.stage = proc_stage::killing;
        signal_group(p, SIGKILL);
        break;
    case proc_stage::killing: break;
    case proc_stage::reading_last_output: give_up_pipes(p); break;
    }
}

static void child_exited(uv_process_t *process, int64_t exit_status, int term_signal)
{
    auto &p = *static_cast<proc *>(process->data);
    bool was_ended = p.stage != proc_stage::running;
    p.result.exit_code = static_cast<int>(exit_status);
    p.result.signal = term_signal;
    p.stage = proc_stage::reading_last_output;
    if (was_ended)
        signal_group(p, SIGKILL); // also ends what the child left behind
    close_once(handle_of(p.process));
    if (p.has_in)
        close_once(handle_of(p.in)); // a child need not read its input
    uv_timer_stop(&p.timer);
    CHECK(uv_timer_start(&p.timer, timer_fired, last_output_ms, 0) == 0);
    close_when_finished(p);
}

static void give_buffer(uv_handle_t *handle, size_t, uv_buf_t *out_buffer)
{
    char *scratch = static_cast<proc *>(handle->data)->world->scratch.get(); // consumed before its next user reads
    *out_buffer = uv_buf_init(scratch, stream_buffer_size);
}

static void out_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    auto &p = *static_cast<proc *>(stream->data);
    if (count < 0) {
        close_once(handle_of(p.out));
        close_when_finished(p);
        return;
    }
    if (count == 0)
        return;
    std::string_view bytes(buffer->base, static_cast<size_t>(count));
    if (p.options.on_output != nullptr) {
        uv_dispatch_begin(*p.world);
        p.options.on_output(p.options.arg, bytes);
        uv_dispatch_end(*p.world);
        return;
    }
    size_t room = p.options.out_size_max - p.out_text.size();
    p.out_text.append(bytes.substr(0, room));
    if (bytes.size() > room) {
        p.result.truncated = true;
        begin_terminate(p);
    }
}

static void err_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    auto &p = *static_cast<proc *>(stream->data);
    if (count < 0) {
        close_once(handle_of(p.err));
        close_when_finished(p);
        return;
    }
    p.err_text.append(buffer->base, static_cast<size_t>(count));
    if (p.err_text.size() > 2 * p.options.err_size_max)
        trim_tail(p.err_text, p.options.err_size_max);
}

static void input_written(uv_write_t *write, int)
{
    auto &p = *static_cast<proc *>(write->data);
    close_once(handle_of(p.in)); // it does not matter whether the child read it
}

static std::string_view name_of(std::string_view assignment) { return assignment.substr(0, assignment.find('=')); }

// The inherited environment, overlaid by `extra`. Lifetime: that of `extra`.
static std::vector<char *> merged_environment(const std::vector<std::string> &extra)
{
    std::vector<char *> merged;
    for (char **entry = environ; entry != nullptr && *entry != nullptr; entry++) {
        bool is_replaced = false;
        for (const std::string &assignment : extra)
            is_replaced = is_replaced || name_of(*entry) == name_of(assignment);
        if (!is_replaced)
            merged.push_back(*entry);
    }
    for (const std::string &assignment : extra)
        merged.push_back(const_cast<char *>(assignment.c_str()));
    merged.push_back(nullptr);
    return merged;
}

// One of the child's stdio descriptors. It is a real pipe, not a socket pair, because scripts open /dev/stderr. `child_end`: the end for
// the child.
struct stdio_pipe {
    int child_fd = -1;
    int own_fd = -1;
};

static int make_stdio_pipe(stdio_pipe &out_pipe, int child_end)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return errno;
    out_pipe.child_fd = fds[child_end];
    out_pipe.own_fd = fds[1 - child_end];
    return 0;
}

static void close_stdio(stdio_pipe &pipe)
{
    if (pipe.child_fd >= 0)
        close(pipe.child_fd);
    if (pipe.own_fd >= 0)
        close(pipe.own_fd);
    pipe = {};
}

static void adopt_pipe(proc &p, uv_pipe_t &handle, stdio_pipe &pipe)
{
    CHECK(uv_pipe_init(&p.world->loop, &handle, 0) == 0);
    handle.data = &p;
    p.open_count++;
    CHECK(uv_pipe_open(&handle, pipe.own_fd) == 0);
    pipe.own_fd = -1;
}

// If PATH contains a directory without search permission, execvp returns EACCES even for a program that does not exist.
static bool is_found_in_path(const std::vector<char *> &environment, std::string_view program)
{
    if (program.find('/') != std::string_view::npos)
        return true;
    std::string_view path;
    for (const char *entry : environment) {
        if (entry != nullptr && name_of(entry) == "PATH")
            path = std::string_view(entry).substr(5);
    }
    while (!path.empty()) {
        size_t end = path.find(':');
        std::string candidate(path.substr(0, end));
        candidate += '/';
        candidate += program;
        if (access(candidate.c_str(), F_OK) == 0)
            return true;
        path = end == std::string_view::npos ? std::string_view() : path.substr(end + 1);
    }
    return false;
}

static error spawn_error(int failure, const std::vector<char *> &environment, std::string_view program)
{
    if (failure == EACCES && !is_found_in_path(environment, program))
        failure = ENOENT;
    switch (failure) {
    case ENOENT: return make_error(error_code::no_such_file, "program not found", failure);
    case EACCES: return make_error(error_code::permission, "program is not executable", failure);
    case EAGAIN:
    case ENOMEM: return make_error(error_code::overloaded, "cannot start another process", failure);
    default: return error_from_errno(failure, "cannot start the program");
    }
}

// The child's ends, and this process's ends.
struct stdio_pipes {
    stdio_pipe in, out, err;
};

static void close_all(stdio_pipes &pipes)
{
    close_stdio(pipes.in);
    close_stdio(pipes.out);
    close_stdio(pipes.err);
}

static int make_pipes(stdio_pipes &pipes, bool wants_in, bool wants_out, bool wants_err)
{
    int failure = wants_in ? make_stdio_pipe(pipes.in, 0) : 0;
    if (failure == 0 && wants_out)
        failure = make_stdio_pipe(pipes.out, 1);
    if (failure == 0 && wants_err)
        failure = make_stdio_pipe(pipes.err, 1);
    return failure;
}

static int spawn_child(proc &p, const stdio_pipes &pipes, std::vector<char *> &environment)
{
    std::vector<char *> argv;
    for (const std::string &argument : p.options.argv)
        argv.push_back(const_cast<char *>(argument.c_str()));
    argv.push_back(nullptr);
    uv_stdio_container_t stdio[3];
    int child_fds[3] = {pipes.in.child_fd, pipes.out.child_fd, pipes.err.child_fd};
    for (int i = 0; i < 3; i++) {
        stdio[i].flags = child_fds[i] >= 0 ? UV_INHERIT_FD : UV_IGNORE; // UV_IGNORE gives the child /dev/null
        stdio[i].data.fd = child_fds[i];
    }
    uv_process_options_t options{};
    options.exit_cb = child_exited;
    options.file = argv[0];
    options.args = argv.data();
    options.env = environment.data();
    options.flags = UV_PROCESS_DETACHED; // the child gets its own session, and so its own process group
    options.stdio_count = 3;
    options.stdio = stdio;
    return uv_spawn(&p.world->loop, &p.process, &options);
}

static void begin_output(proc &p, stdio_pipes &pipes)
{
    if (p.has_out) {
        adopt_pipe(p, p.out, pipes.out);
        CHECK(uv_read_start(reinterpret_cast<uv_stream_t *>(&p.out), give_buffer, out_read) == 0);
    }
    if (p.has_err) {
        adopt_pipe(p, p.err, pipes.err);
        CHECK(uv_read_start(reinterpret_cast<uv_stream_t *>(&p.err), give_buffer, err_read) == 0);
    }
}

static void begin_input(proc &p, stdio_pipes &pipes)
{
    adopt_pipe(p, p.in, pipes.in);
    p.write.data = &p;
    uv_buf_t bytes = uv_buf_init(p.options.input.data(), static_cast<unsigned>(p.options.input.size()));
    if (uv_write(&p.write, reinterpret_cast<uv_stream_t *>(&p.in), &bytes, 1, input_written) != 0)
        close_once(handle_of(p.in));
}

static error spawn(env &e, proc_options options, proc **out_proc)
{
    uv_world &w = uv_world_of(e);
    *out_proc = nullptr;
    CHECK(!options.argv.empty());
    CHECK(options.on_exit != nullptr);
    bool wants_out = options.on_output != nullptr || options.out_size_max > 0;
    bool wants_err = options.err_size_max > 0;
    stdio_pipes pipes;
    if (int failure = make_pipes(pipes, !options.input.empty(), wants_out, wants_err)) {
        close_all(pipes);
        return error_from_errno(failure, "pipe");
    }

    auto *p = new proc;
    p->world = &w;
    p->options = std::move(options);
    p->has_in = pipes.in.own_fd >= 0;
    p->has_out = wants_out;
    p->has_err = wants_err;
    uv_link_add(w.procs, p->link, p);
    w.counts.procs++;

    std::vector<char *> environment = merged_environment(p->options.extra_env);
    int result = spawn_child(*p, pipes, environment);
    p->process.data = p;
    p->open_count++;
    if (result != 0) {
        close_all(pipes);
        p->refused = true;
        close_once(handle_of(p->process));
        return spawn_error(-result, environment, p->options.argv[0]);
    }
    p->pid = p->process.pid;
    CHECK(uv_timer_init(&w.loop, &p->timer) == 0);
    p->timer.data = p;
    p->open_count++;
    if (p->options.deadline_ms > 0)
        CHECK(uv_timer_start(&p->timer, timer_fired, p->options.deadline_ms, 0) == 0);
    begin_output(*p, pipes);
    if (p->has_in)
        begin_input(*p, pipes);
    close_all(pipes); // the child's ends
    *out_proc = p;
    return no_error;
}

static void terminate(proc *p) { begin_terminate(*p); }
static int pid_of(const proc *p) { return p->pid; }

void uv_proc_end_all(uv_world &w)
{
    for (uv_link *link = w.procs.next; link != &w.procs; link = link->next) {
        auto &p = *static_cast<proc *>(link->owner);
        p.options.on_exit = nullptr;
        p.options.on_output = nullptr;
        if (p.refused)
            continue;
        if (p.stage != proc_stage::reading_last_output) {
            p.stage = proc_stage::killing;
            signal_group(p, SIGKILL);
        }
        if (p.has_out)
            close_once(handle_of(p.out));
        if (p.has_err)
            close_once(handle_of(p.err));
        close_when_finished(p);
    }
}

static machine_load machine(env &)
{
    machine_load out;
    out.memory = uv_get_total_memory();
    out.memory_available = uv_get_free_memory();
    uv_loadavg(out.load);
    out.processors = uv_available_parallelism();
    return out;
}

const proc_port uv_proc_port = {
    .spawn = spawn,
    .terminate = terminate,
    .pid = pid_of,
    .machine = machine,
};

} // namespace etlnode
