// SPDX-License-Identifier: MIT
// role/target/archive_jobs.cc: jobs that make an archive of objects, wherever they lie.
//
// Owns     one archive_run for each job that this target does; their rows in the ledger.
// Knows    job/archive_order, members.cc, joins.cc, object/archive_writer.        Known by  jobs.cc.
// Normal   the target that the job names opens the members one after the other and packs them into the object, which appears at its end.
//          The others have no share. After a restart it begins again.
// Fails    the job, with the reason of the first member that cannot be read; with `coer`, that member is left out and counts as failed.
// Limits   failures_max.
#include <map>
#include <memory>

#include "base/text.h"
#include "codec/json.h"
#include "control/member_machine.h"
#include "job/archive_order.h"
#include "job/job_host.h"
#include "job/job_machine.h"
#include "object/archive_writer.h"
#include "port/clock.h"
#include "port/ledger.h"
#include "role/target/joins.h"
#include "role/target/members.h"
#include "role/target/rebalance.h"

namespace etlnode {

static constexpr uint64_t look_again_ms = 100; // while the ledger is being loaded
static constexpr uint64_t member_patience_ms = 60'000;
static constexpr size_t failures_max = 10'000; // kept with their reason

struct archive_run {
    target *t = nullptr;
    ledger_job row;
    std::string bucket; // of the members
    archive_order order;
    size_t asked = 0; // members that were asked for
    member_question *question = nullptr;
    archive_writer *waiting = nullptr;
    std::vector<ledger_failure> failures;
    std::string reason; // why it failed
    bool is_cancelled = false;
};

struct target_archives {
    std::map<std::string, archive_run *> running; // by job; null: its row is on the way to the ledger
    timer *again = nullptr;
    bool is_over = false;
};

// --- the ledger

struct row_change {
    target *t;
    ledger_job row;
};

static void on_row_kept(void *arg, error err)
{
    std::unique_ptr<row_change> change(static_cast<row_change *>(arg));
    target &t = *change->t;
    if (!err && t.jobs != nullptr)
        job_host_put_row(*t.jobs, change->row);
    if (t.archives != nullptr)
        t.archives->running.erase(change->row.id);
    if (t.membership != nullptr)
        member_beat_now(*t.membership);
    open_count_end(t.store_calls);
}

static void keep_row(target &t, ledger_job row, std::vector<ledger_failure> failures = {})
{
    ledger_change change;
    row.ended_ns = clock_wall_ns(*t.e);
    if (row.started_ns == 0)
        row.started_ns = row.ended_ns;
    if (t.archives != nullptr)
        t.archives->running[row.id] = nullptr;
    change.job = row;
    change.failures = std::move(failures);
    open_count_begin(t.store_calls);
    ledger_commit(*t.e, std::move(change), on_row_kept, new row_change{&t, std::move(row)});
}

// --- the members

static void note_failure(archive_run &run, const std::string &name, error err, const std::string &text)
{
    run.row.failed++;
    if (run.failures.size() < failures_max)
        run.failures.push_back({.bucket = run.bucket,
            .name = name,
            .status = error_http_status(err.code),
            .text = text,
            .request_id = run.row.id,
            .tries = 1});
}

static void ask_next(void *arg, archive_writer &w);

static void on_open(void *arg, error err, const std::string &text, source from, uint64_t size)
{
    auto &run = *static_cast<archive_run *>(arg);
    archive_writer &w = *std::exchange(run.waiting, nullptr);
    const std::string &name = run.order.names[run.asked++];
    run.question = nullptr;
    if (err)
        note_failure(run, name, err, text);
    if (err && !run.order.continues) {
        run.reason = text;
        archive_fail(w, err);
        return;
    }
    if (err) {
        ask_next(&run, w);
        return;
    }
    run.row.done++;
    run.row.bytes += size;
    archive_give(w, run.order.with_bucket ? run.bucket + "/" + name : name, size, std::move(from));
}

static void ask_next(void *arg, archive_writer &w)
{
    auto &run = *static_cast<archive_run *>(arg);
    if (run.is_cancelled) {
        archive_fail(w, make_error(error_code::canceled));
    } else if (run.asked == run.order.names.size()) {
        archive_end(w);
    } else {
        run.waiting = &w;
        run.question = target_open_member(*run.t, {run.bucket, run.order.names[run.asked]}, on_open, &run);
    }
}

static void on_closed(void *arg)
{
    auto &run = *static_cast<archive_run *>(arg);
    if (run.question != nullptr)
        target_cancel_member(run.question);
    run.question = nullptr;
    run.waiting = nullptr;
}

// --- begin and end

static void on_joined(void *arg, error err, const std::string &text, uint64_t)
{
    std::unique_ptr<archive_run> run(static_cast<archive_run *>(arg));
    target &t = *run->t;
    if (err.code == error_code::stopping) { // it begins again
        if (t.archives != nullptr)
            t.archives->running.erase(run->row.id);
        return;
    }
    run->row.state = !err ? job_done : run->is_cancelled ? job_cancelled : job_failed;
    if (err && !run->is_cancelled)
        run->row.error = run->reason.empty() ? text : run->reason;
    else if (!err && run->row.failed > 0)
        run->row.error = std::to_string(run->row.failed) + " of the members could not be read";
    keep_row(t, std::move(run->row), std::move(run->failures));
}

static void begin(target &t, const cluster_job &job, const ledger_job &row, archive_order order)
{
    auto *run = new archive_run;
    run->t = &t;
    run->row = row;
    run->row.state = job_running;
    run->row.done = run->row.failed = run->row.bytes = 0;
    run->row.started_ns = clock_wall_ns(*t.e);
    run->bucket = job.bucket;
    run->order = std::move(order);
    t.archives->running[job.id] = run;
    archive_writer_options options;
    options.mime = run->order.mime;
    options.patience_ms = member_patience_ms;
    options.next = ask_next;
    options.on_closed = on_closed;
    options.arg = run;
    options.at_work = &t.store_calls;
    join_request request;
    request.bucket = run->order.to_bucket;
    request.name = run->order.to_name;
    request.request_id = job.id;
    request.from = archive_writer_source(*t.e, std::move(options));
    request.on_done = on_joined;
    request.arg = run;
    target_join(t, std::move(request));
}

static void follow(target &t, const cluster_job &job)
{
    const ledger_job *known = job_host_find_row(*t.jobs, job.id);
    auto running = t.archives->running.find(job.id);
    if (running != t.archives->running.end()) {
        if (running->second != nullptr && job.is_cancelled)
            running->second->is_cancelled = true;
        return;
    }
    if (known == nullptr || known->ended_ns != 0)
        return;
    ledger_job row = *known;
    json_ptr options;
    std::string where;
    archive_order order;
    std::string wrong = json_parse(job.options, options, where) ? where : archive_order_read(options.get(), order);
    bool is_mine = wrong.empty() && order.at == t.id;
    if (is_mine && !job.is_cancelled) {
        begin(t, job, row, std::move(order));
        return;
    }
    row.state = job.is_cancelled ? job_cancelled : wrong.empty() ? job_done : job_failed;
    row.error = wrong;
    keep_row(t, std::move(row));
}

static void on_again(void *arg) { target_sync_archives(*static_cast<target *>(arg)); }

void target_sync_archives(target &t)
{
    bool has_some = false;
    for (const cluster_job &job : t.document.jobs)
        has_some = has_some || (job.kind == archive_kind && job.ended_ns == 0);
    if (!has_some || (t.archives != nullptr && t.archives->is_over))
        return;
    if (t.archives == nullptr) {
        t.archives = new target_archives;
        t.archives->again = timer_make(*t.e, on_again, &t);
    }
    if (!target_knows_jobs(t)) {
        timer_arm(*t.e, t.archives->again, look_again_ms);
        return;
    }
    std::vector<cluster_job> jobs = t.document.jobs;
    for (const cluster_job &job : jobs) {
        if (job.kind == archive_kind && job.ended_ns == 0)
            follow(t, job);
    }
}

// What runs ends with its join.
void target_end_archives(target &t)
{
    if (t.archives == nullptr)
        return;
    t.archives->is_over = true;
    timer_stop(*t.e, t.archives->again);
    if (!t.archives->running.empty())
        return;
    timer_free(*t.e, t.archives->again);
    delete t.archives;
    t.archives = nullptr;
}

} // namespace etlnode
