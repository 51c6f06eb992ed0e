// SPDX-License-Identifier: MIT
// role/target/shares.cc: the target's share of jobs that bring objects in.
//
// Owns     one share_run for each job that runs here, its row in the ledger.
// Knows    download_jobs.cc, promote_jobs.cc.        Known by  jobs.cc.
// Normal   items are taken in order, some at a time. After a restart a share begins again: what is there from the same source is not
//          stored twice. Another placement begins it again, too, also where it had ended: then others are owned.
// Fails    each object for itself, with its reason in the ledger.
// Limits   failures_unsaved_max; finished_shown_max, job_failures_page_max of what is shown.
#include "role/target/shares.h"

#include <algorithm>
#include <map>
#include <memory>

#include "base/limits.h"
#include "base/text.h"
#include "control/member_machine.h"
#include "job/job_machine.h"
#include "job/job_report.h"
#include "port/clock.h"
#include "port/ledger.h"
#include "role/target/job_names.h"
#include "role/target/moves.h"
#include "role/target/rebalance.h"

namespace etlnode {

static constexpr uint64_t look_again_ms = 100; // while the ledger is being loaded
static constexpr size_t failures_unsaved_max = 256;
static constexpr size_t finished_shown_max = 100;

struct target_shares {
    std::map<std::string, share_run *> running; // by job; null: its row is on the way to the ledger
    timer *again = nullptr;
    bool is_over = false;
};

static constexpr const share_kind *kinds[] = {&share_kind_download, &share_kind_promote};

static const share_kind *find_kind(std::string_view name)
{
    auto found = std::find_if(std::begin(kinds), std::end(kinds), [name](const share_kind *kind) { return name == kind->name; });
    return found != std::end(kinds) ? *found : nullptr;
}

static void fill(share_run &run);

static void free_run(share_run *run)
{
    if (run != nullptr)
        run->kind->close(*run);
    delete run;
}

static uint64_t pass_now(const target &t) { return document_epoch(t.document) + 1; } // so the proxy sees where each share is

// --- the ledger

struct share_change {
    target *t;
    ledger_job row;
};

static void look_again(target &t)
{
    if (t.shares != nullptr && !t.shares->is_over)
        timer_arm(*t.e, t.shares->again, look_again_ms);
}

// The end of a share, or its new beginning, is in the ledger; after an error it begins again.
static void on_row_kept(void *arg, error err)
{
    std::unique_ptr<share_change> change(static_cast<share_change *>(arg));
    target &t = *change->t;
    if (!err && t.jobs != nullptr)
        job_host_put_row(*t.jobs, change->row);
    if (t.shares != nullptr) {
        auto found = t.shares->running.find(change->row.id);
        if (found != t.shares->running.end()) {
            free_run(found->second);
            t.shares->running.erase(found);
        }
    }
    look_again(t);
    if (t.membership != nullptr)
        member_beat_now(*t.membership);
    open_count_end(t.store_calls);
}

static void keep_row(target &t, ledger_job row, bool begins_pass, std::vector<ledger_failure> failures)
{
    ledger_change change;
    t.shares->running.insert({row.id, nullptr}); // unless the run is there
    change.job = row;
    change.begins_pass = begins_pass;
    change.failures = std::move(failures);
    open_count_begin(t.store_calls);
    ledger_commit(*t.e, std::move(change), on_row_kept, new share_change{&t, std::move(row)});
}

static void end_row(target &t, ledger_job row, const char *state, std::string error)
{
    row.state = state;
    row.error = std::move(error);
    row.pass = pass_now(t);
    row.ended_ns = clock_wall_ns(*t.e);
    if (row.started_ns == 0)
        row.started_ns = row.ended_ns;
    keep_row(t, std::move(row), false, {});
}

static void on_saved(void *arg, error err)
{
    share_run &run = *static_cast<share_run *>(arg);
    target &t = *run.t;
    run.is_saving = false;
    run.is_begun = run.is_begun || !err;
    fill(run);
    open_count_end(t.store_calls);
}

// Failures do not wait for the end, because there may be many. Those that an error lost are found again by the next run.
static void save(share_run &run)
{
    run.is_saving = true;
    ledger_change change;
    change.job = run.row;
    change.begins_pass = !run.is_begun;
    change.failures = std::move(run.failures);
    run.failures.clear();
    open_count_begin(run.t->store_calls);
    ledger_commit(*run.t->e, std::move(change), on_saved, &run);
}

// --- a run

static void forget(share_run &run)
{
    target &t = *run.t;
    t.shares->running.erase(run.row.id);
    free_run(&run);
    look_again(t);
}

static void finish(share_run &run)
{
    target &t = *run.t;
    if (run.is_paused || (!run.is_cancelled && run.row.pass != pass_now(t))) {
        forget(run);
        return;
    }
    run.row.state = run.is_cancelled ? job_cancelled : run.error.empty() ? job_done : job_failed;
    run.row.error = run.error;
    ledger_job row = run.row;
    row.ended_ns = clock_wall_ns(*t.e);
    run.is_saving = true;
    keep_row(t, std::move(row), !run.is_begun, std::move(run.failures));
}

static void note_end(share_run &run, const share_progress &progress, const share_outcome &outcome)
{
    if (outcome.is_stopped || outcome.is_elsewhere)
        return;
    if (outcome.what == job_outcome::failed) {
        run.row.failed++;
        run.failures.push_back(outcome.failure);
        return;
    }
    (outcome.what == job_outcome::done ? run.row.done : run.row.skipped)++;
    run.row.bytes += outcome.bytes;
    run.finished.push_back({progress, clock_wall_ns(*run.t->e)});
    run.finished.back().progress.bytes = run.finished.back().progress.total = outcome.bytes;
    if (run.finished.size() > finished_shown_max)
        run.finished.pop_front();
}

bool share_is_stopping(const share_run &run)
{
    return run.is_cancelled || run.is_paused || !run.error.empty() || run.row.pass != pass_now(*run.t);
}

bool share_lies_here(error_code code)
{
    switch (code) {
    case error_code::no_space:
    case error_code::unavailable:
    case error_code::not_ready:
    case error_code::overloaded:
    case error_code::other_epoch:
    case error_code::stopping:
    case error_code::too_many_files:
    case error_code::canceled: return true;
    default: return false;
    }
}

void share_item_ended(share_run &run, void *item, const share_outcome &outcome)
{
    target &t = *run.t;
    note_end(run, run.kind->progress(item), outcome);
    std::erase(run.items, item);
    if (run.failures.size() >= failures_unsaved_max && !run.is_saving)
        save(run);
    fill(run);
    open_count_end(t.store_calls);
}

void share_go_on(share_run &run)
{
    run.is_waiting = false;
    fill(run);
}

static void fill(share_run &run)
{
    target &t = *run.t;
    size_t count = run.kind->items_max(run);
    if (target_serves_clients(t))
        count = job_items_beside_clients(count);
    while (!share_is_stopping(run) && run.items.size() < count && run.kind->begin_next(run))
        open_count_begin(t.store_calls); // until it has ended
    if (run.items.empty() && !run.is_saving && !run.is_waiting)
        finish(run);
}

static void stop_items(share_run &run)
{
    for (void *item : run.items)
        run.kind->stop(item);
}

static void begin_filling(void *arg)
{
    share_run &run = *static_cast<share_run *>(arg);
    target &t = *run.t;
    run.is_saving = false;
    fill(run);
    open_count_end(t.store_calls);
}

static std::string begin(target &t, const share_kind &kind, const cluster_job &job, const ledger_job &row, const cJSON *options)
{
    auto run = std::make_unique<share_run>();
    run->t = &t;
    run->kind = &kind;
    run->row = {.id = row.id, .kind = row.kind, .state = job_running, .epoch = document_epoch(t.document), .pass = pass_now(t)};
    run->row.started_ns = row.started_ns != 0 ? row.started_ns : clock_wall_ns(*t.e);
    run->bucket = job.bucket;
    if (std::string why = kind.open(*run, options); !why.empty()) {
        kind.close(*run);
        return why;
    }
    run->is_saving = true; // until then nothing ends
    open_count_begin(t.store_calls);
    clock_post(*t.e, begin_filling, run.get());
    t.shares->running[job.id] = run.release();
    return {};
}

// --- what the document lists

static std::string read_options(const cluster_job &job, std::string_view list, json_ptr &out_options)
{
    json_ptr names;
    std::string where;
    if (json_parse(job.options, out_options, where))
        return where;
    if (job.names.empty())
        return {};
    if (json_parse(std::string(list), names, where))
        return where;
    cJSON_ReplaceItemInObject(out_options.get(), "objnames", names.release());
    return {};
}

static void follow(target &t, const cluster_job &job)
{
    auto running = t.shares->running.find(job.id);
    if (running != t.shares->running.end()) {
        share_run *run = running->second;
        bool is_elsewhere = run != nullptr && run->row.pass != pass_now(t);
        if (run != nullptr && (job.is_cancelled || is_elsewhere)) {
            run->is_cancelled = run->is_cancelled || job.is_cancelled;
            stop_items(*run);
        }
        return;
    }
    const ledger_job *known = job_host_find_row(*t.jobs, job.id);
    if (known == nullptr || (known->ended_ns != 0 && (known->pass == pass_now(t) || job.is_cancelled)))
        return;
    ledger_job row = *known;
    if (row.ended_ns != 0) {
        row.ended_ns = 0;
        row.state = job_running;
        keep_row(t, std::move(row), true, {});
        return;
    }
    std::string why;
    json_ptr options;
    if (job.is_cancelled) {
        target_names_drop(t, job.id);
        end_row(t, std::move(row), job_cancelled, {});
        return;
    }
    std::string_view list, failure;
    if (!job.names.empty() && !target_find_names(t, job, list, failure))
        return; // the list is on its way
    why = failure;
    if (why.empty())
        why = read_options(job, list, options);
    target_names_drop(t, job.id);
    if (why.empty())
        why = begin(t, *find_kind(job.kind), job, row, options.get());
    if (!why.empty())
        end_row(t, std::move(row), job_failed, why);
}

static void on_again(void *arg)
{
    target &t = *static_cast<target *>(arg);
    target_sync_jobs(t); // it looks after the lists of names, too
}

void target_sync_shares(target &t)
{
    auto is_open = [](const cluster_job &job) { return find_kind(job.kind) != nullptr && job.ended_ns == 0; };
    bool has_some = std::any_of(t.document.jobs.begin(), t.document.jobs.end(), is_open);
    if ((!has_some && t.shares == nullptr) || (t.shares != nullptr && t.shares->is_over))
        return;
    if (t.shares == nullptr) {
        t.shares = new target_shares;
        t.shares->again = timer_make(*t.e, on_again, &t);
    }
    if (!target_knows_jobs(t)) {
        timer_arm(*t.e, t.shares->again, look_again_ms);
        return;
    }
    std::vector<cluster_job> jobs = t.document.jobs;
    for (const cluster_job &job : jobs) {
        if (is_open(job))
            follow(t, job);
    }
    for (const auto &[id, run] : t.shares->running) {
        if (run == nullptr || document_find_job(t.document, id) != nullptr)
            continue;
        run->is_cancelled = true;
        stop_items(*run);
    }
}

void target_stop_shares(target &t)
{
    if (t.shares == nullptr || t.shares->is_over)
        return;
    t.shares->is_over = true;
    timer_stop(*t.e, t.shares->again);
    for (const auto &[id, run] : t.shares->running) {
        if (run == nullptr)
            continue;
        run->is_paused = true;
        stop_items(*run);
    }
}

void target_end_shares(target &t)
{
    target_stop_shares(t);
    if (t.shares == nullptr || !t.shares->running.empty())
        return;
    timer_free(*t.e, t.shares->again);
    delete t.shares;
    t.shares = nullptr;
}

// --- what is told of a job

static const share_run *find_run(const target &t, const std::string &id)
{
    if (t.shares == nullptr)
        return nullptr;
    auto found = t.shares->running.find(id);
    return found != t.shares->running.end() ? found->second : nullptr;
}

bool target_share_report(const target &t, job_report &report)
{
    const share_run *run = find_run(t, report.row.id);
    if (run == nullptr)
        return false;
    report.row = run->row;
    report.row.state = job_running;
    for (const void *item : run->items) {
        if (std::string why = run->kind->progress(item).waiting; !why.empty())
            report.waiting = why;
    }
    return true;
}

// --- GET /v1/node/shares/{id}

struct share_tasks_request {
    target *t;
    exchange *x;
    std::string id;
};

static void add_task(cJSON *list, const std::string &name, uint64_t bytes, uint64_t total, uint64_t started_ns, uint64_t ended_ns)
{
    json_ptr task = json_object();
    json_add_text(task.get(), "name", name);
    json_add_u64_text(task.get(), "bytes", bytes);
    json_add_u64_text(task.get(), "total", total);
    json_add_u64_text(task.get(), "started_ns", started_ns);
    json_add_u64_text(task.get(), "ended_ns", ended_ns);
    json_append(list, std::move(task));
}

static void on_failures(void *arg, error err, std::vector<ledger_failure> failures)
{
    std::unique_ptr<share_tasks_request> request(static_cast<share_tasks_request *>(arg));
    target &t = *request->t;
    const share_run *run = find_run(t, request->id);
    json_ptr tree = json_object();
    json_add_bool(tree.get(), "all_begun", run == nullptr || run->kind->has_all_begun(*run));
    cJSON *current = json_add_array(tree.get(), "current");
    cJSON *finished = json_add_array(tree.get(), "finished");
    cJSON *failed = json_add_array(tree.get(), "failures");
    if (!err && run != nullptr)
        failures.insert(failures.end(), run->failures.begin(), run->failures.end());
    for (const ledger_failure &failure : failures)
        json_append(failed, job_failure_print(failure));
    if (run != nullptr) {
        for (const void *item : run->items) {
            share_progress progress = run->kind->progress(item);
            add_task(current, progress.name, progress.bytes, progress.total, progress.started_ns, 0);
        }
        for (const auto &[progress, ended_ns] : run->finished)
            add_task(finished, progress.name, progress.bytes, progress.total, progress.started_ns, ended_ns);
    }
    exchange_answer_json(*request->x, tree.get());
    open_count_end(t.requests);
}

static void serve_tasks(target &t, exchange &x, const route_match &match)
{
    std::string id;
    if (!target_admit_peer(t, x, match, id))
        return;
    open_count_begin(t.requests);
    ledger_failures(*t.e, id, {}, {}, job_failures_page_max, on_failures, new share_tasks_request{&t, &x, id});
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/node/shares/{id}", serve_tasks, "what a job of shares does now, what it has done last, and what failed"),
};
extern constinit const std::span<const route> target_share_routes = rows;

} // namespace etlnode
