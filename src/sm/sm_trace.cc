// SPDX-License-Identifier: MIT
// sm/sm_trace.cc: the ring of transitions.
#include "sm/sm_trace.h"

#include <cinttypes>
#include <cstring>

#include "base/log.h"
#include "base/text.h"

namespace etlnode {

static sm_trace_entry ring[sm_trace_size];
static uint64_t written = 0;
static uint64_t (*clock_now)(void *) = nullptr;
static void *clock_arg = nullptr;
static void (*observer)(void *arg, const sm_trace_entry &entry) = nullptr;
static void *observer_arg = nullptr;

void sm_trace_set_clock(uint64_t (*now_ms)(void *arg), void *arg)
{
    clock_now = now_ms;
    clock_arg = arg;
}

void sm_trace_set_observer(void (*on_entry)(void *arg, const sm_trace_entry &entry), void *arg)
{
    observer = on_entry;
    observer_arg = arg;
}

static void append(const sm_trace_entry &entry)
{
    ring[written++ % sm_trace_size] = entry;
    if (observer != nullptr)
        observer(observer_arg, entry);
    if (log_enabled(log_level::state))
        log_write(log_level::state, "sm", "%s", sm_trace_text(entry).c_str());
}

static uint64_t now() { return clock_now != nullptr ? clock_now(clock_arg) : 0; }

void sm_trace_record(sm_trace_entry entry)
{
    entry.at_ms = now();
    append(entry);
}

std::string sm_trace_text(const sm_trace_entry &entry)
{
    std::string owner = entry.owner != nullptr ? text_format(" (%s/%" PRIu64 ")", entry.owner, entry.owner_id) : std::string();
    return text_format("%" PRIu64 "ms %s/%" PRIu64 "%s %s --%s--> %s", entry.at_ms, entry.machine, entry.id, owner.c_str(), entry.from,
        entry.event, entry.to);
}

void sm_trace_each(void (*visit)(void *arg, const sm_trace_entry &entry), void *arg)
{
    uint64_t first = written > sm_trace_size ? written - sm_trace_size : 0;
    for (uint64_t i = first; i < written; i++)
        visit(arg, ring[i % sm_trace_size]);
}

void sm_trace_clear() { written = 0; }

static bool is_about(const sm_trace_entry &entry, const char *machine, uint64_t id)
{
    bool is_its_own = entry.id == id && std::strcmp(entry.machine, machine) == 0;
    return is_its_own || (entry.owner != nullptr && entry.owner_id == id && std::strcmp(entry.owner, machine) == 0);
}

static void dump_last(uint64_t count, const char *machine, uint64_t id)
{
    uint64_t first = written > sm_trace_size ? written - sm_trace_size : 0;
    uint64_t start = written;
    uint64_t found = 0;
    while (start > first && found < count) {
        start--;
        const sm_trace_entry &entry = ring[start % sm_trace_size];
        if (machine == nullptr || is_about(entry, machine, id))
            found++;
    }
    for (uint64_t i = start; i < written; i++) {
        const sm_trace_entry &entry = ring[i % sm_trace_size];
        if (machine == nullptr || is_about(entry, machine, id))
            log_plain(log_level::info, "sm", "  " + sm_trace_text(entry));
    }
}

void sm_trace_dump()
{
    log_plain(log_level::info, "sm", "last transitions of this node:");
    dump_last(256, nullptr, 0);
}

void sm_trace_dump_of(const char *machine, uint64_t id)
{
    log_plain(log_level::info, "sm", text_format("last transitions of %s/%" PRIu64 ":", machine, id));
    dump_last(64, machine, id);
}

} // namespace etlnode
