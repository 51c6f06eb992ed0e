// SPDX-License-Identifier: MIT
// object/source_fetch.cc: what comes from the web, as a source.
//
// Owns     the fetch.
// Known by role/target (jobs that download).
#include "object/source.h"

namespace etlnode {

struct fetch_source {
    env *e = nullptr;
    fetch *from = nullptr;
    fetch_notes *notes = nullptr;
};

static fetch_source &source_of(void *self) { return *static_cast<fetch_source *>(self); }

static pull_result pull(void *self, net_relay *, bool)
{
    fetch_source &s = source_of(self);
    fetch_piece piece = fetch_pull(*s.e, s.from);
    s.notes->given += piece.bytes.size();
    switch (piece.state) {
    case fetch_state::bytes: return {pull_state::bytes, piece.bytes, piece.bytes.size(), no_error};
    case fetch_state::again: return {pull_state::again, {}, 0, no_error};
    case fetch_state::end: return {pull_state::end, {}, 0, no_error};
    case fetch_state::failed: break;
    }
    s.notes->failed = fetch_failure_of(*s.e, s.from);
    return {pull_state::failed, {}, 0, s.notes->failed.err};
}

static void wait(void *self, net_on_ready on_ready, void *arg) { fetch_await(*source_of(self).e, source_of(self).from, on_ready, arg); }
static void wait_cancel(void *self) { fetch_await_cancel(*source_of(self).e, source_of(self).from); }
static uint64_t last_progress_ms(const void *) { return 0; }
static const char *stall_text(const void *) { return "timeout: the server sends nothing more"; }
static constexpr stream_from_ops ops = {false, pull, wait, wait_cancel, last_progress_ms, stall_text};

static void close(void *self)
{
    fetch_source &s = source_of(self);
    fetch_close(*s.e, s.from);
    s.notes->is_closed = true;
    delete &s;
}

source source_fetch(env &e, fetch *f, uint64_t size, uint64_t patience_ms, fetch_notes &notes)
{
    auto *s = new fetch_source{&e, f, &notes};
    return {source_facts{.size = size}, {&ops, s}, close, patience_ms, nullptr};
}

} // namespace etlnode
