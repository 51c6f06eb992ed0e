// SPDX-License-Identifier: MIT
// uv/db/uv_ledger.cc: implements port/ledger.h on the node's database.
//
// Knows    uv_database.h. A change shares its transaction with the changes of the index that are queued beside it.
// Fails    any error of SQLite (uv_sql_error) fails the whole batch.
#include "port/ledger.h"
#include "uv/db/uv_database.h"

namespace etlnode {

struct ledger_operation {
    uv_operation op;
    // Input.
    ledger_change change;
    std::vector<std::string> jobs;
    std::string job, after_bucket, after_name;
    size_t count = 0;
    // Output.
    std::vector<ledger_loaded> loaded;
    std::vector<ledger_failure> failures;
    union {
        ledger_on_done on_done = nullptr;
        ledger_on_loaded on_loaded;
        ledger_on_failures on_failures;
    };
    void *arg = nullptr;
};

static ledger_operation *make_operation(error (*run)(uv_operation &, uv_connection &), void (*done)(uv_operation &), void *arg)
{
    auto *o = new ledger_operation;
    o->op.owner = o;
    o->op.run = run;
    o->op.done = done;
    o->arg = arg;
    return o;
}

static ledger_operation &operation_of(uv_operation &op) { return *static_cast<ledger_operation *>(op.owner); }

static void done_with_error(uv_operation &op)
{
    ledger_operation &o = operation_of(op);
    o.on_done(o.arg, op.err);
    delete &o;
}

// --- reads

static ledger_job read_job(sqlite3_stmt *s)
{
    ledger_job job;
    job.id = uv_sql_bytes(s, 0);
    job.kind = uv_sql_bytes(s, 1);
    job.state = uv_sql_bytes(s, 2);
    job.epoch = uv_sql_number(s, 3);
    job.pass = uv_sql_number(s, 4);
    job.cursor_bucket = uv_sql_bytes(s, 5);
    job.cursor_name = uv_sql_bytes(s, 6);
    job.done = uv_sql_number(s, 7);
    job.skipped = uv_sql_number(s, 8);
    job.failed = uv_sql_number(s, 9);
    job.bytes = uv_sql_number(s, 10);
    job.started_ns = uv_sql_number(s, 11);
    job.ended_ns = uv_sql_number(s, 12);
    job.error = uv_sql_bytes(s, 13);
    return job;
}

static error load_jobs(uv_connection &connection, std::vector<ledger_loaded> &out_jobs)
{
    error err;
    sqlite3_stmt *s = uv_sql_start(connection, uv_sql::jobs_load, err);
    if (s == nullptr)
        return err;
    while (uv_sql_step(connection, s, err))
        out_jobs.push_back({read_job(s), {}});
    uv_sql_end(s);
    return err;
}

// Both lists are in the order of the ids.
static error load_ahead(uv_connection &connection, std::vector<ledger_loaded> &jobs)
{
    error err;
    sqlite3_stmt *s = uv_sql_start(connection, uv_sql::ahead_load, err);
    if (s == nullptr)
        return err;
    size_t at = 0;
    while (uv_sql_step(connection, s, err)) {
        std::string id = uv_sql_bytes(s, 0);
        while (at < jobs.size() && jobs[at].job.id < id)
            at++;
        if (at < jobs.size() && jobs[at].job.id == id)
            jobs[at].ahead.push_back({uv_sql_bytes(s, 1), uv_sql_bytes(s, 2), static_cast<uint8_t>(uv_sql_number(s, 3))});
    }
    uv_sql_end(s);
    return err;
}

static error run_load(uv_operation &op, uv_connection &connection)
{
    std::vector<ledger_loaded> &jobs = operation_of(op).loaded;
    error err = load_jobs(connection, jobs);
    if (!err)
        err = load_ahead(connection, jobs);
    if (err)
        jobs.clear();
    return err;
}

static void load(env &e, ledger_on_loaded on_loaded, void *arg)
{
    ledger_operation *o = make_operation(
        run_load,
        [](uv_operation &op) {
            ledger_operation &finished = operation_of(op);
            finished.on_loaded(finished.arg, op.err, std::move(finished.loaded));
            delete &finished;
        },
        arg);
    o->on_loaded = on_loaded;
    uv_database_read(uv_world_of(e), o->op);
}

static error run_failures(uv_operation &op, uv_connection &connection)
{
    ledger_operation &o = operation_of(op);
    error err;
    sqlite3_stmt *s = uv_sql_start(connection, uv_sql::failures_page, err);
    if (s == nullptr)
        return err;
    uv_sql_bind(s, 1, o.job);
    uv_sql_bind(s, 2, o.after_bucket);
    uv_sql_bind(s, 3, o.after_name);
    uv_sql_bind(s, 4, uint64_t{o.count});
    while (uv_sql_step(connection, s, err)) {
        ledger_failure failure;
        failure.bucket = uv_sql_bytes(s, 0);
        failure.name = uv_sql_bytes(s, 1);
        failure.status = static_cast<int>(uv_sql_number(s, 2));
        failure.text = uv_sql_bytes(s, 3);
        failure.request_id = uv_sql_bytes(s, 4);
        failure.tries = uv_sql_number(s, 5);
        o.failures.push_back(std::move(failure));
    }
    uv_sql_end(s);
    if (err)
        o.failures.clear();
    return err;
}

static void failures(env &e, const std::string &job, const std::string &after_bucket, const std::string &after_name, size_t count,
    ledger_on_failures on_failures, void *arg)
{
    ledger_operation *o = make_operation(
        run_failures,
        [](uv_operation &op) {
            ledger_operation &finished = operation_of(op);
            finished.on_failures(finished.arg, op.err, std::move(finished.failures));
            delete &finished;
        },
        arg);
    o->job = job;
    o->after_bucket = after_bucket;
    o->after_name = after_name;
    o->count = count;
    o->on_failures = on_failures;
    uv_database_read(uv_world_of(e), o->op);
}

// --- writes

// One statement with the job's id first, and perhaps a name.
static error run_on_job(
    uv_connection &connection, uv_sql which, const std::string &job, const std::string *bucket = nullptr, const std::string *name = nullptr)
{
    error err;
    sqlite3_stmt *s = uv_sql_start(connection, which, err);
    if (s == nullptr)
        return err;
    uv_sql_bind(s, 1, job);
    if (bucket != nullptr)
        uv_sql_bind(s, 2, *bucket);
    if (name != nullptr)
        uv_sql_bind(s, 3, *name);
    (void)uv_sql_step(connection, s, err);
    uv_sql_end(s);
    return err;
}

static error put_job(uv_connection &connection, const ledger_job &job)
{
    error err;
    sqlite3_stmt *s = uv_sql_start(connection, uv_sql::job_put, err);
    if (s == nullptr)
        return err;
    uv_sql_bind(s, 1, job.id);
    uv_sql_bind(s, 2, job.kind);
    uv_sql_bind(s, 3, job.state);
    uv_sql_bind(s, 4, job.epoch);
    uv_sql_bind(s, 5, job.pass);
    uv_sql_bind(s, 6, job.cursor_bucket);
    uv_sql_bind(s, 7, job.cursor_name);
    uv_sql_bind(s, 8, job.done);
    uv_sql_bind(s, 9, job.skipped);
    uv_sql_bind(s, 10, job.failed);
    uv_sql_bind(s, 11, job.bytes);
    uv_sql_bind(s, 12, job.started_ns);
    uv_sql_bind(s, 13, job.ended_ns);
    uv_sql_bind(s, 14, job.error);
    (void)uv_sql_step(connection, s, err);
    uv_sql_end(s);
    return err;
}

static error add_ahead(uv_connection &connection, const std::string &job, const ledger_ahead &ahead)
{
    error err;
    sqlite3_stmt *s = uv_sql_start(connection, uv_sql::ahead_add, err);
    if (s == nullptr)
        return err;
    uv_sql_bind(s, 1, job);
    uv_sql_bind(s, 2, ahead.bucket);
    uv_sql_bind(s, 3, ahead.name);
    uv_sql_bind(s, 4, uint64_t{ahead.outcome});
    (void)uv_sql_step(connection, s, err);
    uv_sql_end(s);
    return err;
}

static error put_failure(uv_connection &connection, const std::string &job, const ledger_failure &failure)
{
    error err;
    sqlite3_stmt *s = uv_sql_start(connection, uv_sql::failure_put, err);
    if (s == nullptr)
        return err;
    uv_sql_bind(s, 1, job);
    uv_sql_bind(s, 2, failure.bucket);
    uv_sql_bind(s, 3, failure.name);
    uv_sql_bind(s, 4, static_cast<uint64_t>(failure.status));
    uv_sql_bind(s, 5, failure.text);
    uv_sql_bind(s, 6, failure.request_id);
    uv_sql_bind(s, 7, failure.tries);
    (void)uv_sql_step(connection, s, err);
    uv_sql_end(s);
    return err;
}

static error run_change(uv_operation &op, uv_connection &connection)
{
    const ledger_change &change = operation_of(op).change;
    const ledger_job &job = change.job;
    error err;
    if (change.begins_pass) {
        err = run_on_job(connection, uv_sql::ahead_remove, job.id);
        if (!err)
            err = run_on_job(connection, uv_sql::failures_remove, job.id);
    }
    if (!err)
        err = put_job(connection, job);
    for (size_t i = 0; i < change.ahead.size() && !err; i++)
        err = add_ahead(connection, job.id, change.ahead[i]);
    for (size_t i = 0; i < change.failures.size() && !err; i++)
        err = put_failure(connection, job.id, change.failures[i]);
    if (!err)
        err = run_on_job(connection, uv_sql::ahead_pass, job.id, &job.cursor_bucket, &job.cursor_name);
    return err;
}

static void change(env &e, ledger_change wanted, ledger_on_done on_done, void *arg)
{
    ledger_operation *o = make_operation(run_change, done_with_error, arg);
    o->op.needs_room = true;
    o->change = std::move(wanted);
    o->on_done = on_done;
    uv_database_write(uv_world_of(e), o->op);
}

static error run_remove(uv_operation &op, uv_connection &connection)
{
    error err;
    for (const std::string &job : operation_of(op).jobs) {
        for (uv_sql which : {uv_sql::ahead_remove, uv_sql::failures_remove, uv_sql::job_remove}) {
            if (!err)
                err = run_on_job(connection, which, job);
        }
    }
    return err;
}

static void remove(env &e, std::vector<std::string> jobs, ledger_on_done on_done, void *arg)
{
    ledger_operation *o = make_operation(run_remove, done_with_error, arg);
    o->jobs = std::move(jobs);
    o->on_done = on_done;
    uv_database_write(uv_world_of(e), o->op);
}

const ledger_port uv_ledger_port = {
    .load = load,
    .change = change,
    .failures = failures,
    .remove = remove,
};

} // namespace etlnode
