// SPDX-License-Identifier: MIT
// test/contract/test_ledger.cc: what port/ledger.h promises.
#include "contract_world.h"

#include <vector>

#include "port/ledger.h"

using namespace etlnode;

struct ledger_seen {
    int calls = 0;
    error err;
    std::vector<ledger_loaded> jobs;
    std::vector<ledger_failure> failures;
};
static ledger_seen *seen;

static int setup(void **state)
{
    seen = new ledger_seen;
    return world_setup_index(state);
}

static int teardown(void **state)
{
    delete seen;
    return world_teardown(state);
}

static void on_done(void *, error err)
{
    seen->calls++;
    seen->err = err;
}

static void on_loaded(void *, error err, std::vector<ledger_loaded> jobs)
{
    on_done(nullptr, err);
    seen->jobs = std::move(jobs);
}

static void on_failures(void *, error err, std::vector<ledger_failure> failures)
{
    on_done(nullptr, err);
    seen->failures = std::move(failures);
}

static error awaited()
{
    test_eq(seen->calls, 0);
    test_true(world_until([] { return seen->calls >= 1; }));
    world_pass(1);
    test_eq(seen->calls, 1);
    seen->calls = 0;
    return seen->err;
}

static error commit(ledger_change change)
{
    ledger_commit(*world->e, std::move(change), on_done, nullptr);
    return awaited();
}

static const ledger_loaded &loaded(size_t count = 1, size_t at = 0)
{
    ledger_load(*world->e, on_loaded, nullptr);
    test_ok(awaited());
    test_eq(seen->jobs.size(), count);
    return seen->jobs[at];
}

static std::string failed_names(const std::string &job, const std::string &after_bucket, const std::string &after_name, size_t count)
{
    ledger_failures(*world->e, job, after_bucket, after_name, count, on_failures, nullptr);
    test_ok(awaited());
    std::string names;
    for (const ledger_failure &failure : seen->failures)
        names += failure.bucket + "/" + failure.name + " ";
    return names;
}

static ledger_job job_of(const char *id, const char *cursor_bucket = "", const char *cursor_name = "")
{
    ledger_job job;
    job.id = id;
    job.kind = "scrub";
    job.state = "running";
    job.cursor_bucket = cursor_bucket;
    job.cursor_name = cursor_name;
    return job;
}

static void a_new_ledger_is_empty(void **) { (void)loaded(0); }

static void every_field_returns(void **)
{
    ledger_job job = job_of("j1", "b", std::string("n\0m", 3).c_str());
    job.cursor_name = std::string("n\0m", 3);
    job.epoch = UINT64_MAX;
    job.pass = 2;
    job.done = 3;
    job.skipped = 4;
    job.failed = 5;
    job.bytes = 6;
    job.started_ns = 7;
    job.ended_ns = 8;
    job.error = "why";
    test_ok(
        commit({.job = job, .ahead = {{"b", "p", 2}, {"b", "o", 1}, {"c", "a", 0}}, .failures = {{"b", "p", 500, "text", "request", 9}}}));
    const ledger_loaded &one = loaded();
    test_eq_text(one.job.id, "j1");
    test_eq_text(one.job.kind, "scrub");
    test_eq_text(one.job.state, "running");
    test_eq(one.job.epoch, UINT64_MAX);
    test_eq(one.job.pass, 2u);
    test_eq_text(one.job.cursor_bucket, "b");
    test_eq_text(one.job.cursor_name, std::string_view("n\0m", 3));
    test_eq(one.job.done, 3u);
    test_eq(one.job.skipped, 4u);
    test_eq(one.job.failed, 5u);
    test_eq(one.job.bytes, 6u);
    test_eq(one.job.started_ns, 7u);
    test_eq(one.job.ended_ns, 8u);
    test_eq_text(one.job.error, "why");
    test_eq(one.ahead.size(), 3u);
    test_eq_text(one.ahead[0].name, "o"); // in order
    test_eq(one.ahead[0].outcome, 1);
    test_eq_text(one.ahead[1].name, "p");
    test_eq_text(one.ahead[2].bucket, "c");
    test_eq_text(failed_names("j1", "", "", 10), "b/p ");
    const ledger_failure &failure = seen->failures[0];
    test_eq(failure.status, 500);
    test_eq_text(failure.text, "text");
    test_eq_text(failure.request_id, "request");
    test_eq(failure.tries, 9u);
}

static void the_cursor_takes_what_it_passes(void **)
{
    test_ok(commit({.job = job_of("j1"), .ahead = {{"b", "b", 0}, {"b", "c", 0}, {"b", "d", 0}, {"c", "a", 0}}}));
    test_eq(loaded().ahead.size(), 4u);
    test_ok(commit({.job = job_of("j1", "b", "c"), .ahead = {{"b", "bb", 0}, {"d", "a", 0}}}));
    const ledger_loaded &one = loaded();
    test_eq(one.ahead.size(), 3u);
    test_eq_text(one.ahead[0].name, "d");
    test_eq_text(one.ahead[1].bucket, "c");
    test_eq_text(one.ahead[2].bucket, "d");
    test_ok(commit({.job = job_of("j1", "z", "")}));
    test_eq(loaded().ahead.size(), 0u);
}

static void a_pass_begins_without_the_former_one(void **)
{
    test_ok(commit({.job = job_of("j1"), .ahead = {{"b", "x", 0}}, .failures = {{"b", "x", 500, "former", "", 1}}}));
    test_ok(commit({.job = job_of("j1"), .begins_pass = true, .ahead = {{"b", "y", 0}}, .failures = {{"b", "y", 500, "new", "", 1}}}));
    const ledger_loaded &one = loaded();
    test_eq(one.ahead.size(), 1u);
    test_eq_text(one.ahead[0].name, "y");
    test_eq_text(failed_names("j1", "", "", 10), "b/y ");
}

static void failures_come_in_pages(void **)
{
    ledger_change change = {.job = job_of("j1")};
    for (const char *bucket : {"b", "a"}) {
        for (const char *name : {"3", "1", "2"})
            change.failures.push_back({bucket, name, 500, "text", "", 1});
    }
    test_ok(commit(change));
    test_ok(commit({.job = job_of("j2"), .failures = {{"a", "1", 500, "other", "", 1}}}));
    test_eq_text(failed_names("j1", "", "", 4), "a/1 a/2 a/3 b/1 ");
    test_eq_text(failed_names("j1", "b", "1", 4), "b/2 b/3 ");
    test_eq_text(failed_names("j1", "b", "3", 4), "");
    test_eq_text(failed_names("j2", "", "", 4), "a/1 ");
    test_eq_text(failed_names("unknown", "", "", 4), "");
    test_ok(commit({.job = job_of("j1"), .failures = {{"a", "1", 404, "again", "", 2}}})); // replaced
    test_eq_text(failed_names("j1", "", "", 1), "a/1 ");
    test_eq_text(seen->failures[0].text, "again");
}

static void removed_jobs_leave_nothing(void **)
{
    for (const char *id : {"j1", "j2", "j3"})
        test_ok(commit({.job = job_of(id), .ahead = {{"b", "x", 0}}, .failures = {{"b", "x", 500, "text", "", 1}}}));
    ledger_remove(*world->e, {"j1", "j3", "unknown"}, on_done, nullptr);
    test_ok(awaited());
    test_eq_text(loaded().job.id, "j2");
    test_eq(seen->jobs[0].ahead.size(), 1u);
    test_eq_text(failed_names("j1", "", "", 10), "");
    test_eq_text(failed_names("j2", "", "", 10), "b/x ");
    test_ok(commit({.job = job_of("j1")})); // the same name again has nothing of the former one
    test_eq(loaded(2).ahead.size(), 0u);
}

#ifndef CONTRACT_SIMULATED
static void it_survives_the_process(void **)
{
    test_ok(commit({.job = job_of("j1", "b", "a"), .ahead = {{"b", "x", 1}}, .failures = {{"b", "a", 500, "text", "", 1}}}));
    world_end();
    world_begin(true);
    const ledger_loaded &one = loaded();
    test_eq_text(one.job.cursor_name, "a");
    test_eq(one.ahead.size(), 1u);
    test_eq_text(failed_names("j1", "", "", 10), "b/a ");
}
#endif

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_ledger_is_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(every_field_returns, setup, teardown),
        cmocka_unit_test_setup_teardown(the_cursor_takes_what_it_passes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pass_begins_without_the_former_one, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_come_in_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(removed_jobs_leave_nothing, setup, teardown),
#ifndef CONTRACT_SIMULATED
        cmocka_unit_test_setup_teardown(it_survives_the_process, setup, teardown),
#endif
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
