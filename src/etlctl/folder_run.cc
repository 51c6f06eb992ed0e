// SPDX-License-Identifier: MIT
// etlctl/folder_run.cc: keeps as many transfers under way as --num-workers says, on one thread.
//
// Normal   take the next name from the plan, begin it in a free place, wait for whichever ends first.
// Fails    Without --continue, nothing new begins behind the first failure; what is under way ends. A full disk and a cluster that answers
//          nothing end the run in any case. A signal breaks off what is under way.
#include "etlctl/folder_run.h"

#include <algorithm>
#include <memory>

#include "base/text.h"
#include "etlctl/folder_transfer.h"

namespace etlnode::etlctl {

static constexpr uint64_t workers_default = 48;
static constexpr uint64_t workers_max = 256;
static constexpr int steps_max = 256; // of the plan, before what has ended meanwhile is looked at
static constexpr uint64_t tick_ms = 100;
static constexpr uint64_t unanswered_max = 16; // in a row

struct runner {
    folder_shared shared;
    folder_plan plan;
    http_many many;
    std::vector<std::unique_ptr<folder_transfer>> transfers;
    folder_report *report = nullptr;
    failure problem;
    uint64_t unanswered = 0;
    bool has_more = true;
};

static bool is_stopping(const runner &r)
{
    return folder_signal() != 0 || r.problem || r.shared.is_full || (r.report->failed > 0 && !r.report->goes_on);
}

static void fail(runner &r, const plan_item &item, const failure &f)
{
    bool is_unanswered = f.status == 0 && (f.exit == exit_code::unavailable || f.exit == exit_code::timeout);
    r.unanswered = is_unanswered ? r.unanswered + 1 : 0;
    report_failure(*r.report, item, f);
    if (r.unanswered >= std::max<uint64_t>(unanswered_max, r.transfers.size()) && !r.problem)
        r.problem = failure_make(exit_code::unavailable, {}, "nothing answers any more", "etlctl cluster health");
    if (r.shared.is_full && !r.problem)
        r.problem = failure_make(exit_code::limit, {}, "the disk is full, so the rest was not tried");
}

static void succeed(runner &r, const plan_item &item)
{
    bool removes = item.action == folder_action::remove || item.action == folder_action::remove_file;
    ++(removes ? r.report->removed : r.report->done);
    r.unanswered = 0;
}

static void follow(runner &r, folder_transfer &t, transfer_step step, const failure &f)
{
    switch (step) {
    case transfer_step::again: transfer_prepare(t); [[fallthrough]];
    case transfer_step::started:
        t.state = transfer_state::active;
        many_start(r.many, t.call);
        return;
    case transfer_step::waits: t.state = transfer_state::waiting; return;
    case transfer_step::done: succeed(r, t.item); break;
    case transfer_step::failed: fail(r, t.item, f); break;
    }
    transfer_reset(t);
}

static void show(runner &r)
{
    progress_state &state = r.report->shown.state;
    state.objects_done = r.report->done + r.report->removed + r.report->skipped;
    state.bytes_done = r.shared.bytes;
    progress_tick(r.report->shown);
}

// Takes the next step of the plan with a free place.
static void take_step(runner &r, folder_transfer &t)
{
    folder_step step = plan_next(r.plan, t.item);
    switch (step) {
    case folder_step::item: {
        if (r.shared.s->opt.dry_run) {
            report_item(*r.report, *r.shared.task, t.item);
            return;
        }
        failure f;
        transfer_step begun = transfer_begin(t, f);
        follow(r, t, begun, f);
        return;
    }
    case folder_step::skipped: ++r.report->skipped; return;
    case folder_step::failed: {
        const char *doing = t.item.action == folder_action::store  ? "cannot store "
                            : t.item.action == folder_action::copy ? "cannot copy "
                                                                   : "cannot read ";
        if (t.item.action == folder_action::remove)
            doing = "cannot remove ";
        fail(r, t.item, failure_make(exit_code::other, doing + t.item.name, r.plan.why));
        return;
    }
    case folder_step::left_out: report_left_out(*r.report, t.item, r.plan.why); return;
    case folder_step::end: r.has_more = false; return;
    case folder_step::broken:
        r.has_more = false;
        r.problem = r.plan.problem;
        return;
    }
}

// Begins what can begin. Returns how long nothing else will, at most.
static uint64_t fill(runner &r)
{
    uint64_t wait_ms = tick_ms;
    uint64_t now = session_clock_ms();
    for (const auto &t : r.transfers) {
        if (t->state != transfer_state::waiting)
            continue;
        if (t->due_ms <= now || is_stopping(r))
            follow(r, *t, transfer_step::again, {});
        else
            wait_ms = std::min(wait_ms, t->due_ms - now);
    }
    int steps = 0;
    for (const auto &t : r.transfers)
        while (t->state == transfer_state::idle && r.has_more && !is_stopping(r)) {
            if (steps++ == steps_max)
                return 0;
            take_step(r, *t);
        }
    return wait_ms;
}

static void break_off(runner &r)
{
    for (const auto &t : r.transfers) {
        many_drop(r.many, t->call);
        transfer_reset(*t);
    }
}

static void close_all(runner &r)
{
    break_off(r);
    for (const auto &t : r.transfers) {
        many_forget(t->call);
        XXH64_freeState(t->hash);
    }
    many_close(r.many);
    plan_end(r.plan);
}

static void run(runner &r)
{
    while (true) {
        uint64_t wait_ms = fill(r);
        if (folder_signal() != 0 || r.shared.is_full || ferror(stdout) != 0)
            break_off(r);
        bool is_waiting = std::any_of(
            r.transfers.begin(), r.transfers.end(), [](const auto &t) { return t->state != transfer_state::idle; });
        if (!is_waiting && (!r.has_more || is_stopping(r) || ferror(stdout) != 0))
            return;
        http_call *call = many_next(r.many, wait_ms);
        if (call != nullptr) {
            folder_transfer &t = *static_cast<folder_transfer *>(call->owner);
            failure f;
            transfer_step step = transfer_answered(t, !is_stopping(r), f);
            follow(r, t, step, f);
        }
        show(r);
    }
}

// What is known of the whole before it begins: all files if that takes no time, or the objects of a list of one page.
static void count_ahead(runner &r)
{
    static constexpr uint64_t time_max_ms = 300;
    const folder_task &task = *r.shared.task;
    bool is_shown = r.report->shown.mode != progress_mode::none;
    if (!is_shown || !task.names_from.empty())
        return;
    progress_state &state = r.report->shown.state;
    if (task.action != folder_action::store) {
        if (!plan_count(r.plan, state.objects_total, state.bytes_total) || task.action != folder_action::read || !task.etl.empty())
            state.bytes_total = 0;
        return;
    }
    state.objects_total += task.files.size();
    folder_walk walk;
    uint64_t began_ms = session_clock_ms();
    uint64_t count = 0;
    std::string name;
    std::string why;
    walk_step step = walk_step::end;
    if (task.files.empty() && walk_begin(walk, r.plan.root.fd, &task.filter))
        while ((step = walk_next(walk, name, why)) != walk_step::end) {
            count += step == walk_step::file ? 1 : 0;
            if (session_clock_ms() - began_ms > time_max_ms)
                break;
        }
    walk_end(walk);
    if (step == walk_step::end)
        state.objects_total += count;
}

failure folder_run(session &s, const folder_task &task, folder_report &report, uint64_t &out_empty_folders)
{
    runner r;
    r.shared.s = &s;
    r.shared.task = &task;
    r.shared.root = &r.plan.root;
    r.shared.bytes = report.bytes;
    r.report = &report;
    uint64_t workers = workers_default;
    failure f = parse_count("--num-workers", s.opt.num_workers, workers);
    if (!f && workers > workers_max)
        f = usage_failure(text_format("--num-workers: at most %llu", static_cast<unsigned long long>(workers_max)));
    folder_watch_signals();
    s.http.is_stopped = folder_is_signalled; // also while a list is awaited
    if (!f)
        f = plan_begin(s, task, r.plan);
    if (!f && !s.opt.dry_run)
        target_map_fetch(s, r.shared.map);
    if (!f && !many_open(r.many, s.http))
        f = failure_make(exit_code::other, {}, "cannot initialise libcurl");
    if (f) {
        close_all(r);
        return f;
    }
    for (uint64_t i = 0; i < workers; ++i) {
        r.transfers.push_back(std::make_unique<folder_transfer>());
        r.transfers.back()->shared = &r.shared;
        r.transfers.back()->call.owner = r.transfers.back().get();
    }
    count_ahead(r);
    run(r);
    report.bytes = r.shared.bytes;
    out_empty_folders += r.plan.walk.empty_folders;
    close_all(r);
    return r.problem;
}

} // namespace etlnode::etlctl
