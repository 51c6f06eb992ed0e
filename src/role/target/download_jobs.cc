// SPDX-License-Identifier: MIT
// role/target/download_jobs.cc: the target's share of jobs that download: the objects that it owns.
//
// Owns     one download_run for each job that runs here, its items, its row in the ledger.
// Knows    job/download_order, download_items.cc.        Known by  jobs.cc.
// Normal   names are taken in order, some at a time. After a restart it begins again: what is there from the same link is not fetched
//          twice. Another placement begins it again, too, also where it had ended: then others are owned.
// Fails    each object for itself, with its reason in the ledger.
// Limits   download_items_default, copy_items_max; failures_unsaved_max; finished_shown_max, job_failures_page_max of what is shown.
#include "role/target/downloads.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>

#include "base/limits.h"
#include "base/text.h"
#include "codec/json.h"
#include "control/member_machine.h"
#include "job/download_order.h"
#include "job/job_machine.h"
#include "job/job_report.h"
#include "port/clock.h"
#include "port/fetch.h"
#include "port/ledger.h"
#include "role/target/moves.h"
#include "role/target/rebalance.h"

namespace etlnode {

static constexpr uint64_t look_again_ms = 100; // while the ledger is being loaded
static constexpr size_t failures_unsaved_max = 256;
static constexpr size_t finished_shown_max = 100;

struct finished_download {
    std::string name;
    uint64_t bytes = 0, started_ns = 0, ended_ns = 0;
};

struct download_run {
    target *t = nullptr;
    ledger_job row;
    std::string bucket;
    download_order order; // names: those that this target owns
    size_t next = 0;
    std::vector<download_item *> items;
    std::deque<finished_download> finished;
    std::vector<ledger_failure> failures; // not in the ledger yet
    bool is_saving = false, is_begun = false;
    bool is_cancelled = false;
    bool is_paused = false; // the target ends
};

struct target_downloads {
    std::map<std::string, download_run *> running; // by job; null: its row is on the way to the ledger
    timer *again = nullptr;
    bool is_over = false;
};

static void fill(download_run &run);

static uint64_t pass_now(const target &t) { return document_epoch(t.document) + 1; } // so the proxy sees where each share is

// --- the ledger

struct download_change {
    target *t;
    ledger_job row;
};

static void look_again(target &t)
{
    if (t.downloads != nullptr && !t.downloads->is_over)
        timer_arm(*t.e, t.downloads->again, look_again_ms);
}

// The end of a share, or its new beginning, is in the ledger; after an error it begins again.
static void on_row_kept(void *arg, error err)
{
    std::unique_ptr<download_change> change(static_cast<download_change *>(arg));
    target &t = *change->t;
    if (!err && t.jobs != nullptr)
        job_host_put_row(*t.jobs, change->row);
    if (t.downloads != nullptr) {
        auto found = t.downloads->running.find(change->row.id);
        if (found != t.downloads->running.end()) {
            delete found->second;
            t.downloads->running.erase(found);
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
    t.downloads->running.insert({row.id, nullptr}); // unless the run is there
    change.job = row;
    change.begins_pass = begins_pass;
    change.failures = std::move(failures);
    open_count_begin(t.store_calls);
    ledger_commit(*t.e, std::move(change), on_row_kept, new download_change{&t, std::move(row)});
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
    download_run &run = *static_cast<download_run *>(arg);
    target &t = *run.t;
    run.is_saving = false;
    run.is_begun = run.is_begun || !err;
    fill(run);
    open_count_end(t.store_calls);
}

// Failures do not wait for the end, because there may be many. Those that an error lost are found again by the next run.
static void save(download_run &run)
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

static void forget(download_run &run)
{
    target &t = *run.t;
    t.downloads->running.erase(run.row.id);
    delete &run;
    look_again(t);
}

static void finish(download_run &run)
{
    target &t = *run.t;
    if (run.is_paused || (!run.is_cancelled && run.row.pass != pass_now(t))) {
        forget(run);
        return;
    }
    run.row.state = run.is_cancelled ? job_cancelled : job_done;
    ledger_job row = run.row;
    row.ended_ns = clock_wall_ns(*t.e);
    run.is_saving = true;
    keep_row(t, std::move(row), !run.is_begun, std::move(run.failures));
}

static void note_end(download_run &run, const download_progress &progress, const download_outcome &outcome)
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
    run.finished.push_back({progress.name, outcome.bytes, progress.started_ns, clock_wall_ns(*run.t->e)});
    if (run.finished.size() > finished_shown_max)
        run.finished.pop_front();
}

static void on_item(void *arg, download_item *item, const download_outcome &outcome)
{
    download_run &run = *static_cast<download_run *>(arg);
    target &t = *run.t;
    note_end(run, download_item_progress(*item), outcome);
    std::erase(run.items, item);
    if (run.failures.size() >= failures_unsaved_max && !run.is_saving)
        save(run);
    fill(run);
    open_count_end(t.store_calls);
}

static size_t items_max(const download_run &run)
{
    uint64_t wanted = run.order.connections != 0 ? run.order.connections : download_items_default;
    size_t count = static_cast<size_t>(std::clamp<uint64_t>(wanted, 1, copy_items_max));
    return target_serves_clients(*run.t) ? job_items_beside_clients(count) : count;
}

// Of one object; together they keep to the job's limit.
static uint64_t rate_of(const download_run &run, size_t items)
{
    uint64_t targets = 0;
    for (const cluster_node &node : run.t->document.nodes)
        targets += node.is_target ? 1 : 0;
    uint64_t rate = run.order.bytes_per_hour / 3600 / std::max<uint64_t>(targets, 1) / items;
    return run.order.bytes_per_hour == 0 ? 0 : std::max<uint64_t>(rate, 1);
}

static void fill(download_run &run)
{
    target &t = *run.t;
    bool is_stopping = run.is_cancelled || run.is_paused || run.row.pass != pass_now(t);
    size_t count = items_max(run);
    while (!is_stopping && run.items.size() < count && run.next < run.order.names.size()) {
        download_name &name = run.order.names[run.next++];
        download_wish wish = {.job = run.row.id,
            .bucket = run.bucket,
            .name = name.name,
            .link = std::move(name.link),
            .timeout_ms = run.order.timeout_ms,
            .rate = rate_of(run, count),
            .on_done = on_item,
            .arg = &run};
        open_count_begin(t.store_calls);
        run.items.push_back(download_item_begin(t, std::move(wish)));
    }
    if (run.items.empty() && !run.is_saving)
        finish(run);
}

static void stop_items(download_run &run)
{
    for (download_item *item : run.items)
        download_item_stop(*item);
}

static void begin_filling(void *arg)
{
    download_run &run = *static_cast<download_run *>(arg);
    target &t = *run.t;
    run.is_saving = false;
    fill(run);
    open_count_end(t.store_calls);
}

static void begin(target &t, const cluster_job &job, const ledger_job &row, download_order order)
{
    auto *run = new download_run;
    run->t = &t;
    run->row = {.id = row.id, .kind = row.kind, .state = job_running, .epoch = document_epoch(t.document), .pass = pass_now(t)};
    run->row.started_ns = row.started_ns != 0 ? row.started_ns : clock_wall_ns(*t.e);
    run->bucket = job.bucket;
    run->order = std::move(order);
    std::erase_if(run->order.names, [&](const download_name &one) { return target_owner_elsewhere(t, job.bucket, one.name) != nullptr; });
    t.downloads->running[job.id] = run;
    run->is_saving = true; // until then nothing ends
    open_count_begin(t.store_calls);
    clock_post(*t.e, begin_filling, run);
}

// --- what the document lists

static std::string read_order(const target &t, const cluster_job &job, download_order &out_order)
{
    json_ptr options, names;
    std::string where;
    if (json_parse(job.options, options, where))
        return where;
    if (!job.names.empty()) {
        if (json_parse(t.job_names.at(job.id).text, names, where))
            return where;
        cJSON_ReplaceItemInObject(options.get(), "objnames", names.release());
    }
    return download_order_read(options.get(), out_order);
}

// Its list of names has not come. If it never will, `out_why` says why.
static bool waits_for_names(const target &t, const cluster_job &job, std::string &out_why)
{
    if (job.names.empty())
        return false;
    auto found = t.job_names.find(job.id);
    if (found == t.job_names.end())
        return true;
    out_why = found->second.failure;
    return found->second.text.empty() && out_why.empty();
}

static void follow(target &t, const cluster_job &job)
{
    auto running = t.downloads->running.find(job.id);
    if (running != t.downloads->running.end()) {
        download_run *run = running->second;
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
    download_order order;
    if (job.is_cancelled) {
        end_row(t, std::move(row), job_cancelled, {});
        return;
    }
    if (waits_for_names(t, job, why))
        return;
    if (why.empty())
        why = fetch_is_possible(*t.e) ? read_order(t, job, order) : std::string("this target cannot download");
    if (why.empty())
        begin(t, job, row, std::move(order));
    else
        end_row(t, std::move(row), job_failed, why);
}

static void on_again(void *arg)
{
    target &t = *static_cast<target *>(arg);
    target_sync_jobs(t); // it looks after the lists of names, too
}

void target_sync_downloads(target &t)
{
    auto is_open = [](const cluster_job &job) { return job.kind == download_kind && job.ended_ns == 0; };
    bool has_some = std::any_of(t.document.jobs.begin(), t.document.jobs.end(), is_open);
    if ((!has_some && t.downloads == nullptr) || (t.downloads != nullptr && t.downloads->is_over))
        return;
    if (t.downloads == nullptr) {
        t.downloads = new target_downloads;
        t.downloads->again = timer_make(*t.e, on_again, &t);
    }
    if (!target_knows_jobs(t)) {
        timer_arm(*t.e, t.downloads->again, look_again_ms);
        return;
    }
    std::vector<cluster_job> jobs = t.document.jobs;
    for (const cluster_job &job : jobs) {
        if (is_open(job))
            follow(t, job);
    }
    for (const auto &[id, run] : t.downloads->running) {
        if (run == nullptr || document_find_job(t.document, id) != nullptr)
            continue;
        run->is_cancelled = true;
        stop_items(*run);
    }
}

void target_stop_downloads(target &t)
{
    if (t.downloads == nullptr || t.downloads->is_over)
        return;
    t.downloads->is_over = true;
    timer_stop(*t.e, t.downloads->again);
    for (const auto &[id, run] : t.downloads->running) {
        if (run == nullptr)
            continue;
        run->is_paused = true;
        stop_items(*run);
    }
}

void target_end_downloads(target &t)
{
    target_stop_downloads(t);
    if (t.downloads == nullptr || !t.downloads->running.empty())
        return;
    timer_free(*t.e, t.downloads->again);
    delete t.downloads;
    t.downloads = nullptr;
}

// --- what is told of a job

static const download_run *find_run(const target &t, const std::string &id)
{
    if (t.downloads == nullptr)
        return nullptr;
    auto found = t.downloads->running.find(id);
    return found != t.downloads->running.end() ? found->second : nullptr;
}

bool target_download_report(const target &t, job_report &report)
{
    const download_run *run = find_run(t, report.row.id);
    if (run == nullptr)
        return false;
    report.row = run->row;
    report.row.state = job_running;
    for (const download_item *item : run->items) {
        if (std::string why = download_item_progress(*item).waiting; !why.empty())
            report.waiting = why;
    }
    return true;
}

// --- GET /v1/node/downloads/{id}

struct tasks_request {
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
    std::unique_ptr<tasks_request> request(static_cast<tasks_request *>(arg));
    target &t = *request->t;
    const download_run *run = find_run(t, request->id);
    json_ptr tree = json_object();
    json_add_bool(tree.get(), "all_begun", run == nullptr || run->next == run->order.names.size());
    cJSON *current = json_add_array(tree.get(), "current");
    cJSON *finished = json_add_array(tree.get(), "finished");
    cJSON *failed = json_add_array(tree.get(), "failures");
    if (!err && run != nullptr)
        failures.insert(failures.end(), run->failures.begin(), run->failures.end());
    for (const ledger_failure &failure : failures)
        json_append(failed, job_failure_print(failure));
    if (run != nullptr) {
        for (const download_item *item : run->items) {
            download_progress progress = download_item_progress(*item);
            add_task(current, progress.name, progress.bytes, progress.total, progress.started_ns, 0);
        }
        for (const finished_download &one : run->finished)
            add_task(finished, one.name, one.bytes, one.bytes, one.started_ns, one.ended_ns);
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
    ledger_failures(*t.e, id, {}, {}, job_failures_page_max, on_failures, new tasks_request{&t, &x, id});
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/node/downloads/{id}", serve_tasks, "what a download does now, what it has done last, and what failed"),
};
extern constinit const std::span<const route> target_download_routes = rows;

} // namespace etlnode
