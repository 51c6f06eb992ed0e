// SPDX-License-Identifier: MIT
// job/job_machine.cc: one target's share of one job.
//
// Owns     one page of the index and one change of the ledger at a time, the items in flight, one timer.
// Knows    plan, window, store, ledger.            Known by  job_host.
// Machine  job, drawn in docs/machines/job.md (generated, do not edit).
// Normal   pages fill the window, items end in any order, and the ledger hears of them in groups. When the plan is over and the window is
//          empty, the ledger notes the end.
// Fails    the index, the ledger or an item that may work later: it rests and goes on. A crash repeats the items that the ledger has not.
// Limits   job_page_count, job_window_count, job_save_count, job_save_delay_ms, job_rest_ms, job_tries_max, failure_text_max.
//
// No state is sm_busy: the index, the ledger and the kinds' items always complete.
#include "job/job_machine.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "sm/sm_verify.h"

namespace etlnode {

using S = job::state;
using E = job::event;

static constexpr uint32_t PAGE = 1;
static constexpr uint32_t ITEMS = 2;
static constexpr uint32_t LEDGER = 4;
static constexpr uint32_t TIMER = 8;

static void take(job &j, E event);

static env &env_of(const job &j) { return *j.tools.e; }

// --- completions

static void on_timer(void *arg) { take(*static_cast<job *>(arg), E::deadline); }

static void plan_rows(job &j, std::vector<index_row> &rows)
{
    for (index_row &row : rows) {
        if (j.kind->selects != nullptr && !j.kind->selects(j, row))
            continue;
        bool is_noted = j.noted.erase({row.bucket, row.name}) > 0;
        window_add(j.window, std::move(row), is_noted);
    }
}

static void on_page(void *arg, error err, std::vector<index_row> rows)
{
    job &j = *static_cast<job *>(arg);
    j.paging = false;
    if (err) {
        j.waiting = std::string("the index could not be read: ") + error_text(err);
        take(j, E::page_failed);
        return;
    }
    plan_took(j.plan, rows.empty() ? std::string() : rows.back().name, rows.size() < job_page_count);
    plan_rows(j, rows);
    take(j, E::page);
}

static void on_saved(void *arg, error err)
{
    job &j = *static_cast<job *>(arg);
    j.saving = false;
    if (err) {
        j.waiting = std::string("the ledger could not be written: ") + error_text(err);
    } else {
        j.stored = j.row;
        j.change = {};
    }
    take(j, err ? E::not_stored : E::stored);
}

// --- helpers

static bool is_quiet(const job &j) { return !j.paging && !j.saving && j.window.in_flight == 0; }

// What an earlier, failed commit contained is in `change` already.
static void save(job &j)
{
    CHECK(!j.saving);
    j.change.job = j.row;
    window_take(j.window, j.change);
    j.row = j.change.job;
    j.saving = true;
    ledger_commit(env_of(j), j.change, on_saved, &j);
}

static bool save_is_due(const job &j)
{
    if (j.saving || j.window.unsaved == 0)
        return false;
    bool is_late = clock_now_ms(env_of(j)) - j.unsaved_since_ms >= job_save_delay_ms;
    bool is_idle = j.window.in_flight == 0 && j.window.waiting == 0 && !j.paging;
    return is_late || is_idle || j.window.unsaved >= job_save_count;
}

// Changes of the index and of the ledger keep their order.
static bool awaits_index(const job &j) { return j.kind->waits_for_index && j.stored.pass == 0; }

static void ask_page(job &j)
{
    if (j.paging || awaits_index(j) || j.window.waiting > job_page_count / 2 || j.window.slots.size() + job_page_count > job_window_count)
        return;
    if (!plan_find_bucket(j.plan, j.tools.next_bucket, j.tools.arg))
        return;
    j.paging = true;
    store_page(*j.tools.objects, j.plan.bucket, plan_prefix(j.plan), j.plan.after, job_page_count, on_page, &j);
}

// Jobs take what clients leave. The items that are in flight already go on.
static size_t items_allowed(const job &j)
{
    size_t items_max = j.items_max != 0 ? j.items_max : j.kind->items_max;
    if (j.tools.serves_clients != nullptr && j.tools.serves_clients(j.tools.arg))
        items_max = job_items_beside_clients(items_max);
    return std::min(items_max, j.items_now);
}

static void begin_items(job &j)
{
    uint64_t number = 0;
    while (j.window.in_flight < items_allowed(j) && window_begin_next(j.window, number)) {
        j.items.push_back(std::make_unique<job_item>(job_item{&j, number, nullptr}));
        j.kind->begin(*j.items.back());
    }
}

// Whatever can go on, goes on.
static void work(job &j)
{
    ask_page(j);
    begin_items(j);
    if (save_is_due(j) || (awaits_index(j) && !j.saving))
        save(j);
    bool is_over = j.plan.is_over && is_quiet(j) && j.window.waiting == 0 && j.window.unsaved == 0;
    if (is_over)
        sm_emit(j, E::drained);
    else if (j.window.unsaved > 0 && !j.saving && !timer_is_armed(env_of(j), j.deadline_timer))
        timer_arm(env_of(j), j.deadline_timer, job_save_delay_ms);
}

static void begin_pass(job &j)
{
    uint64_t pass = j.row.pass + 1;
    uint64_t started_ns = j.row.started_ns != 0 ? j.row.started_ns : clock_wall_ns(env_of(j));
    j.row = {.id = j.order.id, .kind = j.order.kind, .state = job_running, .epoch = j.tools.epoch(j.tools.arg), .pass = pass};
    j.row.started_ns = started_ns;
    j.window = {};
    j.noted.clear();
    j.change = {};
    j.change.begins_pass = true;
    plan_begin(j.plan, j.order.bucket, j.order.prefix, {}, {});
    j.plan.also_bucket = j.also_bucket;
}

// --- actions

static void start(job &j)
{
    j.waiting.clear();
    work(j);
}

static void begin_next_pass(job &j)
{
    LOG(info, "job", "job=%s kind=%s pass=%llu msg=\"the placement changed during the pass: it is done again\"",
        text_escape(j.order.id).c_str(), j.kind->name, static_cast<unsigned long long>(j.row.pass));
    begin_pass(j);
    work(j);
}

static void rest(job &j) { timer_arm(env_of(j), j.deadline_timer, job_rest_ms); }
static void rest_until_settled(job &j)
{
    j.waiting = "objects move between targets: it looks for what it has missed when they have settled";
    rest(j);
}

static void stop_timer(job &j) { timer_stop(env_of(j), j.deadline_timer); }

static void end_row(job &j, const char *state)
{
    j.row.state = state;
    j.row.ended_ns = clock_wall_ns(env_of(j));
    save(j);
}

static void note_done(job &j)
{
    stop_timer(j);
    end_row(j, job_done);
}
static void note_cancelled(job &j) { end_row(j, job_cancelled); }
static void note_end_again(job &j) { save(j); }

static void check_quiet(job &j)
{
    if (is_quiet(j))
        sm_emit(j, E::drained);
}

// The kind ends them later, never inside this call.
static void stop_items(job &j)
{
    stop_timer(j);
    window_drop_waiting(j.window);
    for (const std::unique_ptr<job_item> &item : j.items)
        j.kind->stop(*item);
    check_quiet(j);
}

static void save_rest(job &j) { save(j); }

// --- guards

static bool placement_moves(const job &j) { return j.kind->epochs > 0 && j.tools.epoch(j.tools.arg) == 0; }
static bool placement_changed(const job &j) { return j.kind->epochs > 0 && j.tools.epoch(j.tools.arg) != j.row.epoch; }
static bool has_unsaved(const job &j) { return j.window.unsaved > 0; }

// --- the table

static uint32_t alive(const job &j)
{
    return (j.paging ? PAGE : 0) | (j.window.in_flight > 0 ? ITEMS : 0) | (j.saving ? LEDGER : 0) |
           (j.deadline_timer != nullptr && timer_is_armed(env_of(j), j.deadline_timer) ? TIMER : 0);
}
static bool items_are_in_flight(const job &j) { return j.items.size() == j.window.in_flight; }
static bool window_is_bounded(const job &j) { return j.window.slots.size() <= job_window_count; }

static constexpr sm_resource resources[] = {{PAGE, "page"}, {ITEMS, "items"}, {LEDGER, "ledger"}, {TIMER, "timer"}};
static constexpr sm_state<job> states[] = {
    {S::idle, sm_initial, 0, 0},
    {S::running, 0, 0, PAGE | ITEMS | LEDGER | TIMER},
    {S::resting, 0, TIMER, PAGE | ITEMS | LEDGER | TIMER},
    {S::cancelling, 0, 0, PAGE | ITEMS | LEDGER},
    {S::finishing, 0, LEDGER, LEDGER},
    {S::awaiting_ledger, 0, TIMER, TIMER},
    {S::stopping, 0, 0, PAGE | ITEMS | LEDGER},
    {S::ended, sm_final, 0, 0},
};
static constexpr sm_row<job> rows[] = {
    {S::idle, E::begin, always, SM_FN(start), S::running},
    {S::idle, E::stop, always, nothing, S::ended},

    {S::running, E::page, always, SM_FN(work), S::running},
    {S::running, E::item, always, SM_FN(work), S::running},
    {S::running, E::stored, always, SM_FN(work), S::running},
    {S::running, E::deadline, always, SM_FN(work), S::running},
    {S::running, E::page_failed, always, SM_FN(rest), S::resting},
    {S::running, E::again, always, SM_FN(rest), S::resting},
    {S::running, E::not_stored, always, SM_FN(rest), S::resting},
    {S::running, E::drained, SM_FN(placement_moves), SM_FN(rest_until_settled), S::resting},
    {S::running, E::drained, SM_FN(placement_changed), SM_FN(begin_next_pass), S::running},
    {S::running, E::drained, always, SM_FN(note_done), S::finishing},
    {S::running, E::cancel, always, SM_FN(stop_items), S::cancelling},
    {S::running, E::stop, always, SM_FN(stop_items), S::stopping},

    {S::resting, E::page, always, nothing, S::resting},
    {S::resting, E::item, always, nothing, S::resting},
    {S::resting, E::stored, always, nothing, S::resting},
    {S::resting, E::page_failed, always, nothing, S::resting},
    {S::resting, E::again, always, nothing, S::resting},
    {S::resting, E::not_stored, always, nothing, S::resting},
    {S::resting, E::deadline, always, SM_FN(start), S::running},
    {S::resting, E::cancel, always, SM_FN(stop_items), S::cancelling},
    {S::resting, E::stop, always, SM_FN(stop_items), S::stopping},

    {S::cancelling, E::page, always, SM_FN(check_quiet), S::cancelling},
    {S::cancelling, E::page_failed, always, SM_FN(check_quiet), S::cancelling},
    {S::cancelling, E::item, always, SM_FN(check_quiet), S::cancelling},
    {S::cancelling, E::again, always, SM_FN(check_quiet), S::cancelling},
    {S::cancelling, E::stored, always, SM_FN(check_quiet), S::cancelling},
    {S::cancelling, E::not_stored, always, SM_FN(check_quiet), S::cancelling},
    {S::cancelling, E::drained, always, SM_FN(note_cancelled), S::finishing},
    {S::cancelling, E::stop, always, nothing, S::stopping},

    {S::finishing, E::stored, always, nothing, S::ended},
    {S::finishing, E::not_stored, always, SM_FN(rest), S::awaiting_ledger},
    {S::finishing, E::stop, always, nothing, S::stopping},

    {S::awaiting_ledger, E::deadline, always, SM_FN(note_end_again), S::finishing},
    {S::awaiting_ledger, E::stop, always, SM_FN(stop_timer), S::ended},

    // What has ended is saved once; if that fails, the next start handles it again.
    {S::stopping, E::page, always, SM_FN(check_quiet), S::stopping},
    {S::stopping, E::page_failed, always, SM_FN(check_quiet), S::stopping},
    {S::stopping, E::item, always, SM_FN(check_quiet), S::stopping},
    {S::stopping, E::again, always, SM_FN(check_quiet), S::stopping},
    {S::stopping, E::stored, always, SM_FN(check_quiet), S::stopping},
    {S::stopping, E::not_stored, always, SM_FN(check_quiet), S::stopping},
    {S::stopping, E::drained, SM_FN(has_unsaved), SM_FN(save_rest), S::stopping},
    {S::stopping, E::drained, always, nothing, S::ended},
};
static constexpr sm_ignore<job> ignores[] = {
    {S::idle, E::cancel, "it has not begun; the host begins it first"},
    {S::cancelling, E::cancel, "it is being cancelled already"},
    {S::finishing, E::cancel, "its end is being stored"},
    {S::awaiting_ledger, E::cancel, "its end is being stored"},
    {S::stopping, E::cancel, "the next start cancels it"},
    {S::stopping, E::stop, "it is stopping already"},
};
static constexpr sm_invariant<job> invariants[] = {
    {"each item in flight is in the window", items_are_in_flight}, {"the window is bounded", window_is_bounded}};

static void note_news(job &j, S, E)
{
    if (sm_state_of(j) == S::ended)
        sm_news_put(j.news, j.stored.ended_ns != 0 ? job_news::over : job_news::paused);
}

static constexpr sm_table<job> table = {
    "job", states, resources, rows, ignores, invariants, E::stop, E::deadline, alive, nullptr, note_news};
SM_VERIFY(table);

sm_view job_machine_view() { return sm_view_of(table); }

bool job_is_ended(const job &j) { return sm_is_final(table, j); }

// --- driving it

// on_news may free the job, so nothing of it may be used after that.
static void take(job &j, E event)
{
    sm_step(table, j, event);
    if (j.news.count == 0)
        return;
    if (j.deadline_timer != nullptr) { // otherwise it never began
        timer_free(env_of(j), j.deadline_timer);
        j.deadline_timer = nullptr;
        if (j.kind->close != nullptr)
            j.kind->close(j);
    }
    j.on_news(j.arg, j);
}

void job_begin(job &j, const std::vector<ledger_ahead> &ahead)
{
    j.deadline_timer = timer_make(env_of(j), on_timer, &j);
    json_ptr options;
    std::string where;
    if (json_parse(j.order.options, options, where))
        options = json_object(); // the proxy has checked them
    if (j.row.pass == 0) {
        begin_pass(j);
    } else {
        j.stored = j.row;
        plan_begin(j.plan, j.order.bucket, j.order.prefix, j.row.cursor_bucket, j.row.cursor_name);
        for (const ledger_ahead &one : ahead)
            j.noted.emplace(one.bucket, one.name);
    }
    if (j.kind->open != nullptr)
        j.kind->open(j, options.get());
    j.plan.also_bucket = j.also_bucket;
    j.items_now = job_items_at_first;
    take(j, E::begin);
}

void job_cancel(job &j) { take(j, E::cancel); }
void job_stop(job &j) { take(j, E::stop); }

// --- items

const job_tools &job_tools_of(const job_item &item) { return item.owner->tools; }
void *job_state_of(const job_item &item) { return item.owner->state_of_kind; }
const job_order &job_order_of(const job_item &item) { return item.owner->order; }
const index_row &job_item_row(const job_item &item) { return window_slot_of(item.owner->window, item.number).row; }

static void forget_item(job &j, const job_item &item)
{
    std::erase_if(j.items, [&item](const std::unique_ptr<job_item> &one) { return one.get() == &item; });
}

static void end_item(job_item &item, job_outcome outcome, uint64_t bytes, ledger_failure failure)
{
    job &j = *item.owner;
    if (j.window.unsaved == 0)
        j.unsaved_since_ms = clock_now_ms(env_of(j));
    window_end(j.window, item.number, outcome, bytes, std::move(failure));
    j.items_now = std::min(j.items_now + 1, job_window_count);
    forget_item(j, item);
    take(j, E::item);
}

void job_item_ended(job_item &item, job_outcome outcome, uint64_t bytes)
{
    CHECK(outcome != job_outcome::failed);
    end_item(item, outcome, bytes, {});
}

void job_item_stopped(job_item &item)
{
    job &j = *item.owner;
    (void)window_put_back(j.window, item.number);
    forget_item(j, item);
    take(j, E::item);
}

// It is not the item's fault.
static bool lies_elsewhere(error_code code)
{
    return code == error_code::no_space || code == error_code::unavailable || code == error_code::not_ready ||
           code == error_code::overloaded;
}

void job_item_failed(job_item &item, error err, std::string text, uint64_t bytes)
{
    job &j = *item.owner;
    text = text_cut(std::move(text), failure_text_max);
    uint64_t tries = window_slot_of(j.window, item.number).tries;
    bool may_pass = lies_elsewhere(err.code) || (error_is_retryable(err.code) && tries < job_tries_max);
    if (!may_pass) {
        end_item(item, job_outcome::failed, bytes, {.status = error_http_status(err.code), .text = std::move(text)});
        return;
    }
    j.waiting = std::move(text);
    (void)window_put_back(j.window, item.number);
    forget_item(j, item);
    take(j, E::again);
}

} // namespace etlnode
