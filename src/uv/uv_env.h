// SPDX-License-Identifier: MIT
// uv/uv_env.h: the real world behind the ports: one libuv loop, sockets, children, files and the node's database.
//
// Used by app and by tests; nobody else knows that libuv exists. One env per process is usual, several are possible.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "port/env.h"

namespace etlnode {

struct uv_env_options {
    std::string data_dir;   // made (0700, with parents) when missing; empty: no index and no meta
    bool with_index = true; // false: data_dir is not touched, env.index and env.meta stay null
    uint64_t seed = 0;      // of env.random; 0: from the kernel
    bool copying = false;   // send_file and relay copy through memory (also: ETLNODE_COPY=1 in the environment)
    uint64_t bytes_warm_ms =
        10'000; // content found in the page cache, and sound, is taken to stay so for this long (also: ETLNODE_WARM_MS)
};

// Ensures: on success every port but index and meta is usable; these too when a data_dir was given. SIGPIPE and SIGXFSZ are ignored from now
// on.
// Errors: in_use (another process has the data directory), newer_version, permission, corrupt, no_space, io; `out_detail` is a
// sentence for people with the path in it.
error uv_env_make(const uv_env_options &options, env **out_env, std::string &out_detail);

// Runs the loop until uv_env_stop.
void uv_env_run(env &e);
// Ends uv_env_run after the current completion. May be called before it: then the next run returns after one turn.
void uv_env_stop(env &e);
// Runs the loop for one turn that waits at most `wait_ms` for something to happen. For tests.
void uv_env_poll(env &e, uint64_t wait_ms);

// Ends whatever is still open (connections are closed, children killed, jobs awaited), runs the posts that are still queued and closes
// the loop. Errors: timed_out, with the live handles on stderr, when something is left after 10 seconds; the memory is then leaked on
// purpose.
error uv_env_free(env *e);

using uv_env_signal_callback = void (*)(env &e, int signum, void *arg);
// Calls back on the loop, like a completion, every time the signal arrives, until uv_env_free.
error uv_env_on_signal(env &e, int signum, uv_env_signal_callback on_signal, void *arg);

// What is alive now.
struct uv_env_census {
    size_t conns = 0;
    size_t listeners = 0;
    size_t connects = 0; // under way
    size_t timers = 0;
    size_t procs = 0;
    size_t files = 0;
    size_t relays = 0;
    size_t pipes = 0; // open for relays, idle ones included
    size_t jobs = 0;  // on the thread pool or waiting for it
};
uv_env_census uv_env_counts(const env &e);

// Milliseconds since 1970: for log_set_wall_clock.
uint64_t uv_env_wall_ms();

} // namespace etlnode
