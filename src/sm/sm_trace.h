// SPDX-License-Identifier: MIT
// sm/sm_trace.h: a ring of the last transitions of all machines, with a stable text form.
//
//   1250ms pod/7 (etl/3) launching --child_ok--> awaiting_ready
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace etlnode {

inline constexpr size_t sm_trace_size = 4096;

// All names are static text.
struct sm_trace_entry {
    uint64_t at_ms;
    const char *machine;
    uint64_t id;
    const char *from;
    const char *event;
    const char *to;
    int row;
    const char *owner; // the machine that it works for; null if there is none
    uint64_t owner_id;
};

void sm_trace_set_clock(uint64_t (*now_ms)(void *arg), void *arg);
// `on_entry` sees every entry as it is written (the simulator hashes them); null removes it.
void sm_trace_set_observer(void (*on_entry)(void *arg, const sm_trace_entry &entry), void *arg);
// Sets at_ms itself.
void sm_trace_record(sm_trace_entry entry);

// Calls `visit` for every entry, oldest first.
void sm_trace_each(void (*visit)(void *arg, const sm_trace_entry &entry), void *arg);
std::string sm_trace_text(const sm_trace_entry &entry);
void sm_trace_clear();
// Both print to stderr: the last 256 entries of the node, or the last 64 of one machine and of those that work for it.
void sm_trace_dump();
void sm_trace_dump_of(const char *machine, uint64_t id);

} // namespace etlnode
