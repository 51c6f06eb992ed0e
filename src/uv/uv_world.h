// SPDX-License-Identifier: MIT
// uv/uv_world.h: what the files of this folder share: the loop, the queue of posts, the lists of live objects, jobs for the thread pool.
//
// A *dispatch* is one callback from libuv (or one batch of socket events) into this folder. Everything that calls upwards runs inside a
// dispatch. After a completion has returned, the posts that it made run before the next completion. An *iteration* is one round of the
// loop's socket events.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <uv.h>

#include "base/error.h"
#include "port/clock.h"
#include "port/disk.h"
#include "port/env.h"
#include "port/fetch.h"
#include "port/folder.h"
#include "port/index.h"
#include "port/ledger.h"
#include "port/meta.h"
#include "port/net.h"
#include "port/proc.h"
#include "uv/uv_env.h"

namespace etlnode {

// Intrusive circular list. The head is a link without an owner; removal does not need the head.
struct uv_link {
    uv_link *prev = this;
    uv_link *next = this;
    void *owner = nullptr;
    uv_link() = default;
    uv_link(const uv_link &) = delete;
    uv_link &operator=(const uv_link &) = delete;
};

inline bool uv_link_is_empty(const uv_link &link) { return link.next == &link; }

inline void uv_link_add(uv_link &head, uv_link &link, void *owner)
{
    link.owner = owner;
    link.prev = head.prev;
    link.next = &head;
    head.prev->next = &link;
    head.prev = &link;
}

inline void uv_link_remove(uv_link &link)
{
    link.prev->next = link.next;
    link.next->prev = link.prev;
    link.prev = link.next = &link;
}

// Moves all elements of `from` into the empty list `to`.
inline void uv_link_take(uv_link &from, uv_link &to)
{
    if (uv_link_is_empty(from))
        return;
    to.next = from.next;
    to.prev = from.prev;
    to.next->prev = &to;
    to.prev->next = &to;
    from.prev = from.next = &from;
}

struct uv_post {
    clock_callback run;
    void *arg;
};

struct uv_database;
struct uv_web;
struct uv_signal_slot;

struct uv_relay_pipe {
    int read_fd = -1;
    int write_fd = -1;
    size_t capacity = 0; // bytes
};

struct uv_world {
    env *e = nullptr;
    uv_loop_t loop;
    uv_env_census counts;
    bool in_dispatch = false;
    bool stopping = false; // uv_env_stop was called
    bool freeing = false;
    bool copying = false;
    uint64_t iteration = 1; // counts rounds of socket events; budgets refer to it

    std::vector<uv_post> posts;
    size_t post_next = 0;
    bool loop_ready = false; // libuv's descriptor has events

    uv_link timers;
    std::vector<timer *> spare_timers; // stopped, for the next timer_make
    uv_link procs;
    uv_link listeners;
    uv_link conns;
    uv_link calls;
    uv_link call_done; // calls that have ended but have not completed
    uv_link ready;     // connections with a wait that can complete in the next iteration
    uv_link dead;      // closed in this dispatch; freed at its end, because fetched events may point to them
    uv_link relays;
    uv_link files;
    std::vector<uv_signal_slot *> signals;

    int epoll_fd = -1;                // all sockets, and libuv's own descriptor
    std::vector<uv_relay_pipe> pipes; // idle and empty
    bool pipes_refused = false;       // logged once
    uint64_t bytes_warm_ms = 0;

    uv_link sync_queue; // jobs that wait for a thread that may block in fsync
    size_t syncs = 0;
    size_t syncs_max = 1;

    uv_database *database = nullptr;
    uv_web *fetches = nullptr; // from the first one on
    // stream_buffer_size bytes for reads that are consumed at once. Not initialised: pages that no read has filled cost no memory.
    std::unique_ptr<char[]> scratch;
};

inline uv_world &uv_world_of(env &e) { return *static_cast<uv_world *>(e.impl); }

// These two frame every libuv callback that may call upwards.
void uv_dispatch_begin(uv_world &w);
void uv_dispatch_end(uv_world &w);
// Call this between two completions of one dispatch.
void uv_dispatch_run_posts(uv_world &w);

// Work for the thread pool. `run` is called on a pool thread and touches nothing but the job. `done` is called once, on the loop, inside a
// dispatch; it owns the job from then on.
struct uv_job {
    uv_work_t request;
    uv_world *world = nullptr;
    void (*run)(uv_job *job) = nullptr;
    void (*done)(uv_job *job) = nullptr;
    void *owner = nullptr;
    uv_link link;
    bool is_sync = false;
};
void uv_job_start(uv_world &w, uv_job &job);
// Like uv_job_start, for work that ends in an fsync. Only a limited number runs at a time, so that other work always finds a thread.
void uv_job_start_sync(uv_world &w, uv_job &job);
// Number of threads that libuv will create, according to the environment.
size_t uv_pool_size();

// The steps of uv_env_free, one for each file: each ends all objects of its kind.
void uv_net_end_all(uv_world &w);
void uv_relay_end_all(uv_world &w);
void uv_proc_end_all(uv_world &w);
void uv_clock_end_all(uv_world &w);
void uv_disk_end_all(uv_world &w);
void uv_web_end_all(uv_world &w);

error uv_net_begin(uv_world &w);
// Waits for sockets and for libuv, at most timeout_ms (-1: for ever), then serves the sockets. Returns true if libuv has events.
bool uv_net_wait(uv_world &w, int timeout_ms);
// Whether work was deferred to the next iteration although no event will come for it.
bool uv_net_wants_iteration(const uv_world &w);
void uv_net_run_iteration(uv_world &w);
void uv_net_free_dead(uv_world &w);

int uv_disk_file_descriptor(const disk_file *file);

error uv_database_open(uv_world &w, const std::string &data_dir, std::string &out_detail);
bool uv_database_is_busy(const uv_world &w);
void uv_database_close(uv_world &w);

extern const clock_port uv_clock_port;
extern const proc_port uv_proc_port;
extern const net_port uv_net_port;
extern const disk_port uv_disk_port;
extern const index_port uv_index_port;
extern const ledger_port uv_ledger_port;
extern const meta_port uv_meta_port;
extern const fetch_port uv_web_port;
extern const folder_port uv_folder_port;

} // namespace etlnode
