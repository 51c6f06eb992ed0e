// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "aistore/job_record.h"

using namespace etlnode;

static cluster_job job_of(const char *state = "", uint64_t failed = 0)
{
    cluster_job job;
    job.id = "bqvIEUAyI";
    job.kind = "scrub";
    job.bucket = "b";
    job.state = state;
    job.ended_ns = *state != '\0' ? 1'767'323'045'000'000'000ull : 0;
    job.failed = failed;
    return job;
}

static std::string status_of(const cluster_job &job)
{
    json_ptr tree = job_record_status(job);
    return json_print(tree.get());
}

static void a_status_has_what_clients_read(void **)
{
    test_eq_text(status_of(job_of()), R"({"kind":"scrub","uuid":"bqvIEUAyI","err":"","end_time":0,"aborted":false})");
    test_eq_text(
        status_of(job_of("done")), R"({"kind":"scrub","uuid":"bqvIEUAyI","err":"","end_time":1767323045000000000,"aborted":false})");
    test_has_text(status_of(job_of("cancelled")), R"("aborted":true)");
    test_has_text(status_of(job_of("done", 2)), R"("err":"2 objects failed")");
    test_has_text(status_of(job_of("done", 1)), R"("err":"1 object failed")");
    test_eq_text(job_record_name(job_of()), "scrub[bqvIEUAyI]");
}

static void a_snapshot_has_what_clients_read(void **)
{
    json_ptr tree = job_record_snapshot(
        job_of(), {.started_ns = 1'767'323'045'000'000'000ull, .ended_ns = 0, .objects = 7, .bytes = 9, .error = {}});
    std::string bucket = R"({"name":"b","provider":"ais","namespace":{"uuid":"","name":""}})";
    std::string none = R"({"name":"","provider":"","namespace":{"uuid":"","name":""}})";
    test_eq_text(json_print(tree.get()),
        R"({"ext":null,"start-time":"2026-01-02T03:04:05Z","end-time":"0001-01-01T00:00:00Z","bck":)" + bucket + R"(,"src-bck":)" + none +
            R"(,"dst-bck":)" + none +
            R"(,"id":"bqvIEUAyI","kind":"scrub","ctlmsg":"","abort-err":"","err":"","glob.id":"0","stats":{"loc-objs":"7","loc-bytes":"9",)"
            R"("out-objs":"0","out-bytes":"0","in-objs":"0","in-bytes":"0"},"aborted":false,"is_idle":false})");
}

static bool matches(const char *query, const cluster_job &job)
{
    json_ptr tree;
    std::string where;
    test_ok(json_parse(query, tree, where));
    return job_query_matches(job_query_read(tree.get()), job);
}

static void queries_choose(void **)
{
    test_true(matches("{}", job_of()));
    test_true(job_query_matches(job_query_read(nullptr), job_of()));
    test_true(matches(R"({"ID":"bqvIEUAyI","Kind":"scrub"})", job_of())); // in either case
    test_false(matches(R"({"id":"bqvIEUAyX"})", job_of()));
    test_false(matches(R"({"kind":"rebalance"})", job_of()));
    test_true(matches(R"({"bck":{"name":"b","provider":"ais"}})", job_of()));
    test_false(matches(R"({"bck":{"name":"c"}})", job_of()));
    test_true(matches(R"({"show_active":null})", job_of("done")));
    test_false(matches(R"({"show_active":true})", job_of("done")));
    test_true(matches(R"({"show_active":false})", job_of("done")));
    test_true(matches(R"({"show_active":true})", job_of()));
    cluster_job cleanup = job_of("done");
    cleanup.kind = "cleanup-store";
    test_true(matches(R"({"kind":"cleanup"})", cleanup));
}

static void housekeeping_ends_at_once(void **)
{
    test_true(job_kind_ends_at_once(job_kind_canonical("cleanup")));
    test_true(job_kind_ends_at_once("lru"));
    test_false(job_kind_ends_at_once("scrub"));
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(a_status_has_what_clients_read),
        cmocka_unit_test(a_snapshot_has_what_clients_read),
        cmocka_unit_test(queries_choose),
        cmocka_unit_test(housekeeping_ends_at_once),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
