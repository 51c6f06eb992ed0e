// SPDX-License-Identifier: MIT
// control/document_jobs.cc: the jobs of the cluster document: lookups, JSON, and how long they are kept.
//
// Knows    codec.          Known by  document.cc, role.
// Limits   job_running_max and job_kept_max; job_keep_ms.
#include "control/document_jobs.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"

namespace etlnode {

static constexpr size_t word_size_max = 64;
static constexpr size_t creator_size_max = 256;
static constexpr size_t error_size_max = 1024;

std::string rebalance_job_id(uint64_t epoch) { return "g" + std::to_string(epoch); }

cluster_job *document_find_job(cluster_document &document, std::string_view id)
{
    for (cluster_job &job : document.jobs) {
        if (job.id == id)
            return &job;
    }
    return nullptr;
}

const cluster_job *document_find_job(const cluster_document &document, std::string_view id)
{
    return document_find_job(const_cast<cluster_document &>(document), id);
}

bool document_prune_jobs(cluster_document &document, uint64_t now_ns)
{
    size_t ended = 0;
    for (const cluster_job &job : document.jobs)
        ended += job.ended_ns != 0 ? 1 : 0;
    size_t before = document.jobs.size();
    // Oldest first, in the order in which they were made.
    std::erase_if(document.jobs, [&ended, now_ns](const cluster_job &job) {
        bool is_old = job.ended_ns != 0 &&
                      (ended > job_kept_max || (now_ns > job.ended_ns && now_ns - job.ended_ns > job_keep_ms * 1'000'000));
        ended -= is_old ? 1 : 0;
        return is_old;
    });
    return document.jobs.size() != before;
}

static bool id_is_good(std::string_view id)
{
    auto good = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; };
    return !id.empty() && std::all_of(id.begin(), id.end(), good);
}

static bool result_parse(const cJSON *tree, cluster_job &out_job)
{
    if (json_get(tree, "ended_ns") == nullptr)
        return true;
    return json_read_u64(tree, "ended_ns", out_job.ended_ns) && out_job.ended_ns != 0 &&
           json_read_text(tree, "state", word_size_max, out_job.state) && json_read_u64(tree, "done", out_job.done) &&
           json_read_u64(tree, "skipped", out_job.skipped) && json_read_u64(tree, "failed", out_job.failed) &&
           json_read_u64(tree, "bytes", out_job.bytes) && json_read_text(tree, "error", error_size_max, out_job.error);
}

static bool job_parse(const cJSON *tree, cluster_job &out_job)
{
    json_ptr options;
    std::string where;
    return json_read_text(tree, "id", job_id_size_max, out_job.id) && id_is_good(out_job.id) &&
           json_read_text(tree, "kind", word_size_max, out_job.kind) &&
           json_read_text(tree, "bucket", bucket_name_size_max, out_job.bucket) &&
           json_read_text(tree, "prefix", object_name_size_max, out_job.prefix) &&
           json_read_text(tree, "options", job_options_size_max, out_job.options) && !json_parse(out_job.options, options, where) &&
           cJSON_IsObject(options.get()) &&
           (json_get(tree, "names") == nullptr ||
               (json_read_text(tree, "names", job_id_size_max, out_job.names) && id_is_good(out_job.names))) &&
           json_read_text(tree, "creator", creator_size_max, out_job.creator) && json_read_u64(tree, "created_ns", out_job.created_ns) &&
           json_read_bool(tree, "cancelled", out_job.is_cancelled) && result_parse(tree, out_job);
}

bool document_jobs_parse(const cJSON *tree, cluster_document &out_document)
{
    const cJSON *jobs = json_get(tree, "jobs");
    if (jobs == nullptr) // a document from before there were jobs, or without any
        return true;
    if (!cJSON_IsArray(jobs) || static_cast<size_t>(cJSON_GetArraySize(jobs)) > job_running_max + job_kept_max)
        return false;
    const cJSON *item = nullptr;
    cJSON_ArrayForEach(item, jobs)
    {
        cluster_job job;
        if (!job_parse(item, job) || document_find_job(out_document, job.id) != nullptr)
            return false;
        out_document.jobs.push_back(std::move(job));
    }
    return true;
}

static json_ptr job_print(const cluster_job &job)
{
    json_ptr tree = json_object();
    json_add_text(tree.get(), "id", job.id);
    json_add_text(tree.get(), "kind", job.kind);
    json_add_text(tree.get(), "bucket", job.bucket);
    json_add_text(tree.get(), "prefix", job.prefix);
    json_add_text(tree.get(), "options", job.options);
    if (!job.names.empty())
        json_add_text(tree.get(), "names", job.names);
    json_add_text(tree.get(), "creator", job.creator);
    json_add_u64_text(tree.get(), "created_ns", job.created_ns);
    json_add_bool(tree.get(), "cancelled", job.is_cancelled);
    if (job.ended_ns == 0)
        return tree;
    json_add_u64_text(tree.get(), "ended_ns", job.ended_ns);
    json_add_text(tree.get(), "state", job.state);
    json_add_u64_text(tree.get(), "done", job.done);
    json_add_u64_text(tree.get(), "skipped", job.skipped);
    json_add_u64_text(tree.get(), "failed", job.failed);
    json_add_u64_text(tree.get(), "bytes", job.bytes);
    json_add_text(tree.get(), "error", job.error);
    return tree;
}

void document_jobs_print(cJSON *tree, const cluster_document &document)
{
    if (document.jobs.empty())
        return;
    cJSON *jobs = json_add_array(tree, "jobs");
    for (const cluster_job &job : document.jobs)
        json_append(jobs, job_print(job));
}

} // namespace etlnode
