// SPDX-License-Identifier: MIT
// role/etl_init_machine.cc: one start of an ETL, from a validated spec to "every target serves" or to nothing left behind.
//
// Owns     one timer; the knowledge what is under way and whether the document may hold the ETL as initializing.
// Knows    sm, port.            Known by  proxy_etl.cc.
// Machine  etl_init, drawn in docs/machines/etl_init.md (generated, do not edit).
// Normal   store as initializing, start on all targets, store as running, answer.
// Fails    a target's failure, wait_timeout, a caller that hangs up, shutdown: removed from all targets, then from the document, then
//          answered with the first failure. A crash in between leaves "initializing" in the document, which the next start of the
//          proxy ends (proxy_document.cc).
//          One that promised an answer by a certain time (answer_at_ms) gives it before all is removed, and goes on.
// Limits   wait_timeout + etl_init_margin_ms, etl_remove_timeout_ms, intra_call_timeout_ms for storing.
#include "role/etl_init_machine.h"

#include "base/limits.h"
#include "port/clock.h"
#include "sm/sm_verify.h"

using S = etl_init::state;
using E = etl_init::event;

// --- actions

static void fail_with(etl_init &m, error_code code, std::string_view text)
{
    if (m.failure != error_code::ok)
        return;
    m.failure = code;
    m.failure_text = text;
}

// Callers give up at a time of their own, and would take a late answer for a fault of the network.
static uint64_t until_answer(const etl_init &m, uint64_t ms)
{
    if (m.answer_at_ms == 0 || !m.caller_waits)
        return ms;
    uint64_t now = clock_now_ms(*m.e);
    uint64_t left = m.answer_at_ms > now ? m.answer_at_ms - now : 1;
    return left < ms ? left : ms;
}

static void ask_store_initializing(etl_init &m)
{
    m.may_be_stored = true;
    m.storing = true;
    timer_arm(*m.e, m.clock, intra_call_timeout_ms);
    m.world.store_initializing(m.world.arg, m);
}

// What storing took is part of the time that the user gave; what is too little to matter is not told in odd numbers.
static void count_storing(etl_init &m)
{
    static constexpr uint64_t too_little_ms = 1'000;
    uint64_t spent = clock_now_ms(*m.e) - m.began_ms;
    if (spent > too_little_ms)
        m.wait_timeout_ms = spent < m.wait_timeout_ms ? m.wait_timeout_ms - spent : 1;
}

static void ask_start(etl_init &m)
{
    count_storing(m);
    m.starting = true;
    timer_arm(*m.e, m.clock, until_answer(m, m.wait_timeout_ms + etl_init_margin_ms));
    m.world.start_on_targets(m.world.arg, m);
}

static void ask_store_running(etl_init &m)
{
    m.storing = true;
    timer_arm(*m.e, m.clock, intra_call_timeout_ms);
    m.world.store_running(m.world.arg, m);
}

static void ask_remove(etl_init &m)
{
    m.removing = true;
    m.remove_until_ms = clock_now_ms(*m.e) + etl_remove_timeout_ms;
    timer_arm(*m.e, m.clock, until_answer(m, etl_remove_timeout_ms));
    m.world.remove_from_targets(m.world.arg, m);
}

static void cancel_and_remove(etl_init &m)
{
    m.starting = false;
    m.world.cancel_start(m.world.arg, m);
    ask_remove(m);
}

static void abandon_and_remove(etl_init &m)
{
    m.caller_waits = false;
    fail_with(m, error_code::canceled, "the caller hung up");
    cancel_and_remove(m);
}

static void time_out_and_remove(etl_init &m)
{
    fail_with(m, error_code::etl_init_failed, "timeout: the targets did not answer in time");
    cancel_and_remove(m);
}

static void stop_and_remove(etl_init &m)
{
    m.is_stopping = true;
    fail_with(m, error_code::stopping, "the proxy is shutting down");
    cancel_and_remove(m);
}

static void note_gone(etl_init &m)
{
    m.caller_waits = false;
    m.is_abandoned = true;
    fail_with(m, error_code::canceled, "the caller hung up");
}

static void note_deadline(etl_init &m)
{
    m.is_abandoned = true;
    fail_with(m, error_code::timed_out, "timeout: the cluster document could not be stored in time");
}

static void note_stop(etl_init &m)
{
    m.is_stopping = true;
    m.is_abandoned = true;
    fail_with(m, error_code::stopping, "the proxy is shutting down");
}

static void ask_store_end(etl_init &m)
{
    m.storing = true;
    timer_arm(*m.e, m.clock, until_answer(m, intra_call_timeout_ms));
    m.world.store_ended(m.world.arg, m);
}

static void answer_failure(etl_init &m)
{
    if (!m.caller_waits)
        return;
    m.caller_waits = false;
    m.world.answer_failure(m.world.arg, m);
}

static void answer_and_go_on(etl_init &m)
{
    answer_failure(m);
    uint64_t now = clock_now_ms(*m.e);
    timer_arm(*m.e, m.clock, m.remove_until_ms > now ? m.remove_until_ms - now : 1);
}

static void give_up_removing(etl_init &m)
{
    m.removing = false;
    m.world.cancel_remove(m.world.arg, m); // the document without it makes the targets drop it
    ask_store_end(m);
}

// Its entry would be there for ever, as initializing.
static void answer_and_retry(etl_init &m)
{
    answer_failure(m);
    timer_arm(*m.e, m.clock, etl_store_retry_ms);
}

static void report_end(void *arg)
{
    etl_init &m = *static_cast<etl_init *>(arg);
    timer_free(*m.e, m.clock);
    m.clock = nullptr;
    m.world.on_end(m.world.arg, m);
}

static void settle(etl_init &m)
{
    timer_stop(*m.e, m.clock);
    clock_post(*m.e, report_end, &m);
}

static void settle_running(etl_init &m)
{
    m.may_be_stored = false; // it holds it as running
    if (m.caller_waits) {
        m.caller_waits = false;
        m.world.answer_running(m.world.arg, m);
    }
    settle(m);
}

static void settle_failed(etl_init &m)
{
    m.may_be_stored = false; // ended in the document; or, where that failed at shutdown, by the next start of the proxy
    answer_failure(m);
    settle(m);
}

// --- guards

static bool was_abandoned(const etl_init &m) { return m.is_abandoned; }
static bool owes_answer(const etl_init &m) { return m.caller_waits && m.answer_at_ms != 0 && clock_now_ms(*m.e) < m.remove_until_ms; }
static bool is_gone_or_stopping(const etl_init &m) { return m.is_gone || m.is_stopping; }

// --- the table

static constexpr uint32_t DEADLINE = 1;
static constexpr uint32_t STORING = 2;
static constexpr uint32_t STARTING = 4;
static constexpr uint32_t REMOVING = 8;
static constexpr uint32_t ENTRY = 16;
static constexpr uint32_t CALLER = 32;

static uint32_t alive(const etl_init &m)
{
    return (m.clock != nullptr && timer_is_armed(*m.e, m.clock) ? DEADLINE : 0) | (m.storing ? STORING : 0) | (m.starting ? STARTING : 0) |
        (m.removing ? REMOVING : 0) | (m.may_be_stored ? ENTRY : 0) | (m.caller_waits ? CALLER : 0);
}

static constexpr sm_resource resources[] = {{DEADLINE, "deadline"}, {STORING, "document change"}, {STARTING, "start calls"}, {REMOVING, "remove calls"}, {ENTRY, "entry in the document"}, {CALLER, "caller"}};

static constexpr const char *storing = "a change of the document, which always completes";
static constexpr sm_state<etl_init> states[] = {
    {S::idle, sm_initial, CALLER, CALLER},
    // The deadline has fired once where it is not alive.
    {S::storing_initializing, sm_busy, STORING | ENTRY, STORING | ENTRY | DEADLINE | CALLER, 0, storing},
    {S::awaiting_targets, sm_busy, STARTING | ENTRY | DEADLINE | CALLER, STARTING | ENTRY | DEADLINE | CALLER},
    {S::storing_running, sm_busy, STORING | ENTRY, STORING | ENTRY | DEADLINE | CALLER, 0, storing},
    {S::rolling_back, sm_busy, REMOVING | ENTRY | DEADLINE, REMOVING | ENTRY | DEADLINE | CALLER},
    {S::storing_end, sm_busy, STORING | ENTRY, STORING | ENTRY | DEADLINE | CALLER, 0, storing},
    {S::awaiting_store_retry, sm_busy, ENTRY | DEADLINE, ENTRY | DEADLINE},
    {S::ended, sm_final, 0, 0},
};

static constexpr sm_row<etl_init> rows[] = {
    {S::idle, E::begin, always, SM_FN(ask_store_initializing), S::storing_initializing},
    {S::idle, E::stop, always, SM_FN(settle_failed), S::ended},

    {S::storing_initializing, E::stored, SM_FN(was_abandoned), SM_FN(ask_store_end), S::storing_end},
    {S::storing_initializing, E::stored, always, SM_FN(ask_start), S::awaiting_targets},
    {S::storing_initializing, E::store_failed, always, SM_FN(settle_failed), S::ended},
    {S::storing_initializing, E::caller_gone, always, SM_FN(note_gone), S::storing_initializing},
    {S::storing_initializing, E::deadline, always, SM_FN(note_deadline), S::storing_initializing},
    {S::storing_initializing, E::stop, always, SM_FN(note_stop), S::storing_initializing},

    {S::awaiting_targets, E::all_serve, always, SM_FN(ask_store_running), S::storing_running},
    {S::awaiting_targets, E::target_failed, always, SM_FN(ask_remove), S::rolling_back},
    {S::awaiting_targets, E::caller_gone, always, SM_FN(abandon_and_remove), S::rolling_back},
    {S::awaiting_targets, E::deadline, always, SM_FN(time_out_and_remove), S::rolling_back},
    {S::awaiting_targets, E::stop, always, SM_FN(stop_and_remove), S::rolling_back},

    {S::storing_running, E::stored, SM_FN(was_abandoned), SM_FN(ask_remove), S::rolling_back},
    {S::storing_running, E::stored, always, SM_FN(settle_running), S::ended},
    {S::storing_running, E::store_failed, always, SM_FN(ask_remove), S::rolling_back},
    {S::storing_running, E::caller_gone, always, SM_FN(note_gone), S::storing_running},
    {S::storing_running, E::deadline, always, SM_FN(note_deadline), S::storing_running},

    {S::rolling_back, E::removed, always, SM_FN(ask_store_end), S::storing_end},
    {S::rolling_back, E::caller_gone, always, SM_FN(note_gone), S::rolling_back},
    {S::rolling_back, E::stop, always, SM_FN(note_stop), S::rolling_back},
    {S::rolling_back, E::deadline, SM_FN(owes_answer), SM_FN(answer_and_go_on), S::rolling_back},
    {S::rolling_back, E::deadline, always, SM_FN(give_up_removing), S::storing_end},

    {S::storing_end, E::stored, always, SM_FN(settle_failed), S::ended},
    {S::storing_end, E::store_failed, SM_FN(is_gone_or_stopping), SM_FN(settle_failed), S::ended},
    {S::storing_end, E::store_failed, always, SM_FN(answer_and_retry), S::awaiting_store_retry},
    {S::storing_end, E::stop, always, SM_FN(note_stop), S::storing_end},
    {S::storing_end, E::caller_gone, always, SM_FN(note_gone), S::storing_end},
    {S::storing_end, E::deadline, always, SM_FN(answer_failure), S::storing_end},

    {S::awaiting_store_retry, E::deadline, always, SM_FN(ask_store_end), S::storing_end},
    {S::awaiting_store_retry, E::stop, always, SM_FN(settle_failed), S::ended},
};

static constexpr sm_ignore<etl_init> ignores[] = {
    {S::idle, E::caller_gone, "the first change has not begun: it will be noticed while storing"},
    {S::storing_running, E::stop, "every target serves; storing completes and the caller gets its answer"},
};

static bool failure_is_known(const etl_init &m)
{
    S state = sm_state_of(m);
    return (state != S::rolling_back && state != S::storing_end && state != S::awaiting_store_retry) || m.failure != error_code::ok;
}
static constexpr sm_invariant<etl_init> invariants[] = {{"an ETL that is being ended has a reason", failure_is_known}};

static constexpr sm_table<etl_init> table = {"etl_init", states, resources, rows,  ignores,
                                             invariants, E::stop, E::deadline, alive};
SM_VERIFY(table);

sm_view etl_init_machine_view() { return sm_view_of(table); }

// --- entry points: they note the facts, then step

static void on_deadline(void *arg) { sm_step(table, *static_cast<etl_init *>(arg), E::deadline); }

void etl_init_begin(etl_init &m)
{
    m.clock = timer_make(*m.e, on_deadline, &m);
    m.began_ms = clock_now_ms(*m.e);
    sm_step(table, m, E::begin);
}

void etl_init_stored(etl_init &m, error err, std::string_view text)
{
    m.storing = false;
    m.is_gone = err.code == error_code::etl_not_found;
    if (err)
        fail_with(m, err.code, text.empty() ? std::string_view(error_text(err)) : text);
    sm_step(table, m, err ? E::store_failed : E::stored);
}

void etl_init_started(etl_init &m, error_code code, std::string_view text)
{
    m.starting = false;
    if (code != error_code::ok)
        fail_with(m, code, text);
    sm_step(table, m, code != error_code::ok ? E::target_failed : E::all_serve);
}

void etl_init_removed(etl_init &m)
{
    m.removing = false;
    sm_step(table, m, E::removed);
}

void etl_init_caller_gone(etl_init &m) { sm_step(table, m, E::caller_gone); }
void etl_init_stop(etl_init &m) { sm_step(table, m, E::stop); }
