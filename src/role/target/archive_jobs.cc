// SPDX-License-Identifier: MIT
// role/target/archive_jobs.cc: jobs that make an archive of objects, wherever they lie.
//
// Owns     one archive_run for each job that this target does; their rows in the ledger.
// Knows    job/archive_order, job_names.cc, members.cc, joins.cc, object/archive_writer.        Known by  jobs.cc.
// Normal   the target that the job names opens the members one after the other and packs them into the object, which appears at its end.
//          The others have no share. After a restart it begins again. With `aate` the members of the archive that there is come first;
//          nobody else appends to it meanwhile, and the object says which job appended, so that a job that begins again does it once.
//          What lies at another target that is away is tried again: a member for some time, and then the whole archive.
// Fails    the job, with the reason of the first member that cannot be read; with `coer`, that member is left out and counts as failed.
// Limits   failures_max, member_tries_max, tries_max.
#include <algorithm>
#include <map>
#include <memory>

#include "base/text.h"
#include "codec/json.h"
#include "control/member_machine.h"
#include "job/archive_order.h"
#include "job/job_host.h"
#include "job/job_machine.h"
#include "job/job_origin.h"
#include "object/archive_writer.h"
#include "object/tar_end.h"
#include "port/clock.h"
#include "port/ledger.h"
#include "role/target/job_names.h"
#include "role/target/joins.h"
#include "role/target/members.h"
#include "role/target/rebalance.h"
#include "store/object_extras.h"

namespace etlnode {

static constexpr uint64_t look_again_ms = 100; // while the ledger is being loaded
static constexpr uint64_t member_patience_ms = 60'000;
static constexpr uint64_t member_again_ms = 1'000;
static constexpr unsigned member_tries_max = 30;
static constexpr unsigned tries_max = 5;
static_assert(member_again_ms * member_tries_max < member_patience_ms, "the archive is not given up while a member is tried again");
static constexpr size_t failures_max = 10'000; // kept with their reason

struct archive_run {
    target *t = nullptr;
    ledger_job row;
    std::string bucket; // of the members
    archive_order order;
    size_t asked = 0; // members that were asked for
    member_question *question = nullptr;
    archive_writer *waiting = nullptr;
    timer *again = nullptr; // for the member that is waited for
    unsigned member_tries = 0;
    std::vector<ledger_failure> failures;
    std::string reason; // why it failed
    bool is_cancelled = false;
    // An archive that is appended to.
    const store_object *former = nullptr; // until it is a source
    uint64_t former_end = 0;              // of its last member
    unsigned piece = 0;
    std::string custom; // of the object to be
};

struct target_archives {
    std::map<std::string, archive_run *> running; // by job; null: its row is on the way to the ledger
    std::map<std::string, unsigned> tries;        // by job
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
    if (t.archives != nullptr) {
        t.archives->running.erase(change->row.id);
        t.archives->tries.erase(change->row.id);
    }
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
    run.question = nullptr;
    if (err && error_is_retryable(err.code) && !run.is_cancelled && ++run.member_tries < member_tries_max) {
        timer_arm(*run.t->e, run.again, member_again_ms);
        return;
    }
    archive_writer &w = *std::exchange(run.waiting, nullptr);
    const std::string &name = run.order.names[run.asked++];
    run.member_tries = 0;
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

static void on_member_again(void *arg)
{
    auto &run = *static_cast<archive_run *>(arg);
    ask_next(&run, *std::exchange(run.waiting, nullptr));
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
    timer_stop(*run.t->e, run.again);
    run.question = nullptr;
    run.waiting = nullptr;
}

// --- begin and end

static std::string appended(const archive_order &order) { return order.to_bucket + "/" + order.to_name; }

static bool may_begin_again(const archive_run &run, error err)
{
    target_archives *archives = run.t->archives;
    return error_is_retryable(err.code) && !run.is_cancelled && archives != nullptr && !archives->is_over &&
           ++archives->tries[run.row.id] < tries_max;
}

static void on_joined(void *arg, error err, const std::string &text, uint64_t)
{
    std::unique_ptr<archive_run> run(static_cast<archive_run *>(arg));
    target &t = *run->t;
    if (run->former != nullptr)
        store_release(*t.objects, run->former);
    if (run->order.appends)
        std::erase(t.appending, appended(run->order));
    timer_free(*t.e, run->again);
    if (err.code == error_code::stopping) { // it begins again
        if (t.archives != nullptr)
            t.archives->running.erase(run->row.id);
        return;
    }
    if (err && may_begin_again(*run, err)) {
        t.archives->running.erase(run->row.id);
        timer_arm(*t.e, t.archives->again, member_again_ms);
        return;
    }
    run->row.state = !err ? job_done : run->is_cancelled ? job_cancelled : job_failed;
    if (err && !run->is_cancelled)
        run->row.error = run->reason.empty() ? text : run->reason;
    else if (!err && run->row.failed > 0)
        run->row.error = std::to_string(run->row.failed) + " of the members could not be read";
    keep_row(t, std::move(run->row), std::move(run->failures));
}

static source new_members(archive_run &run)
{
    archive_writer_options options;
    options.mime = run.order.mime;
    options.patience_ms = member_patience_ms;
    options.next = ask_next;
    options.on_closed = on_closed;
    options.arg = &run;
    options.at_work = &run.t->store_calls;
    return archive_writer_source(*run.t->e, std::move(options));
}

static void give_piece(void *arg, source_chain &chain)
{
    auto &run = *static_cast<archive_run *>(arg);
    target &t = *run.t;
    if (run.piece++ == 0)
        source_chain_give(
            chain, source_stored_part(*t.e, *t.objects, std::exchange(run.former, nullptr), t.store_calls, 0, run.former_end));
    else if (run.piece == 2)
        source_chain_give(chain, new_members(run));
    else
        source_chain_end(chain);
}

static void join(archive_run *run)
{
    target &t = *run->t;
    if (lifecycle_is_draining(t.life)) {
        on_joined(run, make_error(error_code::stopping), {}, 0);
        return;
    }
    join_request request;
    request.bucket = run->order.to_bucket;
    request.name = run->order.to_name;
    request.request_id = run->row.id;
    request.custom = run->custom;
    request.from = run->former != nullptr ? source_chain_make(*t.e, {}, {give_piece, nullptr, run}) : new_members(*run);
    request.from.patience_ms = member_patience_ms;
    request.on_done = on_joined;
    request.arg = run;
    target_join(t, std::move(request));
}

// --- an archive that there is

static std::string note_of(const archive_run &run) { return text_hex(0) + " " + run.row.id; }

static void end_append(archive_run *run, error err, const std::string &text)
{
    run->reason = err ? text : std::string();
    on_joined(run, err, text, 0);
}

static void on_end_found(void *arg, error err, const char *why, uint64_t end)
{
    auto *run = static_cast<archive_run *>(arg);
    run->former_end = end;
    std::string uname = "ais://" + run->order.to_bucket + "/" + run->order.to_name;
    if (err)
        end_append(run, err, uname + " cannot be read: " + error_text(err));
    else if (why != nullptr)
        end_append(run, make_error(error_code::bad_request), uname + ": " + why + "; make the archive anew");
    else
        join(run);
}

static void on_former(void *arg, error err, const std::string &text, const store_object *object)
{
    auto *run = static_cast<archive_run *>(arg);
    target &t = *run->t;
    object_extras extras;
    run->former = object;
    if (!err)
        extras = object_extras_parse(object->row.custom);
    bool is_done = !err && job_origin_job(extras.made_from) == run->row.id;
    extras.made_from = note_of(*run);
    extras.checksum_type.clear(); // of the former content
    extras.checksum_value.clear();
    extras.chunk_count = extras.chunk_size_max = 0;
    run->custom = object_extras_print(extras);
    if (err.code == error_code::object_not_found) {
        join(run);
    } else if (err) {
        end_append(run, err, text);
    } else if (is_done) { // before a restart
        run->row.done = run->order.names.size();
        end_append(run, no_error, {});
    } else if (run->order.mime != ".tar") {
        end_append(run, make_error(error_code::not_implemented),
            "ais://" + run->order.to_bucket + "/" + run->order.to_name +
                " exists, and members are appended to .tar only: make a new archive, or leave out aate");
    } else {
        tar_end_find(*t.e, *object, t.store_calls, on_end_found, run);
    }
}

static void begin_append(archive_run *run)
{
    target &t = *run->t;
    const cluster_node *owner = document_place(t.document, run->order.to_bucket, run->order.to_name);
    t.appending.push_back(appended(run->order));
    if (owner == nullptr || owner->id != t.id)
        end_append(run, make_error(error_code::conflict), "the archive belongs to another target now: begin the job again");
    else
        target_hold_object(t, run->order.to_bucket, run->order.to_name, on_former, run);
}

static void begin(target &t, const cluster_job &job, const ledger_job &row, archive_order order)
{
    auto *run = new archive_run;
    run->t = &t;
    run->again = timer_make(*t.e, on_member_again, run);
    run->row = row;
    run->row.state = job_running;
    run->row.done = run->row.failed = run->row.bytes = 0;
    run->row.started_ns = clock_wall_ns(*t.e);
    run->bucket = job.bucket;
    run->order = std::move(order);
    t.archives->running[job.id] = run;
    if (run->order.appends)
        begin_append(run);
    else
        join(run);
}

// False: the list of names is on its way.
static bool read_order(target &t, const cluster_job &job, archive_order &out_order, std::string &out_wrong)
{
    std::string_view names, failure;
    if (!job.names.empty() && !target_find_names(t, job, names, failure))
        return false;
    json_ptr options;
    std::string where;
    out_wrong = failure;
    if (out_wrong.empty() && json_parse(job_options_with_names(job.options, std::string(names)), options, where))
        out_wrong = where;
    if (out_wrong.empty())
        out_wrong = archive_order_read(options.get(), out_order);
    return true;
}

static bool is_appended_to(const target &t, const archive_order &order)
{
    return order.appends && std::find(t.appending.begin(), t.appending.end(), appended(order)) != t.appending.end();
}

// The job has no share here, or ends at once.
static void end_here(target &t, const cluster_job &job, ledger_job row, const std::string &wrong)
{
    row.state = job.is_cancelled ? job_cancelled : wrong.empty() ? job_done : job_failed;
    row.error = wrong;
    keep_row(t, std::move(row));
    target_names_drop(t, job.id);
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
    std::string wrong;
    archive_order order;
    bool is_mine = !json_parse(job.options, options, wrong) && json_text(options.get(), "at") == t.id;
    bool is_over = !is_mine || job.is_cancelled;
    if (!is_over && !read_order(t, job, order, wrong))
        return;
    if (is_over || !wrong.empty()) {
        end_here(t, job, std::move(row), wrong);
    } else if (is_appended_to(t, order)) {
        timer_arm(*t.e, t.archives->again, look_again_ms);
    } else {
        begin(t, job, row, std::move(order));
        target_names_drop(t, job.id);
    }
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
