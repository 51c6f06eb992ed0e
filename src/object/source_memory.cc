// SPDX-License-Identifier: MIT
// object/source_memory.cc: bytes in memory as a source.
//
// Owns     the bytes.
// Known by transfer.
#include "base/limits.h"
#include "object/source.h"
#include "port/clock.h"

namespace etlnode {

struct memory_source {
    env *e = nullptr;
    std::string content;
    bool is_given = false;
    bool posted = false;
    bool closed = false;
    net_on_ready on_ready = nullptr;
    void *ready_arg = nullptr;
};

static memory_source &source_of(void *self) { return *static_cast<memory_source *>(self); }

static pull_result pull(void *self, net_relay *, bool)
{
    memory_source &s = source_of(self);
    if (s.is_given || s.content.empty())
        return {pull_state::end, {}, 0, no_error};
    s.is_given = true;
    return {pull_state::bytes, s.content, s.content.size(), no_error};
}

static void on_posted(void *arg)
{
    memory_source &s = source_of(arg);
    s.posted = false;
    if (s.closed) {
        delete &s;
        return;
    }
    net_on_ready on_ready = s.on_ready;
    s.on_ready = nullptr;
    if (on_ready != nullptr)
        on_ready(s.ready_arg); // this may close it
}

static void wait(void *self, net_on_ready on_ready, void *arg)
{
    memory_source &s = source_of(self);
    s.on_ready = on_ready;
    s.ready_arg = arg;
    if (!s.posted)
        clock_post(*s.e, on_posted, &s);
    s.posted = true;
}

static void wait_cancel(void *self) { source_of(self).on_ready = nullptr; }
static uint64_t last_progress_ms(const void *) { return 0; }
static const char *stall_text(const void *) { return "timeout: memory gives nothing"; }
static constexpr stream_from_ops ops = {false, pull, wait, wait_cancel, last_progress_ms, stall_text};

static void close(void *self)
{
    memory_source &s = source_of(self);
    s.closed = true;
    s.on_ready = nullptr;
    if (!s.posted)
        delete &s;
}

source source_memory(env &e, std::string content, source_facts facts)
{
    auto *s = new memory_source;
    s->e = &e;
    s->content = std::move(content);
    facts.size = s->content.size();
    return {std::move(facts), {&ops, s}, close, disk_patience_ms, nullptr};
}

} // namespace etlnode
