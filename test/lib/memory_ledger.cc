// SPDX-License-Identifier: MIT
// test/lib/memory_ledger.cc: port/ledger.h in memory, with the same two steps as the index (memory_world.h).
#include "memory_world.h"

namespace etlnode {

static void load(const memory_world &w, memory_task &t)
{
    for (const auto &[id, job] : w.now.jobs) {
        ledger_loaded loaded = {job.job, {}};
        for (const auto &[name, outcome] : job.ahead)
            loaded.ahead.push_back({name.first, name.second, outcome});
        t.jobs.push_back(std::move(loaded));
    }
}

static void change(memory_world &w, const ledger_change &change)
{
    memory_job &job = w.now.jobs[change.job.id];
    if (change.begins_pass) {
        job.ahead.clear();
        job.failures.clear();
    }
    job.job = change.job;
    for (const ledger_ahead &ahead : change.ahead)
        job.ahead[{ahead.bucket, ahead.name}] = ahead.outcome;
    for (const ledger_failure &failure : change.failures)
        job.failures[{failure.bucket, failure.name}] = failure;
    job.ahead.erase(job.ahead.begin(), job.ahead.upper_bound({change.job.cursor_bucket, change.job.cursor_name}));
}

static void list_failures(const memory_world &w, memory_task &t)
{
    auto job = w.now.jobs.find(t.path);
    if (job == w.now.jobs.end())
        return;
    auto at = job->second.failures.upper_bound({t.after_bucket, t.after});
    for (; at != job->second.failures.end() && t.failures.size() < t.size; ++at)
        t.failures.push_back(at->second);
}

error memory_execute_ledger(memory_world &w, memory_task &t)
{
    if (t.op == memory_op::ledger_load)
        load(w, t);
    else if (t.op == memory_op::ledger_change)
        change(w, t.job_change);
    else if (t.op == memory_op::ledger_failures)
        list_failures(w, t);
    for (const std::string &id : t.paths)
        w.now.jobs.erase(id);
    return no_error;
}

const ledger_port memory_ledger = {
    .load = [](env &e, ledger_on_loaded on_loaded,
                void *arg) { memory_add(memory_of(e), memory_op::ledger_load, arg).on_jobs = on_loaded; },
    .change =
        [](env &e, ledger_change change, ledger_on_done on_done, void *arg) {
            memory_task &t = memory_add(memory_of(e), memory_op::ledger_change, arg);
            t.path = change.job.id;
            t.job_change = std::move(change);
            t.on_done = on_done;
        },
    .failures =
        [](env &e, const std::string &job, const std::string &after_bucket, const std::string &after_name, size_t count,
            ledger_on_failures on_failures, void *arg) {
            memory_task &t = memory_add(memory_of(e), memory_op::ledger_failures, arg);
            t.path = job;
            t.after_bucket = after_bucket;
            t.after = after_name;
            t.size = count;
            t.on_failures = on_failures;
        },
    .remove =
        [](env &e, std::vector<std::string> jobs, ledger_on_done on_done, void *arg) {
            memory_task &t = memory_add(memory_of(e), memory_op::ledger_remove, arg);
            t.paths = std::move(jobs);
            t.on_done = on_done;
        },
};

} // namespace etlnode
