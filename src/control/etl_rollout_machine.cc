// SPDX-License-Identifier: MIT
// control/etl_rollout_machine.cc: starts one ETL on all targets: from a validated spec to "every target serves", or to nothing left behind.
//
// Owns     one timer; which operation is in progress; whether targets may have pods of this start.
// Knows    sm, port.            Known by  role/proxy/etl_rollout.cc.
// Machine  etl_rollout, drawn in docs/machines/etl_rollout.md (generated, do not edit).
// Normal   store it as initializing, which makes the targets act; wait until all of them serve; store it as running; answer.
// Fails    After a target's failure, wait_timeout, a caller that hangs up, or a shutdown, the document ends the start, and the targets act
//          on that. When their pods are gone, the caller gets the first failure. A crash in between leaves "initializing" in the document,
//          which the next start of the proxy ends (role/proxy/document.cc). A rollout that must answer by a certain time (answer_at_ms)
//          does so before all pods are gone, and continues.
// Limits   wait_timeout + etl_init_margin_ms, etl_remove_timeout_ms, intra_call_timeout_ms for storing.
#include "control/etl_rollout_machine.h"

#include "base/limits.h"
#include "port/clock.h"
#include "sm/sm_verify.h"

namespace etlnode {

using S = etl_rollout::state;
using E = etl_rollout::event;

// --- actions

static void fail_with(etl_rollout &m, error_code code, std::string_view text)
{
    if (m.failure != error_code::ok)
        return;
    m.failure = code;
    m.failure_text = text;
}

// Callers have a time-out of their own and would mistake a late answer for a network failure.
static uint64_t until_answer(const etl_rollout &m, uint64_t ms)
{
    if (m.answer_at_ms == 0 || !m.caller_waits)
        return ms;
    uint64_t now = clock_now_ms(*m.e);
    uint64_t left = m.answer_at_ms > now ? m.answer_at_ms - now : 1;
    return left < ms ? left : ms;
}

static void ask_store_initializing(etl_rollout &m)
{
    m.storing = true;
    timer_arm(*m.e, m.deadline_timer, intra_call_timeout_ms);
    m.world.store_initializing(m.world.arg, m);
}

// Storing takes part of the time that the user allowed. Ignore a negligible part, so that texts do not show odd numbers.
static void count_storing(etl_rollout &m)
{
    static constexpr uint64_t too_little_ms = 1'000;
    uint64_t spent = clock_now_ms(*m.e) - m.began_ms;
    if (spent > too_little_ms)
        m.wait_timeout_ms = spent < m.wait_timeout_ms ? m.wait_timeout_ms - spent : 1;
}

static void await_start(etl_rollout &m)
{
    count_storing(m);
    m.has_pods = true;
    m.calling = true;
    timer_arm(*m.e, m.deadline_timer, until_answer(m, m.wait_timeout_ms + etl_init_margin_ms));
    m.world.await_start(m.world.arg, m);
}

static void ask_store_running(etl_rollout &m)
{
    m.storing = true;
    timer_arm(*m.e, m.deadline_timer, intra_call_timeout_ms);
    m.world.store_running(m.world.arg, m);
}

static void ask_store_end(etl_rollout &m)
{
    m.storing = true;
    timer_arm(*m.e, m.deadline_timer, until_answer(m, intra_call_timeout_ms));
    m.world.store_ended(m.world.arg, m);
}

// It may be running already, although it is stored as initializing.
static void ask_store_end_of_started(etl_rollout &m)
{
    m.has_pods = true;
    ask_store_end(m);
}

static void cancel_await(etl_rollout &m)
{
    m.calling = false;
    m.world.cancel_await(m.world.arg, m);
}

static void abandon(etl_rollout &m)
{
    m.caller_waits = false;
    fail_with(m, error_code::canceled, "the caller hung up");
    cancel_await(m);
    ask_store_end(m);
}

static void time_out(etl_rollout &m)
{
    fail_with(m, error_code::etl_init_failed, "timeout: the targets did not answer in time");
    cancel_await(m);
    ask_store_end(m);
}

static void stop(etl_rollout &m)
{
    m.goal = etl_rollout_goal::stop;
    fail_with(m, error_code::stopping, "the proxy is shutting down");
    cancel_await(m);
    ask_store_end(m);
}

static void note_end(etl_rollout &m)
{
    if (m.goal == etl_rollout_goal::run)
        m.goal = etl_rollout_goal::end;
}

static void note_gone(etl_rollout &m)
{
    m.caller_waits = false;
    note_end(m);
    fail_with(m, error_code::canceled, "the caller hung up");
}

static void note_deadline(etl_rollout &m)
{
    note_end(m);
    fail_with(m, error_code::timed_out, "timeout: the cluster document could not be stored in time");
}

static void note_stop(etl_rollout &m)
{
    m.goal = etl_rollout_goal::stop;
    fail_with(m, error_code::stopping, "the proxy is shutting down");
}

static void answer_failure(etl_rollout &m)
{
    if (!m.caller_waits)
        return;
    m.caller_waits = false;
    m.world.answer_failure(m.world.arg, m);
}

static void await_removal(etl_rollout &m)
{
    m.calling = true;
    m.remove_until_ms = clock_now_ms(*m.e) + etl_remove_timeout_ms;
    timer_arm(*m.e, m.deadline_timer, until_answer(m, etl_remove_timeout_ms));
    m.world.await_removal(m.world.arg, m);
}

static void answer_and_continue(etl_rollout &m)
{
    answer_failure(m);
    uint64_t now = clock_now_ms(*m.e);
    timer_arm(*m.e, m.deadline_timer, m.remove_until_ms > now ? m.remove_until_ms - now : 1);
}

// Otherwise its entry would stay in the document as initializing for ever.
static void answer_and_retry(etl_rollout &m)
{
    answer_failure(m);
    timer_arm(*m.e, m.deadline_timer, etl_store_retry_ms);
}

static void report_end(void *arg)
{
    etl_rollout &m = *static_cast<etl_rollout *>(arg);
    timer_free(*m.e, m.deadline_timer);
    m.deadline_timer = nullptr;
    m.world.on_end(m.world.arg, m);
}

static void finish(etl_rollout &m)
{
    m.has_pods = false; // the document requests them; or it does not, and the targets remove them by themselves
    timer_stop(*m.e, m.deadline_timer);
    clock_post(*m.e, report_end, &m);
}

static void finish_running(etl_rollout &m)
{
    if (m.caller_waits) {
        m.caller_waits = false;
        m.world.answer_running(m.world.arg, m);
    }
    finish(m);
}

// The document has ended it. If storing that failed at shutdown, the next start of the proxy will end it.
static void finish_failed(etl_rollout &m)
{
    answer_failure(m);
    finish(m);
}

static void give_up_removal(etl_rollout &m)
{
    cancel_await(m);
    finish_failed(m);
}

// --- guards

static bool is_to_end(const etl_rollout &m) { return m.goal != etl_rollout_goal::run; }
static bool is_gone(const etl_rollout &m) { return m.store_error == error_code::etl_not_found; }
static bool is_stopping(const etl_rollout &m) { return m.goal == etl_rollout_goal::stop; }
static bool owes_answer(const etl_rollout &m) { return m.caller_waits && m.answer_at_ms != 0 && clock_now_ms(*m.e) < m.remove_until_ms; }

// --- the table

static constexpr uint32_t DEADLINE = 1;
static constexpr uint32_t STORING = 2;
static constexpr uint32_t CALLS = 4;
static constexpr uint32_t PODS = 8;
static constexpr uint32_t CALLER = 16;

static uint32_t alive(const etl_rollout &m)
{
    return (m.deadline_timer != nullptr && timer_is_armed(*m.e, m.deadline_timer) ? DEADLINE : 0) | (m.storing ? STORING : 0) |
           (m.calling ? CALLS : 0) | (m.has_pods ? PODS : 0) | (m.caller_waits ? CALLER : 0);
}

static constexpr sm_resource resources[] = {
    {DEADLINE, "deadline"}, {STORING, "document change"}, {CALLS, "held calls"}, {PODS, "pods"}, {CALLER, "caller"}};

static constexpr const char *storing = "a change of the document, which always completes";
static constexpr sm_state<etl_rollout> states[] = {
    {S::idle, sm_initial, CALLER, CALLER},
    // The deadline has fired in the states where it is not alive.
    {S::storing_initializing, sm_busy, STORING, STORING | DEADLINE | CALLER, 0, storing},
    {S::awaiting_targets, sm_busy, CALLS | PODS | DEADLINE | CALLER, CALLS | PODS | DEADLINE | CALLER},
    {S::storing_running, sm_busy, STORING | PODS, STORING | PODS | DEADLINE | CALLER, 0, storing},
    {S::storing_end, sm_busy, STORING | PODS, STORING | PODS | DEADLINE | CALLER, 0, storing},
    {S::awaiting_store_retry, sm_busy, PODS | DEADLINE, PODS | DEADLINE},
    {S::awaiting_removal, sm_busy, CALLS | PODS | DEADLINE, CALLS | PODS | DEADLINE | CALLER},
    {S::ended, sm_final, 0, 0},
};

static constexpr sm_row<etl_rollout> rows[] = {
    {S::idle, E::begin, always, SM_FN(ask_store_initializing), S::storing_initializing},
    {S::idle, E::stop, always, SM_FN(finish_failed), S::ended},

    {S::storing_initializing, E::stored, SM_FN(is_to_end), SM_FN(ask_store_end_of_started), S::storing_end},
    {S::storing_initializing, E::stored, always, SM_FN(await_start), S::awaiting_targets},
    {S::storing_initializing, E::store_failed, always, SM_FN(finish_failed), S::ended},
    {S::storing_initializing, E::caller_gone, always, SM_FN(note_gone), S::storing_initializing},
    {S::storing_initializing, E::deadline, always, SM_FN(note_deadline), S::storing_initializing},
    {S::storing_initializing, E::stop, always, SM_FN(note_stop), S::storing_initializing},

    {S::awaiting_targets, E::all_serve, always, SM_FN(ask_store_running), S::storing_running},
    {S::awaiting_targets, E::target_failed, always, SM_FN(ask_store_end), S::storing_end},
    {S::awaiting_targets, E::caller_gone, always, SM_FN(abandon), S::storing_end},
    {S::awaiting_targets, E::deadline, always, SM_FN(time_out), S::storing_end},
    {S::awaiting_targets, E::stop, always, SM_FN(stop), S::storing_end},

    {S::storing_running, E::stored, SM_FN(is_to_end), SM_FN(ask_store_end), S::storing_end},
    {S::storing_running, E::stored, always, SM_FN(finish_running), S::ended},
    {S::storing_running, E::store_failed, always, SM_FN(ask_store_end), S::storing_end},
    {S::storing_running, E::caller_gone, always, SM_FN(note_gone), S::storing_running},
    {S::storing_running, E::deadline, always, SM_FN(note_deadline), S::storing_running},

    {S::storing_end, E::stored, always, SM_FN(await_removal), S::awaiting_removal},
    {S::storing_end, E::store_failed, SM_FN(is_gone), SM_FN(await_removal), S::awaiting_removal},
    {S::storing_end, E::store_failed, SM_FN(is_stopping), SM_FN(finish_failed), S::ended},
    {S::storing_end, E::store_failed, always, SM_FN(answer_and_retry), S::awaiting_store_retry},
    {S::storing_end, E::stop, always, SM_FN(note_stop), S::storing_end},
    {S::storing_end, E::caller_gone, always, SM_FN(note_gone), S::storing_end},
    {S::storing_end, E::deadline, always, SM_FN(answer_failure), S::storing_end},

    {S::awaiting_store_retry, E::deadline, always, SM_FN(ask_store_end), S::storing_end},
    {S::awaiting_store_retry, E::stop, always, SM_FN(finish_failed), S::ended},

    {S::awaiting_removal, E::removed, always, SM_FN(finish_failed), S::ended},
    {S::awaiting_removal, E::caller_gone, always, SM_FN(note_gone), S::awaiting_removal},
    {S::awaiting_removal, E::deadline, SM_FN(owes_answer), SM_FN(answer_and_continue), S::awaiting_removal},
    {S::awaiting_removal, E::deadline, always, SM_FN(give_up_removal), S::ended},
};

static constexpr sm_ignore<etl_rollout> ignores[] = {
    {S::idle, E::caller_gone, "the first change has not begun; storing notices that the caller is gone"},
    {S::storing_running, E::stop, "every target serves; storing completes and the caller gets its answer"},
    {S::awaiting_removal, E::stop, "the document is correct already; the wait is bounded and ends with the drain time"},
};

static bool failure_is_known(const etl_rollout &m)
{
    S state = sm_state_of(m);
    return (state != S::storing_end && state != S::awaiting_store_retry && state != S::awaiting_removal) || m.failure != error_code::ok;
}
static constexpr sm_invariant<etl_rollout> invariants[] = {{"an ETL that is being ended has a reason", failure_is_known}};

static constexpr sm_table<etl_rollout> table = {"etl_rollout", states, resources, rows, ignores, invariants, E::stop, E::deadline, alive};
SM_VERIFY(table);

sm_view etl_rollout_machine_view() { return sm_view_of(table); }

// --- entry points: note the facts, then step

static void on_deadline(void *arg) { sm_step(table, *static_cast<etl_rollout *>(arg), E::deadline); }

void etl_rollout_begin(etl_rollout &m)
{
    m.deadline_timer = timer_make(*m.e, on_deadline, &m);
    m.began_ms = clock_now_ms(*m.e);
    sm_step(table, m, E::begin);
}

void etl_rollout_stored(etl_rollout &m, error err, std::string_view text)
{
    m.storing = false;
    m.store_error = err.code;
    if (err)
        fail_with(m, err.code, text.empty() ? std::string_view(error_text(err)) : text);
    sm_step(table, m, err ? E::store_failed : E::stored);
}

void etl_rollout_started(etl_rollout &m, error_code code, std::string_view text)
{
    m.calling = false;
    if (code != error_code::ok)
        fail_with(m, code, text);
    sm_step(table, m, code != error_code::ok ? E::target_failed : E::all_serve);
}

void etl_rollout_removed(etl_rollout &m, std::string_view late)
{
    m.calling = false;
    m.failure_text += late;
    sm_step(table, m, E::removed);
}

void etl_rollout_caller_gone(etl_rollout &m) { sm_step(table, m, E::caller_gone); }
void etl_rollout_stop(etl_rollout &m) { sm_step(table, m, E::stop); }

} // namespace etlnode
