// SPDX-License-Identifier: MIT
// role/proxy/archive_jobs.cc: PUT /v1/buckets/<bucket> {"action":"archive"}: begins a job that makes an archive of objects of the bucket.
//
// Knows    control, job, aistore.        Known by  routes.cc.
// Normal   the target that owns the archive's name is to make it; the answer is the job's id.
// Fails    400 for options; 404 for buckets; 409 for too many jobs; 413 for a body that is too long.
// Limits   job_running_max; job_options_size_max, above which the list of names stands beside the document; job_names_size_max.
#include "role/proxy/request.h"

#include "aistore/provider.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/json_fields.h"
#include "control/bucket_moves.h"
#include "job/archive_order.h"
#include "port/clock.h"
#include "role/proxy/job_names.h"
#include "role/proxy/jobs.h"
#include "role/shared/hints.h"
#include "store/object_name.h"

namespace etlnode {

struct archive_request : proxy_request {
    cluster_job job;
    std::string to_bucket;
    std::string names;   // a list that is too long for the document
    std::string refusal; // why the document does not take the job
};

static constexpr json_field value_fields[] = {
    {"objnames", json_field_kind::list},
    {"template", json_field_kind::text},
    {"archname", json_field_kind::text},
    {"mime", json_field_kind::text},
    {"tobck", json_field_kind::object},
    {"isbn", json_field_kind::flag},
    {"aate", json_field_kind::flag},
    {"coer", json_field_kind::flag},
};

static void copy_field(cJSON *to, const char *key, const cJSON *from)
{
    const cJSON *item = json_get(from, key);
    bool is_empty = item == nullptr || cJSON_IsNull(item) || cJSON_IsFalse(item) || (cJSON_IsString(item) && item->valuestring[0] == '\0');
    if (!is_empty)
        json_add_tree(to, key, json_ptr(cJSON_Duplicate(item, true)));
}

static bool refuse(archive_request &r, error_code code, const std::string &text)
{
    proxy_request_fail(r, code, text);
    return false;
}

static bool admit_bucket(archive_request &r, const std::string &bucket)
{
    if (document_find_bucket(proxy_document(*r.p), bucket) != nullptr)
        return true;
    return refuse(r, error_code::bucket_not_found, hint_bucket_missing(bucket, proxy_bucket_names(*r.p)));
}

static bool read_value(archive_request &r, const cJSON *value)
{
    if (std::string wrong = json_fields_misfit(value, "value", value_fields); !wrong.empty())
        return refuse(r, error_code::bad_request, wrong);
    std::string why;
    if (error err = provider_read_bucket(json_get(value, "tobck"), "value.tobck", r.to_bucket, why))
        return refuse(r, err.code, why);
    if (r.to_bucket.empty())
        r.to_bucket = r.job.bucket;
    if (!admit_bucket(r, r.job.bucket) || !admit_bucket(r, r.to_bucket))
        return false;
    const cluster_node *maker = document_place(proxy_document(*r.p), r.to_bucket, std::string(json_text(value, "archname")));
    if (maker == nullptr)
        return refuse(r, error_code::unavailable, "the cluster has no targets");
    json_ptr options = json_object();
    for (const char *key : {"objnames", "template", "archname", "mime", "isbn", "aate", "coer"})
        copy_field(options.get(), key, value);
    json_add_text(options.get(), "to", r.to_bucket);
    json_add_text(options.get(), "at", maker->id);
    archive_order order;
    if (std::string wrong = archive_order_read(options.get(), order); !wrong.empty())
        return refuse(r, error_code::bad_request, "value." + wrong);
    r.job.options = json_print(options.get());
    if (r.job.options.size() > job_options_size_max) {
        r.names = proxy_names_set_apart(options.get());
        r.job.options = json_print(options.get());
    }
    if (r.job.options.size() > job_options_size_max)
        return refuse(r, error_code::body_too_large,
            text_format("the options of a job, without its list of names, may have %zu bytes", job_options_size_max));
    return true;
}

static error apply_job(archive_request &r, cluster_document &next)
{
    if (document_find_bucket(next, r.job.bucket) == nullptr || document_find_bucket(next, r.to_bucket) == nullptr)
        return make_error(error_code::bucket_not_found);
    r.refusal = bucket_move_conflict(next, r.job);
    if (!r.refusal.empty())
        return make_error(error_code::conflict);
    return proxy_job_admit(*r.p, next, r.job);
}

static void on_stored(archive_request &r, error err)
{
    if (!r.job.names.empty())
        proxy_names_kept(*r.p, r.job.names, !err);
    if (err && !r.refusal.empty())
        proxy_request_fail(r, err.code, r.refusal);
    else
        proxy_job_answer_start(r, r.job, err);
}

static void on_names_kept(void *arg, error err, const std::string &key)
{
    archive_request &r = *static_cast<archive_request *>(arg);
    if (err) {
        refuse(r, err.code, proxy_names_failure_text(err));
        return;
    }
    r.job.names = key;
    proxy_request_change<apply_job, on_stored>(r, true);
}

static void on_body(archive_request &r, std::string body)
{
    json_ptr tree;
    std::string action;
    if (!proxy_request_read_action(r, body, tree, action))
        return;
    if (action != archive_kind) {
        refuse(r, error_code::bad_request, "PUT of a bucket: unknown action \"" + text_escape(action, 64) + "\": expected archive");
        return;
    }
    if (!read_value(r, json_get(tree.get(), "value")))
        return;
    if (r.names.empty())
        proxy_request_change<apply_job, on_stored>(r, true);
    else
        proxy_names_keep(*r.p, std::move(r.names), on_names_kept, &r);
}

static void serve_archive(proxy &p, exchange &x, const route_match &match)
{
    std::string bucket;
    if (!route_admit_query(x) || !route_decode_arg(x, match.args[0], "bucket name", bucket))
        return;
    archive_request &r = proxy_request_make<archive_request>(p, x);
    r.job.bucket = std::move(bucket);
    r.job.kind = archive_kind;
    r.job.creator = exchange_peer(x);
    r.job.created_ns = clock_wall_ns(*p.e);
    proxy_request_read<on_body>(r, job_names_size_max);
}

// --- routes

static constexpr route rows[] = {
    ROUTE("PUT", "/v1/buckets/{bucket}", serve_archive, "begins a job that makes an archive: `archive`"),
};
extern constinit const std::span<const route> proxy_archive_job_routes = rows;

} // namespace etlnode
