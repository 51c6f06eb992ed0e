// SPDX-License-Identifier: MIT
// Who may change a bucket that a job gives another name, and which jobs get in its way.
#include "node_test.h"

#include "control/bucket_moves.h"

using namespace etlnode;

static cluster_job make_job(const char *id, const char *kind, const char *bucket, const char *options)
{
    cluster_job job;
    job.id = id;
    job.kind = kind;
    job.bucket = bucket;
    job.options = options;
    return job;
}

static cluster_document moving()
{
    cluster_document document;
    document.jobs.push_back(make_job("j1", "scrub", "", "{}"));
    document.jobs.push_back(make_job("j2", "move-bck", "old", R"({"to":"new"})"));
    document.jobs.push_back(make_job("j3", "copy-bck", "a", R"({"to":"b"})"));
    return document;
}

static void only_the_job_fills_the_destination(void **)
{
    std::vector<bucket_move> moves = document_bucket_moves(moving());
    test_eq(moves.size(), 1u);
    test_has_text(bucket_move_refusal(moves, "old", false), "job j2 is giving it the name ais://new");
    test_has_text(bucket_move_refusal(moves, "old", true), "takes no changes");
    test_has_text(bucket_move_refusal(moves, "new", false), "takes no changes yet: job j2 is filling it");
    test_eq_text(bucket_move_refusal(moves, "new", true), "");
    test_eq_text(bucket_move_refusal(moves, "a", false), "");
}

static void a_job_that_is_over_closes_nothing(void **)
{
    cluster_document document = moving();
    document.jobs[1].ended_ns = 5;
    test_eq(document_bucket_moves(document).size(), 0u);
    test_eq_text(bucket_move_conflict(document, make_job("", "copy-bck", "old", R"({"to":"x"})")), "");
}

static void jobs_keep_away_from_a_bucket_that_moves(void **)
{
    struct row {
        const char *kind, *bucket, *options;
        const char *other; // the job in the way
    };
    const row rows[] = {
        {"copy-bck", "old", R"({"to":"x"})", "j2"},
        {"copy-bck", "x", R"({"to":"old"})", "j2"},
        {"etl-bck", "x", R"({"to":"new"})", "j2"},
        {"delete-listrange", "new", R"({"template":"a"})", "j2"},
        {"archive", "x", R"({"to":"new"})", "j2"},
        {"move-bck", "a", R"({"to":"x"})", "j3"},
        {"move-bck", "b", R"({"to":"x"})", "j3"},
        {"copy-bck", "a", R"({"to":"b"})", nullptr}, // two copies do not exclude each other
        {"move-bck", "x", R"({"to":"y"})", nullptr},
        {"scrub", "", "{}", nullptr},
    };
    for (const row &one : rows) {
        std::string text = bucket_move_conflict(moving(), make_job("", one.kind, one.bucket, one.options));
        if (one.other == nullptr)
            test_eq_text(text, "");
        else
            test_has_text(text, one.other);
    }
}

static void the_source_goes_only_if_nothing_can_be_missed(void **)
{
    cluster_document document = moving();
    document.placement.epoch = 7;
    document_put_bucket(document, {.name = "new", .created_ns = 18'000'000'000'000'000'001ull});
    cluster_job &job = document.jobs[1];
    job.options = bucket_move_options(document, "new");
    test_eq_text(bucket_move_obstacle(document, job), "");
    test_false(bucket_move_made(document, "old", *document_find_bucket(document, "new"))); // it runs
    job.ended_ns = 5;
    test_true(bucket_move_made(document, "old", *document_find_bucket(document, "new")));
    test_false(bucket_move_made(document, "a", *document_find_bucket(document, "new")));
    test_false(bucket_move_made(document, "old", {.name = "new", .created_ns = 5}));
    job.failed = 1;
    test_has_text(bucket_move_obstacle(document, job), "not every object");
    job.failed = 0;
    document.placement.epoch = 8;
    test_has_text(bucket_move_obstacle(document, job), "the targets have changed meanwhile");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(only_the_job_fills_the_destination),
        cmocka_unit_test(a_job_that_is_over_closes_nothing),
        cmocka_unit_test(jobs_keep_away_from_a_bucket_that_moves),
        cmocka_unit_test(the_source_goes_only_if_nothing_can_be_missed),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
