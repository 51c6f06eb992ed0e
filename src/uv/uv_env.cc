// SPDX-License-Identifier: MIT
// uv/uv_env.cc: creates and frees the env: the loop, dispatches and posts, jobs for the thread pool, signals.
//
// Normal   make, run until stopped, free; nothing is left when the loop closes.
// Fails    make: the database cannot be opened. free: handles that do not end within 10 s are printed.
// Limits   jobs that may block in fsync: the pool's size minus 3 (the database occupies one more thread).
#include "uv/uv_env.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <linux/close_range.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "uv/uv_world.h"

namespace etlnode {

static constexpr uint64_t free_deadline_ms = 10'000;

struct uv_signal_slot {
    uv_signal_t handle;
    uv_world *world = nullptr;
    uv_env_signal_callback on_signal = nullptr;
    void *arg = nullptr;
};

// Dispatches.

void uv_dispatch_run_posts(uv_world &w)
{
    // Iterate by index: posts may be added while they run.
    while (w.post_next < w.posts.size()) {
        uv_post next = w.posts[w.post_next++];
        next.run(next.arg);
    }
    w.posts.clear();
    w.post_next = 0;
}

void uv_dispatch_begin(uv_world &w)
{
    CHECK(!w.in_dispatch); // libuv does not nest callbacks; running the loop inside a completion would
    w.in_dispatch = true;
}

void uv_dispatch_end(uv_world &w)
{
    uv_dispatch_run_posts(w);
    w.in_dispatch = false;
    uv_net_free_dead(w);
}

// Work waits for the next iteration although no event will come for it.
static bool wants_iteration(const uv_world &w) { return !w.posts.empty() || uv_net_wants_iteration(w); }

static void run_iteration(uv_world &w)
{
    uv_dispatch_begin(w);
    uv_dispatch_run_posts(w);
    uv_net_run_iteration(w);
    uv_dispatch_end(w);
}

// Jobs.

size_t uv_pool_size()
{
    const char *text = std::getenv("UV_THREADPOOL_SIZE");
    long size = text != nullptr ? std::strtol(text, nullptr, 10) : 4; // libuv's own default
    return size >= 1 && size <= 1024 ? static_cast<size_t>(size) : 1;
}

static void run_job(uv_work_t *request)
{
    auto *job = static_cast<uv_job *>(request->data);
    job->run(job);
}

static void finish_job(uv_work_t *request, int)
{
    auto *job = static_cast<uv_job *>(request->data);
    uv_world &w = *job->world;
    w.counts.jobs--;
    if (job->is_sync) {
        w.syncs--;
        if (!uv_link_is_empty(w.sync_queue)) {
            auto *next = static_cast<uv_job *>(w.sync_queue.next->owner);
            uv_link_remove(next->link);
            w.syncs++;
            CHECK(uv_queue_work(&w.loop, &next->request, run_job, finish_job) == 0);
        }
    }
    uv_dispatch_begin(w);
    job->done(job);
    uv_dispatch_end(w);
}

void uv_job_start(uv_world &w, uv_job &job)
{
    job.world = &w;
    job.request.data = &job;
    w.counts.jobs++;
    CHECK(uv_queue_work(&w.loop, &job.request, run_job, finish_job) == 0);
}

void uv_job_start_sync(uv_world &w, uv_job &job)
{
    job.is_sync = true;
    if (w.syncs < w.syncs_max) {
        w.syncs++;
        uv_job_start(w, job);
        return;
    }
    job.world = &w;
    job.request.data = &job;
    w.counts.jobs++;
    uv_link_add(w.sync_queue, job.link, &job);
}

// Make and run.

static void close_loop_handles(uv_world &w)
{
    for (uv_signal_slot *slot : w.signals) {
        slot->on_signal = nullptr;
        uv_close(reinterpret_cast<uv_handle_t *>(&slot->handle),
            [](uv_handle_t *handle) { delete static_cast<uv_signal_slot *>(handle->data); });
    }
    w.signals.clear();
}

static uint64_t kernel_seed()
{
    uint64_t seed = 0;
    while (getrandom(&seed, sizeof seed, 0) != static_cast<ssize_t>(sizeof seed)) {
    }
    return seed;
}

error uv_env_make(const uv_env_options &options, env **out_env, std::string &out_detail)
{
    *out_env = nullptr;
    out_detail.clear();
    auto *w = new uv_world;
    int result = uv_loop_init(&w->loop);
    if (result != 0) {
        out_detail = std::string("cannot make an event loop: ") + uv_strerror(result);
        delete w;
        return error_from_errno(-result, "event loop");
    }
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);                  // a file that may not grow fails that write instead of ending the node
    (void)close_range(3, ~0u, CLOSE_RANGE_CLOEXEC); // children must not inherit what we inherited; our own descriptors are CLOEXEC already
    w->loop.data = w;
    const char *copy = std::getenv("ETLNODE_COPY");
    w->copying = options.copying || (copy != nullptr && std::strcmp(copy, "1") == 0);
    w->bytes_warm_ms = options.bytes_warm_ms;
    uint64_t warm_ms = 0;
    const char *warm = std::getenv("ETLNODE_WARM_MS");
    if (warm != nullptr && text_parse_u64(warm, warm_ms))
        w->bytes_warm_ms = warm_ms;
    size_t pool = uv_pool_size();
    w->syncs_max = pool > 4 ? pool - 3 : 1;
    w->scratch = std::make_unique_for_overwrite<char[]>(stream_buffer_size);

    auto *e = new env;
    w->e = e;
    e->impl = w;
    e->clock = &uv_clock_port;
    e->proc = &uv_proc_port;
    e->net = &uv_net_port;
    e->disk = &uv_disk_port;
    e->fetch = &uv_web_port;
    e->folder = &uv_folder_port;
    e->random.state = options.seed != 0 ? options.seed : kernel_seed();

    error err = uv_net_begin(*w);
    if (err)
        out_detail = std::string("cannot watch sockets: ") + error_text(err);
    if (!err && options.with_index && !options.data_dir.empty()) {
        err = uv_database_open(*w, options.data_dir, out_detail);
        if (!err) {
            e->index = &uv_index_port;
            e->ledger = &uv_ledger_port;
            e->meta = &uv_meta_port;
        }
    }
    if (err) {
        error ignored = uv_env_free(e); // only empty handles are left
        (void)ignored;
        return err;
    }
    *out_env = e;
    return no_error;
}

// How long libuv may be left alone, in ms. 0: it has work, or a handle that its descriptor does not cover yet. -1: for ever.
static int loop_timeout(const uv_world &w) { return uv_loop_alive(&w.loop) != 0 ? uv_backend_timeout(&w.loop) : -1; }

// False if libuv has nothing to do.
static bool run_loop(uv_world &w)
{
    if (!w.loop_ready && loop_timeout(w) != 0)
        return false;
    w.loop_ready = false;
    uv_run(&w.loop, UV_RUN_NOWAIT);
    return true;
}

// One round: libuv, then work deferred to this iteration, then sockets. It waits for sockets and for libuv's descriptor together, for at
// most wait_ms, and only if nothing was done before. wait_ms -1: until something happens.
static void run_round(uv_world &w, int wait_ms)
{
    bool is_idle = !run_loop(w);
    if (wants_iteration(w)) {
        run_iteration(w);
        is_idle = false;
    }
    int timeout = w.stopping || wants_iteration(w) ? 0 : loop_timeout(w);
    if (wait_ms >= 0 && !is_idle)
        timeout = 0;
    else if (wait_ms >= 0 && (timeout < 0 || timeout > wait_ms))
        timeout = wait_ms;
    w.loop_ready = uv_net_wait(w, timeout);
}

void uv_env_run(env &e)
{
    uv_world &w = uv_world_of(e);
    CHECK(!w.in_dispatch);
    uv_update_time(&w.loop);
    while (!w.stopping)
        run_round(w, -1);
    w.stopping = false;
}

void uv_env_stop(env &e) { uv_world_of(e).stopping = true; }

void uv_env_poll(env &e, uint64_t wait_ms)
{
    uv_world &w = uv_world_of(e);
    CHECK(!w.in_dispatch);
    uv_update_time(&w.loop);
    run_round(w, static_cast<int>(std::min<uint64_t>(wait_ms, INT_MAX)));
    (void)run_loop(w); // what the wait found for libuv
}

// Free.

// Whether anything is left that completes by itself and may call upwards.
static bool has_work(const uv_world &w) { return w.counts.jobs > 0 || !w.posts.empty() || uv_database_is_busy(w); }

static void end_all(uv_world &w)
{
    uv_net_end_all(w);
    uv_relay_end_all(w);
    uv_proc_end_all(w);
    uv_clock_end_all(w);
    uv_disk_end_all(w);
    uv_web_end_all(w);
}

error uv_env_free(env *e)
{
    uv_world &w = uv_world_of(*e);
    CHECK(!w.in_dispatch);
    w.freeing = true;
    w.stopping = false;
    uv_update_time(&w.loop);
    uint64_t until_ms = uv_now(&w.loop) + free_deadline_ms;
    // First complete what is owed to the owners of machines, while their timers and connections are still valid; then end the rest
    // silently.
    while (has_work(w) && uv_now(&w.loop) < until_ms)
        uv_env_poll(*e, 100);
    end_all(w);
    while ((has_work(w) || w.counts.procs > 0) && uv_now(&w.loop) < until_ms)
        uv_env_poll(*e, 100);
    uv_database_close(w);
    close_loop_handles(w);
    int result = UV_EBUSY;
    while ((result = uv_loop_close(&w.loop)) == UV_EBUSY && uv_now(&w.loop) < until_ms) {
        // Only closing handles are left, which end without waiting. Anything else runs into the deadline.
        uv_run(&w.loop, UV_RUN_NOWAIT);
        uv_update_time(&w.loop);
        if (uv_loop_alive(&w.loop) != 0)
            usleep(1000);
    }
    if (result != 0) {
        std::fprintf(stderr, "uv_env_free: still alive after %llu ms:\n", static_cast<unsigned long long>(free_deadline_ms));
        uv_print_all_handles(&w.loop, stderr);
        return make_error(error_code::timed_out, "the event loop has live handles");
    }
    if (w.epoll_fd >= 0)
        close(w.epoll_fd);
    for (const uv_relay_pipe &pipe : w.pipes) {
        close(pipe.read_fd);
        close(pipe.write_fd);
    }
    delete &w;
    delete e;
    return no_error;
}

error uv_env_on_signal(env &e, int signum, uv_env_signal_callback on_signal, void *arg)
{
    uv_world &w = uv_world_of(e);
    auto *slot = new uv_signal_slot;
    CHECK(uv_signal_init(&w.loop, &slot->handle) == 0);
    slot->handle.data = slot;
    slot->world = &w;
    slot->on_signal = on_signal;
    slot->arg = arg;
    w.signals.push_back(slot);
    int result = uv_signal_start(
        &slot->handle,
        [](uv_signal_t *handle, int number) {
            auto *fired = static_cast<uv_signal_slot *>(handle->data);
            uv_dispatch_begin(*fired->world);
            fired->on_signal(*fired->world->e, number, fired->arg);
            uv_dispatch_end(*fired->world);
        },
        signum);
    return result == 0 ? no_error : error_from_errno(-result, "cannot watch the signal");
}

uv_env_census uv_env_counts(const env &e) { return static_cast<const uv_world *>(e.impl)->counts; }

uint64_t uv_env_wall_ms()
{
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000u + static_cast<uint64_t>(now.tv_nsec) / 1'000'000u;
}

} // namespace etlnode
