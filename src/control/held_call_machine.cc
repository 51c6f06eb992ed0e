// SPDX-License-Identifier: MIT
// control/held_call_machine.cc: holds one call until its question is decided.
//
// Owns     one timer; whether a caller waits and whether the ETLs are being asked.
// Knows    sm, port.            Known by  role/target/held_answers.cc.
// Machine  held_call, drawn in docs/machines/held_call.md (generated, do not edit).
// Normal   it waits for the document that the call names, asks the ETLs, and answers with their result.
// Fails    it answers with an error if the document no longer contains the start, if the document is late, and at shutdown. If the caller
//          hangs up during a start, the start is abandoned, because no caller would learn its result.
// Limits   the call's own wait_timeout for the document. A start and a removal have their own deadlines.
#include "control/held_call_machine.h"

#include "sm/sm_verify.h"

namespace etlnode {

using S = held_call::state;
using E = held_call::event;

// --- actions

static void wait_for_document(held_call &m) { timer_arm(*m.e, m.deadline_timer, m.wait_timeout_ms); }

static void ask(held_call &m)
{
    timer_stop(*m.e, m.deadline_timer);
    m.asking = true;
    m.world.ask(m.world.arg, m);
}

static void report_end(void *arg)
{
    held_call &m = *static_cast<held_call *>(arg);
    timer_free(*m.e, m.deadline_timer);
    m.deadline_timer = nullptr;
    m.world.on_end(m.world.arg, m);
}

static void end(held_call &m)
{
    timer_stop(*m.e, m.deadline_timer);
    clock_post(*m.e, report_end, &m);
}

static void answer(held_call &m)
{
    m.caller_waits = false;
    m.world.answer(m.world.arg, m);
}

static void answer_and_end(held_call &m)
{
    answer(m);
    end(m);
}

static void refuse(held_call &m, error_code code, std::string_view text)
{
    m.err = make_error(code);
    m.text = text;
    answer(m);
}

static void answer_replaced(held_call &m)
{
    refuse(m, error_code::canceled, "the ETL was stopped");
    end(m);
}

static void answer_late(held_call &m)
{
    refuse(m, error_code::timed_out, "the cluster document with this change did not reach the target in time");
    end(m);
}

static void answer_stopping(held_call &m) { refuse(m, error_code::stopping, "the target is shutting down"); }

static void answer_stopping_and_end(held_call &m)
{
    answer_stopping(m);
    end(m);
}

static void note_gone(held_call &m) { m.caller_waits = false; }

static void note_gone_and_end(held_call &m)
{
    note_gone(m);
    end(m);
}

static void note_gone_and_abandon(held_call &m)
{
    note_gone(m);
    m.world.abandon(m.world.arg, m);
}

static void abandon_and_answer_stopping(held_call &m)
{
    m.world.abandon(m.world.arg, m);
    answer_stopping(m);
}

// --- guards

static bool is_too_early(const held_call &m) { return m.world.look(m.world.arg, m) == held_sight::older; }
static bool is_replaced(const held_call &m) { return m.world.look(m.world.arg, m) == held_sight::replaced; }
static bool is_for_start(const held_call &m) { return m.question == held_question::start; }

// --- the table

static constexpr uint32_t DEADLINE = 1;
static constexpr uint32_t QUESTION = 2;
static constexpr uint32_t CALLER = 4;

static uint32_t alive(const held_call &m)
{
    return (m.deadline_timer != nullptr && timer_is_armed(*m.e, m.deadline_timer) ? DEADLINE : 0) | (m.asking ? QUESTION : 0) |
           (m.caller_waits ? CALLER : 0);
}

static constexpr sm_resource resources[] = {{DEADLINE, "deadline"}, {QUESTION, "question to the ETLs"}, {CALLER, "caller"}};

static constexpr const char *deciding = "a start and a removal are decided in bounded time";
static constexpr sm_state<held_call> states[] = {
    {S::idle, sm_initial, CALLER, CALLER},
    {S::awaiting_document, sm_busy, CALLER | DEADLINE, CALLER | DEADLINE},
    {S::awaiting_decision, sm_busy, CALLER | QUESTION, CALLER | QUESTION, 0, deciding},
    {S::unattended, sm_busy, QUESTION, QUESTION, 0, deciding},
    {S::ended, sm_final, 0, 0},
};

static constexpr sm_row<held_call> rows[] = {
    {S::idle, E::begin, SM_FN(is_too_early), SM_FN(wait_for_document), S::awaiting_document},
    {S::idle, E::begin, SM_FN(is_replaced), SM_FN(answer_replaced), S::ended},
    {S::idle, E::begin, always, SM_FN(ask), S::awaiting_decision},
    {S::idle, E::stop, always, SM_FN(answer_stopping_and_end), S::ended},

    {S::awaiting_document, E::document_taken, SM_FN(is_too_early), nothing, S::awaiting_document},
    {S::awaiting_document, E::document_taken, SM_FN(is_replaced), SM_FN(answer_replaced), S::ended},
    {S::awaiting_document, E::document_taken, always, SM_FN(ask), S::awaiting_decision},
    {S::awaiting_document, E::caller_gone, always, SM_FN(note_gone_and_end), S::ended},
    {S::awaiting_document, E::deadline, always, SM_FN(answer_late), S::ended},
    {S::awaiting_document, E::stop, always, SM_FN(answer_stopping_and_end), S::ended},

    {S::awaiting_decision, E::decided, always, SM_FN(answer_and_end), S::ended},
    {S::awaiting_decision, E::caller_gone, SM_FN(is_for_start), SM_FN(note_gone_and_abandon), S::unattended},
    {S::awaiting_decision, E::caller_gone, always, SM_FN(note_gone), S::unattended},
    {S::awaiting_decision, E::stop, SM_FN(is_for_start), SM_FN(abandon_and_answer_stopping), S::unattended},
    {S::awaiting_decision, E::stop, always, nothing,
        S::awaiting_decision}, // pods may be gone in time; if not, the ETLs' own end reports that

    {S::unattended, E::decided, always, SM_FN(end), S::ended},
};

static constexpr sm_ignore<held_call> ignores[] = {
    {S::awaiting_decision, E::document_taken, "the ETLs follow the document and report"},
    {S::unattended, E::document_taken, "no caller waits any more"},
    {S::unattended, E::stop, "no caller waits any more"},
    {S::ended, E::document_taken, "the call was answered in this iteration"},
    {S::ended, E::stop, "the call was answered in this iteration"},
};

static bool wait_has_a_limit(const held_call &m) { return m.wait_timeout_ms > 0; }
static constexpr sm_invariant<held_call> invariants[] = {{"the wait has a limit", wait_has_a_limit}};

static constexpr sm_table<held_call> table = {"held_call", states, resources, rows, ignores, invariants, E::stop, E::deadline, alive};
SM_VERIFY(table);

sm_view held_call_machine_view() { return sm_view_of(table); }

// --- entry points: note the facts, then step

static void on_deadline(void *arg) { sm_step(table, *static_cast<held_call *>(arg), E::deadline); }

void held_call_begin(held_call &m)
{
    m.deadline_timer = timer_make(*m.e, on_deadline, &m);
    sm_step(table, m, E::begin);
}

void held_call_document_taken(held_call &m) { sm_step(table, m, E::document_taken); }

void held_call_decided(held_call &m, error err, std::string_view text)
{
    m.asking = false;
    if (m.caller_waits) {
        m.err = err;
        m.text = err && text.empty() ? std::string(error_text(err)) : std::string(text);
    }
    sm_step(table, m, E::decided);
}

void held_call_caller_gone(held_call &m) { sm_step(table, m, E::caller_gone); }
void held_call_stop(held_call &m) { sm_step(table, m, E::stop); }

} // namespace etlnode
