// SPDX-License-Identifier: MIT
// test/sim/sim.cc: time, events, hosts, faults, the trace hash.
#include "sim.h"

#include <cstdio>
#include <xxhash.h>

#include "base/log.h"
#include "sm/sm_trace.h"

namespace etlnode {

const char *const sim_fault_names[sim_fault_count] = {
#define FAULT(area, name, chance) #area "." #name,
#include "faults.def"
#undef FAULT
};

static constexpr uint16_t fault_chances[sim_fault_count] = {
#define FAULT(area, name, chance) chance,
#include "faults.def"
#undef FAULT
};

static sim_world *current = nullptr; // the log's clock has no argument

static uint64_t wall_ms_now() { return virtual_wall_ms + (current != nullptr ? current->now_us / 1000 : 0); }
static uint64_t trace_now(void *arg) { return static_cast<sim_world *>(arg)->now_us / 1000; }

void sim_hash(sim_world &w, uint64_t value) { w.trace_hash = XXH64(&value, sizeof value, w.trace_hash); }

static void on_transition(void *arg, const sm_trace_entry &entry)
{
    sim_world &w = *static_cast<sim_world *>(arg);
    w.trace_hash = XXH64(entry.machine, std::char_traits<char>::length(entry.machine), w.trace_hash);
    sim_hash(w, entry.id * 1024 + static_cast<uint64_t>(entry.row + 1));
}

sim_world *sim_make(uint64_t seed)
{
    auto *w = new sim_world;
    w->seed = seed;
    w->random.state = seed * 0x9e3779b97f4a7c15ull + 1;
    current = w;
    log_set_wall_clock(wall_ms_now);
    sm_trace_clear();
    sm_trace_set_clock(trace_now, w);
    sm_trace_set_observer(on_transition, w);
    return w;
}

void sim_free(sim_world *w)
{
    CHECK(w->hosts.empty());
    CHECK(w->links.empty());
    while (!w->events.empty())
        sim_cancel(*w, *w->events.begin());
    sm_trace_set_observer(nullptr, nullptr);
    sm_trace_set_clock(nullptr, nullptr);
    current = nullptr;
    delete w;
}

// --- hosts

static virtual_clock &host_clock_of(env &e) { return memory_of(e).clock; }

sim_host *sim_host_make(sim_world &w, sim_host_kind kind, const std::string &name, const std::string &address, const memory_image &image)
{
    auto *host = new sim_host;
    host->sim = &w;
    host->kind = kind;
    host->name = name;
    host->address = address;
    host->now = image;
    host->shuffle = true;
    host->documents_apart = w.documents_apart;
    host->order.state = rng_next(w.random);
    host->e.random.state = rng_next(w.random);
    host->e.clock = &virtual_clock_port<host_clock_of>;
    host->e.disk = &memory_disk;
    host->e.index = &memory_index;
    host->e.meta = &memory_meta;
    host->e.ledger = &memory_ledger;
    host->e.net = &sim_net_port;
    host->e.proc = &sim_proc_port;
    host->e.impl = static_cast<memory_world *>(host);
    host->clock.now_ms = w.now_us / 1000;
    w.hosts.push_back(host);
    return host;
}

void sim_host_cut_off(sim_host *host, bool silently)
{
    host->is_orphan = true;
    host->paused_until_us = 0;
    host->faults.clear();
    sim_net_cut_off(host, silently);
    sim_proc_cut_off(host);
}

void sim_host_free(sim_host *host)
{
    sim_world &w = *host->sim;
    CHECK(host->open_files == 0);
    CHECK(host->clock.timers == 0);
    CHECK(host->todo.empty() && host->done.empty() && host->clock.posts.empty());
    CHECK(host->conns.empty());
    CHECK(host->connects.empty());
    CHECK(host->listeners.empty());
    CHECK(host->children.empty());
    CHECK(host->relays == 0);
    if (host->disk_event != nullptr)
        sim_cancel(w, host->disk_event);
    std::erase(w.hosts, host);
    delete host;
}

// --- events

sim_event *sim_after(sim_world &w, sim_host *host, uint64_t delay_us, clock_callback run, void *arg)
{
    auto *event = new sim_event{w.now_us + delay_us, w.next_order++, host, run, arg};
    w.events.insert(event);
    return event;
}

void sim_cancel(sim_world &w, sim_event *event)
{
    w.events.erase(event);
    delete event;
}

static void on_disk(void *arg)
{
    sim_host *host = static_cast<sim_host *>(arg);
    host->disk_event = nullptr;
    sim_hash(*host->sim, host->todo.size() * 16 + host->done.size());
    (void)memory_step(*host);
}

// Injects one disk fault at a time, before the next operation that it fits.
static void draw_disk_fault(sim_host *host)
{
    sim_world &w = *host->sim;
    if (host->has_planned_faults)
        return;
    host->faults.clear();
    if (host->kind == sim_host_kind::pod || host->todo.empty() || host->is_orphan)
        return;
    auto fail = [&](sim_fault fault, memory_op op, error_code code) {
        bool is_next = false;
        for (const auto &task : host->todo)
            is_next = is_next || task->op == op;
        if (is_next && sim_hit(w, fault))
            host->faults.push_back({op, make_error(code, "injected")});
    };
    if (!host->is_started) {
        for (memory_op op : {memory_op::make_dir, memory_op::list, memory_op::sync_dir, memory_op::index_garbage,
                 memory_op::index_pending_moves, memory_op::meta_read, memory_op::meta_swap})
            fail(sim_fault::disk_start_error, op, error_code::io);
        return;
    }
    fail(sim_fault::disk_descriptors, memory_op::open, error_code::too_many_files);
    fail(sim_fault::disk_io_error, memory_op::make_dir, error_code::io);
    fail(sim_fault::disk_io_error, memory_op::index_garbage_clear, error_code::io);
    fail(sim_fault::disk_io_error, memory_op::index_placed, error_code::io);
    fail(sim_fault::disk_io_error, memory_op::index_page, error_code::io);
    fail(sim_fault::disk_io_error, memory_op::meta_swap, error_code::io);
    fail(sim_fault::disk_io_error, memory_op::open, error_code::io);
    fail(sim_fault::disk_io_error, memory_op::index_change, error_code::io);
    fail(sim_fault::disk_io_error, memory_op::index_get, error_code::io);
    fail(sim_fault::disk_io_error, memory_op::list, error_code::io);
    fail(sim_fault::disk_io_error, memory_op::unlink, error_code::io);
    fail(sim_fault::disk_io_error, memory_op::check, error_code::io);
    fail(sim_fault::disk_bit_flip, memory_op::check, error_code::corrupt);
    fail(sim_fault::disk_no_space, memory_op::write, error_code::no_space);
    fail(sim_fault::disk_no_space, memory_op::index_change, error_code::no_space);
    fail(sim_fault::disk_no_space, memory_op::meta_swap, error_code::no_space);
    fail(sim_fault::disk_short_write, memory_op::write, error_code::io);
    fail(sim_fault::disk_sync_error, memory_op::sync, error_code::io);
    fail(sim_fault::disk_sync_error, memory_op::sync_dir, error_code::io);
    fail(sim_fault::disk_io_error, memory_op::rename, error_code::io);
}

void sim_settle(sim_host *host)
{
    sim_world &w = *host->sim;
    for (size_t i = 0; virtual_run_post(host->clock); i++)
        CHECK(i < 1'000'000);
    if (host->disk_event != nullptr || (host->todo.empty() && host->done.empty()) || (!host->held.empty() && !memory_can_step(*host)))
        return;
    draw_disk_fault(host);
    if (host->slow_disk_until_us < w.now_us && host->kind <= sim_host_kind::target && sim_chance(w, 20) && sim_hit(w, sim_fault::disk_slow))
        host->slow_disk_until_us = w.now_us + sim_between(w, 200'000, 5'000'000);
    uint64_t delay = sim_between(w, 5, 300);
    if (host->slow_disk_until_us > w.now_us)
        delay = sim_chance(w, 30) ? sim_between(w, 300'000, 15'000'000) : sim_between(w, 5'000, 300'000);
    host->disk_event = sim_after(w, host, delay, on_disk, host);
}

static void enter(sim_host *host)
{
    host->clock.now_ms = std::max(host->clock.now_ms, host->sim->now_us / 1000);
    log_set_node(host->name.c_str());
}

// A callback that re-arms itself at once, for ever, would be a busy loop in the daemon.
static void move_time(sim_world &w, uint64_t to_us)
{
    w.steps++;
    w.steps_now = to_us > w.now_us ? 0 : w.steps_now + 1;
    w.now_us = std::max(w.now_us, to_us);
    if (w.steps_now > 200'000)
        panic("time stands still: somebody spins");
}

bool sim_step(sim_world &w, uint64_t until_us)
{
    for (;;) {
        sim_host *timer_host = nullptr;
        uint64_t timer_us = UINT64_MAX;
        for (sim_host *host : w.hosts) {
            if (host->clock.armed.empty())
                continue;
            uint64_t due_us = std::max((*host->clock.armed.begin())->due_ms * 1000, host->paused_until_us);
            if (due_us < timer_us) {
                timer_us = due_us;
                timer_host = host;
            }
        }
        sim_event *event = w.events.empty() ? nullptr : *w.events.begin();
        uint64_t next_us = std::min(timer_us, event != nullptr ? event->at_us : UINT64_MAX);
        if (next_us > until_us) {
            w.now_us = std::max(w.now_us, until_us);
            return false;
        }
        if (event != nullptr && event->at_us <= timer_us) {
            w.events.erase(event);
            if (event->host != nullptr && event->host->paused_until_us > event->at_us) { // keeps its place among the postponed events
                event->at_us = event->host->paused_until_us;
                w.events.insert(event);
                continue;
            }
            move_time(w, event->at_us);
            sim_host *host = event->host;
            auto run = event->run;
            void *arg = event->arg;
            delete event;
            if (host != nullptr)
                enter(host);
            run(arg);
            if (host != nullptr)
                sim_settle(host);
            return true;
        }
        move_time(w, timer_us);
        enter(timer_host);
        (void)virtual_fire_next(timer_host->clock, w.now_us / 1000);
        sim_settle(timer_host);
        return true;
    }
}

// --- faults

void sim_count_hit(sim_world &w, sim_fault fault)
{
    w.hits[static_cast<size_t>(fault)]++;
    sim_note(w, "fault %s", sim_fault_names[static_cast<size_t>(fault)]);
}

bool sim_hit(sim_world &w, sim_fault fault)
{
    size_t at = static_cast<size_t>(fault);
    if (w.certain[at]) {
        sim_count_hit(w, fault);
        return true;
    }
    if (!w.faults_on || !w.enabled[at] || !sim_chance(w, fault_chances[at]))
        return false;
    sim_count_hit(w, fault);
    return true;
}

// --- what happened

static void print(const sim_world &w, const char *text)
{
    std::fprintf(stderr, "%10.3f ms  %s\n", static_cast<double>(w.now_us) / 1000, text);
}

void sim_note(sim_world &w, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    int size = std::vsnprintf(text, sizeof text, format, args);
    va_end(args);
    w.trace_hash = XXH64(text, std::min(static_cast<size_t>(size), sizeof text - 1), w.trace_hash);
    if (w.is_verbose)
        print(w, text);
}

void sim_fail(sim_world &w, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    (void)std::vsnprintf(text, sizeof text, format, args);
    va_end(args);
    w.failures.push_back(text);
    if (w.is_verbose)
        print(w, (std::string("BROKEN PROMISE: ") + text).c_str());
}

} // namespace etlnode
