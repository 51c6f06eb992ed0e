// SPDX-License-Identifier: MIT
// role/shared/lifecycle_machine.cc: a node's start and end, one wait after the other.
//
// Owns     one timer; the knowledge how far the start or the end is.
// Knows    sm, port.            Known by  proxy.cc, target.cc, and whatever asks whether the node is ready.
// Machine  lifecycle, drawn in docs/machines/lifecycle.md (generated, do not edit).
// Normal   opening, listening, joining, ready; SIGTERM: draining until no client is served, closing, finishing until nothing is under way,
//          ended.
// Fails    a data directory, an address or a document that is of no use fails the start. At the end the time limits decide, but storage is
//          always waited for: it completes its calls, and they lead back into this node.
// Limits   drain_timeout_ms for clients, finish_timeout_ms for handlers, last_word_timeout_ms for the proxy.
//
// Nothing is polled: whatever a wait is for says when it has ended (lifecycle_work_ended), and the role is asked then.
#include "role/shared/lifecycle_machine.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "sm/sm_verify.h"

namespace etlnode {

using S = lifecycle::state;
using E = lifecycle::event;

static constexpr uint64_t finish_timeout_ms = 2'000;    // after all connections have ended, handlers need only iterations of the loop
static constexpr uint64_t last_word_timeout_ms = 1'000; // for the proxy to take it

// --- what comes in

static void take(lifecycle &m, E event);

// The role may complete a step before it returns, that is inside an action: then the event follows.
static void happen(lifecycle &m, E event)
{
    if (m.sm.stepping)
        sm_emit(m, event);
    else
        take(m, event);
}

static void run_work_ended(void *arg)
{
    lifecycle &m = *static_cast<lifecycle *>(arg);
    m.is_posted = false;
    take(m, E::work_ended);
}

static void post_work_ended(lifecycle &m)
{
    if (m.is_posted)
        return;
    m.is_posted = true;
    clock_post(*m.e, run_work_ended, &m);
}

static void on_deadline(void *arg) { take(*static_cast<lifecycle *>(arg), E::deadline); }

// --- actions

static void open(lifecycle &m)
{
    m.is_starting = true;
    m.role.open(m.role.arg);
}

static void listen(lifecycle &m)
{
    m.is_starting = true;
    m.role.listen(m.role.arg);
}

static void join(lifecycle &m) { m.role.join(m.role.arg); }
static void note_joined(lifecycle &m) { m.has_joined = true; }

// What there is to wait for may be nothing, so it is looked at once from here.
static void drain(lifecycle &m)
{
    timer_arm(*m.e, m.deadline_timer, drain_timeout_ms);
    m.role.drain(m.role.arg);
    post_work_ended(m);
}

static void close(lifecycle &m)
{
    timer_stop(*m.e, m.deadline_timer);
    m.role.close(m.role.arg);
}

static void finish(lifecycle &m)
{
    timer_arm(*m.e, m.deadline_timer, finish_timeout_ms);
    m.role.finish(m.role.arg);
    post_work_ended(m);
}

static void send_last_word(lifecycle &m)
{
    timer_arm(*m.e, m.deadline_timer, last_word_timeout_ms);
    m.role.send_last_word(m.role.arg);
}

static void end_start(lifecycle &m)
{
    timer_free(*m.e, m.deadline_timer);
    m.deadline_timer = nullptr;
}

static void end(lifecycle &m)
{
    end_start(m);
    m.role.end(m.role.arg);
}

// --- guards

static bool is_drained(const lifecycle &m) { return m.role.is_drained(m.role.arg); }
static bool is_storing(const lifecycle &m) { return m.role.is_storing(m.role.arg); }
static bool is_busy(const lifecycle &m) { return !m.role.is_idle(m.role.arg); }
static bool has_last_word(const lifecycle &m) { return m.role.is_idle(m.role.arg) && m.role.has_last_word(m.role.arg); }

// --- the table

static constexpr uint32_t STEP = 1;
static constexpr uint32_t DEADLINE = 2;
static constexpr uint32_t POST = 4;

static uint32_t alive(const lifecycle &m)
{
    return (m.is_starting ? STEP : 0u) | (m.deadline_timer != nullptr && timer_is_armed(*m.e, m.deadline_timer) ? DEADLINE : 0u) |
           (m.is_posted ? POST : 0u);
}

static constexpr sm_resource resources[] = {
    {STEP, "step of the start"}, {DEADLINE, "deadline"}, {POST, "posted look at what is under way"}};

static constexpr const char *storage_answers = "storage answers every call";
static constexpr sm_state<lifecycle> states[] = {
    {S::idle, sm_initial, 0, 0},
    {S::opening, sm_busy, 0, STEP, 0, storage_answers},
    {S::listening, sm_busy, 0, STEP, 0, storage_answers},
    {S::joining, 0, 0, 0},
    {S::ready, 0, 0, 0},
    {S::ending_start, sm_busy, STEP, STEP, 0, storage_answers},
    {S::draining, sm_busy, DEADLINE, DEADLINE | POST},
    {S::closing, sm_busy, 0, POST, 0, "what works for the node is ended, and has limits of its own"},
    {S::finishing, sm_busy, DEADLINE, DEADLINE | POST},
    {S::awaiting_storage, sm_busy, 0, POST, 0, storage_answers},
    {S::sending_last_word, sm_busy, DEADLINE, DEADLINE | POST},
    {S::failed, 0, 0, 0},
    {S::ended, sm_final, 0, POST},
};

static constexpr sm_row<lifecycle> rows[] = {
    {S::idle, E::begin, always, SM_FN(open), S::opening},
    {S::idle, E::stop, always, SM_FN(end_start), S::ended},

    {S::opening, E::opened, always, SM_FN(listen), S::listening},
    {S::opening, E::failed, always, nothing, S::failed},
    {S::opening, E::stop, always, nothing, S::ending_start},
    {S::listening, E::listens, always, SM_FN(join), S::joining},
    {S::listening, E::failed, always, nothing, S::failed},
    {S::listening, E::stop, always, nothing, S::ending_start},
    {S::joining, E::joined, always, SM_FN(note_joined), S::ready},
    {S::joining, E::failed, always, nothing, S::failed},
    {S::joining, E::stop, always, SM_FN(drain), S::draining},
    {S::ready, E::stop, always, SM_FN(drain), S::draining},

    {S::ending_start, E::opened, always, SM_FN(drain), S::draining},
    {S::ending_start, E::listens, always, SM_FN(drain), S::draining},
    {S::ending_start, E::failed, always, SM_FN(drain), S::draining},

    {S::draining, E::work_ended, SM_FN(is_drained), SM_FN(close), S::closing},
    {S::draining, E::work_ended, always, nothing, S::draining},
    {S::draining, E::deadline, always, SM_FN(close), S::closing},
    {S::closing, E::closed, always, SM_FN(finish), S::finishing},

    {S::finishing, E::work_ended, SM_FN(has_last_word), SM_FN(send_last_word), S::sending_last_word},
    {S::finishing, E::work_ended, SM_FN(is_busy), nothing, S::finishing},
    {S::finishing, E::work_ended, always, SM_FN(end), S::ended},
    {S::finishing, E::deadline, SM_FN(is_storing), nothing, S::awaiting_storage},
    {S::finishing, E::deadline, always, SM_FN(end), S::ended},
    {S::awaiting_storage, E::work_ended, SM_FN(is_storing), nothing, S::awaiting_storage},
    {S::awaiting_storage, E::work_ended, SM_FN(has_last_word), SM_FN(send_last_word), S::sending_last_word},
    {S::awaiting_storage, E::work_ended, always, SM_FN(end), S::ended},
    {S::sending_last_word, E::last_word_sent, always, SM_FN(end), S::ended},
    {S::sending_last_word, E::deadline, always, SM_FN(end), S::ended},

    {S::failed, E::stop, always, SM_FN(end_start), S::ended},
};

static constexpr const char *late_start = "the start is not waited for any more";
static constexpr const char *late_work = "it is waited for by other means";
static constexpr const char *asked_once = "the node is ending already";
static constexpr sm_ignore<lifecycle> ignores[] = {
    {S::listening, E::joined, "joining finds that it has come"},
    {S::ending_start, E::joined, late_start},
    {S::ending_start, E::stop, asked_once},
    {S::draining, E::joined, late_start},
    {S::draining, E::failed, late_start},
    {S::draining, E::stop, asked_once},
    {S::closing, E::joined, late_start},
    {S::closing, E::failed, late_start},
    {S::closing, E::work_ended, late_work},
    {S::closing, E::stop, asked_once},
    {S::finishing, E::joined, late_start},
    {S::finishing, E::failed, late_start},
    {S::finishing, E::stop, asked_once},
    {S::awaiting_storage, E::joined, late_start},
    {S::awaiting_storage, E::failed, late_start},
    {S::awaiting_storage, E::stop, asked_once},
    {S::sending_last_word, E::work_ended, late_work},
    {S::sending_last_word, E::stop, asked_once},
    {S::ended, E::joined, late_start},
    {S::ended, E::failed, late_start},
    {S::ended, E::work_ended, late_work},
    {S::ended, E::last_word_sent, "the time for it is up"},
    {S::ended, E::stop, asked_once},
};

// The last post of the machine: what was posted before it has run.
static void report_end(void *arg)
{
    lifecycle &m = *static_cast<lifecycle *>(arg);
    LOG(info, "role", "role=%s msg=\"drained\"", m.role.name);
    m.owner.on_drained(m.owner.drained_arg);
}

static void report_failure(void *arg)
{
    lifecycle &m = *static_cast<lifecycle *>(arg);
    if (sm_state_of(m) == S::failed)
        m.owner.on_ready(m.owner.ready_arg, m.err, m.detail);
}

static void report_to_owner(lifecycle &m, S from, E)
{
    S now = sm_state_of(m);
    if (now == S::failed && from != S::failed)
        clock_post(*m.e, report_failure, &m);
    if (now == S::ended)
        clock_post(*m.e, report_end, &m);
}

static constexpr sm_table<lifecycle> table = {
    "lifecycle", states, resources, rows, ignores, {}, E::stop, E::deadline, alive, nullptr, report_to_owner};
SM_VERIFY(table);

sm_view lifecycle_machine_view() { return sm_view_of(table); }

static void take(lifecycle &m, E event) { sm_step(table, m, event); }

// --- entry points

void lifecycle_begin(lifecycle &m, void (*on_ready)(void *arg, error err, const std::string &detail), void *arg)
{
    m.owner.on_ready = on_ready;
    m.owner.ready_arg = arg;
    m.deadline_timer = timer_make(*m.e, on_deadline, &m);
    take(m, E::begin);
}

void lifecycle_opened(lifecycle &m)
{
    m.is_starting = false;
    happen(m, E::opened);
}

void lifecycle_listens(lifecycle &m)
{
    m.is_starting = false;
    happen(m, E::listens);
}

void lifecycle_joined(lifecycle &m) { happen(m, E::joined); }

void lifecycle_failed(lifecycle &m, error err, const std::string &detail)
{
    m.is_starting = false;
    m.err = err;
    m.detail = detail;
    happen(m, E::failed);
}

void lifecycle_report_ready(lifecycle &m)
{
    if (!lifecycle_is_draining(m))
        m.owner.on_ready(m.owner.ready_arg, no_error, {});
}

void lifecycle_drain(lifecycle &m, void (*on_drained)(void *arg), void *arg)
{
    CHECK(m.owner.on_drained == nullptr);
    m.owner.on_drained = on_drained;
    m.owner.drained_arg = arg;
    take(m, E::stop);
}

void lifecycle_work_ended(lifecycle &m)
{
    S now = sm_state_of(m);
    if (now == S::draining || now == S::finishing || now == S::awaiting_storage)
        post_work_ended(m);
}

void lifecycle_closed(lifecycle &m) { happen(m, E::closed); }
void lifecycle_last_word_sent(lifecycle &m) { happen(m, E::last_word_sent); }

void lifecycle_free(lifecycle &m)
{
    if (m.deadline_timer != nullptr)
        timer_free(*m.e, m.deadline_timer);
    m.deadline_timer = nullptr;
}

bool lifecycle_is_ready(const lifecycle &m) { return sm_state_of(m) == S::ready; }
bool lifecycle_has_joined(const lifecycle &m) { return m.has_joined; }

bool lifecycle_is_closing(const lifecycle &m)
{
    S now = sm_state_of(m);
    return now == S::closing || now == S::finishing || now == S::awaiting_storage || now == S::sending_last_word || now == S::ended;
}

bool lifecycle_is_draining(const lifecycle &m)
{
    S now = sm_state_of(m);
    return now == S::ending_start || now == S::draining || lifecycle_is_closing(m);
}

} // namespace etlnode
