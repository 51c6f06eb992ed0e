// SPDX-License-Identifier: MIT
// object/source_chain.cc: sources one after the other, as one: parts of an upload, members of an archive.
//
// Owns     the source that is being read.
// Known by role.
// Normal   a pull that finds no source asks for the next one, which comes at once or later.
// Fails    with the failure of a source, or with what its owner says.
#include "base/check.h"
#include "base/limits.h"
#include "object/source.h"
#include "port/clock.h"

namespace etlnode {

struct source_chain {
    env *e = nullptr;
    source_chain_options options;
    source current;
    bool is_asked = false; // for the next source
    bool has_ended = false;
    bool posted = false;
    bool closed = false;
    error err;
    net_on_ready on_ready = nullptr; // of a wait for a source that is to come
    void *ready_arg = nullptr;
};

static source_chain &chain_of(void *self) { return *static_cast<source_chain *>(self); }

static void free_when_idle(source_chain &c)
{
    if (c.closed && !c.posted)
        delete &c;
}

static void on_posted(void *arg)
{
    source_chain &c = chain_of(arg);
    c.posted = false;
    net_on_ready on_ready = c.on_ready;
    c.on_ready = nullptr;
    if (!c.closed && on_ready != nullptr)
        on_ready(c.ready_arg); // this may close it
    else
        free_when_idle(c);
}

static void post(source_chain &c)
{
    if (!c.posted)
        clock_post(*c.e, on_posted, &c);
    c.posted = true;
}

static void come(source_chain &c)
{
    CHECK(c.is_asked && !c.closed);
    c.is_asked = false;
    if (c.on_ready != nullptr)
        post(c);
}

void source_chain_give(source_chain &c, source from)
{
    c.current = std::move(from);
    come(c);
}

void source_chain_end(source_chain &c)
{
    c.has_ended = true;
    come(c);
}

void source_chain_fail(source_chain &c, error err)
{
    c.err = err;
    come(c);
}

static pull_result pull(void *self, net_relay *, bool takes_file)
{
    source_chain &c = chain_of(self);
    for (;;) {
        if (c.err)
            return {pull_state::failed, {}, 0, c.err};
        if (c.has_ended)
            return {pull_state::end, {}, 0, no_error};
        if (!source_is_open(c.current)) {
            if (!c.is_asked) {
                c.is_asked = true;
                c.options.next(c.options.arg, c);
            }
            if (c.is_asked)
                return {pull_state::again, {}, 0, no_error};
            continue;
        }
        pull_result got = c.current.from.ops->pull(c.current.from.self, nullptr, takes_file);
        if (got.state == pull_state::end)
            source_close(c.current);
        else
            return got;
    }
}

static void wait(void *self, net_on_ready on_ready, void *arg)
{
    source_chain &c = chain_of(self);
    if (source_is_open(c.current) && !c.is_asked) {
        source_wait(c.current, on_ready, arg);
        return;
    }
    c.on_ready = on_ready;
    c.ready_arg = arg;
    if (!c.is_asked)
        post(c);
}

static void wait_cancel(void *self)
{
    source_chain &c = chain_of(self);
    c.on_ready = nullptr;
    if (source_is_open(c.current))
        c.current.from.ops->wait_cancel(c.current.from.self);
}

static uint64_t last_progress_ms(const void *self)
{
    const auto &c = *static_cast<const source_chain *>(self);
    return source_is_open(c.current) ? source_last_progress_ms(c.current) : 0;
}

static const char *stall_text(const void *self)
{
    const auto &c = *static_cast<const source_chain *>(self);
    return source_is_open(c.current) ? c.current.from.ops->stall_text(c.current.from.self) : "timeout: the next part does not come";
}

static constexpr stream_from_ops ops = {false, pull, wait, wait_cancel, last_progress_ms, stall_text};

static void close(void *self)
{
    source_chain &c = chain_of(self);
    c.closed = true;
    c.on_ready = nullptr;
    source_close(c.current);
    if (c.options.on_closed != nullptr)
        c.options.on_closed(c.options.arg);
    free_when_idle(c);
}

source source_chain_make(env &e, source_facts facts, source_chain_options options)
{
    auto *c = new source_chain;
    c->e = &e;
    c->options = options;
    return {std::move(facts), {&ops, c}, close, disk_patience_ms, nullptr};
}

} // namespace etlnode
