// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "base/limits.h"
#include "control/document.h"

using namespace etlnode;

static cluster_document sample()
{
    cluster_document document;
    document.version = 3;
    document.uuid = "cluster-1";
    document.created = "2026-01-02 03:04:05";
    return document;
}

static cluster_job job_of(const std::string &id, uint64_t ended_ns = 0)
{
    cluster_job job;
    job.id = id;
    job.kind = "scrub";
    job.bucket = "b";
    job.prefix = "p/\"\n";
    job.options = "{\"rate\":1000000}";
    job.creator = "127.0.0.1:5";
    job.created_ns = 1800000000123456789ull;
    job.ended_ns = ended_ns;
    if (ended_ns != 0) {
        job.state = "done";
        job.done = UINT64_MAX;
        job.skipped = 2;
        job.failed = 3;
        job.bytes = 4;
        job.error = "why";
    }
    return job;
}

static void jobs_return(void **)
{
    cluster_document document = sample();
    document.jobs.push_back(job_of("second"));
    document.jobs.back().is_cancelled = true;
    document.jobs.push_back(job_of("first", 99));
    cluster_document read;
    test_ok(document_parse(document_print(document), read));
    test_eq(read.jobs.size(), 2u);
    const cluster_job *job = document_find_job(read, "second");
    test_true(job != nullptr && job == &read.jobs[0]);
    test_eq_text(job->kind, "scrub");
    test_eq_text(job->bucket, "b");
    test_eq_text(job->prefix, "p/\"\n");
    test_eq_text(job->options, "{\"rate\":1000000}");
    test_eq_text(job->creator, "127.0.0.1:5");
    test_eq(job->created_ns, 1800000000123456789ull);
    test_true(job->is_cancelled);
    test_eq(job->ended_ns, 0u);
    job = document_find_job(read, "first");
    test_true(job != nullptr && !job->is_cancelled);
    test_eq(job->ended_ns, 99u);
    test_eq_text(job->state, "done");
    test_eq(job->done, UINT64_MAX);
    test_eq(job->skipped, 2u);
    test_eq(job->failed, 3u);
    test_eq(job->bytes, 4u);
    test_eq_text(job->error, "why");
    test_true(document_find_job(read, "third") == nullptr);
}

static void a_document_without_jobs_says_nothing_of_them(void **) { test_true(document_print(sample()).find("jobs") == std::string::npos); }

static void expect_refused(const std::string &from, const std::string &to)
{
    cluster_document document = sample();
    document.jobs.push_back(job_of("one", 7));
    std::string text = document_print(document);
    size_t at = text.find(from);
    test_true(at != std::string::npos);
    text.replace(at, from.size(), to);
    cluster_document read;
    error err = document_parse(text, read);
    test_eq_enum(err.code, error_code::corrupt);
}

static void damaged_jobs_are_refused(void **)
{
    expect_refused("\"id\":\"one\"", "\"id\":\"\"");
    expect_refused("\"id\":\"one\"", "\"id\":\"o/ne\"");
    expect_refused("\"id\":\"one\"", "\"id\":1");
    expect_refused("\"kind\":", "\"king\":");
    expect_refused("\"options\":\"{", "\"options\":\"[");
    expect_refused("\"cancelled\":false", "\"cancelled\":0");
    expect_refused("\"ended_ns\":\"7\"", "\"ended_ns\":\"0\"");
    expect_refused("\"failed\":\"3\"", "\"failed\":\"-3\"");
    expect_refused("\"jobs\":[", "\"jobs\":{\"a\":[]},\"more\":[");
    cluster_document document = sample();
    document.jobs = {job_of("one"), job_of("one")};
    cluster_document read;
    error err = document_parse(document_print(document), read);
    test_eq_enum(err.code, error_code::corrupt);
}

static void only_the_last_that_ended_are_kept(void **)
{
    cluster_document document = sample();
    uint64_t day_ns = 24ull * 3600 * 1'000'000'000;
    uint64_t now_ns = 100 * day_ns;
    document.jobs.push_back(job_of("running"));
    document.jobs.push_back(job_of("old", now_ns - 8 * day_ns));
    document.jobs.push_back(job_of("young", now_ns - 6 * day_ns));
    test_true(document_prune_jobs(document, now_ns));
    test_eq(document.jobs.size(), 2u);
    test_true(document_find_job(document, "old") == nullptr);
    test_false(document_prune_jobs(document, now_ns));
    for (size_t i = 0; i < job_kept_max; i++)
        document.jobs.push_back(job_of("j" + std::to_string(i), now_ns));
    test_true(document_prune_jobs(document, now_ns));
    test_eq(document.jobs.size(), job_kept_max + 1);
    test_true(document_find_job(document, "running") != nullptr); // however old
    test_true(document_find_job(document, "young") == nullptr);
    test_true(document_find_job(document, "j0") != nullptr);
}

static void the_largest_job_fits(void **)
{
    cluster_document document = sample();
    cluster_job job = job_of(std::string(job_id_size_max, 'i'), UINT64_MAX);
    job.kind = job.state = std::string(64, '\x01');
    job.bucket = std::string(bucket_name_size_max, 'b');
    job.prefix = std::string(object_name_size_max, '\x01');
    job.options = "{\"x\":\"" + std::string(job_options_size_max - 8, ' ') + "\"}";
    job.creator = std::string(256, '\x01');
    job.error = std::string(1024, '\x01');
    size_t before = document_print(document).size();
    document.jobs.push_back(job);
    std::string text = document_print(document);
    test_true(text.size() - before <= job_size_max);
    cluster_document read;
    test_ok(document_parse(text, read));
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(jobs_return),
        cmocka_unit_test(a_document_without_jobs_says_nothing_of_them),
        cmocka_unit_test(damaged_jobs_are_refused),
        cmocka_unit_test(only_the_last_that_ended_are_kept),
        cmocka_unit_test(the_largest_job_fits),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
