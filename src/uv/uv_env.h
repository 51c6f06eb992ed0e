// SPDX-License-Identifier: MIT
// uv/uv_env.h: the real world behind the ports: one libuv loop, sockets, children, files, and the node's database.
//
// Only etlnode and tests use this header; no other module knows that libuv exists. A process usually has one env, but may have several.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "port/env.h"

namespace etlnode {

struct uv_env_options {
    std::string data_dir;            // created if missing (0700, with parents); empty: no index and no meta
    bool with_index = true;          // false: data_dir is not touched, env.index and env.meta stay null
    uint64_t seed = 0;               // of env.random; 0: seeded by the kernel
    bool copying = false;            // send_file and relay copy through memory (also: ETLNODE_COPY=1 in the environment)
    uint64_t bytes_warm_ms = 10'000; // for how long sound content found in the page cache is trusted (also: ETLNODE_WARM_MS)
};

// Ensures: on success every port except index and meta is usable; with a data_dir these are, too. SIGPIPE and SIGXFSZ are ignored from now
// on.
// Errors: in_use (another process has the data directory), newer_version, permission, corrupt, no_space, io. `out_detail` is a sentence for
// people that contains the path.
error uv_env_make(const uv_env_options &options, env **out_env, std::string &out_detail);

// Runs the loop until uv_env_stop.
void uv_env_run(env &e);
// Ends uv_env_run after the current completion. If it is called earlier, the next run returns after one iteration.
void uv_env_stop(env &e);
// Runs one iteration of the loop, which waits at most `wait_ms` for something to happen. For tests.
void uv_env_poll(env &e, uint64_t wait_ms);

// Ends everything that is still open: closes connections, kills children, waits for jobs, runs the queued posts, and closes the loop.
// Errors: timed_out if something is left after 10 seconds; it prints the live handles to stderr and leaks the memory on purpose.
error uv_env_free(env *e);

using uv_env_signal_callback = void (*)(env &e, int signum, void *arg);
// Calls back on the loop, like a completion, every time the signal arrives, until uv_env_free.
error uv_env_on_signal(env &e, int signum, uv_env_signal_callback on_signal, void *arg);

// Numbers of live objects.
struct uv_env_census {
    size_t conns = 0;
    size_t listeners = 0;
    size_t connects = 0; // in progress
    size_t timers = 0;
    size_t procs = 0;
    size_t files = 0;
    size_t relays = 0;
    size_t pipes = 0; // open for relays, including idle ones
    size_t jobs = 0;  // on the thread pool or waiting for a thread
};
uv_env_census uv_env_counts(const env &e);

// Milliseconds since 1970: for log_set_wall_clock.
uint64_t uv_env_wall_ms();

} // namespace etlnode
