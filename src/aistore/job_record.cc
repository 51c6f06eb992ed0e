// SPDX-License-Identifier: MIT
// aistore/job_record.cc: jobs in the form of AIStore's "xactions".
//
// Knows    control, codec.        Known by  role/proxy.
#include "aistore/job_record.h"

#include "aistore/times.h"
#include "base/text.h"
#include "codec/json_fields.h"

namespace etlnode {

static constexpr const char *never = "0001-01-01T00:00:00Z"; // Go's zero time

static json_ptr options_of(const cluster_job &job)
{
    json_ptr options;
    std::string where;
    return json_parse(job.options, options, where) ? json_object() : std::move(options); // the document holds none but JSON
}

// What a client of AIStore shows as the job's error.
static std::string error_of(const cluster_job &job)
{
    if (job.ended_ns == 0 || (job.failed == 0 && job.error.empty()))
        return {};
    if (json_bool(options_of(job).get(), "inspect", false)) // it only looks what would fail
        return {};
    if (!job.error.empty())
        return job.error;
    return text_format("%llu object%s failed", static_cast<unsigned long long>(job.failed), job.failed == 1 ? "" : "s");
}

static bool is_aborted(const cluster_job &job) { return job.ended_ns != 0 && job.state == "cancelled"; }

json_ptr job_record_status(const cluster_job &job)
{
    json_ptr tree = json_object();
    json_add_text(tree.get(), "kind", job.kind);
    json_add_text(tree.get(), "uuid", job.id);
    json_add_text(tree.get(), "err", error_of(job));
    json_add_u64(tree.get(), "end_time", job.ended_ns);
    json_add_bool(tree.get(), "aborted", is_aborted(job));
    return tree;
}

std::string job_record_name(const cluster_job &job) { return job.kind + "[" + job.id + "]"; }

bool job_record_is_shown_running(const cluster_job &job, uint64_t now_ns)
{
    static constexpr uint64_t idle_ns = 60'000'000'000;
    bool idles = job.kind == "copy-listrange" || job.kind == "etl-listrange" || job.kind == "archive" || job.kind == "download";
    return job.ended_ns == 0 || (idles && now_ns - job.ended_ns < idle_ns);
}

static json_ptr bucket_record(const std::string &name)
{
    json_ptr tree = json_object();
    json_add_text(tree.get(), "name", name);
    json_add_text(tree.get(), "provider", name.empty() ? "" : "ais");
    cJSON *space = json_add_object(tree.get(), "namespace");
    json_add_text(space, "uuid", "");
    json_add_text(space, "name", "");
    return tree;
}

json_ptr job_record_snapshot(const cluster_job &job, const job_snapshot &share)
{
    json_ptr tree = json_object();
    json_add_tree(tree.get(), "ext", json_ptr(cJSON_CreateNull()));
    json_add_text(tree.get(), "start-time", share.started_ns != 0 ? times_utc_text(share.started_ns, true) : never);
    json_add_text(tree.get(), "end-time", share.ended_ns != 0 ? times_utc_text(share.ended_ns, true) : never);
    json_add_tree(tree.get(), "bck", bucket_record(job.bucket));
    json_ptr options = options_of(job);
    std::string to(json_text(options.get(), "to"));
    json_add_tree(tree.get(), "src-bck", bucket_record(to.empty() ? std::string() : job.bucket));
    json_add_tree(tree.get(), "dst-bck", bucket_record(to));
    json_add_text(tree.get(), "id", job.id);
    json_add_text(tree.get(), "kind", job.kind);
    json_add_text(tree.get(), "ctlmsg", job.prefix.empty() ? std::string() : "prefix:" + job.prefix);
    json_add_text(tree.get(), "abort-err", is_aborted(job) ? "aborted by user" : "");
    json_add_text(tree.get(), "err", share.error);
    // Bits 10 to 19 are the number of workers.
    json_add_u64_text(tree.get(), "glob.id", json_u64(options.get(), "num_workers", 0) << 10);
    cJSON *stats = json_add_object(tree.get(), "stats");
    json_add_u64_text(stats, "loc-objs", share.objects);
    json_add_u64_text(stats, "loc-bytes", share.bytes);
    for (const char *key : {"out-objs", "out-bytes", "in-objs", "in-bytes"})
        json_add_u64_text(stats, key, 0);
    json_add_bool(tree.get(), "aborted", is_aborted(job));
    json_add_bool(tree.get(), "is_idle", share.ended_ns != 0);
    return tree;
}

static constexpr json_field query_fields[] = {
    {"id", json_field_kind::text},
    {"kind", json_field_kind::text},
    {"daemonid", json_field_kind::text},
    {"bck", json_field_kind::object},
    {"buckets", json_field_kind::list},
    {"show_active", json_field_kind::flag},
    {"force", json_field_kind::flag},
};

static constexpr json_field bucket_fields[] = {
    {"name", json_field_kind::text},
    {"provider", json_field_kind::text},
};

std::string job_query_misfit(const cJSON *tree, std::string_view path)
{
    std::string start = path.empty() ? std::string() : std::string(path) + ".";
    std::string wrong = json_fields_misfit(tree, path, query_fields);
    if (wrong.empty())
        wrong = json_fields_misfit(json_get(tree, "bck"), start + "bck", bucket_fields);
    const cJSON *one = nullptr;
    const cJSON *several = json_get(tree, "buckets");
    cJSON_ArrayForEach(one, several)
    {
        if (wrong.empty())
            wrong = json_fields_misfit(one, start + "buckets", bucket_fields);
    }
    return wrong;
}

job_query job_query_read(const cJSON *tree)
{
    job_query query;
    query.id = json_text(tree, "id");
    query.kind = job_kind_canonical(json_text(tree, "kind"));
    query.bucket = json_text(json_get(tree, "bck"), "name");
    query.is_active_asked = json_read_bool(tree, "show_active", query.is_active);
    return query;
}

bool job_query_matches(const job_query &query, const cluster_job &job)
{
    return (query.id.empty() || query.id == job.id) && (query.kind.empty() || query.kind == job.kind) &&
           (query.bucket.empty() || query.bucket == job.bucket) && (!query.is_active_asked || query.is_active == (job.ended_ns == 0));
}

std::string_view job_kind_canonical(std::string_view kind)
{
    return kind == "cleanup" || kind == "store-cleanup" ? "cleanup-store" : kind == "lru-eviction" ? "lru" : kind;
}

bool job_kind_ends_at_once(std::string_view kind) { return kind == "cleanup-store" || kind == "lru" || kind == "rebalance"; }

} // namespace etlnode
